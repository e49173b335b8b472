//! What a request names: lists in pages (`limit` and `after` in, `items` and `next` out), and places in
//! its path.

use axum::{
    extract::{self, FromRequestParts, Query, rejection::QueryRejection},
    http::request::Parts,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use runbook_core::{Timestamp, Value};
use runbook_desk::latest::Place;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::IntoParams;

use crate::problem::Problem;

/// The longest page.
pub const MOST: usize = 500;
const USUAL: usize = 50;

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// At most this many, 1 to 500; 50 where it is not said.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<usize>,
    /// The `next` of the page before.
    pub after: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    pub items: Vec<Value>,
    /// Where the next page begins; null on the last one.
    pub next: Option<String>,
}

impl Paging {
    pub fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(USUAL) {
            limit @ 1..=MOST => Ok(limit),
            limit => Err(Problem::invalid(format!("`limit` is {limit}: it must be from 1 to {MOST}"))),
        }
    }

    /// Where the timeline of an incident goes on.
    pub fn story(&self) -> Result<Option<Place>, Problem> {
        let Some(after) = &self.after else { return Ok(None) };
        Ok(Some(decoded(after)?.parse().map_err(|_| wrong())?))
    }

    /// Where a list by time goes on.
    pub fn place(&self) -> Result<Option<(Timestamp, String)>, Problem> {
        let Some(after) = &self.after else { return Ok(None) };
        let text = decoded(after)?;
        let (at, id) = text.split_once(' ').ok_or_else(wrong)?;
        Ok(Some((at.parse().map_err(|_| wrong())?, id.to_owned())))
    }
}

fn decoded(cursor: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn wrong() -> Problem {
    Problem::invalid("`after` is not the `next` of a page")
}

/// The cursor after a place in the timeline of an incident.
pub fn story_cursor(place: Place) -> String {
    URL_SAFE_NO_PAD.encode(place.to_string())
}

/// The cursor after a place in a list by time.
pub fn cursor((at, id): (Timestamp, &str)) -> String {
    URL_SAFE_NO_PAD.encode(format!("{at:.9} {id}"))
}

/// A query string; what is wrong with it is told as a problem.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let told = |rejection: QueryRejection| Problem::invalid(rejection.body_text());
        Query::from_request_parts(parts, state).await.map(|Query(asked)| Self(asked)).map_err(told)
    }
}

/// The places that a path names; what cannot be read of them is told as a problem.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let told = |rejection: extract::rejection::PathRejection| Problem::unreadable(rejection.body_text());
        extract::Path::from_request_parts(parts, state)
            .await
            .map(|extract::Path(named)| Self(named))
            .map_err(told)
    }
}

//! Idempotency keys: a request that is sent again with the same `Idempotency-Key` gets the answer that
//! the first one got, and does nothing.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header};
use runbook_core::duration::Duration;
use runbook_desk::kept::{self, Found};
use runbook_journal::{Expect, JournalError};
use sha2::{Digest as _, Sha256};

use crate::{gate::Caller, problem::Problem, shelf::Answered, site::Site};

/// The largest body of a request to the API, in bytes.
const LARGEST: usize = 1024 * 1024;
const LONGEST_KEY: usize = 200;
/// How long an answer is kept, and how long a request may be worked on before another may try.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);
const WORKED_ON: Duration = Duration::from_secs(60);

/// Goes with an answer that holds a secret: it is given once, and never kept.
#[derive(Debug, Clone, Copy)]
pub struct ShownOnce;

pub async fn keep(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let key = request.headers().get("idempotency-key").cloned();
    let caller = request.extensions().get::<Caller>().cloned();
    match (key, caller) {
        (Some(key), Some(caller)) if *request.method() == Method::POST => {
            answer(&site, &caller, &key, request, next).await.unwrap_or_else(IntoResponse::into_response)
        }
        _ => next.run(request).await,
    }
}

async fn answer(
    site: &Site,
    caller: &Caller,
    key: &HeaderValue,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(Problem::invalid(format!("an idempotency key has 1 to {LONGEST_KEY} bytes")));
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, LARGEST)
        .await
        .map_err(|_| Problem::too_large(format!("a body has at most {LARGEST} bytes")))?;
    let id = hash(&[caller.identity.name.as_bytes(), key.as_bytes()]);
    let digest = hash(&[parts.uri.to_string().as_bytes(), &bytes]);
    let mine = match begin(site, &id, &digest).await? {
        Begun::Answered(response) => return Ok(response),
        Begun::Mine(version) => version,
    };
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    remember(site, &id, digest, mine, response).await
}

enum Begun {
    Answered(Response),
    /// At which version it is marked as being worked on.
    Mine(u64),
}

async fn begin(site: &Site, id: &str, digest: &str) -> Result<Begun, Problem> {
    let now = site.now();
    let found = kept::find::<Answered>(site.shelf(), id).await?;
    let expect = match &found {
        None => Expect::New,
        Some(Found { value, version, .. }) => {
            let age = Duration::between(value.at, now);
            match (value.status, value.digest == digest) {
                _ if age > KEPT => Expect::Version(*version),
                (_, false) => {
                    return Err(Problem::invalid("the idempotency key was used for another request before")
                        .hint("use a new key for each thing that is to be done"));
                }
                (Some(status), true) => return Ok(Begun::Answered(replayed(status, value))),
                (None, true) if age > WORKED_ON => Expect::Version(*version),
                (None, true) => {
                    return Err(Problem::conflict("the first request with this key is still at work"));
                }
            }
        }
    };
    let answered = Answered {
        at: now,
        digest: digest.to_owned(),
        status: None,
        content_type: None,
        body: String::new(),
    };
    let write = kept::put(id, &answered, expect)?;
    match site.shelf().write(vec![write]).await {
        Ok(()) => Ok(Begun::Mine(found.map_or(1, |found| found.version + 1))),
        Err(JournalError::Changed { .. }) => {
            Err(Problem::conflict("the first request with this key is still at work"))
        }
        Err(error) => Err(error.into()),
    }
}

fn replayed(status: u16, answered: &Answered) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, answered.body.clone()).into_response();
    let kind = answered.content_type.as_deref().and_then(|kind| HeaderValue::from_str(kind).ok());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/json")));
    headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    response
}

/// Keeps the answer; one that says that it failed here is not kept, so that it can be tried again.
async fn remember(
    site: &Site,
    id: &str,
    digest: String,
    version: u64,
    response: Response,
) -> Result<Response, Problem> {
    let (parts, body) = response.into_parts();
    let shown_once = parts.extensions.get::<ShownOnce>().is_some();
    let bytes = to_bytes(body, 4 * LARGEST).await.unwrap_or(Bytes::new());
    let write = if parts.status.is_server_error() {
        kept::remove::<Answered>(id)
    } else {
        let gone = shown_once.then(|| {
            Problem::conflict("the first request with this key was done; its answer is shown once")
                .hint("revoke the token that it made, and use a new key for another")
        });
        let kept_status = gone.as_ref().map_or(parts.status.as_u16(), |problem| problem.status);
        let gone = gone.map(|problem| serde_json::to_string(&problem).unwrap_or_default());
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let answered = Answered {
            at: site.now(),
            digest,
            status: Some(kept_status),
            content_type: content_type.map(str::to_owned),
            body: gone.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned()),
        };
        kept::put(id, &answered, Expect::Version(version))?
    };
    if let Err(error) = site.shelf().write(vec![write]).await {
        tracing::warn!(%error, "the answer to a request with an idempotency key was not kept");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn hash(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

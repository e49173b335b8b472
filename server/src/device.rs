//! Signing in from a command line: the server begins at the provider, a person confirms the code in a
//! browser anywhere, and the command line gets a token of theirs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::StatusCode;
use runbook_core::Timestamp;
use runbook_desk::kept;
use runbook_identity::{
    Via,
    oidc::{Claimed, DeviceLogin, DevicePoll, Oidc},
    tokens::{self, TokenRequest},
};
use runbook_journal::Expect;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::sync;
use uuid::Uuid;

use crate::{
    audit,
    once::ShownOnce,
    origin::Origin,
    pages::login::told,
    problem::Problem,
    shelf::{Outcome, Token},
    site::Site,
};

/// How many may wait to be confirmed at once.
const MOST_WAITING: usize = 256;
/// What such a token is called.
const NAME: &str = "sign-in";

/// Those who wait to be confirmed, by what only their command line knows. They are never stored: their
/// codes are secrets.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<BTreeMap<String, Entry>>);

#[derive(Debug, Clone)]
struct Entry {
    oidc: Arc<Oidc>,
    expires_at: Timestamp,
    login: Arc<sync::Mutex<DeviceLogin>>,
}

impl Waiting {
    fn put(&self, oidc: Arc<Oidc>, login: DeviceLogin, now: Timestamp) -> Result<String, Problem> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, entry| now < entry.expires_at);
        if all.len() >= MOST_WAITING {
            return Err(Problem::too_many("too many people sign in at once"));
        }
        let id = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let expires_at = login.expires_at;
        all.insert(id.clone(), Entry { oidc, expires_at, login: Arc::new(sync::Mutex::new(login)) });
        Ok(id)
    }

    fn get(&self, id: &str) -> Option<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Whether it was still there: whoever takes it out ends it.
    fn take(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id).is_some()
    }
}

pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/login/device", post(begin)).route("/login/device/{id}", post(poll))
}

async fn begin(State(site): State<Arc<Site>>) -> Result<Response, Problem> {
    let now = site.now();
    let oidc = site.ways.oidc().ok_or_else(|| {
        Problem::conflict("this server has no OpenID provider")
            .hint("`runbook token create` on its machine makes a token")
    })?;
    let login = oidc.device_begin(now).await.map_err(told)?;
    let mut answer = json!({
        "user_code": login.user_code,
        "verification_uri": login.verification_uri.as_str(),
        "verification_uri_complete": login.verification_uri_complete.as_ref().map(url::Url::as_str),
        "expires_at": login.expires_at,
        "wait_seconds": login.wait(now).as_std().as_secs().max(1),
    });
    answer["id"] = site.devices.put(oidc, login, now)?.into();
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn poll(
    State(site): State<Arc<Site>>,
    Extension(origin): Extension<Origin>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let over = || {
        Problem::unauthenticated("this sign-in was not begun here, or is over")
            .hint("`runbook sign-in --server URL` begins another")
    };
    let entry = site.devices.get(&id).ok_or_else(over)?;
    let mut login = entry.login.lock().await;
    match entry.oidc.device_poll(&mut login, site.now()).await {
        Ok(DevicePoll::Pending { wait }) => {
            let wait = wait.as_std().as_secs().max(1);
            Ok((StatusCode::ACCEPTED, Json(json!({ "wait_seconds": wait }))).into_response())
        }
        Ok(DevicePoll::Done(claimed)) if site.devices.take(&id) => admit(&site, origin, &claimed).await,
        Ok(DevicePoll::Done(_)) => Err(over()),
        Err(error) => {
            site.devices.take(&id);
            Err(told(error))
        }
    }
}

/// A token of somebody who has signed in: all that they may do, as long as a session is kept idle.
async fn admit(site: &Site, origin: Origin, claimed: &Claimed) -> Result<Response, Problem> {
    let (directory, now) = (site.project.directory(), site.now());
    directory.admit(claimed).map_err(|error| Problem::forbidden(error.to_string()))?;
    let via = Via::Session { id: NAME.to_owned() };
    let identity = directory.person(&claimed.name, &claimed.groups, via);
    let request = TokenRequest {
        name: NAME.to_owned(),
        service: None,
        rights: identity.rights.clone(),
        expires_at: directory.lifetimes().idle.after(now),
    };
    let minted = tokens::mint(&identity, &directory, request, now).map_err(|error| {
        Problem::forbidden(format!("{} gets no token: {error}", claimed.name))
            .hint("`auth.roles` in runbook.yaml says who is granted what")
    })?;
    let token = Token(minted.record);
    site.shelf().write(vec![kept::put(&token.0.id, &token, Expect::New)?]).await?;
    let asked = audit::Asked {
        method: "POST".to_owned(),
        path: "/login/device".to_owned(),
        from: origin.0.map(|from| from.to_string()),
    };
    let detail = format!("{}, token {}", claimed.issuer, token.0.id);
    audit::write(site, Some(&identity), &asked, Outcome::Done, "signed_in", &detail).await;
    let answer = json!({
        "name": claimed.name,
        "token": minted.token.expose_secret(),
        "expires_at": token.0.expires_at,
    });
    Ok((Extension(ShownOnce), Json(answer)).into_response())
}

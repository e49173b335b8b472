//! The way in and out: at the provider, or with a ticket that somebody with access to the store made.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue, header};
use maud::{Markup, html};
use runbook_desk::kept;
use runbook_identity::{
    Via,
    cookies::Cookie,
    oidc::{Callback, Claimed, Kind, LoginSecret, Oidc, OidcError},
    sessions::{self, SessionSecret},
};
use runbook_journal::{Expect, JournalError};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::layout;
use crate::{
    audit,
    gate::Caller,
    origin::Origin,
    problem::Problem,
    shelf::{LoginAttempt, Outcome, Session, Ticket},
    site::Site,
};

pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/login", get(page))
        .route("/login/begin", get(begin))
        .route("/login/callback", get(callback))
        .route("/login/ticket", get(ticket))
        .route("/logout", post(logout))
}

#[derive(Debug, Deserialize)]
struct Next {
    next: Option<String>,
}

/// A path of this server, and nothing that could lead elsewhere.
fn local(next: Option<&str>) -> &str {
    next.filter(|next| next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\n', '\r']))
        .unwrap_or("/")
}

async fn page(State(site): State<Arc<Site>>, Query(asked): Query<Next>) -> Markup {
    let next: String =
        url::form_urlencoded::byte_serialize(local(asked.next.as_deref()).as_bytes()).collect();
    let content = html! {
        h1 { "Sign in" }
        @if site.ways.oidc().is_some() {
            p { a class="button" href=(format!("/login/begin?next={next}")) { "Sign in with your organization" } }
        } @else {
            p {
                "This server has no sign-in of an organization. On its machine, "
                code { "runbook sign-in NAME" } " makes a link that is good for one sign-in."
            }
        }
    };
    layout::page(&site, None, layout::Here::Outside, "Sign in", &content)
}

fn provider(site: &Site) -> Result<Arc<Oidc>, Problem> {
    site.ways.oidc().ok_or_else(|| Problem::missing("page", "/login/begin"))
}

pub fn told(error: OidcError) -> Problem {
    let hint = error.hint();
    let problem = match error.kind() {
        Kind::Setup => Problem::inside(&error),
        Kind::Provider => Problem::unavailable(error.to_string()),
        Kind::Person => Problem::unauthenticated(error.to_string()),
    };
    problem.hint(hint)
}

async fn begin(State(site): State<Arc<Site>>, Query(asked): Query<Next>) -> Result<Response, Problem> {
    let now = site.now();
    let login = provider(&site)?.begin(local(asked.next.as_deref()), now).await.map_err(told)?;
    let attempt = LoginAttempt { attempt: login.attempt, begun_at: now, taken: false };
    site.shelf().write(vec![kept::put(&attempt.attempt.id, &attempt, Expect::New)?]).await?;
    let cookie = login.secret.cookie(site.settings.transport);
    with_cookies(Redirect::to(login.url.as_str()).into_response(), [cookie])
}

async fn callback(
    State(site): State<Arc<Site>>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    Query(callback): Query<Callback>,
) -> Result<Response, Problem> {
    let now = site.now();
    let secret = LoginSecret::find(site.settings.transport, cookies(&headers))
        .ok_or_else(|| Problem::unauthenticated("this browser has begun no login; begin again at /login"))?;
    let attempt = match kept::find::<LoginAttempt>(site.shelf(), &secret.attempt_id()).await? {
        Some(found) if !found.value.taken => {
            let taken = LoginAttempt { taken: true, ..found.value.clone() };
            match site
                .shelf()
                .write(vec![kept::put(&found.id, &taken, Expect::Version(found.version))?])
                .await
            {
                Ok(()) => Some(found.value.attempt),
                Err(JournalError::Changed { .. }) => None,
                Err(error) => return Err(error.into()),
            }
        }
        _ => None,
    };
    let return_to = attempt.as_ref().map(|attempt| attempt.return_to.clone()).unwrap_or_default();
    let claimed = provider(&site)?.finish(attempt, &secret, &callback, now).await.map_err(told)?;
    let forget = Cookie::Login.clear(site.settings.transport);
    let response = sign_in(&site, origin, &headers, &claimed, local(Some(&return_to))).await?;
    with_cookies(response, [forget])
}

/// Opens a session, in the place of the one that the browser had.
async fn sign_in(
    site: &Site,
    origin: Origin,
    headers: &HeaderMap,
    claimed: &Claimed,
    to: &str,
) -> Result<Response, Problem> {
    let directory = site.project.directory();
    directory.admit(claimed).map_err(|error| Problem::forbidden(error.to_string()))?;
    let (record, secret) = sessions::open(claimed, site.now()).map_err(|error| Problem::inside(&error))?;
    let session = Session(record);
    let mut writes = vec![kept::put(&session.0.id, &session, Expect::New)?];
    if let Some(old) = SessionSecret::find(site.settings.transport, cookies(headers)) {
        writes.push(kept::remove::<Session>(&old.id()));
    }
    site.shelf().write(writes).await?;
    let identity = directory.of_session(&session.0);
    let asked = audit::Asked {
        method: "GET".to_owned(),
        path: "/login".to_owned(),
        from: origin.0.map(|from| from.to_string()),
    };
    audit::write(site, Some(&identity), &asked, Outcome::Done, "signed_in", &claimed.issuer).await;
    let cookie = secret.cookie(site.settings.transport, directory.lifetimes());
    with_cookies(Redirect::to(to).into_response(), [cookie])
}

#[derive(Deserialize)]
struct Shown {
    ticket: String,
    next: Option<String>,
}

/// Tickets are stored by their digest: whoever reads the store cannot use one.
pub fn ticket_id(ticket: &str) -> String {
    Sha256::digest(ticket.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn ticket(
    State(site): State<Arc<Site>>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    Query(shown): Query<Shown>,
) -> Result<Response, Problem> {
    let worthless = || {
        Problem::unauthenticated("the link is not good any more")
            .hint("each is good for one sign-in within ten minutes; `runbook sign-in NAME` makes another")
    };
    let found = kept::find::<Ticket>(site.shelf(), &ticket_id(&shown.ticket)).await?.ok_or_else(worthless)?;
    if found.value.taken || found.value.expires_at <= site.now() {
        return Err(worthless());
    }
    let taken = Ticket { taken: true, ..found.value.clone() };
    site.shelf()
        .write(vec![kept::put(&found.id, &taken, Expect::Version(found.version))?])
        .await
        .map_err(|_| worthless())?;
    let name = found.value.name;
    let claimed =
        Claimed { issuer: "ticket".to_owned(), subject: name.clone(), name, groups: Default::default() };
    sign_in(&site, origin, &headers, &claimed, local(shown.next.as_deref())).await
}

async fn logout(State(site): State<Arc<Site>>, caller: Caller) -> Result<Response, Problem> {
    if let Via::Session { id } = &caller.identity.via {
        site.shelf().write(vec![kept::remove::<Session>(id)]).await?;
    }
    let forget = Cookie::Session.clear(site.settings.transport);
    with_cookies(Redirect::to("/login").into_response(), [forget])
}

fn cookies(headers: &HeaderMap) -> &str {
    headers.get(header::COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or_default()
}

fn with_cookies<const N: usize>(mut response: Response, cookies: [String; N]) -> Result<Response, Problem> {
    for cookie in cookies {
        let cookie = HeaderValue::from_str(&cookie).map_err(|error| Problem::inside(&error))?;
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

//! Who is asking, and whether they may come in at all.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, Method, StatusCode, header, request::Parts};
use runbook_desk::kept;
use runbook_identity::{
    Identity, Permission, Rights, Scope, Via, may,
    sessions::{self, SessionSecret},
    tokens::{self, Presented},
};
use runbook_journal::Expect;
use secrecy::SecretString;
use url::Url;

use crate::{
    audit::{self, Asked},
    ops::Mark,
    origin::Origin,
    problem::{Problem, Refused},
    rules::{self, Needs},
    shelf::{Outcome, Session, Token},
    site::Site,
    throttle::Throttle,
};

/// The largest form that a page sends, in bytes.
const LARGEST_FORM: usize = 256 * 1024;

/// Who is asking; in every request that came this far.
#[derive(Debug, Clone)]
pub struct Caller {
    pub identity: Identity,
    /// What pages put into their forms, where there is a session.
    pub csrf: Option<SecretString>,
    /// What marks the request with which they ask.
    pub mark: Option<Mark>,
}

impl Caller {
    pub fn may(&self, permission: Permission, scope: Scope<'_>) -> Result<(), Problem> {
        Ok(may(&self.identity, permission, scope)?)
    }

    /// Whether they see what belongs to an environment and a runbook.
    pub fn sees(&self, environment: &str, runbook: &str) -> bool {
        may(&self.identity, Permission::Read, Scope::of(environment, runbook)).is_ok()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::unauthenticated("nobody is signed in"))
    }
}

/// Lets a request in, or says why not.
pub async fn enter(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let origin = Origin::of(&request, &site.settings.proxies);
    request.extensions_mut().insert(origin);
    let asked = asked(&request, origin);
    // Whoever shows a token is a program, whatever it asks for.
    let by_browser = wants_page(&asked) && !request.headers().contains_key(header::AUTHORIZATION);
    let matched = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let needs = match &matched {
        Some(path) => rules::needs(request.method(), path),
        // Nothing is there: the fallback says so.
        None => Some(Needs::Open),
    };
    let entered = match needs {
        None if is_known(&matched) => return next.run(request).await,
        None => Err((Problem::inside(&format!("no rule for {} {matched:?}", request.method())), None)),
        Some(Needs::Proof) => return next.run(request).await,
        Some(Needs::SignIn) => match within(&site, &site.limits.sign_ins, origin, &asked).await {
            Ok(()) => admit(&site, Needs::Open, request).await,
            Err(problem) => return problem.into_response(),
        },
        Some(needs) => admit(&site, needs, request).await,
    };
    let (response, who) = match entered {
        Ok(request) => {
            let caller = request.extensions().get::<Caller>().cloned();
            let mut response = next.run(request).await;
            let who = caller.as_ref().map(|caller| caller.identity.clone());
            // A page that tells a problem still says who is looking.
            if let Some(caller) = caller {
                response.extensions_mut().insert(caller);
            }
            (response, who)
        }
        Err((problem, _)) if problem.status == 401 && by_browser => {
            return Redirect::to(&format!("/login?next={}", encoded(&asked.path))).into_response();
        }
        Err((problem, caller)) => {
            let mut response = problem.into_response();
            let who = caller.as_ref().map(|caller| caller.identity.clone());
            // Whoever may not do anything can still leave.
            if let Some(caller) = caller {
                response.extensions_mut().insert(caller);
            }
            (response, who)
        }
    };
    if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        && let Some(refused) = response.extensions().get::<Refused>().cloned()
    {
        if response.status() == StatusCode::UNAUTHORIZED
            && let Err(problem) = within(&site, &site.limits.failures, origin, &asked).await
        {
            return problem.into_response();
        }
        audit::write(&site, who.as_ref(), &asked, Outcome::Refused, refused.code, &refused.detail).await;
    }
    response
}

/// A path that is there, asked with a method that it does not take: the router says so.
fn is_known(path: &Option<String>) -> bool {
    path.as_ref().is_some_and(|path| rules::RULES.iter().any(|rule| rule.path == path))
}

fn wants_page(asked: &Asked) -> bool {
    asked.method == "GET" && !asked.path.starts_with("/api/") && !asked.path.starts_with("/hooks/")
}

fn encoded(path: &str) -> String {
    url::form_urlencoded::byte_serialize(path.as_bytes()).collect()
}

fn asked(request: &Request, origin: Origin) -> Asked {
    let from = origin.0.map(|from| from.to_string());
    Asked { method: request.method().to_string(), path: request.uri().path().to_owned(), from }
}

/// Takes one from the allowance of an address; where it is used up, says so, and once to the audit log.
async fn within(site: &Site, throttle: &Throttle, origin: Origin, asked: &Asked) -> Result<(), Problem> {
    let Err(used_up) = throttle.take(origin.0, site.now()) else { return Ok(()) };
    let problem = Problem::too_many("too many tries to come in from this address")
        .hint("wait as long as `retry-after` says; a token or a session that is good is let in meanwhile")
        .after(used_up.wait);
    if used_up.is_new {
        audit::write(site, None, asked, Outcome::Refused, problem.code, &problem.detail).await;
    }
    Err(problem)
}

type Turned = (Problem, Option<Caller>);

async fn admit(site: &Site, needs: Needs, mut request: Request) -> Result<Request, Turned> {
    if needs == Needs::Open {
        // Pages that anybody may see still say who is looking.
        if let Ok(Some(caller)) = who(site, request.headers()).await {
            request.extensions_mut().insert(caller);
        }
        return Ok(request);
    }
    let caller = who(site, request.headers()).await.map_err(|problem| (problem, None))?;
    let Some(caller) = caller else {
        let problem = Problem::unauthenticated("nobody is signed in")
            .hint("send `authorization: Bearer rbk_…`, or sign in at /login");
        return Err((problem, None));
    };
    let turned = |problem| (problem, Some(caller.clone()));
    if !is_safe(request.method()) {
        request = own_pages_only(site, &caller, request).await.map_err(turned)?;
    }
    if let Needs::May(permission) = needs {
        somewhere(&caller, permission).map_err(turned)?;
    }
    let mark = request.extensions().get::<Mark>().cloned();
    request.extensions_mut().insert(Caller { mark, ..caller });
    Ok(request)
}

/// Whether somebody has a permission anywhere: the handler knows of what.
fn somewhere(caller: &Caller, permission: Permission) -> Result<(), Problem> {
    let role = permission.rule().role;
    let holds = |rights: &Rights| rights.0.iter().any(|grant| grant.role >= role);
    if holds(&caller.identity.rights) && caller.identity.within.as_ref().is_none_or(holds) {
        return Ok(());
    }
    caller.may(permission, Scope::NOTHING)?;
    Ok(())
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Who is asking: by a token, by a session, or, where nobody signs in, whoever it is.
async fn who(site: &Site, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    if let Some(header) = headers.get(header::AUTHORIZATION) {
        let presented = header.to_str().ok().and_then(Presented::bearer);
        let presented =
            presented.ok_or_else(|| Problem::unauthenticated("that is no token of this server"))?;
        return by_token(site, &presented).await.map(Some);
    }
    let cookies = headers.get(header::COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or_default();
    if let Some(secret) = SessionSecret::find(site.settings.transport, cookies)
        && let Some(caller) = by_session(site, &secret).await?
    {
        return Ok(Some(caller));
    }
    match &site.settings.open_as {
        Some(name) if is_asked_by_its_own_name(site, headers) => {
            Ok(Some(Caller { identity: Identity::loopback(name), csrf: None, mark: None }))
        }
        _ => Ok(None),
    }
}

/// A page elsewhere can let its own name point to this machine; then it is not asked by ours.
fn is_asked_by_its_own_name(site: &Site, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let own = &site.settings.public_url;
    let ours = Url::parse(&format!("{}://{host}", own.scheme())).ok();
    ours.is_some_and(|ours| {
        let local = matches!(ours.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        local || ours.origin() == own.origin()
    })
}

async fn by_token(site: &Site, presented: &Presented) -> Result<Caller, Problem> {
    let found = kept::find::<Token>(site.shelf(), &presented.id).await?;
    let record = found.as_ref().map(|found| &found.value.0);
    let identity = tokens::authenticate(presented, record, &site.project.directory(), site.now())
        .map_err(|error| Problem::unauthenticated(error.to_string()))?;
    if let Some(mut found) = found
        && found.value.0.used(site.now())
        && let Ok(write) = kept::put(&found.id, &found.value, Expect::Version(found.version))
    {
        // Somebody else notes the same moment; one of them is enough.
        let _ = site.shelf().write(vec![write]).await;
    }
    Ok(Caller { identity, csrf: None, mark: None })
}

async fn by_session(site: &Site, secret: &SessionSecret) -> Result<Option<Caller>, Problem> {
    let Some(mut found) = kept::find::<Session>(site.shelf(), &secret.id()).await? else { return Ok(None) };
    let directory = site.project.directory();
    if found.value.0.standing(directory.lifetimes(), site.now()).is_err() {
        return Ok(None);
    }
    if found.value.0.seen(site.now())
        && let Ok(write) = kept::put(&found.id, &found.value, Expect::Version(found.version))
    {
        let _ = site.shelf().write(vec![write]).await;
    }
    let identity = directory.of_session(&found.value.0);
    Ok(Some(Caller { identity, csrf: Some(secret.csrf()), mark: None }))
}

/// What a browser does because somebody is signed in must come from a page of ours: by where it says
/// that it comes from, and with a session by a token that only our pages know.
async fn own_pages_only(site: &Site, caller: &Caller, request: Request) -> Result<Request, Problem> {
    if matches!(caller.identity.via, Via::Token { .. }) {
        return Ok(request);
    }
    let foreign = || Problem::forbidden("the request came from a page of another site");
    let headers = request.headers();
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok()).ok_or_else(foreign)?;
        let own = site.settings.public_url.origin();
        let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let same_host = Url::parse(&format!("{}://{asked}", origin.scheme()))
            .is_ok_and(|host| host.origin() == origin.origin());
        if origin.origin() != own && !same_host {
            return Err(foreign());
        }
    }
    if headers.get("sec-fetch-site").is_some_and(|from| from != "same-origin" && from != "none") {
        return Err(foreign());
    }
    let Some(csrf) = &caller.csrf else { return Ok(request) };
    if let Some(given) = headers.get("x-csrf-token") {
        return if matches(csrf, given.as_bytes()) { Ok(request) } else { Err(wrong_token()) };
    }
    let form = "application/x-www-form-urlencoded";
    let is_form =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(form.as_bytes()));
    if !is_form {
        return Err(wrong_token());
    }
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, LARGEST_FORM)
        .await
        .map_err(|_| Problem::too_large(format!("a form has at most {LARGEST_FORM} bytes")))?;
    let given = url::form_urlencoded::parse(&bytes).find(|(name, _)| name == "csrf").map(|(_, value)| value);
    if !given.is_some_and(|given| matches(csrf, given.as_bytes())) {
        return Err(wrong_token());
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn matches(csrf: &SecretString, given: &[u8]) -> bool {
    sessions::is_token(csrf, given)
}

fn wrong_token() -> Problem {
    Problem::forbidden("the request does not come from a page of this session")
        .hint("load the page again; programs send `authorization: Bearer rbk_…`")
}

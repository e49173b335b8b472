//! Who somebody is here, and their tokens.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use runbook_core::{Timestamp, duration::Duration};
use runbook_desk::kept::{self, Found};
use runbook_identity::{Grant, Pattern, Permission, Rights, Role, Scope, Via};
use runbook_journal::DocumentQuery;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    forms::{self, Sent},
    layout::{Here, page},
    told,
    words::{self, Tone, mark, moment},
};
use crate::{
    api::{self, access::NewToken, page::Path},
    gate::Caller,
    problem::Problem,
    shelf::Token,
    site::Site,
};

const ROLES: [Role; 4] = [Role::Viewer, Role::Responder, Role::Approver, Role::Admin];
/// How long a token may be good for, in days.
const DAYS: [u64; 4] = [1, 7, 30, 90];
/// How many tokens are shown.
const MOST: usize = 200;

pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/access", get(mine))
        .route("/access/tokens", post(mint))
        .route("/access/tokens/{id}/revoke", get(ask_revoke).post(revoke))
}

async fn mine(State(site): State<Arc<Site>>, caller: Caller) -> Result<Markup, Problem> {
    shown(&site, &caller, &Sent::default(), None, None).await
}

async fn shown(
    site: &Site,
    caller: &Caller,
    sent: &Sent,
    problem: Option<&Problem>,
    minted: Option<&SecretString>,
) -> Result<Markup, Problem> {
    let manages = caller.may(Permission::ManageTokens, Scope::NOTHING).is_ok();
    let query = DocumentQuery {
        parent: (!manages).then(|| caller.identity.name.clone()),
        limit: MOST,
        ..DocumentQuery::default()
    };
    let found = kept::list::<Token>(site.shelf(), query).await?;
    let content = html! {
        h1 { "Access" }
        @if let Some(problem) = problem { (told::notice(problem)) }
        @if let Some(token) = minted { (fresh(token)) }
        (who(caller))
        h2 { "Tokens" }
        @if found.is_empty() { p.empty { "There is none. A token lets a program do, in your name, what you allow it." } }
        ul.cards { @for one in &found { li { (card(one, manages, site.now())) } } }
        h2 { "Make a token" }
        (new_form(caller, manages, sent))
    };
    Ok(page(site, Some(caller), Here::Access, "Access", &content))
}

fn fresh(token: &SecretString) -> Markup {
    html! {
        div.notice.good role="status" {
            p { strong { "This is the token." } " It is shown now and never again; copy it to where it is used." }
            p { code.token { (token.expose_secret()) } }
        }
    }
}

fn who(caller: &Caller) -> Markup {
    let identity = &caller.identity;
    let how = match &identity.via {
        Via::Session { .. } => "signed in with this browser",
        Via::Token { .. } => "known by a token",
        Via::Loopback => "whoever reaches this machine: nobody signs in",
        Via::Chat | Via::Terminal => "known from elsewhere",
    };
    html! {
        p { "You are " strong { (identity.name) } ", " (how) "." }
        dl.facts {
            @if !identity.groups.is_empty() { dt { "Groups" } dd { (identity.groups.iter().map(String::as_str).collect::<Vec<_>>().join(", ")) } }
            dt { "You may be" }
            dd {
                @if identity.rights.0.is_empty() { "nothing yet: " code { "auth.roles" } " in runbook.yaml grants roles" }
                ul.plain { @for grant in &identity.rights.0 { li { (granted(grant)) } } }
            }
        }
    }
}

/// A grant in words: `approver in staging and production, for all runbooks`.
fn granted(grant: &Grant) -> Markup {
    let named = |patterns: &[Pattern]| {
        let names: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        (!names.iter().any(|name| name == "*")).then(|| names.join(" and "))
    };
    html! {
        strong { (grant.role) }
        @match named(&grant.environments) { Some(names) => { " in " code { (names) } }, None => " in all environments" }
        @match named(&grant.runbooks) { Some(names) => { ", for " code { (names) } }, None => ", for all runbooks" }
    }
}

fn card(found: &Found<Token>, manages: bool, now: Timestamp) -> Markup {
    let record = &found.value.0;
    let (tone, state) = match record.revoked_at {
        Some(_) => (Tone::Calm, "■ revoked"),
        None if record.expires_at <= now => (Tone::Calm, "– expired"),
        None => (Tone::Good, "✓ good"),
    };
    html! {
        div.card {
            span.title { (record.name) }
            span.pills { (mark(tone, state)) code { (record.id) } }
            @for grant in &record.rights.0 { span { (granted(grant)) } }
            span.quiet {
                @if manages { (record.owner) " · " }
                "made " (moment(record.created_at, now)) " · expires " (moment(record.expires_at, now)) " · "
                @match record.last_used_at { Some(at) => { "used " (moment(at, now)) }, None => "never used" }
            }
            @if tone == Tone::Good { a.button.danger href={ "/access/tokens/" (found.id) "/revoke" } { "Revoke…" } }
        }
    }
}

fn new_form(caller: &Caller, manages: bool, sent: &Sent) -> Markup {
    let highest = caller.identity.rights.0.iter().map(|grant| grant.role).max();
    html! {
        form method="post" action="/access/tokens" {
            (forms::csrf(caller))
            (text_field("name", "What it is for", sent.shown("name"), "", true))
            div.field {
                label for="role" { "Role" }
                select id="role" name="role" {
                    @for role in ROLES.into_iter().filter(|role| Some(*role) <= highest) {
                        option value=(role) selected[sent.shown("role") == role.to_string()] { (role) }
                    }
                }
            }
            (text_field("environments", "Environments", sent.shown("environments"), "* for all, else names between commas", false))
            (text_field("runbooks", "Runbooks", sent.shown("runbooks"), "* for all, else names between commas", false))
            div.field {
                label for="days" { "Good for" }
                select id="days" name="days" {
                    @for days in DAYS { option value=(days) selected[days == 30] { (words::count(usize::try_from(days).unwrap_or(0), "day")) } }
                }
            }
            @if manages { (text_field("service", "For a service, not for you", sent.shown("service"), "the NAME of a token:NAME in auth.roles; empty for yourself", false)) }
            p.buttons { button.good { "Make the token" } }
        }
    }
}

fn text_field(name: &str, label: &str, value: &str, about: &str, is_needed: bool) -> Markup {
    let id = format!("about-{name}");
    html! {
        div.field {
            label for=(name) { (label) @if is_needed { " " span.needed { "(needed)" } } }
            input type="text" id=(name) name=(name) value=(value) required[is_needed] maxlength="500" autocomplete="off"
                autocapitalize="off" spellcheck="false" aria-describedby=[(!about.is_empty()).then_some(&id)];
            @if !about.is_empty() { p.quiet id=(id) { (about) } }
        }
    }
}

async fn mint(State(site): State<Arc<Site>>, caller: Caller, sent: Sent) -> Result<Response, Problem> {
    let made = match asked(&sent, site.now()) {
        Ok(new) => api::access::make(&site, &caller, new).await,
        Err(problem) => Err(problem),
    };
    Ok(match made {
        Ok((_, token)) => shown(&site, &caller, &Sent::default(), None, Some(&token)).await?.into_response(),
        Err(problem) => {
            told::with_problem(shown(&site, &caller, &sent, Some(&problem), None).await?, &problem)
        }
    })
}

fn asked(sent: &Sent, now: Timestamp) -> Result<NewToken, Problem> {
    let role = sent.needed("role")?;
    let role = ROLES.into_iter().find(|one| one.to_string() == role);
    let role = role.ok_or_else(|| Problem::invalid("there is no such role"))?;
    let days = sent.needed("days")?.parse::<u64>().ok().filter(|days| DAYS.contains(days));
    let days = days.ok_or_else(|| Problem::invalid("a token is good for 1, 7, 30 or 90 days"))?;
    let grant =
        Grant { role, environments: patterns(sent, "environments")?, runbooks: patterns(sent, "runbooks")? };
    Ok(NewToken {
        name: sent.needed("name")?,
        service: sent.text("service"),
        rights: Rights(vec![grant]),
        expires_at: Duration::from_secs(days * 24 * 3600).after(now),
    })
}

fn patterns(sent: &Sent, name: &str) -> Result<Vec<Pattern>, Problem> {
    let text = sent.text(name).unwrap_or_else(|| "*".to_owned());
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    words.map(|word| word.parse::<Pattern>().map_err(|error| Problem::invalid(error.to_string()))).collect()
}

async fn ask_revoke(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Markup, Problem> {
    let found = api::access::own(&site, &caller, &id).await?;
    let content = html! {
        h1 { "Revoke the token “" (found.value.0.name) "”?" }
        p { "Whatever uses it is refused from then on. It cannot be taken back." }
        form method="post" action={ "/access/tokens/" (id) "/revoke" } {
            (forms::csrf(&caller))
            p.buttons { button.danger { "Revoke it" } a.button href="/access" { "Keep it" } }
        }
    };
    Ok(page(&site, Some(&caller), Here::Access, "Revoke a token", &content))
}

async fn revoke(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    _sent: Sent,
) -> Result<Redirect, Problem> {
    api::access::end(&site, &caller, &id).await?;
    Ok(Redirect::to("/access"))
}

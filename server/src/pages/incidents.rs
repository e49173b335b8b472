//! Incidents: the list, one with its timeline, and what people say to it.

mod feed;
mod forms;
mod one;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use maud::{Markup, html};
use runbook_core::{
    Timestamp,
    incident::{State as Phase, Summary},
};
use runbook_identity::{Permission, Scope};
use serde::Deserialize;

use super::{
    layout::{Here, page},
    runs::choice,
    words::{self, Tone, mark, moment, pill, took},
};
use crate::{
    api::{self, page::Asked},
    gate::Caller,
    problem::Problem,
    site::Site,
};

/// How many are on one page.
const EACH: usize = 30;

pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/incidents", get(list))
        .route("/incidents/declare", get(forms::ask_declare).post(forms::declare))
        .route("/incidents/{id}", get(one::one))
        .route("/incidents/{id}/acknowledge", post(forms::acknowledge))
        .route("/incidents/{id}/note", post(forms::note))
        .route("/incidents/{id}/severity", post(forms::severity))
        .route("/incidents/{id}/state", post(forms::state))
        .route("/incidents/{id}/role", post(forms::role))
        .route("/incidents/{id}/relate", post(forms::relate))
        .route("/incidents/{id}/resolve", post(forms::resolve))
        .route("/incidents/{id}/reopen", post(forms::reopen))
}

/// Those that are open and that the caller sees, the newest first.
pub async fn open(site: &Site, caller: &Caller) -> Result<Vec<Summary>, Problem> {
    let (found, _) = feed::list(site, Some("open"), None, EACH).await?;
    Ok(found.into_iter().filter(|one| api::incidents::sees(caller, one.environment.as_deref())).collect())
}

#[derive(Debug, Default, Deserialize)]
struct Filter {
    #[serde(default)]
    state: String,
    after: Option<String>,
}

async fn list(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Asked(filter): Asked<Filter>,
) -> Result<Markup, Problem> {
    let state = (!filter.state.is_empty()).then_some(filter.state.as_str());
    let (found, next) = feed::list(&site, state, filter.after.as_deref(), EACH).await?;
    let seen: Vec<Summary> =
        found.into_iter().filter(|one| api::incidents::sees(&caller, one.environment.as_deref())).collect();
    let states = ["open", "resolved", "merged"].map(str::to_owned);
    let nothing = html! {
        @if state.is_none() { "There was no incident so far. Alerts open them; so does anybody who declares one." }
        @else { "No incident is like that. " a href="/incidents" { "Show all incidents" } "." }
    };
    let content = html! {
        div.heading {
            h1 { "Incidents" }
            @if caller.may(Permission::Declare, Scope::NOTHING).is_ok() { a.button href="/incidents/declare" { "Declare one" } }
        }
        form.filters method="get" action="/incidents" { (choice("state", "State", &states, &filter.state)) button { "Show" } }
        div id="list" data-live { (cards(&seen, site.now(), &nothing)) }
        @if let Some(next) = next { p.paging { a.button href={ "/incidents?state=" (filter.state) "&after=" (next) } { "Older incidents" } } }
    };
    Ok(page(&site, Some(&caller), Here::Incidents, "Incidents", &content))
}

/// Incidents, one below the other; `nothing` where there is none.
pub fn cards(found: &[Summary], now: Timestamp, nothing: &Markup) -> Markup {
    html! {
        @if found.is_empty() { p.empty { (nothing) } }
        @else { ul.cards { @for one in found { li id=(one.id) { (card(one, now)) } } } }
    }
}

fn card(one: &Summary, now: Timestamp) -> Markup {
    let is_open = !matches!(one.state, Phase::Resolved | Phase::Merged);
    html! {
        a.card href={ "/incidents/" (one.id) } {
            span.title { span.number { (one.id) } " " (one.title) }
            span.pills {
                (words::severity(&one.severity))
                (pill(one.state.word()))
                @if is_open && one.acknowledged_by.is_none() { (mark(Tone::Bad, "! nobody has it")) }
            }
            span.quiet {
                @if let Some(environment) = &one.environment { (environment) " · " }
                @if let Some(service) = &one.service { (service) " · " }
                (moment(one.opened_at, now))
                @if let Some(resolved) = one.resolved_at { " · lasted " (took(one.opened_at, resolved)) }
                @if one.alerts_firing > 0 { " · " (words::count(one.alerts_firing, "alert")) }
                @if one.runs_active > 0 { " · " (words::count(one.runs_active, "run")) " at work" }
                @if let Some(who) = one.commander.as_ref().or(one.acknowledged_by.as_ref()) { " · " (who) }
            }
        }
    }
}

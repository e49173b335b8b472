//! Alerts, what they started, and why they started nothing.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Router, extract::State, routing::get};
use maud::{Markup, html};
use runbook_core::Timestamp;
use runbook_desk::kept::{self, Found, KeptAlert};
use runbook_journal::DocumentQuery;
use serde::Deserialize;

use super::{
    layout::{Here, page},
    runbooks::link,
    runs::choice,
    words::{self, clock, moment, pill},
};
use crate::{
    api::{
        self,
        page::{Asked, Paging, Path, cursor},
    },
    gate::Caller,
    problem::Problem,
    site::Site,
};

/// How many are on one page.
const EACH: usize = 30;

pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/alerts", get(list)).route("/alerts/{id}", get(one))
}

#[derive(Debug, Default, Deserialize)]
struct Filter {
    #[serde(default)]
    status: String,
    after: Option<String>,
}

async fn list(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Asked(filter): Asked<Filter>,
) -> Result<Markup, Problem> {
    let query = DocumentQuery {
        state: (!filter.status.is_empty()).then(|| filter.status.clone()),
        after: Paging { limit: None, after: filter.after }.place()?,
        limit: EACH,
        ..DocumentQuery::default()
    };
    let found = kept::list::<KeptAlert>(site.shelf(), query).await?;
    let next =
        found.last().filter(|_| found.len() == EACH).map(|last| cursor((last.value.first_at, &last.id)));
    let seen: Vec<_> = found.into_iter().filter(|found| api::alerts::sees(&caller, &found.value)).collect();
    let states = ["firing", "resolved"].map(str::to_owned);
    let content = html! {
        h1 { "Alerts" }
        form.filters method="get" action="/alerts" { (choice("status", "State", &states, &filter.status)) button { "Show" } }
        div id="list" data-live {
            @if !seen.is_empty() { (list_of(&seen, site.now())) }
            @else if filter.status.is_empty() { p.empty { "No alert has come yet. Detectors post to " code { "/hooks/NAME" } "; " code { "hooks" } " in runbook.yaml names the doors." } }
            @else { p.empty { "No alert is like that. " a href="/alerts" { "Show all alerts" } "." } }
        }
        @if let Some(next) = next { p.paging { a.button href={ "/alerts?status=" (filter.status) "&after=" (next) } { "Older alerts" } } }
    };
    Ok(page(&site, Some(&caller), Here::Alerts, "Alerts", &content))
}

/// Alerts, one below the other.
pub fn list_of(found: &[Found<KeptAlert>], now: Timestamp) -> Markup {
    html! { ul.cards { @for one in found { li id=(one.id) { (card(one, now)) } } } }
}

fn card(found: &Found<KeptAlert>, now: Timestamp) -> Markup {
    let KeptAlert { alert, environment, first_at, repeats, .. } = &found.value;
    html! {
        a.card href={ "/alerts/" (found.id) } {
            span.title { (title(&found.value)) }
            span.pills {
                (pill(status(&found.value)))
                @if let Some(severity) = &alert.severity { (words::severity(severity)) }
            }
            @if let Some(last) = found.value.came_of_it() { span { (last) } }
            span.quiet {
                (environment)
                @if let Some(service) = &alert.service { " · " (service) }
                " · " (moment(*first_at, now))
                @if *repeats > 0 { " · told " (repeats + 1) " times" }
            }
        }
    }
}

fn title(kept: &KeptAlert) -> &str {
    if kept.alert.title.is_empty() { &kept.alert.name } else { &kept.alert.title }
}

fn status(kept: &KeptAlert) -> &'static str {
    if kept.is_firing() { "firing" } else { "resolved" }
}

async fn one(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Markup, Problem> {
    let found = kept::find::<KeptAlert>(site.shelf(), &id).await?;
    let found = found
        .filter(|found| api::alerts::sees(&caller, &found.value))
        .ok_or_else(|| Problem::missing("alert", &id))?;
    let kept = &found.value;
    let content = html! {
        div id="alert" data-live {
            h1 { (title(kept)) }
            (facts(kept, site.now()))
            h2 { "What came of it" }
            (outcomes(kept, site.now()))
        }
        (pairs("Labels", &kept.alert.labels))
        (pairs("Annotations", &kept.alert.annotations))
        @if !kept.alert.metrics.is_null() {
            h2 { "Measured" }
            pre tabindex="0" { (format!("{:#}", kept.alert.metrics)) }
        }
    };
    Ok(page(&site, Some(&caller), Here::Alerts, title(kept), &content))
}

fn facts(kept: &KeptAlert, now: Timestamp) -> Markup {
    let KeptAlert { hook, environment, alert, first_at, last_at, repeats, incident, .. } = kept;
    html! {
        p.pills role="status" {
            (pill(status(kept)))
            @if let Some(severity) = &alert.severity { (words::severity(severity)) }
        }
        @if let Some(description) = &alert.description { p { (description) } }
        dl.facts {
            dt { "Name" } dd { code { (alert.name) } }
            dt { "Environment" } dd { strong { (environment) } }
            @if let Some(service) = &alert.service { dt { "Service" } dd { (service) } }
            dt { "Came through" } dd { code { "/hooks/" (hook) } }
            dt { "Since" } dd { (moment(alert.starts_at, now)) }
            @if let Some(ended) = alert.ends_at { dt { "Over" } dd { (moment(ended, now)) } }
            dt { "First told" } dd { (moment(*first_at, now)) }
            @if *repeats > 0 { dt { "Told again" } dd { (words::count(usize::try_from(*repeats).unwrap_or(usize::MAX), "time")) ", last " (moment(*last_at, now)) } }
            @if let Some(incident) = incident { dt { "Incident" } dd { a href={ "/incidents/" (incident) } { (incident) } } }
            @if let Some(url) = &alert.url { dt { "Look at it" } dd { (link(url)) } }
        }
    }
}

fn outcomes(kept: &KeptAlert, now: Timestamp) -> Markup {
    html! {
        @if kept.outcomes.is_empty() { p.empty { "It has not been worked on yet; this takes a moment." } }
        ol.log {
            @for outcome in kept.outcomes.iter().rev() {
                li {
                    (clock(outcome.at, now)) " "
                    span { (outcome) }
                    @if let Some(run) = &outcome.started { " " a href={ "/runs/" (run) } { "Open the run" } }
                    @if let (Some(name), None) = (&outcome.runbook, &outcome.started) { " " a href={ "/runbooks/" (name) } { "Open the runbook" } }
                }
            }
        }
    }
}

fn pairs(title: &str, pairs: &BTreeMap<String, String>) -> Markup {
    html! {
        @if !pairs.is_empty() {
            h2 { (title) }
            dl.facts { @for (name, value) in pairs { dt { (name) } dd { (value) } } }
        }
    }
}

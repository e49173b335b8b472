//! The list of runs.

use std::sync::Arc;

use axum::{Router, extract::State, routing::get};
use maud::{Markup, html};
use runbook_core::Timestamp;
use runbook_journal::{RunHead, RunQuery};
use serde::Deserialize;

use super::{
    layout::{Here, page},
    words::{Tone, mark, moment, pill, took},
};
use crate::{
    api::{self, page::Asked},
    gate::Caller,
    problem::Problem,
    site::Site,
};

/// How many are on one page.
const EACH: usize = 30;
/// What runs can be filtered by.
const STATES: [&str; 8] =
    ["running", "waiting", "succeeded", "failed", "undone", "stuck", "cancelled", "superseded"];

pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/runs", get(list))
}

/// Which runs; a field that is left empty asks for all.
#[derive(Debug, Default, Deserialize)]
struct Filter {
    #[serde(default)]
    runbook: String,
    #[serde(default)]
    environment: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    after: String,
}

impl Filter {
    fn is_any(&self) -> bool {
        !(self.runbook.is_empty() && self.environment.is_empty() && self.status.is_empty())
    }

    /// The address of the page that comes after a run.
    fn next(&self, after: &str) -> String {
        let pairs = [
            ("runbook", self.runbook.as_str()),
            ("environment", &self.environment),
            ("status", &self.status),
            ("after", after),
        ];
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()))
            .finish();
        format!("/runs?{query}")
    }
}

async fn list(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Asked(filter): Asked<Filter>,
) -> Result<Markup, Problem> {
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    let query = RunQuery {
        runbook: given(&filter.runbook),
        environment: given(&filter.environment),
        status: given(&filter.status),
        before: given(&filter.after).map(|id| api::runs::parse(&id)).transpose()?,
        limit: EACH,
        ..RunQuery::default()
    };
    let heads = site.records.runs(&query).await?;
    let next = heads.last().filter(|_| heads.len() == EACH).map(|last| last.run.to_string());
    let seen: Vec<RunHead> = heads
        .into_iter()
        .filter(|head| caller.sees(&head.summary.environment, &head.summary.runbook))
        .collect();
    let content = html! {
        h1 { "Runs" }
        (filters(&site, &filter))
        div id="list" data-live { (found(&seen, &filter, site.now())) }
        @if let Some(next) = next { p.paging { a.button href=(filter.next(&next)) { "Older runs" } } }
    };
    Ok(page(&site, Some(&caller), Here::Runs, "Runs", &content))
}

fn filters(site: &Site, filter: &Filter) -> Markup {
    let environments: Vec<String> = site.project.environments().into_iter().map(|facts| facts.name).collect();
    let runbooks: Vec<String> = site.project.catalog().into_keys().collect();
    let states: Vec<String> = STATES.map(str::to_owned).into();
    html! {
        form.filters method="get" action="/runs" {
            (choice("status", "State", &states, &filter.status))
            (choice("runbook", "Runbook", &runbooks, &filter.runbook))
            (choice("environment", "Environment", &environments, &filter.environment))
            button { "Show" }
        }
    }
}

/// A field that asks for one of some words, or for all.
pub fn choice(name: &str, label: &str, words: &[String], chosen: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                option value="" { "All" }
                @for word in words { option value=(word) selected[word == chosen] { (word) } }
            }
        }
    }
}

fn found(seen: &[RunHead], filter: &Filter, now: Timestamp) -> Markup {
    html! {
        @if !seen.is_empty() { (list_of(seen, now)) }
        @else if filter.is_any() { p.empty { "No run is like that. " a href="/runs" { "Show all runs" } "." } }
        @else { p.empty { "Nothing has run yet. " a href="/runbooks" { "Choose a runbook" } " and see what it would do." } }
    }
}

/// Runs, one below the other.
pub fn list_of(heads: &[RunHead], now: Timestamp) -> Markup {
    html! {
        ul.cards {
            @for head in heads {
                li id={ "run-" (head.run) } { (card(head, now)) }
            }
        }
    }
}

fn card(head: &RunHead, now: Timestamp) -> Markup {
    let summary = &head.summary;
    html! {
        a.card href={ "/runs/" (head.run) } {
            span.title { (summary.runbook) }
            span.pills {
                (pill(&summary.status))
                @if summary.recovered == Some(true) { (mark(Tone::Good, "✓ recovered")) }
                @if summary.recovered == Some(false) { (mark(Tone::Bad, "✕ not recovered")) }
                @if summary.simulated { (mark(Tone::Asks, "simulated")) }
            }
            span.quiet {
                (summary.environment) " · " (summary.requested_by) " · " (moment(summary.started_at, now))
                " · " (took(summary.started_at, summary.ended_at.unwrap_or(now)))
            }
        }
    }
}

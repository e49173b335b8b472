//! One run: where it stands, its graph, its steps with their logs, what happened.

use std::sync::Arc;

use axum::{Router, extract::State, response::Redirect, routing::get};
use maud::{Markup, html};
use runbook_core::{
    Timestamp,
    event::Event,
    run::{Node, Run},
    secret,
    timeline::{self, Entry},
};
use runbook_desk::kept::{self, Started};
use runbook_identity::{Permission, Scope};
use serde::Deserialize;

use super::{
    approvals, forms, graph,
    layout::{Here, page},
    steps,
    words::{Tone, mark, moment, pill, took},
};
use crate::{
    api::{
        self,
        page::{Asked, Path},
    },
    gate::Caller,
    problem::Problem,
    site::Site,
};

/// How many entries of the timeline are on one page.
const EACH: usize = 100;
/// How many of its questions are shown.
const MOST_ASKED: usize = 20;

pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/runs/{run}", get(one)).route("/runs/{run}/steps/{step}", get(step))
}

#[derive(Debug, Default, Deserialize)]
struct Which {
    /// The part of the timeline before this entry.
    before: Option<u64>,
}

async fn one(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(which): Asked<Which>,
) -> Result<Markup, Problem> {
    let run = Arc::new(api::runs::load(&site, &caller, &id).await?);
    let history = site.records.history(run.id).await?;
    let alert = kept::find::<Started>(site.shelf(), &id).await?.and_then(|found| found.value.alert);
    let now = site.now();
    let title = title(&run);
    let content = html! {
        (simulated(&run))
        div id="head" data-live {
            h1 { (title) }
            (standing(&run))
            (asks(&site, &caller, &run))
            (facts(&run, alert.as_deref(), now))
            (buttons(&caller, &run))
            (again(&caller, &run))
        }
        section id="graph" data-live aria-labelledby="graph-title" {
            h2 id="graph-title" { "Graph" }
            (drawn(&run))
        }
        section id="steps" data-live aria-labelledby="steps-title" {
            h2 id="steps-title" { "Steps" }
            (steps::list(&run, &history, now))
        }
        section id="timeline" data-live aria-labelledby="timeline-title" {
            h2 id="timeline-title" { "Timeline" }
            (told(&run, &history, which.before, now))
        }
    };
    Ok(page(&site, Some(&caller), Here::Runs, &format!("{}: {title}", run.status()), &content))
}

/// Where messages lead: to the question of a step while it is asked, else to the step.
async fn step(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path((id, step)): Path<(String, String)>,
) -> Result<Redirect, Problem> {
    let run = api::runs::load(&site, &caller, &id).await?;
    let asked = run.questions().find(|(node, _)| node.path == step);
    Ok(match asked {
        Some((node, question)) => Redirect::to(&approvals::address(&run, node, &question)),
        None if run.node(&step).is_some() => {
            let step: String = url::form_urlencoded::byte_serialize(step.as_bytes()).collect();
            Redirect::to(&format!("/runs/{id}#step-{step}"))
        }
        None => return Err(Problem::missing("step", &step)),
    })
}

/// What people call a run.
pub fn title(run: &Run) -> String {
    let runbook = &run.created.runbook;
    runbook.title.clone().unwrap_or_else(|| runbook.name.clone())
}

/// Says of everything simulated that it is, before anything else.
pub fn simulated(run: &Run) -> Markup {
    html! {
        @if let Some(scenario) = &run.created.simulated {
            div.notice.simulated role="note" {
                p { strong { "Simulated." } " This is the scenario " code { (scenario) } ", not the real world: nothing here touches production." }
            }
        }
    }
}

/// The graph of a run, as it stands.
pub fn drawn(run: &Run) -> Markup {
    let all = steps::of(run);
    let word = |node: &Node| {
        let found = all.iter().find(|step| step.node.path == node.path);
        found.map_or_else(String::new, |step| step.word().to_owned())
    };
    graph::of_run(run, &word)
}

/// Where it stands, in a line.
fn standing(run: &Run) -> Markup {
    html! {
        p.pills role="status" {
            (pill(run.status()))
            @match run.recovered() {
                Some(true) => (mark(Tone::Good, "✓ recovered")),
                Some(false) => (mark(Tone::Bad, "✕ not recovered")),
                None => {},
            }
            @if run.escalated { (mark(Tone::Bad, "! escalated")) }
            @if run.created.simulated.is_some() { (mark(Tone::Asks, "simulated")) }
            @if let Some(reason) = run.ended.as_ref().and_then(|ended| ended.reason.as_ref()) { span { (secret::mask_text(reason)) } }
        }
    }
}

fn facts(run: &Run, alert: Option<&str>, now: Timestamp) -> Markup {
    let created = &run.created;
    let inputs = secret::mask(&created.inputs);
    let ended_at = run.ended.as_ref().map(|ended| ended.at);
    html! {
        dl.facts {
            dt { "Runbook" } dd { a href={ "/runbooks/" (created.runbook.name) } { (created.runbook.name) } }
            dt { "Environment" } dd { strong { (created.environment) } }
            dt { "Asked for by" } dd { (run.requested_by.name) }
            dt { "Began" } dd { (moment(run.started_at, now)) (if ended_at.is_some() { ", took " } else { ", at work for " }) (took(run.started_at, ended_at.unwrap_or(now))) }
            @if let Some(reason) = &created.reason { dt { "Why" } dd { (secret::mask_text(reason)) } }
            @if let Some(incident) = &created.incident { dt { "Incident" } dd { a href={ "/incidents/" (incident) } { (incident) } } }
            @if let Some(alert) = alert { dt { "Alert" } dd { a href={ "/alerts/" (alert) } { (run.alert["title"].as_str().unwrap_or("the alert that started it")) } } }
            @for (name, value) in inputs.as_object().into_iter().flatten() {
                dt { (name) } dd { code { (runbook_core::change::brief(value)) } }
            }
        }
    }
}

/// What it asks people right now.
fn asks(site: &Site, caller: &Caller, run: &Arc<Run>) -> Markup {
    html! {
        @if run.questions().next().is_some() {
            (approvals::cards(site, caller, std::slice::from_ref(run), MOST_ASKED))
        }
    }
}

fn buttons(caller: &Caller, run: &Run) -> Markup {
    let scope = Scope::of(&run.created.environment, &run.created.runbook.name);
    let (permission, offered): (_, &[(&str, &str)]) = match &run.ended {
        None if run.cancel.is_some() => return html! { p.quiet { "It is being cancelled." } },
        None => (Permission::Cancel, &[("cancel", "Cancel…"), ("cancel?undo=yes", "Cancel and undo…")]),
        Some(_) if run.applied.is_empty() || run.undo_requested_by.is_some() => return html! {},
        Some(_) => (Permission::Undo, &[("undo", "Undo its changes…")]),
    };
    html! {
        p.buttons {
            @match caller.may(permission, scope) {
                Ok(()) => @for (place, label) in offered {
                    a.button.danger href={ "/runs/" (run.id) "/" (place) } { (label) }
                },
                Err(problem) => span.quiet { (problem.detail) },
            }
        }
    }
}

/// The way to start it once more, with what it was given; what is secret of that is asked for anew.
fn again(caller: &Caller, run: &Run) -> Markup {
    let created = &run.created;
    let scope = Scope::of(&created.environment, &created.runbook.name);
    if run.ended.is_none() || caller.may(Permission::DryRun, scope).is_err() {
        return html! {};
    }
    let masked = secret::mask(&created.inputs);
    let inputs = created.inputs.as_object().into_iter().flatten();
    let known = inputs.filter(|(name, value)| masked.get(name.as_str()) == Some(*value));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("environment", &created.environment);
    for (name, value) in known {
        query.append_pair(&forms::field_name(name), &forms::plain(value));
    }
    if let Some(incident) = &created.incident {
        query.append_pair("incident", incident);
    }
    let query = query.finish();
    html! {
        p.buttons { a.button href={ "/runbooks/" (created.runbook.name) "/start?" (query) } { "Start it again: dry-run first…" } }
    }
}

/// A part of the timeline, in its order: up to an entry, or to the last.
fn told(run: &Run, history: &[(Event, String)], before: Option<u64>, now: Timestamp) -> Markup {
    let end = history.partition_point(|(event, _)| before.is_none_or(|before| event.seq < before));
    let start = end.saturating_sub(EACH);
    let shown = timeline::entries(history.get(start..end).unwrap_or_default(), run.id);
    html! {
        @if let (Some(first), true) = (shown.first(), start > 0) {
            p { a href={ "/runs/" (run.id) "?before=" (first.seq) "#timeline-title" } { "Show the " (start) " earlier entries" } }
        }
        ol.log { @for entry in &shown { (entry_of(entry, now)) } }
        @if end < history.len() {
            p { a href={ "/runs/" (run.id) "#timeline-title" } { "Show the latest entries" } }
        }
    }
}

fn entry_of(entry: &Entry, now: Timestamp) -> Markup {
    match &entry.step {
        Some(step) => steps::placed(entry, Some((&format!("#step-{step}"), step)), now),
        None => steps::placed(entry, None, now),
    }
}

//! One incident: where it stands, who does what, what belongs to it, and one timeline of all.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};
use runbook_core::{
    Timestamp,
    alert::AlertStatus,
    change::brief,
    incident::{Incident, Role, State as Phase},
    run::{Run, end_word},
    timeline::Entry,
};
use runbook_desk::latest::{Part, Place};
use serde::Deserialize;

use super::{feed, forms};
use crate::{
    api,
    api::page::{Asked, Paging, Path, story_cursor},
    gate::Caller,
    pages::{
        approvals,
        forms::Sent,
        layout::{Here, page},
        runbooks::link,
        steps, told,
        words::{self, Tone, mark, moment, pill, took},
    },
    problem::Problem,
    site::Site,
};

/// How many entries of the timeline are on one page.
const EACH: usize = 100;
/// How many of the questions of its runs are shown.
const MOST_ASKED: usize = 10;

#[derive(Debug, Default, Deserialize)]
pub struct Which {
    /// The part of the timeline before this place of it.
    before: Option<String>,
}

pub async fn one(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(which): Asked<Which>,
) -> Result<Markup, Problem> {
    let before = Paging { limit: None, after: which.before }.story()?;
    shown(&site, &caller, &id, before, &Sent::default(), None).await
}

/// The page; `problem` is what was wrong with what was just `sent`.
pub async fn shown(
    site: &Site,
    caller: &Caller,
    id: &str,
    before: Option<Place>,
    sent: &Sent,
    problem: Option<&Problem>,
) -> Result<Markup, Problem> {
    let incident = api::incidents::load(site, caller, id).await?;
    let story = api::incidents::told(site, caller, &incident, before, EACH).await?;
    let asking = feed::asking(site, caller, &incident).await?;
    let about = About { incident: &incident, story: &story, before, asking: &asking };
    let content = whole(site, caller, &about, sent, problem);
    Ok(page(site, Some(caller), Here::Incidents, &format!("{} {}", incident.id, incident.title), &content))
}

/// What the page is about.
struct About<'i> {
    incident: &'i Incident,
    story: &'i Part,
    /// Where it ends, but for the end of the timeline.
    before: Option<Place>,
    /// Its runs that wait for people.
    asking: &'i [Arc<Run>],
}

fn whole(site: &Site, caller: &Caller, about: &About<'_>, sent: &Sent, problem: Option<&Problem>) -> Markup {
    let About { incident, story, before, asking } = *about;
    let now = site.now();
    html! {
        div id="head" data-live data-from={ "/incidents/" (incident.id) @if let Some(before) = before { "?before=" (story_cursor(before)) } } {
            p.over { (incident.id) }
            h1 { (incident.title) }
            (header(incident, now))
        }
        @if let Some(problem) = problem { (told::notice(problem)) }
        div id="take" data-live { (forms::take(caller, incident)) }
        @if !asking.is_empty() {
            section id="asks" data-live aria-labelledby="asks-title" {
                h2 id="asks-title" { "Its runs ask" }
                (approvals::cards(site, caller, asking, MOST_ASKED))
            }
        }
        (forms::all(site, caller, incident, sent))
        div.pair {
            section id="runs" data-live aria-labelledby="runs-title" {
                h2 id="runs-title" { "Runs" }
                (runs(incident, now))
            }
            section id="alerts" data-live aria-labelledby="alerts-title" {
                h2 id="alerts-title" { "Alerts" }
                (alerts(incident, now))
            }
        }
        section aria-labelledby="timeline-title" {
            h2 id="timeline-title" { "Timeline" }
            (forms::note_form(caller, incident, sent))
            div id="timeline" data-live { (timeline(incident, story, before.is_none(), now)) }
        }
    }
}

fn header(incident: &Incident, now: Timestamp) -> Markup {
    html! {
        p.pills role="status" {
            (words::severity(&incident.severity))
            (pill(incident.state.word()))
            @match (&incident.acknowledged, incident.is_open()) {
                (Some(taken), _) => span { "taken on by " strong { (taken.by.name) } " " (moment(taken.at, now)) },
                (None, true) => (mark(Tone::Bad, "! nobody has taken it on")),
                (None, false) => {},
            }
        }
        @if let Some(resolution) = &incident.resolution {
            p {
                "Resolved by " strong { (resolution.by.name) } " " (moment(resolution.at, now)) ": "
                @match resolution.verified {
                    Some(true) => (mark(Tone::Good, "✓ recovery verified")),
                    Some(false) => (mark(Tone::Bad, "✕ the steady state did not hold")),
                    None => (mark(Tone::Asks, "~ not verified")),
                }
                @if resolution.forced { " " (mark(Tone::Asks, "! forced")) }
                @if let Some(reason) = &resolution.reason { " " (reason) }
            }
        }
        @if let (Some(look), true) = (&incident.steady, incident.is_open()) {
            p {
                @match look.holds {
                    Some(true) => (mark(Tone::Good, "✓ the steady state holds")),
                    Some(false) => (mark(Tone::Bad, "✕ the steady state does not hold")),
                    None => (mark(Tone::Asks, "~ the steady state could not be read")),
                }
                ", seen by " strong { (look.by.name) } " " (moment(look.at, now))
            }
        }
        @if let (Some(called), true) = (incident.escalations.last(), incident.is_open()) {
            p.notice.asks {
                (called.runbook) " is not run again: " (called.why) ". "
                @if called.to.is_empty() { "A person is needed." } @else { "Called: " (called.to.join(", ")) "." }
            }
        }
        @if let Some(into) = incident.merged_into { p.notice { "It goes on as " a href={ "/incidents/" (into) } { (into) } "." } }
        @if let Some(description) = &incident.description { p { (description) } }
        dl.facts {
            @if let Some(environment) = &incident.environment { dt { "Environment" } dd { strong { (environment) } } }
            @if let Some(service) = &incident.service { dt { "Service" } dd { (service) } }
            @match incident.resolved_at() {
                Some(resolved) => { dt { "Opened" } dd { (moment(incident.opened_at, now)) ", lasted " (took(incident.opened_at, resolved)) } },
                None => { dt { "Open since" } dd { (moment(incident.opened_at, now)) } },
            }
            @for role in Role::ALL {
                @if !incident.holders(role).is_empty() { dt { (told::first_upper(&role.to_string())) } dd { (incident.holders(role).join(", ")) } }
            }
            @if !incident.links.is_empty() {
                dt { "Linked" } dd { @for other in &incident.links { a href={ "/incidents/" (other) } { (other) } " " } }
            }
        }
    }
}

fn runs(incident: &Incident, now: Timestamp) -> Markup {
    html! {
        @if incident.runs.is_empty() {
            p.empty { "No run so far. " @if incident.is_open() { a href="/runbooks" { "Choose a runbook" } " and see what it would do." } }
        }
        ul.cards {
            @for (id, run) in &incident.runs {
                li {
                    a.card href={ "/runs/" (id) } {
                        span.title { (run.runbook) }
                        span.pills {
                            (pill(run.status.map_or("running", end_word)))
                            @if run.recovered == Some(true) { (mark(Tone::Good, "✓ recovered")) }
                            @if run.recovered == Some(false) { (mark(Tone::Bad, "✕ not recovered")) }
                        }
                        span.quiet { (run.environment) " · " (moment(run.started_at, now)) " · " (took(run.started_at, run.ended_at.unwrap_or(now))) }
                    }
                }
            }
        }
    }
}

fn alerts(incident: &Incident, now: Timestamp) -> Markup {
    html! {
        @if incident.alerts.is_empty() { p.empty { "No alert belongs to it: somebody declared it." } }
        ul.cards {
            @for (id, alert) in &incident.alerts {
                li {
                    div.card {
                        a.title href={ "/alerts/" (id) } { (if alert.title.is_empty() { &alert.name } else { &alert.title }) }
                        span.pills {
                            (pill(if alert.status == AlertStatus::Firing { "firing" } else { "resolved" }))
                            @if let Some(severity) = &alert.severity { (words::severity(severity)) }
                        }
                        span.quiet { (alert.name) " · since " (moment(alert.starts_at, now)) }
                        @if let Some(url) = &alert.url { span.quiet { (link(url)) } }
                        @for held in incident.held_back.iter().filter(|held| held.alert == *id) {
                            span { @match &held.runbook { Some(name) => { "Did not start " (name) ": " }, None => "Started nothing: " } (held.why) }
                        }
                    }
                }
            }
        }
    }
}

/// All of it in one order, the newest first: that is what is looked for at night.
fn timeline(incident: &Incident, story: &Part, is_latest: bool, now: Timestamp) -> Markup {
    let address = format!("/incidents/{}", incident.id);
    html! {
        @if !is_latest { p { a href={ (address) "#timeline-title" } { "Show the latest entries" } } }
        ol.log {
            @for entry in &story.entries { (line(entry, now)) }
        }
        @if let Some(next) = story.next {
            p { a href={ (address) "?before=" (story_cursor(next)) "#timeline-title" } { "Show earlier entries" } }
        }
    }
}

fn line(entry: &Entry, now: Timestamp) -> Markup {
    match (&entry.run, &entry.step) {
        (Some(run), Some(step)) => {
            steps::placed(entry, Some((&format!("/runs/{run}#step-{step}"), step)), now)
        }
        (Some(run), None) => steps::placed(entry, Some((&format!("/runs/{run}"), "run")), now),
        (None, _) => steps::placed(entry, None, now),
    }
}

/// What an incident is called where one is asked about it.
pub fn name(incident: &Incident) -> String {
    format!("{} {}", incident.id, brief(&incident.title.as_str().into()))
}

/// The states that people set.
pub const OPEN: [Phase; 3] = [Phase::Investigating, Phase::Identified, Phase::Monitoring];

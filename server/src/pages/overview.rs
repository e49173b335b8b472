//! The first page: what waits for whoever looks, what is open, what is at work.

use std::sync::Arc;

use axum::{Router, extract::State, routing::get};
use maud::{Markup, html};
use runbook_core::run::Run;
use runbook_desk::kept::{self, Found, KeptAlert};
use runbook_identity::{Permission, Scope};
use runbook_journal::{DocumentQuery, RunHead, RunQuery};

use super::{
    alerts, approvals, incidents,
    layout::{Here, page},
    runs,
};
use crate::{api, gate::Caller, problem::Problem, site::Site};

/// How many of each are shown; the lists have the others.
const MOST: usize = 10;

pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/", get(overview))
}

async fn overview(State(site): State<Arc<Site>>, caller: Caller) -> Result<Markup, Problem> {
    let asking = api::approvals::open(&site, &caller).await?;
    let working = at_work(&site, &caller).await?;
    let alerts = started_nothing(&site, &caller).await?;
    let incidents = incidents::open(&site, &caller).await?;
    let content = html! {
        h1 { "Overview" }
        section id="asks" data-live aria-labelledby="asks-title" {
            h2 id="asks-title" { "Waits for you" }
            (approvals::cards(&site, &caller, &asking, MOST))
        }
        section id="incidents" data-live aria-labelledby="incidents-title" {
            div.heading {
                h2 id="incidents-title" { "Open incidents" }
                @if caller.may(Permission::Declare, Scope::NOTHING).is_ok() { a.button href="/incidents/declare" { "Declare one" } }
            }
            (incidents::cards(&incidents, site.now(), &html! { "No incident is open. Alerts open them; so does anybody who declares one." }))
        }
        section id="working" data-live aria-labelledby="working-title" {
            h2 id="working-title" { "Runs at work" }
            (at_work_list(&site, &working, &asking))
        }
        section id="alerts" data-live aria-labelledby="alerts-title" {
            h2 id="alerts-title" { "Alerts that started nothing" }
            @if alerts.is_empty() { p.empty { "None of the latest alerts was left without a run." } }
            @else { (alerts::list_of(&alerts, site.now())) }
        }
    };
    Ok(page(&site, Some(&caller), Here::Overview, "Overview", &content))
}

fn at_work_list(site: &Site, working: &[RunHead], asking: &[Arc<Run>]) -> Markup {
    html! {
        @if !working.is_empty() { (runs::list_of(working, site.now())) }
        @else if !asking.is_empty() { p.empty { "Nothing is at work: all runs wait for people." } }
        @else { p.empty { "Nothing is at work. " a href="/runbooks" { "Start a runbook" } ", dry-run first." } }
    }
}

async fn at_work(site: &Site, caller: &Caller) -> Result<Vec<RunHead>, Problem> {
    let query = RunQuery { status: Some("running".to_owned()), limit: 100, ..RunQuery::default() };
    let heads = site.records.runs(&query).await?;
    let seen = heads.into_iter().filter(|head| caller.sees(&head.summary.environment, &head.summary.runbook));
    Ok(seen.take(MOST).collect())
}

/// Alerts that fire and for which no run was begun; a repeat of one that had a run is none.
async fn started_nothing(site: &Site, caller: &Caller) -> Result<Vec<Found<KeptAlert>>, Problem> {
    let query = DocumentQuery { state: Some("firing".to_owned()), limit: 100, ..DocumentQuery::default() };
    let found = kept::list::<KeptAlert>(site.shelf(), query).await?;
    let left = found.into_iter().filter(|found| {
        api::alerts::sees(caller, &found.value)
            && found.value.outcomes.iter().all(|outcome| outcome.started.is_none())
    });
    Ok(left.take(MOST).collect())
}

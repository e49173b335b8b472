//! Starting a runbook: fill in, look at the plan of a dry-run, and only then for real.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use runbook_core::run::Run;
use runbook_identity::{Permission, Scope};

use super::{
    forms::{self, Sent},
    layout::{Here, page},
    run, runbooks, steps, told,
    words::{Tone, mark},
};
use crate::{
    RunbookFacts,
    api::{
        self,
        page::{Asked, Path},
        runs::NewRun,
    },
    gate::Caller,
    problem::Problem,
    site::Site,
};

pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/runbooks/{name}/start", get(ask).post(start))
        .route("/runbooks/{name}/plan", post(plan))
}

async fn ask(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(name): Path<String>,
    Asked(given): Asked<Vec<(String, String)>>,
) -> Result<Markup, Problem> {
    let facts = runbooks::load(&site, &caller, &name)?;
    form_page(&site, &caller, &facts, &Sent::of(given), None)
}

fn form_page(
    site: &Site,
    caller: &Caller,
    facts: &RunbookFacts,
    sent: &Sent,
    problem: Option<&Problem>,
) -> Result<Markup, Problem> {
    let runbook = &facts.runbook;
    let title = runbook.title.as_deref().unwrap_or(&runbook.name);
    let environments = runbooks::allowed(site, caller, Permission::DryRun, &runbook.name);
    if environments.is_empty() {
        return Err(Problem::forbidden(format!("you may not dry-run {} in any environment", runbook.name))
            .hint("it takes the role responder"));
    }
    let content = html! {
        h1 { "Start “" (title) "”" }
        @if let Some(problem) = problem { (told::notice(problem)) }
        p { "First a dry-run: it reads, shows what would be done, and changes nothing." }
        form method="post" action={ "/runbooks/" (runbook.name) "/plan" } {
            (forms::csrf(caller))
            (runbooks::environment_field(&environments, sent.text("environment").as_deref()))
            (runbooks::input_fields(runbook, sent))
            div.field {
                label for="reason" { "Why, for the timeline" }
                textarea id="reason" name="reason" rows="2" maxlength="2000" { (sent.shown("reason")) }
            }
            (incident_field(sent))
            p.buttons { button.good.large { "Show what it would do" } }
        }
        @if problem.is_some() { (without_plan(site, caller, facts, sent)) }
    };
    Ok(page(site, Some(caller), Here::Runbooks, &format!("Start {title}"), &content))
}

fn incident_field(sent: &Sent) -> Markup {
    html! {
        div.field {
            label for="incident" { "Incident, if it is for one" }
            input type="text" id="incident" name="incident" value=(sent.shown("incident")) autocapitalize="characters"
                spellcheck="false" placeholder="INC-42" maxlength="100";
        }
    }
}

/// A dry-run that cannot be made must not keep anybody from acting in an emergency.
fn without_plan(site: &Site, caller: &Caller, facts: &RunbookFacts, sent: &Sent) -> Markup {
    html! {
        @if let Some(environment) = sent.text("environment") {
            details.more {
                summary { "Run it without having seen a plan…" }
                p { "Every change is still planned, checked and, where it is asked for, approved before it is made." }
                (real_form(site, caller, facts, &environment, sent, false))
            }
        }
    }
}

/// What is to begin, out of a form.
fn wanted(facts: &RunbookFacts, sent: &Sent, dry_run: bool) -> Result<NewRun, Problem> {
    Ok(NewRun {
        runbook: facts.runbook.name.clone(),
        environment: sent.text("environment"),
        inputs: forms::values(&facts.runbook.inputs, sent)?,
        dry_run,
        reason: sent.text("reason"),
        incident: sent.text("incident"),
    })
}

async fn plan(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Response, Problem> {
    let facts = runbooks::load(&site, &caller, &name)?;
    match foreseen(&site, &caller, &facts, &sent).await {
        Ok((run, writes)) => Ok(plan_page(&site, &caller, &facts, &sent, &run, writes).into_response()),
        Err(problem) => {
            let page = form_page(&site, &caller, &facts, &sent, Some(&problem))?;
            Ok(told::with_problem(page, &problem))
        }
    }
}

async fn foreseen(
    site: &Site,
    caller: &Caller,
    facts: &RunbookFacts,
    sent: &Sent,
) -> Result<(Run, u64), Problem> {
    let new = wanted(facts, sent, true)?;
    let environment = site.environment(new.environment.as_deref())?;
    caller.may(Permission::DryRun, Scope::of(&environment, &facts.runbook.name))?;
    let start = api::runs::sound(site, &environment, new)?;
    site.project
        .dry_run(&start, &caller.identity.name)
        .await
        .map_err(|why| Problem::unavailable(format!("the dry-run could not be made: {why}")))
}

fn plan_page(
    site: &Site,
    caller: &Caller,
    facts: &RunbookFacts,
    sent: &Sent,
    run: &Run,
    writes: u64,
) -> Markup {
    let created = &run.created;
    let all = steps::of(run);
    let changes = all.iter().filter(|step| step.node.change.is_some()).count();
    let gates = run.nodes().filter(|node| node.gate.is_some()).count();
    let fails = run.decisive_step();
    let content = html! {
        (run::simulated(run))
        h1 { "What “" (run::title(run)) "” would do" }
        p.pills {
            (mark(Tone::Busy, "dry-run")) " "
            span { "in " strong { (created.environment) } ", changing nothing: " (writes) " writes were sent." }
        }
        @if let Some(step) = fails {
            div.notice.bad role="alert" { p { strong { "It would fail" } " at " a href={ "#step-" (step.path) } { (step.path) } "." } }
        }
        p {
            (super::words::count(changes, "change")) ", " (super::words::count(gates, "approval")) ". "
            "It is what would happen now; what the world does meanwhile, it cannot know."
        }
        section aria-labelledby="real-title" {
            h2 id="real-title" { "Run it for real" }
            (real_form(site, caller, facts, &created.environment, sent, fails.is_none()))
        }
        section aria-labelledby="graph-title" { h2 id="graph-title" { "Graph" } (run::drawn(run)) }
        section aria-labelledby="plan-title" {
            h2 id="plan-title" { "The plan, step by step" }
            (steps::list(run, &[], site.now()))
        }
    };
    page(site, Some(caller), Here::Runbooks, "Dry-run", &content)
}

/// The same inputs once more, to be run.
fn real_form(
    site: &Site,
    caller: &Caller,
    facts: &RunbookFacts,
    environment: &str,
    sent: &Sent,
    looks_good: bool,
) -> Markup {
    let name = &facts.runbook.name;
    let simulated =
        site.project.environments().into_iter().any(|one| one.name == environment && one.simulated.is_some());
    html! {
        @match caller.may(Permission::Start, Scope::of(environment, name)) {
            Err(problem) => p.quiet { "You may look, not start: " (problem.detail) "." },
            Ok(()) => form method="post" action={ "/runbooks/" (name) "/start" } {
                (forms::csrf(caller))
                input type="hidden" name="environment" value=(environment);
                (forms::hidden(&facts.runbook.inputs, sent))
                @for field in ["reason", "incident"] { input type="hidden" name=(field) value=(sent.shown(field)); }
                p.buttons {
                    button.large.good[looks_good].danger[!looks_good] { "Run " (name) " in " (environment) @if simulated { " (simulated)" } }
                    button formaction={ "/runbooks/" (name) "/plan" } { "Look again" }
                }
            },
        }
    }
}

async fn start(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Response, Problem> {
    let facts = runbooks::load(&site, &caller, &name)?;
    match begun(&site, &caller, &facts, &sent).await {
        Ok(place) => Ok(Redirect::to(&place).into_response()),
        Err(problem) => {
            let page = form_page(&site, &caller, &facts, &sent, Some(&problem))?;
            Ok(told::with_problem(page, &problem))
        }
    }
}

async fn begun(site: &Site, caller: &Caller, facts: &RunbookFacts, sent: &Sent) -> Result<String, Problem> {
    let new = wanted(facts, sent, false)?;
    let environment = site.environment(new.environment.as_deref())?;
    caller.may(Permission::Start, Scope::of(&environment, &facts.runbook.name))?;
    let start = api::runs::sound(site, &environment, new)?;
    let run = api::runs::begin(site, caller, &start).await?;
    Ok(format!("/runs/{run}"))
}

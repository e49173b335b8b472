//! Runbooks: all of them, one of them, and whether it would work now.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use runbook_core::runbook::{Choose, Kind, Runbook, Step, Trigger};
use runbook_identity::{Permission, Scope};
use serde::Deserialize;

use super::{
    forms, graph,
    layout::{Here, page},
    told,
    words::{self, Tone, mark, pill},
};
use crate::{
    RunbookFacts,
    api::{
        self,
        page::{Asked, Path},
    },
    gate::Caller,
    problem::Problem,
    project::Readiness,
    site::Site,
};

pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/runbooks", get(list))
        .route("/runbooks/reload", post(reload))
        .route("/runbooks/{name}", get(one))
        .route("/runbooks/{name}/readiness", get(readiness))
}

async fn list(State(site): State<Arc<Site>>, caller: Caller) -> Markup {
    shown(&site, &caller, None)
}

fn shown(site: &Site, caller: &Caller, notice: Option<Markup>) -> Markup {
    let catalog = site.project.catalog();
    let seen: Vec<&RunbookFacts> = catalog
        .iter()
        .filter(|(name, _)| caller.may(Permission::Read, Scope::runbook(name)).is_ok())
        .map(|(_, facts)| facts)
        .collect();
    let content = html! {
        h1 { "Runbooks" }
        @if let Some(notice) = notice { (notice) }
        @if seen.is_empty() {
            p.empty { "There is no runbook that you may see. Runbooks are YAML files of the project; " code { "runbook new NAME" } " writes one." }
        }
        ul.cards { @for facts in seen { li { (card(facts)) } } }
        @if caller.may(Permission::Reload, Scope::NOTHING).is_ok() {
            form method="post" action="/runbooks/reload" {
                (forms::csrf(caller))
                p.buttons { button { "Read the files anew" } }
            }
        }
    };
    page(site, Some(caller), Here::Runbooks, "Runbooks", &content)
}

/// Takes what the files say now. Where anything is wrong, all stays as it was.
async fn reload(State(site): State<Arc<Site>>, caller: Caller, _sent: forms::Sent) -> Response {
    match api::runbooks::read_anew(&site, &caller).await {
        Ok((_, later)) if later.is_empty() => Redirect::to("/runbooks").into_response(),
        Ok((_, later)) => {
            let notice = html! {
                div.notice role="status" { p { "Read anew. After a new start only: " code { (later.join(", ")) } "." } }
            };
            shown(&site, &caller, Some(notice)).into_response()
        }
        Err(problem) => told::with_problem(shown(&site, &caller, Some(told::notice(&problem))), &problem),
    }
}

fn card(facts: &RunbookFacts) -> Markup {
    let runbook = &facts.runbook;
    html! {
        a.card href={ "/runbooks/" (runbook.name) } {
            span.title { (label(runbook)) }
            span.pills {
                @if let Some(severity) = &runbook.severity { (words::severity(severity)) }
                @if errors(facts) > 0 { (mark(Tone::Bad, "✕ has errors")) }
                code { (runbook.name) }
            }
            @if let Some(summary) = &runbook.summary { span { (summary) } }
            @if let Some(symptom) = runbook.symptoms.first() { span.quiet { (symptom) } }
        }
    }
}

fn label(runbook: &Runbook) -> &str {
    runbook.title.as_deref().unwrap_or(&runbook.name)
}

fn errors(facts: &RunbookFacts) -> usize {
    facts.findings.iter().filter(|finding| finding.is_error()).count()
}

/// A runbook that the caller may see; to others it is not there.
pub fn load(site: &Site, caller: &Caller, name: &str) -> Result<RunbookFacts, Problem> {
    let missing = || Problem::missing("runbook", name);
    caller.may(Permission::Read, Scope::runbook(name)).map_err(|_| missing())?;
    site.project.catalog().remove(name).ok_or_else(missing)
}

async fn one(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Markup, Problem> {
    let facts = load(&site, &caller, &name)?;
    let runbook = &facts.runbook;
    let content = html! {
        h1 { (label(runbook)) }
        p.pills {
            @if let Some(severity) = &runbook.severity { (words::severity(severity)) }
            code { (runbook.name) }
            @if errors(&facts) > 0 { (mark(Tone::Bad, "✕ has errors")) }
        }
        @if let Some(summary) = &runbook.summary { p.lead { (summary) } }
        (start_button(&site, &caller, &facts))
        (about(runbook))
        section aria-labelledby="graph-title" { h2 id="graph-title" { "Graph" } (graph::of_runbook(runbook)) }
        section aria-labelledby="steps-title" { h2 id="steps-title" { "Steps" } (steps(runbook)) }
        (inputs(runbook))
        (triggers(runbook))
        (findings(&facts))
        section aria-labelledby="ready-title" {
            h2 id="ready-title" { "Would it work now?" }
            (ready_form(&site, &caller, &name, None))
        }
    };
    Ok(page(&site, Some(&caller), Here::Runbooks, label(runbook), &content))
}

fn start_button(site: &Site, caller: &Caller, facts: &RunbookFacts) -> Markup {
    let name = &facts.runbook.name;
    let environments = allowed(site, caller, Permission::DryRun, name);
    html! {
        p.buttons {
            @if errors(facts) > 0 { span.warning { "It cannot be started: its file has errors, see below." } }
            @else if environments.is_empty() { span.quiet { "Starting it takes the role responder in an environment." } }
            @else { a.button.large href={ "/runbooks/" (name) "/start" } { "Start: dry-run first…" } }
        }
    }
}

/// The environments in which somebody has a permission for a runbook; the default one first.
pub fn allowed(site: &Site, caller: &Caller, permission: Permission, runbook: &str) -> Vec<String> {
    let mut all = site.project.environments();
    all.retain(|facts| caller.may(permission, Scope::of(&facts.name, runbook)).is_ok());
    all.sort_by_key(|facts| !facts.default);
    all.into_iter().map(|facts| facts.name).collect()
}

fn about(runbook: &Runbook) -> Markup {
    html! {
        @if !runbook.symptoms.is_empty() {
            h2 { "Symptoms" }
            ul { @for symptom in &runbook.symptoms { li { (symptom) } } }
        }
        dl.facts {
            @if let Some(impact) = &runbook.impact { dt { "Impact" } dd { (impact) } }
            @if let Some(rto) = runbook.objective.as_ref().and_then(|objective| objective.rto) { dt { "Objective" } dd { "recovered within " (rto) } }
            @if !runbook.owners.is_empty() { dt { "Owners" } dd { (runbook.owners.join(", ")) } }
            @if let Some(escalation) = &runbook.escalation { dt { "Escalation" } dd { "after " (escalation.after) " to " (escalation.to.join(", ")) } }
            @for (name, address) in &runbook.links { dt { (name) } dd { (link(address)) } }
            @if !runbook.related.is_empty() {
                dt { "Related" }
                dd { @for name in &runbook.related { a href={ "/runbooks/" (name) } { (name) } " " } }
            }
        }
    }
}

/// An address is a link only where it leads to a page: whoever writes one may write anything.
pub fn link(address: &str) -> Markup {
    let leads = address.starts_with("https://") || address.starts_with("http://");
    html! {
        @if leads { a href=(address) rel="noreferrer noopener" { (address) } } @else { (address) }
    }
}

fn steps(runbook: &Runbook) -> Markup {
    html! {
        ol.plain { @for step in runbook.steps.iter() { (step_of(step)) } }
        @if !runbook.finally.is_empty() {
            h3 { "Whatever happens" }
            ol.plain { @for step in runbook.finally.iter() { (step_of(step)) } }
        }
    }
}

fn step_of(step: &Step) -> Markup {
    html! {
        li {
            strong { (step.label()) } " " code { (step.id) } " "
            @match step.kind() {
                Some(Kind::Check(action)) => span.quiet { "looks: " (action) },
                Some(Kind::Action(action)) => span { "does: " (action) },
                Some(Kind::Manual(manual)) => span { "by hand: " (manual.prompt) },
                Some(Kind::Wait(what)) => span.quiet { "waits: " (what) },
                Some(Kind::Run(name)) => span { "runs " a href={ "/runbooks/" (name) } { (name) } },
                Some(Kind::Approval(_)) | None => {},
                Some(Kind::Options(options)) => {
                    span { (if step.choose == Some(Choose::Operator) { "a person picks one of" } else { "tries in order, until it holds" }) }
                    ol { @for option in options { (step_of(option)) } }
                },
            }
            span.pills {
                @if let Some(approval) = &step.approval { (mark(Tone::Asks, &format!("? asks {}", words::people(&approval.from)))) }
                @if let Some(risk) = step.risk { (mark(Tone::Calm, &format!("risk {}", format!("{risk:?}").to_lowercase()))) }
                @if let Some(eta) = step.eta { (mark(Tone::Calm, &format!("about {eta}"))) }
            }
        }
    }
}

fn inputs(runbook: &Runbook) -> Markup {
    html! {
        @if !runbook.inputs.is_empty() {
            section aria-labelledby="inputs-title" {
                h2 id="inputs-title" { "Inputs" }
                dl.facts {
                    @for (name, input) in &runbook.inputs {
                        dt { (name) }
                        dd {
                            (format!("{:?}", input.kind).to_lowercase())
                            @match &input.default { Some(value) => { ", " code { (value) } " where it is not said" }, None => ", needed" }
                            @if let Some(description) = &input.description { ". " (description) }
                        }
                    }
                }
            }
        }
    }
}

fn triggers(runbook: &Runbook) -> Markup {
    html! {
        section aria-labelledby="triggers-title" {
            h2 id="triggers-title" { "What starts it" }
            @if runbook.triggers.is_empty() { p.empty { "No alert starts it; people do." } }
            ul { @for trigger in &runbook.triggers { li { (trigger_of(trigger)) } } }
        }
    }
}

fn trigger_of(trigger: &Trigger) -> Markup {
    html! {
        "an alert from " (format!("{:?}", trigger.source).to_lowercase())
        @if let Some(when) = &trigger.when { " when " code { (when) } }
        @if let Some(hold) = trigger.hold { ", if it lasts " (hold) }
        @if !trigger.group_by.is_empty() { ", once at a time for each " (trigger.group_by.join(", ")) }
        @if let Some(within) = trigger.once_within { ", not again within " (within) }
        @if let Some(most) = &trigger.max_runs { ", at most " (most.count) " times within " (most.within) }
    }
}

fn findings(facts: &RunbookFacts) -> Markup {
    html! {
        section aria-labelledby="findings-title" {
            h2 id="findings-title" { "What the checker says" }
            @if facts.findings.is_empty() { p.empty { "Nothing: the file is sound." } }
            ul.findings {
                @for finding in &facts.findings {
                    li {
                        @if finding.is_error() { (mark(Tone::Bad, "✕ error")) } @else { (mark(Tone::Asks, "~ warning")) }
                        " line " (finding.line) ": " (finding.message) " " code { (finding.code.number()) }
                        @if let Some(hint) = &finding.hint { p.quiet { (hint) } }
                    }
                }
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
struct Where {
    environment: Option<String>,
}

/// Asks for a look at an environment: it takes a while, so nobody gets it unasked.
fn ready_form(site: &Site, caller: &Caller, name: &str, chosen: Option<&str>) -> Markup {
    let environments = allowed(site, caller, Permission::DryRun, name);
    html! {
        @if environments.is_empty() { p.quiet { "Looking takes the role responder in an environment." } }
        @else {
            form.filters method="get" action={ "/runbooks/" (name) "/readiness" } {
                (environment_field(&environments, chosen))
                button { "Look now" }
            }
        }
    }
}

pub fn environment_field(environments: &[String], chosen: Option<&str>) -> Markup {
    html! {
        div.field {
            label for="environment" { "Environment" }
            select id="environment" name="environment" {
                @for name in environments { option value=(name) selected[chosen == Some(name)] { (name) } }
            }
        }
    }
}

async fn readiness(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(name): Path<String>,
    Asked(asked): Asked<Where>,
) -> Result<Markup, Problem> {
    let facts = load(&site, &caller, &name)?;
    let environment = site.environment(asked.environment.as_deref())?;
    caller.may(Permission::DryRun, Scope::of(&environment, &name))?;
    let found = site.project.readiness(&environment, Some(&name)).await.map_err(Problem::unavailable)?;
    let content = html! {
        h1 { "Would “" (label(&facts.runbook)) "” work now?" }
        (ready_form(&site, &caller, &name, Some(&environment)))
        @for one in &found { (ready(one, &environment)) }
        @if found.is_empty() { p.empty { "Nothing could be looked at." } }
        p { a.button href={ "/runbooks/" (name) } { "To the runbook" } }
    };
    Ok(page(&site, Some(&caller), Here::Runbooks, "Readiness", &content))
}

fn ready(one: &Readiness, environment: &str) -> Markup {
    html! {
        p role="status" {
            @if one.ready { (mark(Tone::Good, "✓ ready")) } @else { (mark(Tone::Bad, "✕ not ready")) }
            " in " strong { (environment) }
        }
        ul.findings {
            @for finding in &one.findings {
                li {
                    (pill(&finding.state)) " "
                    @if let Some(step) = &finding.step { code { (step) } ": " }
                    (finding.message)
                    @if let Some(hint) = &finding.hint { p.quiet { (hint) } }
                }
            }
        }
    }
}

/// The fields of a runbook's inputs.
pub fn input_fields(runbook: &Runbook, sent: &forms::Sent) -> Markup {
    html! {
        @if runbook.inputs.is_empty() { p.quiet { "It takes no inputs." } }
        (forms::fields(&runbook.inputs, sent))
    }
}

//! The page on which somebody says yes or no: exactly what would be done, to what, how grave it is, and
//! who has said what so far. An approval binds to what the page showed.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use runbook_core::{
    Timestamp,
    event::Body,
    run::{Gated, Input, Node, Phase, Question, Run, may_break_glass},
    secret,
    spec::Effect,
};
use runbook_identity::{Permission, Scope};
use serde::Deserialize;

use super::{
    approvals, change,
    forms::{self, Sent},
    layout::{Here, page},
    run, told,
    words::{self, moment, people},
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

pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/runs/{run}/approve", get(ask).post(approve))
        .route("/runs/{run}/reject", post(reject))
        .route("/runs/{run}/delegate", post(delegate))
}

#[derive(Debug, Deserialize)]
pub struct At {
    pub step: String,
}

/// What was typed before, and what was wrong with it.
#[derive(Debug, Default)]
struct Before {
    sent: Sent,
    problem: Option<Problem>,
}

async fn ask(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(At { step }): Asked<At>,
) -> Result<Markup, Problem> {
    shown(&site, &caller, &id, &step, &Before::default()).await
}

async fn shown(
    site: &Site,
    caller: &Caller,
    id: &str,
    step: &str,
    before: &Before,
) -> Result<Markup, Problem> {
    let run = api::runs::load(site, caller, id).await?;
    let node = run.node(step).ok_or_else(|| Problem::missing("step", step))?;
    let moved = moved(site, &run, step).await?;
    let content = match &node.phase {
        Phase::Gated(gated) => asked(site, caller, &Shown { run: &run, node, gated, moved: &moved, before }),
        _ => answered(&run, node, site.now(), before),
    };
    Ok(page(site, Some(caller), Here::Approvals, "Approve?", &content))
}

/// All that the page is about.
struct Shown<'r> {
    run: &'r Run,
    node: &'r Node,
    gated: &'r Gated,
    /// In which fields the target was found changed, which voided the plan before this one.
    moved: &'r [String],
    before: &'r Before,
}

async fn moved(site: &Site, run: &Run, step: &str) -> Result<Vec<String>, Problem> {
    if run.node(step).is_none_or(|node| node.voided == 0) {
        return Ok(Vec::new());
    }
    let history = site.records.history(run.id).await?;
    let last = history.iter().rev().find_map(|(event, _)| match &event.body {
        Body::PlanVoided { step: of, moved } if of == step => Some(moved.clone()),
        _ => None,
    });
    Ok(last.unwrap_or_default())
}

fn asked(site: &Site, caller: &Caller, shown: &Shown<'_>) -> Markup {
    let Shown { run, node, gated, before, .. } = shown;
    let digest = &gated.gate.digest;
    let address = approvals::address(run, node, &Question::Approval(gated));
    html! {
        (run::simulated(run))
        h1 { (words::prose(&secret::mask_text(&gated.gate.prompt))) }
        @if let Some(problem) = &before.problem { (told::notice(problem)) }
        div.beside {
            div id="plan" data-live data-version=(digest) data-from=(address) {
                div.notice.bad data-moved hidden role="alert" {
                    p { strong { "This has changed since you opened it." } " Nothing was decided. Load the page again to see what is asked now." }
                    p { a.button href=(address) { "Show what is asked now" } }
                }
                (plan(shown, site.now()))
            }
            div.aside {
                section id="said" data-live aria-labelledby="said-title" { (said_so_far(node, gated, site.now())) }
                section id="decide" aria-labelledby="decide-title" { (decision(caller, shown)) }
            }
        }
    }
}

/// What would be done.
fn plan(shown: &Shown<'_>, now: Timestamp) -> Markup {
    let Shown { run, node, gated, moved, .. } = shown;
    html! {
        @if !moved.is_empty() {
            div.notice.asks {
                p { strong { "The target has changed since it was first planned." } " Earlier approvals are void; this is the new plan. What moved:" }
                ul { @for field in *moved { li { code { (secret::mask_text(field)) } } } }
            }
        }
        @if let Some(planned) = &node.change {
            p.target { (secret::mask_text(&planned.target.name)) }
            p { strong { (secret::mask_text(&planned.summary)) } }
            @if change::is_long(planned) { p.jump { a.button href="#decide" { "To the decision" } } }
            (change::diff(planned))
        }
        @for warning in &node.warnings { p.warning { strong { "Warning: " } (secret::mask_text(warning)) } }
        dl.facts {
            @if let Some(effect) = node.effect() { dt { "Effect" } dd { (words::effect(effect)) } }
            @if let Some(planned) = &node.change { dt { "Undo" } dd { (change::undo(planned)) } }
            @if let Some(risk) = node.step().risk { dt { "Risk" } dd { (format!("{risk:?}").to_lowercase()) } }
            @if let Some(eta) = node.step().eta { dt { "Takes about" } dd { (eta) } }
            @if let Some(grade) = node.grade { dt { "How sure" } dd { (grade) } }
            dt { "Runbook" } dd { a href={ "/runs/" (run.id) } { (run::title(run)) } ", step " code { (node.path) } }
            dt { "Environment" } dd { strong { (run.created.environment) } }
            dt { "Asked for by" } dd { (run.requested_by.name) }
            @if let Some(reason) = &run.created.reason { dt { "Why" } dd { (secret::mask_text(reason)) } }
            @if let Some(deadline) = gated.gate.deadline { dt { "Ends" } dd { (moment(deadline, now)) ", which means no" } }
        }
        @if let Some(planned) = &node.change { (change::request(planned)) }
    }
}

fn said_so_far(node: &Node, gated: &Gated, now: Timestamp) -> Markup {
    html! {
        h2 id="said-title" { "Who has decided" }
        p {
            (gated.granted.len()) " of " (gated.gate.count) " needed, from " (people(&gated.gate.from)) "."
        }
        @if !node.decisions.is_empty() {
            ul.said {
                @for decision in &node.decisions {
                    li {
                        strong { (decision.by.name) } @if decision.approved { " approved" } @else { " rejected" }
                        @if decision.break_glass { " (break-glass)" }
                        @if decision.own_run { " (their own run)" }
                        " " (moment(decision.at, now))
                        @if let Some(comment) = &decision.comment { ": " (secret::mask_text(comment)) }
                    }
                }
            }
        }
        @for handed in &gated.delegated { p { (handed.from) " lets " strong { (handed.to) } " decide." } }
    }
}

/// What is to be typed before something destructive is approved.
fn to_type(node: &Node) -> Option<&str> {
    let target = node.change.as_ref().map(|change| change.target.short());
    target.filter(|_| node.effect() == Some(Effect::Destructive))
}

fn decision(caller: &Caller, shown: &Shown<'_>) -> Markup {
    let Shown { run, gated, .. } = shown;
    let scope = Scope::of(&run.created.environment, &run.created.runbook.name);
    let may = approvals::permitted(caller, run, &Question::Approval(gated));
    let glass = caller.may(Permission::Approve, scope).is_ok()
        && may_break_glass(run, &caller.identity.actor(), Some("asked")).is_ok()
        && (may.is_err() || gated.gate.count > 1);
    html! {
        h2 id="decide-title" { "Decide" }
        @match &may {
            Ok(()) => { (approve_form(caller, shown)) (reject_form(caller, shown)) (delegate_form(caller, shown)) },
            Err(problem) => div.notice {
                p { "You cannot decide this: " (words::prose(&problem.detail)) "." }
                @if let Some(hint) = &problem.hint { p.quiet { (words::prose(hint)) } }
            },
        }
        @if glass { (glass_form(caller, shown)) }
    }
}

/// What every form about a gate holds.
fn bound(caller: &Caller, shown: &Shown<'_>) -> Markup {
    html! {
        (forms::csrf(caller))
        input type="hidden" name="step" value=(shown.node.path);
        input type="hidden" name="digest" value=(shown.gated.gate.digest);
    }
}

fn approve_form(caller: &Caller, shown: &Shown<'_>) -> Markup {
    let Shown { run, node, before, .. } = shown;
    let is_grave = node.effect() == Some(Effect::Destructive);
    let what = node.change.as_ref().map(|planned| secret::mask_text(planned.target.short()));
    html! {
        form method="post" action={ "/runs/" (run.id) "/approve" } {
            (bound(caller, shown))
            @if let Some(name) = to_type(node) { (confirmation(name, "confirm", before.sent.shown("confirm"))) }
            div.field {
                label for="comment" { "Comment, for the timeline" }
                textarea id="comment" name="comment" rows="2" maxlength="2000" { (before.sent.shown("comment")) }
            }
            p.buttons {
                button.large.good[!is_grave].grave[is_grave] {
                    "Approve" @if let Some(what) = &what { ": change " (what) " in " (run.created.environment) }
                }
            }
        }
    }
}

fn confirmation(name: &str, id: &str, typed: &str) -> Markup {
    html! {
        div.field.destructive {
            label for=(id) { "This is destructive. Type " code { (secret::mask_text(name)) } " to confirm" }
            input type="text" id=(id) name="confirm" value=(typed) required autocomplete="off" autocapitalize="off" spellcheck="false";
        }
    }
}

fn reject_form(caller: &Caller, shown: &Shown<'_>) -> Markup {
    html! {
        form.reject method="post" action={ "/runs/" (shown.run.id) "/reject" } {
            (bound(caller, shown))
            details.more {
                summary { "Reject…" }
                div.field {
                    label for="why-not" { "Why not, for the timeline" }
                    textarea id="why-not" name="comment" rows="2" maxlength="2000" {}
                }
                p.buttons { button.danger { "Reject" } }
            }
        }
    }
}

fn delegate_form(caller: &Caller, shown: &Shown<'_>) -> Markup {
    html! {
        form method="post" action={ "/runs/" (shown.run.id) "/delegate" } {
            (bound(caller, shown))
            details.more {
                summary { "Let somebody else decide…" }
                div.field {
                    label for="to" { "Who decides in your place" }
                    input type="text" id="to" name="to" required autocomplete="off" autocapitalize="off" spellcheck="false" maxlength="200";
                }
                p.buttons { button { "Delegate" } }
            }
        }
    }
}

fn glass_form(caller: &Caller, shown: &Shown<'_>) -> Markup {
    html! {
        form method="post" action={ "/runs/" (shown.run.id) "/approve" } {
            (bound(caller, shown))
            input type="hidden" name="break_glass" value="yes";
            details.more {
                summary { "Break the glass…" }
                p { "You approve alone, whatever the gate asks. Everybody will see it in the timeline." }
                @if let Some(name) = to_type(shown.node) { (confirmation(name, "glass-confirm", "")) }
                div.field {
                    label for="emergency" { "What is the emergency?" }
                    textarea id="emergency" name="comment" rows="2" required maxlength="2000" {}
                }
                p.buttons { button.danger { "Break the glass and approve" } }
            }
        }
    }
}

/// The gate is not open any more.
fn answered(run: &Run, node: &Node, now: Timestamp, before: &Before) -> Markup {
    html! {
        (run::simulated(run))
        h1 { "Nothing is asked here any more" }
        @if let Some(problem) = &before.problem { (told::notice(problem)) }
        p { "Step " code { (node.path) } " of " a href={ "/runs/" (run.id) } { (run::title(run)) } " waits for no approval." }
        @if !node.decisions.is_empty() {
            ul.said {
                @for decision in &node.decisions {
                    li { strong { (decision.by.name) } @if decision.approved { " approved " } @else { " rejected " } (moment(decision.at, now)) }
                }
            }
        }
        p { a.button href={ "/runs/" (run.id) } { "To the run" } }
    }
}

async fn approve(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Response, Problem> {
    let run = api::runs::load(&site, &caller, &id).await?;
    let input = approval(&run, &sent);
    decide(&site, &caller, &id, sent, input).await
}

fn approval(run: &Run, sent: &Sent) -> Result<Input, Problem> {
    let step = sent.needed("step")?;
    if let Some(name) = run.node(&step).and_then(to_type)
        && sent.text("confirm").as_deref() != Some(name)
    {
        return Err(Problem::invalid(format!(
            "the name that was typed is not `{}`",
            secret::mask_text(name)
        ))
        .hint("nothing was approved; look at the target again and type its name"));
    }
    let comment = api::runs::bounded(sent.text("comment"))?;
    Ok(Input::Approve { step, digest: sent.needed("digest")?, comment, break_glass: sent.has("break_glass") })
}

async fn reject(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Response, Problem> {
    let comment = api::runs::bounded(sent.text("comment"));
    let input = sent.needed("step").and_then(|step| Ok(Input::Reject { step, comment: comment? }));
    decide(&site, &caller, &id, sent, input).await
}

async fn delegate(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Response, Problem> {
    let input =
        (|| Ok(Input::Delegate { step: sent.needed("step")?, to: sent.needed("to")?, comment: None }))();
    decide(&site, &caller, &id, sent, input).await
}

/// Says it; what is wrong is shown above what is asked now, with what was typed.
async fn decide(
    site: &Site,
    caller: &Caller,
    id: &str,
    sent: Sent,
    input: Result<Input, Problem>,
) -> Result<Response, Problem> {
    let said = match input {
        Ok(input) => api::runs::say(site, caller, id, Permission::Approve, input).await,
        Err(problem) => Err(problem),
    };
    match said {
        Ok(_) => Ok(Redirect::to(&format!("/runs/{id}")).into_response()),
        Err(problem) => {
            let step = sent.needed("step")?;
            let before = Before { sent, problem: Some(problem.clone()) };
            Ok(told::with_problem(shown(site, caller, id, &step, &before).await?, &problem))
        }
    }
}

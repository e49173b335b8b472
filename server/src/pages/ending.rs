//! Cancelling a run and taking its changes back: each asked for once more, with what it is about.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use runbook_core::{
    change::Planned,
    run::{Input, Run},
    secret,
};
use runbook_identity::{Permission, Scope};
use serde::Deserialize;

use super::{
    change,
    forms::{self, Sent},
    layout::{Here, page},
    run, told, words,
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
        .route("/runs/{run}/cancel", get(ask_cancel).post(cancel))
        .route("/runs/{run}/undo", get(ask_undo).post(undo))
}

#[derive(Debug, Default, Deserialize)]
struct Also {
    undo: Option<String>,
}

async fn ask_cancel(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(also): Asked<Also>,
) -> Result<Markup, Problem> {
    let run = permitted(&site, &caller, &id, Permission::Cancel).await?;
    Ok(cancel_page(&site, &caller, &run, also.undo.is_some(), "", None))
}

async fn permitted(site: &Site, caller: &Caller, id: &str, permission: Permission) -> Result<Run, Problem> {
    let run = api::runs::load(site, caller, id).await?;
    caller.may(permission, Scope::of(&run.created.environment, &run.created.runbook.name))?;
    Ok(run)
}

fn cancel_page(
    site: &Site,
    caller: &Caller,
    run: &Run,
    undo: bool,
    reason: &str,
    problem: Option<&Problem>,
) -> Markup {
    let created = &run.created;
    let content = html! {
        (run::simulated(run))
        h1 { "Cancel “" (run::title(run)) "”?" }
        @if let Some(problem) = problem { (told::notice(problem)) }
        p.target { (created.runbook.name) " in " strong { (created.environment) } }
        p { "What is under way is brought to its end; nothing new begins." }
        h2 { "It has changed" }
        (changed(run))
        form method="post" action={ "/runs/" (run.id) "/cancel" } {
            (forms::csrf(caller))
            fieldset {
                legend { "What about the changes that it has made by then?" }
                label.pick { input type="radio" name="undo" value="no" checked[!undo]; " Leave them as they are" }
                label.pick { input type="radio" name="undo" value="yes" checked[undo]; " Take them back, the last one first" }
            }
            (reason_field(reason))
            p.buttons {
                button.danger { "Cancel the run" }
                a.button href={ "/runs/" (run.id) } { "Let it go on" }
            }
        }
    };
    page(site, Some(caller), Here::Runs, "Cancel a run", &content)
}

fn reason_field(reason: &str) -> Markup {
    html! {
        div.field {
            label for="reason" { "Why, for the timeline" }
            textarea id="reason" name="reason" rows="2" maxlength="2000" { (reason) }
        }
    }
}

/// The targets that the run has changed.
fn changed(run: &Run) -> Markup {
    let changes = run.applied.iter().filter_map(|path| run.node(path)?.change.as_ref());
    html! {
        @if run.applied.is_empty() { p.empty { "Nothing so far." } }
        @else {
            ul.targets {
                @for one in changes {
                    li { strong.target { (secret::mask_text(&one.target.name)) } " " (secret::mask_text(&one.summary)) " · " (change::undo(one)) }
                }
            }
        }
    }
}

async fn cancel(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Response, Problem> {
    let run = permitted(&site, &caller, &id, Permission::Cancel).await?;
    let undo = sent.text("undo").as_deref() == Some("yes");
    let said = match api::runs::bounded(sent.text("reason")) {
        Ok(reason) => {
            api::runs::say(&site, &caller, &id, Permission::Cancel, Input::Cancel { undo, reason }).await
        }
        Err(problem) => Err(problem),
    };
    Ok(match said {
        Ok(_) => Redirect::to(&format!("/runs/{id}")).into_response(),
        Err(problem) => {
            let page = cancel_page(&site, &caller, &run, undo, sent.shown("reason"), Some(&problem));
            told::with_problem(page, &problem)
        }
    })
}

async fn ask_undo(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Markup, Problem> {
    let run = permitted(&site, &caller, &id, Permission::Undo).await?;
    Ok(undo_page(&site, &caller, &run, "", None).await)
}

async fn undo_page(
    site: &Site,
    caller: &Caller,
    run: &Run,
    reason: &str,
    problem: Option<&Problem>,
) -> Markup {
    let content = html! {
        (run::simulated(run))
        h1 { "Undo “" (run::title(run)) "”?" }
        @if let Some(problem) = problem { (told::notice(problem)) }
        p.target { (run.created.runbook.name) " in " strong { (run.created.environment) } }
        h2 { "What would be taken back, the last change first" }
        (outlook(site, run).await)
        form method="post" action={ "/runs/" (run.id) "/undo" } {
            (forms::csrf(caller))
            (reason_field(reason))
            p.buttons {
                button.danger { "Take the changes back" }
                a.button href={ "/runs/" (run.id) } { "Leave them" }
            }
        }
    };
    page(site, Some(caller), Here::Runs, "Undo a run", &content)
}

/// How each change would be taken back, from a look at the world as it is.
async fn outlook(site: &Site, run: &Run) -> Markup {
    let engine = match site.project.engine(&run.created.environment).await {
        Ok(engine) => engine,
        Err(why) => return html! { p.warning { "It cannot be foreseen: " (why) "." } (changed(run)) },
    };
    let foreseen = engine.foresee_undo(run).await;
    let left = run.undo_outlook(site.now()).left;
    html! {
        @if foreseen.is_empty() { p.empty { "Nothing can be taken back." } }
        ol.targets {
            @for (step, outcome) in &foreseen {
                li {
                    code { (step) } " "
                    @match outcome {
                        Ok((Planned::Change(one), _)) => {
                            strong.target { (secret::mask_text(&one.target.name)) } " " (secret::mask_text(&one.summary)) " " (words::effect(one.effect))
                            (change::diff(one))
                        },
                        Ok((Planned::Already { summary, .. }, _)) => span { "is so already: " (secret::mask_text(summary)) },
                        Err(fault) => span.warning { "cannot be taken back as it is: " (secret::mask_text(&fault.message)) },
                    }
                }
            }
        }
        @if let Some(left) = left { p { (secret::mask_text(&left)) } }
    }
}

async fn undo(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Response, Problem> {
    let run = permitted(&site, &caller, &id, Permission::Undo).await?;
    let said = match api::runs::bounded(sent.text("reason")) {
        Ok(reason) => api::runs::say(&site, &caller, &id, Permission::Undo, Input::Undo { reason }).await,
        Err(problem) => Err(problem),
    };
    Ok(match said {
        Ok(_) => Redirect::to(&format!("/runs/{id}")).into_response(),
        Err(problem) => {
            let page = undo_page(&site, &caller, &run, sent.shown("reason"), Some(&problem)).await;
            told::with_problem(page, &problem)
        }
    })
}

//! The page on which somebody picks an option, reports a step done by hand, or settles a doubt.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use runbook_core::{
    Value, report,
    run::{About, Asking, Input, Node, Phase, Question, Run},
    secret,
};
use runbook_identity::Permission;

use super::{
    approvals,
    approve::At,
    change,
    forms::{self, Sent},
    layout::{Here, page},
    run, told, words,
};
use crate::{
    api::{
        self,
        approvals::Say,
        page::{Asked, Path},
    },
    gate::Caller,
    problem::Problem,
    site::Site,
};

pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/runs/{run}/answer", get(ask).post(answer))
}

async fn ask(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(At { step }): Asked<At>,
) -> Result<Markup, Problem> {
    shown(&site, &caller, &id, &step, &Sent::default(), None).await
}

async fn shown(
    site: &Site,
    caller: &Caller,
    id: &str,
    step: &str,
    sent: &Sent,
    problem: Option<&Problem>,
) -> Result<Markup, Problem> {
    let run = api::runs::load(site, caller, id).await?;
    let node = run.node(step).ok_or_else(|| Problem::missing("step", step))?;
    let content = html! {
        (run::simulated(&run))
        @match &node.phase {
            Phase::Asking(asking) => {
                h1 { (words::prose(&approvals::heading(node, &Question::Answer(asking)))) }
                @if let Some(problem) = problem { (told::notice(problem)) }
                (about(&run, node, asking))
                (reply(caller, &run, node, asking, sent))
            },
            _ => {
                h1 { "Nothing is asked here any more" }
                @if let Some(problem) = problem { (told::notice(problem)) }
                p { a.button href={ "/runs/" (run.id) } { "To the run" } }
            },
        }
    };
    Ok(page(site, Some(caller), Here::Approvals, "Answer", &content))
}

fn about(run: &Run, node: &Node, asking: &Asking) -> Markup {
    html! {
        @if let Some(planned) = &node.change {
            p.target { (secret::mask_text(&planned.target.name)) }
            p { strong { (secret::mask_text(&planned.summary)) } }
            (change::diff(planned))
        }
        @if let Some(reason) = &node.reason { p.why { (secret::mask_text(reason)) } }
        @if let Some(fault) = &node.fault { p.warning { (secret::mask_text(&fault.message)) } }
        dl.facts {
            dt { "Runbook" } dd { a href={ "/runs/" (run.id) } { (run::title(run)) } ", step " code { (node.path) } }
            dt { "Environment" } dd { strong { (run.created.environment) } }
            dt { "Asked are" } dd { (words::people(&asking.from)) }
        }
    }
}

fn reply(caller: &Caller, run: &Run, node: &Node, asking: &Asking, sent: &Sent) -> Markup {
    if let Err(problem) = approvals::permitted(caller, run, &Question::Answer(asking)) {
        return html! { div.notice { p { "You cannot answer this: " (words::prose(&problem.detail)) "." } } };
    }
    html! {
        form method="post" action={ "/runs/" (run.id) "/answer" } {
            (forms::csrf(caller))
            input type="hidden" name="step" value=(node.path);
            @match asking.about {
                About::Choice => (options(run, node)),
                About::Manual => (by_hand(node, sent)),
                About::Doubt => (words_of(&[
                    ("happened", "It happened", "The change took effect; the run goes on from there."),
                    ("did-not-happen", "It did not happen", "The change is sent again."),
                    ("stop", "Nobody can tell: stop", "The run ends here as stuck, for people to sort out."),
                ])),
                About::Conflict => (words_of(&[
                    ("proceed", "Take it back all the same", "What somebody else has changed since is overwritten."),
                    ("stop", "Stop here", "Everything stays as it is, for people to sort out."),
                ])),
            }
        }
    }
}

fn options(run: &Run, ladder: &Node) -> Markup {
    html! {
        ul.cards {
            @for option in report::options(run, &ladder.path) {
                @let step = option.step();
                li.option {
                    h2 { (step.label()) }
                    p.pills {
                        @if let Some(risk) = step.risk { (words::mark(words::Tone::Calm, &format!("risk {}", format!("{risk:?}").to_lowercase()))) }
                        @if let Some(eta) = step.eta { (words::mark(words::Tone::Calm, &format!("about {eta}"))) }
                        @if let Some(effect) = option.effect() { (words::effect(effect)) }
                        @if let Some(action) = option.action() { code { (action) } }
                    }
                    button name="answer" value=(step.id) { "Take “" (step.label()) "”" }
                }
            }
        }
    }
}

fn by_hand(node: &Node, sent: &Sent) -> Markup {
    html! {
        @if let Some(manual) = &node.step().manual { (forms::fields(&manual.form, sent)) }
        div.field {
            label for="comment" { "Comment, for the timeline" }
            textarea id="comment" name="comment" rows="2" maxlength="2000" { (sent.shown("comment")) }
        }
        p.buttons {
            button.good.large name="answer" value="done" { "Done" }
            button.danger name="answer" value="failed" formnovalidate { "It failed" }
            button name="answer" value="skipped" formnovalidate { "Skip it" }
        }
    }
}

/// Answers of one word each, with what they lead to.
fn words_of(answers: &[(&str, &str, &str)]) -> Markup {
    html! {
        ul.cards {
            @for (word, label, what) in answers {
                li.option { p { (what) } button name="answer" value=(word) { (label) } }
            }
        }
    }
}

async fn answer(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Response, Problem> {
    let run = api::runs::load(&site, &caller, &id).await?;
    let step = sent.needed("step")?;
    let said = match input(&run, &step, &sent) {
        Ok(input) => api::runs::say(&site, &caller, &id, Permission::Answer, input).await,
        Err(problem) => Err(problem),
    };
    match said {
        Ok(_) => Ok(Redirect::to(&format!("/runs/{id}")).into_response()),
        Err(problem) => {
            let page = shown(&site, &caller, &id, &step, &sent, Some(&problem)).await?;
            Ok(told::with_problem(page, &problem))
        }
    }
}

fn input(run: &Run, step: &str, sent: &Sent) -> Result<Input, Problem> {
    let word = sent.needed("answer")?;
    let form = run.node(step).and_then(|node| node.step().manual.as_ref()).map(|manual| &manual.form);
    let values = match form {
        Some(form) if word == "done" => forms::values(form, sent)?,
        _ => Value::Null,
    };
    api::approvals::fitting(
        run,
        Say { step: step.to_owned(), answer: word, values, comment: sent.text("comment") },
    )
}

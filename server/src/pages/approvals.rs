//! What people are asked: the list of it.

use std::sync::Arc;

use axum::{Router, extract::State, routing::get};
use maud::{Markup, html};
use runbook_core::{
    report,
    run::{About, Asking, Node, Question, Run, may_answer, may_approve},
    secret,
};
use runbook_identity::{Permission, Scope};
use serde::Deserialize;

use super::{
    layout::{Here, page},
    run::title,
    words::{self, Tone, mark, moment, people},
};
use crate::{
    api::{self, page::Asked},
    gate::Caller,
    problem::Problem,
    site::Site,
};

pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/approvals", get(list))
}

/// How many questions are on one page.
const EACH: usize = 50;

#[derive(Debug, Default, Deserialize)]
struct Which {
    /// What waits for others.
    #[serde(default)]
    whose: String,
    /// Runs that are younger than this one: where a page before ended.
    after: Option<String>,
}

async fn list(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Asked(which): Asked<Which>,
) -> Result<Markup, Problem> {
    let after = which.after.as_deref().map(api::runs::parse).transpose()?;
    let mut runs = api::approvals::open(&site, &caller).await?;
    runs.retain(|run| after.is_none_or(|after| run.id > after));
    let content = html! {
        h1 { "Approvals" }
        section id="asks" data-live aria-label="Open questions" {
            @if which.whose == "others" { (of_others(&site, &caller, &runs)) }
            @else { (cards(&site, &caller, &runs, EACH)) }
        }
    };
    Ok(page(&site, Some(&caller), Here::Approvals, "Approvals", &content))
}

fn of_others(site: &Site, caller: &Caller, runs: &[Arc<Run>]) -> Markup {
    let (_, others) = parted(caller, runs);
    html! {
        p { a href="/approvals" { "What waits for you" } }
        @if others.is_empty() { p.empty { "Nothing waits for others." } }
        @else { (listed(site, &others, false, EACH)) }
    }
}

/// Whether somebody may say something to a question, and if not, why.
pub fn permitted(caller: &Caller, run: &Run, question: &Question<'_>) -> Result<(), Problem> {
    let scope = Scope::of(&run.created.environment, &run.created.runbook.name);
    let actor = caller.identity.actor();
    let rejected = match question {
        Question::Approval(gated) => {
            caller.may(Permission::Approve, scope)?;
            may_approve(run, gated, &actor)
        }
        Question::Answer(asking) => {
            caller.may(Permission::Answer, scope)?;
            may_answer(run, &asking.from, &actor)
        }
    };
    rejected.map_err(|rejected| {
        let problem = Problem::forbidden(rejected.message);
        match rejected.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    })
}

/// Where a question is answered.
pub fn address(run: &Run, node: &Node, question: &Question<'_>) -> String {
    let verb = match question {
        Question::Approval(_) => "approve",
        Question::Answer(_) => "answer",
    };
    let step: String = url::form_urlencoded::byte_serialize(node.path.as_bytes()).collect();
    format!("/runs/{}/{verb}?step={step}", run.id)
}

/// A run, a step of it, and what that asks.
type Open<'r> = (&'r Run, &'r Node, Question<'r>);

/// What waits for whoever looks, and what waits for others.
fn parted<'r>(caller: &Caller, runs: &'r [Arc<Run>]) -> (Vec<Open<'r>>, Vec<Open<'r>>) {
    let all =
        runs.iter().flat_map(|run| run.questions().map(move |(node, question)| (&**run, node, question)));
    all.partition(|(run, _, question)| permitted(caller, run, question).is_ok())
}

/// All that runs ask: first what waits for whoever looks, then what waits for others; of each about as
/// much as `most`, and where the rest is.
pub fn cards(site: &Site, caller: &Caller, runs: &[Arc<Run>], most: usize) -> Markup {
    let (own, others) = parted(caller, runs);
    html! {
        @if own.is_empty() && others.is_empty() {
            p.empty { "Nothing waits for anybody. Runs that need a yes, a choice or a hand show here." }
        } @else if own.is_empty() {
            p.empty { "Nothing waits for you." }
        }
        @if !own.is_empty() { (listed(site, &own, true, most)) }
        @if !others.is_empty() {
            details.more {
                summary { (words::count(others.len(), "question")) " for others" }
                (listed(site, &others, false, most))
            }
        }
    }
}

/// The questions of the first runs; those of one run stay together.
fn listed(site: &Site, open: &[Open<'_>], own: bool, most: usize) -> Markup {
    let last = open.get(most.saturating_sub(1)).map(|(run, ..)| run.id);
    let count = last.map_or(open.len(), |last| open.partition_point(|(run, ..)| run.id <= last));
    let (shown, rest) = open.split_at(count);
    html! {
        ul.cards { @for (run, node, question) in shown { li { (card(site, run, node, question, own)) } } }
        @if let (Some((run, ..)), false) = (shown.last(), rest.is_empty()) {
            p.paging {
                a.button href={ "/approvals?" (if own { "" } else { "whose=others&" }) "after=" (run.id) } {
                    (words::count(rest.len(), "more question"))
                }
            }
        }
    }
}

fn card(site: &Site, run: &Run, node: &Node, question: &Question<'_>, own: bool) -> Markup {
    let verb = match (question, own) {
        (_, false) => "Look",
        (Question::Approval(_), true) => "Decide",
        (Question::Answer(_), true) => "Answer",
    };
    html! {
        a.card.asks[own] href=(address(run, node, question)) {
            span.title { (words::prose(&heading(node, question))) }
            span.pills {
                (mark(if own { Tone::Asks } else { Tone::Calm }, kind(question)))
                @if let Some(effect) = node.effect() { (words::effect(effect)) }
                @if run.created.simulated.is_some() { (mark(Tone::Asks, "simulated")) }
            }
            @if let Some(target) = &node.target { span.where { (secret::mask_text(&target.name)) } }
            span.quiet {
                (title(run)) " · " strong { (run.created.environment) } " · for " (people(report::asked(question)))
                @if let Question::Approval(gated) = question {
                    @if let Some(deadline) = gated.gate.deadline { " · ends " (moment(deadline, site.now())) }
                }
            }
            span.go aria-hidden="true" { (verb) }
        }
    }
}

/// The question itself. Where an option is to be picked, the options stand below, one by one.
pub fn heading(node: &Node, question: &Question<'_>) -> String {
    match question {
        Question::Answer(Asking { about: About::Choice, .. }) => node.step().label().to_owned(),
        _ => secret::mask_text(report::prompt(question)),
    }
}

/// What kind of question it is.
pub fn kind(question: &Question<'_>) -> &'static str {
    match report::question_kind(question) {
        "approval" => "? approval",
        "choice" => "? choice",
        "manual" => "? by hand",
        "doubt" => "! in doubt",
        _ => "! conflict",
    }
}

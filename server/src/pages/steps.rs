//! The steps of a run, one below the other, each with its log.

use std::collections::BTreeMap;

use maud::{Markup, html};
use runbook_core::{
    Timestamp, Value,
    change::{brief, gist},
    event::{Channel, Event, StepStatus},
    report,
    run::{Node, Phase, Role, Run},
    secret,
    timeline::{Entry, entry},
};

use super::{
    change,
    words::{clock, pill, took},
};

/// The most lines of a step's log.
const MOST: usize = 50;

/// A step with the words that the API has for it.
#[derive(Debug)]
pub struct Step<'r> {
    pub node: &'r Node,
    pub depth: usize,
    document: Value,
}

/// All steps in the order in which people read them.
pub fn of(run: &Run) -> Vec<Step<'_>> {
    let document = report::document(run, 0);
    let documents = document["steps"].as_array().cloned().unwrap_or_default();
    let rows = report::rows(run);
    rows.iter()
        .zip(documents)
        .map(|(row, document)| Step { node: row.node, depth: row.depth, document })
        .collect()
}

impl Step<'_> {
    fn text(&self, key: &str) -> &str {
        self.document[key].as_str().unwrap_or_default()
    }

    /// Where it stands, in a word; of a dry-run, what would become of it.
    pub fn word(&self) -> &str {
        let word = match self.text("status") {
            "" => self.text("verdict"),
            word => word,
        };
        let node = self.node;
        match word {
            "would_run" if node.status() == Some(StepStatus::Failed) => "would_fail",
            "would_run" if node.change.is_some() => "would_change",
            // It was read, and what it found is worth a look.
            "succeeded" | "would_run" if node.passed == Some(false) => "not_as_expected",
            word => word,
        }
    }

    /// Why it stands there.
    pub fn reason(&self) -> &str {
        self.text("reason")
    }

    /// How sure a dry-run is.
    pub fn grade(&self) -> &str {
        self.text("grade")
    }

    /// Neither reached nor worth a line.
    fn is_idle(&self, run: &Run) -> bool {
        self.node.phase == Phase::Waiting
            && self.node.role == Role::Option
            && !run.is_dry()
            && run.ended.is_none()
    }
}

/// What happened in each step.
type Logs<'h> = BTreeMap<&'h str, Vec<&'h (Event, String)>>;

/// The list, each step with what happened in it.
pub fn list(run: &Run, history: &[(Event, String)], now: Timestamp) -> Markup {
    let mut logs = Logs::new();
    for told in history {
        if let Some(step) = told.0.body.step() {
            logs.entry(step).or_default().push(told);
        }
    }
    html! {
        ol.steps {
            @for step in of(run) {
                li class={ "depth-" (step.depth.min(4)) } {
                    @if step.is_idle(run) { (idle(&step)) } @else { (one(run, &step, &logs, now)) }
                }
            }
        }
    }
}

fn idle(step: &Step<'_>) -> Markup {
    html! { div.idle id={ "step-" (step.node.path) } { (pill("pending")) " " (step.node.step().label()) } }
}

fn one(run: &Run, step: &Step<'_>, logs: &Logs<'_>, now: Timestamp) -> Markup {
    let node = step.node;
    let own = logs.get(node.path.as_str()).map_or(&[][..], Vec::as_slice);
    html! {
        details id={ "step-" (node.path) } open[is_worth_reading(step)] {
            summary {
                (pill(step.word()))
                span.label {
                    strong { @if node.role == Role::Undo { "Take back: " } (secret::mask_text(node.step().label())) }
                    @if let Some(item) = &node.item { " · " (secret::mask_text(&brief(item))) }
                    @if node.step().title.is_some() { " " code.id { (node.path) } }
                }
                @if let Some(started) = node.started_at.filter(|_| !run.is_dry()) {
                    span.took { @if node.ended_at.is_none() { "for " } (took(started, node.ended_at.unwrap_or(now))) }
                }
            }
            div.inside {
                (facts(run, step))
                @if let Some(planned) = &node.change {
                    p { (secret::mask_text(&planned.summary)) " on " code { (secret::mask_text(&planned.target.name)) } " · " (change::undo(planned)) }
                    (change::diff(planned))
                    (change::request(planned))
                }
                @if !own.is_empty() { (lines(run, own, now)) }
            }
        }
    }
}

/// Open from the start: what failed, what asks, what is at work, what a dry-run would change.
fn is_worth_reading(step: &Step<'_>) -> bool {
    match step.word() {
        "failed" | "stuck" | "waiting" => true,
        "would_fail" => true,
        "would_change" | "would_wait" | "may_run" => step.node.change.is_some(),
        _ => false,
    }
}

fn facts(run: &Run, step: &Step<'_>) -> Markup {
    let node = step.node;
    let outputs = secret::mask(&node.outputs);
    html! {
        @if !step.reason().is_empty() { p.why { (step.reason()) } }
        @if let Some(hint) = node.fault.as_ref().and_then(|fault| fault.hint.as_ref()) { p { (secret::mask_text(hint)) } }
        @for warning in &node.warnings { p.warning { strong { "Warning: " } (secret::mask_text(warning)) } }
        dl.facts {
            @if let Some(action) = node.action() { dt { "Action" } dd { code { (action) } } }
            @if run.is_dry() && !step.grade().is_empty() { dt { "How sure" } dd { (step.grade()) } }
            @if let (Some(target), None) = (&node.target, &node.change) { dt { "Target" } dd { code { (secret::mask_text(&target.name)) } } }
            @if node.attempt > 1 { dt { "Tries" } dd { (node.attempt) } }
            @if let Some(gate) = &node.gate { dt { "Approval" } dd { (secret::mask_text(&gate.prompt)) " (" (super::words::people(&gate.from)) ")" } }
        }
        @if has_content(&outputs) {
            details.more {
                summary { "Read: " (gist(&outputs)) }
                pre tabindex="0" { (format!("{outputs:#}")) }
            }
        }
    }
}

fn has_content(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// What happened, the last of it where it is much.
fn lines(run: &Run, log: &[&(Event, String)], now: Timestamp) -> Markup {
    let left_out = log.len().saturating_sub(MOST);
    html! {
        ol.log {
            @if left_out > 0 { li.quiet { (left_out) " earlier lines are in the timeline" } }
            @for (event, hash) in log.iter().skip(left_out) { li { (told(&entry(event, hash, run.id), None, now)) } }
        }
    }
}

/// One entry of a timeline, with a link to where it happened.
pub fn placed(entry: &Entry, place: Option<(&str, &str)>, now: Timestamp) -> Markup {
    html! {
        li.note[entry.kind == "noted"] id={ "entry-" (entry.seq) "-" (entry.hash.get(..8).unwrap_or_default()) } {
            (told(entry, place, now))
        }
    }
}

fn told(entry: &Entry, place: Option<(&str, &str)>, now: Timestamp) -> Markup {
    html! {
        (clock(entry.at, now)) " "
        @if let Some((address, name)) = place { a.place href=(address) { (name) } " " }
        span { (entry.summary) }
        @if entry.actor.how != Channel::Engine {
            " " span.who {
                // Most entries begin with the name.
                @if !entry.summary.starts_with(&entry.actor.name) { (entry.actor.name) " " }
                "(" (channel(entry.actor.how)) ")"
            }
        }
    }
}

fn channel(how: Channel) -> &'static str {
    match how {
        Channel::Engine => "engine",
        Channel::Cli => "terminal",
        Channel::Web => "web",
        Channel::Chat => "chat",
        Channel::Api => "API",
        Channel::Alert => "alert",
    }
}

//! The incident timeline: the events of a run, or of an incident and all its runs, told for people.
//! The same lines serve the command line, pages and postmortems.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    change::gist,
    event::{Actor, Answer, Body, Channel, EndStatus, Event, RunId, SteadyReading},
    incident::IncidentId,
    run::{end_word, step_word},
    secret,
};

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub seq: u64,
    pub at: Timestamp,
    #[serde(rename = "type")]
    pub kind: String,
    /// The run whose event it is; `None` for one of an incident itself.
    pub run: Option<RunId>,
    /// The incident whose own event it is; `None` for one of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    pub step: Option<String>,
    pub actor: Actor,
    pub summary: String,
    pub data: Value,
    pub hash: String,
}

/// A run's events, with the hashes that chain them, as entries. Secrets are masked.
pub fn entries(history: &[(Event, String)], run: RunId) -> Vec<Entry> {
    history.iter().map(|(event, hash)| entry(event, hash, run)).collect()
}

/// One event as an entry.
pub fn entry(event: &Event, hash: &str, run: RunId) -> Entry {
    Entry { run: Some(run), step: event.body.step().map(str::to_owned), ..told(event, &summary(event), hash) }
}

/// Entries of an incident and of its runs as one list: by time, and within one run, or the incident
/// itself, as they happened.
pub fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    // What the incident says of a run at the moment of its first event comes before that event.
    entries.sort_by_key(|entry| (entry.at, entry.run, entry.seq));
    entries
}

/// What the entries of every kind of event have. Secrets are masked.
pub(crate) fn told<B: Serialize>(event: &Event<B>, summary: &str, hash: &str) -> Entry {
    // An event always serializes: it was read from its own JSON, or made of the same types.
    let body = serde_json::to_value(&event.body).unwrap_or(Value::Null);
    Entry {
        seq: event.seq,
        at: event.at,
        kind: body.get("type").and_then(Value::as_str).unwrap_or_default().to_owned(),
        run: None,
        incident: None,
        step: None,
        actor: event.actor.clone(),
        summary: secret::mask_text(summary),
        data: secret::mask(body.get("data").unwrap_or(&Value::Null)),
        hash: hash.to_owned(),
    }
}

impl Entry {
    /// The id of the run or of the incident whose event it is.
    pub fn whose(&self) -> String {
        let run = self.run.map(|run| run.to_string());
        run.or_else(|| self.incident.map(|incident| incident.to_string())).unwrap_or_default()
    }

    /// Where it happened: a step, the run as a whole, or the incident.
    pub fn place(&self) -> &str {
        let whole = if self.run.is_some() { "run" } else { "incident" };
        self.step.as_deref().unwrap_or(whole)
    }
}

/// An entry on one line: time, place, what happened.
pub fn line(entry: &Entry) -> String {
    let at = entry.at.strftime("%H:%M:%S");
    format!("{at}  {:>4}  {:<28}  {}", format!("#{}", entry.seq), entry.place(), entry.summary)
}

/// The timeline as a table for postmortems and tickets.
pub fn markdown(entries: &[Entry]) -> String {
    let mut text = String::from("| Time (UTC) | Step | Event | Who |\n| --- | --- | --- | --- |\n");
    for entry in entries {
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let who = if entry.actor.how == Channel::Engine { "" } else { entry.actor.name.as_str() };
        let row = format!(
            "| {} | {} | {} | {} |\n",
            entry.at.strftime("%Y-%m-%d %H:%M:%S"),
            cell(entry.step.as_deref().unwrap_or("")),
            cell(&entry.summary),
            cell(who),
        );
        text.push_str(&row);
    }
    text
}

fn summary(event: &Event) -> String {
    let who = event.actor.name.as_str();
    match &event.body {
        Body::RunCreated(created) => {
            let simulated = if created.simulated.is_some() { " (simulated)" } else { "" };
            let reason = created.reason.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
            format!("{who} started {} in {}{simulated}{reason}", created.runbook.name, created.environment)
        }
        Body::RunResumed { owner } => {
            format!("resumed by {owner}; what was being applied is looked at first")
        }
        Body::CancelRequested { undo, reason } => {
            let also = if *undo { ", with its changes taken back" } else { "" };
            format!("{who} cancelled the run{also}{}", because(reason.as_deref()))
        }
        Body::UndoRequested { reason } => {
            format!("{who} asked to take the changes back{}", because(reason.as_deref()))
        }
        Body::AlertResolved { .. } => "the alert is resolved".to_owned(),
        Body::RunEscalated { to } => format!("not recovered in time: escalated to {}", to.join(", ")),
        Body::RunEnded { status, recovered, reason } => ended(*status, *recovered, reason.as_deref()),
        Body::UndoStarted { steps, .. } if steps.is_empty() => "nothing to take back".to_owned(),
        Body::UndoStarted { steps, .. } => format!("taking back: {}", steps.join(", ")),
        Body::FinallyStarted { .. } => "the steps that always run".to_owned(),
        _ => step_summary(event),
    }
}

fn step_summary(event: &Event) -> String {
    let who = event.actor.name.as_str();
    match &event.body {
        Body::StepStarted { attempt, .. } if *attempt > 1 => format!("started, try {attempt}"),
        Body::StepStarted { .. } => "started".to_owned(),
        Body::Entered { runbook, .. } => format!("entered runbook {runbook}"),
        Body::ItemsListed { items, .. } => format!("for each of {} items", items.len()),
        Body::CheckReturned { reading, holds, .. } => match (reading, holds) {
            (Err(fault), _) => format!("could not be read: {fault}"),
            (Ok(reading), Some(true)) => format!("passed: {}", gist(&reading.outputs)),
            (Ok(reading), Some(false)) => format!("not as expected: {}", gist(&reading.outputs)),
            (Ok(reading), None) => format!("read: {}", gist(&reading.outputs)),
        },
        Body::SteadyChecked { holds, checks, .. } => steady(*holds, checks),
        Body::OptionStarted { option, .. } => format!("trying {option}"),
        Body::OptionDidNotHelp { option, why, .. } => format!("{option} did not help: {why}"),
        Body::RetryScheduled { attempt, at, fault, .. } => {
            format!("{fault}; try {attempt} at {}", at.strftime("%H:%M:%S"))
        }
        Body::AlreadySo { summary, .. } => format!("nothing to change: {summary}"),
        Body::TargetBusy { target, held_by, .. } => format!("{target} is held by {held_by}; waiting"),
        Body::Asked { prompt, .. } => format!("asked: {prompt}"),
        Body::Answered { answer, .. } => format!("{who} answered: {}", answered(answer)),
        Body::StepEnded { status, reason, .. } => match reason {
            Some(reason) => format!("{}: {reason}", step_word(*status)),
            None => step_word(*status).to_owned(),
        },
        Body::Foreseen { reason, .. } => reason.clone(),
        _ => change_summary(event),
    }
}

fn change_summary(event: &Event) -> String {
    let who = event.actor.name.as_str();
    match &event.body {
        Body::Planned { change, grade, .. } => {
            format!("planned ({grade}): {} on {}", change.summary, change.target)
        }
        Body::PlanVoided { moved, .. } => {
            format!("the world has moved, so the plan and its approval are void: {}", moved.join("; "))
        }
        Body::ApprovalRequested { gate, .. } => {
            format!("waiting for {} to approve: {}", crowd(gate.count, &gate.from), gate.prompt)
        }
        Body::ApprovalGranted { comment, break_glass: true, .. } => {
            format!("BREAK-GLASS: approved by {who} alone{}", because(comment.as_deref()))
        }
        Body::ApprovalDelegated { to, comment, .. } => {
            format!("{who} lets {to} decide{}", because(comment.as_deref()))
        }
        Body::ApprovalGranted { comment, own_run, .. } => {
            let own = if *own_run { " (their own run)" } else { "" };
            format!("approved by {who}{own}{}", because(comment.as_deref()))
        }
        Body::ApprovalRejected { comment, .. } => format!("rejected by {who}{}", because(comment.as_deref())),
        Body::ApprovalEscalated { to, .. } => format!("no answer in time: asking {} too", to.join(", ")),
        Body::ApprovalExpired { .. } => "nobody approved it in time, which means no".to_owned(),
        Body::ApplyStarted { change, .. } => format!("applying: {} on {}", change.summary, change.target),
        Body::ApplyReturned { outcome: Ok(_), .. } => "applied".to_owned(),
        Body::ApplyReturned { outcome: Err(fault), .. } => format!("applying failed: {fault}"),
        Body::DoubtRaised { why, .. } => format!("nobody can tell whether it happened: {why}"),
        Body::DoubtSettled { landed: true, .. } => "it had happened".to_owned(),
        Body::DoubtSettled { landed: false, .. } => "it had not happened".to_owned(),
        Body::VerifyReturned { outcome: Ok(_), .. } => "verified".to_owned(),
        Body::VerifyReturned { outcome: Err(why), .. } => format!("not verified: {why}"),
        _ => String::new(),
    }
}

/// `2 of sre-oncall, dba`, or `anyone`.
pub fn crowd(count: u32, from: &[String]) -> String {
    let from = if from.is_empty() { "anyone".to_owned() } else { from.join(", ") };
    if count > 1 { format!("{count} of {from}") } else { from }
}

pub(crate) fn ended(status: EndStatus, recovered: Option<bool>, reason: Option<&str>) -> String {
    let recovered = match recovered {
        Some(true) => ", recovery verified",
        Some(false) => ", not recovered",
        None => "",
    };
    format!("{}{recovered}{}", end_word(status), because(reason))
}

fn steady(holds: Option<bool>, checks: &[SteadyReading]) -> String {
    let word = match holds {
        Some(true) => "steady",
        Some(false) => "not steady",
        None => "nobody can tell whether it is steady",
    };
    let seen: Vec<String> = checks.iter().map(|check| format!("{} {}", check.id, check.seen)).collect();
    if seen.is_empty() { word.to_owned() } else { format!("{word}: {}", seen.join(", ")) }
}

fn answered(answer: &Answer) -> String {
    let with = |word: &str, comment: &Option<String>| format!("{word}{}", because(comment.as_deref()));
    match answer {
        Answer::Option(option) => option.clone(),
        Answer::Done { comment, .. } => with("done", comment),
        Answer::ManualFailed { comment } => with("failed", comment),
        Answer::ManualSkipped { comment } => with("skipped", comment),
        Answer::Happened => "it happened".to_owned(),
        Answer::DidNotHappen => "it did not happen".to_owned(),
        Answer::Stop => "stop".to_owned(),
        Answer::Proceed => "proceed".to_owned(),
    }
}

pub(crate) fn because(text: Option<&str>) -> String {
    text.map(|text| format!(": {text}")).unwrap_or_default()
}

//! What a dry-run said, laid beside what happened: each claim that it made, with its grade.

use runbook_core::{
    Value,
    change::{Change, differences},
    run::Run,
    unknown,
};
use serde::Serialize;
use serde_json::{Map, json};

use crate::bench::{Stage, told};

/// One thing that a dry-run said.
#[derive(Debug, Clone, Serialize)]
pub struct Claim {
    pub scenario: String,
    pub step: String,
    pub about: About,
    pub grade: String,
    pub agrees: bool,
    pub said: Value,
    pub happened: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Whether the step changes something, and what, or how it fails.
    Step,
    /// What the target becomes, field by field, and that nothing else of it changes.
    Target,
    /// Whether a change that is made comes to its end.
    Completion,
    /// What a later read of the target answers.
    Read,
}

/// What one run did or would do with a step, in words that both kinds of run share.
#[derive(Debug, PartialEq)]
struct Deed {
    does: &'static str,
    change: Value,
    failure: Value,
}

/// All claims of a dry-run against the live run of the same steps. The images are of the target
/// before and after it.
pub fn claims(name: &str, dry: &Run, live: &Run, stage: &dyn Stage, images: (&Value, &Value)) -> Vec<Claim> {
    let (said, happened) = (told(dry), told(live));
    let mut claims = Vec::new();
    let claim = |step: &str, about, grade: &str, agrees, said, happened| Claim {
        scenario: name.to_owned(),
        step: step.to_owned(),
        about,
        grade: grade.to_owned(),
        agrees,
        said,
        happened,
    };
    let mut foreseen = images.0.clone();
    let mut sure = "validated";
    for step in steps(&said) {
        let id = step["id"].as_str().unwrap();
        let other = steps(&happened).find(|other| other["id"] == step["id"]).cloned().unwrap_or_default();
        let grade = step["grade"].as_str().unwrap_or("unknown");
        if step["kind"] == "check" {
            if step["verdict"] == "would_run" && step["error"].is_null() {
                let agrees = step["passed"].is_null() || step["passed"] == other["passed"];
                let agrees = agrees && same_reading(&step["outputs"], &other["outputs"], stage.clocks());
                claims.push(claim(
                    id,
                    About::Read,
                    grade,
                    agrees,
                    step["outputs"].clone(),
                    other["outputs"].clone(),
                ));
            }
            continue;
        }
        let (would, did) = (would(step), did(live, &other));
        let agrees = would.does == did.does
            && would.change == did.change
            && (would.does != "fails" || same_failure(&would.failure, &did.failure));
        claims.push(claim(id, About::Step, grade, agrees, shown(&would), shown(&did)));
        if would.does == "changes" {
            if grade == "predicted" {
                sure = "predicted";
            }
            if let Some(change) = dry.node(id).and_then(|node| node.change.as_deref()) {
                foreseen = stage.foreseen(&foreseen, change);
            }
            let open = dry.node(id).is_some_and(|node| node.open);
            let (would_end, does_end) = (would.failure.is_null(), did.failure.is_null());
            claims.push(claim(
                id,
                About::Completion,
                if open { "unknown" } else { "predicted" },
                open || would_end == does_end,
                would.failure,
                did.failure,
            ));
        }
    }
    let mut moved = Vec::new();
    differences("", &foreseen, images.1, &mut moved);
    claims.push(claim("", About::Target, sure, moved.is_empty(), json!("as the changes say"), json!(moved)));
    claims
}

fn steps(document: &Value) -> impl Iterator<Item = &Value> {
    document["steps"].as_array().unwrap().iter()
}

fn would(step: &Value) -> Deed {
    let failure = step["error"].clone();
    let change = of_change(&step["change"]);
    let does = match (step["verdict"].as_str(), change.is_null(), failure.is_null()) {
        (Some("would_skip"), _, _) => "is skipped",
        (Some("would_run"), false, _) => "changes",
        (Some("would_run"), true, false) => "fails",
        (Some("would_run"), true, true) => "finds nothing to do",
        _ => "nobody knows",
    };
    Deed { does, change, failure }
}

fn did(run: &Run, step: &Value) -> Deed {
    let failure = step["error"].clone();
    let made = step["id"].as_str().is_some_and(|id| run.applied.iter().any(|applied| applied == id));
    let does = match (step["status"].as_str(), made) {
        (_, true) => "changes",
        (Some("failed"), false) => "fails",
        (Some("succeeded"), false) => "finds nothing to do",
        (Some("skipped"), false) => "is skipped",
        _ => "did not end",
    };
    Deed { does, change: if made { of_change(&step["change"]) } else { Value::Null }, failure }
}

fn of_change(change: &Value) -> Value {
    let kept = ["summary", "before", "after", "diff", "digest", "request", "undo"];
    let fields = change.as_object().into_iter().flatten();
    let kept: Map<_, _> = fields
        .filter(|(name, _)| kept.contains(&name.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    if kept.is_empty() { Value::Null } else { kept.into() }
}

fn shown(deed: &Deed) -> Value {
    json!({"does": deed.does, "change": deed.change, "failure": deed.failure})
}

/// The same kind and the same words; a missing right is told in the engine's words beforehand and
/// in the server's afterwards, so there it is the verb and the resource that count.
fn same_failure(said: &Value, happened: &Value) -> bool {
    if said["kind"] != happened["kind"] {
        return false;
    }
    let text = |fault: &Value| fault["message"].as_str().unwrap_or_default().to_owned();
    let (said, happened) = (text(said), text(happened));
    match refused_right(&happened) {
        Some((verb, resource)) => said == happened || said.contains(&format!("`{verb}` {resource}")),
        None => said == happened,
    }
}

/// Of `… cannot VERB resource "RESOURCE" …`.
fn refused_right(message: &str) -> Option<(&str, &str)> {
    let (verb, rest) = message.split_once(" cannot ")?.1.split_once(" resource \"")?;
    Some((verb, rest.split_once('"')?.0))
}

/// Equal wherever the dry-run did not say that nobody knows, clocks aside.
pub fn same_reading(said: &Value, happened: &Value, clocks: &[&str]) -> bool {
    if unknown::reason(said).is_some() {
        return true;
    }
    match (said, happened) {
        (Value::Object(said), Value::Object(happened)) => {
            let mut said = said.iter().filter(|(name, _)| !clocks.contains(&name.as_str()));
            said.all(|(name, said)| same_reading(said, happened.get(name).unwrap_or(&Value::Null), clocks))
        }
        _ => said == happened,
    }
}

/// The changes of a run that took effect and say that they can be taken back.
pub fn undoable(run: &Run) -> impl Iterator<Item = &Change> {
    let changes = run.applied.iter().filter_map(|path| run.node(path)?.change.as_deref());
    changes.filter(|change| change.undo == runbook_core::change::Undo::Auto)
}

//! The JSON document of a run. Its keys are an API.

use serde_json::{Map, Value, json};

use super::{diff, rows};
use crate::{
    event::{StepStatus, Verdict},
    run::{About, Node, Phase, Role, Run, end_word, step_word},
    runbook::Kind,
    secret,
};

/// A run as one document. `writes_sent` is what the transports counted.
pub fn document(run: &Run, writes_sent: u64) -> Value {
    let created = &run.created;
    let status = if run.is_dry() && run.ended.is_some() { "complete" } else { run.status() };
    let whole = json!({
        "run": run.id.to_string(),
        "runbook": created.runbook.name,
        "environment": created.environment,
        "simulated": created.simulated.is_some(),
        "dry_run": run.is_dry(),
        "status": status,
        "reason": run.ended.as_ref().and_then(|ended| ended.reason.clone()),
        "recovered": if run.is_dry() { None } else { run.recovered() },
        "incident": created.incident,
        "requested_by": run.requested_by.name,
        "started_at": run.started_at,
        "ended_at": run.ended.as_ref().map(|ended| ended.at),
        "inputs": created.inputs,
        "writes_sent": writes_sent,
        "steps": rows(run).iter().map(|row| step(run, row.node)).collect::<Vec<_>>(),
    });
    secret::mask(&whole)
}

fn step(run: &Run, node: &Node) -> Value {
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            fields.insert(key.to_owned(), value);
        }
    };
    put("id", json!(node.path));
    put(
        "kind",
        json!(if node.role == Role::Undo { "undo" } else { node.kind().map_or("step", |kind| kind.name()) }),
    );
    put("title", json!(node.step().title));
    put("action", json!(node.action()));
    put("effect", effect(node));
    if run.is_dry() {
        let (verdict, grade, reason) = foreseen(run, node);
        put("verdict", json!(verdict));
        put("grade", json!(grade));
        put("reason", json!(reason));
    } else {
        put("status", json!(status_word(run, node)));
        put("reason", json!(node.reason));
        put("attempts", json!(node.attempt));
    }
    put("passed", json!(node.passed));
    put("outputs", (*node.outputs).clone());
    put("target", json!(node.target.as_ref().map(|target| &target.name)));
    if !node.warnings.is_empty() {
        put("warnings", json!(node.warnings));
    }
    put("risk", json!(node.step().risk));
    put("eta", json!(node.step().eta));
    put("approval", approval(node));
    put("question", question(node));
    put("change", change(node));
    put("started_at", json!(node.started_at));
    put("ended_at", json!(node.ended_at));
    put("error", json!(node.fault));
    Value::Object(fields)
}

fn effect(node: &Node) -> Value {
    match node.kind() {
        Some(Kind::Check(_)) => json!("read"),
        _ => json!(node.effect()),
    }
}

/// The word for where a step of a live run stands.
pub(super) fn status_word(run: &Run, node: &Node) -> &'static str {
    match &node.phase {
        Phase::Ended(status) => step_word(*status),
        Phase::Waiting if run.ended.is_some() => step_word(StepStatus::Skipped),
        Phase::Waiting => "pending",
        Phase::Gated(_) | Phase::Asking(_) => "waiting",
        _ => "running",
    }
}

/// What a dry-run says of a step; one that is never reached would be skipped.
pub(super) fn foreseen(run: &Run, node: &Node) -> (Option<Verdict>, String, String) {
    let grade = node.grade.map_or_else(|| "unknown".to_owned(), |grade| grade.to_string());
    match &node.foreseen {
        Some((verdict, reason)) => (Some(*verdict), grade, reason.clone()),
        None if matches!(node.phase, Phase::Ended(StepStatus::Failed)) => {
            let why = node.reason.clone().unwrap_or_default();
            (Some(Verdict::WouldRun), grade, format!("would fail: {why}"))
        }
        None if run.ended.is_some() => {
            let why = run.decisive_step().map_or_else(
                || "not reached".to_owned(),
                |failed| format!("not reached: `{}` would fail", failed.path),
            );
            (Some(Verdict::WouldSkip), "predicted".to_owned(), why)
        }
        None => (None, grade, String::new()),
    }
}

fn approval(node: &Node) -> Value {
    let Some(gate) = &node.gate else { return Value::Null };
    let decisions: Vec<Value> = node
        .decisions
        .iter()
        .map(|decision| {
            json!({
                "by": decision.by.name,
                "how": decision.by.how,
                "at": decision.at,
                "approved": decision.approved,
                "own_run": decision.own_run,
                "break_glass": decision.break_glass,
                "comment": decision.comment,
            })
        })
        .collect();
    json!({
        "prompt": gate.prompt,
        "from": gate.from,
        "count": gate.count,
        "digest": gate.digest,
        "deadline": gate.deadline,
        "decisions": decisions,
    })
}

fn question(node: &Node) -> Value {
    let Phase::Asking(asking) = &node.phase else { return Value::Null };
    let answers = match asking.about {
        About::Choice => "the id of an option",
        About::Manual => "done | failed | skipped",
        About::Doubt => "happened | did-not-happen | stop",
        About::Conflict => "proceed | stop",
    };
    json!({ "prompt": asking.prompt, "from": asking.from, "answers": answers })
}

fn change(node: &Node) -> Value {
    let Some(change) = &node.change else { return Value::Null };
    json!({
        "summary": change.summary,
        "before": change.before,
        "after": change.after,
        "diff": diff(change),
        "request": change.request,
        "digest": node.digest.clone().unwrap_or_else(|| change.digest()),
        "undo": change.undo,
    })
}

/// How a whole run stands, in one word, for people.
pub(super) fn run_word(run: &Run) -> &'static str {
    match &run.ended {
        Some(ended) => end_word(ended.status),
        None => run.status(),
    }
}

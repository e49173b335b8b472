//! A question that a run asks people, as a JSON document. Its keys are an API.

use serde_json::{Value, json};

use super::diff;
use crate::{
    run::{About, Asking, Gated, Node, Phase, Question, Role, Run},
    secret,
};

/// An open question of a run.
pub fn question(run: &Run, node: &Node, question: &Question<'_>) -> Value {
    let gate = match question {
        Question::Approval(gated) => json!({
            "count": gated.gate.count,
            "delegated": gated.delegated.iter().map(|handed| json!({ "from": handed.from, "to": handed.to })).collect::<Vec<_>>(),
            "granted": gated.granted.iter().map(|actor| &actor.name).collect::<Vec<_>>(),
            "deadline": gated.gate.deadline,
            "escalate_to": gated.gate.escalate_to.get(gated.escalations..),
            "digest": gated.gate.digest,
        }),
        Question::Answer(_) => Value::Null,
    };
    let change = node.change.as_ref().map(
        |change| json!({ "summary": change.summary, "target": change.target.name, "diff": diff(change) }),
    );
    let options: Vec<&str> = options_of(run, node, question);
    secret::mask(&json!({
        "run": run.id,
        "runbook": run.created.runbook.name,
        "environment": run.created.environment,
        "simulated": run.created.simulated.is_some(),
        "requested_by": run.requested_by.name,
        "incident": run.created.incident,
        "step": node.path,
        "kind": question_kind(question),
        "prompt": prompt(question),
        "from": asked(question),
        "options": options,
        "approval": gate,
        "effect": node.effect(),
        "risk": node.step().risk,
        "eta": node.step().eta,
        "change": change,
        "warnings": node.warnings,
    }))
}

/// `approval`, `choice`, `manual`, `doubt` or `conflict`.
pub fn question_kind(question: &Question<'_>) -> &'static str {
    match question {
        Question::Approval(_) => "approval",
        Question::Answer(asking) => match asking.about {
            About::Choice => "choice",
            About::Manual => "manual",
            About::Doubt => "doubt",
            About::Conflict => "conflict",
        },
    }
}

pub fn prompt<'q>(question: &'q Question<'_>) -> &'q str {
    match question {
        Question::Approval(Gated { gate, .. }) => &gate.prompt,
        Question::Answer(Asking { prompt, .. }) => prompt,
    }
}

/// The groups and people who are asked; anybody where there are none.
pub fn asked<'q>(question: &'q Question<'_>) -> &'q [String] {
    match question {
        Question::Approval(Gated { gate, .. }) => &gate.from,
        Question::Answer(Asking { from, .. }) => from,
    }
}

/// The options of a ladder that a person may still pick.
pub fn options<'r>(run: &'r Run, ladder: &str) -> Vec<&'r Node> {
    run.nodes()
        .filter(|node| node.role == Role::Option && node.parent.as_deref() == Some(ladder))
        .filter(|node| node.phase == Phase::Waiting)
        .collect()
}

/// The ids of the options that a question offers; none where it is about something else.
pub fn options_of<'r>(run: &'r Run, node: &Node, question: &Question<'_>) -> Vec<&'r str> {
    match question {
        Question::Answer(Asking { about: About::Choice, .. }) => {
            options(run, &node.path).into_iter().map(|option| option.step().id.as_str()).collect()
        }
        _ => Vec::new(),
    }
}

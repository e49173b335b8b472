//! The names that expressions see.

use serde_json::{Map, Value, json};

use super::{List, Node, Run, Stage, node::Role};
use crate::{
    Timestamp,
    event::{EndStatus, StepStatus},
    expression::{self, ExpressionError},
    secret, unknown,
};

impl Run {
    /// What `when`, `expect`, `until`, prompts and `with` of a node may name.
    pub(super) fn names(&self, node: &Node, now: Timestamp) -> Value {
        let mut names = self.frame_names(&node.frame, now);
        if let (Some(item), Value::Object(names)) = (&node.item, &mut names) {
            names.insert("item".to_owned(), item.clone());
        }
        names
    }

    /// The same with the marks of the secrets that the runbook declares: for `with` only.
    fn names_with_secrets(&self, node: &Node, now: Timestamp) -> Value {
        let mut names = self.names(node, now);
        let marks: Map<_, _> = self
            .frames
            .get(&node.frame)
            .into_iter()
            .flat_map(|frame| frame.runbook.secrets.iter())
            .map(|name| (name.clone(), Value::String(secret::mark(name))))
            .collect();
        if let Value::Object(names) = &mut names {
            names.insert("secrets".to_owned(), Value::Object(marks));
        }
        names
    }

    /// A template of a node, its expressions filled in. Most templates have none, and need no names.
    pub(super) fn filled_in(
        &self,
        node: &Node,
        template: &Value,
        now: Timestamp,
    ) -> Result<Value, ExpressionError> {
        if expression::is_plain(template) {
            return Ok(template.clone());
        }
        expression::render(template, &self.names(node, now))
    }

    /// The same for a template that may name secrets.
    pub(super) fn filled_in_with_secrets(
        &self,
        node: &Node,
        template: &Value,
        now: Timestamp,
    ) -> Result<Value, ExpressionError> {
        if expression::is_plain(template) {
            return Ok(template.clone());
        }
        expression::render(template, &self.names_with_secrets(node, now))
    }

    pub(super) fn frame_names(&self, frame: &str, now: Timestamp) -> Value {
        let inputs = self.frames.get(frame).map_or(Value::Null, |frame| (*frame.inputs).clone());
        let name = self.frames.get(frame).map_or("", |frame| frame.runbook.name.as_str());
        let now = now.to_string();
        json!({
            "inputs": inputs,
            "alert": *self.alert,
            "incident": self.created.incident,
            "now": now,
            "run": {
                "id": self.id.to_string(),
                "name": name,
                "environment": self.created.environment,
                "simulated": self.created.simulated.is_some(),
                "dry_run": self.is_dry(),
                "reason": self.created.reason,
                "requested_by": self.requested_by.name,
                "started_at": self.started_at.to_string(),
                "recovered": self.recovered(),
                "status": self.outcome_so_far(frame),
                "now": now,
            },
            "steps": self.step_names(frame),
        })
    }

    /// What `finally` steps may say of how it went.
    fn outcome_so_far(&self, frame: &str) -> &'static str {
        let failed = self.frame_failure(frame).is_some();
        match (self.cancel.is_some(), failed) {
            (true, _) => super::end_word(EndStatus::Cancelled),
            (false, true) => super::end_word(EndStatus::Failed),
            (false, false) => super::end_word(EndStatus::Succeeded),
        }
    }

    fn step_names(&self, frame: &str) -> Value {
        // What always runs speaks of every step, also of those that were never reached.
        let closing = self.frames.get(frame).is_some_and(|frame| frame.stage == Stage::Finally);
        let is_told = |node: &&Node| {
            let named = node.frame == frame && matches!(node.role, Role::Step | Role::Option);
            named && (node.phase.is_ended() || (closing && node.place.list == List::Steps))
        };
        let visible = self.nodes().filter(is_told);
        let mut steps = Map::new();
        for node in visible {
            let value = self.step_value(node);
            // An option inside an item is known only inside its ladder.
            steps.entry(node.step().id.clone()).or_insert(value);
        }
        Value::Object(steps)
    }

    fn step_value(&self, node: &Node) -> Value {
        let foreseen = self.is_dry() && node.foreseen.is_some();
        let unknown_or = |value: Value| {
            if foreseen && value.is_null() {
                unknown::because(format!("`{}` only ends in a live run", node.path))
            } else {
                value
            }
        };
        json!({
            "outputs": unknown_or((*node.outputs).clone()),
            "passed": unknown_or(node.passed.map_or(Value::Null, Value::Bool)),
            "error": node.fault.as_ref().map(|fault| fault.message.clone()),
            "status": step_word(node.status().unwrap_or(StepStatus::Skipped)),
        })
    }

    /// Evaluates a condition of a node; `None` is unknown.
    pub(super) fn condition(
        &self,
        node: &Node,
        source: &str,
        now: Timestamp,
    ) -> Result<Option<bool>, String> {
        expression::holds(source, &self.names(node, now)).map_err(|error| error.to_string())
    }

    /// Whether what a check read is as expected: the outputs' names come first.
    pub(super) fn expectation(
        &self,
        node: &Node,
        source: &str,
        outputs: &Value,
        now: Timestamp,
    ) -> Result<Option<bool>, String> {
        let names = with_outputs(self.names(node, now), outputs);
        expression::holds(source, &names).map_err(|error| error.to_string())
    }
}

/// Lays outputs over the names, as `expect` sees them.
pub(super) fn with_outputs(mut names: Value, outputs: &Value) -> Value {
    if let (Value::Object(names), Value::Object(outputs)) = (&mut names, outputs) {
        names.extend(outputs.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    names
}

/// The word for the end of a step, as JSON and expressions have it.
pub fn step_word(status: StepStatus) -> &'static str {
    match status {
        StepStatus::Succeeded => "succeeded",
        StepStatus::Failed => "failed",
        StepStatus::Skipped => "skipped",
        StepStatus::Undone => "undone",
        StepStatus::Stuck => "stuck",
        StepStatus::Cancelled => "cancelled",
    }
}

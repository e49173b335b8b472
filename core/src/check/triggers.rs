//! Triggers: what an alert must bring for a run to start.

use super::{
    Checker,
    scope::{Scope, did_you_mean},
};
use crate::{
    finding::Code,
    inputs,
    parse::tree::Node,
    runbook::Trigger,
    schema::{shape, validate::Filled},
};

impl<'a> Checker<'a> {
    pub(super) fn check_triggers(&mut self) {
        let nodes: &'a [Node] = self.tree.get("triggers").map(Node::items).unwrap_or_default();
        for (trigger, node) in self.runbook.triggers.iter().zip(nodes) {
            // An alert is all there is before a run.
            let scope = Scope::alert();
            if let Some(when) = node.get("when") {
                self.check_verdict(when, &scope);
            }
            if let Some(given) = node.get("inputs") {
                self.check_templates(given, &scope);
            }
            self.check_mapping(trigger, node);
            self.check_group(trigger, node);
            if trigger.max_runs.as_ref().is_some_and(|limit| limit.count == 0) {
                let at = node.get("max_runs").map_or_else(|| node.caret(), |limit| limit.value_span("count"));
                self.say(Code::OutOfRange, at, "`count` cannot be 0").hint =
                    Some("remove the trigger if it is to start nothing".to_owned());
            }
        }
    }

    fn check_mapping(&mut self, trigger: &Trigger, node: &Node) {
        let given = node.get("inputs");
        for entry in given.map(Node::entries).unwrap_or_default() {
            let Some(input) = self.runbook.inputs.get(&entry.key) else {
                if !self.was_left_out(&["inputs", &entry.key]) {
                    let hint = did_you_mean(&entry.key, self.runbook.inputs.keys().map(String::as_str));
                    let message = format!("there is no input `{}`", entry.key);
                    self.say(Code::UnknownInput, entry.key_span.clone(), message).hint = hint;
                }
                continue;
            };
            let value = entry.value.to_json();
            let filled = entry.value.text().and_then(|text| self.filled(text));
            let problem = match filled {
                None => inputs::check(input, &value).err(),
                Some(Filled::Anything) => None,
                Some(Filled::Type(kind)) => {
                    let declared = inputs::article(input.kind);
                    let comes_to = shape::article(kind);
                    (declared != comes_to)
                        .then(|| format!("must be {declared}, and this comes to {comes_to}"))
                }
            };
            if let Some(message) = problem.filter(|_| !contains_template(&value)) {
                let message = format!("the input `{}` {message}", entry.key);
                self.say(Code::BadField, entry.value.caret(), message);
            }
        }
        let unmapped = self
            .runbook
            .inputs
            .iter()
            .filter(|(name, input)| input.default.is_none() && !trigger.inputs.contains_key(*name));
        let unmapped: Vec<&String> = unmapped.map(|(name, _)| name).collect();
        for name in unmapped {
            let at = if given.is_some() { node.key_span("inputs") } else { node.value_span("source") };
            self.say(Code::UnmappedInput, at, format!("the trigger gives no value to the input `{name}`"))
                .hint = Some(format!(
                "add `inputs: {{ {name}: \"${{{{ alert.labels.{name} }}}}\" }}`, or give the input a default"
            ));
        }
    }

    fn check_group(&mut self, trigger: &Trigger, node: &Node) {
        let nodes = node.get("group_by").map(Node::items).unwrap_or_default();
        for (name, node) in trigger.group_by.iter().zip(nodes) {
            if !self.runbook.inputs.contains_key(name) && !self.was_left_out(&["inputs", name]) {
                let hint = did_you_mean(name, self.runbook.inputs.keys().map(String::as_str));
                self.say(Code::UnknownInput, node.caret(), format!("there is no input `{name}`")).hint = hint;
            }
        }
    }
}

/// Whether something inside a list or an object is filled in later.
fn contains_template(value: &serde_json::Value) -> bool {
    matches!(shape::type_of_json(value), "array" | "object") && value.to_string().contains("${{")
}

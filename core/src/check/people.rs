//! Groups, people and secrets that a runbook names.

use std::collections::BTreeSet;

use super::{Checker, scope::did_you_mean};
use crate::{finding::Code, parse::tree::Node, runbook::Approval};

impl<'a> Checker<'a> {
    /// That every name under `key` is a group with somebody in it, or a person.
    pub(super) fn check_people(&mut self, names: &[String], node: &Node, key: &str) {
        let Some(groups) = &self.catalog.groups else { return };
        let nodes = node.get(key).map(Node::items).unwrap_or_default();
        for (name, node) in names.iter().zip(nodes) {
            let is_person = groups.values().flatten().any(|person| person == name);
            let (message, hint) = match groups.get(name) {
                Some(members) if !members.is_empty() => continue,
                Some(_) => (format!("nobody is in the group `{name}`"), "add somebody to it".to_owned()),
                None if is_person => continue,
                None => {
                    let hint = did_you_mean(name, groups.keys().map(String::as_str));
                    let hint = hint.unwrap_or_else(|| "define it under `people.groups`".to_owned());
                    (format!("there is no group or person `{name}`"), hint)
                }
            };
            self.say(Code::UnknownGroup, node.caret(), message).hint = Some(hint);
        }
    }

    /// That as many people as are asked for exist.
    pub(super) fn check_count(&mut self, approval: &Approval, node: &Node) {
        let Some(groups) = &self.catalog.groups else { return };
        let mut people: BTreeSet<&str> = BTreeSet::new();
        for name in approval.from.iter().chain(&approval.escalate_to) {
            match groups.get(name) {
                Some(members) => people.extend(members.iter().map(String::as_str)),
                None => drop(people.insert(name)),
            }
        }
        let asked = approval.count.unwrap_or(1);
        let there_are = u32::try_from(people.len()).unwrap_or(u32::MAX);
        if !approval.from.is_empty() && there_are > 0 && asked > there_are {
            let message = format!("{asked} people must approve, and only {there_are} may");
            self.say(Code::TooFewApprovers, node.value_span("count"), message).hint =
                Some("add people to the groups, or groups to the approval".to_owned());
        }
    }

    pub(super) fn check_escalation(&mut self) {
        let (Some(escalation), Some(node)) = (&self.runbook.escalation, self.tree.get("escalation")) else {
            return;
        };
        self.check_people(&escalation.to, node, "to");
        if escalation.to.is_empty() {
            self.escalates_to_nobody(node, "to", "to");
        }
    }

    pub(super) fn check_secrets(&mut self) {
        let Some(defined) = &self.catalog.secrets else { return };
        let nodes: &'a [Node] = self.tree.get("secrets").map(Node::items).unwrap_or_default();
        for (name, node) in self.runbook.secrets.iter().zip(nodes) {
            if !defined.contains(name) {
                let hint = did_you_mean(name, defined.iter().map(String::as_str));
                let hint =
                    hint.unwrap_or_else(|| "define it under `secrets` in the configuration".to_owned());
                let message = format!("the secret `{name}` is not defined anywhere");
                self.say(Code::UndefinedSecret, node.caret(), message).hint = Some(hint);
            }
        }
    }
}

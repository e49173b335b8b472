//! Ids and the order of steps.

use std::collections::BTreeSet;

use super::{
    Checker,
    index::{Indexed, Part},
    scope::did_you_mean,
};
use crate::{finding::Code, graph, parse::tree::Node, runbook::Step};

impl<'a> Checker<'a> {
    /// That every id is given once: steps, options and what is under `finally` share one space.
    pub(super) fn check_ids(&mut self, places: &[Indexed<'a>]) {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for here in places {
            if !seen.insert(here.id()) {
                let first = self.index.find(here.id()).map_or(0, |first| first.node.value_span("id").start);
                let line = self.document.position(first).line;
                let message = format!("the id `{}` is taken", here.id());
                self.say(Code::DuplicateId, here.node.value_span("id"), message).hint =
                    Some(format!("the step in line {line} has it; options share their ids with steps"));
            }
        }
    }

    pub(super) fn check_needs(&mut self) {
        for (part, key, steps) in
            [(Part::Steps, "steps", &self.runbook.steps), (Part::Finally, "finally", &self.runbook.finally)]
        {
            let nodes: &'a [Node] = self.tree.get(key).map(Node::items).unwrap_or_default();
            for (step, node) in steps.iter().zip(nodes) {
                self.check_needed(step, node, part);
            }
            let edges = graph::edges(steps);
            for cycle in graph::cycles(&edges) {
                self.say_cycle(&cycle, steps, nodes);
            }
        }
    }

    fn check_needed(&mut self, step: &Step, node: &Node, part: Part) {
        let names = step.needs.as_deref().unwrap_or_default();
        let nodes = node.get("needs").map(Node::items).unwrap_or_default();
        for (name, node) in names.iter().zip(nodes) {
            let known = self.index.find(name);
            let (message, hint) = match known {
                Some(known) if known.part == part && !known.is_option() => continue,
                Some(known) if known.is_option() => {
                    let ladder = known.ladder.map_or("", |ladder| ladder.id.as_str());
                    (format!("`{name}` is an option of `{ladder}`"), Some(format!("need `{ladder}` itself")))
                }
                Some(_) => (
                    format!("`{name}` is not in the same list"),
                    Some("steps under `finally` always come after all others".to_owned()),
                ),
                None => {
                    let others = self.index.all().filter(|other| other.part == part && !other.is_option());
                    let others = others.map(|other| other.id()).filter(|id| *id != step.id);
                    (format!("there is no step `{name}`"), did_you_mean(name, others))
                }
            };
            self.say(Code::UnknownNeed, node.caret(), message).hint = hint;
        }
    }

    fn say_cycle(&mut self, cycle: &[usize], steps: &[Step], nodes: &[Node]) {
        let Some(first) = cycle.first() else { return };
        let ids =
            cycle.iter().chain([first]).filter_map(|index| steps.get(*index)).map(|step| step.id.as_str());
        let message = format!("these steps wait for each other: {}", ids.collect::<Vec<_>>().join(" -> "));
        let at = nodes.get(*first).map_or(0..0, |node| node.key_span("needs"));
        self.say(Code::CyclicNeeds, at, message).hint =
            Some("none of them can ever start; let one need less".to_owned());
    }
}

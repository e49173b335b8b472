//! Every step that can be addressed, with its node and its place.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    graph,
    parse::tree::Node,
    runbook::{Kind, Runbook, Step},
};

/// All steps of a runbook: those of the list, the options of ladders, those under `finally`.
pub struct Index<'a> {
    entries: Vec<Indexed<'a>>,
    /// The first entry of every id.
    by_id: BTreeMap<&'a str, usize>,
    /// For every step of either part, the positions of those that settle before it.
    settled: [Vec<BTreeSet<usize>>; 2],
}

/// One step in its place.
#[derive(Debug, Clone, Copy)]
pub struct Indexed<'a> {
    pub step: &'a Step,
    pub node: &'a Node,
    pub part: Part,
    /// Its position in the list of its part; for an option, that of its ladder.
    pub position: usize,
    /// For an option, its place in the ladder.
    pub option: Option<usize>,
    /// The ladder of an option.
    pub ladder: Option<&'a Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Steps,
    Finally,
}

impl<'a> Indexed<'a> {
    pub fn id(&self) -> &'a str {
        &self.step.id
    }
    pub fn is_option(&self) -> bool {
        self.option.is_some()
    }
}

impl<'a> Index<'a> {
    pub fn new(runbook: &'a Runbook, tree: &'a Node) -> Self {
        let mut entries = Vec::new();
        for (part, key, steps) in
            [(Part::Steps, "steps", &runbook.steps), (Part::Finally, "finally", &runbook.finally)]
        {
            let nodes = tree.get(key).map(Node::items).unwrap_or_default();
            for (position, (step, node)) in steps.iter().zip(nodes).enumerate() {
                entries.push(Indexed { step, node, part, position, option: None, ladder: None });
                let options = step.options.as_deref().unwrap_or_default();
                let option_nodes = node.get("options").map(Node::items).unwrap_or_default();
                for (place, (option, node)) in options.iter().zip(option_nodes).enumerate() {
                    entries.push(Indexed {
                        step: option,
                        node,
                        part,
                        position,
                        option: Some(place),
                        ladder: Some(step),
                    });
                }
            }
        }
        let settled = [&runbook.steps, &runbook.finally].map(|steps| graph::upstream(&graph::edges(steps)));
        let mut by_id = BTreeMap::new();
        for (place, entry) in entries.iter().enumerate() {
            by_id.entry(entry.id()).or_insert(place);
        }
        Self { entries, by_id, settled }
    }

    pub fn all(&self) -> impl Iterator<Item = Indexed<'a>> {
        self.entries.iter().copied()
    }
    pub fn find(&self, id: &str) -> Option<Indexed<'a>> {
        self.by_id.get(id).and_then(|place| self.entries.get(*place)).copied()
    }
    pub fn ids(&self) -> impl Iterator<Item = &'a str> {
        self.by_id.keys().copied()
    }

    /// Whether `other` has settled whenever `here` starts.
    pub fn is_before(&self, other: &Indexed<'a>, here: &Indexed<'a>) -> bool {
        match (other.part, here.part) {
            // What is under `finally` comes after every other step.
            (Part::Steps, Part::Finally) => true,
            (Part::Finally, Part::Steps) => false,
            _ if other.position == here.position => {
                // Among the options of one ladder, those that did not help.
                matches!((other.option, here.option), (Some(one), Some(other)) if one < other)
            }
            _ => {
                let settled = &self.settled[usize::from(here.part == Part::Finally)];
                settled.get(here.position).is_some_and(|settled| settled.contains(&other.position))
            }
        }
    }
}

/// Whether a step passes or not, besides succeeding or failing.
pub fn has_verdict(step: &Step) -> bool {
    matches!(step.kind(), Some(Kind::Check(_))) && (step.expect.is_some() || step.until.is_some())
}

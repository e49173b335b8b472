//! Every step that can be addressed, with its node and its place.

use std::collections::BTreeSet;

use crate::{
    graph,
    parse::tree::Node,
    runbook::{Kind, Runbook, Step},
};

/// All steps of a runbook: those of the list, the options of ladders, those under `finally`.
pub struct Index<'a> {
    entries: Vec<Indexed<'a>>,
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
        Self { entries, settled }
    }

    pub fn all(&self) -> Vec<Indexed<'a>> {
        self.entries.clone()
    }
    pub fn find(&self, id: &str) -> Option<Indexed<'a>> {
        self.entries.iter().find(|entry| entry.step.id == id).copied()
    }
    pub fn ids(&self) -> impl Iterator<Item = &'a str> {
        self.entries.iter().map(|entry| entry.step.id.as_str())
    }

    /// The ids of the steps that have settled whenever `here` starts.
    pub fn before(&self, here: &Indexed<'a>) -> BTreeSet<&'a str> {
        let settled = &self.settled[usize::from(here.part == Part::Finally)];
        let settles_before = |position| {
            position != here.position && settled.get(here.position).is_some_and(|s| s.contains(&position))
        };
        let is_before = |entry: &&Indexed<'a>| match (entry.part, here.part) {
            // What is under `finally` comes after every other step.
            (Part::Steps, Part::Finally) => true,
            (Part::Finally, Part::Steps) => false,
            _ if entry.position == here.position => {
                // Among the options of one ladder, those that did not help.
                matches!((entry.option, here.option), (Some(one), Some(other)) if one < other)
            }
            _ => settles_before(entry.position),
        };
        self.entries.iter().filter(is_before).map(Indexed::id).collect()
    }
}

/// Whether a step passes or not, besides succeeding or failing.
pub fn has_verdict(step: &Step) -> bool {
    matches!(step.kind(), Some(Kind::Check(_))) && (step.expect.is_some() || step.until.is_some())
}

//! Undo: the changes that took effect are taken back in reverse order, each after a look whether
//! someone else has changed the target since.

use std::sync::Arc;

use super::{
    Effect, Node, Phase, Run,
    advance::is_within,
    draft::{Draft, End},
    fold::Corrupt,
    node::Role,
    pending::READ_TIMEOUT,
};
use crate::{
    Timestamp,
    change::Undo,
    event::{Body, StepStatus},
    fault::Fault,
    runbook::UndoChoice,
};

/// How the changes of a run would be taken back.
#[derive(Debug, Clone)]
pub struct UndoOutlook {
    /// By step, the last change first.
    pub effects: Vec<(String, Result<Effect, Fault>)>,
    /// The changes that would stay, with the reasons.
    pub left: Option<String>,
}

impl Run {
    /// The steps of a frame whose changes can be taken back, the last change first.
    pub(super) fn to_take_back(&self, frame: &str) -> Vec<String> {
        let inside = |path: &&String| is_within(path, frame);
        self.applied
            .iter()
            .rev()
            .filter(inside)
            .filter(|path| self.node(path).is_some_and(|node| can_be_taken_back(node).is_ok()))
            .cloned()
            .collect()
    }

    /// The changes that stay, with the reasons.
    pub(super) fn left_as_they_are(&self, frame: &str) -> Option<String> {
        let left: Vec<String> = self
            .applied
            .iter()
            .filter(|path| is_within(path, frame))
            .filter_map(|path| Some((path, can_be_taken_back(self.node(path)?).err()?)))
            .map(|(path, why)| format!("{path} ({why})"))
            .collect();
        (!left.is_empty()).then(|| format!("left as they are: {}", left.join(", ")))
    }

    /// How each change that took effect would be planned to be taken back, the last change first, for
    /// a look before it is asked for; with the reasons why others would stay.
    pub fn undo_outlook(&self, now: Timestamp) -> UndoOutlook {
        let effects = self.to_take_back("").into_iter().filter_map(|path| {
            let effect = self.undo_effect(self.node(&path)?, now).transpose()?;
            Some((path, effect))
        });
        UndoOutlook { effects: effects.collect(), left: self.left_as_they_are("") }
    }

    fn undo_effect(&self, of: &Node, now: Timestamp) -> Result<Option<Effect>, Fault> {
        let path = format!("{}~undo", of.path);
        let parent = Some(of.path.clone());
        let mut node = Node::new(path.clone(), of.place.clone(), Role::Undo, of.frame.clone(), parent);
        node.item.clone_from(&of.item);
        if let Some(UndoChoice::Action(own)) = &of.step().undo {
            let rendered = self.filled_in_with_secrets(&node, &own.with, now);
            node.input = Arc::new(rendered.map_err(|error| Fault::permanent(error.to_string()))?);
        }
        let task = self.plan_task(&node, now);
        Ok(task.map(|task| Effect { key: path.clone(), step: path, timeout: READ_TIMEOUT, task }))
    }

    /// One after the other, and none after one that is stuck.
    pub(super) fn undo_may_start(&self, node: &Node) -> bool {
        self.undo_nodes("")
            .take_while(|other| other.path != node.path)
            .all(|other| matches!(other.phase, Phase::Ended(StepStatus::Succeeded | StepStatus::Skipped)))
    }

    pub(super) fn taking_back_is_through(&self, frame: &str) -> bool {
        let mut stuck = false;
        for node in self.undo_nodes(frame) {
            stuck |= node.phase == Phase::Ended(StepStatus::Stuck);
            if !(node.phase.is_ended() || (stuck && node.phase == Phase::Waiting)) {
                return false;
            }
        }
        true
    }

    fn undo_nodes(&self, frame: &str) -> impl Iterator<Item = &Node> {
        self.nodes().filter(move |node| node.role == Role::Undo && is_within(&node.path, frame))
    }
}

/// Whether the change of a step can be taken back, and if not, why.
fn can_be_taken_back(node: &Node) -> Result<(), String> {
    match (&node.step().undo, &node.change) {
        (Some(UndoChoice::Never), _) => Err("the runbook says `undo: never`".to_owned()),
        (Some(UndoChoice::Action(_)), _) => Ok(()),
        (_, Some(change)) => match &change.undo {
            Undo::Auto => Ok(()),
            Undo::None(why) => Err(why.clone()),
        },
        (_, None) => Err("nothing was changed".to_owned()),
    }
}

impl Draft {
    pub(super) fn take_back(&mut self, frame: &str) -> Result<(), Corrupt> {
        let steps = self.run.to_take_back(frame);
        self.emit(Body::UndoStarted { frame: frame.to_owned(), steps })
    }

    /// A person let a change stand, or said to stop while taking it back.
    pub(super) fn stop_taking_back(&mut self, path: &str, by: &str) -> Result<(), Corrupt> {
        let reason = format!("{by} said to stop: the change is still there");
        self.end(path, End::because(StepStatus::Stuck, reason))
    }
}

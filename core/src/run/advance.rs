//! What follows by itself: from the state and the time, one transition after the other, until
//! nothing more follows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    List, Node, Phase, Run, Stage,
    draft::{Draft, End},
    fold::Corrupt,
    node::{About, ClimbStep, Role},
    pending::POLL,
};
use crate::{
    Timestamp,
    event::{Body, EndStatus, StepStatus},
    fault::Fault,
    runbook::{Kind, OnEnd, OnFailure},
};

/// A run of the largest size has a few hundred steps, each with a handful of transitions; more
/// than this at once is a defect, told as such instead of spinning.
const MOST_TRANSITIONS: usize = 20_000;

/// One thing that follows.
#[derive(Debug)]
enum Move {
    Start(String),
    Cancel(String),
    GateExpired(String),
    Waited(String),
    ExpectationOver(String),
    NotSteadyInTime(String),
    CheckOver(String),
    BusyForTooLong(String),
    Climb(String),
    AllItems(String),
    NestedDone(String),
}

impl Draft {
    pub(super) fn advance(&mut self) -> Result<(), Corrupt> {
        for _ in 0..MOST_TRANSITIONS {
            if self.run.ended.is_some() || !self.advance_once()? {
                return Ok(());
            }
        }
        Err(Corrupt { seq: self.run.seq, why: "the run does not come to rest".to_owned() })
    }

    fn advance_once(&mut self) -> Result<bool, Corrupt> {
        if self.run.timeout_at().is_some_and(|at| at <= self.now) {
            let undo = self.run.created.runbook.on_failure == OnEnd::Undo;
            let reason = self.run.created.runbook.timeout.map(|timeout| format!("not done within {timeout}"));
            self.emit(Body::CancelRequested { undo, reason })?;
            return Ok(true);
        }
        if self.run.escalate_at().is_some_and(|at| at <= self.now) {
            let to = self.run.created.runbook.escalation.as_ref().map_or_else(Vec::new, |e| e.to.clone());
            self.emit(Body::RunEscalated { to })?;
            return Ok(true);
        }
        let next = self.run.nodes().find_map(|node| self.run.move_of(node, self.now));
        match next {
            Some(next) => self.make(next).map(|()| true),
            None => self.advance_frames(),
        }
    }

    fn make(&mut self, next: Move) -> Result<(), Corrupt> {
        match next {
            Move::Start(path) => self.start(&path),
            Move::Cancel(path) => {
                self.end(&path, End::because(StepStatus::Cancelled, "the run was cancelled"))
            }
            Move::GateExpired(path) => match self.node(&path).map(|node| node.phase.clone()) {
                Some(Phase::Gated(gated)) => self.gate_expired(&path, &gated),
                _ => Ok(()),
            },
            Move::Waited(path) => self.end(&path, End::of(StepStatus::Succeeded).passed(Some(true))),
            Move::ExpectationOver(path) => self.expectation_over(&path),
            Move::NotSteadyInTime(path) => {
                let hold = self.node(&path).and_then(|node| node.step().hold).unwrap_or_default();
                let fault = Fault::permanent(format!("the steady state did not hold for {hold} in time"));
                self.fail(&path, fault)
            }
            Move::CheckOver(path) => self.check_timed_out(&path),
            Move::BusyForTooLong(path) => {
                let fault = self.node(&path).and_then(|node| node.fault.clone());
                let fault =
                    fault.unwrap_or_else(|| Fault::conflict("another run held the target for too long"));
                self.fail_or_stick(&path, fault)
            }
            Move::Climb(path) => self.climb(&path),
            Move::AllItems(path) => self.all_items(&path),
            Move::NestedDone(path) => self.leave(&path),
        }
    }

    fn expectation_over(&mut self, path: &str) -> Result<(), Corrupt> {
        let Some(node) = self.node(path) else { return Ok(()) };
        let source = node.step().wait.clone().unwrap_or_default();
        match self.run.condition(node, &source, self.now) {
            Ok(Some(true)) => self.end(path, End::of(StepStatus::Succeeded).passed(Some(true))),
            Ok(_) => self.fail(path, Fault::permanent(format!("`{source}` did not come to hold in time"))),
            Err(why) => self.fail(path, Fault::permanent(why)),
        }
    }

    /// A `for_each` ends with its last item.
    fn all_items(&mut self, path: &str) -> Result<(), Corrupt> {
        let items: Vec<&Node> = self.run.parts_of(path, Role::Item).collect();
        let failed = items.iter().find(|item| !item.has_settled() && item.phase.is_ended());
        let outputs: Vec<Value> = items.iter().map(|item| (*item.outputs).clone()).collect();
        let passed =
            items.iter().map(|item| item.passed).try_fold(true, |all, one| one.map(|one| all && one));
        let end = match failed {
            Some(item) => {
                let reason =
                    format!("{} failed: {}", item.path, item.reason.as_deref().unwrap_or("no reason given"));
                let status = if item.phase == Phase::Ended(StepStatus::Cancelled) {
                    StepStatus::Cancelled
                } else {
                    StepStatus::Failed
                };
                (status, Some(reason), item.fault.clone())
            }
            None => (StepStatus::Succeeded, None, None),
        };
        let (status, reason, fault) = end;
        if self.run.is_dry() {
            self.foresee_composite(path)?;
        }
        self.emit(Body::StepEnded {
            step: path.to_owned(),
            status,
            passed: if failed_status(status) { Some(false) } else { passed },
            outputs: serde_json::json!({ "items": outputs }),
            reason,
            fault,
        })
    }

    /// A step that entered another runbook ends with it.
    fn leave(&mut self, path: &str) -> Result<(), Corrupt> {
        let (status, reason, fault) = self.run.end_of(path);
        let ended = match status {
            EndStatus::Succeeded | EndStatus::Complete => StepStatus::Succeeded,
            EndStatus::Stuck => StepStatus::Stuck,
            EndStatus::Cancelled => StepStatus::Cancelled,
            EndStatus::Failed | EndStatus::Undone | EndStatus::Superseded => StepStatus::Failed,
        };
        if self.run.is_dry() {
            self.foresee_composite(path)?;
        }
        self.emit(Body::StepEnded {
            step: path.to_owned(),
            status: ended,
            passed: if self.run.is_dry() { None } else { Some(ended == StepStatus::Succeeded) },
            outputs: serde_json::json!({ "status": super::end_word(status), "recovered": self.run.recovered() }),
            reason,
            fault,
        })
    }

    fn advance_frames(&mut self) -> Result<bool, Corrupt> {
        // Inner runbooks first: they end before the step that entered them does.
        let frames: Vec<String> = self.run.frames.keys().rev().cloned().collect();
        for frame in frames {
            if self.advance_frame(&frame)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn advance_frame(&mut self, frame: &str) -> Result<bool, Corrupt> {
        let stage = self.run.frames.get(frame).map_or(Stage::Done, |frame| frame.stage);
        let root = frame.is_empty();
        match stage {
            Stage::Steps if root && self.run.undo_requested_by.is_some() => {
                self.take_back(frame).map(|()| true)
            }
            Stage::Steps if !self.run.steps_are_through(frame) => Ok(false),
            Stage::Steps if root && self.run.needs_final_look() => Ok(false),
            Stage::Steps if self.run.wants_undo(frame) => self.take_back(frame).map(|()| true),
            Stage::TakingBack if !self.run.taking_back_is_through(frame) => Ok(false),
            Stage::Steps | Stage::TakingBack if self.run.has_finally(frame) => {
                self.emit(Body::FinallyStarted { frame: frame.to_owned() })?;
                Ok(true)
            }
            Stage::Finally if !self.run.finally_is_through(frame) => Ok(false),
            Stage::Done => Ok(false),
            Stage::Steps | Stage::TakingBack | Stage::Finally if root => self.end_run().map(|()| true),
            // An inner frame is left by the step that entered it.
            Stage::Steps | Stage::TakingBack | Stage::Finally => Ok(false),
        }
    }

    fn end_run(&mut self) -> Result<(), Corrupt> {
        let (status, reason, _) = self.run.end_of("");
        let recovered =
            self.run.recovered.filter(|last| last.seq > last.after_change).and_then(|last| last.holds);
        self.emit(Body::RunEnded { status, recovered, reason })
    }
}

fn failed_status(status: StepStatus) -> bool {
    matches!(status, StepStatus::Failed | StepStatus::Cancelled | StepStatus::Stuck)
}

impl Run {
    /// What follows for one node, if anything.
    fn move_of(&self, node: &Node, now: Timestamp) -> Option<Move> {
        let path = || node.path.clone();
        if self.is_to_be_cancelled(node) {
            return Some(Move::Cancel(path()));
        }
        let over = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= now);
        match &node.phase {
            Phase::Waiting => self.may_start(node).then(|| Move::Start(path())),
            Phase::Gated(gated) => over(gated.gate.deadline).then(|| Move::GateExpired(path())),
            Phase::Timing { until } => (*until <= now).then(|| Move::Waited(path())),
            Phase::Expecting { deadline } => {
                let source = node.step().wait.as_deref().unwrap_or_default();
                let settled = !matches!(self.condition(node, source, now), Ok(Some(false) | None));
                (settled || *deadline <= now).then(|| Move::ExpectationOver(path()))
            }
            Phase::Soaking(soak) => (soak.deadline <= now).then(|| Move::NotSteadyInTime(path())),
            Phase::Reading { .. } if node.step().until.is_some() && node.not_before.is_some() => {
                over(self.poll_deadline(node)).then(|| Move::CheckOver(path()))
            }
            Phase::Confirming if node.not_before.is_some() => {
                over(self.busy_deadline(node)).then(|| Move::BusyForTooLong(path()))
            }
            Phase::Climbing(climb) => {
                let due = match &climb.step {
                    ClimbStep::Before => !self.looks_at_steady_state(node),
                    ClimbStep::Next => true,
                    ClimbStep::Trying(option) => self
                        .node(&format!("{}.{option}", node.path))
                        .is_some_and(|option| option.phase.is_ended()),
                    ClimbStep::Settling { deadline, .. } => {
                        !self.looks_at_steady_state(node) || *deadline <= now
                    }
                };
                due.then(|| Move::Climb(path()))
            }
            Phase::Spread { .. } => self.items_are_through(node).then(|| Move::AllItems(path())),
            Phase::Nested => self.frame_is_through(&node.path).then(|| Move::NestedDone(path())),
            _ => None,
        }
    }

    /// After a cancel, whatever can stop without leaving anything in doubt stops.
    fn is_to_be_cancelled(&self, node: &Node) -> bool {
        let in_steps = || self.frames.get(&node.frame).is_some_and(|frame| frame.stage == Stage::Steps);
        if self.cancel.is_none() || node.role == Role::Undo || node.place.list == List::Finally || !in_steps()
        {
            return false;
        }
        match &node.phase {
            Phase::Waiting | Phase::Ended(_) | Phase::Nested => false,
            Phase::Applying { .. } | Phase::Doubtful { .. } => false,
            Phase::Asking(asking) => asking.about != About::Doubt,
            Phase::Climbing(_) | Phase::Spread { .. } => {
                self.parts(&node.path).all(|part| part.phase.is_ended() || part.phase == Phase::Waiting)
            }
            _ => true,
        }
    }

    fn may_start(&self, node: &Node) -> bool {
        match node.role {
            Role::Step => self.step_may_start(node),
            Role::Option => self.parent_of(node).is_some_and(|ladder| match &ladder.phase {
                Phase::Climbing(climb) => climb.step == ClimbStep::Trying(node.step().id.clone()),
                _ => false,
            }),
            Role::Item => self.item_may_start(node),
            Role::Undo => self.undo_may_start(node),
        }
    }

    fn step_may_start(&self, node: &Node) -> bool {
        let Some(frame) = self.frames.get(&node.frame) else { return false };
        let (steps, edges) = match (frame.stage, node.place.list) {
            (Stage::Steps, List::Steps) => (&frame.runbook.steps, &frame.edges.steps),
            (Stage::Finally, List::Finally) => (&frame.runbook.finally, &frame.edges.finally),
            _ => return false,
        };
        let prefix = node.path.strip_suffix(node.step().id.as_str()).unwrap_or_default();
        let needs = edges.get(node.place.index).map_or(&[][..], Vec::as_slice);
        let are_done = needs.iter().filter_map(|need| steps.get(*need)).all(|need| {
            let needed = self.node(&format!("{prefix}{}", need.id));
            // What always runs does not wait for the success of what else always runs.
            needed.is_some_and(|needed| {
                needed.has_settled() || (node.place.list == List::Finally && needed.phase.is_ended())
            })
        });
        are_done && (node.place.list == List::Finally || !self.is_halted(&node.frame))
    }

    fn item_may_start(&self, node: &Node) -> bool {
        let Some(parent) = node.parent.as_deref() else { return false };
        let most = node.step().max_parallel.unwrap_or(1).max(1) as usize;
        let siblings = || self.parts_of(parent, Role::Item);
        let at_work =
            siblings().filter(|item| !item.phase.is_ended() && item.phase != Phase::Waiting).count();
        let failed = siblings().any(|item| item.phase.is_ended() && !item.has_settled());
        at_work < most && !failed && (self.cancel.is_none() || node.place.list == List::Finally)
    }

    fn items_are_through(&self, node: &Node) -> bool {
        let mut items = self.parts_of(&node.path, Role::Item);
        items
            .all(|item| item.phase.is_ended() || (item.phase == Phase::Waiting && !self.item_may_start(item)))
            && self
                .parts_of(&node.path, Role::Item)
                .all(|item| item.phase.is_ended() || item.phase == Phase::Waiting)
    }

    /// Whether nothing new starts in a frame: a step failed, here or around it, or the run was
    /// cancelled.
    pub(super) fn is_halted(&self, frame: &str) -> bool {
        let failed_around = self
            .frames
            .keys()
            .filter(|outer| frame == outer.as_str() || is_within(frame, outer))
            .any(|outer| self.frame_failure(outer).is_some());
        self.cancel.is_some() || failed_around
    }

    /// The step whose failure ends a frame.
    pub(super) fn frame_failure(&self, frame: &str) -> Option<&Node> {
        self.nodes().find(|node| {
            node.failed
                && node.role == Role::Step
                && node.place.list == List::Steps
                && node.frame == frame
                && !node.may_fail()
        })
    }

    /// Whether no step of a frame is at work any more. (Those that may start have been started by
    /// the time this is asked.)
    pub(super) fn steps_are_through(&self, frame: &str) -> bool {
        self.nodes()
            .filter(|node| node.frame == frame && node.place.list == List::Steps && node.role != Role::Undo)
            .all(|node| node.phase.is_ended() || node.phase == Phase::Waiting)
    }

    pub(super) fn has_finally(&self, frame: &str) -> bool {
        // What an ended run did finally is not done again when its changes are taken back later.
        let reopened = self.undo_requested_by.is_some();
        !reopened && self.frames.get(frame).is_some_and(|frame| !frame.runbook.finally.is_empty())
    }

    pub(super) fn finally_is_through(&self, frame: &str) -> bool {
        self.nodes()
            .filter(|node| node.frame == frame && node.place.list == List::Finally && node.role == Role::Step)
            .all(|node| node.phase.is_ended())
    }

    /// Whether an inner runbook has nothing left to do.
    fn frame_is_through(&self, path: &str) -> bool {
        let Some(frame) = self.frames.get(path) else { return false };
        match frame.stage {
            Stage::Steps => {
                self.steps_are_through(path)
                    && !self.any_may_start(path)
                    && !self.wants_undo(path)
                    && frame.runbook.finally.is_empty()
            }
            Stage::TakingBack => self.taking_back_is_through(path) && frame.runbook.finally.is_empty(),
            Stage::Finally => self.finally_is_through(path),
            Stage::Done => true,
        }
    }

    fn any_may_start(&self, frame: &str) -> bool {
        self.nodes().any(|node| node.frame == frame && node.phase == Phase::Waiting && self.may_start(node))
    }

    /// How a frame ends, with the reason and the fault that decided it.
    pub(super) fn end_of(&self, frame: &str) -> (EndStatus, Option<String>, Option<Fault>) {
        let within = |node: &&Node| frame.is_empty() || is_within(&node.frame, frame) || node.frame == frame;
        let stuck = self.nodes().filter(within).find(|node| node.phase == Phase::Ended(StepStatus::Stuck));
        let reason_of = |node: &Node| {
            let why = node.reason.as_deref().unwrap_or("no reason given");
            Some(format!("{}: {why}", node.path))
        };
        if let Some(stuck) = stuck {
            return (EndStatus::Stuck, reason_of(stuck), stuck.fault.clone());
        }
        if self.is_dry() {
            return (EndStatus::Complete, None, None);
        }
        if frame.is_empty() && self.undo_requested_by.is_some() {
            return (EndStatus::Undone, self.left_as_they_are(frame), None);
        }
        let undone = self.nodes().filter(within).any(|node| node.phase == Phase::Ended(StepStatus::Undone));
        let failure = self.frame_failure(frame);
        match (self.cancel, failure) {
            (Some(cancel), _) if cancel.timed_out => {
                let status = if undone { EndStatus::Undone } else { EndStatus::Failed };
                let reason = self.created.runbook.timeout.map(|timeout| format!("not done within {timeout}"));
                (status, reason, None)
            }
            (Some(_), _) => (EndStatus::Cancelled, self.left_as_they_are(frame), None),
            (None, Some(failure)) => {
                let status = if undone { EndStatus::Undone } else { EndStatus::Failed };
                (status, reason_of(failure), failure.fault.clone())
            }
            (None, None) => (EndStatus::Succeeded, None, None),
        }
    }

    /// Whether the end of a frame's steps asks for its changes to be taken back.
    pub(super) fn wants_undo(&self, frame: &str) -> bool {
        let Some(state) = self.frames.get(frame) else { return false };
        if self.is_dry() || state.stage != Stage::Steps || self.to_take_back(frame).is_empty() {
            return false;
        }
        if let Some(cancel) = self.cancel {
            return cancel.undo || (!cancel.timed_out && state.runbook.on_cancel == OnEnd::Undo);
        }
        let Some(failed) = self.frame_failure(frame) else { return false };
        let own = match failed.kind() {
            Some(Kind::Options(_)) => failed.step().otherwise.or(failed.step().on_failure),
            _ => failed.step().on_failure,
        };
        match own {
            Some(OnFailure::Undo) => true,
            Some(OnFailure::Stop) => false,
            Some(OnFailure::Continue) | None => state.runbook.on_failure == OnEnd::Undo,
        }
    }

    /// The parts of a composite: its options, items or undo.
    pub(super) fn parts(&self, path: &str) -> impl Iterator<Item = &Node> {
        self.nodes().filter(move |node| node.parent.as_deref() == Some(path))
    }

    pub(super) fn parts_of(&self, path: &str, role: Role) -> impl Iterator<Item = &Node> {
        self.parts(path).filter(move |node| node.role == role)
    }

    pub(super) fn parent_of(&self, node: &Node) -> Option<&Node> {
        self.node(node.parent.as_deref()?)
    }

    /// How often a driver should look whether something from outside has come.
    pub fn poll_interval(&self) -> crate::duration::Duration {
        self.scaled(POLL)
    }

    /// The targets of all changes of this run that are under way or took effect.
    pub fn targets(&self) -> BTreeSet<&str> {
        self.nodes()
            .filter(|node| node.landed || node.phase.is_changing())
            .filter_map(|node| node.target.as_ref())
            .map(|target| target.name.as_str())
            .collect()
    }
}

/// Whether a path lies inside another one.
pub(super) fn is_within(path: &str, outer: &str) -> bool {
    outer.is_empty() || path.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', '[']))
}

//! What is due: derived from the state alone, so that after a crash the fold says what comes next.

use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;

use super::{
    Node, Phase, Run, Stage,
    node::{ClimbStep, Role},
};
use crate::{change::Change, duration::Duration, event::StepStatus, fault::Fault, runbook::Kind};

/// How often something is looked at again where the runbook does not say.
pub(super) const POLL: Duration = Duration::from_secs(15);
/// How long to wait for a target that another run holds before asking for it again.
pub(super) const BUSY: Duration = Duration::from_secs(2);
/// How long a single read may take.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// However long a step may take, a single read is cut off after this.
const LONGEST_READ: Duration = Duration::from_secs(5 * 60);
/// How long a single write may take before its outcome counts as unknown.
const APPLY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a change may take to be complete.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// The path under which the steady state is looked at once more before a run ends.
pub const FINAL_LOOK: &str = "steady_state";

/// What a driver has to do now, and when to ask again.
#[derive(Debug, Clone, Default)]
pub struct Pending {
    pub effects: Vec<Effect>,
    /// The next moment at which time alone changes something.
    pub wake: Option<Timestamp>,
}

/// Something to be performed outside. The same `key` names the same piece of work: a driver that
/// is already at it does not start it again.
#[derive(Debug, Clone)]
pub struct Effect {
    pub key: String,
    pub step: String,
    pub timeout: Duration,
    pub task: Task,
}

#[derive(Debug, Clone)]
pub enum Task {
    Check(Reading),
    /// All parts of the steady state.
    Steady(Vec<(String, Result<Reading, Fault>)>),
    /// Observe, plan, validate.
    Plan {
        reading: Reading,
        started_at: Timestamp,
        key: String,
    },
    /// The change that takes another one back.
    PlanUndo {
        change: Arc<Change>,
        started_at: Timestamp,
        key: String,
        over_others: bool,
    },
    /// Lock the target, observe and plan again.
    Confirm {
        change: Arc<Change>,
        undo_of: Option<Arc<Change>>,
        started_at: Timestamp,
        key: String,
        over_others: bool,
    },
    Apply {
        change: Arc<Change>,
        key: String,
    },
    /// Look whether a change took effect.
    Probe {
        change: Arc<Change>,
        key: String,
    },
    /// Until the change is complete, or its time is up.
    Verify {
        change: Arc<Change>,
        /// What applying it answered; null where it was only found to have landed.
        answer: Arc<Value>,
        key: String,
        deadline: Timestamp,
    },
}

/// A call of an action that reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub action: String,
    pub input: Arc<Value>,
}

impl Run {
    /// What is due now.
    pub fn pending(&self, now: Timestamp) -> Pending {
        let mut pending = Pending::default();
        if self.ended.is_some() {
            return pending;
        }
        for node in self.nodes() {
            self.pending_of(node, now, &mut pending);
        }
        if self.needs_final_look() {
            let task = self.steady_task("", &self.frame_names("", now));
            let key = format!("{FINAL_LOOK}/{}", self.seq);
            pending.effects.push(Effect { key, step: FINAL_LOOK.to_owned(), timeout: READ_TIMEOUT, task });
        }
        let deadlines = [self.timeout_at(), self.escalate_at()];
        deadlines.into_iter().flatten().for_each(|at| pending.wake_at(at));
        pending
    }

    fn pending_of(&self, node: &Node, now: Timestamp, pending: &mut Pending) {
        if let Some(deadline) = self.deadline_of(node) {
            pending.wake_at(deadline);
        }
        if let Some(at) = node.not_before.filter(|at| *at > now && !node.phase.is_ended()) {
            pending.wake_at(at);
            return;
        }
        // A polled check's time-out bounds the polling, not each look.
        let whole = if node.step().until.is_some() { READ_TIMEOUT } else { node.timeout_or(READ_TIMEOUT) };
        let read = whole.min(LONGEST_READ);
        let Some((task, timeout)) = self.task_of(node, now, read) else { return };
        let key = format!("{}/{}/{}/{}", node.path, task.name(), node.attempt, self.version_of(node));
        pending.effects.push(Effect { key, step: node.path.clone(), timeout, task });
    }

    /// Grows with every event that makes the same task a new piece of work.
    fn version_of(&self, node: &Node) -> String {
        let looked = node.not_before.map_or(0, |at| at.as_millisecond());
        format!("{}.{}.{looked}", node.voided, u8::from(node.over_others))
    }

    fn task_of(&self, node: &Node, now: Timestamp, read: Duration) -> Option<(Task, Duration)> {
        let change = || node.change.clone();
        let started_at = self.created.planned_at.or(node.started_at).unwrap_or(now);
        let task = match &node.phase {
            Phase::Reading { .. } => (Task::Check(node.reading()?), read),
            Phase::Planning => (self.plan_task(node, started_at)?, read),
            Phase::Confirming => {
                let confirm = Task::Confirm {
                    change: change()?,
                    undo_of: self.undone_by(node),
                    started_at,
                    key: self.idempotency_key(node),
                    over_others: node.over_others,
                };
                (confirm, read)
            }
            Phase::Applying { key } => (Task::Apply { change: change()?, key: key.clone() }, APPLY_TIMEOUT),
            Phase::Doubtful { .. } => {
                (Task::Probe { change: change()?, key: self.idempotency_key(node) }, read)
            }
            Phase::Verifying { since } => {
                let whole = self.scaled(node.timeout_or(VERIFY_TIMEOUT));
                let deadline = whole.after(*since);
                let (answer, key) = (node.outputs.clone(), self.idempotency_key(node));
                (Task::Verify { change: change()?, answer, key, deadline }, READ_TIMEOUT)
            }
            Phase::Soaking(_) => (self.steady_task(&node.frame, &self.names(node, now)), READ_TIMEOUT),
            Phase::Climbing(climb) if climb.is_looking() && self.looks_at_steady_state(node) => {
                (self.steady_task(&node.frame, &self.names(node, now)), READ_TIMEOUT)
            }
            _ => return None,
        };
        Some(task)
    }

    pub(super) fn plan_task(&self, node: &Node, started_at: Timestamp) -> Option<Task> {
        let key = self.idempotency_key(node);
        match self.undone_by(node) {
            Some(change) => Some(Task::PlanUndo { change, started_at, key, over_others: node.over_others }),
            None => Some(Task::Plan { reading: node.reading()?, started_at, key }),
        }
    }

    /// The change that an undo takes back from its image; none where the runbook names an action of
    /// its own.
    pub(super) fn undone_by(&self, node: &Node) -> Option<Arc<Change>> {
        let own = matches!(node.step().undo, Some(crate::runbook::UndoChoice::Action(_)));
        if node.role != Role::Undo || own {
            return None;
        }
        self.node(node.parent.as_deref()?)?.change.clone()
    }

    /// The same for every try of one change, another one for a change that was planned anew.
    pub(super) fn idempotency_key(&self, node: &Node) -> String {
        format!("{}/{}/{}", self.id, node.path, node.voided)
    }

    /// Whether a ladder's `until` is the steady state rather than an expression.
    pub(super) fn looks_at_steady_state(&self, node: &Node) -> bool {
        node.step().until.as_deref() == Some("steady_state")
    }

    /// Before a run ends well, what "recovered" means is verified, unless it was since the last
    /// change.
    pub(super) fn needs_final_look(&self) -> bool {
        let root = self.frames.get("");
        let declared = root.is_some_and(|frame| !frame.runbook.steady_state.is_empty());
        let due = root.is_some_and(|frame| frame.stage == Stage::Steps) && self.steps_are_through("");
        let looked = self
            .recovered
            .is_some_and(|last| last.was_final || (last.holds == Some(true) && last.seq > last.after_change));
        let wanted = self.cancel.is_none() && self.undo_requested_by.is_none();
        let well = wanted && self.frame_failure("").is_none() && !self.is_dry();
        declared && due && well && !looked
    }

    /// The moment at which time alone ends what a node is at.
    pub(super) fn deadline_of(&self, node: &Node) -> Option<Timestamp> {
        match &node.phase {
            Phase::Gated(gated) => gated.gate.deadline,
            Phase::Timing { until } => Some(*until),
            Phase::Expecting { deadline } => Some(*deadline),
            Phase::Soaking(soak) => Some(soak.deadline),
            Phase::Climbing(climb) => match &climb.step {
                ClimbStep::Settling { deadline, .. } => Some(*deadline),
                _ => None,
            },
            Phase::Reading { .. } if node.step().until.is_some() => self.poll_deadline(node),
            Phase::Confirming => node.not_before.and(self.busy_deadline(node)),
            _ => None,
        }
    }

    /// How long a polled check goes on.
    pub(super) fn poll_deadline(&self, node: &Node) -> Option<Timestamp> {
        let hold = node.step().hold.unwrap_or(Duration::ZERO);
        let whole = node.step().timeout.unwrap_or(Duration::from_secs(300).max(hold.times(2.0)));
        node.started_at.map(|started| self.scaled(whole).after(started))
    }

    /// How long a busy target is waited for.
    pub(super) fn busy_deadline(&self, node: &Node) -> Option<Timestamp> {
        node.started_at.map(|started| self.scaled(node.timeout_or(VERIFY_TIMEOUT)).after(started))
    }

    pub(super) fn timeout_at(&self) -> Option<Timestamp> {
        let timeout = self.created.runbook.timeout?;
        (self.cancel.is_none()).then(|| self.scaled(timeout).after(self.started_at))
    }

    pub(super) fn escalate_at(&self) -> Option<Timestamp> {
        let escalation = self.created.runbook.escalation.as_ref()?;
        let recovered = self.recovered().unwrap_or(false);
        (!self.escalated && !recovered && !self.is_dry())
            .then(|| self.scaled(escalation.after).after(self.started_at))
    }
}

impl Pending {
    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

impl Node {
    /// The call that a check or the planning of an action makes.
    fn reading(&self) -> Option<Reading> {
        Some(Reading { action: self.action()?.to_owned(), input: self.input.clone() })
    }

    /// Whether the step ended as something that a later step may build on.
    pub(super) fn has_settled(&self) -> bool {
        match self.phase {
            Phase::Ended(StepStatus::Succeeded | StepStatus::Skipped | StepStatus::Undone) => true,
            Phase::Ended(StepStatus::Failed | StepStatus::Stuck | StepStatus::Cancelled) => self.may_fail(),
            _ => false,
        }
    }

    pub(super) fn may_fail(&self) -> bool {
        let on_failure = match self.kind() {
            Some(Kind::Options(_)) => self.step().otherwise.or(self.step().on_failure),
            _ => self.step().on_failure,
        };
        on_failure == Some(crate::runbook::OnFailure::Continue)
    }
}

impl Task {
    fn name(&self) -> &'static str {
        match self {
            Self::Check(_) => "check",
            Self::Steady(_) => "steady",
            Self::Plan { .. } => "plan",
            Self::PlanUndo { .. } => "plan_undo",
            Self::Confirm { .. } => "confirm",
            Self::Apply { .. } => "apply",
            Self::Probe { .. } => "probe",
            Self::Verify { .. } => "verify",
        }
    }
}

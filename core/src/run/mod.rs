//! A run: what its events have made of it (`fold`), what may be said to it and what follows
//! (`decide`, `advance`), and what is due next (`pending`).
//!
//! Nothing here does anything. A driver performs the effects that `pending` names and brings their
//! results back as [`Input`]s; the events that `decide` answers are journaled before the next
//! effect starts.

mod advance;
mod approval;
mod climb;
mod decide;
mod draft;
mod fold;
mod foresee;
mod names;
mod node;
mod pending;
mod settle;
mod steady;
mod taking_back;

use std::{collections::BTreeMap, sync::Arc};

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    change::{Landed, Planned, Validation},
    duration::Duration,
    event::{Actor, Answer, Created, EndStatus, Hands, Reading, RunId, StepStatus, Summary},
    fault::Fault,
    runbook::Runbook,
};

pub use self::{
    approval::{may_answer, may_approve, may_break_glass},
    decide::Decided,
    fold::Corrupt,
    names::step_word,
    node::{About, Asking, Climb, ClimbStep, Delegation, Gated, List, Node, Phase, Place, Role, Soak},
    pending::{Effect, Pending, Reading as Read, Task},
    steady::SteadyReadings,
    taking_back::UndoOutlook,
};

/// The state of one run.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: RunId,
    /// The sequence number of the last event.
    pub seq: u64,
    pub created: Arc<Created>,
    pub requested_by: Actor,
    pub started_at: Timestamp,
    pub updated_at: Timestamp,
    pub ended: Option<Ended>,
    pub cancel: Option<Cancel>,
    /// Someone asked for the changes of an ended run to be taken back.
    pub undo_requested_by: Option<Actor>,
    /// The alert that started it, as it is now.
    pub alert: Arc<Value>,
    pub escalated: bool,
    /// Whether the steady state held when it was last looked at, and at which event.
    pub recovered: Option<Recovered>,
    /// Paths of the steps whose changes took effect, in the order they did.
    pub applied: Vec<String>,
    /// How many changes were sent.
    pub mutations: u32,
    nodes: IndexMap<Arc<str>, Arc<Node>>,
    frames: Arc<BTreeMap<String, Frame>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    pub status: EndStatus,
    pub at: Timestamp,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel {
    pub undo: bool,
    /// The engine itself, because the run's time was up.
    pub timed_out: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    pub holds: Option<bool>,
    pub seq: u64,
    /// The sequence number of the last change.
    pub after_change: u64,
    /// It was looked at for the end of the run.
    pub was_final: bool,
}

/// The execution of one runbook: the run's own, or one that a `run` step entered.
#[derive(Debug, Clone)]
struct Frame {
    runbook: Arc<Runbook>,
    inputs: Arc<Value>,
    edges: Arc<Edges>,
    stage: Stage,
}

/// Which steps a step waits for, by the lists of a runbook.
#[derive(Debug)]
struct Edges {
    steps: Vec<Vec<usize>>,
    finally: Vec<Vec<usize>>,
}

/// Where a frame is on its way. It only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Steps,
    TakingBack,
    Finally,
    Done,
}

/// What comes to a run from outside the core.
#[derive(Debug, Clone)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// A driver takes the run over.
    Resumed {
        owner: String,
    },
    Checked {
        step: String,
        reading: Result<Reading, Fault>,
    },
    SteadyRead {
        step: String,
        readings: Vec<(String, Result<Reading, Fault>)>,
    },
    Planned {
        step: String,
        outcome: Result<(Planned, Validation), Fault>,
    },
    /// The target was locked and looked at again just before applying.
    Confirmed {
        step: String,
        outcome: Result<Planned, Fault>,
    },
    /// Another run holds the target.
    Busy {
        step: String,
        target: String,
        held_by: String,
    },
    Applied {
        step: String,
        outcome: Result<Value, Fault>,
    },
    Probed {
        step: String,
        outcome: Result<Landed, Fault>,
    },
    Verified {
        step: String,
        outcome: Result<Value, String>,
    },
    Approve {
        step: String,
        digest: String,
        comment: Option<String>,
        /// Alone, in an emergency; the comment has to say why.
        break_glass: bool,
    },
    /// Lets someone else decide in one's place.
    Delegate {
        step: String,
        to: String,
        comment: Option<String>,
    },
    Reject {
        step: String,
        comment: Option<String>,
    },
    Answer {
        step: String,
        answer: Answer,
    },
    Cancel {
        undo: bool,
        reason: Option<String>,
    },
    /// The alert that started the run is over.
    AlertResolved {
        ends_at: Option<Timestamp>,
    },
    Undo {
        reason: Option<String>,
    },
}

/// Why something that a person asked for is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejected {
    pub kind: RejectedKind,
    pub message: String,
    pub hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectedKind {
    /// The person may not.
    NotPermitted,
    /// It does not fit the state: what the run is waiting for, or where the incident is.
    NotNow,
    /// The step or the value makes no sense.
    Invalid,
    /// What was approved is no longer what would be done.
    Stale,
    /// The journal's events do not fit each other.
    Corrupt,
}

impl Rejected {
    pub(crate) fn new(kind: RejectedKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Corrupt> for Rejected {
    fn from(corrupt: Corrupt) -> Self {
        Self::new(RejectedKind::Corrupt, corrupt.to_string())
    }
}

/// What a person is asked, told for lists of what is open.
#[derive(Debug, Clone, PartialEq)]
pub enum Question<'a> {
    Approval(&'a Gated),
    Answer(&'a Asking),
}

impl Run {
    pub fn is_dry(&self) -> bool {
        self.created.hands == Hands::DryRun
    }
    /// Every step that is known so far, in the order they came to be known.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().map(Arc::as_ref)
    }
    pub fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path).map(Arc::as_ref)
    }
    /// What people are asked right now.
    pub fn questions(&self) -> impl Iterator<Item = (&Node, Question<'_>)> {
        self.nodes().filter_map(|node| match &node.phase {
            Phase::Gated(gated) => Some((node, Question::Approval(gated))),
            Phase::Asking(asking) => Some((node, Question::Answer(asking))),
            _ => None,
        })
    }
    /// `running`, `waiting` (for people alone), or how it ended.
    pub fn status(&self) -> &'static str {
        match &self.ended {
            Some(ended) => end_word(ended.status),
            None if self.is_waiting() => "waiting",
            None => "running",
        }
    }
    /// Whether nothing is due but answers from people.
    pub fn is_waiting(&self) -> bool {
        let mut open = self.nodes().filter(|node| node.phase.is_at_work()).peekable();
        open.peek().is_some() && open.all(|node| matches!(node.phase, Phase::Gated(_) | Phase::Asking(_)))
    }
    /// Whether recovery was verified: `None` where nothing says what recovered means, or where
    /// nobody could look.
    pub fn recovered(&self) -> Option<bool> {
        self.recovered.and_then(|last| last.holds)
    }
    /// What lists of runs show.
    pub fn summary(&self) -> Summary {
        Summary {
            runbook: self.created.runbook.name.clone(),
            environment: self.created.environment.clone(),
            simulated: self.created.simulated.is_some(),
            status: self.status().to_owned(),
            recovered: self.recovered(),
            requested_by: self.requested_by.name.clone(),
            incident: self.created.incident.clone(),
            started_at: self.started_at,
            ended_at: self.ended.as_ref().map(|ended| ended.at),
        }
    }
    /// The step whose failure decided how the run ended.
    pub fn decisive_step(&self) -> Option<&Node> {
        let stuck = self.nodes().find(|node| node.phase == Phase::Ended(StepStatus::Stuck));
        stuck.or_else(|| self.frame_failure(""))
    }
    /// The fault behind it; that of the last option or item where the step is only their whole.
    pub fn decisive_fault(&self) -> Option<&Fault> {
        let step = self.decisive_step()?;
        let parts = self.nodes().filter(|node| advance::is_within(&node.path, &step.path));
        let part = parts
            .filter(|node| matches!(node.phase, Phase::Ended(StepStatus::Failed | StepStatus::Stuck)))
            .last();
        part.and_then(|node| node.fault.as_ref()).or(step.fault.as_ref())
    }
    /// A length of the environment's time in real time.
    fn scaled(&self, length: Duration) -> Duration {
        length.scaled(self.created.speed)
    }
}

/// The word for an end, as JSON and lists have it.
pub fn end_word(status: EndStatus) -> &'static str {
    match status {
        EndStatus::Succeeded => "succeeded",
        EndStatus::Failed => "failed",
        EndStatus::Undone => "undone",
        EndStatus::Stuck => "stuck",
        EndStatus::Cancelled => "cancelled",
        EndStatus::Superseded => "superseded",
        EndStatus::Complete => "complete",
    }
}

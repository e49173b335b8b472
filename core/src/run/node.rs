//! One step of a run and where it stands.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    change::{Change, Target},
    duration::Duration,
    event::{Actor, Answer, Gate, SteadyReading, StepStatus, Verdict},
    fault::Fault,
    runbook::{Approval, Kind, Runbook, Step, UndoChoice},
    spec::{Effect, Grade},
};

/// Where the definition of a step stands.
#[derive(Debug, Clone)]
pub struct Place {
    pub runbook: Arc<Runbook>,
    pub list: List,
    pub index: usize,
    /// The option of a ladder.
    pub option: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    Steps,
    Finally,
}

impl Place {
    /// The definition. A place is only ever made from an index into its own list, and runbooks are
    /// immutable, so the lookup cannot miss.
    #[expect(clippy::indexing_slicing, reason = "places are made from indices of the same immutable lists")]
    pub fn step(&self) -> &Step {
        let list = match self.list {
            List::Steps => &self.runbook.steps,
            List::Finally => &self.runbook.finally,
        };
        let step = &list[self.index];
        match (self.option, &step.options) {
            (Some(option), Some(options)) => &options[option],
            _ => step,
        }
    }
    /// The ladder that an option belongs to.
    fn ladder(&self) -> Option<&Step> {
        let whole = Self { option: None, ..self.clone() };
        self.option?;
        match whole.list {
            List::Steps => self.runbook.steps.get(self.index),
            List::Finally => self.runbook.finally.get(self.index),
        }
    }
}

/// Why a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A step as it is written.
    Step,
    /// One option of a ladder.
    Option,
    /// One item of a `for_each`.
    Item,
    /// Takes the change of another step back.
    Undo,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub path: String,
    pub place: Place,
    pub role: Role,
    /// The path of the frame whose names this step sees.
    pub frame: String,
    /// The node that this one is a part of: its ladder, its `for_each`, the step that it undoes.
    pub parent: Option<String>,
    pub item: Option<Value>,
    pub phase: Phase,
    pub attempt: u32,
    /// How often it was planned anew because its target had moved.
    pub voided: u32,
    /// A person said to take the change back although someone else has changed the target since.
    pub over_others: bool,
    /// The resolved input, secrets as marks.
    pub input: Arc<Value>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Not before this moment: a retry, the next poll, a busy target.
    pub not_before: Option<Timestamp>,
    pub outputs: Arc<Value>,
    pub passed: Option<bool>,
    pub reason: Option<String>,
    pub fault: Option<Fault>,
    pub target: Option<Target>,
    pub warnings: Vec<String>,
    pub change: Option<Arc<Change>>,
    pub digest: Option<String>,
    pub grade: Option<Grade>,
    /// The last gate that was asked for, also after it was answered.
    pub gate: Option<Gate>,
    pub decisions: Vec<Decision>,
    /// It ended badly, also where its change was taken back afterwards.
    pub failed: bool,
    /// The change of this node took effect and was not taken back.
    pub landed: bool,
    pub foreseen: Option<(Verdict, String)>,
    /// Dry-run: whether it is uncertain that the step is reached at all.
    pub uncertain: bool,
    /// Dry-run: it would begin, and nobody can tell whether it ends in time.
    pub open: bool,
}

/// What someone said to a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub by: Actor,
    pub at: Timestamp,
    pub approved: bool,
    pub comment: Option<String>,
    pub own_run: bool,
    pub break_glass: bool,
}

/// Where a step stands. What is due follows from this alone.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Not started.
    Waiting,
    /// A check is due; with the time since which its `until` holds.
    Reading {
        holds_since: Option<Timestamp>,
    },
    /// Observe, plan, validate.
    Planning,
    /// A person has to approve.
    Gated(Gated),
    /// Lock the target and look again.
    Confirming,
    /// "Apply started" is on disk.
    Applying {
        key: String,
    },
    /// Nobody knows whether it was applied: look. Counts the looks that failed.
    Doubtful {
        looks: u32,
    },
    /// Applied; until it is complete.
    Verifying {
        since: Timestamp,
    },
    /// A person has to answer.
    Asking(Asking),
    /// A duration passes.
    Timing {
        until: Timestamp,
    },
    /// The steady state has to hold.
    Soaking(Soak),
    /// Something has to arrive from outside.
    Expecting {
        deadline: Timestamp,
    },
    /// A ladder of options.
    Climbing(Climb),
    /// A `for_each`, over its items.
    Spread {
        items: usize,
    },
    /// Another runbook.
    Nested,
    Ended(StepStatus),
}

impl Phase {
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
    /// Whether the node itself waits for something; a composite only waits for its parts.
    pub fn is_at_work(&self) -> bool {
        match self {
            Self::Waiting | Self::Ended(_) | Self::Spread { .. } | Self::Nested => false,
            Self::Climbing(climb) => climb.is_looking(),
            _ => true,
        }
    }
    /// Whether a request that changes the world may be under way.
    pub fn is_changing(&self) -> bool {
        matches!(self, Self::Applying { .. } | Self::Doubtful { .. } | Self::Verifying { .. })
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Gated {
    pub gate: Gate,
    /// Who has said yes so far.
    pub granted: Vec<Actor>,
    /// Someone said yes for all, in an emergency.
    pub glass_broken: bool,
    /// Who lets whom decide in their place.
    pub delegated: Vec<Delegation>,
    /// How many of the gate's chain were asked because the time was up.
    pub escalations: usize,
}

/// A right to approve that one person handed to another, for one gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    pub from: String,
    pub to: String,
}

impl Gated {
    pub fn new(gate: Gate) -> Self {
        Self { gate, granted: Vec::new(), glass_broken: false, delegated: Vec::new(), escalations: 0 }
    }
    /// Whether enough people have said yes.
    pub fn is_met(&self) -> bool {
        self.glass_broken || self.granted.len() >= self.gate.count as usize
    }
    /// Who is asked next when the time is up.
    pub fn asked_next(&self) -> Option<&str> {
        self.gate.escalate_to.get(self.escalations).map(String::as_str)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Asking {
    pub prompt: String,
    pub from: Vec<String>,
    pub about: About,
}

/// What a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Which option to take.
    Choice,
    /// A manual step.
    Manual,
    /// Whether a change took effect.
    Doubt,
    /// Whether to take a change back over someone else's.
    Conflict,
}

impl About {
    /// The answer that a word stands for; `values` and `comment` go with a manual step.
    pub fn answer(self, word: &str, values: Value, comment: Option<String>) -> Option<Answer> {
        match (self, word) {
            (Self::Choice, option) => Some(Answer::Option(option.to_owned())),
            (Self::Manual, "done") => Some(Answer::Done { values, comment }),
            (Self::Manual, "failed") => Some(Answer::ManualFailed { comment }),
            (Self::Manual, "skipped") => Some(Answer::ManualSkipped { comment }),
            (Self::Manual, _) => None,
            (Self::Doubt | Self::Conflict, "happened") => Some(Answer::Happened),
            (Self::Doubt | Self::Conflict, "did-not-happen") => Some(Answer::DidNotHappen),
            (Self::Doubt | Self::Conflict, "stop") => Some(Answer::Stop),
            (Self::Doubt | Self::Conflict, "proceed") => Some(Answer::Proceed),
            (Self::Doubt | Self::Conflict, _) => None,
        }
    }

    /// The words that answer it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Choice => "the id of an option",
            Self::Manual => "`done` (with KEY=VALUE where the form asks), `failed` or `skipped`",
            Self::Doubt => "`happened`, `did-not-happen` or `stop`",
            Self::Conflict => "`proceed` or `stop`",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Soak {
    pub holds_since: Option<Timestamp>,
    pub deadline: Timestamp,
    pub last: Vec<SteadyReading>,
}

/// How far a ladder was climbed.
#[derive(Debug, Clone, PartialEq)]
pub struct Climb {
    pub step: ClimbStep,
    pub last: Vec<SteadyReading>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ClimbStep {
    /// Does it hold already?
    Before,
    /// The next option is to be found.
    Next,
    /// An option is at work.
    Trying(String),
    /// It is done; does it help?
    Settling { option: String, deadline: Timestamp },
}

impl Climb {
    /// Whether the ladder itself looks at the steady state.
    pub fn is_looking(&self) -> bool {
        matches!(self.step, ClimbStep::Before | ClimbStep::Settling { .. })
    }
}

impl Node {
    pub fn new(path: String, place: Place, role: Role, frame: String, parent: Option<String>) -> Self {
        Self {
            path,
            place,
            role,
            frame,
            parent,
            item: None,
            phase: Phase::Waiting,
            attempt: 0,
            voided: 0,
            over_others: false,
            input: Arc::new(Value::Null),
            started_at: None,
            ended_at: None,
            not_before: None,
            outputs: Arc::new(Value::Null),
            passed: None,
            reason: None,
            fault: None,
            target: None,
            warnings: Vec::new(),
            change: None,
            digest: None,
            grade: None,
            gate: None,
            decisions: Vec::new(),
            failed: false,
            landed: false,
            foreseen: None,
            uncertain: false,
            open: false,
        }
    }

    pub fn step(&self) -> &Step {
        self.place.step()
    }

    /// What the node does; a checked runbook always names one kind.
    pub fn kind(&self) -> Option<Kind<'_>> {
        self.step().kind()
    }

    /// Whether the node stands for all items of its `for_each`.
    pub fn is_spread(&self) -> bool {
        self.role == Role::Step && self.step().for_each.is_some()
    }

    /// The action that this node calls; an undo calls that of the change, or the runbook's own.
    pub fn action(&self) -> Option<&str> {
        if self.role == Role::Undo {
            return match &self.step().undo {
                Some(UndoChoice::Action(own)) => Some(&own.action),
                _ => self.step().action.as_deref(),
            };
        }
        self.step().check.as_deref().or(self.step().action.as_deref())
    }

    /// The approval that the runbook asks for, the ladder's where the option has none.
    pub fn approval(&self) -> Option<&Approval> {
        let ladder = || self.place.ladder().and_then(|ladder| ladder.approval.as_ref());
        self.step().approval.as_ref().or_else(ladder)
    }

    /// The effect of its change, as the runbook may have raised it.
    pub fn effect(&self) -> Option<Effect> {
        let planned = self.change.as_ref().map(|change| change.effect);
        planned.max(self.step().effect)
    }

    pub fn status(&self) -> Option<StepStatus> {
        match self.phase {
            Phase::Ended(status) => Some(status),
            _ => None,
        }
    }

    pub fn timeout_or(&self, default: Duration) -> Duration {
        self.step().timeout.unwrap_or(default)
    }
}

//! The one vocabulary of a run: an append-only list of events, each chained to the one before by
//! a hash. State is a fold over them; the incident timeline is the same list, told for people.

mod chain;

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    change::{Change, Target},
    duration::Duration,
    fault::Fault,
    policy::Policy,
    runbook::Runbook,
    spec::{Grade, Reads},
};

pub use self::chain::{Broken, Record, genesis, genesis_of, verify, verify_chain};

/// The identity of a run: `run_` and a UUID of version 7 in base 32, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Uuid);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 26;

impl RunId {
    /// `id` should be a fresh version 7.
    pub fn new(id: Uuid) -> Self {
        Self(id)
    }
    /// All of it as one number.
    pub fn bits(self) -> u128 {
        self.0.as_u128()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("run_")?;
        let bits = self.0.as_u128();
        for place in (0..DIGITS).rev() {
            let digit = (bits >> (5 * place)) & 31;
            write!(f, "{}", char::from(ALPHABET[digit as usize]))?;
        }
        Ok(())
    }
}

/// Why a text is not the id of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a run; ids look like `run_01k9f3…` and `runbook runs` lists them")]
pub struct NotARunId(String);

impl FromStr for RunId {
    type Err = NotARunId;

    fn from_str(text: &str) -> Result<Self, NotARunId> {
        let refuse = || NotARunId(text.chars().take(60).collect());
        let digits = text.strip_prefix("run_").filter(|digits| digits.len() == DIGITS).ok_or_else(refuse)?;
        let mut bits: u128 = 0;
        for (place, digit) in digits.bytes().enumerate() {
            let value = ALPHABET.iter().position(|known| *known == digit).ok_or_else(refuse)?;
            if place == 0 && value > 7 {
                return Err(refuse());
            }
            bits = (bits << 5) | value as u128;
        }
        Ok(Self(Uuid::from_u128(bits)))
    }
}

impl Serialize for RunId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Who did something, and through which door.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Actor {
    pub name: String,
    pub how: Channel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    Engine,
    Cli,
    Web,
    Chat,
    Api,
    Alert,
}

impl Actor {
    pub fn engine() -> Self {
        Self { name: "runbook".to_owned(), how: Channel::Engine }
    }
    pub fn cli(name: impl Into<String>) -> Self {
        Self { name: name.into(), how: Channel::Cli }
    }
}

/// One thing that happened in a run; with another body, in an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event<B = Body> {
    /// 1 for the first event, without gaps.
    pub seq: u64,
    pub at: Timestamp,
    pub actor: Actor,
    pub body: B,
}

/// What happened. `step` is always the path of a step: `soak`, `mitigate.rollback`, `drain[2]`,
/// `diagnose.pods` (a step of a sub-runbook), `mitigate.rollback~undo`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum Body {
    RunCreated(Box<Created>),
    /// A driver took the run over; whatever was being applied before is in doubt.
    RunResumed {
        owner: String,
    },
    CancelRequested {
        undo: bool,
        reason: Option<String>,
    },
    UndoRequested {
        reason: Option<String>,
    },
    /// The alert that started the run is over.
    AlertResolved {
        ends_at: Option<Timestamp>,
    },
    /// Nobody has recovered it in the time that the runbook gives: others are called.
    RunEscalated {
        to: Vec<String>,
    },
    RunEnded {
        status: EndStatus,
        recovered: Option<bool>,
        reason: Option<String>,
    },

    /// Work on a step began, with its resolved input (secrets as marks).
    StepStarted {
        step: String,
        attempt: u32,
        input: Value,
    },
    /// Another runbook was entered as a step.
    Entered {
        step: String,
        runbook: String,
        inputs: Value,
    },
    /// The list of a `for_each` was worked out.
    ItemsListed {
        step: String,
        items: Vec<Value>,
    },
    CheckReturned {
        step: String,
        reading: Result<Reading, Fault>,
        holds: Option<bool>,
    },
    SteadyChecked {
        step: String,
        holds: Option<bool>,
        checks: Vec<SteadyReading>,
    },
    OptionStarted {
        step: String,
        option: String,
    },
    OptionDidNotHelp {
        step: String,
        option: String,
        why: String,
    },
    RetryScheduled {
        step: String,
        attempt: u32,
        at: Timestamp,
        fault: Fault,
    },

    Planned {
        step: String,
        change: Box<Change>,
        digest: String,
        grade: Grade,
        warnings: Vec<String>,
    },
    /// The world was already as asked.
    AlreadySo {
        step: String,
        target: Option<Target>,
        summary: String,
        outputs: Value,
        warnings: Vec<String>,
    },
    /// The target is not as it was planned upon: the plan and its approvals are void.
    PlanVoided {
        step: String,
        moved: Vec<String>,
    },
    /// Another run holds the target.
    TargetBusy {
        step: String,
        target: String,
        held_by: String,
    },

    ApprovalRequested {
        step: String,
        gate: Gate,
    },
    ApprovalGranted {
        step: String,
        digest: String,
        comment: Option<String>,
        own_run: bool,
        /// Alone and whatever the gate asks, in an emergency; the comment says why.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        break_glass: bool,
    },
    /// Someone who may approve lets another person decide in their place.
    ApprovalDelegated {
        step: String,
        to: String,
        comment: Option<String>,
    },
    ApprovalRejected {
        step: String,
        comment: Option<String>,
    },
    ApprovalEscalated {
        step: String,
        to: Vec<String>,
        deadline: Option<Timestamp>,
    },
    ApprovalExpired {
        step: String,
    },

    ApplyStarted {
        step: String,
        change: Box<Change>,
        key: String,
    },
    ApplyReturned {
        step: String,
        outcome: Result<Value, Fault>,
    },
    /// Whether the change took effect could not be told from the world: a person must say.
    DoubtRaised {
        step: String,
        why: String,
    },
    DoubtSettled {
        step: String,
        landed: bool,
    },
    VerifyReturned {
        step: String,
        outcome: Result<Value, String>,
    },

    Asked {
        step: String,
        prompt: String,
        from: Vec<String>,
    },
    Answered {
        step: String,
        answer: Answer,
    },

    /// The changes of a run, or of one runbook that it entered, are taken back, in this order.
    UndoStarted {
        frame: String,
        steps: Vec<String>,
    },
    /// The steps that always run come now.
    FinallyStarted {
        frame: String,
    },
    StepEnded {
        step: String,
        status: StepStatus,
        passed: Option<bool>,
        outputs: Value,
        reason: Option<String>,
        fault: Option<Fault>,
    },
    /// Dry-run: what would become of a step.
    Foreseen {
        step: String,
        verdict: Verdict,
        grade: Grade,
        reason: String,
        /// It would begin, and nobody can tell whether it ends in time.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        open: bool,
    },
}

impl Body {
    /// Whether a driver waits until this is on disk before it does anything else: a change that is
    /// about to be made, a question that people are about to see, an end. All else is journaled
    /// while the driver reads on; a crash loses at most what can be read again, or looked up.
    pub fn must_be_kept_first(&self) -> bool {
        matches!(
            self,
            Self::RunCreated(_)
                | Self::RunEnded { .. }
                | Self::ApplyStarted { .. }
                | Self::ApplyReturned { .. }
                | Self::ApprovalRequested { .. }
                | Self::Asked { .. }
                | Self::DoubtRaised { .. }
        )
    }

    /// The path of the step that this is about.
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::RunCreated(_)
            | Self::RunResumed { .. }
            | Self::CancelRequested { .. }
            | Self::UndoRequested { .. }
            | Self::AlertResolved { .. }
            | Self::RunEscalated { .. }
            | Self::RunEnded { .. }
            | Self::UndoStarted { .. }
            | Self::FinallyStarted { .. } => None,
            Self::StepStarted { step, .. }
            | Self::Entered { step, .. }
            | Self::ItemsListed { step, .. }
            | Self::CheckReturned { step, .. }
            | Self::SteadyChecked { step, .. }
            | Self::OptionStarted { step, .. }
            | Self::OptionDidNotHelp { step, .. }
            | Self::RetryScheduled { step, .. }
            | Self::Planned { step, .. }
            | Self::AlreadySo { step, .. }
            | Self::PlanVoided { step, .. }
            | Self::TargetBusy { step, .. }
            | Self::ApprovalRequested { step, .. }
            | Self::ApprovalGranted { step, .. }
            | Self::ApprovalDelegated { step, .. }
            | Self::ApprovalRejected { step, .. }
            | Self::ApprovalEscalated { step, .. }
            | Self::ApprovalExpired { step }
            | Self::ApplyStarted { step, .. }
            | Self::ApplyReturned { step, .. }
            | Self::DoubtRaised { step, .. }
            | Self::DoubtSettled { step, .. }
            | Self::VerifyReturned { step, .. }
            | Self::Asked { step, .. }
            | Self::Answered { step, .. }
            | Self::StepEnded { step, .. }
            | Self::Foreseen { step, .. } => Some(step),
        }
    }
}

/// The plan of a run, frozen: nothing that is edited later changes what a run does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    pub runbook: Arc<Runbook>,
    /// The runbooks that `run` steps name, by name, transitively.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub library: BTreeMap<String, Arc<Runbook>>,
    pub inputs: Value,
    pub environment: String,
    /// The scenario, where the environment is a simulated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<String>,
    /// How much faster than real time the environment runs; 1 but in a simulated one. What people
    /// take to answer is never made shorter.
    pub speed: u32,
    pub hands: Hands,
    pub policy: Policy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// It may change things in a freeze and within a cool-down; `reason` says why.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overriding: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub alert: Value,
    /// The trace context (W3C, as a `traceparent` header has it) of what asked for the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
    /// The changes that a plan file allows, by step; `None` where the run plans for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<BTreeMap<String, String>>,
    /// The moment that changes depend on where they hold one (a restart is marked with its time):
    /// that of the plan file, so that what was planned then is the same change now. `None` for the
    /// time of each step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<Timestamp>,
}

/// With which hands a run touches the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hands {
    Live,
    DryRun,
}

/// An open question that a gate asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    pub prompt: String,
    /// What an approval binds to: the digest of the change, or of the question where nothing is
    /// changed.
    pub digest: String,
    pub from: Vec<String>,
    pub count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Who is asked, one after the other, whenever the time is up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate_to: Vec<String>,
    /// How long those have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// What a read gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub outputs: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    pub grade: Grade,
    pub reads: Reads,
}

/// What one part of the steady state gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SteadyReading {
    pub id: String,
    pub passed: Option<bool>,
    /// `value = 0.42`, for people.
    pub seen: String,
}

/// What a person said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Which option to take.
    Option(String),
    /// A manual step is done, with what the form asked for.
    Done {
        values: Value,
        comment: Option<String>,
    },
    ManualFailed {
        comment: Option<String>,
    },
    ManualSkipped {
        comment: Option<String>,
    },
    /// In doubt: it happened.
    Happened,
    /// In doubt: it did not.
    DidNotHappen,
    /// In doubt, or an undo in conflict: end here.
    Stop,
    /// An undo in conflict: take the change back all the same.
    Proceed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndStatus {
    Succeeded,
    Failed,
    Undone,
    Stuck,
    Cancelled,
    Superseded,
    /// A dry-run has told all that it can.
    Complete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    Succeeded,
    Failed,
    Skipped,
    Undone,
    Stuck,
    Cancelled,
}

/// What a dry-run says of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    WouldRun,
    MayRun,
    WouldSkip,
    WouldWait,
}

/// What a list of runs shows, kept beside the events so that listing need not fold each run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub runbook: String,
    pub environment: String,
    pub simulated: bool,
    /// `running`, `waiting`, or how it ended.
    pub status: String,
    pub recovered: Option<bool>,
    pub requested_by: String,
    pub incident: Option<String>,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_reads_back_and_sorts_as_its_uuid() {
        let (low, high) = (RunId::new(Uuid::from_u128(7)), RunId::new(Uuid::from_u128(u128::MAX)));
        for id in [low, high] {
            assert_eq!(id.to_string().parse::<RunId>().unwrap(), id);
        }
        assert!(low.to_string() < high.to_string());
        for text in ["", "run_", "run_z0000000000000000000000000", "walk_00000000000000000000000000"] {
            assert!(text.parse::<RunId>().is_err(), "{text:?} was taken");
        }
    }
}

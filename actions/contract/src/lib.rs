//! The contract between the engine and its action providers: the [`Action`] trait, the transport
//! guard that makes a dry-run unable to write, and the laws that every action must obey.
//!
//! The order in which the engine calls an action that changes something:
//! `observe` -> `plan` -> `validate` -> (approval) -> `observe` and `plan` again, compared by
//! digest -> (journaled) -> `apply` -> `verify` until it is done. To take a change back:
//! `observe` -> `plan_undo`, and the change that comes out goes the same way. A change whose
//! outcome is in doubt: `observe` -> `landed`.

pub mod access;
pub mod clock;
pub mod laws;
pub mod registry;
pub mod schema;
pub mod secret;
pub mod text;

use std::fmt::Debug;

use async_trait::async_trait;
use runbook_core::{
    Timestamp, Value,
    change::{Change, Landed, Observed, Planned, Progress, Validation},
    duration::Duration,
    fault::{Fault, FaultKind},
    spec::{ActionSpec, Grade},
};

pub use crate::{
    access::{Access, Mode},
    registry::Registry,
    secret::SecretSource,
};

/// One action of a provider.
///
/// Everything that changes the world goes through `apply`, and only with a change that was
/// journaled before. All other calls only read; the transport refuses them anything else.
#[async_trait]
pub trait Action: Debug + Send + Sync {
    /// What it is, as data.
    fn spec(&self) -> &ActionSpec;

    /// Looks at the target, or answers the check.
    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault>;

    /// Lays changes that a dry-run predicted over what was just read, and says whether it touched
    /// anything. The usual rule: the same target's outputs take the predicted values of the same
    /// names.
    fn overlay(&self, mut seen: Observed, predicted: &[Change]) -> (Observed, bool) {
        let mut touched = false;
        let name = seen.target.as_ref().map(|target| target.name.clone());
        for change in predicted.iter().filter(|change| Some(&change.target.name) == name.as_ref()) {
            if let (Value::Object(outputs), Value::Object(after)) = (&mut seen.outputs, &change.after) {
                for (key, value) in after {
                    if let Some(output) = outputs.get_mut(key) {
                        touched |= *output != *value;
                        *output = value.clone();
                    }
                }
            }
        }
        (seen, touched)
    }

    /// Works out the change from the input and what was observed. Pure: the same arguments give
    /// the same change, to the byte.
    fn plan(&self, cx: &PlanCx, input: &Value, seen: &Observed) -> Result<Planned, Fault> {
        let _ = (cx, input, seen);
        Err(Fault::permanent(format!("`{}` only reads", self.spec().name)))
    }

    /// Asks the server, where it can be asked, whether it would take the change.
    async fn validate(&self, cx: &Cx, change: &Change) -> Result<Validation, Fault> {
        let _ = (cx, change);
        Ok(Validation::of(Grade::Predicted, Vec::new()))
    }

    /// Makes the change, on the condition that the world is as the change says.
    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Value, Fault> {
        let _ = (cx, change);
        Err(Fault::permanent(format!("`{}` only reads", self.spec().name)))
    }

    /// How far an accepted change has come; asked again until it is done or its time is up.
    async fn verify(&self, cx: &Cx, change: &Change) -> Result<Progress, Fault> {
        let _ = (cx, change);
        Ok(Progress::Done(Value::Null))
    }

    /// The same, given what `apply` answered, or null where the change was only found to have
    /// landed: for servers that want to be asked by a receipt.
    async fn verify_answered(&self, cx: &Cx, change: &Change, answer: &Value) -> Result<Progress, Fault> {
        let _ = answer;
        self.verify(cx, change).await
    }

    /// Whether a change whose outcome is in doubt took effect, from a fresh look at its target.
    /// The usual rule compares the fields that the change alters.
    fn landed(&self, change: &Change, seen: &Observed) -> Landed {
        let now = match self.plan(&PlanCx::of(change), &change.input, seen) {
            Ok(Planned::Already { .. }) => return Landed::Yes,
            Ok(Planned::Change(now)) => now,
            Err(_) => return Landed::CannotTell,
        };
        if now.target != change.target {
            Landed::CannotTell
        } else if now.before == change.after {
            Landed::Yes
        } else if now.before == change.before {
            Landed::No
        } else {
            Landed::CannotTell
        }
    }

    /// The change that takes `change` back, from a fresh look at its target. A `Conflict` where
    /// someone else has changed it since.
    fn plan_undo(&self, cx: &PlanCx, change: &Change, seen: &Observed) -> Result<Planned, Fault> {
        let _ = (cx, change, seen);
        Err(Fault::permanent(format!("`{}` cannot be undone", self.spec().name)))
    }

    /// What would stand in the way: missing permissions, controllers that would change it back,
    /// quotas. Reads only.
    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let _ = (cx, input);
        Ok(Vec::new())
    }

    /// Checks the input against the limits that the environment sets for this action
    /// (`limits: { kubernetes.scale: { max_replicas: 50 } }`), before anything is sent.
    fn within_limits(&self, input: &Value, limits: &Value) -> Result<(), Fault> {
        let _ = (input, limits);
        Ok(())
    }
}

/// What a call is made with.
#[derive(Debug, Clone)]
pub struct Cx {
    /// How long this call may take; the engine also cuts it off.
    pub timeout: Duration,
    /// The same for every try of one change, so that a server that knows such keys sees one.
    pub idempotency_key: String,
    /// The time at which the engine asked.
    pub now: Timestamp,
    /// How much faster than real time the environment runs; 1 but in a simulated one.
    pub speed: u32,
}

/// What planning may depend on beside the input and the observation, stable from the first plan
/// of a step to its last.
#[derive(Debug, Clone)]
pub struct PlanCx {
    /// When the step started.
    pub started_at: Timestamp,
    pub idempotency_key: String,
    /// Only for `plan_undo`: a person has seen that someone else changed the target since, and
    /// said to take the change back all the same.
    pub over_others: bool,
}

impl PlanCx {
    /// For looking at an existing change again: what depends on the context is compared by the
    /// fields that the change recorded.
    fn of(_: &Change) -> Self {
        Self { started_at: Timestamp::UNIX_EPOCH, idempotency_key: String::new(), over_others: false }
    }
}

/// Something that would stand in the way of an action.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Obstacle {
    /// Whether the action would fail, rather than merely surprise.
    pub blocking: bool,
    /// A stable word: `rbac`, `hpa`, `paused`, `quota`, `delay`, `pdb`, `argocd`, `limit`, `missing`, …
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
}

impl Obstacle {
    /// What a failed look says of the action that would follow; `right` is the provider's word for a
    /// right that is missing.
    pub fn of(fault: Fault, right: &str) -> Self {
        let code = match fault.kind {
            FaultKind::Forbidden => right,
            FaultKind::NotFound => "missing",
            FaultKind::Denied => "limit",
            FaultKind::Refused | FaultKind::Unreachable | FaultKind::Unknown => "unreachable",
            FaultKind::Conflict | FaultKind::Stale => "conflict",
            FaultKind::Permanent => "invalid",
        };
        Self { blocking: true, code: code.to_owned(), message: fault.message, hint: fault.hint }
    }
}

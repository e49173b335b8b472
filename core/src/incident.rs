//! An incident: what its events have made of it (`fold`), what may be said to it and what follows
//! (`decide`), and how it is told (`timeline`).
//!
//! Like a run, it is an append-only list of events that are chained by hashes, and its state is a
//! fold over them. Nothing here does anything: whoever asks seals the events of [`Decided`], keeps
//! them, and goes on from its `next`.

mod about;
mod closing;
mod decide;
mod draft;
mod facts;
mod fold;
mod id;
mod others;
mod roles;
mod said;
mod steady;
pub mod timeline;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    alert::AlertStatus,
    event::{Actor, Broken, EndStatus, Record, RunId, genesis_of, verify_chain},
    runbook::Source,
};

pub use self::{
    about::{AlertJoined, Body, Event, Opening, Origin},
    closing::Closing,
    decide::{Correlation, Input},
    draft::Decided,
    fold::Corrupt,
    id::{IncidentId, NotAnIncidentId},
    roles::{NotARole, Role},
    steady::{Look, MOST_SEEN, Seen, Steadiness},
};
pub use crate::run::{Rejected, RejectedKind};

/// How many alerts one incident may hold.
pub const MOST_ALERTS: usize = 1_000;
/// How many runs one incident may hold.
pub const MOST_RUNS: usize = 200;
/// How many events one incident may have. The last [`RESERVED_EVENTS`] of them are kept for what
/// brings it to its end: its alerts' and runs' ends, and its own.
pub const MOST_EVENTS: u64 = 10_000;
/// More than every alert and every run that one incident may hold.
pub const RESERVED_EVENTS: u64 = 1_500;
/// How many incidents one may be linked to, or may have taken over.
pub const MOST_LINKS: usize = 100;
/// How many people may share a role that several can have.
pub const MOST_EXPERTS: usize = 50;
/// How often people may be called because running again has not helped.
pub const MOST_ESCALATIONS: usize = 100;
/// Names of services, people, runbooks and levels; as all texts, in characters.
pub const LONGEST_NAME: usize = 200;
pub const LONGEST_TITLE: usize = 200;
pub const LONGEST_NOTE: usize = 10_000;
pub const LONGEST_REASON: usize = 2_000;

/// The state of one incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Incident {
    pub id: IncidentId,
    /// The sequence number of the last event.
    pub seq: u64,
    pub title: String,
    pub description: Option<String>,
    /// The name of a level of the severity matrix.
    pub severity: String,
    pub state: State,
    pub service: Option<String>,
    pub environment: Option<String>,
    /// What later alerts are correlated by.
    pub key: String,
    pub origin: Origin,
    pub opened_by: Actor,
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
    /// The first time that somebody took it on.
    pub acknowledged: Option<Acknowledgement>,
    pub resolution: Option<Resolution>,
    /// What was seen when somebody last looked whether it is well again.
    pub steady: Option<Look>,
    pub roles: BTreeMap<Role, Vec<String>>,
    /// By the key of this firing of the alert.
    pub alerts: BTreeMap<String, JoinedAlert>,
    pub runs: BTreeMap<RunId, AttachedRun>,
    /// What alerts did not start, and why: the last word on each alert and runbook.
    pub held_back: Vec<HeldBack>,
    /// When people were called because running again has not helped.
    pub escalations: Vec<Escalation>,
    pub links: BTreeSet<IncidentId>,
    /// The incidents that were merged into this one.
    pub absorbed: BTreeSet<IncidentId>,
    pub merged_into: Option<IncidentId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Investigating,
    /// The cause is known.
    Identified,
    /// It looks recovered, and is watched.
    Monitoring,
    Resolved,
    /// It goes on as another incident.
    Merged,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acknowledgement {
    pub by: Actor,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolution {
    pub by: Actor,
    pub at: Timestamp,
    /// Whether the steady state held; `None` where nobody could tell.
    pub verified: Option<bool>,
    /// Something spoke against it.
    pub forced: bool,
    pub reason: Option<String>,
}

/// An alert of the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinedAlert {
    pub fingerprint: String,
    pub name: String,
    pub title: String,
    pub severity: Option<String>,
    pub source: Source,
    pub url: Option<String>,
    pub status: AlertStatus,
    /// When it began, by the detector's clock.
    pub starts_at: Timestamp,
    /// When it came to have its status here.
    pub since: Timestamp,
}

/// A run of the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttachedRun {
    pub runbook: String,
    pub environment: String,
    /// The key of the alert that started it.
    pub alert: Option<String>,
    /// `None` while it is active.
    pub status: Option<EndStatus>,
    pub recovered: Option<bool>,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// Why an alert started nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldBack {
    pub alert: String,
    /// `None` where no runbook was for it.
    pub runbook: Option<String>,
    pub why: String,
    pub at: Timestamp,
}

/// People were called instead of running a runbook again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Escalation {
    /// The number of its entry.
    pub seq: u64,
    pub at: Timestamp,
    pub runbook: String,
    /// People or groups.
    pub to: Vec<String>,
    pub why: String,
}

/// What lists of incidents show, kept beside the events so that listing need not fold each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub id: IncidentId,
    pub title: String,
    pub severity: String,
    pub state: State,
    pub service: Option<String>,
    pub environment: Option<String>,
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub acknowledged_by: Option<String>,
    pub alerts_firing: usize,
    pub runs_active: usize,
    pub commander: Option<String>,
    pub merged_into: Option<IncidentId>,
}

impl Incident {
    /// Neither resolved nor merged: later alerts of its key belong to it.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Resolved | State::Merged)
    }
    pub fn alerts_firing(&self) -> impl Iterator<Item = (&str, &JoinedAlert)> {
        self.alerts
            .iter()
            .filter(|(_, alert)| alert.status == AlertStatus::Firing)
            .map(|(key, alert)| (key.as_str(), alert))
    }
    pub fn runs_active(&self) -> impl Iterator<Item = (RunId, &AttachedRun)> {
        self.runs.iter().filter(|(_, run)| run.status.is_none()).map(|(id, run)| (*id, run))
    }
    pub fn commander(&self) -> Option<&str> {
        self.holders(Role::IncidentCommander).first().map(String::as_str)
    }
    /// Who has a role.
    pub fn holders(&self, role: Role) -> &[String] {
        self.roles.get(&role).map_or(&[], Vec::as_slice)
    }
    pub fn resolved_at(&self) -> Option<Timestamp> {
        self.resolution.as_ref().map(|resolution| resolution.at)
    }
    /// What programs are given of it. Its keys are an API.
    pub fn document(&self) -> Value {
        // An incident always serializes: it is plain data with texts as keys.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
    pub fn summary(&self) -> Summary {
        Summary {
            id: self.id,
            title: self.title.clone(),
            severity: self.severity.clone(),
            state: self.state,
            service: self.service.clone(),
            environment: self.environment.clone(),
            opened_at: self.opened_at,
            updated_at: self.updated_at,
            resolved_at: self.resolved_at(),
            acknowledged_by: self.acknowledged.as_ref().map(|taken| taken.by.name.clone()),
            alerts_firing: self.alerts_firing().count(),
            runs_active: self.runs_active().count(),
            commander: self.commander().map(str::to_owned),
            merged_into: self.merged_into,
        }
    }
}

impl Summary {
    /// One incident of a list. Its keys are an API.
    pub fn document(&self) -> Value {
        // A summary always serializes: it is plain data with texts as keys.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

impl State {
    /// The word in JSON and for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Monitoring => "monitoring",
            Self::Resolved => "resolved",
            Self::Merged => "merged",
        }
    }
}

/// The hash before the first event: it ties the chain to its incident.
pub fn genesis(id: IncidentId) -> String {
    genesis_of(&id)
}

/// Proves that an incident's records are all there, in order and unchanged. `head` is the number
/// of records that the journal says there are.
pub fn verify(id: IncidentId, records: &[Record], head: u64) -> Result<(), Broken> {
    verify_chain::<Body>(genesis(id), records, head)
}

/// The events of records that were kept, each with its hash.
pub fn history(records: &[Record]) -> Result<Vec<(Event, String)>, Broken> {
    records.iter().map(|record| Ok((record.open_as()?, record.hash.clone()))).collect()
}

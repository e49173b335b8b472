//! What the desk keeps on the shelf: deliveries, alerts, groups, what is held, what was started.

use std::{fmt, sync::Arc};

use runbook_core::{
    Timestamp, Value,
    alert::{Alert, AlertStatus},
    event::RunId,
    runbook::Source,
    trigger::{Past, Wanted, Why},
};
use runbook_journal::{Document, DocumentQuery, Expect, JournalError, Shelf, Write};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// A kind of document.
pub trait Kept: Serialize + DeserializeOwned + Clone + Send + Sync {
    const KIND: &'static str;
    /// What lists of this kind are ordered by.
    fn at(&self) -> Timestamp;
    fn state(&self) -> Option<String> {
        None
    }
    fn parent(&self) -> Option<String> {
        None
    }
}

/// A document with what is needed to write it again.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<T> {
    pub id: String,
    pub version: u64,
    pub value: T,
}

/// One delivery of a detector, as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The door through which it came.
    pub hook: String,
    pub source: Source,
    pub environment: String,
    pub received_at: Timestamp,
    /// What was verified, byte for byte.
    pub body: String,
    pub alerts: Vec<Alert>,
    /// The trace context of the request, as a `traceparent` header has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
    pub state: DeliveryState,
    /// What came of it, once it is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    New,
    Done,
}

/// What came of one alert for one runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub alert: String,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<RunId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing: Option<Why>,
}

/// One firing of an alert, from its first message on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptAlert {
    pub hook: String,
    pub environment: String,
    /// As it was told last.
    pub alert: Alert,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    /// How often it was told again.
    pub repeats: u64,
    /// The trace context of the delivery that began it, as a `traceparent` header has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// What it started, and why it did not; the last at the end, no more than [`KeptAlert::OUTCOMES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<Outcome>,
}

/// What was started for a group of a runbook in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub runbook: String,
    pub environment: String,
    pub group: String,
    pub past: Past,
    pub changed_at: Timestamp,
}

/// A run that waits whether its alert lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    pub alert: String,
    pub environment: String,
    pub wanted: Wanted,
    pub due: Timestamp,
}

/// A run that the desk started, or knows of, until all that follows from its end is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    pub run: RunId,
    pub runbook: String,
    pub environment: String,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    pub settled: bool,
}

impl KeptAlert {
    pub const OUTCOMES: usize = 50;

    pub fn is_firing(&self) -> bool {
        self.alert.status == AlertStatus::Firing
    }

    /// The last that came of it, but for its end: that says nothing about what it did.
    pub fn came_of_it(&self) -> Option<&Outcome> {
        let is_more = |outcome: &&Outcome| !matches!(outcome.nothing, Some(Why::Resolved));
        self.outcomes.iter().rev().find(is_more).or(self.outcomes.last())
    }

    pub fn note(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
        let surplus = self.outcomes.len().saturating_sub(Self::OUTCOMES);
        self.outcomes.drain(..surplus);
    }
}

/// What came of an alert for one runbook, in a sentence.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.started, &self.nothing, &self.runbook) {
            (Some(_), _, Some(runbook)) => write!(f, "Started {runbook}"),
            (Some(_), _, None) => f.write_str("Started a run"),
            (None, Some(why), Some(runbook)) => write!(f, "Did not start {runbook}: {why}"),
            (None, Some(why), None) => write!(f, "Started nothing: {why}"),
            (None, None, _) => f.write_str("Nothing came of it"),
        }
    }
}

impl Found<KeptAlert> {
    /// An alert, with what it started and why it did not. Its keys are an API.
    pub fn document(&self) -> Value {
        let KeptAlert { hook, environment, alert, first_at, last_at, repeats, incident, outcomes, .. } =
            &self.value;
        let outcomes: Vec<Value> = outcomes
            .iter()
            .map(|outcome| {
                json!({
                    "at": outcome.at,
                    "runbook": outcome.runbook,
                    "run": outcome.started,
                    "nothing": outcome.nothing.as_ref().map(|why| why.code()),
                    "why": outcome.nothing.as_ref().map(ToString::to_string),
                })
            })
            .collect();
        json!({
            "id": self.id,
            "hook": hook,
            "environment": environment,
            "status": alert.status,
            "name": alert.name,
            "title": alert.title,
            "severity": alert.severity,
            "service": alert.service,
            "labels": alert.labels,
            "annotations": alert.annotations,
            "metrics": alert.metrics,
            "starts_at": alert.starts_at,
            "ends_at": alert.ends_at,
            "url": alert.url,
            "first_at": first_at,
            "last_at": last_at,
            "repeats": repeats,
            "incident": incident,
            "outcomes": outcomes,
        })
    }
}

/// The identity of a firing: the door through which it came and what the detector calls it.
pub fn alert_id(hook: &str, key: &str) -> String {
    hashed("alert", &[hook, key])
}

/// The identity of a delivery that the detector has numbered.
pub fn delivery_id(hook: &str, number: &str) -> String {
    hashed("delivery", &[hook, number])
}

/// The identity of a group.
pub fn group_id(environment: &str, runbook: &str, group: &str) -> String {
    hashed("group", &[environment, runbook, group])
}

pub fn held_id(alert: &str, runbook: &str) -> String {
    hashed("held", &[alert, runbook])
}

/// A short name for texts of any length, safe in addresses. 96 bits: two of a billion are alike with
/// a chance of one in 10^11.
fn hashed(kind: &str, parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("{kind}_{hex}")
}

impl Kept for Delivery {
    const KIND: &'static str = "delivery";
    fn at(&self) -> Timestamp {
        self.received_at
    }
    fn state(&self) -> Option<String> {
        Some(if self.state == DeliveryState::New { "new" } else { "done" }.to_owned())
    }
    fn parent(&self) -> Option<String> {
        Some(self.hook.clone())
    }
}

impl Kept for KeptAlert {
    const KIND: &'static str = "alert";
    fn at(&self) -> Timestamp {
        self.first_at
    }
    fn state(&self) -> Option<String> {
        Some(if self.is_firing() { "firing" } else { "resolved" }.to_owned())
    }
    fn parent(&self) -> Option<String> {
        self.incident.clone()
    }
}

impl Kept for Group {
    const KIND: &'static str = "group";
    fn at(&self) -> Timestamp {
        self.changed_at
    }
    fn state(&self) -> Option<String> {
        self.past.active.map(|_| "active".to_owned())
    }
}

impl Kept for Held {
    const KIND: &'static str = "held";
    fn at(&self) -> Timestamp {
        self.due
    }
    fn parent(&self) -> Option<String> {
        Some(self.alert.clone())
    }
}

impl Kept for Started {
    const KIND: &'static str = "started";
    fn at(&self) -> Timestamp {
        self.at
    }
    fn state(&self) -> Option<String> {
        Some(if self.settled { "settled" } else { "open" }.to_owned())
    }
    fn parent(&self) -> Option<String> {
        self.incident.clone()
    }
}

pub async fn find<T: Kept>(shelf: &Arc<dyn Shelf>, id: &str) -> Result<Option<Found<T>>, JournalError> {
    shelf.document(T::KIND, id).await?.map(open).transpose()
}

/// Documents of a kind, of this state and parent where they are given.
pub async fn list<T: Kept>(
    shelf: &Arc<dyn Shelf>,
    query: DocumentQuery,
) -> Result<Vec<Found<T>>, JournalError> {
    let query = DocumentQuery { kind: T::KIND.to_owned(), ..query };
    shelf.documents(&query).await?.into_iter().map(open).collect()
}

fn open<T: Kept>(document: Document) -> Result<Found<T>, JournalError> {
    let value = serde_json::from_slice(&document.body).map_err(|error| JournalError::Unreadable {
        kind: document.kind.clone(),
        id: document.id.clone(),
        why: error.to_string(),
    })?;
    Ok(Found { id: document.id, version: document.version, value })
}

pub fn put<T: Kept>(id: &str, value: &T, expect: Expect) -> Result<Write, JournalError> {
    let unfit = |error: serde_json::Error| JournalError::Unreadable {
        kind: T::KIND.to_owned(),
        id: id.to_owned(),
        why: error.to_string(),
    };
    let document = Document {
        kind: T::KIND.to_owned(),
        id: id.to_owned(),
        version: 0,
        at: value.at(),
        state: value.state(),
        parent: value.parent(),
        body: serde_json::to_vec(value).map_err(unfit)?,
    };
    Ok(Write::Put { document, expect })
}

pub fn remove<T: Kept>(id: &str) -> Write {
    Write::Remove { kind: T::KIND.to_owned(), id: id.to_owned() }
}

//! The vocabulary: what happens in an incident.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{IncidentId, Role, Seen, State};
use crate::{
    event::{self, EndStatus, RunId},
    runbook::Source,
};

/// One thing that happened in an incident.
pub type Event = event::Event<Body>;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum Body {
    Opened(Box<Opening>),

    AlertJoined(Box<AlertJoined>),
    AlertResolved {
        key: String,
        name: String,
    },
    RunStarted {
        run: RunId,
        runbook: String,
        environment: String,
        /// The key of the alert that started it; `None` for a person.
        alert: Option<String>,
    },
    /// Comes again where an ended run is taken up again, to be undone.
    RunEnded {
        run: RunId,
        runbook: String,
        status: EndStatus,
        recovered: Option<bool>,
    },
    /// An alert started nothing, and why.
    NothingStarted {
        alert: String,
        runbook: Option<String>,
        why: String,
    },

    /// Running again has not helped: people are called instead.
    Escalated {
        runbook: String,
        /// People or groups.
        to: Vec<String>,
        why: String,
    },

    Acknowledged {},
    Noted {
        text: String,
    },
    SeverityChanged {
        from: String,
        to: String,
        reason: Option<String>,
    },
    /// Between the open states only; resolving and merging are events of their own.
    StateChanged {
        to: State,
    },
    RoleAssigned {
        role: Role,
        person: String,
    },
    RoleLeft {
        role: Role,
        person: String,
    },

    Linked {
        other: IncidentId,
    },
    /// It goes on as another.
    Merged {
        into: IncidentId,
    },
    /// Another goes on as this one; its firing alerts and active runs follow as events.
    Absorbed {
        other: IncidentId,
    },

    /// Somebody looked whether it is well again.
    SteadyChecked {
        /// `None` where it could not be read.
        holds: Option<bool>,
        checks: Vec<Seen>,
    },
    Resolved {
        /// Whether the steady state held; `None` where nobody could tell.
        verified: Option<bool>,
        reason: Option<String>,
        /// Something spoke against it, and the reason says why it was done all the same.
        forced: bool,
    },
    Reopened {
        reason: Option<String>,
    },
}

/// How an incident begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub title: String,
    /// The name of a level of the severity matrix.
    pub severity: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What later alerts are correlated by. Where it is empty, the id of the incident: nothing
    /// joins it by itself.
    #[serde(default)]
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub origin: Origin,
}

/// Who noticed: detection by alerts and by people is told apart in the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Alert,
    Person,
}

/// An alert as the incident keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertJoined {
    pub key: String,
    pub fingerprint: String,
    pub name: String,
    pub title: String,
    /// In the detector's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    pub source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it began, by the detector's clock.
    pub starts_at: Timestamp,
}

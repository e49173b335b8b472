//! Alerts, whichever detector sent them: one shape for triggers, incidents and the timeline.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::runbook::Source;

/// One alert of a delivery. This is also what the name `alert` stands for in expressions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub source: Source,
    pub status: AlertStatus,
    /// What is alerting: equal for the same alert each time it fires.
    pub fingerprint: String,
    /// This firing of it: equal for repeats, and for the message that it is resolved. Where a detector
    /// does not say which firing is over (CloudWatch), a resolved alert has its fingerprint here: it
    /// ends whatever fires of that fingerprint.
    pub key: String,
    /// What the detector calls it: the rule, the monitor, the alarm.
    pub name: String,
    /// One line for people.
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// In the detector's words: `critical`, `SEV-2`, `P1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// What was measured, where the detector says it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub metrics: Value,
    pub starts_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Where people look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertStatus {
    Firing,
    Resolved,
}

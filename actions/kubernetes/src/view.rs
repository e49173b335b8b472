//! The parts of API objects that are looked at. Everything else is ignored, so that any version of
//! the API, and any field that is left out, will do.

use std::collections::BTreeMap;

use jiff::Timestamp;
use runbook_core::{Value, duration::Duration};
use serde::Deserialize;

pub(crate) type Labels = BTreeMap<String, String>;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Meta {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) generation: i64,
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) creation_timestamp: Option<Timestamp>,
    pub(crate) deletion_timestamp: Option<Timestamp>,
    pub(crate) owner_references: Vec<Owner>,
}

impl Meta {
    /// Seconds since it was created.
    pub(crate) fn age(&self, now: Timestamp) -> f64 {
        seconds_since(self.creation_timestamp, now)
    }
}

/// Zero where the time is not known or lies ahead.
pub(crate) fn seconds_since(time: Option<Timestamp>, now: Timestamp) -> f64 {
    time.map_or(0.0, |time| Duration::between(time, now).as_secs_f64().round())
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Owner {
    pub(crate) kind: String,
    pub(crate) uid: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) last_update_time: Option<Timestamp>,
    pub(crate) last_transition_time: Option<Timestamp>,
}

pub(crate) fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// Deployment, StatefulSet, DaemonSet or ReplicaSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Workload {
    pub(crate) metadata: Meta,
    pub(crate) spec: WorkloadSpec,
    pub(crate) status: WorkloadStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WorkloadSpec {
    /// Absent in a DaemonSet; otherwise the server fills in one.
    pub(crate) replicas: Option<i64>,
    pub(crate) paused: bool,
    /// Of a Deployment.
    pub(crate) strategy: Strategy,
    pub(crate) selector: LabelSelector,
    pub(crate) template: Template,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Strategy {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) rolling_update: RollingUpdate,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RollingUpdate {
    /// A number, or a share such as `25%`.
    pub(crate) max_unavailable: Value,
    /// Likewise.
    pub(crate) max_surge: Value,
}

impl Strategy {
    /// How many pods may be missing during a rollout, so that new ones have room.
    pub(crate) fn may_be_missing(&self, desired: i64) -> i64 {
        if self.kind == "Recreate" {
            return desired;
        }
        hundredths(&self.rolling_update.max_unavailable, desired) / 100
    }

    /// How many pods there may be during a rollout beyond those desired.
    pub(crate) fn may_be_beside(&self, desired: i64) -> i64 {
        if self.kind == "Recreate" {
            return 0;
        }
        hundredths(&self.rolling_update.max_surge, desired).saturating_add(99) / 100
    }
}

/// A number, or a share of the pods desired, in hundredths of a pod: the server rounds a surge up
/// and what may be missing down.
fn hundredths(of: &Value, desired: i64) -> i64 {
    match of {
        Value::Number(count) => count.as_i64().unwrap_or(0).saturating_mul(100),
        Value::String(share) => {
            desired.saturating_mul(share.trim_end_matches('%').parse::<i64>().unwrap_or(0))
        }
        _ => 0,
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WorkloadStatus {
    pub(crate) observed_generation: i64,
    pub(crate) replicas: i64,
    pub(crate) ready_replicas: i64,
    pub(crate) updated_replicas: i64,
    pub(crate) available_replicas: i64,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) current_revision: String,
    pub(crate) update_revision: String,
    pub(crate) desired_number_scheduled: i64,
    pub(crate) current_number_scheduled: i64,
    pub(crate) updated_number_scheduled: i64,
    pub(crate) number_ready: i64,
    pub(crate) number_available: i64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Template {
    pub(crate) metadata: Meta,
    pub(crate) spec: PodSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LabelSelector {
    pub(crate) match_labels: Labels,
    pub(crate) match_expressions: Vec<Requirement>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Requirement {
    pub(crate) key: String,
    pub(crate) operator: String,
    pub(crate) values: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Pod {
    pub(crate) metadata: Meta,
    pub(crate) spec: PodSpec,
    pub(crate) status: PodStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodSpec {
    pub(crate) node_name: String,
    pub(crate) containers: Vec<Container>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) resources: Resources,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Resources {
    pub(crate) requests: BTreeMap<String, Value>,
    pub(crate) limits: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodStatus {
    pub(crate) phase: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) init_container_statuses: Vec<ContainerStatus>,
    pub(crate) container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerStatus {
    pub(crate) name: String,
    pub(crate) restart_count: i64,
    pub(crate) state: ContainerState,
    pub(crate) last_state: ContainerState,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerState {
    pub(crate) waiting: Option<Reason>,
    pub(crate) terminated: Option<Reason>,
}

/// Why a container waits or ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Reason {
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) exit_code: i64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Node {
    pub(crate) metadata: Meta,
    pub(crate) spec: NodeSpec,
    pub(crate) status: NodeStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NodeSpec {
    pub(crate) unschedulable: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NodeStatus {
    pub(crate) allocatable: BTreeMap<String, Value>,
    pub(crate) conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Event {
    pub(crate) metadata: Meta,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) count: i64,
    pub(crate) involved_object: ObjectReference,
    pub(crate) event_time: Option<Timestamp>,
    pub(crate) last_timestamp: Option<Timestamp>,
    pub(crate) series: Option<Series>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Series {
    pub(crate) count: i64,
    pub(crate) last_observed_time: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ObjectReference {
    pub(crate) kind: String,
    pub(crate) name: String,
}

//! Everything about a world that outlives a process. What clients see is computed from it and from
//! the time; nothing here moves by itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::estate::Estate;
use crate::time::{Seconds, Timeline};

/// Raised whenever a state of an older version could be misread.
pub(crate) const VERSION: u32 = 3;

/// Bounds on what a world remembers.
pub(crate) const MAX_OBJECTS: usize = 500;
pub(crate) const MAX_SEGMENTS: usize = 1_000;
pub(crate) const MAX_HAPPENINGS: usize = 200;
pub(crate) const MAX_MESSAGES: usize = 500;

/// Resource versions between two writes, left for the changes that pass by themselves.
pub(crate) const VERSIONS_PER_WRITE: u64 = 1_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub version: u32,
    pub scenario: String,
    /// Of the scenario's text that made this state.
    pub digest: String,
    /// When it was made or reset; identities come from it, so that they stay when the times move.
    pub born: Timestamp,
    pub timeline: Timeline,
    /// Whether anything was ever written. Before that, a world that rests stays as old as it was.
    pub touched: bool,
    /// When the last write happened; everything before it is settled.
    pub as_of: Seconds,
    pub counter: u64,
    /// By `plural.group/namespace/name`.
    pub objects: BTreeMap<String, Value>,
    pub pods: Vec<Pod>,
    /// By `namespace/name` of the deployment.
    pub rollouts: BTreeMap<String, Rollout>,
    pub flags: BTreeMap<String, bool>,
    /// When a cause was cured by something other than the pods themselves.
    pub cured: BTreeMap<String, Seconds>,
    /// By `namespace/name` of the workload.
    pub history: BTreeMap<String, Vec<Segment>>,
    pub happenings: Vec<Happening>,
    pub messages: Vec<Message>,
    pub aws: Estate,
}

/// One pod, with what will become of it if nothing else is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pod {
    pub name: String,
    pub namespace: String,
    pub deployment: String,
    pub replica_set: String,
    pub uid: String,
    /// The last octets of its address.
    pub address: u16,
    /// Counts writes, like the counter of the state; what passes by itself is added when shown.
    pub resource_version: u64,
    pub created: Seconds,
    pub node: Option<String>,
    pub scheduled: Option<Seconds>,
    pub behaviour: Behaviour,
    /// When this behaviour began.
    pub since: Seconds,
    pub ready: Option<Seconds>,
    pub gone: Option<Seconds>,
    /// Restarts before `since`.
    pub restarts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Behaviour {
    Runs,
    CrashLoop,
    OomKilled,
    NotReady,
    ImagePull,
}

/// What the deployment controller remembers about the rollout of a template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rollout {
    pub replica_set: String,
    /// When the template that is being rolled out was written.
    pub began: Seconds,
    /// When the controller sees the last write; until then it reports the generation before.
    pub observed: Seconds,
    pub observed_before: i64,
    /// The last progress that was settled.
    pub progressed: Seconds,
    /// Once complete, a rollout stays complete until its template changes.
    pub complete: bool,
}

/// What held for a workload from one moment on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Segment {
    pub from: Seconds,
    pub desired: u32,
    pub ready: u32,
    /// Requests per second, of failed ones the share per code.
    pub expected: f64,
    pub rps: f64,
    pub errors_500: f64,
    pub errors_503: f64,
    pub latency: Vec<Component>,
}

/// A share of the requests whose times have these quantiles, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Component {
    pub share: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}

/// An event that no present object tells by itself, such as a scaled replica set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Happening {
    pub at: Seconds,
    pub namespace: String,
    pub kind: String,
    pub name: String,
    pub reason: String,
    pub message: String,
    pub warning: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    pub ts: String,
    pub channel: String,
    pub text: String,
    pub blocks: Value,
}

impl State {
    /// The next resource version for something that is being written.
    pub fn stamp(&mut self) -> u64 {
        self.counter += VERSIONS_PER_WRITE;
        self.counter
    }

    pub fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&key(resource, namespace, name))
    }

    /// Objects of one resource, in the order of namespace and name.
    pub fn objects_of(&self, resource: &str) -> impl Iterator<Item = &Value> {
        let prefix = format!("{resource}/");
        self.objects
            .range(prefix.clone()..)
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .map(|(_, object)| object)
    }

    pub fn happened(&mut self, happening: Happening) {
        self.happenings.push(happening);
        let surplus = self.happenings.len().saturating_sub(MAX_HAPPENINGS);
        self.happenings.drain(..surplus);
    }
}

impl Pod {
    pub fn exists(&self, at: Seconds) -> bool {
        self.created <= at && self.gone.is_none_or(|gone| gone > at)
    }

    pub fn is_ready(&self, at: Seconds) -> bool {
        self.exists(at) && self.ready.is_some_and(|ready| ready <= at)
    }

    /// When things about it change by themselves.
    pub fn moments(&self) -> impl Iterator<Item = Seconds> {
        [Some(self.created), self.scheduled, self.ready, self.gone].into_iter().flatten()
    }
}

/// The key of an object; cluster-wide ones have an empty namespace.
pub(crate) fn key(resource: &str, namespace: &str, name: &str) -> String {
    format!("{resource}/{namespace}/{name}")
}

/// The text at a path of field names, or nothing.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

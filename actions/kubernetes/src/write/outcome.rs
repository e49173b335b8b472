//! What the changes of workloads answer: the workload as it is, and what was changed.

use std::collections::BTreeMap;

use runbook_core::{
    Value,
    change::{Change, differences},
    fault::Fault,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    read::outputs,
    rollout::{Stage, stage},
    workload::{Counts, Kind, WorkloadRef, images, revision, view_of},
};

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Outcome {
    /// What kind of workload it is.
    kind: Kind,
    /// Its name.
    name: String,
    /// How many pods there are to be.
    replicas: i64,
    /// How many there were to be before the change.
    previous_replicas: Option<i64>,
    /// How many are ready.
    ready: i64,
    /// How many have the newest template.
    updated: i64,
    /// How many have been ready long enough to count.
    available: i64,
    /// The number of a deployment's current revision.
    revision: Option<i64>,
    /// What it was before the change.
    previous_revision: Option<i64>,
    /// The image of every container.
    images: BTreeMap<String, String>,
    /// Rolled out, and every pod available.
    complete: bool,
    /// What was changed, as `field: old -> new`.
    changed: Vec<String>,
}

/// What follows from a change only after a while.
pub(crate) const FOLLOWS: [&str; 4] = ["ready", "updated", "available", "complete"];

pub(crate) fn of(workload: &WorkloadRef, object: &Value, change: Option<&Change>) -> Result<Value, Fault> {
    let view = view_of(object)?;
    let counts = Counts::of(workload.kind, &view);
    let mut changed = Vec::new();
    if let Some(change) = change {
        differences("", &change.before, &change.after, &mut changed);
    }
    let before = |field: &str| change.and_then(|change| change.before.get(field)?.as_i64());
    let image = |field: &str| change.and_then(|change| change.image.get(field)?.as_i64());
    outputs(&Outcome {
        kind: workload.kind,
        name: workload.name.clone(),
        replicas: counts.desired,
        previous_replicas: before("replicas").or(change.map(|_| counts.desired)),
        ready: counts.ready,
        updated: counts.updated,
        available: counts.available,
        revision: revision(&view.metadata),
        previous_revision: before("revision").or_else(|| image("revision")),
        images: images(&view.spec.template),
        complete: stage(workload.kind, &view) == Stage::Complete,
        changed,
    })
}

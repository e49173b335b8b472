//! `kubernetes.deployment`: what a deployment is to be, and is.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_core::{
    Value,
    change::{Change, Observed},
    fault::Fault,
    spec::ActionSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Read, outputs};
use crate::{
    client::Session,
    predict,
    rollout::{Stage, stage},
    schema,
    workload::{Counts, Kind, WorkloadRef, images, revision, view_of},
};

/// Which deployment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The namespace it is in.
    namespace: String,
    /// Its name.
    deployment: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// How many pods there are to be.
    replicas: i64,
    /// How many are ready.
    ready: i64,
    /// How many have the newest template.
    updated: i64,
    /// How many have been ready long enough to count.
    available: i64,
    /// How many are missing.
    unavailable: i64,
    /// Whether rollouts are held back.
    paused: bool,
    /// The number of the current revision.
    revision: Option<i64>,
    /// The image of the first container.
    image: String,
    /// The image of every container.
    images: BTreeMap<String, String>,
    /// Counts the changes of what it is to be.
    generation: i64,
    /// The generation that the controller has acted upon.
    observed_generation: i64,
    /// Rolled out, and every pod available.
    healthy: bool,
    /// What the controller says.
    conditions: Vec<ConditionOutput>,
    /// When it was created.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    created_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ConditionOutput {
    /// `Available`, `Progressing`, `ReplicaFailure`.
    r#type: String,
    /// `True`, `False` or `Unknown`.
    status: String,
    /// In one word, why.
    reason: String,
    /// In a sentence, why.
    message: String,
}

#[derive(Debug)]
pub(crate) struct Deployment;

#[async_trait]
impl Read for Deployment {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            permissions: vec![schema::rbac("apps", "deployments", &["get"])],
            example: json!({"namespace": "production", "deployment": "api"}),
            ..schema::read::<Input, Output>(
                "deployment",
                "Replicas, images, revision and health of a deployment",
            )
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let of = WorkloadRef::deployment(&input.namespace, &input.deployment);
        let object = of.get(session).await?;
        Ok(Observed {
            target: Some(of.target(&object)),
            outputs: outputs_of(&object)?,
            state: object,
            warnings: Vec::new(),
        })
    }

    fn overlay(seen: Observed, predicted: &[Change]) -> (Observed, bool) {
        overlaid(
            seen,
            predicted,
            outputs_of,
            &[
                "ready",
                "updated",
                "available",
                "unavailable",
                "healthy",
                "conditions",
                "generation",
                "observed_generation",
            ],
        )
    }
}

/// Where the pods are described.
const TEMPLATE: &str = "/spec/template";

fn outputs_of(object: &Value) -> Result<Value, Fault> {
    let workload = view_of(object)?;
    let counts = Counts::of(Kind::Deployment, &workload);
    let images = images(&workload.spec.template);
    let first = workload.spec.template.spec.containers.first();
    let conditions = workload.status.conditions.iter().map(|condition| ConditionOutput {
        r#type: condition.kind.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    });
    outputs(&Output {
        replicas: counts.desired,
        ready: counts.ready,
        updated: counts.updated,
        available: counts.available,
        unavailable: (counts.desired - counts.available).max(0),
        paused: workload.spec.paused,
        revision: revision(&workload.metadata),
        image: first.map(|container| container.image.clone()).unwrap_or_default(),
        images,
        generation: workload.metadata.generation,
        observed_generation: workload.status.observed_generation,
        healthy: stage(Kind::Deployment, &workload) == Stage::Complete,
        conditions: conditions.collect(),
        created_at: workload.metadata.creation_timestamp,
    })
}

/// Lays predicted changes over the object in the state and answers anew from it; what follows from
/// the change only later stays unknown. A change that alters nothing in the object leaves the
/// answer as it is.
pub(super) fn overlaid(
    mut seen: Observed,
    predicted: &[Change],
    answer: impl Fn(&Value) -> Result<Value, Fault>,
    follows: &[&str],
) -> (Observed, bool) {
    let changes = predict::of_target(&seen, predicted);
    let mut object = seen.state.clone();
    for change in &changes {
        predict::lay(&mut object, change);
    }
    let Some(last) = changes.last().filter(|_| object != seen.state) else { return (seen, false) };
    let Ok(mut outputs) = answer(&object) else { return (seen, false) };
    predict::blur(&mut outputs, follows, last);
    let revised = changes.iter().rev().find_map(|change| change.after.get("revision").cloned());
    match (outputs.get_mut("revision"), revised) {
        (Some(output), Some(revision)) => *output = revision,
        (Some(_), None) if object.pointer(TEMPLATE) != seen.state.pointer(TEMPLATE) => {
            predict::blur(&mut outputs, &["revision"], last);
        }
        _ => {}
    }
    (seen.outputs, seen.state) = (outputs, object);
    (seen, true)
}

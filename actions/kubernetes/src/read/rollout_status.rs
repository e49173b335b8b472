//! `kubernetes.rollout_status`: whether the last change is rolled out, and if not, why not.

use async_trait::async_trait;
use runbook_core::{
    Value,
    change::{Change, Observed},
    fault::Fault,
    spec::ActionSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Read, deployment::overlaid, outputs};
use crate::{
    client::Session,
    rollout::{self, Stage},
    schema,
    workload::{Counts, Kind, WorkloadRef, revision, view_of},
};

/// Which workload: exactly one of `deployment`, `statefulset` and `daemonset`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The namespace it is in.
    namespace: String,
    /// The name of a deployment.
    deployment: Option<String>,
    /// The name of a stateful set.
    statefulset: Option<String>,
    /// The name of a daemon set.
    daemonset: Option<String>,
}

impl Input {
    fn workload(&self) -> Result<WorkloadRef, Fault> {
        let given = [
            (Kind::Deployment, &self.deployment),
            (Kind::StatefulSet, &self.statefulset),
            (Kind::DaemonSet, &self.daemonset),
        ];
        WorkloadRef::one_of(&self.namespace, given)
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// Rolled out: every pod is of the newest template and available.
    complete: bool,
    /// Neither complete nor stuck.
    progressing: bool,
    /// Where it stands, in a sentence.
    message: String,
    /// Why it will not complete, where it is stuck.
    why_not: Option<String>,
    /// How many pods there are to be.
    desired: i64,
    /// How many have the newest template.
    updated: i64,
    /// How many are ready.
    ready: i64,
    /// How many have been ready long enough to count.
    available: i64,
    /// The number of a deployment's current revision.
    revision: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct RolloutStatus;

#[async_trait]
impl Read for RolloutStatus {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            permissions: vec![
                schema::rbac("apps", "deployments", &["get"]),
                schema::rbac("apps", "replicasets", &["list"]),
                schema::rbac("", "pods", &["list"]),
            ],
            example: json!({"namespace": "production", "deployment": "api"}),
            ..schema::read::<Input, Output>(
                "rollout_status",
                "Whether the last change is rolled out, and if not, why not",
            )
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let of = input.workload()?;
        let object = of.get(session).await?;
        let stage = rollout::look(session, &of, &view_of(&object)?).await?;
        Ok(Observed {
            target: Some(of.target(&object)),
            outputs: outputs_of(of.kind, &object, &stage)?,
            state: object,
            warnings: Vec::new(),
        })
    }

    fn overlay(seen: Observed, predicted: &[Change]) -> (Observed, bool) {
        let kind = match seen.state.get("kind").and_then(Value::as_str) {
            Some("StatefulSet") => Kind::StatefulSet,
            Some("DaemonSet") => Kind::DaemonSet,
            _ => Kind::Deployment,
        };
        overlaid(
            seen,
            predicted,
            |object| outputs_of(kind, object, &Stage::Complete),
            &["complete", "progressing", "message", "why_not", "updated", "ready", "available"],
        )
    }
}

fn outputs_of(kind: Kind, object: &Value, stage: &Stage) -> Result<Value, Fault> {
    let workload = view_of(object)?;
    let counts = Counts::of(kind, &workload);
    let (message, why_not) = match stage {
        Stage::Complete => (format!("all {} pods are updated and available", counts.desired), None),
        Stage::Progressing(missing) => (missing.clone(), None),
        Stage::Failed(why) => (why.clone(), Some(why.clone())),
    };
    outputs(&Output {
        complete: *stage == Stage::Complete,
        progressing: matches!(stage, Stage::Progressing(_)),
        message,
        why_not,
        desired: counts.desired,
        updated: counts.updated,
        ready: counts.ready,
        available: counts.available,
        revision: revision(&workload.metadata),
    })
}

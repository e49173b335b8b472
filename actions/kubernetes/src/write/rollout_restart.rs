//! `kubernetes.rollout_restart`: new pods of the same template, a few at a time.

use async_trait::async_trait;
use runbook_contract::PlanCx;
use runbook_core::{
    Timestamp, Value,
    fault::Fault,
    spec::{ActionSpec, UndoSupport},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Aim, Edit, Seen, outcome::Outcome};
use crate::{
    ops, schema,
    workload::{Kind, WorkloadRef},
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

const PATH: [&str; 5] = ["spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt"];

#[derive(Debug)]
pub(crate) struct RolloutRestart;

#[async_trait]
impl Edit for RolloutRestart {
    type Input = Input;

    fn spec() -> ActionSpec {
        let undo = UndoSupport::None("the pods that were replaced do not come back".to_owned());
        ActionSpec {
            permissions: vec![
                schema::rbac("apps", "deployments", &["get", "patch"]),
                schema::rbac("apps", "replicasets", &["list"]),
                schema::rbac("", "pods", &["list"]),
            ],
            example: json!({"namespace": "production", "deployment": "api"}),
            ..schema::write::<Input, Outcome>(
                "rollout_restart",
                "Replaces all pods of a workload, a few at a time",
                undo,
            )
        }
    }

    fn workload(input: &Input) -> Result<WorkloadRef, Fault> {
        let given = [
            (Kind::Deployment, &input.deployment),
            (Kind::StatefulSet, &input.statefulset),
            (Kind::DaemonSet, &input.daemonset),
        ];
        WorkloadRef::one_of(&input.namespace, given)
    }

    /// The time at which the step started is the mark of this restart: the same however often it
    /// is planned.
    fn aim(cx: &PlanCx, _: &Input, seen: &Seen) -> Result<Aim, Fault> {
        let at = Timestamp::from_second(cx.started_at.as_second()).unwrap_or(cx.started_at);
        Ok(Aim {
            before: Self::fields(&Value::Null, &seen.object),
            after: json!({"restarted_at": at.to_string()}),
            summary: format!("restart all pods of {}", seen.of),
            image: Value::Null,
        })
    }

    fn fields(_: &Value, object: &Value) -> Value {
        json!({"restarted_at": object.pointer(&ops::pointer(&PATH))})
    }

    fn patch(object: &Value, fields: &Value, _: &Value) -> Value {
        json!([ops::put(object, &PATH, fields.get("restarted_at").cloned().unwrap_or_default())])
    }
}

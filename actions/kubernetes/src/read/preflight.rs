//! `kubernetes.preflight`: what would stand in the way of changing a workload.

use async_trait::async_trait;
use runbook_core::{
    change::Observed,
    fault::Fault,
    spec::{ActionSpec, Permission},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Read, outputs};
use crate::{
    around::{self, Purpose},
    client::Session,
    schema,
    workload::{Kind, WorkloadRef},
};

/// Which workload, and what is meant to be done with it: exactly one of `deployment`,
/// `statefulset` and `daemonset`.
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
    /// The verbs that are needed on it.
    #[serde(default = "usual_verbs")]
    #[schemars(length(max = 8))]
    verbs: Vec<String>,
    /// The number of replicas that it is meant to have, to see whether the quotas allow it.
    #[schemars(range(min = 0))]
    replicas: Option<i64>,
}

fn usual_verbs() -> Vec<String> {
    vec!["get".to_owned(), "patch".to_owned()]
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// Nothing would make a change fail.
    ok: bool,
    /// How many of the obstacles would.
    blocking: usize,
    /// What is in the way.
    obstacles: Vec<ObstacleOutput>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ObstacleOutput {
    /// `rbac`, `missing`, `hpa`, `argocd`, `paused`, `pdb`, `quota`, or `unknown`.
    code: String,
    /// Whether a change would fail, rather than surprise.
    blocking: bool,
    /// What it is.
    message: String,
    /// What to do about it.
    hint: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Preflight;

#[async_trait]
impl Read for Preflight {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            permissions: vec![Permission::Other("whatever the verbs that are asked about need".to_owned())],
            example: json!({"namespace": "production", "deployment": "api"}),
            ..schema::read::<Input, Output>("preflight", "What would stand in the way of changing a workload")
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let given = [
            (Kind::Deployment, &input.deployment),
            (Kind::StatefulSet, &input.statefulset),
            (Kind::DaemonSet, &input.daemonset),
        ];
        let of = WorkloadRef::one_of(&input.namespace, given)?;
        let verbs: Vec<&str> = input.verbs.iter().map(String::as_str).collect();
        let purpose = input.replicas.map_or(Purpose::Any, |to| Purpose::Scale { to });
        let mut needed = vec![schema::rbac("apps", "deployments", &verbs)];
        if input.replicas.is_some() {
            needed.push(schema::rbac("apps", "deployments/scale", &["patch"]));
        }
        let obstacles = around::obstacles(session, &of, &needed, &purpose).await?;
        let blocking = obstacles.iter().filter(|obstacle| obstacle.blocking).count();
        let obstacles = obstacles.into_iter().map(|obstacle| ObstacleOutput {
            code: obstacle.code,
            blocking: obstacle.blocking,
            message: obstacle.message,
            hint: obstacle.hint,
        });
        Ok(Observed::outputs(outputs(&Output {
            ok: blocking == 0,
            blocking,
            obstacles: obstacles.collect(),
        })?))
    }
}

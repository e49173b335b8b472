//! `kubernetes.rollout_history`: what was rolled out when, and what can be gone back to.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_core::{
    Value,
    change::{Change, Observed},
    fault::Fault,
    spec::{ActionSpec, Reads},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Read, outputs};
use crate::{
    client::Session,
    predict,
    rollout::{self, Revision},
    schema,
    view::seconds_since,
    workload::{WorkloadRef, revision, view_of},
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
    /// The number of the current revision.
    revision: Option<i64>,
    /// The one before it, that a rollback would go to.
    previous_revision: Option<i64>,
    /// How many revisions are kept.
    count: usize,
    /// Seconds since the current revision became the current one.
    last_change_age: f64,
    /// When that was.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    last_change_at: Option<Timestamp>,
    /// The revisions, the newest first, at most fifty.
    revisions: Vec<RevisionOutput>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RevisionOutput {
    /// Its number.
    revision: i64,
    /// The image of its first container in the order of their names.
    image: String,
    /// The image of every container.
    images: BTreeMap<String, String>,
    /// What was noted as the reason of the change.
    change_cause: Option<String>,
    /// When it was first rolled out.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    created_at: Option<Timestamp>,
    /// Seconds since then.
    age: f64,
}

#[derive(Debug)]
pub(crate) struct RolloutHistory;

#[async_trait]
impl Read for RolloutHistory {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            reads: Reads::Configuration,
            permissions: vec![
                schema::rbac("apps", "deployments", &["get"]),
                schema::rbac("apps", "replicasets", &["list"]),
            ],
            example: json!({"namespace": "production", "deployment": "api"}),
            ..schema::read::<Input, Output>(
                "rollout_history",
                "The revisions of a deployment, and how long ago the last change was",
            )
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let of = WorkloadRef::deployment(&input.namespace, &input.deployment);
        let object = of.get(session).await?;
        let workload = view_of(&object)?;
        let revisions = rollout::history(session, &of, &workload).await?;
        let current = revision(&workload.metadata).or(revisions.first().map(|newest| newest.revision));
        let last_change_at = rollout::last_change(&workload, &revisions);
        let output = Output {
            revision: current,
            previous_revision: revisions
                .iter()
                .map(|known| known.revision)
                .find(|known| Some(*known) < current),
            count: revisions.len(),
            last_change_age: seconds_since(last_change_at, session.now),
            last_change_at,
            revisions: revisions.iter().map(|known| told(known, session.now)).collect(),
        };
        Ok(Observed {
            target: Some(of.target(&object)),
            outputs: outputs(&output)?,
            state: Value::Null,
            warnings: Vec::new(),
        })
    }

    /// A predicted rollout is a newer revision; when it will have been, and what the list of
    /// revisions will look like, is not known.
    fn overlay(mut seen: Observed, predicted: &[Change]) -> (Observed, bool) {
        let changes = predict::of_target(&seen, predicted);
        let Some(last) = changes.into_iter().rfind(|change| is_a_rollout(change)) else {
            return (seen, false);
        };
        let before = seen.outputs.get("revision").cloned().unwrap_or_default();
        predict::blur(
            &mut seen.outputs,
            &["revision", "previous_revision", "count", "last_change_age", "last_change_at"],
            last,
        );
        if let (Some(revision), Some(outputs)) = (last.after.get("revision"), seen.outputs.as_object_mut()) {
            outputs.insert("revision".to_owned(), revision.clone());
            outputs.insert("previous_revision".to_owned(), before);
        }
        (seen, true)
    }
}

fn told(known: &Revision, now: Timestamp) -> RevisionOutput {
    RevisionOutput {
        revision: known.revision,
        image: known.images.values().next().cloned().unwrap_or_default(),
        images: known.images.clone(),
        change_cause: known.change_cause.clone(),
        created_at: known.created_at,
        age: seconds_since(known.created_at, now),
    }
}

/// Scaling makes no revision; whatever else changes a deployment may.
fn is_a_rollout(change: &Change) -> bool {
    change.action != "kubernetes.scale"
}

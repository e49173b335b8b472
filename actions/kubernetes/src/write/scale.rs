//! `kubernetes.scale`: another number of pods.

use async_trait::async_trait;
use runbook_contract::PlanCx;
use runbook_core::{
    Value,
    change::Change,
    fault::{Fault, FaultKind},
    spec::{ActionSpec, Effect, UndoSupport},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Aim, Edit, Seen, outcome::Outcome};
use crate::{
    around::Purpose,
    client::{MERGE_PATCH, Session},
    pod,
    rollout::{self, Stage},
    schema,
    view::condition,
    workload::{Counts, Kind, WorkloadRef, view_of},
};

/// Which workload, and how many pods: exactly one of `deployment` and `statefulset`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The namespace it is in.
    namespace: String,
    /// The name of a deployment.
    deployment: Option<String>,
    /// The name of a stateful set.
    statefulset: Option<String>,
    /// How many pods there are to be. Zero takes the service away.
    #[schemars(range(min = 0, max = 10000))]
    replicas: i64,
}

/// What an environment may limit.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    min_replicas: Option<i64>,
    max_replicas: Option<i64>,
}

const MOST_REPLICAS: i64 = 10_000;

#[derive(Debug)]
pub(crate) struct Scale;

#[async_trait]
impl Edit for Scale {
    type Input = Input;

    const ROLLS_OUT: bool = false;
    const PATCH: &'static str = MERGE_PATCH;
    const FACE: Option<&'static str> = Some("scale");

    fn spec() -> ActionSpec {
        let undo = UndoSupport::Auto("to the number of replicas before".to_owned());
        ActionSpec {
            destructive_when: Some("replicas == 0".to_owned()),
            permissions: vec![
                schema::rbac("apps", "deployments", &["get"]),
                schema::rbac("apps", "deployments/scale", &["patch"]),
                schema::rbac("", "pods", &["list"]),
            ],
            example: json!({"namespace": "production", "deployment": "api", "replicas": 10}),
            ..schema::write::<Input, Outcome>(
                "scale",
                "Sets the number of pods of a deployment or stateful set",
                undo,
            )
        }
    }

    fn workload(input: &Input) -> Result<WorkloadRef, Fault> {
        if !(0..=MOST_REPLICAS).contains(&input.replicas) {
            return Err(Fault::permanent(format!(
                "`replicas` must be between 0 and {MOST_REPLICAS}, not {}",
                input.replicas
            )));
        }
        let given = [
            (Kind::Deployment, &input.deployment),
            (Kind::StatefulSet, &input.statefulset),
            (Kind::DaemonSet, &None),
        ];
        WorkloadRef::one_of(&input.namespace, given)
    }

    fn aim(_: &PlanCx, input: &Input, seen: &Seen) -> Result<Aim, Fault> {
        let now = Counts::of(seen.of.kind, &view_of(&seen.object)?).desired;
        Ok(Aim {
            before: json!({"replicas": now}),
            after: json!({"replicas": input.replicas}),
            summary: format!("replicas {now} -> {}", input.replicas),
            image: Value::Null,
        })
    }

    fn fields(_: &Value, object: &Value) -> Value {
        let replicas = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
        json!({"replicas": replicas})
    }

    fn patch(_: &Value, fields: &Value, _: &Value) -> Value {
        json!({"spec": {"replicas": fields.get("replicas")}})
    }

    fn effect(fields: &Value) -> Effect {
        if fields.get("replicas").and_then(Value::as_i64) == Some(0) {
            Effect::Destructive
        } else {
            Effect::Write
        }
    }

    fn purpose(input: &Input, _: &Value) -> Purpose {
        Purpose::Scale { to: input.replicas }
    }

    fn undo_input(change: &Change) -> Value {
        let mut input = change.input.clone();
        if let (Some(input), Some(replicas)) = (input.as_object_mut(), change.before.get("replicas")) {
            input.insert("replicas".to_owned(), replicas.clone());
        }
        input
    }

    async fn progress(
        session: &Session<'_>,
        of: &WorkloadRef,
        object: &Value,
        change: &Change,
    ) -> Result<Stage, Fault> {
        let view = view_of(object)?;
        if view.status.observed_generation < view.metadata.generation {
            return Ok(Stage::Progressing("the controller has not seen the change yet".to_owned()));
        }
        let Counts { desired, total, ready, .. } = Counts::of(of.kind, &view);
        let refused = condition(&view.status.conditions, "ReplicaFailure").filter(|it| it.status == "True");
        if let Some(refused) = refused {
            return Ok(Stage::Failed(format!("pods cannot be created: {}", refused.message)));
        }
        if total > desired {
            return Ok(Stage::Progressing(format!("{} pods are still to go", total - desired)));
        }
        // Fewer pods are there as soon as the others are gone; whether they are well is another matter.
        let grows = change.before.get("replicas").and_then(Value::as_i64) < Some(desired);
        if total == desired && (ready >= desired || !grows) {
            return Ok(Stage::Complete);
        }
        let pods = match rollout::pods(session, of, &view).await {
            // Why they are not ready is told to whoever may look.
            Err(fault) if fault.kind == FaultKind::Forbidden => Vec::new(),
            looked => looked?,
        };
        let stuck = pods.iter().filter(|pod| !pod::is_terminating(pod)).find_map(pod::hopeless);
        let because = stuck.map(|stuck| format!("; {stuck}")).unwrap_or_default();
        Ok(Stage::Progressing(format!("{ready} of {desired} pods are ready{because}")))
    }

    fn within_limits(input: &Input, limits: &Value) -> Result<(), Fault> {
        if limits.is_null() {
            return Ok(());
        }
        let Limits { min_replicas, max_replicas } = Limits::deserialize(limits).map_err(|error| {
            Fault::permanent(format!("the limits of kubernetes.scale are wrong: {error}"))
                .hint("they are `min_replicas` and `max_replicas`")
        })?;
        let hint = "change the limits of this environment, or ask for a number within them";
        match (min_replicas, max_replicas) {
            (_, Some(most)) if input.replicas > most => Err(Fault::denied(format!(
                "{} replicas are more than the {most} that this environment allows",
                input.replicas
            ))
            .hint(hint)),
            (Some(least), _) if input.replicas < least => Err(Fault::denied(format!(
                "{} replicas are fewer than the {least} that this environment asks for",
                input.replicas
            ))
            .hint(hint)),
            _ => Ok(()),
        }
    }
}

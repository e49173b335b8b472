//! `kubernetes.rollout_undo`: back to an earlier revision, as kubectl does it.

use async_trait::async_trait;
use runbook_contract::PlanCx;
use runbook_core::{
    Value,
    change::Change,
    fault::Fault,
    spec::{ActionSpec, UndoSupport},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Aim, Edit, Seen, outcome::Outcome};
use crate::{
    around::{Purpose, quota::Amounts},
    ops,
    rollout::{Revision, clean},
    schema,
    workload::{CHANGE_CAUSE, WorkloadRef, images, revision, view_of},
};

/// Which deployment, and back to what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The namespace it is in.
    namespace: String,
    /// Its name.
    deployment: String,
    /// The revision to go back to; the one before the current where it is left out.
    #[schemars(range(min = 1))]
    to_revision: Option<i64>,
}

const CAUSE_PATH: [&str; 3] = ["metadata", "annotations", CHANGE_CAUSE];

#[derive(Debug)]
pub(crate) struct RolloutUndo;

#[async_trait]
impl Edit for RolloutUndo {
    type Input = Input;

    const HISTORY: bool = true;

    fn spec() -> ActionSpec {
        let undo = UndoSupport::Auto("to the pod template of the revision before".to_owned());
        ActionSpec {
            permissions: vec![
                schema::rbac("apps", "deployments", &["get", "patch"]),
                schema::rbac("apps", "replicasets", &["list"]),
                schema::rbac("", "pods", &["list"]),
            ],
            example: json!({"namespace": "production", "deployment": "api"}),
            ..schema::write::<Input, Outcome>(
                "rollout_undo",
                "Rolls a deployment back to its previous or a named revision",
                undo,
            )
        }
    }

    fn workload(input: &Input) -> Result<WorkloadRef, Fault> {
        Ok(WorkloadRef::deployment(&input.namespace, &input.deployment))
    }

    fn aim(_: &PlanCx, input: &Input, seen: &Seen) -> Result<Aim, Fault> {
        let view = view_of(&seen.object)?;
        let newest = seen.history.first().map(|newest| newest.revision);
        let current = revision(&view.metadata).or(newest);
        let to = goal(input, seen, current)?;
        let template = seen.object.pointer("/spec/template").cloned().map(clean).unwrap_or_default();
        let cause = seen.object.pointer(&ops::pointer(&CAUSE_PATH)).cloned().unwrap_or_default();
        let next = current.max(newest).map(|newest| newest + 1);
        let fields = |revision: Option<i64>, cause: Value, template: Value| json!({"revision": revision, "change_cause": cause, "template": template});
        let old = images(&view.spec.template);
        let changed = to.images.iter().filter(|(container, image)| old.get(*container) != Some(*image));
        let changed: Vec<String> = changed
            .map(|(container, image)| {
                format!("{container}: {} -> {image}", old.get(container).map_or("none", String::as_str))
            })
            .collect();
        let what = if changed.is_empty() { String::new() } else { format!(" ({})", changed.join(", ")) };
        let from = current.map_or("the current one".to_owned(), |current| current.to_string());
        Ok(Aim {
            before: fields(current, cause, template),
            after: fields(next, json!(to.change_cause), to.template.clone()),
            summary: format!("back from revision {from} to {}{what}", to.revision),
            image: Value::Null,
        })
    }

    fn fields(_: &Value, object: &Value) -> Value {
        json!({
            "change_cause": object.pointer(&ops::pointer(&CAUSE_PATH)),
            "template": object.pointer("/spec/template").cloned().map(clean),
        })
    }

    fn patch(object: &Value, fields: &Value, _: &Value) -> Value {
        let mut operations = vec![ops::put(
            object,
            &["spec", "template"],
            fields.get("template").cloned().unwrap_or_default(),
        )];
        let wanted = fields.get("change_cause").filter(|cause| !cause.is_null());
        let now = object.pointer(&ops::pointer(&CAUSE_PATH));
        match wanted {
            Some(cause) if Some(cause) != now => {
                operations.push(ops::put(object, &CAUSE_PATH, cause.clone()))
            }
            Some(_) => {}
            None => operations.extend(ops::take(object, &CAUSE_PATH)),
        }
        Value::Array(operations)
    }

    fn purpose(_: &Input, _: &Value) -> Purpose {
        Purpose::Rollout { more: Amounts::default(), resized: None, same_images: false }
    }

    fn undo_input(change: &Change) -> Value {
        let mut input = change.input.clone();
        if let (Some(input), Some(revision)) =
            (input.as_object_mut(), change.before.get("revision").filter(|it| !it.is_null()))
        {
            input.insert("to_revision".to_owned(), revision.clone());
        }
        input
    }
}

/// The revision to go back to.
fn goal<'a>(input: &Input, seen: &'a Seen, current: Option<i64>) -> Result<&'a Revision, Fault> {
    let others: Vec<_> = seen.history.iter().filter(|known| Some(known.revision) != current).collect();
    let listed = others.iter().map(|known| known.revision.to_string()).collect::<Vec<_>>().join(", ");
    let found = match input.to_revision {
        Some(wanted) => seen.history.iter().find(|known| known.revision == wanted),
        None => others.iter().find(|known| current.is_none_or(|current| known.revision < current)).copied(),
    };
    found.ok_or_else(|| match input.to_revision {
        Some(wanted) => {
            Fault::not_found(format!("{} has no revision {wanted}", seen.of)).hint(if listed.is_empty() {
                "it has no other revision than its current one".to_owned()
            } else {
                format!("it can go back to: {listed}")
            })
        }
        None => Fault::permanent(format!("{} has no earlier revision to go back to", seen.of))
            .hint("it was never changed, or its `revisionHistoryLimit` keeps no earlier revisions"),
    })
}

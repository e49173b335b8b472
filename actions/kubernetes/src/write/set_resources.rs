//! `kubernetes.set_resources`: what a container may use, absolute or so much more or less.

use std::borrow::Cow;

use async_trait::async_trait;
use runbook_contract::PlanCx;
use runbook_core::{
    Value,
    change::Change,
    fault::Fault,
    spec::{ActionSpec, UndoSupport},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, json};

use super::{Aim, Edit, Seen, outcome::Outcome};
use crate::{
    around::{Purpose, quota},
    ops,
    quantity::Quantity,
    schema, template,
    view::Container,
    workload::{Kind, WorkloadRef},
};

/// Which container, and what it may use: exactly one of `deployment`, `statefulset` and
/// `daemonset`, and at least one amount.
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
    /// The container, where there are several.
    container: Option<String>,
    /// What it is guaranteed.
    #[serde(default)]
    requests: Amounts,
    /// What it may use at most.
    #[serde(default)]
    limits: Amounts,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Amounts {
    /// Cores: `500m`, `2`, `+250m`.
    cpu: Option<Amount>,
    /// Bytes: `2Gi`, `+512Mi`, `-1Gi`.
    memory: Option<Amount>,
}

/// So much, or so much more or less than it is.
#[derive(Debug, Clone, Copy)]
enum Amount {
    Absolute(Quantity),
    More(Quantity),
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Value::deserialize(deserializer)?;
        let relative = given.as_str().is_some_and(|text| text.trim_start().starts_with(['+', '-']));
        let amount = Quantity::of(&given).ok_or_else(|| {
            de::Error::custom(format!("`{given}` is not an amount; write it like `500m`, `2Gi` or `+512Mi`"))
        })?;
        if relative {
            return Ok(Self::More(amount));
        }
        if amount.is_negative() {
            Err(de::Error::custom("an amount cannot be negative"))
        } else {
            Ok(Self::Absolute(amount))
        }
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number"],
            "description": "An amount (500m, 2Gi), or a sign and by how much (+512Mi, -250m)."
        })
    }
}

#[derive(Debug)]
pub(crate) struct SetResources;

#[async_trait]
impl Edit for SetResources {
    type Input = Input;

    fn spec() -> ActionSpec {
        let undo = UndoSupport::Auto("to the amounts before".to_owned());
        ActionSpec {
            permissions: vec![
                schema::rbac("apps", "deployments", &["get", "patch"]),
                schema::rbac("apps", "replicasets", &["list"]),
                schema::rbac("", "pods", &["list"]),
            ],
            example: json!({"namespace": "production", "deployment": "api", "limits": {"memory": "+2Gi"}}),
            ..schema::write::<Input, Outcome>(
                "set_resources",
                "Sets the cpu and memory of a container and rolls it out",
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

    fn aim(_: &PlanCx, input: &Input, seen: &Seen) -> Result<Aim, Fault> {
        if amounts(input).next().is_none() {
            return Err(
                Fault::permanent("`with` names no amount").hint("write it like `limits: { memory: +2Gi }`")
            );
        }
        let container = template::choose(&seen.object, input.container.as_deref())?;
        let mut after = json!({"container": container});
        let mut image = json!({});
        let mut told = Vec::new();
        for (side, resource, amount) in amounts(input) {
            let now = current(&seen.object, &container, side, resource);
            let goal = match (amount, now.and_then(Quantity::of)) {
                (Amount::Absolute(goal), _) => goal,
                (Amount::More(more), Some(now)) => now.plus(more),
                (Amount::More(_), None) => {
                    return Err(Fault::permanent(format!(
                        "container `{container}` has no {resource} in its {side} to add to"
                    ))
                    .hint("give an amount without a sign"));
                }
            };
            if goal <= Quantity::ZERO {
                return Err(Fault::permanent(format!(
                    "that would leave container `{container}` {goal} of {resource} in its {side}"
                )));
            }
            after[side][resource] = json!(goal.to_string());
            image[side][resource] = now.cloned().unwrap_or_default();
            let now = now.map_or("none".to_owned(), plain);
            told.push(format!("{side}.{resource} {now} -> {goal}"));
        }
        let before = Self::fields(&after, &seen.object);
        Ok(Aim {
            before,
            after,
            summary: format!("{container}: {}", told.join(", ")),
            image: json!({"raw": image}),
        })
    }

    /// Amounts are compared by what they come to, not by how they are written.
    fn fields(like: &Value, object: &Value) -> Value {
        let container = like.get("container").and_then(Value::as_str).unwrap_or_default();
        let mut fields = json!({"container": container});
        for (side, resource, _) in named(like) {
            let now = current(object, container, &side, &resource);
            fields[&side][&resource] = now.map_or(Value::Null, |now| json!(plain(now)));
        }
        fields
    }

    fn patch(object: &Value, fields: &Value, image: &Value) -> Value {
        let container = fields.get("container").and_then(Value::as_str).unwrap_or_default();
        let Some((at, _)) = template::find(object, container) else { return json!([]) };
        let at = at.to_string();
        let mut patched = object.clone();
        let mut operations = Vec::new();
        for (side, resource, wanted) in named(fields) {
            let path = ["spec", "template", "spec", "containers", &at, "resources", &side, &resource];
            // As it was written before, where that is what it goes back to.
            let raw = image.pointer(&ops::pointer(&["raw", &side, &resource]));
            let raw = raw.filter(|raw| !raw.is_null() && json!(plain(raw)) == wanted);
            let operation = match raw.unwrap_or(&wanted) {
                Value::Null => ops::take(&patched, &path),
                value => Some(ops::put(&patched, &path, value.clone())),
            };
            // The next one starts from what this one leaves.
            if let Some(operation) = operation {
                if let Ok(patch) = serde_json::from_value::<json_patch::Patch>(json!([operation])) {
                    let _ = json_patch::patch(&mut patched, &patch);
                }
                operations.push(operation);
            }
        }
        Value::Array(operations)
    }

    fn purpose(input: &Input, object: &Value) -> Purpose {
        let mut more = quota::Amounts::default();
        let Ok(container) = template::choose(object, input.container.as_deref()) else {
            return Purpose::renewal();
        };
        let found = template::find(object, &container).map(|(_, found)| found.clone());
        let mut resized: Container =
            found.and_then(|found| serde_json::from_value(found).ok()).unwrap_or_default();
        for (side, resource, amount) in amounts(input) {
            let now = current(object, &container, side, resource).and_then(Quantity::of).unwrap_or_default();
            let each = match amount {
                Amount::Absolute(goal) => goal.minus(now),
                Amount::More(each) => each,
            };
            more.insert(format!("{side}.{resource}"), each);
            let amounts = &mut resized.resources;
            let amounts = if side == "limits" { &mut amounts.limits } else { &mut amounts.requests };
            amounts.insert(resource.to_owned(), json!(now.plus(each).to_string()));
        }
        Purpose::Rollout { more, resized: Some(resized), same_images: true }
    }

    fn undo_input(change: &Change) -> Value {
        let mut input = change.input.clone();
        if let Some(input) = input.as_object_mut() {
            for side in SIDES {
                let amounts = change.before.get(side).and_then(Value::as_object).into_iter().flatten();
                let kept: Map<_, _> = amounts
                    .filter(|(_, value)| !value.is_null())
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                input.remove(side);
                // An amount that was not there cannot be asked for; the change itself takes it away.
                if !kept.is_empty() {
                    input.insert(side.to_owned(), kept.into());
                }
            }
        }
        input
    }
}

const SIDES: [&str; 2] = ["requests", "limits"];

fn amounts(input: &Input) -> impl Iterator<Item = (&'static str, &'static str, Amount)> {
    let given = [
        ("requests", "cpu", input.requests.cpu),
        ("requests", "memory", input.requests.memory),
        ("limits", "cpu", input.limits.cpu),
        ("limits", "memory", input.limits.memory),
    ];
    given.into_iter().filter_map(|(side, resource, amount)| Some((side, resource, amount?)))
}

/// The amounts that fields name.
fn named(fields: &Value) -> Vec<(String, String, Value)> {
    let sides = SIDES.iter().filter_map(|side| Some((side, fields.get(*side)?.as_object()?)));
    let all = sides.flat_map(|(side, amounts)| {
        amounts.iter().map(|(resource, value)| ((*side).to_owned(), resource.clone(), value.clone()))
    });
    all.collect()
}

fn current<'a>(object: &'a Value, container: &str, side: &str, resource: &str) -> Option<&'a Value> {
    let (_, found) = template::find(object, container)?;
    found.pointer(&ops::pointer(&["resources", side, resource]))
}

/// One way of writing for equal amounts.
fn plain(value: &Value) -> String {
    match (Quantity::of(value), value) {
        (Some(amount), _) => amount.to_string(),
        (None, Value::String(text)) => text.clone(),
        (None, other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use runbook_core::Timestamp;

    use super::*;

    fn aim(resources: &Value, input: Value) -> Result<(Value, Aim), Fault> {
        let object = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "resources": resources}]}}}});
        let seen = Seen {
            server: String::new(),
            of: WorkloadRef::deployment("n", "d"),
            object: object.clone(),
            history: Vec::new(),
        };
        let cx =
            PlanCx { started_at: Timestamp::UNIX_EPOCH, idempotency_key: String::new(), over_others: false };
        let input: Input =
            serde_json::from_value(input).map_err(|error| Fault::permanent(error.to_string()))?;
        SetResources::workload(&input)?;
        Ok((object, SetResources::aim(&cx, &input, &seen)?))
    }

    fn patched(object: &Value, fields: &Value, image: &Value) -> Value {
        let patch: json_patch::Patch =
            serde_json::from_value(SetResources::patch(object, fields, image)).unwrap();
        let mut patched = object.clone();
        json_patch::patch(&mut patched, &patch).unwrap();
        patched
    }

    #[test]
    fn amounts_can_be_set_raised_and_taken_back() {
        let both = json!({"requests": {"memory": "1000M", "cpu": "250m"}, "limits": {"memory": "2Gi"}});
        for (resources, wanted, summary) in [
            (both.clone(), json!({"limits": {"memory": "+2Gi"}}), "app: limits.memory 2Gi -> 4Gi"),
            (both.clone(), json!({"limits": {"memory": "-512Mi"}}), "app: limits.memory 2Gi -> 1536Mi"),
            (
                both.clone(),
                json!({"requests": {"memory": "2Gi", "cpu": 1}}),
                "app: requests.cpu 250m -> 1, requests.memory 1000000000 -> 2Gi",
            ),
            (both, json!({"limits": {"cpu": "2"}}), "app: limits.cpu none -> 2"),
            (
                json!({}),
                json!({"limits": {"cpu": "2", "memory": "1Gi"}}),
                "app: limits.cpu none -> 2, limits.memory none -> 1Gi",
            ),
        ] {
            let mut input = json!({"namespace": "n", "deployment": "d"});
            input.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
            let (object, aim) = aim(&resources, input).unwrap();
            assert_eq!(aim.summary, summary);
            let after = patched(&object, &aim.after, &aim.image);
            assert_eq!(SetResources::fields(&aim.after, &after), aim.after, "{wanted}");
            let back = patched(&after, &aim.before, &aim.image);
            assert_eq!(SetResources::fields(&aim.before, &back), aim.before, "{wanted}");
            let old = &back["spec"]["template"]["spec"]["containers"][0]["resources"];
            for (side, amounts) in resources.as_object().unwrap() {
                assert_eq!(&old[side], amounts, "{wanted}: not as it was written before");
            }
        }
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for (resources, wanted) in [
            (json!({}), json!({"limits": {"memory": "+2Gi"}})),
            (json!({"limits": {"memory": "1Gi"}}), json!({"limits": {"memory": "-1Gi"}})),
            (json!({}), json!({"limits": {"memory": "lots"}})),
            (json!({}), json!({})),
        ] {
            let mut input = json!({"namespace": "n", "deployment": "d"});
            input.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
            assert!(aim(&resources, input).is_err(), "{wanted}");
        }
    }
}

//! `kubernetes.set_env`: environment variables of a container.

use std::{borrow::Cow, collections::BTreeMap};

use async_trait::async_trait;
use runbook_contract::PlanCx;
use runbook_core::{
    Value,
    change::{Change, brief},
    fault::Fault,
    spec::{ActionSpec, UndoSupport},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, json};

use super::{Aim, Edit, Seen, outcome::Outcome};
use crate::{
    ops, schema, template,
    workload::{Kind, WorkloadRef},
};

/// Which container, and its variables: exactly one of `deployment`, `statefulset` and `daemonset`.
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
    /// The variables and their new values; `null` takes one away.
    #[schemars(length(min = 1, max = 100))]
    env: BTreeMap<String, Setting>,
}

/// A text, or anything that is written like one; nothing takes the variable away.
#[derive(Debug)]
struct Setting(Option<String>);

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self(None)),
            Value::String(text) => Ok(Self(Some(text))),
            scalar @ (Value::Bool(_) | Value::Number(_)) => Ok(Self(Some(scalar.to_string()))),
            Value::Array(_) | Value::Object(_) => {
                Err(de::Error::custom("an environment variable is a text, a number or null"))
            }
        }
    }
}

impl JsonSchema for Setting {
    fn schema_name() -> Cow<'static, str> {
        "Setting".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "boolean", "null"], "description": "The value; null takes it away."})
    }
}

#[derive(Debug)]
pub(crate) struct SetEnv;

#[async_trait]
impl Edit for SetEnv {
    type Input = Input;

    fn spec() -> ActionSpec {
        let undo = UndoSupport::Auto("to the values before, each at its old place".to_owned());
        ActionSpec {
            permissions: vec![
                schema::rbac("apps", "deployments", &["get", "patch"]),
                schema::rbac("apps", "replicasets", &["list"]),
                schema::rbac("", "pods", &["list"]),
            ],
            example: json!({"namespace": "production", "deployment": "api", "env": {"LOG_LEVEL": "DEBUG"}}),
            ..schema::write::<Input, Outcome>(
                "set_env",
                "Sets environment variables of a container and rolls them out",
                undo,
            )
        }
    }

    fn workload(input: &Input) -> Result<WorkloadRef, Fault> {
        if let Some(name) = input.env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(Fault::permanent(format!("`{name}` cannot be the name of an environment variable")));
        }
        if input.env.is_empty() {
            return Err(
                Fault::permanent("`env` names no variable").hint("write it like `env: { LOG_LEVEL: DEBUG }`")
            );
        }
        let given = [
            (Kind::Deployment, &input.deployment),
            (Kind::StatefulSet, &input.statefulset),
            (Kind::DaemonSet, &input.daemonset),
        ];
        WorkloadRef::one_of(&input.namespace, given)
    }

    fn aim(_: &PlanCx, input: &Input, seen: &Seen) -> Result<Aim, Fault> {
        let container = template::choose(&seen.object, input.container.as_deref())?;
        let wanted: Map<String, Value> =
            input.env.iter().map(|(name, Setting(value))| (name.clone(), json!(value))).collect();
        let after = json!({"container": container, "env": wanted});
        let before = Self::fields(&after, &seen.object);
        let entries = entries(&seen.object, &container);
        let places = entries
            .iter()
            .enumerate()
            .filter_map(|(at, entry)| Some((name_of(entry)?.to_owned(), json!(at))));
        let places: Map<_, _> = places.filter(|(name, _)| wanted.contains_key(name)).collect();
        let told = wanted.iter().filter(|(name, value)| before["env"].get(*name) != Some(value));
        let told: Vec<String> = told
            .map(|(name, value)| format!("{name} {} -> {}", brief(&before["env"][name]), brief(value)))
            .collect();
        Ok(Aim {
            summary: format!("{container}: {}", told.join(", ")),
            before,
            after,
            image: json!({"places": places}),
        })
    }

    fn fields(like: &Value, object: &Value) -> Value {
        let container = like.get("container").and_then(Value::as_str).unwrap_or_default();
        let entries = entries(object, container);
        let names = like.get("env").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name);
        let values = names.map(|name| {
            let entry = entries.iter().find(|entry| name_of(entry) == Some(name));
            (name.clone(), entry.map(value_of).unwrap_or_default())
        });
        json!({"container": container, "env": values.collect::<Map<_, _>>()})
    }

    fn patch(object: &Value, fields: &Value, image: &Value) -> Value {
        let container = fields.get("container").and_then(Value::as_str).unwrap_or_default();
        let Some((at, found)) = template::find(object, container) else { return json!([]) };
        let base = format!("/spec/template/spec/containers/{at}/env");
        let difference = Difference::of(&entries(object, container), fields, image);
        let has_list = found.get("env").is_some_and(|env| !env.is_null());
        Value::Array(difference.operations(&base, has_list))
    }

    fn undo_input(change: &Change) -> Value {
        let mut input = change.input.clone();
        let before = change.before.get("env").and_then(Value::as_object).cloned().unwrap_or_default();
        // A variable that came from elsewhere cannot be written as an input; the change itself says it.
        let plain = before
            .into_iter()
            .map(|(name, value)| (name, if value.is_object() { Value::Null } else { value }));
        if let Some(input) = input.as_object_mut() {
            input.insert("env".to_owned(), plain.collect::<Map<_, _>>().into());
        }
        input
    }
}

/// What is to be done to a list of variables.
#[derive(Debug, Default)]
struct Difference {
    /// How many there are.
    length: usize,
    /// New values, each in its place.
    set: Vec<(usize, Value)>,
    /// The places of those that go.
    gone: Vec<usize>,
    /// Those that come, each to the place where it was before, if it was.
    come: Vec<(Option<usize>, Value)>,
}

impl Difference {
    fn of(entries: &[Value], fields: &Value, image: &Value) -> Self {
        let mut difference = Self { length: entries.len(), ..Self::default() };
        for (name, value) in fields.get("env").and_then(Value::as_object).into_iter().flatten() {
            let place = entries.iter().position(|entry| name_of(entry) == Some(name));
            match (place, value) {
                (Some(place), Value::Null) => difference.gone.push(place),
                (Some(place), value) if value_of(&entries[place]) != *value => {
                    difference.set.push((place, entry(name, value)));
                }
                (Some(_), _) | (None, Value::Null) => {}
                (None, value) => {
                    let old = image.pointer(&ops::pointer(&["places", name])).and_then(Value::as_u64);
                    let old = old.and_then(|old| usize::try_from(old).ok());
                    difference.come.push((old, entry(name, value)));
                }
            }
        }
        difference.gone.sort_unstable();
        difference.come.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
        difference
    }

    /// The operations, in an order in which each finds the places as it names them: new values,
    /// then those that go, from behind, then those that come, from the front.
    fn operations(self, base: &str, has_list: bool) -> Vec<Value> {
        let left = self.length - self.gone.len();
        if left == 0 && self.length > 0 && self.come.is_empty() {
            return vec![json!({"op": "remove", "path": base})];
        }
        if !has_list {
            let all: Vec<Value> = self.come.into_iter().map(|(_, entry)| entry).collect();
            return if all.is_empty() { all } else { vec![json!({"op": "add", "path": base, "value": all})] };
        }
        let set = self.set.into_iter().map(
            |(place, entry)| json!({"op": "replace", "path": format!("{base}/{place}"), "value": entry}),
        );
        let gone = self
            .gone
            .into_iter()
            .rev()
            .map(|place| json!({"op": "remove", "path": format!("{base}/{place}")}));
        let come = self.come.into_iter().zip(left..).map(|((place, entry), length)| {
            let place =
                place.filter(|place| *place < length).map_or("-".to_owned(), |place| place.to_string());
            json!({"op": "add", "path": format!("{base}/{place}"), "value": entry})
        });
        set.chain(gone).chain(come).collect()
    }
}

fn entries(object: &Value, container: &str) -> Vec<Value> {
    let env = template::find(object, container).and_then(|(_, container)| container.get("env")?.as_array());
    env.cloned().unwrap_or_default()
}

fn name_of(entry: &Value) -> Option<&str> {
    entry.get("name")?.as_str()
}

/// A text, or where it comes from: `{"valueFrom": …}`. A variable without either is empty.
fn value_of(entry: &Value) -> Value {
    match entry.get("valueFrom").filter(|from| !from.is_null()) {
        Some(from) => json!({"valueFrom": from}),
        None => entry.get("value").cloned().unwrap_or_else(|| json!("")),
    }
}

fn entry(name: &str, value: &Value) -> Value {
    match (value.get("valueFrom"), value.as_str()) {
        (Some(from), _) => json!({"name": name, "valueFrom": from}),
        // The server leaves an empty value out.
        (None, Some("")) => json!({"name": name}),
        (None, _) => json!({"name": name, "value": value}),
    }
}

#[cfg(test)]
mod tests {
    use runbook_core::Timestamp;

    use super::*;

    fn object(env: &Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "env": env}]}}}})
    }

    fn patched(object: &Value, fields: &Value, image: &Value) -> Value {
        let patch: json_patch::Patch = serde_json::from_value(SetEnv::patch(object, fields, image)).unwrap();
        let mut patched = object.clone();
        json_patch::patch(&mut patched, &patch).unwrap();
        patched
    }

    #[test]
    fn every_change_of_variables_can_be_made_and_taken_back_to_the_letter() {
        let from = json!({"secretKeyRef": {"name": "s", "key": "k"}});
        let env = json!([{"name": "A", "value": "1"}, {"name": "B", "valueFrom": from}, {"name": "C", "value": "3"}, {"name": "D"}]);
        for (env, wanted) in [
            (env.clone(), json!({"A": "2"})),
            (env.clone(), json!({"B": "plain"})),
            (env.clone(), json!({"A": null})),
            (env.clone(), json!({"A": null, "C": null})),
            (env.clone(), json!({"B": null, "D": "4", "E": "5"})),
            (env.clone(), json!({"A": null, "B": null, "C": null, "D": null})),
            (env, json!({"Z": "26"})),
            (Value::Null, json!({"A": "1", "B": "2"})),
        ] {
            let before = object(&env);
            let input = json!({"namespace": "n", "deployment": "d", "env": wanted});
            let seen = Seen {
                server: String::new(),
                of: WorkloadRef::deployment("n", "d"),
                object: before.clone(),
                history: Vec::new(),
            };
            let cx = PlanCx {
                started_at: Timestamp::UNIX_EPOCH,
                idempotency_key: String::new(),
                over_others: false,
            };
            let aim = SetEnv::aim(&cx, &serde_json::from_value(input).unwrap(), &seen).unwrap();
            let after = patched(&before, &aim.after, &aim.image);
            assert_eq!(SetEnv::fields(&aim.after, &after), aim.after, "{wanted}");
            let mut back = patched(&after, &aim.before, &aim.image);
            if env.is_null() {
                // Absent and null are one to the server.
                back["spec"]["template"]["spec"]["containers"][0]["env"] = Value::Null;
            }
            assert_eq!(back, before, "{wanted}");
        }
    }
}

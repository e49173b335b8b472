//! What a pod template says, as far as the model looks at it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::quantity;
use crate::state::text;

pub(crate) const TEMPLATE_HASH: &str = "pod-template-hash";

/// The first container speaks for the pod; requests are those of all containers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    pub image: String,
    pub env: BTreeMap<String, String>,
    pub memory_limit: Option<f64>,
    pub memory: f64,
    pub cpu: f64,
}

impl Facts {
    pub fn of(template: &Value) -> Self {
        let containers = template.pointer("/spec/containers").and_then(Value::as_array);
        let containers = containers.map(Vec::as_slice).unwrap_or_default();
        let requested = |resource: &str| {
            containers
                .iter()
                .filter_map(|c| {
                    let resources = &c["resources"];
                    let asked =
                        resources["requests"].get(resource).or_else(|| resources["limits"].get(resource));
                    quantity::parse(asked?.as_str()?)
                })
                .sum()
        };
        let mut facts = Self { memory: requested("memory"), cpu: requested("cpu"), ..Self::default() };
        if let Some(first) = containers.first() {
            text(first, "/image").clone_into(&mut facts.image);
            facts.memory_limit = quantity::parse(text(first, "/resources/limits/memory"));
            for variable in first["env"].as_array().into_iter().flatten() {
                facts.env.insert(text(variable, "/name").to_owned(), text(variable, "/value").to_owned());
            }
        }
        facts
    }
}

/// Whether two templates are the same, leaving aside the hash that the controller adds.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    without_hash(one) == without_hash(other)
}

pub(crate) fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.shift_remove(TEMPLATE_HASH);
    }
    template
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn facts_of_a_template() {
        let template = json!({"spec": {"containers": [
            {"name": "api", "image": "a:1", "env": [{"name": "A", "value": "b"}],
             "resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "1", "memory": "1Ki"}}},
            {"name": "side", "image": "s:1", "resources": {"requests": {"cpu": "750m"}}},
        ]}});
        let facts = Facts::of(&template);
        assert_eq!((facts.image.as_str(), facts.cpu, facts.memory), ("a:1", 1.0, 1024.0));
        assert_eq!(facts.memory_limit, Some(1024.0));
        assert_eq!(facts.env["A"], "b");
        assert_eq!(Facts::of(&json!(null)), Facts::default());
    }

    #[test]
    fn the_hash_does_not_tell_templates_apart() {
        let plain = json!({"metadata": {"labels": {"app": "a"}}});
        let hashed = json!({"metadata": {"labels": {"app": "a", "pod-template-hash": "x"}}});
        assert!(same(&plain, &hashed));
    }
}

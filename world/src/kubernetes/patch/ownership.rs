//! Who owns which field: `managedFields`, as sets of paths.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::kubernetes::patch::lists::{ListKind, kind};

/// One step of a path, ordered and written as in `FieldsV1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Field(String),
    /// The item of a list whose key has this value: field name and value as JSON.
    Key(String, String),
    /// The item of a set, as JSON.
    Item(String),
}

pub(crate) type Path = Vec<Step>;
pub(crate) type Paths = BTreeSet<Path>;

/// What the server writes by itself and nobody owns.
const SERVER_METADATA: [&str; 8] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
];

/// Everything in an object that somebody can own.
pub(crate) fn owned(object: &Value) -> Paths {
    let mut paths = Paths::new();
    for (field, value) in object.as_object().into_iter().flatten() {
        match field.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                let kept = value.as_object().into_iter().flatten();
                for (inner, value) in kept.filter(|(inner, _)| !SERVER_METADATA.contains(&inner.as_str())) {
                    let mut path = vec![Step::Field(field.clone()), Step::Field(inner.clone())];
                    collect(value, field, inner, &mut path, &mut paths);
                }
            }
            _ => collect(value, "", field, &mut vec![Step::Field(field.clone())], &mut paths),
        }
    }
    paths
}

fn collect(value: &Value, parent: &str, field: &str, path: &mut Path, paths: &mut Paths) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (inner, value) in fields {
                path.push(Step::Field(inner.clone()));
                collect(value, field, inner, path, paths);
                path.pop();
            }
        }
        Value::Array(items) => match kind(parent, field, items) {
            ListKind::Keyed(key) if items.iter().all(|item| item.get(key).is_some()) => {
                for item in items {
                    path.push(Step::Key(key.to_owned(), item[key].to_string()));
                    paths.insert(path.clone());
                    collect(item, parent, field, path, paths);
                    path.pop();
                }
            }
            ListKind::Set => {
                for item in items {
                    path.push(Step::Item(item.to_string()));
                    paths.insert(path.clone());
                    path.pop();
                }
            }
            _ => {
                paths.insert(path.clone());
            }
        },
        _ => {
            paths.insert(path.clone());
        }
    }
}

/// Whether a value is written like this as JSON.
fn reads(value: &Value, json: &str) -> bool {
    let written = value.to_string();
    written == json
}

/// The value at a path.
pub(crate) fn get<'a>(object: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| match step {
        Step::Field(field) => value.get(field),
        Step::Key(key, wanted) => {
            value.as_array()?.iter().find(|i| i.get(key).is_some_and(|k| reads(k, wanted)))
        }
        Step::Item(wanted) => value.as_array()?.iter().find(|item| reads(item, wanted)),
    })
}

/// Removes what is at a path, and nothing above it.
pub(crate) fn remove(object: &mut Value, path: &[Step]) {
    let Some((last, above)) = path.split_last() else { return };
    let parent = above.iter().try_fold(object, |value, step| match step {
        Step::Field(field) => value.get_mut(field),
        Step::Key(key, wanted) => {
            value.as_array_mut()?.iter_mut().find(|i| i.get(key).is_some_and(|k| reads(k, wanted)))
        }
        Step::Item(_) => None,
    });
    match (parent, last) {
        (Some(Value::Object(fields)), Step::Field(field)) => {
            fields.shift_remove(field);
        }
        (Some(Value::Array(items)), Step::Key(key, wanted)) => {
            items.retain(|item| !item.get(key).is_some_and(|k| reads(k, wanted)));
        }
        (Some(Value::Array(items)), Step::Item(wanted)) => items.retain(|item| !reads(item, wanted)),
        _ => {}
    }
}

/// A path for people: `.spec.template.spec.containers[name="api"].image`.
pub(crate) fn told(path: &[Step]) -> String {
    path.iter()
        .map(|step| match step {
            Step::Field(field) => format!(".{field}"),
            Step::Key(key, value) => format!("[{key}={value}]"),
            Step::Item(item) => format!("[{item}]"),
        })
        .collect()
}

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manager {
    pub name: String,
    pub operation: String,
    pub subresource: String,
    pub time: String,
    pub paths: Paths,
}

pub(crate) fn managers(object: &Value) -> Vec<Manager> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries
        .into_iter()
        .flatten()
        .map(|entry| {
            let text = |field: &str| crate::state::text(entry, field).to_owned();
            let mut paths = Paths::new();
            read(&entry["fieldsV1"], &mut Vec::new(), &mut paths);
            Manager {
                name: text("/manager"),
                operation: text("/operation"),
                subresource: text("/subresource"),
                time: text("/time"),
                paths,
            }
        })
        .collect()
}

pub(crate) fn write_managers(object: &mut Value, managers: &[Manager]) {
    let api_version = object["apiVersion"].clone();
    let entries: Vec<Value> = managers
        .iter()
        .filter(|manager| !manager.paths.is_empty())
        .map(|manager| {
            let mut entry = json!({
                "manager": manager.name, "operation": manager.operation, "apiVersion": api_version,
                "time": manager.time, "fieldsType": "FieldsV1", "fieldsV1": written(&manager.paths),
            });
            if !manager.subresource.is_empty() {
                entry["subresource"] = json!(manager.subresource);
            }
            entry
        })
        .collect();
    object["metadata"]["managedFields"] = Value::Array(entries);
}

/// Gives the fields that an update has changed to whoever made it, and takes them from all others.
pub(crate) fn updated(old: Option<&Value>, new: &mut Value, by: &Manager) {
    let now = owned(new);
    let changed: Paths =
        now.iter().filter(|path| old.is_none_or(|old| get(old, path) != get(new, path))).cloned().collect();
    // An item of a list counts as changed only if it is new; its fields tell the rest.
    let is_new = |path: &Path| {
        !matches!(path.last(), Some(Step::Key(..))) || old.is_none_or(|old| get(old, path).is_none())
    };
    let changed: Paths = changed.into_iter().filter(is_new).collect();
    let mut all = old.map(managers).unwrap_or_default();
    for manager in &mut all {
        manager.paths.retain(|path| now.contains(path) && !changed.contains(path));
    }
    if !changed.is_empty() {
        match all
            .iter_mut()
            .find(|m| m.name == by.name && m.operation == by.operation && m.subresource == by.subresource)
        {
            Some(same) => {
                same.paths.extend(changed);
                same.time.clone_from(&by.time);
            }
            None => all.push(Manager { paths: changed, ..by.clone() }),
        }
    }
    write_managers(new, &all);
}

fn read(node: &Value, path: &mut Path, paths: &mut Paths) {
    let Some(fields) = node.as_object() else { return };
    if fields.is_empty() && !path.is_empty() {
        paths.insert(path.clone());
    }
    for (name, inner) in fields {
        let step = match name.split_once(':') {
            _ if name == "." => {
                paths.insert(path.clone());
                continue;
            }
            Some(("f", field)) => Step::Field(field.to_owned()),
            Some(("v", item)) => Step::Item(item.to_owned()),
            Some(("k", key)) => {
                let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
                let Some((field, value)) = key.iter().next() else { continue };
                Step::Key(field.clone(), value.to_string())
            }
            _ => continue,
        };
        path.push(step);
        read(inner, path, paths);
        path.pop();
    }
}

fn written(paths: &Paths) -> Value {
    let mut root = Map::new();
    for path in paths {
        let mut node = &mut root;
        for (depth, step) in path.iter().enumerate() {
            let name = match step {
                Step::Field(field) => format!("f:{field}"),
                Step::Key(key, value) => format!("k:{{{}:{value}}}", Value::String(key.clone())),
                Step::Item(item) => format!("v:{item}"),
            };
            let entry = node.entry(name).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = entry else { break };
            if depth + 1 == path.len() && matches!(step, Step::Key(..)) {
                inner.insert(".".to_owned(), json!({}));
            }
            node = inner;
        }
    }
    Value::Object(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "api", "labels": {"app": "api"}, "finalizers": ["x"]},
            "spec": {"replicas": 3, "template": {"spec": {"containers": [
                {"name": "api", "image": "a:1", "args": ["x"], "ports": [{"containerPort": 80}]}]}}},
        })
    }

    #[test]
    fn ownership_survives_being_written() {
        let mut object = object();
        let by = Manager {
            name: "test".into(),
            operation: "Update".into(),
            subresource: String::new(),
            time: "2026-01-01T00:00:00Z".into(),
            paths: Paths::new(),
        };
        updated(None, &mut object, &by);
        let managers = managers(&object);
        assert_eq!(managers.len(), 1);
        assert_eq!(managers[0].paths, owned(&object));
        let told: Vec<String> = managers[0].paths.iter().map(|path| super::told(path)).collect();
        assert!(told.contains(&".spec.template.spec.containers[name=\"api\"].image".to_owned()), "{told:?}");
        assert!(told.contains(&".metadata.finalizers[\"x\"]".to_owned()), "{told:?}");
        assert!(!told.iter().any(|path| path.starts_with(".metadata.name")), "{told:?}");
    }

    #[test]
    fn a_changed_field_changes_hands() {
        let mut first = object();
        let by = |name: &str| Manager {
            name: name.into(),
            operation: "Update".into(),
            subresource: String::new(),
            time: String::new(),
            paths: Paths::new(),
        };
        updated(None, &mut first, &by("one"));
        let mut second = first.clone();
        second["spec"]["replicas"] = json!(5);
        updated(Some(&first), &mut second, &by("two"));
        let all = managers(&second);
        assert_eq!(all[1].paths.len(), 1);
        assert_eq!(told(all[1].paths.first().unwrap()), ".spec.replicas");
        assert_eq!(all[0].paths.len(), owned(&second).len() - 1);
    }

    #[test]
    fn paths_lead_to_values() {
        let mut object = object();
        for path in owned(&object) {
            assert!(get(&object, &path).is_some(), "{}", told(&path));
        }
        for path in owned(&object).iter().rev() {
            remove(&mut object, path);
        }
        assert!(owned(&object).iter().all(|path| get(&object, path).is_some()));
        assert_eq!(object["spec"].get("replicas"), None);
    }
}

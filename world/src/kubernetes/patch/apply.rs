//! Server-side apply: a manager says what it wants; what others own with another value conflicts.

use serde_json::{Value, json};

use crate::kubernetes::failure::Failure;
use crate::kubernetes::patch::lists::{ListKind, kind};
use crate::kubernetes::patch::ownership::{self, Manager, Path, Step};
use crate::kubernetes::resources::Resource;

/// Applies a configuration on top of an object; the result carries the new `managedFields`.
pub(crate) fn applied(
    resource: &Resource,
    name: &str,
    object: Option<&Value>,
    wanted: &Value,
    by: &Manager,
    force: bool,
) -> Result<Value, Failure> {
    let paths = ownership::owned(wanted);
    let mut managers = object.map(ownership::managers).unwrap_or_default();
    let is_self =
        |m: &Manager| m.name == by.name && m.operation == "Apply" && m.subresource == by.subresource;
    let before = managers.iter().position(is_self).map(|place| managers.remove(place));
    if let Some(object) = object {
        let conflicts = conflicts(object, wanted, &paths, &managers);
        if !conflicts.is_empty() && !force {
            return Err(refused(resource, name, &conflicts));
        }
        for (manager, path) in &conflicts {
            if let Some(loser) = managers.iter_mut().find(|m| *m == manager) {
                loser.paths.remove(path);
            }
        }
    }
    let mut result = object.cloned().unwrap_or_else(|| json!({}));
    merge(&mut result, wanted, "", "");
    if let Some(before) = before {
        let kept = |path: &Path| {
            paths.contains(path) || managers.iter().any(|m| m.paths.iter().any(|p| p.starts_with(path)))
        };
        for path in before.paths.iter().rev().filter(|path| !kept(path)) {
            ownership::remove(&mut result, path);
        }
    }
    managers.push(Manager { operation: "Apply".into(), paths, ..by.clone() });
    ownership::write_managers(&mut result, &managers);
    Ok(result)
}

/// Fields that somebody else owns and that would change.
fn conflicts(
    object: &Value,
    wanted: &Value,
    paths: &ownership::Paths,
    managers: &[Manager],
) -> Vec<(Manager, Path)> {
    let changes = |path: &&Path| {
        let is_item = matches!(path.last(), Some(Step::Key(..)));
        !is_item && ownership::get(object, path) != ownership::get(wanted, path)
    };
    paths
        .iter()
        .filter(changes)
        .flat_map(|path| {
            managers.iter().filter(|m| m.paths.contains(path)).map(|m| (m.clone(), path.clone()))
        })
        .collect()
}

fn refused(resource: &Resource, name: &str, conflicts: &[(Manager, Path)]) -> Failure {
    let told: Vec<(String, String)> = conflicts
        .iter()
        .map(|(manager, path)| {
            let verb = if manager.operation == "Apply" { "applied" } else { "updated" };
            (
                format!("conflict with {:?} {verb} using {}", manager.name, resource.api_version()),
                ownership::told(path),
            )
        })
        .collect();
    let list: Vec<String> = told.iter().map(|(who, path)| format!("{who}: {path}")).collect();
    let many = if conflicts.len() == 1 { "conflict" } else { "conflicts" };
    let mut failure = Failure::conflict(resource, name, "");
    failure.message = format!("Apply failed with {} {many}: {}", conflicts.len(), list.join(", "));
    failure.details["causes"] = told
        .iter()
        .map(|(who, path)| json!({"reason": "FieldManagerConflict", "message": who, "field": path}))
        .collect();
    failure
}

/// Lays a configuration over an object: fields merge, lists with keys merge by key, sets unite.
fn merge(target: &mut Value, wanted: &Value, parent: &str, field: &str) {
    match (target, wanted) {
        (Value::Object(target), Value::Object(wanted)) => {
            for (inner, value) in wanted {
                match target.get_mut(inner) {
                    Some(there) => merge(there, value, field, inner),
                    None => {
                        target.insert(inner.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(target), Value::Array(wanted)) => match kind(parent, field, wanted) {
            ListKind::Keyed(key) => {
                for item in wanted {
                    match target.iter_mut().find(|there| there.get(key) == item.get(key)) {
                        Some(there) => merge(there, item, parent, field),
                        None => target.push(item.clone()),
                    }
                }
            }
            ListKind::Set => {
                for item in wanted {
                    if !target.contains(item) {
                        target.push(item.clone());
                    }
                }
            }
            ListKind::Atomic => target.clone_from(wanted),
        },
        (target, wanted) => *target = wanted.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::resources;

    fn by(name: &str) -> Manager {
        Manager {
            name: name.into(),
            operation: "Apply".into(),
            subresource: String::new(),
            time: String::new(),
            paths: ownership::Paths::new(),
        }
    }

    fn apply(object: Option<&Value>, wanted: &Value, name: &str, force: bool) -> Result<Value, Failure> {
        applied(resources::by_kind("ConfigMap").unwrap(), "limits", object, wanted, &by(name), force)
    }

    fn config(data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "limits"}, "data": data})
    }

    #[test]
    fn what_a_manager_no_longer_wants_goes() {
        let first = apply(None, &config(&json!({"a": "1", "b": "2"})), "one", false).unwrap();
        let second = apply(Some(&first), &config(&json!({"a": "1"})), "one", false).unwrap();
        assert_eq!(second["data"], json!({"a": "1"}));
    }

    #[test]
    fn another_managers_field_conflicts_unless_forced() {
        let first = apply(None, &config(&json!({"a": "1"})), "one", false).unwrap();
        let same = apply(Some(&first), &config(&json!({"a": "1"})), "two", false).unwrap();
        assert_eq!(ownership::managers(&same).len(), 2, "the same value is shared");
        let error = apply(Some(&first), &config(&json!({"a": "2"})), "two", false).unwrap_err();
        assert_eq!((error.code, error.reason), (409, "Conflict"));
        assert_eq!(
            error.message,
            "Apply failed with 1 conflict: conflict with \"one\" applied using v1: .data.a"
        );
        assert_eq!(error.details["causes"][0]["reason"], "FieldManagerConflict");
        let forced = apply(Some(&first), &config(&json!({"a": "2"})), "two", true).unwrap();
        assert_eq!(forced["data"]["a"], "2");
        let managers = ownership::managers(&forced);
        assert_eq!(managers.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["two"]);
    }

    #[test]
    fn lists_with_keys_merge() {
        let pod = |env: Value| json!({"spec": {"containers": [{"name": "api", "env": env}]}});
        let first = apply(None, &pod(json!([{"name": "A", "value": "1"}])), "one", false).unwrap();
        let second = apply(Some(&first), &pod(json!([{"name": "B", "value": "2"}])), "two", false).unwrap();
        assert_eq!(
            second["spec"]["containers"][0]["env"],
            json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
        );
    }
}

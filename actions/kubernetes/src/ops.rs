//! JSON patch operations on an object as it is known, each the smallest that does it.

use runbook_core::Value;
use serde_json::{Map, json};

/// Puts a value at a path; the parts of the path that are missing are made with it.
pub(crate) fn put(object: &Value, path: &[&str], value: Value) -> Value {
    let mut known = object;
    for (depth, key) in path.iter().enumerate() {
        match child(known, key) {
            Some(next) if !next.is_null() => known = next,
            there => {
                let missing = path[depth + 1..]
                    .iter()
                    .rev()
                    .fold(value, |inner, key| Value::Object(Map::from_iter([((*key).to_owned(), inner)])));
                let op = if there.is_some() { "replace" } else { "add" };
                return json!({"op": op, "path": pointer(&path[..=depth]), "value": missing});
            }
        }
    }
    json!({"op": "replace", "path": pointer(path), "value": value})
}

/// Takes away what is at a path, where there is anything.
pub(crate) fn take(object: &Value, path: &[&str]) -> Option<Value> {
    object.pointer(&pointer(path)).map(|_| json!({"op": "remove", "path": pointer(path)}))
}

/// A path as JSON patch writes it.
pub(crate) fn pointer(path: &[&str]) -> String {
    path.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect()
}

fn child<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_what_is_missing_and_no_more() {
        let object = json!({"spec": {"template": {"metadata": {"labels": {}, "annotations": null}}, "list": [{"a": 1}]}});
        for (path, expected) in [
            (vec!["spec", "replicas"], json!({"op": "add", "path": "/spec/replicas", "value": 1})),
            (vec!["spec", "list", "0", "a"], json!({"op": "replace", "path": "/spec/list/0/a", "value": 1})),
            (vec!["spec", "a", "b", "c"], json!({"op": "add", "path": "/spec/a", "value": {"b": {"c": 1}}})),
            (
                vec!["spec", "template", "metadata", "annotations", "x/y"],
                json!({"op": "replace", "path": "/spec/template/metadata/annotations", "value": {"x/y": 1}}),
            ),
            (
                vec!["spec", "template", "metadata", "labels", "x/y~z"],
                json!({"op": "add", "path": "/spec/template/metadata/labels/x~1y~0z", "value": 1}),
            ),
        ] {
            let op = put(&object, &path, json!(1));
            assert_eq!(op, expected);
            let patch: json_patch::Patch = serde_json::from_value(json!([op])).unwrap();
            let mut patched = object.clone();
            json_patch::patch(&mut patched, &patch).unwrap();
            assert_eq!(patched.pointer(&pointer(&path)), Some(&json!(1)));
        }
        assert_eq!(take(&object, &["spec", "nothing"]), None);
    }
}

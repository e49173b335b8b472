//! Where two states of an object differ, as two trees of the same shape that hold nothing else:
//! what a person reads, what drift is measured against, and, being a merge patch, what undo sends.

use runbook_core::Value;
use serde_json::{Map, json};

use crate::workload::REVISION;

/// An object without what the server keeps books with, and without its status.
pub(crate) fn meaningful(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            for name in
                ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"]
            {
                metadata.remove(name);
            }
            forget_revision(metadata);
        }
    }
    object
}

/// The number of a rollout is its controller's to give, some time after the change.
fn forget_revision(metadata: &mut Map<String, Value>) {
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(REVISION);
    }
}

/// An object that was made without annotations, and that a controller has since given its own.
pub(crate) fn without_empty_annotations(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
        && metadata.get("annotations").and_then(Value::as_object).is_some_and(Map::is_empty)
    {
        metadata.remove("annotations");
    }
    object
}

/// The differing fields before and after; `null` stands for a field that is not there.
pub(crate) fn between(old: &Value, new: &Value) -> (Value, Value) {
    let (Value::Object(olds), Value::Object(news)) = (old, new) else { return (old.clone(), new.clone()) };
    let (mut before, mut after) = (Map::new(), Map::new());
    let keys = olds.keys().chain(news.keys().filter(|key| !olds.contains_key(*key)));
    for key in keys {
        let (old, new) = (olds.get(key).unwrap_or(&Value::Null), news.get(key).unwrap_or(&Value::Null));
        if old != new {
            let (old, new) = between(old, new);
            before.insert(key.clone(), old);
            after.insert(key.clone(), new);
        }
    }
    (before.into(), after.into())
}

/// The fields of an object that a pair of such trees is about.
pub(crate) fn pick(before: &Value, after: &Value, object: &Value) -> Value {
    match (before, after) {
        (Value::Object(befores), Value::Object(afters)) if !befores.is_empty() => {
            let fields = befores.iter().map(|(key, before)| {
                let after = afters.get(key).unwrap_or(&Value::Null);
                (key.clone(), pick(before, after, object.get(key).unwrap_or(&Value::Null)))
            });
            Value::Object(fields.collect())
        }
        _ => object.clone(),
    }
}

/// The paths of the fields in such a tree, at most fifty.
pub(crate) fn paths(before: &Value, after: &Value) -> Vec<String> {
    let mut told = Vec::new();
    runbook_core::change::differences("", before, after, &mut told);
    told
}

/// An object that the trees were laid over.
pub(crate) fn laid(object: &Value, after: &Value) -> Value {
    let mut object = if object.is_null() { json!({}) } else { object.clone() };
    json_patch::merge(&mut object, after);
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_differs_and_restores_it() {
        let old =
            json!({"spec": {"a": 1, "b": {"x": 1, "y": 2}, "list": [1, 2], "gone": {"k": "v"}}, "kind": "X"});
        let new = json!({"spec": {"a": 1, "b": {"x": 9, "y": 2}, "list": [1], "new": {"k": {"l": 1}}}, "kind": "X"});
        let (before, after) = between(&old, &new);
        assert_eq!(before, json!({"spec": {"b": {"x": 1}, "list": [1, 2], "gone": {"k": "v"}, "new": null}}));
        assert_eq!(
            after,
            json!({"spec": {"b": {"x": 9}, "list": [1], "gone": null, "new": {"k": {"l": 1}}}})
        );
        assert_eq!(laid(&old, &after), new);
        assert_eq!(laid(&new, &before), old);
        assert_eq!(pick(&before, &after, &new), after);
        assert_eq!(pick(&before, &after, &old), before);
    }

    #[test]
    fn what_others_add_to_a_new_field_is_seen() {
        let (before, after) = between(&json!({}), &json!({"data": {"a": "1"}}));
        let touched = json!({"data": {"a": "1", "b": "2"}});
        assert_ne!(pick(&before, &after, &touched), after);
    }

    #[test]
    fn books_of_the_server_mean_nothing() {
        let object = json!({"metadata": {"name": "x", "resourceVersion": "7", "generation": 2, "uid": "u"}, "status": {"a": 1}});
        assert_eq!(meaningful(&object), json!({"metadata": {"name": "x"}}));
    }
}

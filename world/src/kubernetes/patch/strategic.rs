//! Strategic merge: a merge that knows which lists have keys, and the directives in a patch.

use serde_json::{Map, Value};

use crate::kubernetes::failure::Failure;
use crate::kubernetes::patch::lists::{ListKind, kind};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_PRIMITIVE: &str = "$deleteFromPrimitiveList/";

/// Merges a patch into an object.
pub(crate) fn merge(target: &mut Value, patch: &Value) -> Result<(), Failure> {
    merge_value(target, patch, "")
}

fn merge_value(target: &mut Value, patch: &Value, field: &str) -> Result<(), Failure> {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    match patch.get(DIRECTIVE).map(|d| d.as_str().unwrap_or_default()) {
        Some("replace") => {
            let mut whole = patch.clone();
            whole.shift_remove(DIRECTIVE);
            *target = Value::Object(whole);
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(Failure::bad_request(format!("unknown patch type: {other}"))),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return Ok(()) };
    if let Some(Value::Array(keep)) = patch.get(RETAIN_KEYS) {
        target.retain(|key, _| keep.iter().any(|kept| kept.as_str() == Some(key)));
    }
    for (key, value) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        let order = patch.get(&format!("{ELEMENT_ORDER}{key}")).and_then(Value::as_array);
        merge_field(target, field, key, value, order.map(Vec::as_slice))?;
    }
    for (key, value) in patch {
        let listed = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(list) = key.strip_prefix(DELETE_PRIMITIVE)
            && let Some(items) = target.get_mut(list).and_then(Value::as_array_mut)
        {
            items.retain(|item| !listed.contains(item));
        }
        if let Some(list) = key.strip_prefix(ELEMENT_ORDER).filter(|list| !patch.contains_key(*list))
            && let Some(items) = target.get_mut(list).and_then(Value::as_array_mut)
        {
            let server = items.clone();
            arrange(items, listed, &server, kind(field, list, listed));
        }
    }
    Ok(())
}

fn merge_field(
    target: &mut Map<String, Value>,
    parent: &str,
    key: &str,
    value: &Value,
    order: Option<&[Value]>,
) -> Result<(), Failure> {
    match value {
        Value::Null => {
            target.shift_remove(key);
        }
        Value::Array(items) => {
            let there = target.entry(key).or_insert_with(|| Value::Array(Vec::new()));
            if !there.is_array() {
                *there = Value::Array(Vec::new());
            }
            if let Value::Array(there) = there {
                // An empty side tells nothing about what its items would look like.
                let telling = if items.is_empty() { &there[..] } else { &items[..] };
                let (kind, server) = (kind(parent, key, telling), there.clone());
                merge_list(there, items, kind, key)?;
                if kind != ListKind::Atomic {
                    arrange(there, order.unwrap_or(items), &server, kind);
                }
            }
        }
        _ => merge_value(target.entry(key).or_insert(Value::Null), value, key)?,
    }
    Ok(())
}

fn merge_list(target: &mut Vec<Value>, patch: &[Value], kind: ListKind, field: &str) -> Result<(), Failure> {
    let replaces = |item: &Value| {
        item.as_object().is_some_and(|o| o.len() == 1 && o.get(DIRECTIVE) == Some(&"replace".into()))
    };
    if patch.iter().any(replaces) {
        *target = patch.iter().filter(|item| !replaces(item)).cloned().collect();
        return Ok(());
    }
    match kind {
        ListKind::Atomic => *target = patch.to_vec(),
        ListKind::Set => {
            for item in patch {
                if !target.contains(item) {
                    target.push(item.clone());
                }
            }
        }
        ListKind::Keyed(key) => {
            for item in patch {
                let Some(wanted) = item.get(key) else {
                    return Err(Failure::bad_request(format!(
                        "map: {item} does not contain declared merge key: {key}"
                    )));
                };
                let place = target.iter().position(|there| there.get(key) == Some(wanted));
                let delete = item.get(DIRECTIVE).and_then(Value::as_str) == Some("delete");
                match place {
                    Some(place) if delete => {
                        target.remove(place);
                    }
                    Some(place) => merge_value(&mut target[place], item, field)?,
                    None if delete => {}
                    None => {
                        let mut fresh = Value::Object(Map::new());
                        merge_value(&mut fresh, item, field)?;
                        target.push(fresh);
                    }
                }
            }
        }
    }
    Ok(())
}

/// Puts a merged list into order as the API server does: what the patch names in the order of the
/// patch, what only the server had in its own, and what is new before what it would stand beside.
fn arrange(items: &mut Vec<Value>, patch: &[Value], server: &[Value], kind: ListKind) {
    let identity = |item: &Value| match kind {
        ListKind::Keyed(key) => item.get(key).cloned().unwrap_or(Value::Null),
        _ => item.clone(),
    };
    let place = |order: &[Value], item: &Value| {
        let wanted = identity(item);
        order.iter().position(|other| identity(other) == wanted)
    };
    let (mut named, alone): (Vec<Value>, Vec<Value>) =
        std::mem::take(items).into_iter().partition(|item| place(patch, item).is_some());
    named.sort_by_key(|item| place(patch, item));
    let mut named = named.into_iter().peekable();
    for item in alone {
        let own = place(server, &item);
        while let Some(next) = named.next_if(|next| place(server, next).is_none_or(|there| Some(there) < own))
        {
            items.push(next);
        }
        items.push(item);
    }
    items.extend(named);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Value {
        json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, "template": {"spec": {
            "containers": [
                {"name": "api", "image": "a:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                 "ports": [{"containerPort": 80, "name": "http"}], "args": ["x", "y"]},
                {"name": "side", "image": "s:1"}],
            "volumes": [{"name": "v", "emptyDir": {}}]}}},
            "metadata": {"finalizers": ["a"]}})
    }

    fn api(value: &Value) -> &Value {
        &value["spec"]["template"]["spec"]["containers"][0]
    }

    fn containers(patch: Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": patch}}}})
    }

    #[test]
    fn lists_with_keys_merge_item_by_item() {
        let mut object = deployment();
        let patch = containers(json!([{"name": "api", "image": "a:2",
            "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
            "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81}]}]));
        merge(&mut object, &patch).unwrap();
        assert_eq!(api(&object)["image"], "a:2");
        assert_eq!(
            api(&object)["env"],
            json!([{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}])
        );
        assert_eq!(
            api(&object)["ports"],
            json!([{"containerPort": 80, "name": "http", "protocol": "TCP"}, {"containerPort": 81}])
        );
        assert_eq!(object["spec"]["template"]["spec"]["containers"][1]["name"], "side");
    }

    #[test]
    fn directives() {
        type Check = fn(&Value) -> Value;
        let first: Check = |o| api(o)["env"].clone();
        let cases: [(Value, Check, Value); 7] = [
            (
                containers(json!([{"name": "api", "env": [{"name": "A", "$patch": "delete"}]}])),
                first,
                json!([{"name": "B", "value": "2"}]),
            ),
            (
                containers(
                    json!([{"name": "api", "env": [{"$patch": "replace"}, {"name": "Z", "value": "9"}]}]),
                ),
                first,
                json!([{"name": "Z", "value": "9"}]),
            ),
            (
                containers(json!([{"name": "api", "$setElementOrder/env": [{"name": "B"}, {"name": "A"}]}])),
                first,
                json!([{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]),
            ),
            (containers(json!([{"name": "api", "env": null}])), first, Value::Null),
            (
                json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
                |o| o["spec"]["strategy"].clone(),
                json!({"type": "Recreate"}),
            ),
            (
                json!({"metadata": {"finalizers": ["b"], "$deleteFromPrimitiveList/finalizers": ["a"]}}),
                |o| o["metadata"]["finalizers"].clone(),
                json!(["b"]),
            ),
            (containers(json!([{"name": "api", "args": ["z"]}])), |o| api(o)["args"].clone(), json!(["z"])),
        ];
        for (patch, look, expected) in cases {
            let mut object = deployment();
            merge(&mut object, &patch).unwrap();
            assert_eq!(look(&object), expected, "{patch}");
        }
    }

    #[test]
    fn what_is_new_stands_before_what_only_the_server_has() {
        for (order, expected) in [
            (json!(null), ["C", "A", "B"]),
            (json!([{"name": "A"}, {"name": "B"}, {"name": "C"}]), ["A", "B", "C"]),
            (json!([{"name": "A"}, {"name": "C"}, {"name": "B"}]), ["A", "C", "B"]),
        ] {
            let mut object = deployment();
            let mut container = json!({"name": "api", "env": [{"name": "C", "value": "3"}]});
            if order.is_array() {
                container["$setElementOrder/env"] = order;
            }
            merge(&mut object, &containers(json!([container]))).unwrap();
            let names: Vec<&str> =
                api(&object)["env"].as_array().unwrap().iter().filter_map(|v| v["name"].as_str()).collect();
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn an_item_without_its_key_is_refused() {
        let error = merge(&mut deployment(), &containers(json!([{"image": "a:2"}]))).unwrap_err();
        assert_eq!(error.code, 400);
        assert!(error.message.contains("merge key: name"), "{}", error.message);
    }
}

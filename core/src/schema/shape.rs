//! What a JSON Schema says, read from its parts, and how types are called.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::parse::tree::Content;

/// The types that a schema allows, by JSON Schema's names; `None` where it allows all.
pub fn types(schema: &Value, root: &Value) -> Option<BTreeSet<&'static str>> {
    let fields = resolve(schema, root).as_object()?;
    if let Some(named) = fields.get("type") {
        let names = match named {
            Value::Array(names) => names.as_slice(),
            one => std::slice::from_ref(one),
        };
        return Some(names.iter().filter_map(Value::as_str).filter_map(type_name).collect());
    }
    if let Some(words) = words(schema, root) {
        return Some(words.iter().map(|word| type_of_json(word)).collect());
    }
    let alternatives = alternatives(fields)?;
    let mut all = BTreeSet::new();
    for alternative in alternatives {
        all.extend(types(alternative, root)?);
    }
    Some(all)
}

/// Follows references inside the schema.
pub fn resolve<'a>(mut schema: &'a Value, root: &'a Value) -> &'a Value {
    const MAX_HOPS: usize = 16;
    for _ in 0..MAX_HOPS {
        let Some(pointer) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'))
        else {
            break;
        };
        match root.pointer(pointer) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

pub fn alternatives(fields: &Map<String, Value>) -> Option<&Vec<Value>> {
    fields.get("anyOf").or_else(|| fields.get("oneOf")).and_then(Value::as_array)
}

/// The values that a schema lists, where it does nothing else: `enum`, `const`, or alternatives
/// that are all such.
pub fn words<'a>(schema: &'a Value, root: &'a Value) -> Option<Vec<&'a Value>> {
    let fields = resolve(schema, root).as_object()?;
    if let Some(Value::Array(words)) = fields.get("enum") {
        return Some(words.iter().collect());
    }
    if let Some(word) = fields.get("const") {
        return Some(vec![word]);
    }
    let mut all = Vec::new();
    for alternative in alternatives(fields)? {
        all.extend(words(alternative, root)?);
    }
    Some(all)
}

fn type_name(name: &str) -> Option<&'static str> {
    ["null", "boolean", "integer", "number", "string", "array", "object"]
        .into_iter()
        .find(|known| *known == name)
}

/// The JSON Schema type of a value.
pub fn type_of_json(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

pub fn allows(allowed: &BTreeSet<&'static str>, content: &Content) -> bool {
    let given = match content {
        Content::Null => "null",
        Content::Bool(_) => "boolean",
        Content::Number(number) if number.is_f64() => "number",
        Content::Number(_) => "integer",
        Content::Text(_) => "string",
        Content::List(_) => "array",
        Content::Map(_) => "object",
    };
    allowed.contains(given) || (given == "integer" && allowed.contains("number"))
}

/// A type for people.
pub fn article(name: &str) -> &'static str {
    match name {
        "null" => "nothing",
        "boolean" => "true or false",
        "integer" => "an integer",
        "number" => "a number",
        "string" => "a string",
        "array" => "a list",
        _ => "an object",
    }
}

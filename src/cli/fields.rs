//! The fields of a JSON Schema as people read them: name, type, what it must be.

use serde_json::Value;

/// One field; those of nested objects have dotted names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub kind: String,
    pub required: bool,
    pub default: Option<String>,
    pub description: String,
}

/// Deeper objects are shown as `object`.
const DEEPEST: usize = 3;

/// The fields of an object's schema, in the order of the schema, parts after their whole.
pub fn fields(schema: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    collect("", schema, 0, &mut found);
    found
}

fn collect(prefix: &str, schema: &Value, depth: usize, found: &mut Vec<Field>) {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    for (name, field) in properties {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        found.push(Field {
            kind: kind(field),
            required: required.contains(&name.as_str()),
            default: field.get("default").map(plain),
            description: field.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
            name: path.clone(),
        });
        if depth + 1 < DEEPEST {
            let items = field.get("items").filter(|items| items.get("properties").is_some());
            match items {
                Some(items) => collect(&format!("{path}[]"), items, depth + 1, found),
                None => collect(&path, field, depth + 1, found),
            }
        }
    }
}

/// A schema's type in words: `integer 1 to 20`, `list of string`, `a | b`.
pub fn kind(schema: &Value) -> String {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().map(plain).collect::<Vec<_>>().join(" | ");
    }
    if let Some(word) = schema.get("const") {
        return plain(word);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(alternatives) = schema.get(key).and_then(Value::as_array) {
            return alternatives.iter().map(kind).collect::<Vec<_>>().join(" | ");
        }
    }
    match schema.get("type") {
        Some(Value::String(name)) => named(name, schema),
        Some(Value::Array(names)) => names.iter().map(plain).collect::<Vec<_>>().join(" | "),
        _ => "any".to_owned(),
    }
}

fn named(name: &str, schema: &Value) -> String {
    let of =
        |key: &str| schema.get(key).filter(|inner| inner.is_object()).map(kind).filter(|kind| kind != "any");
    match name {
        "array" => of("items").map_or_else(|| "list".to_owned(), |items| format!("list of {items}")),
        "object" => of("additionalProperties")
            .map_or_else(|| "object".to_owned(), |values| format!("map of {values}")),
        other => format!("{other}{}", bounds(schema)),
    }
}

fn bounds(schema: &Value) -> String {
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let numbers = match (number("minimum"), number("maximum")) {
        (Some(low), Some(high)) => format!(" {low} to {high}"),
        (Some(low), None) => format!(" from {low}"),
        (None, Some(high)) => format!(" up to {high}"),
        (None, None) => String::new(),
    };
    // An example says more than the pattern that it fits.
    let example = schema.get("examples").and_then(|examples| examples.get(0)).map(plain);
    let pattern = schema.get("pattern").map(plain);
    match (example, pattern) {
        (Some(example), _) => format!("{numbers} like {example}"),
        (None, Some(pattern)) => format!("{numbers} matching {pattern}"),
        (None, None) => numbers,
    }
}

/// A value as it would be written in YAML, without quotes around words.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_told_in_words() {
        for (schema, expected) in [
            (json!({"type": "string"}), "string"),
            (json!({"type": "integer", "minimum": 1, "maximum": 20}), "integer 1 to 20"),
            (json!({"type": "number", "minimum": 0.0}), "number from 0"),
            (json!({"type": "string", "pattern": "^[a-z]+$"}), "string matching ^[a-z]+$"),
            (json!({"type": "string", "pattern": "^[0-9]", "examples": ["30s"]}), "string like 30s"),
            (json!({"enum": ["a", "b"]}), "a | b"),
            (json!({"type": "array", "items": {"type": "string"}}), "list of string"),
            (json!({"type": "array"}), "list"),
            (json!({"type": "object", "additionalProperties": {"type": "string"}}), "map of string"),
            (json!({"type": "object", "additionalProperties": false}), "object"),
            (json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}), "string | integer"),
            (json!({"type": ["string", "boolean"]}), "string | boolean"),
            (json!({}), "any"),
            (json!(true), "any"),
        ] {
            assert_eq!(kind(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn nested_fields_have_dotted_names() {
        let schema = json!({
            "required": ["range"],
            "properties": {
                "range": { "type": "object", "required": ["step"], "properties": {
                    "step": { "type": "string", "default": "1m", "description": "How far." }
                }},
                "samples": { "type": "array", "items": { "properties": { "value": { "type": "number" } } } }
            }
        });
        let found = fields(&schema);
        let names: Vec<_> = found.iter().map(|field| (field.name.as_str(), field.required)).collect();
        assert_eq!(
            names,
            [("range", true), ("range.step", true), ("samples", false), ("samples[].value", false)]
        );
        assert_eq!(found[1].default.as_deref(), Some("1m"));
    }
}

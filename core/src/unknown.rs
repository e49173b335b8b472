//! Values that a dry-run cannot know. They travel as ordinary JSON, so that events, outputs and
//! plans need no second kind of value.

use serde_json::{Value, json};

const KEY: &str = "$unknown";

/// A value nobody can know yet, with the reason.
pub fn because(reason: impl Into<String>) -> Value {
    json!({ KEY: reason.into() })
}

/// The reason, where a value is unknown.
pub fn reason(value: &Value) -> Option<&str> {
    match value {
        Value::Object(fields) if fields.len() == 1 => fields.get(KEY)?.as_str(),
        _ => None,
    }
}

/// Whether a value, or anything inside it, is unknown.
pub fn within(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(within),
        Value::Object(fields) => reason(value).is_some() || fields.values().any(within),
        _ => false,
    }
}

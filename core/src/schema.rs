//! JSON Schema: that of a runbook, made from the types, and a validator that knows places.

mod lazy;
pub mod shape;
pub mod validate;

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::runbook::Runbook;

pub use self::lazy::Schema;

/// The schema of a runbook, for editors and for the parser.
pub fn runbook() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(of::<Runbook>);
    &SCHEMA
}

/// The schema of a type in the 2020-12 draft. What is optional may be left out; unlike in serde's
/// reading, it may not be null: `needs:` with nothing after it is a slip, not a choice.
pub fn of<T: JsonSchema>() -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    without_null(&mut schema);
    schema
}

fn without_null(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            fields.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(mut alternatives)) = fields.remove("anyOf") {
        alternatives.retain(|one| one.get("type").is_none_or(|name| name != "null"));
        match alternatives.as_mut_slice() {
            [Value::Object(only)] => take_over(fields, only),
            _ => drop(fields.insert("anyOf".to_owned(), Value::Array(alternatives))),
        }
    }
    for inner in fields.values_mut() {
        match inner {
            Value::Object(_) => without_null(inner),
            Value::Array(items) => items.iter_mut().for_each(without_null),
            _ => {}
        }
    }
}

/// The description of a field stands above that of its type.
fn take_over(fields: &mut Map<String, Value>, only: &mut Map<String, Value>) {
    for (key, value) in std::mem::take(only) {
        fields.entry(key).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_a_runbook_allows_no_empty_values() {
        let text = runbook().to_string();
        assert!(!text.contains("\"null\""), "{text}");
        let step = &runbook()["$defs"]["Step"];
        assert_eq!(step["properties"]["timeout"]["$ref"], "#/$defs/Duration");
        assert_eq!(step["properties"]["needs"]["type"], "array");
        assert_eq!(step["additionalProperties"], false);
    }
}

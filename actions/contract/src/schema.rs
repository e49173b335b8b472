//! From Rust types to the plain JSON Schema that an action's spec carries, and from the input
//! back to the types.

use runbook_core::{Value, fault::Fault, schema::Schema};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Map;

/// The schema of `T` in the form that the checker and people read: nothing behind references, no
/// titles, no formats of integers, and a field that is optional in Rust is one that may be
/// missing, never one that may be null.
pub fn of<T: JsonSchema>() -> Schema {
    Schema::lazy(made::<T>)
}

fn made<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    simplify(&mut schema);
    schema
}

/// Reads an action's input or outputs into the type that its schema was made from.
pub fn read<T: DeserializeOwned>(action: &str, input: &Value) -> Result<T, Fault> {
    T::deserialize(input).map_err(|error| {
        Fault::permanent(format!("the input of `{action}` does not fit its schema: {error}"))
            .hint(format!("see `runbook actions {action}`"))
    })
}

fn simplify(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    fields.remove("title");
    fields.remove("format");
    if fields.get("default").is_some_and(Value::is_null) {
        fields.remove("default");
    }
    without_null(fields);
    for key in ["properties", "patternProperties", "$defs"] {
        if let Some(Value::Object(named)) = fields.get_mut(key) {
            named.values_mut().for_each(simplify);
        }
    }
    for key in ["items", "additionalProperties", "not", "contains", "propertyNames"] {
        if let Some(inner) = fields.get_mut(key) {
            simplify(inner);
        }
    }
    for key in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        if let Some(Value::Array(alternatives)) = fields.get_mut(key) {
            alternatives.iter_mut().for_each(simplify);
        }
    }
}

/// Takes out the `null` that schemars adds for an `Option`.
fn without_null(fields: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = fields.get_mut("type")
        && types.len() == 2
    {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            fields.insert("type".to_owned(), one);
        }
        if let Some(Value::Array(words)) = fields.get_mut("enum") {
            words.retain(|word| !word.is_null());
        }
    }
    let Some(Value::Array(mut alternatives)) = fields.remove("anyOf") else { return };
    alternatives.retain(|one| one.get("type").is_none_or(|name| name != "null"));
    match alternatives.as_slice() {
        // The field's own description stands above that of its type.
        [Value::Object(only)] => {
            for (key, value) in only {
                fields.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        _ => {
            fields.insert("anyOf".to_owned(), Value::Array(alternatives));
        }
    }
}

#[cfg(test)]
mod tests {
    use runbook_core::duration::Duration;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Sample {
        /// A name.
        name: String,
        count: Option<u32>,
        /// How long.
        wait: Option<Duration>,
        shape: Option<Shape>,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Shape {
        Round,
        Square,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Inner {
        url: Option<String>,
    }

    #[test]
    fn schemas_are_plain() {
        let schema = of::<Sample>();
        assert_eq!(schema["required"], json!(["name"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        let properties = &schema["properties"];
        assert_eq!(properties["name"], json!({"type": "string", "description": "A name."}));
        assert_eq!(properties["count"]["type"], "integer");
        assert_eq!(properties["wait"]["type"], "string");
        assert_eq!(properties["wait"]["description"], "How long.");
        assert_eq!(properties["shape"]["enum"], json!(["round", "square"]));
        assert_eq!(properties["inner"]["properties"]["url"], json!({"type": "string"}));
        let text = schema.to_string();
        for word in ["$ref", "$schema", "title", "null", "format"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }

    #[test]
    fn a_wrong_input_is_a_fault_that_names_the_action() {
        let fault = read::<Sample>("web.sample", &json!({"nam": "x"})).unwrap_err();
        assert!(fault.message.contains("web.sample") && fault.message.contains("nam"), "{fault}");
    }
}

//! What an action says of itself, and what it makes of its input.

use runbook_core::{
    Value,
    fault::Fault,
    spec::{ActionSpec, Effect, Grade, Permission, Reads, UndoSupport},
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;

/// The schema of a type, all in one piece.
fn schema<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("title");
    }
    schema
}

/// The spec of an action that only reads.
pub(crate) fn read<I: JsonSchema, O: JsonSchema>(name: &str, summary: &str) -> ActionSpec {
    ActionSpec {
        name: format!("kubernetes.{name}"),
        summary: summary.to_owned(),
        effect: Effect::Read,
        destructive_when: None,
        input: schema::<I>(SchemaSettings::draft2020_12()),
        output: schema::<O>(SchemaSettings::draft2020_12().for_serialize()),
        undo: UndoSupport::None("it only reads".to_owned()),
        grade: Grade::Observed,
        reads: Reads::Behaviour,
        permissions: Vec::new(),
        example: Value::Null,
    }
}

/// The spec of an action that changes something.
pub(crate) fn write<I: JsonSchema, O: JsonSchema>(
    name: &str,
    summary: &str,
    undo: UndoSupport,
) -> ActionSpec {
    ActionSpec {
        effect: Effect::Write,
        undo,
        grade: Grade::Validated,
        reads: Reads::Configuration,
        ..read::<I, O>(name, summary)
    }
}

pub(crate) fn rbac(group: &str, resource: &str, verbs: &[&str]) -> Permission {
    Permission::Rbac {
        group: group.to_owned(),
        resource: resource.to_owned(),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
    }
}

/// The input of an action, as its type.
pub(crate) fn input<T: DeserializeOwned>(spec: &ActionSpec, input: &Value) -> Result<T, Fault> {
    serde_json::from_value(input.clone()).map_err(|error| {
        Fault::permanent(format!("`with` of {} is wrong: {error}", spec.name))
            .hint(format!("it takes: {}", spec.inputs().collect::<Vec<_>>().join(", ")))
    })
}

//! What an action says of itself, and what it makes of its input.

use runbook_contract::schema;
use runbook_core::{
    Value,
    fault::Fault,
    spec::{ActionSpec, Effect, Grade, Permission, Reads, UndoSupport},
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// The spec of an action that only reads.
pub(crate) fn read<I: JsonSchema, O: JsonSchema>(name: &str, summary: &str) -> ActionSpec {
    ActionSpec {
        name: format!("kubernetes.{name}"),
        summary: summary.to_owned(),
        effect: Effect::Read,
        destructive_when: None,
        input: schema::of::<I>(),
        output: schema::of::<O>(),
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
    schema::read(&spec.name, input)
}

//! What an action says of itself, and what it makes of its input.

use runbook_contract::schema;
use runbook_core::{
    Value,
    fault::Fault,
    spec::{ActionSpec, Effect, Grade, Permission, Reads, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// The spec of an action that only reads.
pub(crate) fn read<I: JsonSchema, O: JsonSchema>(name: &str, summary: &str, rights: &[&str]) -> ActionSpec {
    ActionSpec {
        name: format!("aws.{name}"),
        summary: summary.to_owned(),
        effect: Effect::Read,
        destructive_when: None,
        input: schema::of::<I>(),
        output: schema::of::<O>(),
        undo: UndoSupport::None("it only reads".to_owned()),
        grade: Grade::Observed,
        reads: Reads::Behaviour,
        permissions: rights.iter().map(|right| Permission::Iam((*right).to_owned())).collect(),
        example: Value::Null,
    }
}

/// The spec of an action that changes something. None of these calls can be asked without being
/// made, so nothing here is better than predicted.
pub(crate) fn write<I: JsonSchema, O: JsonSchema>(
    name: &str,
    summary: &str,
    effect: Effect,
    undo: UndoSupport,
    rights: &[&str],
) -> ActionSpec {
    ActionSpec {
        effect,
        undo,
        grade: Grade::Predicted,
        reads: Reads::Configuration,
        ..read::<I, O>(name, summary, rights)
    }
}

/// The input of an action, as its type.
pub(crate) fn input<T: DeserializeOwned>(spec: &ActionSpec, input: &Value) -> Result<T, Fault> {
    schema::read(&spec.name, input)
}

/// What is known, as the value that expressions see or a change records.
pub(crate) fn value(known: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(known)
        .map_err(|error| Fault::permanent(format!("the outputs could not be written: {error}")))
}

/// What an action kept of an observation, exactly as it kept it.
pub(crate) fn kept<T: DeserializeOwned>(state: &Value) -> Result<T, Fault> {
    serde_json::from_value(state.clone()).map_err(|_| {
        Fault::permanent("what was observed was kept by another version").hint("observe it anew")
    })
}

//! What the description says of values whose types know nothing of it.

use runbook_core::incident;
use runbook_identity as identity;
use utoipa::openapi::{Array, ArrayBuilder, Object, ObjectBuilder, Type};

fn text() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

fn one_of(words: impl IntoIterator<Item = String>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// The roles that people have in an incident.
pub fn incident_role() -> Object {
    one_of(incident::Role::ALL.into_iter().map(|role| role.word().to_owned()))
}

/// The states between which people move an open incident.
pub fn open_state() -> Object {
    use incident::State::{Identified, Investigating, Monitoring};
    one_of([Investigating, Identified, Monitoring].into_iter().map(|state| state.word().to_owned()))
}

/// What a token is granted.
pub fn rights() -> Array {
    use identity::Role::{Admin, Approver, Responder, Viewer};
    let names = || ArrayBuilder::new().items(text()).build();
    let grant = ObjectBuilder::new()
        .property(
            "role",
            one_of([Viewer, Responder, Approver, Admin].into_iter().map(|role| role.to_string())),
        )
        .required("role")
        .property("environments", names())
        .property("runbooks", names())
        .description(Some(
            "A role in some environments and for some runbooks: `*`, or names; all, where it is not said.",
        ))
        .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(false)))
        .build();
    ArrayBuilder::new().items(grant).build()
}

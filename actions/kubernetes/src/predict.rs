//! What a dry-run says of an object after changes that it only predicted.

use json_patch::Patch;
use runbook_core::{
    Value,
    change::{Change, Observed},
    unknown,
};
use serde::Deserialize as _;

use crate::client::{JSON_PATCH, MERGE_PATCH};

/// The predicted changes of the target that was observed.
pub(crate) fn of_target<'a>(seen: &Observed, predicted: &'a [Change]) -> Vec<&'a Change> {
    let name = seen.target.as_ref().map(|target| &target.name);
    predicted.iter().filter(|change| Some(&change.target.name) == name).collect()
}

/// Lays one predicted change over an object: its own request where that can be done here, the
/// fields that the server said it would change where it cannot.
pub(crate) fn lay(object: &mut Value, change: &Change) {
    match change.request.content_type.as_deref() {
        Some(JSON_PATCH) => {
            if let Ok(patch) = Patch::deserialize(&change.request.body) {
                // A patch that does not fit leaves the object as it is; the server will refuse it.
                let _ = json_patch::patch(object, &patch);
            }
        }
        Some(MERGE_PATCH) => json_patch::merge(object, &change.request.body),
        _ => json_patch::merge(object, &change.after),
    }
}

/// Why an output cannot be known.
pub(crate) fn reason(change: &Change) -> String {
    format!("follows the predicted {} of {}", change.action, change.target.name)
}

/// Outputs that nobody can know until the change is made.
pub(crate) fn blur(outputs: &mut Value, names: &[&str], change: &Change) {
    for name in names {
        if let Some(output) = outputs.get_mut(*name) {
            *output = unknown::because(reason(change));
        }
    }
}

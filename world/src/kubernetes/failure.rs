//! Refusals, as the `Status` objects that a real API server answers with.

use serde_json::{Value, json};

use crate::kubernetes::resources::Resource;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
    pub details: Value,
}

/// One field that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub reason: &'static str,
    pub field: String,
    pub message: String,
}

impl Flaw {
    pub fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message: format!("Invalid value: {value}: {why}"),
        }
    }

    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let message = if why.is_empty() { "Required value".into() } else { format!("Required value: {why}") };
        Self { reason: "FieldValueRequired", field: field.into(), message }
    }
}

impl Failure {
    pub fn status(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": self.details, "code": self.code,
        })
    }

    pub fn not_found(resource: &Resource, name: &str) -> Self {
        Self {
            code: 404,
            reason: "NotFound",
            message: format!("{} \"{name}\" not found", resource.id()),
            details: details(resource, name),
        }
    }

    pub fn no_such_path() -> Self {
        Self {
            code: 404,
            reason: "NotFound",
            message: "the server could not find the requested resource".into(),
            details: json!({}),
        }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { code: 400, reason: "BadRequest", message: message.into(), details: json!({}) }
    }

    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        Self {
            code: 409,
            reason: "AlreadyExists",
            message: format!("{} \"{name}\" already exists", resource.id()),
            details: details(resource, name),
        }
    }

    /// The object has been modified since it was read.
    pub fn modified(resource: &Resource, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        Self {
            code: 409,
            reason: "Conflict",
            message: format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.id()),
            details: details(resource, name),
        }
    }

    pub fn invalid(resource: &Resource, name: &str, flaws: &[Flaw]) -> Self {
        let told: Vec<String> =
            flaws.iter().map(|flaw| format!("{}: {}", flaw.field, flaw.message)).collect();
        let list = if told.len() == 1 { told.concat() } else { format!("[{}]", told.join(", ")) };
        let kind = if resource.group.is_empty() {
            resource.kind.to_owned()
        } else {
            format!("{}.{}", resource.kind, resource.group)
        };
        let mut details = details(resource, name);
        details["kind"] = json!(resource.kind);
        details["causes"] = flaws
            .iter()
            .map(|f| json!({"reason": f.reason, "message": f.message, "field": f.field}))
            .collect();
        Self {
            code: 422,
            reason: "Invalid",
            message: format!("{kind} \"{name}\" is invalid: {list}"),
            details,
        }
    }

    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let named = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        Self {
            code: 403,
            reason: "Forbidden",
            message: format!("{}{named} is forbidden: {why}", resource.id()),
            details: details(resource, name),
        }
    }

    pub fn unauthorized() -> Self {
        Self { code: 401, reason: "Unauthorized", message: "Unauthorized".into(), details: json!({}) }
    }

    pub fn method_not_allowed() -> Self {
        Self {
            code: 405,
            reason: "MethodNotAllowed",
            message: "the server does not allow this method on the requested resource".into(),
            details: json!({}),
        }
    }

    pub fn unsupported_media_type(sent: &str, known: &str) -> Self {
        Self {
            code: 415,
            reason: "UnsupportedMediaType",
            message: format!(
                "the body of the request was in an unknown format ({sent}) - accepted media types include: {known}"
            ),
            details: json!({}),
        }
    }

    pub fn too_large(what: &str) -> Self {
        Self {
            code: 413,
            reason: "RequestEntityTooLarge",
            message: format!("{what} is larger than the simulated world holds"),
            details: json!({}),
        }
    }

    /// Something in the world itself failed, such as its state file.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { code: 500, reason: "InternalError", message: message.into(), details: json!({}) }
    }
}

fn details(resource: &Resource, name: &str) -> Value {
    let mut details = json!({ "name": name });
    if !resource.group.is_empty() {
        details["group"] = json!(resource.group);
    }
    details["kind"] = json!(resource.plural);
    details
}

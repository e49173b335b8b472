//! Create, replace, patch, apply and delete: how an object gets into the state, or out of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::cluster::NOTICE;
use crate::kubernetes::failure::{Failure, Flaw};
use crate::kubernetes::patch::apply;
use crate::kubernetes::patch::ownership::{self, Manager, Paths};
use crate::kubernetes::resources::Resource;
use crate::kubernetes::{patch, typed, validate};
use crate::names;
use crate::state::{MAX_OBJECTS, State, key, number, text};
use crate::time::Seconds;

/// Fields of `metadata` that only the server writes.
const SERVER_OWNED: [&str; 3] = ["uid", "creationTimestamp", "generation"];

/// Who changes what, and how strictly.
#[derive(Clone, Debug)]
pub(crate) struct Change<'a> {
    pub resource: &'static Resource,
    pub namespace: &'a str,
    pub name: &'a str,
    pub manager: String,
    pub subresource: &'a str,
    /// Refuses fields that the API does not know.
    pub strict: bool,
    pub dry_run: bool,
    pub now: Seconds,
}

impl Change<'_> {
    fn key(&self) -> String {
        key(&self.resource.id(), self.namespace, self.name)
    }

    fn by(&self, state: &State, operation: &str) -> Manager {
        Manager {
            name: self.manager.clone(),
            operation: operation.to_owned(),
            subresource: self.subresource.to_owned(),
            time: state.timeline.stamp(self.now),
            paths: Paths::new(),
        }
    }
}

/// Stores a new object; returns warnings about unknown fields.
pub(crate) fn create(
    state: &mut State,
    change: &Change<'_>,
    mut object: Value,
) -> Result<Vec<String>, Failure> {
    if state.objects.contains_key(&change.key()) {
        return Err(Failure::already_exists(change.resource, change.name));
    }
    if !text(&object, "/metadata/resourceVersion").is_empty() {
        return Err(Failure::bad_request("resourceVersion should not be set on objects to be created"));
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    save(state, change, None, object, "Update")
}

/// Replaces an object as a whole.
pub(crate) fn replace(state: &mut State, change: &Change<'_>, object: Value) -> Result<Vec<String>, Failure> {
    let old = existing(state, change)?;
    save(state, change, Some(old), object, "Update")
}

/// Changes an object by a patch, in any of the formats but apply.
pub(crate) fn patch(
    state: &mut State,
    change: &Change<'_>,
    shown: &Value,
    media_type: &str,
    body: &[u8],
) -> Result<Vec<String>, Failure> {
    let old = existing(state, change)?;
    let mut new = patch::patched(change.resource, shown, media_type, body)?;
    // A patch that says nothing about the version applies to whatever there is.
    if new["metadata"]["resourceVersion"] == shown["metadata"]["resourceVersion"] {
        new["metadata"]["resourceVersion"] = Value::Null;
    }
    save(state, change, Some(old), new, "Update").map_err(|failure| match failure.reason {
        // The server reads a strategic patch into the object's types, and says so of the patch.
        "BadRequest" if media_type == patch::STRATEGIC && !change.strict => {
            let flaw = Flaw {
                reason: "FieldValueInvalid",
                field: "patch".into(),
                message: format!("Invalid value: {}", failure.message),
            };
            Failure::invalid(change.resource, change.name, &[flaw])
        }
        _ => failure,
    })
}

/// Applies a configuration; makes the object where there is none. Says whether it made it.
pub(crate) fn apply(
    state: &mut State,
    change: &Change<'_>,
    wanted: &Value,
    force: bool,
) -> Result<(bool, Vec<String>), Failure> {
    let old = state.objects.get(&change.key()).cloned();
    let mut wanted = wanted.clone();
    check_metadata(&wanted)?;
    if let Some(metadata) = wanted.get_mut("metadata").and_then(Value::as_object_mut) {
        if metadata.get("managedFields").and_then(Value::as_array).is_some_and(|m| !m.is_empty()) {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        metadata.shift_remove("managedFields");
        metadata.retain(|_, value| !value.is_null());
    }
    let by = change.by(state, "Apply");
    let mut new = apply::applied(change.resource, change.name, old.as_ref(), &wanted, &by, force)?;
    let sent = &wanted["metadata"]["resourceVersion"];
    new["metadata"]["resourceVersion"] = sent.clone();
    let made = old.is_none();
    save(state, change, old, new, "Apply").map(|warnings| (made, warnings))
}

/// Removes an object, if its version and uid are those that the caller expects.
pub(crate) fn delete(state: &mut State, change: &Change<'_>, options: &Value) -> Result<Value, Failure> {
    let old = existing(state, change)?;
    for field in ["uid", "resourceVersion"] {
        let wanted = options["preconditions"].get(field).filter(|wanted| !wanted.is_null());
        let found = &old["metadata"][field];
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            let why =
                format!("Precondition failed: {field} in precondition: {wanted}, in object meta: {found}");
            return Err(Failure::conflict(change.resource, change.name, &why));
        }
    }
    state.objects.remove(&change.key());
    if change.resource.kind == "Namespace" {
        // Everything in it goes with it; the pods follow their deployments.
        state.objects.retain(|key, _| key.split('/').nth(1) != Some(change.name));
    }
    state.stamp();
    Ok(old)
}

fn existing(state: &State, change: &Change<'_>) -> Result<Value, Failure> {
    let found = state.objects.get(&change.key()).cloned();
    found.ok_or_else(|| Failure::not_found(change.resource, change.name))
}

fn save(
    state: &mut State,
    change: &Change<'_>,
    old: Option<Value>,
    new: Value,
    operation: &str,
) -> Result<Vec<String>, Failure> {
    check_identity(change, &new)?;
    if let Some(old) = &old {
        check_version(change, old, &new)?;
    }
    let managed = new["metadata"]["managedFields"].clone();
    let (mut new, unknown) = typed::read(change.resource, new)?;
    if change.strict && !unknown.is_empty() {
        let list: Vec<String> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
        return Err(Failure::bad_request(format!("strict decoding error: {}", list.join(", "))));
    }
    let warnings = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    carry_over(state, change, old.as_ref(), &mut new);
    validate::check(change.resource, old.as_ref(), &new)?;
    match operation {
        "Apply" => new["metadata"]["managedFields"] = managed,
        _ => ownership::updated(old.as_ref(), &mut new, &change.by(state, operation)),
    }
    if let Some(old) = &old
        && without_ownership(old) == without_ownership(&new)
        && (operation != "Apply" || same_managers(old, &new))
    {
        return Ok(warnings);
    }
    if old.is_none() && state.objects.len() >= MAX_OBJECTS {
        return Err(Failure::too_large("the number of objects"));
    }
    note_generation(state, change, old.as_ref(), &mut new);
    // What is not kept gets no version of its own.
    new["metadata"]["resourceVersion"] = match (change.dry_run, old) {
        (true, Some(old)) => old["metadata"]["resourceVersion"].clone(),
        (true, None) => Value::Null,
        (false, _) => json!(state.stamp().to_string()),
    };
    state.objects.insert(change.key(), new);
    Ok(warnings)
}

fn check_identity(change: &Change<'_>, new: &Value) -> Result<(), Failure> {
    check_metadata(new)?;
    let (name, namespace) = (text(new, "/metadata/name"), text(new, "/metadata/namespace"));
    if !name.is_empty() && name != change.name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            change.name
        )));
    }
    if !namespace.is_empty() && namespace != change.namespace {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let (sent, known) = (text(new, "/kind"), change.resource.kind);
    let version = text(new, "/apiVersion");
    if (!sent.is_empty() && sent != known)
        || (!version.is_empty() && version != change.resource.api_version())
    {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({version}, {sent}) does not match the expected API version ({}, {known})",
            change.resource.api_version()
        )));
    }
    Ok(())
}

/// Refuses metadata of the wrong shape, also of kinds that have no schema of their own.
fn check_metadata(object: &Value) -> Result<(), Failure> {
    let metadata = &object["metadata"];
    if metadata.is_null() {
        return Ok(());
    }
    serde_json::from_value::<ObjectMeta>(metadata.clone())
        .map(drop)
        .map_err(|error| Failure::bad_request(format!("metadata cannot be read: {error}")))
}

/// Optimistic concurrency: a version that was sent must be the present one.
fn check_version(change: &Change<'_>, old: &Value, new: &Value) -> Result<(), Failure> {
    let sent = text(new, "/metadata/resourceVersion");
    if !sent.is_empty() && sent != text(old, "/metadata/resourceVersion") {
        return Err(Failure::modified(change.resource, change.name));
    }
    let uid = text(new, "/metadata/uid");
    if !uid.is_empty() && uid != text(old, "/metadata/uid") {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            text(old, "/metadata/uid")
        );
        return Err(Failure::conflict(change.resource, change.name, &why));
    }
    Ok(())
}

/// Puts in place what clients cannot choose: identity, age, status.
fn carry_over(state: &State, change: &Change<'_>, old: Option<&Value>, new: &mut Value) {
    new["apiVersion"] = json!(change.resource.api_version());
    new["kind"] = json!(change.resource.kind);
    let metadata = &mut new["metadata"];
    metadata["name"] = json!(change.name);
    if change.resource.namespaced {
        metadata["namespace"] = json!(change.namespace);
    }
    match old {
        Some(old) => {
            for field in SERVER_OWNED {
                metadata[field] = old["metadata"][field].clone();
            }
        }
        None => {
            metadata["uid"] =
                json!(names::uid(&format!("{}/{}/{}", state.born, change.key(), state.counter)));
            metadata["creationTimestamp"] = json!(state.timeline.stamp(change.now));
            metadata["generation"] = json!(1);
        }
    }
    if let Some(fields) = new.as_object_mut() {
        fields.shift_remove("status");
        if let Some(status) = old.and_then(|old| old.get("status")) {
            fields.insert("status".into(), status.clone());
        }
    }
}

/// A changed specification is a new generation, which controllers notice a moment later.
fn note_generation(state: &mut State, change: &Change<'_>, old: Option<&Value>, new: &mut Value) {
    let Some(old) = old else { return };
    let before = number(old, "/metadata/generation").unwrap_or(1);
    if old["spec"] != new["spec"] {
        new["metadata"]["generation"] = json!(before + 1);
        if let Some(rollout) = state.rollouts.get_mut(&format!("{}/{}", change.namespace, change.name))
            && change.resource.kind == "Deployment"
        {
            if rollout.observed <= change.now {
                rollout.observed_before = before;
            }
            rollout.observed = change.now + NOTICE;
        }
    }
}

fn without_ownership(object: &Value) -> Value {
    let mut plain = object.clone();
    if let Some(metadata) = plain.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
        metadata.shift_remove("resourceVersion");
    }
    plain
}

fn same_managers(old: &Value, new: &Value) -> bool {
    let without_time = |object: &Value| -> Vec<Manager> {
        let managers = ownership::managers(object).into_iter();
        managers.map(|manager| Manager { time: String::new(), ..manager }).collect()
    };
    without_time(old) == without_time(new)
}

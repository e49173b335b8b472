//! Sends a planned change, on the condition that the world is as it was planned for.

use runbook_core::{
    Value,
    change::{Change, Validation},
    fault::{Fault, FaultKind},
    spec::Grade,
};
use serde_json::json;

use crate::client::{Call, JSON_PATCH, Reply, Session};

/// What a fresh look at the object means for a change that could not be made for its version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Nothing that the change depends on has moved: the same request may be sent for the newer
    /// version.
    Same,
    /// The object is as the change would make it.
    Landed,
    /// Someone else changed what the change depends on: what, in words.
    Moved(Vec<String>),
}

/// How often a request is sent again because a status update came in between: controllers write
/// the status of a workload in trouble many times a second.
const MOST_TRIES: usize = 6;

/// Sends the request of a change, or asks the server whether it would take it. `call` is that
/// request without a condition. Gives nothing where the change turned out to be made already.
pub(crate) async fn deliver(
    session: &Session<'_>,
    change: &Change,
    call: Call,
    dry: bool,
    judge: impl Fn(&Value) -> Judgement + Send,
) -> Result<Option<Reply>, Fault> {
    if session.url(&call)? != change.request.url {
        return Err(Fault::permanent(format!("the change was planned for {}", change.request.url))
            .hint("this environment is another cluster; plan it here"));
    }
    let object = call.object();
    let kind = change.request.content_type.as_deref().unwrap_or_default();
    let mut version = text(&change.precondition, "/resourceVersion");
    for _ in 0..MOST_TRIES {
        let body = match &version {
            Some(version) => with_version(kind, &change.request.body, version),
            None => change.request.body.clone(),
        };
        let call = call.clone().with_body(body);
        let fault = match session.send(&if dry { call.dry() } else { call }).await {
            Ok(reply) => return Ok(Some(reply)),
            // A patch that no longer fits what it is laid over is refused as invalid.
            Err(fault) if matches!(fault.kind, FaultKind::Conflict | FaultKind::Permanent) => fault,
            Err(fault) => return Err(fault),
        };
        let Some(place) = object.clone().filter(|_| version.is_some()) else { return Err(fault) };
        let live = session.get(place).await?;
        let newer = text(&live, "/metadata/resourceVersion");
        if newer == version {
            // It is not about the version.
            return Err(fault);
        }
        if text(&live, "/metadata/uid") != change.target.uid {
            return Err(moved(change, &["it was replaced by another object of that name".to_owned()]));
        }
        match judge(&live) {
            Judgement::Same => version = newer,
            Judgement::Landed if !dry => return Ok(None),
            Judgement::Landed => return Err(moved(change, &["it is as asked already".to_owned()])),
            Judgement::Moved(what) => return Err(moved(change, &what)),
        }
    }
    Err(Fault::refused(format!(
        "{} changes so fast that the request was refused {MOST_TRIES} times",
        change.target
    )))
}

fn moved(change: &Change, what: &[String]) -> Fault {
    Fault::conflict(format!("{} was changed since it was looked at: {}", change.target, what.join("; ")))
        .hint("plan anew; an approval that was given is void")
}

/// The body, refused by the server where the object is of another version.
fn with_version(kind: &str, body: &Value, version: &str) -> Value {
    let mut body = body.clone();
    if kind == JSON_PATCH {
        // A `test` would be refused as invalid; a patch that names another version is a conflict.
        if let Some(operations) = body.as_array_mut() {
            operations
                .insert(0, json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
        }
    } else if let Some(fields) = body.as_object_mut() {
        // What deletes an object has its conditions in a place of their own.
        let place = if fields.contains_key("preconditions") { "preconditions" } else { "metadata" };
        let metadata = fields.entry(place).or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("resourceVersion".to_owned(), json!(version));
        }
    }
    body
}

/// The answer to a dry-run.
pub(crate) fn validated(reply: Option<Reply>) -> Validation {
    Validation::of(Grade::Validated, reply.map(|reply| reply.warnings).unwrap_or_default())
}

/// A webhook that cannot be asked without being run makes the server refuse the question, not the
/// change: what would happen stays predicted.
pub(crate) fn or_predicted(asked: Result<Validation, Fault>) -> Result<Validation, Fault> {
    match asked {
        Err(fault)
            if fault.kind == FaultKind::Permanent && fault.message.contains("does not support dry run") =>
        {
            Ok(Validation::of(Grade::Predicted, vec![fault.message]))
        }
        asked => asked,
    }
}

pub(crate) fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::MERGE_PATCH;

    #[test]
    fn the_version_goes_where_the_server_compares_it() {
        let patch = with_version(JSON_PATCH, &json!([{"op": "remove", "path": "/spec/x"}]), "7");
        assert_eq!(
            patch,
            json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}, {"op": "remove", "path": "/spec/x"}])
        );
        let merged = with_version(MERGE_PATCH, &json!({"metadata": {"labels": {}}, "spec": {}}), "7");
        assert_eq!(merged, json!({"metadata": {"labels": {}, "resourceVersion": "7"}, "spec": {}}));
        let deleted = with_version("", &json!({"preconditions": {"uid": "u"}}), "7");
        assert_eq!(deleted, json!({"preconditions": {"uid": "u", "resourceVersion": "7"}}));
    }

    #[test]
    fn a_question_that_cannot_be_asked_is_not_a_refusal() {
        let unaskable =
            Fault::permanent(r#"admission webhook "policy.example.com" does not support dry run"#);
        assert_eq!(or_predicted(Err(unaskable)).unwrap().grade, Grade::Predicted);
        assert!(or_predicted(Err(Fault::permanent("denied"))).is_err());
    }
}

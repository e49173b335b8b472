//! The ways in which clients change objects: merge, JSON patch, strategic merge, server-side apply.

pub(crate) mod apply;
pub(crate) mod lists;
pub(crate) mod ownership;
pub(crate) mod strategic;

use serde_json::{Value, json};

use crate::kubernetes::failure::Failure;
use crate::kubernetes::resources::Resource;

pub(crate) const JSON: &str = "application/json-patch+json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// Applies any patch but a server-side apply, which needs to know who owns what.
pub(crate) fn patched(
    resource: &Resource,
    object: &Value,
    media_type: &str,
    body: &[u8],
) -> Result<Value, Failure> {
    let known = [JSON, MERGE, STRATEGIC, APPLY].join(", ");
    let mut result = object.clone();
    match media_type {
        JSON => {
            let patch: json_patch::Patch = parse(body)?;
            json_patch::patch(&mut result, &patch).map_err(|error| Failure {
                code: 422,
                reason: "Invalid",
                message: "the server rejected our request due to an error in our request".into(),
                details: json!({ "causes": [{ "reason": "UnexpectedServerResponse", "message": error.to_string() }] }),
            })?;
        }
        MERGE => json_patch::merge(&mut result, &parse_object(body)?),
        STRATEGIC if resource.is_custom() => {
            return Err(Failure::unsupported_media_type(media_type, &[JSON, MERGE, APPLY].join(", ")));
        }
        STRATEGIC => strategic::merge(&mut result, &parse_object(body)?)?,
        other => return Err(Failure::unsupported_media_type(other, &known)),
    }
    if !result.is_object() {
        return Err(Failure::bad_request("the patch does not leave an object"));
    }
    Ok(result)
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::bad_request(format!("error decoding patch: {error}")))
}

fn parse_object(body: &[u8]) -> Result<Value, Failure> {
    let value: Value = parse(body)?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Failure::bad_request("error decoding patch: not an object"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::resources;

    fn patch(media_type: &str, body: &Value) -> Result<Value, Failure> {
        let resource = resources::by_kind("Deployment").unwrap();
        let object = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 3}});
        patched(resource, &object, media_type, body.to_string().as_bytes())
    }

    #[test]
    fn merge_and_json_patches() {
        let merged = patch(MERGE, &json!({"metadata": {"labels": {"a": null, "b": "2"}}})).unwrap();
        assert_eq!(merged, json!({"metadata": {"labels": {"b": "2"}}, "spec": {"replicas": 3}}));
        let replaced =
            patch(JSON, &json!([{"op": "replace", "path": "/spec/replicas", "value": 5}])).unwrap();
        assert_eq!(replaced["spec"]["replicas"], 5);
    }

    #[test]
    fn what_cannot_be_applied_is_refused() {
        let cases = [
            (JSON, json!([{"op": "test", "path": "/spec/replicas", "value": 4}]), 422),
            (JSON, json!([{"op": "remove", "path": "/spec/nothing"}]), 422),
            (JSON, json!({"spec": {}}), 400),
            (JSON, json!([{"op": "replace", "path": "", "value": 1}]), 400),
            (MERGE, json!([1]), 400),
            ("text/plain", json!({}), 415),
        ];
        for (media_type, body, code) in cases {
            assert_eq!(patch(media_type, &body).unwrap_err().code, code, "{media_type} {body}");
        }
    }
}

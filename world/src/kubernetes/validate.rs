//! What the API server refuses although its types would hold it.

use serde_json::{Value, json};

use crate::cluster::placing::MAX_PODS;
use crate::kubernetes::failure::{Failure, Flaw};
use crate::kubernetes::resources::Resource;
use crate::kubernetes::selector::Labels;
use crate::quantity;
use crate::state::{number, text};

const NAME_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";

/// Checks an object that is about to be stored; `old` is what it replaces.
pub(crate) fn check(resource: &Resource, old: Option<&Value>, new: &Value) -> Result<(), Failure> {
    let name = text(new, "/metadata/name");
    let mut flaws = Vec::new();
    if !is_name(name) {
        flaws.push(Flaw::invalid("metadata.name", &json!(name), NAME_RULE));
    }
    match resource.kind {
        "Deployment" => deployment(old, new, &mut flaws)?,
        "HorizontalPodAutoscaler" => autoscaler(new, &mut flaws),
        "Service" => service(new, &mut flaws),
        "PodDisruptionBudget" => budget(new, &mut flaws),
        _ => {}
    }
    if flaws.is_empty() { Ok(()) } else { Err(Failure::invalid(resource, name, &flaws)) }
}

fn is_name(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.len() <= 253
        && edge(name.chars().next())
        && edge(name.chars().last())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
}

fn deployment(old: Option<&Value>, new: &Value, flaws: &mut Vec<Flaw>) -> Result<(), Failure> {
    let spec = &new["spec"];
    replicas(spec, flaws);
    for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        if let Some(negative) = number(spec, &format!("/{field}")).filter(|n| *n < 0) {
            let why = "must be greater than or equal to 0";
            flaws.push(Flaw::invalid(format!("spec.{field}"), &json!(negative), why));
        }
    }
    for field in ["maxSurge", "maxUnavailable"] {
        rolling(&spec["strategy"]["rollingUpdate"][field], field, flaws);
    }
    let selector = &spec["selector"];
    let labels = &spec["template"]["metadata"]["labels"];
    if selector.as_object().is_none_or(serde_json::Map::is_empty) {
        flaws.push(Flaw::required("spec.selector", ""));
    }
    if flaws.iter().any(|flaw| flaw.field == "spec.selector") || !Labels::of_object(selector).matches(labels)
    {
        let why = "`selector` does not match template `labels`";
        flaws.push(Flaw::invalid("spec.template.metadata.labels", labels, why));
    }
    if let Some(old) = old
        && old["spec"]["selector"] != *selector
    {
        flaws.push(Flaw::invalid("spec.selector", selector, "field is immutable"));
    }
    let kind = text(spec, "/strategy/type");
    if !matches!(kind, "RollingUpdate" | "Recreate") {
        let message =
            format!("Unsupported value: {kind:?}: supported values: \"Recreate\", \"RollingUpdate\"");
        flaws.push(Flaw { reason: "FieldValueNotSupported", field: "spec.strategy.type".into(), message });
    } else if kind == "Recreate" && spec["strategy"].get("rollingUpdate").is_some() {
        let message = "Forbidden: may not be specified when strategy `type` is 'Recreate'".to_owned();
        flaws.push(Flaw {
            reason: "FieldValueForbidden",
            field: "spec.strategy.rollingUpdate".into(),
            message,
        });
    }
    let containers = spec.pointer("/template/spec/containers").and_then(Value::as_array);
    let containers = containers.map(Vec::as_slice).unwrap_or_default();
    if containers.is_empty() {
        flaws.push(Flaw::required("spec.template.spec.containers", ""));
    }
    for (index, container) in containers.iter().enumerate() {
        let path = format!("spec.template.spec.containers[{index}]");
        if containers[..index].iter().any(|other| other["name"] == container["name"]) {
            let message = format!("Duplicate value: {}", container["name"]);
            flaws.push(Flaw { reason: "FieldValueDuplicate", field: format!("{path}.name"), message });
        }
        self::container(container, &path, flaws)?;
    }
    Ok(())
}

/// A number of pods, or a share of them.
fn rolling(value: &Value, field: &str, flaws: &mut Vec<Flaw>) {
    let good = match value {
        Value::Null => true,
        Value::String(text) => text.strip_suffix('%').is_some_and(|percent| percent.parse::<u32>().is_ok()),
        number => number.as_i64().is_some_and(|n| n >= 0),
    };
    if !good {
        let why = "must be an integer or a percentage (e.g '5%'), greater than or equal to 0";
        flaws.push(Flaw::invalid(format!("spec.strategy.rollingUpdate.{field}"), value, why));
    }
}

fn replicas(spec: &Value, flaws: &mut Vec<Flaw>) {
    let replicas = number(spec, "/replicas").unwrap_or(1);
    if replicas < 0 {
        flaws.push(Flaw::invalid("spec.replicas", &json!(replicas), "must be greater than or equal to 0"));
    }
    if replicas > MAX_PODS as i64 / 2 {
        let why = format!("must be at most {}: the simulated cluster holds no more", MAX_PODS / 2);
        flaws.push(Flaw::invalid("spec.replicas", &json!(replicas), &why));
    }
}

fn container(container: &Value, path: &str, flaws: &mut Vec<Flaw>) -> Result<(), Failure> {
    for field in ["name", "image"] {
        if text(container, &format!("/{field}")).is_empty() {
            flaws.push(Flaw::required(format!("{path}.{field}"), ""));
        }
    }
    for (index, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
        if text(variable, "/name").is_empty() {
            flaws.push(Flaw::required(format!("{path}.env[{index}].name"), ""));
        }
    }
    let resources = &container["resources"];
    for (resource, requested) in resources["requests"].as_object().into_iter().flatten() {
        let limit = resources["limits"].get(resource);
        let (asked, most) = (size(requested)?, limit.map(size).transpose()?);
        if most.is_some_and(|most| asked > most) {
            let told = limit.and_then(Value::as_str).unwrap_or_default();
            let why = format!("must be less than or equal to {resource} limit of {told}");
            flaws.push(Flaw::invalid(format!("{path}.resources.requests"), requested, &why));
        }
    }
    for (resource, limit) in resources["limits"].as_object().into_iter().flatten() {
        if size(limit)? < 0.0 {
            let why = "must be greater than or equal to 0";
            flaws.push(Flaw::invalid(format!("{path}.resources.limits[{resource}]"), limit, why));
        }
    }
    Ok(())
}

fn size(value: &Value) -> Result<f64, Failure> {
    value.as_str().and_then(quantity::parse).ok_or_else(|| {
        Failure::bad_request(format!(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$', not {value}"
        ))
    })
}

fn autoscaler(new: &Value, flaws: &mut Vec<Flaw>) {
    let (least, most) =
        (number(new, "/spec/minReplicas").unwrap_or(1), number(new, "/spec/maxReplicas").unwrap_or(0));
    if most < 1 {
        flaws.push(Flaw::invalid("spec.maxReplicas", &json!(most), "must be greater than 0"));
    } else if most < least {
        let why = "must be greater than or equal to `minReplicas`";
        flaws.push(Flaw::invalid("spec.maxReplicas", &json!(most), why));
    }
}

fn budget(new: &Value, flaws: &mut Vec<Flaw>) {
    let spec = &new["spec"];
    if spec.get("minAvailable").is_some() && spec.get("maxUnavailable").is_some() {
        flaws.push(Flaw::invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"));
    }
}

fn service(new: &Value, flaws: &mut Vec<Flaw>) {
    if new["spec"]["ports"].as_array().is_none_or(Vec::is_empty) {
        flaws.push(Flaw::required("spec.ports", ""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{resources, typed};

    fn deployment() -> Value {
        let sent = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"},
            "spec": {"selector": {"matchLabels": {"app": "api"}}, "template": {
                "metadata": {"labels": {"app": "api"}}, "spec": {"containers": [{"name": "api", "image": "a:1",
                    "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}}]}}},
        });
        typed::read(resources::by_kind("Deployment").unwrap(), sent).unwrap().0
    }

    #[test]
    fn what_is_wrong_is_told_by_field() {
        let resource = resources::by_kind("Deployment").unwrap();
        let good = deployment();
        assert_eq!(check(resource, Some(&good), &good), Ok(()));
        let container = "/spec/template/spec/containers/0";
        let cases = [
            ("/spec/replicas".to_owned(), json!(-1), "spec.replicas"),
            ("/spec/replicas".to_owned(), json!(100_000), "spec.replicas"),
            ("/metadata/name".to_owned(), json!("Api"), "metadata.name"),
            ("/spec/selector/matchLabels".to_owned(), json!({"app": "other"}), "spec.selector"),
            ("/spec/template/metadata/labels".to_owned(), json!({}), "spec.template.metadata.labels"),
            ("/spec/template/spec/containers".to_owned(), json!([]), "spec.template.spec.containers"),
            (format!("{container}/image"), json!(""), "spec.template.spec.containers[0].image"),
            (
                format!("{container}/resources/requests/memory"),
                json!("3Gi"),
                "spec.template.spec.containers[0].resources.requests",
            ),
            ("/spec/strategy/type".to_owned(), json!("Canary"), "spec.strategy.type"),
        ];
        for (pointer, value, field) in cases {
            let mut bad = good.clone();
            *bad.pointer_mut(&pointer).unwrap() = value;
            let error = check(resource, Some(&good), &bad).unwrap_err();
            assert_eq!((error.code, error.reason), (422, "Invalid"), "{pointer}");
            let fields: Vec<&str> =
                error.details["causes"].as_array().unwrap().iter().map(|c| text(c, "/field")).collect();
            assert!(fields.contains(&field), "{pointer}: {fields:?}");
        }
    }

    #[test]
    fn a_quantity_that_is_none_is_a_bad_request() {
        let mut bad = deployment();
        bad["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"] = json!("much");
        assert_eq!(check(resources::by_kind("Deployment").unwrap(), None, &bad).unwrap_err().code, 400);
    }
}

//! The shape of each kind: read into the API's own types, so that what a real server would prune or
//! refuse is pruned or refused here, and completed with the API's defaults.

use k8s_openapi::api::{apps::v1 as apps, autoscaling::v2 as autoscaling, core::v1 as core};
use k8s_openapi::api::{networking::v1 as networking, policy::v1 as policy};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::kubernetes::failure::Failure;
use crate::kubernetes::resources::Resource;

/// An object as the server would store it, and the fields that it does not know.
pub(crate) fn read(resource: &Resource, mut object: Value) -> Result<(Value, Vec<String>), Failure> {
    quantities_as_text(&mut object);
    let read = match resource.kind {
        "ConfigMap" => through::<core::ConfigMap>(&object),
        "Namespace" => through::<core::Namespace>(&object),
        "Node" => through::<core::Node>(&object),
        "ResourceQuota" => through::<core::ResourceQuota>(&object),
        "Service" => through::<core::Service>(&object),
        "Deployment" => through::<apps::Deployment>(&object),
        "HorizontalPodAutoscaler" => through::<autoscaling::HorizontalPodAutoscaler>(&object),
        "Ingress" => through::<networking::Ingress>(&object),
        "NetworkPolicy" => through::<networking::NetworkPolicy>(&object),
        "PodDisruptionBudget" => through::<policy::PodDisruptionBudget>(&object),
        _ => Ok(object.clone()),
    };
    let mut read = read.map_err(|error| {
        let kind = resource.kind;
        Failure::bad_request(format!(
            "{kind} in version \"{}\" cannot be handled as a {kind}: {error}",
            resource.version
        ))
    })?;
    let mut unknown = Vec::new();
    strangers(&object, &read, "", &mut unknown);
    default(resource, &mut read);
    Ok((read, unknown))
}

fn through<T: DeserializeOwned + Serialize>(object: &Value) -> serde_json::Result<Value> {
    serde_json::to_value(serde_json::from_value::<T>(object.clone())?)
}

/// The API takes numbers for quantities; its types write them as text.
fn quantities_as_text(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields.iter_mut() {
                if matches!(name.as_str(), "limits" | "requests" | "hard") {
                    for (_, quantity) in inner.as_object_mut().into_iter().flatten() {
                        if quantity.is_number() {
                            *quantity = json!(quantity.to_string());
                        }
                    }
                }
                quantities_as_text(inner);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(quantities_as_text),
        _ => {}
    }
}

/// Paths of fields that were sent with a value and not kept.
fn strangers(sent: &Value, kept: &Value, path: &str, unknown: &mut Vec<String>) {
    match (sent, kept) {
        (Value::Object(sent), kept) => {
            for (name, value) in sent {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match kept.get(name) {
                    Some(kept) => strangers(value, kept, &path, unknown),
                    None if value.is_null() => {}
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(sent), Value::Array(kept)) => {
            for (index, (sent, kept)) in sent.iter().zip(kept).enumerate() {
                strangers(sent, kept, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

fn default(resource: &Resource, object: &mut Value) {
    match resource.kind {
        "Deployment" => deployment(object),
        "Service" => service(object),
        "HorizontalPodAutoscaler" => set(&mut object["spec"], "minReplicas", json!(1)),
        "PodDisruptionBudget" | "Ingress" | "NetworkPolicy" => set(object, "spec", json!({})),
        _ => {}
    }
}

fn deployment(object: &mut Value) {
    let spec = &mut object["spec"];
    set(spec, "replicas", json!(1));
    set(spec, "revisionHistoryLimit", json!(10));
    set(spec, "progressDeadlineSeconds", json!(600));
    set(spec, "strategy", json!({}));
    let strategy = &mut spec["strategy"];
    set(strategy, "type", json!("RollingUpdate"));
    if strategy["type"] == "RollingUpdate" {
        set(strategy, "rollingUpdate", json!({}));
        set(&mut strategy["rollingUpdate"], "maxSurge", json!("25%"));
        set(&mut strategy["rollingUpdate"], "maxUnavailable", json!("25%"));
    }
    set(spec, "template", json!({}));
    set(&mut spec["template"], "spec", json!({}));
    let pod = &mut spec["template"]["spec"];
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
    ] {
        set(pod, field, value);
    }
    for list in ["containers", "initContainers"] {
        for container in pod.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            self::container(container);
        }
    }
}

fn container(container: &mut Value) {
    let image = crate::state::text(container, "/image");
    let moving = image.ends_with(":latest") || !image.rsplit('/').next().unwrap_or_default().contains(':');
    let pull = if moving { "Always" } else { "IfNotPresent" };
    set(container, "imagePullPolicy", json!(pull));
    set(container, "resources", json!({}));
    set(container, "terminationMessagePath", json!("/dev/termination-log"));
    set(container, "terminationMessagePolicy", json!("File"));
    for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        set(port, "protocol", json!("TCP"));
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get_mut(probe) else { continue };
        for (field, value) in
            [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
        {
            set(probe, field, json!(value));
        }
        if let Some(get) = probe.get_mut("httpGet") {
            set(get, "scheme", json!("HTTP"));
        }
    }
}

fn service(object: &mut Value) {
    let name = crate::state::text(object, "/metadata/name").to_owned();
    let spec = &mut object["spec"];
    set(spec, "type", json!("ClusterIP"));
    set(spec, "sessionAffinity", json!("None"));
    let last = crate::names::fnv(&name) % 250 + 2;
    set(spec, "clusterIP", json!(format!("10.96.0.{last}")));
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        set(port, "protocol", json!("TCP"));
        let same = port["port"].clone();
        set(port, "targetPort", same);
    }
}

/// Sets a field that is not there.
fn set(object: &mut Value, field: &str, value: Value) {
    if object.is_null() {
        *object = Value::Object(Map::new());
    }
    if let Value::Object(fields) = object
        && fields.get(field).is_none_or(Value::is_null)
    {
        fields.insert(field.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::resources;

    fn deployment_of(container: Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"},
            "spec": {"selector": {"matchLabels": {"app": "api"}}, "template": {
                "metadata": {"creationTimestamp": null, "labels": {"app": "api"}}, "spec": {"containers": [container]}}},
        })
    }

    #[test]
    fn defaults_are_those_of_the_api() {
        let resource = resources::by_kind("Deployment").unwrap();
        let sent = deployment_of(
            json!({"name": "api", "image": "api", "resources": {"requests": {"memory": 1024}}}),
        );
        let (read, unknown) = read(resource, sent).unwrap();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert_eq!(read["spec"]["replicas"], 1);
        assert_eq!(read["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
        let container = &read["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["imagePullPolicy"], "Always");
        assert_eq!(container["resources"]["requests"]["memory"], "1024");
    }

    #[test]
    fn unknown_fields_are_told_and_pruned_and_wrong_types_refused() {
        let resource = resources::by_kind("Deployment").unwrap();
        let (kept, unknown) = read(resource, deployment_of(json!({"name": "api", "imagee": "api"}))).unwrap();
        assert_eq!(unknown, ["spec.template.spec.containers[0].imagee"]);
        assert_eq!(kept["spec"]["template"]["spec"]["containers"][0].get("imagee"), None);
        let mut wrong = deployment_of(json!({"name": "api"}));
        wrong["spec"]["replicas"] = json!("three");
        let error = read(resource, wrong).unwrap_err();
        assert_eq!(error.code, 400);
        assert!(error.message.contains("cannot be handled as a Deployment"), "{}", error.message);
    }
}

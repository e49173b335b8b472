//! Endpoints and endpoint slices: which pods stand behind which service.

use serde_json::{Value, json};

use crate::kubernetes::selector::Labels;
use crate::kubernetes::views::{View, pods};
use crate::names;
use crate::state::{Pod, text};

pub(crate) fn endpoints(view: &View<'_>) -> Vec<Value> {
    services(view)
        .map(|service| {
            let ports: Vec<Value> = ports(service)
                .map(|(name, port)| json!({ "name": name, "port": port, "protocol": "TCP" }))
                .collect();
            let (ready, waiting): (Vec<_>, Vec<_>) =
                behind(view, service).into_iter().partition(|(_, address)| address.is_ready);
            let addresses = |list: &[(&Pod, Address)]| -> Vec<Value> {
                list.iter()
                    .map(|(pod, address)| json!({ "ip": address.ip, "nodeName": pod.node, "targetRef": target(pod) }))
                    .collect()
            };
            let mut subset = json!({ "ports": ports });
            if !ready.is_empty() {
                subset["addresses"] = json!(addresses(&ready));
            }
            if !waiting.is_empty() {
                subset["notReadyAddresses"] = json!(addresses(&waiting));
            }
            let subsets = if ready.is_empty() && waiting.is_empty() { json!([]) } else { json!([subset]) };
            json!({
                "apiVersion": "v1", "kind": "Endpoints",
                "metadata": metadata(view, service, text(service, "/metadata/name")), "subsets": subsets,
            })
        })
        .collect()
}

pub(crate) fn slices(view: &View<'_>) -> Vec<Value> {
    services(view)
        .map(|service| {
            let name = text(service, "/metadata/name");
            let mut metadata = metadata(view, service, &format!("{name}-{}", names::suffix(name, 5)));
            metadata["labels"] = json!({ "kubernetes.io/service-name": name });
            let endpoints: Vec<Value> = behind(view, service)
                .iter()
                .map(|(pod, address)| {
                    json!({
                        "addresses": [address.ip],
                        "conditions": { "ready": address.is_ready, "serving": address.is_ready, "terminating": false },
                        "nodeName": pod.node,
                        "targetRef": target(pod),
                    })
                })
                .collect();
            let ports: Vec<Value> = ports(service)
                .map(|(name, port)| json!({ "name": name, "port": port, "protocol": "TCP" }))
                .collect();
            json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata,
                "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
            })
        })
        .collect()
}

struct Address {
    ip: String,
    is_ready: bool,
}

fn services<'a>(view: &'a View<'_>) -> impl Iterator<Item = &'a Value> {
    view.state.objects_of("services").filter(|service| service.pointer("/spec/selector").is_some())
}

/// The pods that a service selects and that have an address.
fn behind<'a>(view: &View<'a>, service: &Value) -> Vec<(&'a Pod, Address)> {
    let selector = Labels::of_object(&json!({ "matchLabels": service["spec"]["selector"] }));
    let namespace = text(service, "/metadata/namespace");
    view.pods()
        .filter(|pod| pod.namespace == namespace)
        .filter_map(|pod| {
            let shown = pods::render(view, pod);
            let ip = text(&shown, "/status/podIP").to_owned();
            let selected = selector.matches(&shown["metadata"]["labels"]) && !ip.is_empty();
            selected.then(|| (pod, Address { ip, is_ready: pod.is_ready(view.now) }))
        })
        .collect()
}

fn ports(service: &Value) -> impl Iterator<Item = (Value, Value)> {
    service["spec"]["ports"].as_array().into_iter().flatten().map(|port| {
        let target = port.get("targetPort").filter(|target| target.is_number());
        (port["name"].clone(), target.unwrap_or(&port["port"]).clone())
    })
}

fn target(pod: &Pod) -> Value {
    json!({ "kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid })
}

fn metadata(view: &View<'_>, service: &Value, name: &str) -> Value {
    let namespace = text(service, "/metadata/namespace");
    json!({
        "name": name,
        "namespace": namespace,
        "uid": names::uid(&format!("{}/endpoints/{namespace}/{name}", view.state.born)),
        "resourceVersion": view.version().to_string(),
        "creationTimestamp": service["metadata"]["creationTimestamp"],
        "labels": service["metadata"]["labels"],
    })
}

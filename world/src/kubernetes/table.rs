//! Tables: the columns that `kubectl get` prints.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kubernetes::resources::Resource;
use crate::kubernetes::views::View;
use crate::state::text;

/// Name, and whether it is shown only with `-o wide`.
type Column = (&'static str, bool);

pub(crate) fn of(view: &View<'_>, resource: &Resource, objects: &[Value], include: &str) -> Value {
    let columns: Vec<Value> = columns(resource)
        .iter()
        .map(|(name, wide)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({ "name": name, "type": "string", "format": format, "description": "", "priority": i32::from(*wide) })
        })
        .collect();
    let now = view.state.timeline.real(view.now);
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let carried = match include {
                "Object" => object.clone(),
                "None" => Value::Null,
                _ => json!({
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
                }),
            };
            json!({ "cells": cells(resource, object, now), "object": carried })
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1",
        "metadata": { "resourceVersion": view.version().to_string() },
        "columnDefinitions": columns, "rows": rows,
    })
}

fn columns(resource: &Resource) -> &'static [Column] {
    match resource.kind {
        "Deployment" => &[
            ("Name", false),
            ("Ready", false),
            ("Up-to-date", false),
            ("Available", false),
            ("Age", false),
            ("Containers", true),
            ("Images", true),
        ],
        "ReplicaSet" => {
            &[("Name", false), ("Desired", false), ("Current", false), ("Ready", false), ("Age", false)]
        }
        "Pod" => &[
            ("Name", false),
            ("Ready", false),
            ("Status", false),
            ("Restarts", false),
            ("Age", false),
            ("IP", true),
            ("Node", true),
        ],
        "Node" => &[("Name", false), ("Status", false), ("Roles", false), ("Age", false), ("Version", false)],
        "Service" => {
            &[("Name", false), ("Type", false), ("Cluster-IP", false), ("Port(s)", false), ("Age", false)]
        }
        "Event" => {
            &[("Last Seen", false), ("Type", false), ("Reason", false), ("Object", false), ("Message", false)]
        }
        "HorizontalPodAutoscaler" => &[
            ("Name", false),
            ("Reference", false),
            ("MinPods", false),
            ("MaxPods", false),
            ("Replicas", false),
            ("Age", false),
        ],
        "PodDisruptionBudget" => &[
            ("Name", false),
            ("Min Available", false),
            ("Max Unavailable", false),
            ("Allowed Disruptions", false),
            ("Age", false),
        ],
        "Namespace" => &[("Name", false), ("Status", false), ("Age", false)],
        "ConfigMap" => &[("Name", false), ("Data", false), ("Age", false)],
        "Ingress" => &[("Name", false), ("Class", false), ("Hosts", false), ("Age", false)],
        "Application" => &[("Name", false), ("Sync Status", false), ("Health Status", false), ("Age", false)],
        _ => &[("Name", false), ("Age", false)],
    }
}

fn cells(resource: &Resource, object: &Value, now: Timestamp) -> Vec<String> {
    let name = text(object, "/metadata/name").to_owned();
    let age = age(text(object, "/metadata/creationTimestamp"), now);
    let count = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0).to_string();
    let plain = |pointer: &str| told(object.pointer(pointer));
    match resource.kind {
        "Deployment" => {
            let ready = format!("{}/{}", count("/status/readyReplicas"), count("/spec/replicas"));
            let (updated, available) = (count("/status/updatedReplicas"), count("/status/availableReplicas"));
            let containers = "/spec/template/spec/containers";
            vec![
                name,
                ready,
                updated,
                available,
                age,
                each(object, containers, "/name"),
                each(object, containers, "/image"),
            ]
        }
        "ReplicaSet" => {
            vec![
                name,
                count("/spec/replicas"),
                count("/status/replicas"),
                count("/status/readyReplicas"),
                age,
            ]
        }
        "Pod" => pod(object, name, age),
        "Node" => {
            let cordoned = object.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
            let status = if cordoned { "Ready,SchedulingDisabled" } else { "Ready" };
            vec![name, status.into(), "<none>".into(), age, plain("/status/nodeInfo/kubeletVersion")]
        }
        "Service" => {
            let ports = each(object, "/spec/ports", "/port");
            vec![name, plain("/spec/type"), plain("/spec/clusterIP"), ports, age]
        }
        "Event" => {
            let about = object["involvedObject"].clone();
            let target = format!("{}/{}", text(&about, "/kind").to_lowercase(), text(&about, "/name"));
            let seen = self::age(text(object, "/lastTimestamp"), now);
            vec![seen, plain("/type"), plain("/reason"), target, plain("/message")]
        }
        "HorizontalPodAutoscaler" => {
            let target =
                format!("{}/{}", plain("/spec/scaleTargetRef/kind"), plain("/spec/scaleTargetRef/name"));
            vec![
                name,
                target,
                count("/spec/minReplicas"),
                count("/spec/maxReplicas"),
                count("/status/currentReplicas"),
                age,
            ]
        }
        "PodDisruptionBudget" => {
            let (least, most) = (plain("/spec/minAvailable"), plain("/spec/maxUnavailable"));
            vec![name, least, most, count("/status/disruptionsAllowed"), age]
        }
        "Namespace" => vec![name, plain("/status/phase"), age],
        "ConfigMap" => {
            let data = object["data"].as_object().map_or(0, serde_json::Map::len);
            vec![name, data.to_string(), age]
        }
        "Ingress" => vec![name, plain("/spec/ingressClassName"), each(object, "/spec/rules", "/host"), age],
        "Application" => vec![name, plain("/status/sync/status"), plain("/status/health/status"), age],
        _ => vec![name, age],
    }
}

fn pod(object: &Value, name: String, age: String) -> Vec<String> {
    let statuses = object.pointer("/status/containerStatuses").and_then(Value::as_array);
    let statuses = statuses.map(Vec::as_slice).unwrap_or_default();
    let containers = object.pointer("/spec/containers").and_then(Value::as_array).map_or(0, Vec::len);
    let ready = statuses.iter().filter(|status| status["ready"] == Value::Bool(true)).count();
    let restarts: i64 = statuses.iter().filter_map(|status| status["restartCount"].as_i64()).sum();
    let waiting =
        statuses.iter().map(|status| text(status, "/state/waiting/reason")).find(|reason| !reason.is_empty());
    let status = waiting.unwrap_or_else(|| text(object, "/status/phase")).to_owned();
    let node = told(object.pointer("/spec/nodeName"));
    vec![
        name,
        format!("{ready}/{containers}"),
        status,
        restarts.to_string(),
        age,
        told(object.pointer("/status/podIP")),
        node,
    ]
}

fn each(object: &Value, list: &str, pointer: &str) -> String {
    let items = object.pointer(list).and_then(Value::as_array).into_iter().flatten();
    items.map(|item| told(item.pointer(pointer))).collect::<Vec<_>>().join(",")
}

fn told(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "<none>".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// The age of an object, in the two largest units that kubectl would show.
fn age(stamp: &str, now: Timestamp) -> String {
    let Ok(since) = stamp.parse::<Timestamp>() else { return "<unknown>".to_owned() };
    let seconds = now.duration_since(since).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 > 0 => format!("{minutes}m{}s", seconds % 60),
        120..10_800 => format!("{minutes}m"),
        10_800..28_800 if minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        10_800..172_800 => format!("{hours}h"),
        _ if days < 8 && hours % 24 > 0 => format!("{days}d{}h", hours % 24),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        for (stamp, expected) in [
            ("2026-11-21T09:59:30Z", "30s"),
            ("2026-11-21T09:55:30Z", "4m30s"),
            ("2026-11-21T09:42:00Z", "18m"),
            ("2026-11-21T05:30:00Z", "4h30m"),
            ("2026-11-18T10:00:00Z", "3d"),
            ("2026-08-18T10:00:00Z", "95d"),
            ("nonsense", "<unknown>"),
        ] {
            assert_eq!(age(stamp, now), expected);
        }
    }
}

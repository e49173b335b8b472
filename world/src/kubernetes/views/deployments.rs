//! Deployments and replica sets, with the status of the rollout at this moment.

use serde_json::{Value, json};

use crate::cluster::{replica_sets, rollout};
use crate::kubernetes::views::View;
use crate::state::{Pod, number, text};
use crate::time::Seconds;

const DEFAULT_DEADLINE: i64 = 600;

pub(crate) fn render(view: &View<'_>, object: &Value) -> Value {
    let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    let mut shown = object.clone();
    raise_version(&mut shown, rollout::passed(view.state, namespace, name, view.now));
    let Some(progress) = view.state.rollouts.get(&format!("{namespace}/{name}")) else { return shown };
    let generation = number(object, "/metadata/generation").unwrap_or(1);
    let alive = rollout::pods_of(view.state, namespace, name, view.now);
    let wait = rollout::min_ready(object);
    let available = alive.iter().filter(|pod| rollout::is_available(pod, view.now, wait)).count();
    let mut status = json!({
        "observedGeneration": if progress.observed <= view.now { generation } else { progress.observed_before },
        "conditions": conditions(view, object, &alive, available),
    });
    for (field, count) in [
        ("replicas", alive.len()),
        ("updatedReplicas", alive.iter().filter(|pod| pod.replica_set == progress.replica_set).count()),
        ("readyReplicas", alive.iter().filter(|pod| pod.is_ready(view.now)).count()),
        ("availableReplicas", available),
        ("unavailableReplicas", rollout::bounds(object).0.max(alive.len()) - available),
    ] {
        // Counts of zero are left out, as the API server does.
        if count > 0 {
            status[field] = json!(count);
        }
    }
    shown["status"] = status;
    shown
}

fn conditions(view: &View<'_>, object: &Value, alive: &[&Pod], available: usize) -> Value {
    let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    let (desired, _, unavailable) = rollout::bounds(object);
    let enough = available >= desired - unavailable;
    let turned = alive
        .iter()
        .filter_map(|pod| if enough { pod.ready } else { Some(pod.since) })
        .filter(|at| *at <= view.now)
        .max_by(f64::total_cmp);
    let moved = rollout::last_progress(view.state, namespace, name, view.now);
    let (reason, told) = if enough {
        ("MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let mut all = vec![condition("Available", if enough { "True" } else { "False" }, reason, told)];
    all.push(progressing(view, object, moved));
    for one in &mut all {
        let at = if one["type"] == "Available" { turned.unwrap_or(moved) } else { moved };
        one["lastTransitionTime"] = json!(view.stamp(at));
        one["lastUpdateTime"] = json!(view.stamp(at));
    }
    let set = view.state.rollouts.get(&format!("{namespace}/{name}")).map(|r| r.replica_set.as_str());
    let refused = view.state.happenings.iter().rev().find(|h| {
        Some(h.name.as_str()) == set
            && h.reason == "FailedCreate"
            && h.at <= view.now
            && h.at >= view.state.as_of
    });
    if let Some(refused) = refused.filter(|_| alive.len() < desired) {
        let mut failure = condition("ReplicaFailure", "True", "FailedCreate", &refused.message);
        failure["lastTransitionTime"] = json!(view.stamp(refused.at));
        failure["lastUpdateTime"] = json!(view.stamp(refused.at));
        all.push(failure);
    }
    Value::Array(all)
}

fn progressing(view: &View<'_>, object: &Value, moved: Seconds) -> Value {
    let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    let Some(progress) = view.state.rollouts.get(&format!("{namespace}/{name}")) else { return Value::Null };
    let set = &progress.replica_set;
    let deadline = number(object, "/spec/progressDeadlineSeconds").unwrap_or(DEFAULT_DEADLINE);
    if rollout::is_complete(view.state, namespace, name, view.now) {
        let told = format!("ReplicaSet \"{set}\" has successfully progressed.");
        condition("Progressing", "True", "NewReplicaSetAvailable", &told)
    } else if object["spec"]["paused"] == Value::Bool(true) {
        condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
    } else if view.now > moved + deadline as Seconds {
        let told = format!("ReplicaSet \"{set}\" has timed out progressing.");
        condition("Progressing", "False", "ProgressDeadlineExceeded", &told)
    } else {
        let told = format!("ReplicaSet \"{set}\" is progressing.");
        condition("Progressing", "True", "ReplicaSetUpdated", &told)
    }
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": reason, "message": message })
}

pub(crate) fn render_set(view: &View<'_>, object: &Value) -> Value {
    let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    let mut shown = object.clone();
    let of = |pod: &&Pod| pod.namespace == namespace && pod.replica_set == name;
    let pods = view.state.pods.iter().filter(of);
    raise_version(&mut shown, replica_sets::passed(view.state, pods.clone(), view.now));
    let alive: Vec<&Pod> = pods.filter(|pod| pod.exists(view.now)).collect();
    let owner = text(object, "/metadata/ownerReferences/0/name");
    let wait = view.state.object("deployments.apps", namespace, owner).map_or(0.0, rollout::min_ready);
    shown["spec"]["replicas"] = json!(alive.len());
    let mut status = json!({ "replicas": alive.len(), "observedGeneration": 1 });
    for (field, count) in [
        ("fullyLabeledReplicas", alive.len()),
        ("readyReplicas", alive.iter().filter(|pod| pod.is_ready(view.now)).count()),
        ("availableReplicas", alive.iter().filter(|pod| rollout::is_available(pod, view.now, wait)).count()),
    ] {
        if count > 0 {
            status[field] = json!(count);
        }
    }
    shown["status"] = status;
    shown
}

/// The `scale` subresource of a deployment.
pub(crate) fn scale(object: &Value) -> Value {
    let labels = object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    let metadata = &object["metadata"];
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": { "replicas": object["spec"]["replicas"] },
        "status": { "replicas": object["status"]["replicas"].as_i64().unwrap_or(0), "selector": selector.join(",") },
    })
}

/// Shows the changes since the last write, which nobody has written down, in the resource version.
fn raise_version(object: &mut Value, by: u64) {
    if let Ok(version) = text(object, "/metadata/resourceVersion").parse::<u64>() {
        object["metadata"]["resourceVersion"] = json!((version + by).to_string());
    }
}

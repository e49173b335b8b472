//! Pods, as scheduler and kubelet would report them.

use serde_json::{Value, json};

use crate::cluster::placing;
use crate::cluster::{pods, rollout};
use crate::kubernetes::views::{View, condition};
use crate::state::{Behaviour, Pod, text};
use crate::time::Seconds;

/// Pulling the image takes this share of a pod's startup.
const PULL_SHARE: f64 = 0.25;

/// What the containers of a pod are at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Unscheduled,
    Creating,
    ImagePull,
    Running { ready: bool },
    BackOff { killed: bool },
}

pub(crate) fn phase(view: &View<'_>, pod: &Pod) -> Phase {
    if pod.scheduled.is_none_or(|at| at > view.now) {
        return Phase::Unscheduled;
    }
    if view.now < started(view, pod) {
        return Phase::Creating;
    }
    match pod.behaviour {
        Behaviour::ImagePull => Phase::ImagePull,
        Behaviour::CrashLoop => Phase::BackOff { killed: false },
        Behaviour::OomKilled => Phase::BackOff { killed: true },
        Behaviour::Runs | Behaviour::NotReady => Phase::Running { ready: pod.is_ready(view.now) },
    }
}

/// When the containers of a pod were first started.
pub(crate) fn started(view: &View<'_>, pod: &Pod) -> Seconds {
    let startup = pods::startup(view.model.scenario, &pod.namespace, &pod.deployment);
    let after_pull = pod.scheduled.unwrap_or(pod.created) + startup * PULL_SHARE;
    // A pod that was rescued or ruined later had been started long before.
    after_pull.min(pod.since.max(pod.created) + startup * PULL_SHARE)
}

pub(crate) fn render(view: &View<'_>, pod: &Pod) -> Value {
    let set = view.state.object("replicasets.apps", &pod.namespace, &pod.replica_set);
    let template = set.map(|set| &set["spec"]["template"]).unwrap_or(&Value::Null);
    let passed = pod.moments().filter(|at| *at > view.state.as_of && *at <= view.now).count() as u64;
    let mut metadata = json!({
        "name": pod.name,
        "generateName": format!("{}-", pod.replica_set),
        "namespace": pod.namespace,
        "uid": pod.uid,
        "resourceVersion": (pod.resource_version + passed).to_string(),
        "creationTimestamp": view.stamp(pod.created),
        "labels": template["metadata"]["labels"],
        "ownerReferences": [{
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": pod.replica_set,
            "uid": set.map_or("", |set| text(set, "/metadata/uid")), "controller": true, "blockOwnerDeletion": true,
        }],
    });
    if let Some(annotations) = template.pointer("/metadata/annotations") {
        metadata["annotations"] = annotations.clone();
    }
    let mut spec = template["spec"].clone();
    if let Some(node) = pod.node.as_ref().filter(|_| phase(view, pod) != Phase::Unscheduled) {
        spec["nodeName"] = json!(node);
    }
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status(view, pod, template),
    })
}

fn status(view: &View<'_>, pod: &Pod, template: &Value) -> Value {
    let phase = phase(view, pod);
    let mut status = json!({
        "phase": if matches!(phase, Phase::Running { .. } | Phase::BackOff { .. }) { "Running" } else { "Pending" },
        "conditions": conditions(view, pod, phase),
        "qosClass": "Burstable",
    });
    if phase == Phase::Unscheduled {
        return status;
    }
    let address = format!("10.244.{}.{}", pod.address / 250, pod.address % 250 + 1);
    status["hostIP"] = json!("10.0.0.1");
    status["podIP"] = json!(address);
    status["podIPs"] = json!([{ "ip": address }]);
    status["startTime"] = json!(view.stamp(pod.scheduled.unwrap_or(pod.created)));
    let containers = template.pointer("/spec/containers").and_then(Value::as_array);
    status["containerStatuses"] = containers
        .into_iter()
        .flatten()
        .map(|container| container_status(view, pod, phase, container))
        .collect();
    status
}

fn conditions(view: &View<'_>, pod: &Pod, phase: Phase) -> Value {
    let scheduled_at = view.stamp(pod.scheduled.unwrap_or(pod.created));
    if phase == Phase::Unscheduled {
        let message = placing::unschedulable_message(&view.model, pod, view.now);
        return json!([condition("PodScheduled", false, "Unschedulable", &message, &scheduled_at)]);
    }
    let ready = phase == Phase::Running { ready: true };
    let names: Vec<&str> = vec![&pod.deployment];
    let told = format!("containers with unready status: [{}]", names.join(" "));
    let (reason, message) = if ready { ("", "") } else { ("ContainersNotReady", told.as_str()) };
    let turned = view.stamp(pod.ready.filter(|_| ready).unwrap_or(pod.since));
    json!([
        condition("Initialized", true, "", "", &scheduled_at),
        condition("Ready", ready, reason, message, &turned),
        condition("ContainersReady", ready, reason, message, &turned),
        condition("PodScheduled", true, "", "", &scheduled_at),
    ])
}

fn container_status(view: &View<'_>, pod: &Pod, phase: Phase, container: &Value) -> Value {
    let image = text(container, "/image");
    let name = text(container, "/name");
    let restarts = pods::restarts(pod, view.now);
    let ready = phase == Phase::Running { ready: true };
    let state = match phase {
        Phase::Unscheduled | Phase::Creating => json!({ "waiting": { "reason": "ContainerCreating" } }),
        Phase::ImagePull => {
            json!({ "waiting": { "reason": "ImagePullBackOff", "message": format!("Back-off pulling image {image:?}") } })
        }
        Phase::BackOff { .. } => json!({ "waiting": {
            "reason": "CrashLoopBackOff",
            "message": format!("back-off 5m0s restarting failed container={name} pod={}_{}({})", pod.name, pod.namespace, pod.uid),
        } }),
        Phase::Running { .. } => json!({ "running": { "startedAt": view.stamp(running_since(view, pod)) } }),
    };
    let is_up = matches!(phase, Phase::Running { .. });
    json!({
        "name": name,
        "image": image,
        "imageID": if phase == Phase::ImagePull { String::new() } else { format!("simulated://{image}") },
        "containerID": format!("simulated://{}/{name}", pod.uid),
        "ready": ready,
        "started": is_up,
        "restartCount": restarts,
        "state": state,
        "lastState": last_state(view, pod, phase, restarts),
    })
}

/// When the present run of the containers began.
fn running_since(view: &View<'_>, pod: &Pod) -> Seconds {
    if pod.restarts > 0 { pod.since } else { started(view, pod) }
}

fn last_state(view: &View<'_>, pod: &Pod, phase: Phase, restarts: u32) -> Value {
    let killed = phase == Phase::BackOff { killed: true };
    let ended = match phase {
        Phase::BackOff { .. } => pods::last_crash(pod, view.now),
        _ if restarts > 0 => pod.since,
        _ => return json!({}),
    };
    json!({ "terminated": {
        "exitCode": if killed { 137 } else { 1 },
        "reason": if killed { "OOMKilled" } else { "Error" },
        "startedAt": view.stamp(ended - pods::CRASH_AFTER),
        "finishedAt": view.stamp(ended),
        "containerID": format!("simulated://{}/{restarts}", pod.uid),
    } })
}

/// Ready and desired pods of a workload, as `kubectl get` counts them.
pub(crate) fn ready_of(view: &View<'_>, namespace: &str, name: &str) -> (usize, usize) {
    let alive = rollout::pods_of(view.state, namespace, name, view.now);
    (alive.iter().filter(|pod| pod.is_ready(view.now)).count(), alive.len())
}

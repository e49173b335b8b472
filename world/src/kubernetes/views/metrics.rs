//! The metrics API: what pods and nodes use.

use serde_json::{Value, json};

use crate::kubernetes::views::View;
use crate::kubernetes::views::pods::{Phase, phase};
use crate::quantity;
use crate::state::{Pod, text};

const WINDOW: &str = "30s";
/// What the system itself uses of a node.
const SYSTEM_CPU: f64 = 0.22;
const SYSTEM_MEMORY: f64 = 1.4 * 1_073_741_824.0;

/// Cores and bytes that a pod uses; nothing where its container does not run.
pub(crate) fn usage(view: &View<'_>, pod: &Pod) -> Option<(f64, f64)> {
    let facts = view.model.facts(pod)?;
    match phase(view, pod) {
        Phase::Running { ready } => Some((cpu(view, pod, ready), memory(view, pod))),
        // It fills its memory, is killed, and fills it again.
        Phase::BackOff { killed: true } => {
            Some((facts.cpu * 0.4, facts.memory_limit.unwrap_or(facts.memory) * 0.97))
        }
        Phase::Unscheduled | Phase::Creating | Phase::ImagePull | Phase::BackOff { killed: false } => None,
    }
}

fn cpu(view: &View<'_>, pod: &Pod, ready: bool) -> f64 {
    let Some(facts) = view.model.facts(pod) else { return 0.0 };
    let traffic =
        view.model.scenario.workload(&pod.namespace, &pod.deployment).and_then(|w| w.traffic.as_ref());
    let (Some(traffic), true) = (traffic, ready) else { return facts.cpu * 0.08 };
    let conditions = view.model.conditions(&pod.namespace, &pod.deployment, view.now);
    let load = conditions.rps / (f64::from(conditions.ready.max(1)) * traffic.capacity);
    facts.cpu * (0.08 + 0.55 * load.min(1.6))
}

fn memory(view: &View<'_>, pod: &Pod) -> f64 {
    let workload = view.model.scenario.workload(&pod.namespace, &pod.deployment);
    let used = workload.and_then(|w| quantity::parse(&w.working_set)).unwrap_or(64.0 * 1_048_576.0);
    used * (0.95 + 0.02 * f64::from(pod.address % 5))
}

/// How much of what they asked for the pods of a deployment use, in per cent.
pub(crate) fn cpu_percent(view: &View<'_>, namespace: &str, deployment: &str) -> Option<u64> {
    let (mut used, mut asked) = (0.0, 0.0);
    for pod in view.pods().filter(|pod| pod.namespace == namespace && pod.deployment == deployment) {
        if let (Some((cpu, _)), Some(facts)) = (usage(view, pod), view.model.facts(pod)) {
            used += cpu;
            asked += facts.cpu;
        }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a percentage, not negative")]
    (asked > 0.0).then(|| (100.0 * used / asked).round().clamp(0.0, 1e6) as u64)
}

pub(crate) fn pods(view: &View<'_>) -> Vec<Value> {
    view.pods()
        .filter_map(|pod| {
            let (cpu, memory) = usage(view, pod)?;
            let set = view.state.object("replicasets.apps", &pod.namespace, &pod.replica_set)?;
            Some(json!({
                "apiVersion": "metrics.k8s.io/v1beta1",
                "kind": "PodMetrics",
                "metadata": {
                    "name": pod.name, "namespace": pod.namespace, "creationTimestamp": view.stamp(view.now),
                    "labels": set.pointer("/spec/template/metadata/labels"),
                },
                "timestamp": view.stamp(view.now),
                "window": WINDOW,
                "containers": [{
                    "name": text(set, "/spec/template/spec/containers/0/name"),
                    "usage": { "cpu": quantity::nanocores(cpu), "memory": quantity::kibibytes(memory) },
                }],
            }))
        })
        .collect()
}

pub(crate) fn nodes(view: &View<'_>) -> Vec<Value> {
    view.state
        .objects_of("nodes")
        .map(|node| {
            let name = text(node, "/metadata/name");
            let (mut cpu, mut memory) = (SYSTEM_CPU, SYSTEM_MEMORY);
            for pod in view.pods().filter(|pod| pod.node.as_deref() == Some(name)) {
                if let Some((cores, bytes)) = usage(view, pod) {
                    cpu += cores;
                    memory += bytes;
                }
            }
            json!({
                "apiVersion": "metrics.k8s.io/v1beta1",
                "kind": "NodeMetrics",
                "metadata": { "name": name, "creationTimestamp": view.stamp(view.now), "labels": node["metadata"]["labels"] },
                "timestamp": view.stamp(view.now),
                "window": WINDOW,
                "usage": { "cpu": quantity::nanocores(cpu), "memory": quantity::kibibytes(memory) },
            })
        })
        .collect()
}

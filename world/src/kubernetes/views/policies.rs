//! What watches over deployments: quotas, disruption budgets, autoscalers, Argo CD applications.

use serde_json::{Value, json};

use crate::cluster::{placing, replica_sets, rollout};
use crate::kubernetes::selector::Labels;
use crate::kubernetes::views::{View, condition, metrics, pods};
use crate::quantity;
use crate::state::{number, text};

pub(crate) fn quota(view: &View<'_>, object: &Value) -> Value {
    let used = placing::by_namespace(&view.model, text(object, "/metadata/namespace"), view.now);
    let mut shown = object.clone();
    let hard = object["spec"]["hard"].clone();
    let mut counted = json!({});
    for (resource, _) in hard.as_object().into_iter().flatten() {
        counted[resource] = json!(match resource.as_str() {
            "pods" | "count/pods" => used.pods.to_string(),
            "cpu" | "requests.cpu" => quantity::millicores(used.cpu),
            "memory" | "requests.memory" => quantity::kibibytes(used.memory),
            _ => "0".to_owned(),
        });
    }
    shown["status"] = json!({ "hard": hard, "used": counted });
    shown
}

pub(crate) fn budget(view: &View<'_>, object: &Value) -> Value {
    let selector = Labels::of_object(&object["spec"]["selector"]);
    let namespace = text(object, "/metadata/namespace");
    let guarded: Vec<_> = view
        .pods()
        .filter(|pod| pod.namespace == namespace)
        .filter(|pod| selector.matches(&pods::render(view, pod)["metadata"]["labels"]))
        .collect();
    let expected = guarded.len();
    let healthy = guarded.iter().filter(|pod| pod.is_ready(view.now)).count();
    let count = |value: &Value| match value {
        Value::String(percent) => {
            let percent = percent.trim_end_matches('%').parse::<usize>().unwrap_or(0).min(100);
            (expected * percent).div_ceil(100)
        }
        other => other.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
    };
    let desired = match (object["spec"].get("minAvailable"), object["spec"].get("maxUnavailable")) {
        (Some(minimum), _) => count(minimum),
        (None, Some(maximum)) => expected.saturating_sub(count(maximum)),
        (None, None) => expected,
    };
    let allowed = healthy.saturating_sub(desired);
    let reason = if allowed > 0 { "SufficientPods" } else { "InsufficientPods" };
    let created = text(object, "/metadata/creationTimestamp");
    let mut shown = object.clone();
    shown["status"] = json!({
        "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": expected, "disruptionsAllowed": allowed,
        "observedGeneration": object["metadata"]["generation"],
        "conditions": [condition("DisruptionAllowed", allowed > 0, reason, "", created)],
    });
    shown
}

pub(crate) fn autoscaler(view: &View<'_>, object: &Value) -> Value {
    let namespace = text(object, "/metadata/namespace");
    let target = text(object, "/spec/scaleTargetRef/name");
    let (_, current) = pods::ready_of(view, namespace, target);
    let created = text(object, "/metadata/creationTimestamp");
    let mut shown = object.clone();
    let mut status = json!({
        "currentReplicas": current,
        "desiredReplicas": current,
        "conditions": [
            condition("AbleToScale", true, "ReadyForNewScale", "recommended size matches current size", created),
            condition("ScalingActive", true, "ValidMetricFound",
                "the HPA was able to successfully calculate a replica count from cpu resource utilization", created),
            condition("ScalingLimited", false, "DesiredWithinRange", "the desired count is within the acceptable range", created),
        ],
    });
    if let Some(percent) = metrics::cpu_percent(view, namespace, target) {
        status["currentMetrics"] = json!([{
            "type": "Resource",
            "resource": { "name": "cpu", "current": { "averageUtilization": percent } },
        }]);
    }
    shown["status"] = status;
    shown
}

/// An application that is named after the deployment it brings.
pub(crate) fn application(view: &View<'_>, object: &Value) -> Value {
    let name = text(object, "/metadata/name");
    let namespace = text(object, "/spec/destination/namespace");
    let Some(deployment) = view.state.object("deployments.apps", namespace, name) else {
        return object.clone();
    };
    let (ready, _) = pods::ready_of(view, namespace, name);
    let (desired, _, unavailable) = rollout::bounds(deployment);
    let complete = rollout::is_complete(view.state, namespace, name, view.now);
    let health = match (ready + unavailable >= desired, complete) {
        (true, true) => "Healthy",
        (true, false) => "Progressing",
        (false, _) => "Degraded",
    };
    let as_released = view.model.scenario.workload(namespace, name).is_none_or(|workload| {
        let newest = workload.revisions.last().and_then(|r| workload.image(r.revision));
        let image = text(deployment, "/spec/template/spec/containers/0/image");
        newest == Some(image) && number(deployment, "/spec/replicas") == Some(i64::from(workload.replicas))
    });
    let history: Vec<Value> = replica_sets::of_deployment(view.state, namespace, name)
        .iter()
        .map(|set| {
            let image = text(set, "/spec/template/spec/containers/0/image");
            json!({
                "id": replica_sets::revision(set),
                "revision": crate::names::uid(image).replace('-', ""),
                "deployedAt": set["metadata"]["creationTimestamp"],
                "source": object["spec"]["source"],
            })
        })
        .collect();
    let mut shown = object.clone();
    shown["status"] = json!({
        "sync": { "status": if as_released { "Synced" } else { "OutOfSync" } },
        "health": { "status": health },
        "history": history,
        "resources": [{ "group": "apps", "version": "v1", "kind": "Deployment", "namespace": namespace, "name": name }],
    });
    shown
}

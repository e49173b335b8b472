//! Events: told from what pods go through and from what the controllers have done.

use serde_json::{Value, json};

use crate::cluster::{placing, pods};
use crate::kubernetes::views::View;
use crate::kubernetes::views::pods::{Phase, phase, started};
use crate::names;
use crate::state::{Happening, Pod, text};
use crate::time::Seconds;

/// A real API server forgets events after an hour.
const KEPT: i64 = 3600;

struct Event<'a> {
    reason: &'a str,
    message: String,
    warning: bool,
    count: u32,
    first: Seconds,
    last: Seconds,
    source: &'a str,
}

pub(crate) fn all(view: &View<'_>) -> Vec<Value> {
    let of_pods = view.pods().flat_map(|pod| of_pod(view, pod));
    let told = view.state.happenings.iter().filter(|h| h.at <= view.now).map(|h| of_happening(view, h));
    let oldest = view.state.timeline.real(view.now).as_second() - KEPT;
    of_pods
        .chain(told)
        .filter(|(_, last)| view.state.timeline.real(*last).as_second() >= oldest)
        .map(|(event, _)| event)
        .collect()
}

fn of_happening(view: &View<'_>, happening: &Happening) -> (Value, Seconds) {
    let plural = if happening.kind == "Deployment" { "deployments.apps" } else { "replicasets.apps" };
    let object = view.state.object(plural, &happening.namespace, &happening.name);
    let uid = object.map_or("", |object| text(object, "/metadata/uid"));
    let about = json!({
        "kind": happening.kind, "namespace": happening.namespace, "name": happening.name, "uid": uid,
        "apiVersion": "apps/v1",
    });
    let event = Event {
        reason: &happening.reason,
        message: happening.message.clone(),
        warning: happening.warning,
        count: 1,
        first: happening.at,
        last: happening.at,
        source: if happening.kind == "Deployment" {
            "deployment-controller"
        } else {
            "replicaset-controller"
        },
    };
    (render(view, &about, &event), event.last)
}

fn of_pod(view: &View<'_>, pod: &Pod) -> Vec<(Value, Seconds)> {
    let about = json!({ "kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid, "apiVersion": "v1" });
    events(view, pod).iter().map(|event| (render(view, &about, event), event.last)).collect()
}

fn events<'a>(view: &View<'_>, pod: &Pod) -> Vec<Event<'a>> {
    let once = |reason, message, at, source| Event {
        reason,
        message,
        warning: false,
        count: 1,
        first: at,
        last: at,
        source,
    };
    let phase = phase(view, pod);
    if phase == Phase::Unscheduled {
        let message = placing::unschedulable_message(&view.model, pod, view.now);
        let warning = Event {
            warning: true,
            last: view.now,
            count: repeats(view.now - pod.created, 300.0),
            ..once("FailedScheduling", message, pod.created, "default-scheduler")
        };
        return vec![warning];
    }
    let image = view.model.facts(pod).map_or("", |facts| facts.image.as_str());
    let node = pod.node.as_deref().unwrap_or_default();
    let bound = pod.scheduled.unwrap_or(pod.created);
    let name = &pod.deployment;
    let mut told = vec![once(
        "Scheduled",
        format!("Successfully assigned {}/{} to {node}", pod.namespace, pod.name),
        bound,
        "default-scheduler",
    )];
    let again = |reason, message, first: Seconds, every: Seconds| Event {
        warning: true,
        last: view.now,
        count: repeats(view.now - first, every),
        ..once(reason, message, first, "kubelet")
    };
    match phase {
        Phase::Unscheduled | Phase::Creating => {}
        Phase::ImagePull => {
            let missing = format!("Failed to pull image \"{image}\": not found in the simulated registry");
            told.push(again("Failed", missing, bound, 150.0));
            told.push(again("BackOff", format!("Back-off pulling image \"{image}\""), bound, 15.0));
        }
        Phase::Running { ready } => {
            told.extend(startup_events(once, image, name, started(view, pod)));
            if !ready && view.now > pod.since + 30.0 {
                let failed = "Readiness probe failed: HTTP probe failed with statuscode: 503".to_owned();
                told.push(again("Unhealthy", failed, pod.since, 10.0));
            }
        }
        Phase::BackOff { .. } => {
            told.extend(startup_events(once, image, name, started(view, pod)));
            let restarts = pods::restarts(pod, view.now);
            let message = format!("Back-off restarting failed container {name} in pod {}", pod.name);
            let last = pods::last_crash(pod, view.now);
            told.push(Event {
                count: restarts.max(1) * 5,
                last,
                ..again("BackOff", message, pod.since, 10.0)
            });
        }
    }
    told
}

fn startup_events<'a>(
    once: impl Fn(&'a str, String, Seconds, &'a str) -> Event<'a>,
    image: &str,
    name: &str,
    at: Seconds,
) -> Vec<Event<'a>> {
    vec![
        once("Pulled", format!("Container image \"{image}\" already present on machine"), at, "kubelet"),
        once("Created", format!("Created container: {name}"), at, "kubelet"),
        once("Started", format!("Started container {name}"), at, "kubelet"),
    ]
}

fn repeats(span: Seconds, every: Seconds) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a small range")]
    let times = (span / every).clamp(0.0, 99_999.0) as u32;
    times + 1
}

fn render(view: &View<'_>, about: &Value, event: &Event<'_>) -> Value {
    let name = text(about, "/name");
    let id = names::uid(&format!("{about}/{}/{}/{}", event.reason, event.message, event.first));
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": format!("{name}.{}", id.replace('-', "").get(..16).unwrap_or_default()),
            "namespace": about["namespace"],
            "uid": id,
            "resourceVersion": view.version().to_string(),
            "creationTimestamp": view.stamp(event.first),
        },
        "involvedObject": about,
        "reason": event.reason,
        "message": event.message,
        "type": if event.warning { "Warning" } else { "Normal" },
        "count": event.count,
        "firstTimestamp": view.stamp(event.first),
        "lastTimestamp": view.stamp(event.last),
        "source": { "component": event.source },
        "reportingComponent": event.source,
        "reportingInstance": "",
    })
}

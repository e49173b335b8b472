//! What a pod says of itself.

use crate::view::{ContainerState, Pod, condition};

pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(&pod.status.conditions, "Ready").is_some_and(|ready| ready.status == "True")
}

pub(crate) fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether its containers have run to their end.
pub(crate) fn is_finished(pod: &Pod) -> bool {
    matches!(pod.status.phase.as_str(), "Succeeded" | "Failed")
}

pub(crate) fn restarts(pod: &Pod) -> i64 {
    pod.status.container_statuses.iter().map(|container| container.restart_count).sum()
}

/// How many of its containers ended for lack of memory, now or the last time.
pub(crate) fn oom_killed(pod: &Pod) -> usize {
    let killed =
        |state: &ContainerState| state.terminated.as_ref().is_some_and(|ended| ended.reason == "OOMKilled");
    let containers = pod.status.container_statuses.iter();
    containers.filter(|container| killed(&container.state) || killed(&container.last_state)).count()
}

/// In one word, why a pod is not as it should be: what `kubectl get pods` shows under STATUS.
/// Nothing where it is ready, or finished well.
pub(crate) fn reason(pod: &Pod) -> Option<String> {
    if is_terminating(pod) {
        return Some("Terminating".to_owned());
    }
    if !pod.status.reason.is_empty() {
        return Some(pod.status.reason.clone());
    }
    let containers = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
    for container in containers {
        let waits = container.state.waiting.as_ref().filter(|waiting| waiting.reason != "PodInitializing");
        if let Some(waiting) = waits.filter(|waiting| !waiting.reason.is_empty()) {
            return Some(waiting.reason.clone());
        }
        if let Some(ended) = container.state.terminated.as_ref().filter(|ended| ended.reason != "Completed") {
            return Some(if ended.reason.is_empty() {
                format!("ExitCode{}", ended.exit_code)
            } else {
                ended.reason.clone()
            });
        }
    }
    if let Some(unscheduled) =
        condition(&pod.status.conditions, "PodScheduled").filter(|is| is.status == "False")
    {
        return Some(unscheduled.reason.clone()).filter(|reason| !reason.is_empty());
    }
    match pod.status.phase.as_str() {
        "Succeeded" => None,
        "Failed" => Some("Failed".to_owned()),
        _ if is_ready(pod) => None,
        "Pending" => Some("Pending".to_owned()),
        _ => Some("NotReady".to_owned()),
    }
}

/// Reasons that do not pass by waiting.
const HOPELESS: [&str; 9] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "Evicted",
];

/// Why a pod will not become ready, with its containers' own words.
pub(crate) fn hopeless(pod: &Pod) -> Option<String> {
    let reason = reason(pod).filter(|reason| HOPELESS.contains(&reason.as_str()))?;
    let waiting = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
    let message = waiting
        .filter_map(|container| container.state.waiting.as_ref())
        .find(|waiting| waiting.reason == reason && !waiting.message.is_empty())
        .map(|waiting| format!(" ({})", waiting.message.chars().take(160).collect::<String>()));
    Some(format!("pod {}: {reason}{}", pod.metadata.name, message.unwrap_or_default()))
}

/// The pod and the reason, where its image cannot be had.
pub(crate) fn without_image(pod: &Pod) -> Option<String> {
    const REASONS: [&str; 4] = ["ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"];
    let reason = reason(pod).filter(|reason| REASONS.contains(&reason.as_str()))?;
    Some(format!("pod {}: {reason}", pod.metadata.name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_why_a_pod_is_not_ready() {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        let waiting = |reason: &str| json!([{"name": "app", "state": {"waiting": {"reason": reason}}}]);
        for (status, expected) in [
            (json!({"phase": "Running", "conditions": ready}), None),
            (json!({"phase": "Running"}), Some("NotReady")),
            (json!({"phase": "Pending"}), Some("Pending")),
            (json!({"phase": "Succeeded"}), None),
            (json!({"phase": "Failed", "reason": "Evicted"}), Some("Evicted")),
            (
                json!({"phase": "Pending", "containerStatuses": waiting("ImagePullBackOff")}),
                Some("ImagePullBackOff"),
            ),
            (
                json!({"phase": "Pending", "containerStatuses": waiting("PodInitializing"),
                       "initContainerStatuses": waiting("CrashLoopBackOff")}),
                Some("CrashLoopBackOff"),
            ),
            (
                json!({"phase": "Running", "containerStatuses": [{"name": "app", "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]}),
                Some("OOMKilled"),
            ),
            (
                json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}),
                Some("Unschedulable"),
            ),
        ] {
            let pod: Pod = serde_json::from_value(json!({"status": status})).unwrap();
            assert_eq!(reason(&pod).as_deref(), expected, "{status}");
        }
    }
}

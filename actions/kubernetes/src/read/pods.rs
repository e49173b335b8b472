//! `kubernetes.pods`: how many pods there are to be, how many are, and what is wrong with the rest.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::try_join;
use jiff::Timestamp;
use kube::core::Selector;
use runbook_core::{
    Value,
    change::{Change, Observed},
    fault::{Fault, FaultKind},
    spec::ActionSpec,
    unknown,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Read, outputs};
use crate::{
    client::{MOST_LISTED, Session, parse},
    place::Place,
    pod, predict, schema, selector,
    view::{Pod, Workload},
    workload::{Counts, Kind, WorkloadRef},
};

/// Which pods.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The namespace they are in.
    namespace: String,
    /// A label selector, such as `app=api`; all pods of the namespace where it is left out.
    #[serde(default)]
    selector: String,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// How many pods there are to be: the replicas of the deployments, stateful sets and daemon
    /// sets whose pods the selector chooses, and one for each pod that nothing governs.
    desired: i64,
    /// How many are ready.
    ready: i64,
    /// How many there are, those that are about to go included.
    total: i64,
    /// How many are in phase Running.
    running: i64,
    /// How many are in phase Pending.
    pending: i64,
    /// How many are in phase Failed.
    failed: i64,
    /// How many are in phase Succeeded.
    succeeded: i64,
    /// How many are about to go.
    terminating: i64,
    /// How often their containers were restarted, all together.
    restarts: i64,
    /// How many containers ended for lack of memory, now or the last time.
    oom_killed: i64,
    /// How many pods are in CrashLoopBackOff.
    crash_looping: i64,
    /// Why pods are not ready, and how many for each reason.
    reasons: BTreeMap<String, i64>,
    /// The pods, those with a reason first, at most a hundred.
    pods: Vec<PodOutput>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PodOutput {
    /// Its name.
    name: String,
    /// Its phase: Pending, Running, Succeeded, Failed.
    phase: String,
    /// Whether it is ready.
    ready: bool,
    /// How often its containers were restarted.
    restarts: i64,
    /// In one word, why it is not ready.
    reason: Option<String>,
    /// The node it runs on.
    node: Option<String>,
    /// Seconds since it was created.
    age: f64,
}

/// What stands behind pods, as it is kept to lay predictions over.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Governor {
    target: String,
    desired: i64,
}

const MOST_SHOWN: usize = 100;

#[derive(Debug)]
pub(crate) struct Pods;

#[async_trait]
impl Read for Pods {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            permissions: vec![
                schema::rbac("", "pods", &["list"]),
                schema::rbac("apps", "deployments", &["list"]),
                schema::rbac("apps", "statefulsets", &["list"]),
                schema::rbac("apps", "daemonsets", &["list"]),
            ],
            example: json!({"namespace": "production", "selector": "app=api"}),
            ..schema::read::<Input, Output>(
                "pods",
                "Ready and desired pods, phases, reasons, restarts and OOM kills",
            )
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let chosen = selector::read(&input.selector)?;
        let place = Place::core("pods").within(&input.namespace);
        let (listed, deployments, stateful_sets, daemon_sets) = try_join!(
            session.list(&place, Some(&input.selector), None),
            governors(session, &input.namespace, Kind::Deployment),
            governors(session, &input.namespace, Kind::StatefulSet),
            governors(session, &input.namespace, Kind::DaemonSet),
        )?;
        let pods: Vec<Pod> = listed.items.into_iter().map(parse).collect::<Result<_, _>>()?;
        let mut warnings = Vec::new();
        if listed.truncated {
            warnings.push(format!("there are more than {MOST_LISTED} pods; the rest was not read"));
        }
        let mut known = Vec::new();
        for (kind, listed) in [
            (Kind::Deployment, deployments),
            (Kind::StatefulSet, stateful_sets),
            (Kind::DaemonSet, daemon_sets),
        ] {
            match listed {
                Some(workloads) => known.extend(workloads.into_iter().map(|workload| (kind, workload))),
                None => warnings
                    .push(format!("{} may not be listed: their pods count as they are", kind.resource())),
            }
        }
        let (governors, ungoverned) = behind(&input.namespace, &chosen, &known, &pods);
        let mut output = count(&pods, session.now);
        output.desired = governors.iter().map(|governor| governor.desired).sum::<i64>() + ungoverned;
        Ok(Observed { target: None, outputs: outputs(&output)?, state: json!(governors), warnings })
    }

    fn overlay(mut seen: Observed, predicted: &[Change]) -> (Observed, bool) {
        let Ok(mut governors) = Vec::<Governor>::deserialize(&seen.state) else { return (seen, false) };
        let Some(outputs) = seen.outputs.as_object_mut() else { return (seen, false) };
        let governed =
            |governors: &[Governor]| governors.iter().map(|governor| governor.desired).sum::<i64>();
        let ungoverned =
            outputs.get("desired").and_then(Value::as_i64).unwrap_or_default() - governed(&governors);
        let mut last = None;
        for change in predicted {
            let name = &change.target.name;
            let Some(governor) = governors.iter_mut().find(|governor| governor.target == *name) else {
                continue;
            };
            last = Some(change);
            if let Some(replicas) = change.after.get("replicas").and_then(Value::as_i64) {
                governor.desired = replicas;
            }
        }
        outputs.insert("desired".to_owned(), json!(governed(&governors) + ungoverned));
        let Some(last) = last else { return (seen, false) };
        for (_, output) in outputs.iter_mut().filter(|(name, _)| *name != "desired") {
            *output = unknown::because(predict::reason(last));
        }
        (seen, true)
    }
}

/// The workloads of a kind; none where they may not be listed.
async fn governors(
    session: &Session<'_>,
    namespace: &str,
    kind: Kind,
) -> Result<Option<Vec<Workload>>, Fault> {
    let place = Place::apps(kind.resource()).within(namespace);
    match session.list(&place, None, None).await {
        Ok(listed) => listed.items.into_iter().map(parse).collect::<Result<_, _>>().map(Some),
        Err(fault) if fault.kind == FaultKind::Forbidden => Ok(None),
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(Some(Vec::new())),
        Err(fault) => Err(fault),
    }
}

/// The workloads whose pods are chosen, also where there are no pods left, and how many pods
/// nothing governs.
fn behind(
    namespace: &str,
    chosen: &Selector,
    known: &[(Kind, Workload)],
    pods: &[Pod],
) -> (Vec<Governor>, i64) {
    let mut governors = Vec::new();
    let mut own = Vec::new();
    for (kind, workload) in known {
        if selector::matches(chosen, &workload.spec.template.metadata.labels) {
            let of = WorkloadRef {
                namespace: namespace.to_owned(),
                kind: *kind,
                name: workload.metadata.name.clone(),
            };
            let desired = Counts::of(*kind, workload).desired;
            governors.push(Governor { target: of.target_name(), desired });
            own.push((*kind, selector::of(&workload.spec.selector)));
        }
    }
    let is_governed = |pod: &Pod| {
        let by = pod.metadata.owner_references.first().map(|owner| owner.kind.as_str());
        own.iter().any(|(kind, selector)| {
            let owned_so = match kind {
                Kind::Deployment => by == Some("ReplicaSet"),
                other => by == Some(other.object()),
            };
            owned_so && selector::matches(selector, &pod.metadata.labels)
        })
    };
    let alone =
        pods.iter().filter(|pod| !pod::is_finished(pod) && !pod::is_terminating(pod) && !is_governed(pod));
    (governors, i64::try_from(alone.count()).unwrap_or(i64::MAX))
}

fn count(pods: &[Pod], now: Timestamp) -> Output {
    let mut output = Output { total: i64::try_from(pods.len()).unwrap_or(i64::MAX), ..Output::default() };
    for pod in pods {
        let reason = pod::reason(pod);
        let terminating = pod::is_terminating(pod);
        let ready = pod::is_ready(pod) && !terminating;
        match pod.status.phase.as_str() {
            "Running" => output.running += 1,
            "Pending" => output.pending += 1,
            "Failed" => output.failed += 1,
            "Succeeded" => output.succeeded += 1,
            _ => {}
        }
        output.ready += i64::from(ready);
        output.terminating += i64::from(terminating);
        output.restarts += pod::restarts(pod);
        output.oom_killed += i64::try_from(pod::oom_killed(pod)).unwrap_or(i64::MAX);
        output.crash_looping += i64::from(reason.as_deref() == Some("CrashLoopBackOff"));
        if let Some(reason) = &reason {
            *output.reasons.entry(reason.clone()).or_default() += 1;
        }
        output.pods.push(PodOutput {
            name: pod.metadata.name.clone(),
            phase: pod.status.phase.clone(),
            ready,
            restarts: pod::restarts(pod),
            reason,
            node: Some(pod.spec.node_name.clone()).filter(|node| !node.is_empty()),
            age: pod.metadata.age(now),
        });
    }
    output.pods.sort_by(|a, b| (a.reason.is_none(), &a.name).cmp(&(b.reason.is_none(), &b.name)));
    output.pods.truncate(MOST_SHOWN);
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, owner: &str, status: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"app": "api"}, "ownerReferences": [{"kind": owner}]},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn counts_what_is_wrong() {
        let pods = [
            pod(
                "a",
                "ReplicaSet",
                json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
            ),
            pod(
                "b",
                "ReplicaSet",
                json!({"phase": "Running", "containerStatuses": [{
                "name": "app", "restartCount": 7, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"reason": "OOMKilled"}}}]}),
            ),
            pod("c", "ReplicaSet", json!({"phase": "Pending"})),
        ];
        let output = count(&pods, Timestamp::UNIX_EPOCH);
        assert_eq!((output.total, output.ready, output.running, output.pending), (3, 1, 2, 1));
        assert_eq!((output.restarts, output.oom_killed, output.crash_looping), (7, 1, 1));
        assert_eq!(output.reasons, [("CrashLoopBackOff".to_owned(), 1), ("Pending".to_owned(), 1)].into());
        let names: Vec<_> = output.pods.iter().map(|pod| pod.name.as_str()).collect();
        assert_eq!(names, ["b", "c", "a"]);
    }

    #[test]
    fn what_is_desired_does_not_depend_on_what_is_left() {
        let api: Workload = serde_json::from_value(json!({
            "metadata": {"name": "api"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "api"}},
                     "template": {"metadata": {"labels": {"app": "api"}}}},
        }))
        .unwrap();
        let known = [(Kind::Deployment, api)];
        let running = json!({"phase": "Running"});
        for (selector, pods, expected) in [
            ("app=api", vec![], (3, 0)),
            ("app=db", vec![], (0, 0)),
            ("", vec![pod("a", "ReplicaSet", running.clone())], (3, 0)),
            ("app=api", vec![pod("job", "Job", running.clone())], (3, 1)),
            ("app=api", vec![pod("job", "Job", json!({"phase": "Succeeded"}))], (3, 0)),
        ] {
            let chosen = selector::read(selector).unwrap();
            let (governors, alone) = behind("shop", &chosen, &known, &pods);
            assert_eq!((governors.iter().map(|it| it.desired).sum::<i64>(), alone), expected, "{selector}");
        }
    }
}

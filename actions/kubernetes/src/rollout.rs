//! How far a rollout has come, by the rules of `kubectl rollout status`, and what came before it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use runbook_core::{
    Value,
    fault::{Fault, FaultKind},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    client::{Session, parse},
    place::Place,
    pod, selector,
    view::{self, Pod, Workload, condition},
    workload::{CHANGE_CAUSE, Counts, Kind, REVISION, WorkloadRef, images, revision, view_of},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    Complete,
    /// Not yet: what is still missing.
    Progressing(String),
    /// It will not come: why.
    Failed(String),
}

/// How far the controller says it is.
pub(crate) fn stage(kind: Kind, workload: &Workload) -> Stage {
    if workload.status.observed_generation < workload.metadata.generation {
        return Stage::Progressing("the controller has not seen the change yet".to_owned());
    }
    let counts = Counts::of(kind, workload);
    if kind == Kind::Deployment {
        let conditions = &workload.status.conditions;
        if let Some(late) =
            condition(conditions, "Progressing").filter(|it| it.reason == "ProgressDeadlineExceeded")
        {
            return Stage::Failed(format!("the rollout exceeded its progress deadline: {}", late.message));
        }
        if let Some(refused) = condition(conditions, "ReplicaFailure").filter(|it| it.status == "True") {
            let why = format!("pods cannot be created: {}", refused.message);
            return if makes_room(workload, counts, &refused.message) {
                Stage::Progressing(why)
            } else {
                Stage::Failed(why)
            };
        }
    }
    match missing(kind, workload, counts) {
        None => Stage::Complete,
        Some(missing) if workload.spec.paused => Stage::Progressing(format!("paused; {missing}")),
        Some(missing) => Stage::Progressing(missing),
    }
}

/// Whether pods that a quota refuses now may be let in later: when old ones go to make room, or when
/// some have been let in already. Whatever else refuses a pod refuses it again.
fn makes_room(workload: &Workload, counts: Counts, refusal: &str) -> bool {
    let may_yield = workload.spec.strategy.may_be_missing(counts.desired) > 0;
    refusal.contains("exceeded quota") && (may_yield || counts.updated > 0)
}

fn missing(kind: Kind, workload: &Workload, counts: Counts) -> Option<String> {
    let Counts { desired, total, ready, updated, available } = counts;
    // A StatefulSet that is up to date counts no updated pods in some versions, but names one
    // revision for both.
    let status = &workload.status;
    let settled = kind == Kind::StatefulSet
        && !status.update_revision.is_empty()
        && status.update_revision == status.current_revision;
    if updated < desired && !settled {
        return Some(format!("{updated} of {desired} pods are updated"));
    }
    if total > desired.max(updated) {
        return Some(format!("{} old pods are still there", total - desired.max(updated)));
    }
    let up = if kind == Kind::StatefulSet { ready } else { available };
    (up < desired).then(|| format!("{up} of {desired} pods are available"))
}

/// How far it is, looking also at the new pods: a container that cannot start is told long before
/// the deadline of the rollout is over.
pub(crate) async fn look(
    session: &Session<'_>,
    of: &WorkloadRef,
    workload: &Workload,
) -> Result<Stage, Fault> {
    let stage = stage(of.kind, workload);
    let seen = workload.status.observed_generation >= workload.metadata.generation;
    if stage == Stage::Complete || !seen {
        return Ok(stage);
    }
    // Whoever may not look at pods is told what the workload says of itself.
    let pods = match new_pods(session, of, workload).await {
        Err(fault) if fault.kind == FaultKind::Forbidden => return Ok(stage),
        looked => looked?,
    };
    let stuck: Vec<String> = pods.iter().filter_map(pod::hopeless).collect();
    Ok(match (stuck.first(), stage) {
        (Some(first), Stage::Progressing(_)) if stuck.len() == 1 => Stage::Failed(first.clone()),
        (Some(first), Stage::Progressing(_)) => {
            Stage::Failed(format!("{first}, and {} more pods like it", stuck.len() - 1))
        }
        (Some(first), Stage::Failed(why)) => Stage::Failed(format!("{why}; {first}")),
        (_, stage) => stage,
    })
}

/// The pods of the newest template.
pub(crate) async fn new_pods(
    session: &Session<'_>,
    of: &WorkloadRef,
    workload: &Workload,
) -> Result<Vec<Pod>, Fault> {
    let newest = match of.kind {
        Kind::Deployment => {
            let current = revision(&workload.metadata);
            let owned = replica_sets(session, of, workload).await?;
            let newest =
                owned.into_iter().find(|(_, set)| current.is_some() && revision(&set.metadata) == current);
            newest.and_then(|(_, set)| {
                Some(("pod-template-hash", set.metadata.labels.get("pod-template-hash")?.clone()))
            })
        }
        Kind::StatefulSet => Some(("controller-revision-hash", workload.status.update_revision.clone())),
        Kind::DaemonSet => None,
    };
    let mut pods = pods(session, of, workload).await?;
    pods.retain(|pod| !pod::is_terminating(pod));
    match newest {
        Some((label, hash)) => pods.retain(|pod| pod.metadata.labels.get(label) == Some(&hash)),
        // Which pods are new cannot be told: none is blamed.
        None if of.kind == Kind::Deployment => pods.clear(),
        None => {}
    }
    Ok(pods)
}

/// All pods that a workload selects.
pub(crate) async fn pods(
    session: &Session<'_>,
    of: &WorkloadRef,
    workload: &Workload,
) -> Result<Vec<Pod>, Fault> {
    let selector = selector::of(&workload.spec.selector);
    if selector.selects_all() {
        return Ok(Vec::new());
    }
    let place = Place::core("pods").within(&of.namespace);
    let listed = session.list(&place, Some(&selector.to_string()), None).await?;
    listed.items.into_iter().map(parse).collect()
}

/// The ReplicaSets of a deployment, in no order.
async fn replica_sets(
    session: &Session<'_>,
    of: &WorkloadRef,
    workload: &Workload,
) -> Result<Vec<(Value, Workload)>, Fault> {
    let selector = selector::of(&workload.spec.selector).to_string();
    let place = Place::apps("replicasets").within(&of.namespace);
    let listed = session.list(&place, Some(&selector), None).await?;
    let mut owned = Vec::new();
    for item in listed.items {
        let set: Workload = parse(item.clone())?;
        let owners = &set.metadata.owner_references;
        if owners.iter().any(|owner| owner.kind == "Deployment" && owner.uid == workload.metadata.uid) {
            owned.push((item, set));
        }
    }
    Ok(owned)
}

/// One revision of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Revision {
    pub(crate) revision: i64,
    pub(crate) template: Value,
    pub(crate) images: BTreeMap<String, String>,
    pub(crate) change_cause: Option<String>,
    pub(crate) created_at: Option<Timestamp>,
    /// Whether it has been the current one more than once.
    pub(crate) reused: bool,
}

/// More are never kept by Kubernetes unless told to.
pub(crate) const MOST_REVISIONS: usize = 50;
const HISTORY: &str = "deployment.kubernetes.io/revision-history";

/// The revisions that can be gone back to, the newest first.
pub(crate) async fn history(
    session: &Session<'_>,
    of: &WorkloadRef,
    workload: &Workload,
) -> Result<Vec<Revision>, Fault> {
    let sets = replica_sets(session, of, workload).await?;
    let newest_created = sets.iter().filter_map(|(_, set)| set.metadata.creation_timestamp).max();
    let mut revisions: Vec<Revision> = sets
        .into_iter()
        .filter_map(|(object, set)| {
            let created_at = set.metadata.creation_timestamp;
            Some(Revision {
                revision: revision(&set.metadata)?,
                template: clean(object.pointer("/spec/template")?.clone()),
                images: images(&set.spec.template),
                change_cause: set.metadata.annotations.get(CHANGE_CAUSE).cloned(),
                created_at,
                reused: set.metadata.annotations.contains_key(HISTORY) || created_at < newest_created,
            })
        })
        .collect();
    revisions.sort_by_key(|known| std::cmp::Reverse(known.revision));
    revisions.truncate(MOST_REVISIONS);
    Ok(revisions)
}

/// Lays the revision that a new pod template will become over what is known of a deployment: a new
/// one, or an old one that is in use again.
pub(crate) fn foresee_revision(history: &mut Vec<Revision>, object: &mut Value) {
    let Ok(view) = view_of(object) else { return };
    let template = object.pointer("/spec/template").cloned().map(clean).unwrap_or_default();
    let newest = history.first().map(|newest| newest.revision).max(revision(&view.metadata));
    let next = newest.unwrap_or(0) + 1;
    let known = history.iter().position(|known| known.template == template);
    let reused = known.is_some();
    if let Some(known) = known {
        history.remove(known);
    }
    let foreseen = Revision {
        revision: next,
        images: images(&view.spec.template),
        template,
        change_cause: view.metadata.annotations.get(CHANGE_CAUSE).cloned(),
        created_at: None,
        reused,
    };
    history.insert(0, foreseen);
    let annotations = json!({"metadata": {"annotations": {REVISION: next.to_string()}}});
    json_patch::merge(object, &annotations);
}

/// A pod template without what controllers and the server add to it.
pub(crate) fn clean(mut template: Value) -> Value {
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|_, value| !value.is_null());
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove("pod-template-hash");
        }
    }
    template
}

/// When the current revision became the current one: when its ReplicaSet was created, or, where an
/// old one is in use again, when the controller last told of progress with it.
pub(crate) fn last_change(workload: &Workload, revisions: &[Revision]) -> Option<Timestamp> {
    let current = revision(&workload.metadata);
    let current = revisions.iter().find(|known| Some(known.revision) == current).or(revisions.first());
    let created = current.and_then(|current| current.created_at).or(workload.metadata.creation_timestamp);
    if current.is_some_and(|current| current.reused) {
        let progressed =
            view::condition(&workload.status.conditions, "Progressing").and_then(|it| it.last_update_time);
        return progressed.max(created);
    }
    created
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(status: Value) -> Workload {
        let object = json!({"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": status});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn tells_how_far_a_deployment_is() {
        let late = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}]);
        let refused =
            json!([{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}]);
        let too_large =
            json!([{"type": "ReplicaFailure", "status": "True", "message": "maximum memory usage is 2Gi"}]);
        for (status, expected) in [
            (
                json!({"observedGeneration": 1}),
                Stage::Progressing("the controller has not seen the change yet".into()),
            ),
            (
                json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 3}),
                Stage::Progressing("1 of 3 pods are updated".into()),
            ),
            (
                json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "availableReplicas": 3}),
                Stage::Progressing("1 old pods are still there".into()),
            ),
            (
                json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 2}),
                Stage::Progressing("2 of 3 pods are available".into()),
            ),
            (
                json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
                Stage::Complete,
            ),
            (
                json!({"observedGeneration": 2, "conditions": late}),
                Stage::Failed("the rollout exceeded its progress deadline: late".into()),
            ),
            (
                json!({"observedGeneration": 2, "conditions": refused}),
                Stage::Failed("pods cannot be created: exceeded quota: small".into()),
            ),
            (
                json!({"observedGeneration": 2, "updatedReplicas": 1, "conditions": refused}),
                Stage::Progressing("pods cannot be created: exceeded quota: small".into()),
            ),
            (
                json!({"observedGeneration": 2, "updatedReplicas": 1, "conditions": too_large}),
                Stage::Failed("pods cannot be created: maximum memory usage is 2Gi".into()),
            ),
        ] {
            assert_eq!(stage(Kind::Deployment, &deployment(status.clone())), expected, "{status}");
        }
    }

    #[test]
    fn tells_how_far_other_workloads_are() {
        let set: Workload = serde_json::from_value(json!({
            "metadata": {"generation": 1}, "spec": {"replicas": 2},
            "status": {"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "currentRevision": "a", "updateRevision": "a"}
        }))
        .unwrap();
        assert_eq!(stage(Kind::StatefulSet, &set), Stage::Complete);
        let daemons: Workload = serde_json::from_value(json!({
            "metadata": {"generation": 1},
            "status": {"observedGeneration": 1, "desiredNumberScheduled": 3, "currentNumberScheduled": 3,
                       "updatedNumberScheduled": 2, "numberAvailable": 3, "numberReady": 3}
        }))
        .unwrap();
        assert_eq!(stage(Kind::DaemonSet, &daemons), Stage::Progressing("2 of 3 pods are updated".into()));
    }

    #[test]
    fn the_last_change_is_when_the_current_revision_came_into_use() {
        let known = |revision, created: &str, reused| Revision {
            revision,
            template: Value::Null,
            images: BTreeMap::new(),
            change_cause: None,
            created_at: Some(created.parse().unwrap()),
            reused,
        };
        let workload: Workload = serde_json::from_value(json!({
            "metadata": {"annotations": {"deployment.kubernetes.io/revision": "3"}},
            "status": {"conditions": [{"type": "Progressing", "lastUpdateTime": "2026-01-01T12:00:00Z"}]}
        }))
        .unwrap();
        let fresh = [known(3, "2026-01-01T11:00:00Z", false), known(2, "2026-01-01T10:00:00Z", false)];
        assert_eq!(last_change(&workload, &fresh).unwrap().to_string(), "2026-01-01T11:00:00Z");
        let rolled_back = [known(3, "2026-01-01T09:00:00Z", true), known(2, "2026-01-01T10:00:00Z", false)];
        assert_eq!(last_change(&workload, &rolled_back).unwrap().to_string(), "2026-01-01T12:00:00Z");
    }
}

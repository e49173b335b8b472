//! Revisions: which replica set stands for the template of a deployment.

use serde_json::{Value, json};

use crate::cluster::NOTICE;
use crate::cluster::template::{TEMPLATE_HASH, same, without_hash};
use crate::names;
use crate::state::{Pod, Rollout, State, key, number, text};
use crate::time::Seconds;

pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
/// As the API server sets it where a deployment says nothing.
const DEFAULT_HISTORY: i64 = 10;

/// The replica sets of a deployment, oldest revision first.
pub(crate) fn of_deployment<'a>(state: &'a State, namespace: &str, deployment: &str) -> Vec<&'a Value> {
    let mut sets: Vec<&Value> = state
        .objects_of("replicasets.apps")
        .filter(|set| text(set, "/metadata/namespace") == namespace)
        .filter(|set| text(set, "/metadata/ownerReferences/0/name") == deployment)
        .collect();
    sets.sort_by_key(|set| revision(set));
    sets
}

pub(crate) fn revision(object: &Value) -> u64 {
    object["metadata"]["annotations"]
        .get(REVISION)
        .and_then(Value::as_str)
        .and_then(|r| r.parse().ok())
        .unwrap_or(0)
}

/// Finds or makes the replica set for the deployment's template and numbers it.
pub(crate) fn reconcile(state: &mut State, namespace: &str, name: &str, now: Seconds) {
    let Some(deployment) = state.object("deployments.apps", namespace, name).cloned() else { return };
    let rollout_key = format!("{namespace}/{name}");
    let current = state.rollouts.get(&rollout_key).map(|r| r.replica_set.clone());
    if current.is_some() && deployment["spec"]["paused"] == Value::Bool(true) {
        return;
    }
    let template = &deployment["spec"]["template"];
    let sets = of_deployment(state, namespace, name);
    let newest = sets.iter().map(|set| revision(set)).max().unwrap_or(0);
    let found = sets
        .iter()
        .find(|set| same(&set["spec"]["template"], template))
        .map(|set| text(set, "/metadata/name").to_owned());
    let set = found.unwrap_or_else(|| create(state, &deployment, newest + 1, now));
    if current.as_deref() != Some(&set) {
        renumber(state, namespace, &set, newest + 1);
        if let Some(rollout) = state.rollouts.get_mut(&rollout_key) {
            *rollout = Rollout {
                replica_set: set.clone(),
                began: now,
                complete: false,
                progressed: now,
                ..rollout.clone()
            };
        } else {
            let first = Rollout {
                replica_set: set.clone(),
                began: now,
                observed: now + NOTICE,
                progressed: now,
                ..Rollout::default()
            };
            state.rollouts.insert(rollout_key, first);
        }
    }
    annotate(state, namespace, name, &set);
    prune(state, namespace, name, &set);
}

/// Makes the replica set for a deployment's template; returns its name.
pub(crate) fn create(state: &mut State, deployment: &Value, revision: u64, created: Seconds) -> String {
    let (namespace, name) = (text(deployment, "/metadata/namespace"), text(deployment, "/metadata/name"));
    let mut template = without_hash(&deployment["spec"]["template"]);
    // A second template with the same hash would take the name of the first.
    let hash = (0..)
        .map(|collision| names::suffix(&format!("{namespace}/{name}/{template}/{collision}"), 10))
        .find(|hash| state.object("replicasets.apps", namespace, &format!("{name}-{hash}")).is_none())
        .unwrap_or_default();
    let set = format!("{name}-{hash}");
    template["metadata"]["labels"][TEMPLATE_HASH] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][TEMPLATE_HASH] = json!(hash);
    let stamp = state.timeline.stamp(created);
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": set,
            "namespace": namespace,
            "uid": names::uid(&format!("{}/{namespace}/{set}", state.born)),
            "resourceVersion": state.stamp().to_string(),
            "generation": 1,
            "creationTimestamp": stamp,
            "labels": template["metadata"]["labels"],
            "annotations": { REVISION: revision.to_string() },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": name,
                "uid": deployment["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": { "replicas": 0, "selector": selector, "template": template },
    });
    state.objects.insert(key("replicasets.apps", namespace, &set), object);
    set
}

/// Gives a replica set the next revision; one that comes back remembers which it had.
fn renumber(state: &mut State, namespace: &str, set: &str, next: u64) {
    let stamp = state.stamp();
    let Some(object) = state.objects.get_mut(&key("replicasets.apps", namespace, set)) else { return };
    let had = revision(object);
    if had == next {
        return;
    }
    let annotations = &mut object["metadata"]["annotations"];
    if had > 0 {
        let before = annotations.get(REVISION_HISTORY).and_then(Value::as_str).map(|h| format!("{h},"));
        annotations[REVISION_HISTORY] = json!(format!("{}{had}", before.unwrap_or_default()));
    }
    annotations[REVISION] = json!(next.to_string());
    object["metadata"]["resourceVersion"] = json!(stamp.to_string());
}

/// Writes down on both sides what the controller keeps there.
fn annotate(state: &mut State, namespace: &str, name: &str, set: &str) {
    let set_key = key("replicasets.apps", namespace, set);
    let Some(number) = state.objects.get(&set_key).map(revision) else { return };
    let Some(deployment) = state.objects.get_mut(&key("deployments.apps", namespace, name)) else { return };
    deployment["metadata"]["annotations"][REVISION] = json!(number.to_string());
    let (desired, surge, _) = super::rollout::bounds(deployment);
    let cause = deployment["metadata"]["annotations"].get(CHANGE_CAUSE).cloned();
    if let Some(object) = state.objects.get_mut(&set_key) {
        let annotations = &mut object["metadata"]["annotations"];
        annotations[DESIRED] = json!(desired.to_string());
        annotations[MAXIMUM] = json!((desired + surge).to_string());
        if let Some(cause) = cause {
            annotations[CHANGE_CAUSE] = cause;
        }
    }
}

/// Drops the oldest replica sets without pods beyond what the deployment keeps.
fn prune(state: &mut State, namespace: &str, name: &str, current: &str) {
    let keep = state
        .object("deployments.apps", namespace, name)
        .and_then(|d| number(d, "/spec/revisionHistoryLimit"))
        .unwrap_or(DEFAULT_HISTORY);
    let idle: Vec<String> = of_deployment(state, namespace, name)
        .iter()
        .map(|set| text(set, "/metadata/name").to_owned())
        .filter(|set| set != current && !state.pods.iter().any(|pod| pod.replica_set == *set))
        .collect();
    let surplus = idle.len().saturating_sub(usize::try_from(keep).unwrap_or(0));
    for set in &idle[..surplus] {
        state.objects.remove(&key("replicasets.apps", namespace, set));
    }
}

/// Drops what a deleted deployment has left behind.
pub(crate) fn drop_orphans(state: &mut State) {
    let lost: Vec<String> = state
        .objects_of("replicasets.apps")
        .filter(|set| {
            let owner = text(set, "/metadata/ownerReferences/0/name");
            state.object("deployments.apps", text(set, "/metadata/namespace"), owner).is_none()
        })
        .map(|set| key("replicasets.apps", text(set, "/metadata/namespace"), text(set, "/metadata/name")))
        .collect();
    for key in lost {
        state.objects.remove(&key);
    }
    let gone: Vec<String> = state
        .rollouts
        .keys()
        .filter(|key| !state.objects.contains_key(&format!("deployments.apps/{key}")))
        .cloned()
        .collect();
    for key in gone {
        state.rollouts.remove(&key);
        state.history.remove(&key);
    }
}

/// Changes of an object that pass by themselves: what its pods went through since the last write.
pub(crate) fn passed<'a>(state: &State, pods: impl Iterator<Item = &'a Pod>, now: Seconds) -> u64 {
    let passed = pods.flat_map(Pod::moments).filter(|at| *at > state.as_of && *at <= now).count() as u64;
    passed.min(crate::state::VERSIONS_PER_WRITE - 2)
}

/// Keeps resource versions rising: what has passed is added before it is forgotten.
pub(crate) fn count_versions(state: &mut State, now: Seconds) {
    let mut raised: Vec<(String, u64)> = Vec::new();
    for (key, object) in &state.objects {
        let Some((resource, rest)) = key.split_once('/') else { continue };
        let Some((namespace, name)) = rest.split_once('/') else { continue };
        let Some(current) = text(object, "/metadata/resourceVersion").parse::<u64>().ok() else { continue };
        let by = match resource {
            "deployments.apps" => super::rollout::passed(state, namespace, name, now),
            "replicasets.apps" => passed(
                state,
                state.pods.iter().filter(|p| p.namespace == namespace && p.replica_set == name),
                now,
            ),
            _ => 0,
        };
        if by > 0 {
            raised.push((key.clone(), current + by));
        }
    }
    for (key, version) in raised {
        if let Some(object) = state.objects.get_mut(&key) {
            object["metadata"]["resourceVersion"] = json!(version.to_string());
        }
    }
}

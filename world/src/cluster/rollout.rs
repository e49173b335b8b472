//! The deployment controller: pods are replaced step by step, within surge and unavailability.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cluster::{NOTICE, placing, pods};
use crate::model::Model;
use crate::names;
use crate::scenario::Scenario;
use crate::state::{Behaviour, Happening, Pod, State, number};
use crate::time::Seconds;

/// More steps than any rollout within the bound on pods needs.
const MAX_STEPS: usize = 4_000;

/// Desired replicas, surge and unavailability, as pods.
pub(crate) fn bounds(deployment: &Value) -> (usize, usize, usize) {
    let desired = usize::try_from(number(deployment, "/spec/replicas").unwrap_or(1)).unwrap_or(0);
    let share = |field: &str, round_up: bool| {
        let default = Value::from("25%");
        let value = deployment.pointer(&format!("/spec/strategy/rollingUpdate/{field}")).unwrap_or(&default);
        match value {
            Value::String(text) => {
                let percent = text.trim_end_matches('%').parse::<usize>().unwrap_or(25).min(100);
                let exact = desired * percent;
                if round_up { exact.div_ceil(100) } else { exact / 100 }
            }
            other => other.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
        }
    };
    let (surge, unavailable) = (share("maxSurge", true), share("maxUnavailable", false).min(desired));
    // Both zero would never move; the controller then allows one to be missing.
    if surge == 0 && unavailable == 0 { (desired, 0, desired.min(1)) } else { (desired, surge, unavailable) }
}

pub(crate) fn min_ready(deployment: &Value) -> Seconds {
    number(deployment, "/spec/minReadySeconds").and_then(|s| u32::try_from(s).ok()).map_or(0.0, f64::from)
}

pub(crate) fn is_available(pod: &Pod, at: Seconds, min_ready: Seconds) -> bool {
    pod.is_ready(at) && pod.ready.is_some_and(|ready| ready + min_ready <= at)
}

/// Whether a rollout has ended at a moment, or had ended before.
pub(crate) fn is_complete(state: &State, namespace: &str, name: &str, at: Seconds) -> bool {
    let Some(rollout) = state.rollouts.get(&format!("{namespace}/{name}")) else { return false };
    let Some(deployment) = state.object("deployments.apps", namespace, name) else { return false };
    let (desired, ..) = bounds(deployment);
    let wait = min_ready(deployment);
    let alive = pods_of(state, namespace, name, at);
    let updated = alive.iter().filter(|pod| pod.replica_set == rollout.replica_set);
    let available = updated.clone().filter(|pod| is_available(pod, at, wait)).count();
    rollout.complete
        || (rollout.observed <= at
            && alive.len() == desired
            && updated.count() == desired
            && available == desired)
}

/// When something last moved in a rollout.
pub(crate) fn last_progress(state: &State, namespace: &str, name: &str, at: Seconds) -> Seconds {
    let Some(rollout) = state.rollouts.get(&format!("{namespace}/{name}")) else { return 0.0 };
    if rollout.complete {
        return rollout.progressed;
    }
    state
        .pods
        .iter()
        .filter(|pod| pod.namespace == namespace && pod.deployment == name)
        .flat_map(Pod::moments)
        .filter(|moment| *moment <= at && *moment >= rollout.began)
        .fold(rollout.progressed, f64::max)
}

/// Changes of a deployment's status since the last write.
pub(crate) fn passed(state: &State, namespace: &str, name: &str, now: Seconds) -> u64 {
    let noticed = state
        .rollouts
        .get(&format!("{namespace}/{name}"))
        .is_some_and(|rollout| rollout.observed > state.as_of && rollout.observed <= now);
    let pods = state.pods.iter().filter(|pod| pod.namespace == namespace && pod.deployment == name);
    u64::from(noticed) + super::replica_sets::passed(state, pods, now)
}

pub(crate) fn pods_of<'a>(state: &'a State, namespace: &str, name: &str, at: Seconds) -> Vec<&'a Pod> {
    let of = |pod: &&Pod| pod.namespace == namespace && pod.deployment == name && pod.exists(at);
    state.pods.iter().filter(of).collect()
}

/// Plays all rollouts forward until nothing moves any more.
pub(crate) fn plan(scenario: &Scenario, state: &mut State, deployments: &[(String, String)], now: Seconds) {
    let mut at = now + NOTICE;
    for _ in 0..MAX_STEPS {
        let mut moved = schedule_pending(scenario, state, at);
        for (namespace, name) in deployments {
            moved |= step(scenario, state, namespace, name, at);
        }
        if moved {
            continue;
        }
        let waits: Vec<Seconds> =
            state.objects_of("deployments.apps").map(min_ready).filter(|wait| *wait > 0.0).collect();
        let next = state
            .pods
            .iter()
            .flat_map(Pod::moments)
            .flat_map(|moment| waits.iter().map(move |wait| moment + wait).chain([moment]))
            .filter(|moment| *moment > at)
            .min_by(f64::total_cmp);
        match next {
            Some(moment) => at = moment,
            None => return,
        }
    }
}

/// Places pods that had no room before.
fn schedule_pending(scenario: &Scenario, state: &mut State, at: Seconds) -> bool {
    let pending: Vec<usize> = (0..state.pods.len())
        .filter(|i| state.pods[*i].exists(at) && state.pods[*i].scheduled.is_none())
        .collect();
    let mut moved = false;
    for index in pending {
        moved |= place(scenario, state, index, at);
    }
    moved
}

/// Binds a pod to a node if there is room, and says when it will be ready.
pub(crate) fn place(scenario: &Scenario, state: &mut State, index: usize, at: Seconds) -> bool {
    let model = Model::new(scenario, state);
    let Some(facts) = model.facts(&state.pods[index]) else { return false };
    let Some(node) = placing::find_node(state, &placing::by_node(&model, at), facts) else { return false };
    let behaviour = pods::behaviour(&model, &state.pods[index]);
    let pod = &mut state.pods[index];
    let startup = pods::startup(scenario, &pod.namespace, &pod.deployment);
    pod.node = Some(node);
    (pod.scheduled, pod.since, pod.behaviour) = (Some(at), at, behaviour);
    pod.ready = (behaviour == Behaviour::Runs).then_some(at + startup);
    true
}

/// One look of the controller at one deployment; says whether it did anything.
fn step(scenario: &Scenario, state: &mut State, namespace: &str, name: &str, at: Seconds) -> bool {
    let Some(deployment) = state.object("deployments.apps", namespace, name) else { return false };
    let Some(rollout) = state.rollouts.get(&format!("{namespace}/{name}")) else { return false };
    let set = rollout.replica_set.clone();
    let recreate = crate::state::text(deployment, "/spec/strategy/type") == "Recreate";
    let paused = deployment["spec"]["paused"] == Value::Bool(true);
    let (desired, surge, unavailable) = bounds(deployment);
    let wait = min_ready(deployment);
    let alive = pods_of(state, namespace, name, at);
    let (new, old): (Vec<&Pod>, Vec<&Pod>) = alive.iter().partition(|pod| pod.replica_set == set);
    if recreate && !paused && !old.is_empty() {
        let names = old.iter().map(|pod| pod.name.clone()).collect();
        return remove(state, namespace, names, at);
    }
    // While paused, old pods keep their share and the newest replica set takes the difference.
    let target = if paused { desired.saturating_sub(old.len()) } else { desired };
    if new.len() > target {
        let doomed = surplus(&new, new.len() - target, at);
        return remove(state, namespace, doomed, at);
    }
    let room = if old.is_empty() { target } else { (desired + surge).saturating_sub(old.len()) };
    let wanted = target.min(room).saturating_sub(new.len());
    let doomed = if paused { Vec::new() } else { doomed(&new, &old, (desired, unavailable), at, wait) };
    let mut moved = false;
    if wanted > 0 {
        moved |= create(scenario, state, (namespace, name, &set), wanted, at);
    }
    if !moved && !doomed.is_empty() {
        moved |= remove(state, namespace, doomed, at);
    }
    moved
}

/// Which old pods may go now: broken ones first, then as many as availability allows.
fn doomed(
    new: &[&Pod],
    old: &[&Pod],
    (desired, unavailable): (usize, usize),
    at: Seconds,
    wait: Seconds,
) -> Vec<String> {
    let available = |pods: &[&Pod]| pods.iter().filter(|pod| is_available(pod, at, wait)).count();
    let floor = desired - unavailable;
    let total = new.len() + old.len();
    let not_yet = new.len() - available(new);
    let mut budget = total.saturating_sub(floor + not_yet);
    let broken: Vec<&Pod> =
        old.iter().copied().filter(|pod| !is_available(pod, at, wait)).take(budget).collect();
    budget -= broken.len();
    let spare = (available(new) + available(old)).saturating_sub(floor).min(budget);
    let healthy: Vec<&Pod> = old.iter().copied().filter(|pod| is_available(pod, at, wait)).collect();
    broken.iter().map(|pod| pod.name.clone()).chain(surplus(&healthy, spare, at)).collect()
}

/// Whom a scale-down takes: pending before running, unready before ready, young before old.
fn surplus(pods: &[&Pod], count: usize, at: Seconds) -> Vec<String> {
    let mut pods = pods.to_vec();
    pods.sort_by(|a, b| {
        let rank = |pod: &Pod| (pod.scheduled.is_some_and(|s| s <= at), pod.is_ready(at));
        rank(a).cmp(&rank(b)).then(b.created.total_cmp(&a.created)).then(b.name.cmp(&a.name))
    });
    pods.iter().take(count).map(|pod| pod.name.clone()).collect()
}

fn remove(state: &mut State, namespace: &str, names: Vec<String>, at: Seconds) -> bool {
    let mut scaled: BTreeMap<(String, String), usize> = BTreeMap::new();
    for pod in state.pods.iter_mut().filter(|pod| pod.namespace == namespace && names.contains(&pod.name)) {
        pod.gone = Some(at);
        *scaled.entry((pod.deployment.clone(), pod.replica_set.clone())).or_default() += 1;
    }
    for ((deployment, set), count) in scaled {
        let left = state.pods.iter().filter(|pod| pod.replica_set == set && pod.exists(at)).count();
        let told = format!("Scaled down replica set {set} from {} to {left}", left + count);
        tell(state, namespace, &deployment, at, told);
    }
    !names.is_empty()
}

/// Makes pods for a replica set, as many as quota and cluster allow.
fn create(scenario: &Scenario, state: &mut State, of: (&str, &str, &str), count: usize, at: Seconds) -> bool {
    let (namespace, deployment, set) = of;
    let mut made = 0;
    for _ in 0..count {
        let Some(pod) = new_pod(state, namespace, deployment, set, at) else { break };
        let refused = {
            let model = Model::new(scenario, state);
            let facts = model.facts(&pod).cloned().unwrap_or_default();
            placing::exceeded_quota(&model, namespace, &facts, at)
        };
        if let Some(reason) = refused {
            let message = format!("Error creating: pods \"{}\" is forbidden: {reason}", pod.name);
            refuse(state, namespace, set, at, message);
            break;
        }
        state.pods.push(pod);
        place(scenario, state, state.pods.len() - 1, at);
        made += 1;
    }
    if made > 0 {
        let now = state.pods.iter().filter(|pod| pod.replica_set == set && pod.exists(at)).count();
        let before = now - made;
        tell(state, namespace, deployment, at, format!("Scaled up replica set {set} from {before} to {now}"));
    }
    made > 0
}

/// A pod that is waiting for a node; none once the cluster is full.
pub(crate) fn new_pod(
    state: &mut State,
    namespace: &str,
    deployment: &str,
    set: &str,
    at: Seconds,
) -> Option<Pod> {
    if state.pods.len() >= placing::MAX_PODS {
        return None;
    }
    let version = state.stamp();
    let name = format!("{set}-{}", names::suffix(&format!("{set}/{version}"), 5));
    Some(Pod {
        uid: names::uid(&format!("{}/{namespace}/{name}", state.born)),
        name,
        namespace: namespace.to_owned(),
        deployment: deployment.to_owned(),
        replica_set: set.to_owned(),
        address: state.pods.iter().map(|pod| pod.address).max().unwrap_or(4) % 60_000 + 1,
        resource_version: version,
        created: at,
        node: None,
        scheduled: None,
        behaviour: Behaviour::Runs,
        since: at,
        ready: None,
        gone: None,
        restarts: 0,
    })
}

pub(crate) fn tell(state: &mut State, namespace: &str, deployment: &str, at: Seconds, message: String) {
    state.happened(Happening {
        at,
        namespace: namespace.to_owned(),
        kind: "Deployment".to_owned(),
        name: deployment.to_owned(),
        reason: "ScalingReplicaSet".to_owned(),
        message,
        warning: false,
    });
}

/// Notes that a quota stands in the way, once per plan.
fn refuse(state: &mut State, namespace: &str, set: &str, at: Seconds, message: String) {
    let known =
        state.happenings.iter().any(|h| h.name == set && h.reason == "FailedCreate" && h.at >= state.as_of);
    if !known {
        state.happened(Happening {
            at,
            namespace: namespace.to_owned(),
            kind: "ReplicaSet".to_owned(),
            name: set.to_owned(),
            reason: "FailedCreate".to_owned(),
            message,
            warning: true,
        });
    }
}

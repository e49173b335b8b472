//! The controllers of the simulated cluster: replica sets, rollouts, scheduling, pods.
//!
//! They run once, at each write, and lay down what will happen until the next one.

pub(crate) mod placing;
pub(crate) mod pods;
pub(crate) mod replica_sets;
pub(crate) mod rollout;
pub(crate) mod template;

use crate::model::{Model, history};
use crate::scenario::Scenario;
use crate::state::{Rollout, State, text};
use crate::time::Seconds;

/// A controller notices a write after this long.
pub(crate) const NOTICE: Seconds = 1.0;

/// Makes everything that has passed since the last write part of the state, and forgets what was
/// only planned. Comes before every change.
pub(crate) fn settle(scenario: &Scenario, state: &mut State, now: Seconds) {
    state.history = history::until(&Model::new(scenario, state), now);
    replica_sets::count_versions(state, now);
    let since = state.as_of;
    for pod in &mut state.pods {
        pod.resource_version += pod.moments().filter(|at| *at > since && *at <= now).count() as u64;
    }
    let keys: Vec<String> = state.rollouts.keys().cloned().collect();
    for key in keys {
        let Some((namespace, name)) = key.split_once('/') else { continue };
        let complete = rollout::is_complete(state, namespace, name, now);
        let progressed = rollout::last_progress(state, namespace, name, now);
        if let Some(rollout) = state.rollouts.get_mut(&key) {
            *rollout = Rollout { complete, progressed, ..rollout.clone() };
        }
    }
    state.pods.retain(|pod| pod.exists(now));
    for pod in &mut state.pods {
        pod.gone = None;
        if pod.scheduled.is_some_and(|at| at > now) {
            (pod.scheduled, pod.node, pod.ready) = (None, None, None);
        }
    }
    state.happenings.retain(|happening| happening.at <= now);
    state.as_of = now;
}

/// Lets the controllers meet what has changed. Comes after every change.
pub(crate) fn react(scenario: &Scenario, state: &mut State, now: Seconds) {
    let orphans = |state: &State, namespace: &str, name: &str| {
        state.object("deployments.apps", namespace, name).is_none()
    };
    let mut pods = std::mem::take(&mut state.pods);
    for pod in &mut pods {
        if orphans(state, &pod.namespace, &pod.deployment) {
            pod.gone = Some(now);
        }
    }
    state.pods = pods;
    let deployments: Vec<(String, String)> = state
        .objects_of("deployments.apps")
        .map(|d| (text(d, "/metadata/namespace").to_owned(), text(d, "/metadata/name").to_owned()))
        .collect();
    replica_sets::drop_orphans(state);
    for (namespace, name) in &deployments {
        replica_sets::reconcile(state, namespace, name, now);
    }
    refresh_cures(scenario, state, now);
    pods::refresh(scenario, state, now);
    rollout::plan(scenario, state, &deployments, now);
}

/// Notes when a cause was cured for all pods, and forgets it when the cure is taken away.
pub(crate) fn refresh_cures(scenario: &Scenario, state: &mut State, now: Seconds) {
    let model = Model::new(scenario, state);
    let cured: Vec<(String, Option<Seconds>)> = scenario
        .causes
        .iter()
        .filter_map(|cause| {
            let workload = scenario.workloads.iter().find(|w| w.name == cause.workload)?;
            Some((cause.id.clone(), model.cured(workload, cause, now)))
        })
        .collect();
    for (cause, since) in cured {
        match since {
            Some(since) => {
                state.cured.entry(cause).or_insert(since);
            }
            None => {
                state.cured.remove(&cause);
            }
        }
    }
}

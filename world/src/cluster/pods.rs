//! What becomes of a pod: whether it runs, crashes, or never starts.

use crate::cluster::template::Facts;
use crate::model::Model;
use crate::scenario::{PodEffect, Scenario};
use crate::state::{Behaviour, Pod, State};
use crate::time::Seconds;

/// A kubelet waits ten seconds after the first crash and at most five minutes.
const FIRST_BACK_OFF: Seconds = 10.0;
const LONGEST_BACK_OFF: Seconds = 300.0;
/// How long a crashing container lives each time.
pub(crate) const CRASH_AFTER: Seconds = 4.0;
const DEFAULT_STARTUP: Seconds = 10.0;
/// Images with these tags do not exist.
const MISSING_TAGS: [&str; 2] = [":bad", ":bad-image"];

/// How a pod behaves under what holds now.
pub(crate) fn behaviour(model: &Model<'_>, pod: &Pod) -> Behaviour {
    let Some(facts) = model.facts(pod) else { return Behaviour::Runs };
    if MISSING_TAGS.iter().any(|tag| facts.image.ends_with(tag)) {
        return Behaviour::ImagePull;
    }
    let Some(workload) = model.scenario.workload(&pod.namespace, &pod.deployment) else {
        return Behaviour::Runs;
    };
    if starved(facts, &workload.working_set) {
        return Behaviour::OomKilled;
    }
    let effect = model
        .scenario
        .causes_of(&workload.name)
        .filter(|cause| cause.effect.pods != PodEffect::Run)
        .find(|cause| !model.state.cured.contains_key(&cause.id) && model.hits(workload, cause, pod));
    match effect.map(|cause| cause.effect.pods) {
        None | Some(PodEffect::Run) => Behaviour::Runs,
        Some(PodEffect::CrashLoop) => Behaviour::CrashLoop,
        Some(PodEffect::OomKilled) => Behaviour::OomKilled,
        Some(PodEffect::NotReady) => Behaviour::NotReady,
    }
}

fn starved(facts: &Facts, working_set: &str) -> bool {
    match (facts.memory_limit, crate::quantity::parse(working_set)) {
        (Some(limit), Some(used)) => limit < used,
        _ => false,
    }
}

/// From the start of a pod to its readiness.
pub(crate) fn startup(scenario: &Scenario, namespace: &str, deployment: &str) -> Seconds {
    scenario.workload(namespace, deployment).map_or(DEFAULT_STARTUP, |workload| workload.startup)
}

/// Lets pods that exist follow what a write has changed around them.
pub(crate) fn refresh(scenario: &Scenario, state: &mut State, now: Seconds) {
    let model = Model::new(scenario, state);
    let changes: Vec<Option<Behaviour>> = state
        .pods
        .iter()
        .map(|pod| Some(behaviour(&model, pod)).filter(|b| *b != pod.behaviour && pod.scheduled.is_some()))
        .collect();
    for (pod, change) in state.pods.iter_mut().zip(changes) {
        let Some(behaviour) = change else { continue };
        pod.restarts = restarts(pod, now);
        pod.behaviour = behaviour;
        pod.since = now;
        let startup = startup(scenario, &pod.namespace, &pod.deployment);
        pod.ready = (behaviour == Behaviour::Runs).then_some(now + startup);
    }
}

/// How often the container has been started again.
pub(crate) fn restarts(pod: &Pod, at: Seconds) -> u32 {
    match pod.behaviour {
        Behaviour::CrashLoop | Behaviour::OomKilled => pod.restarts + crashes(at - pod.since),
        Behaviour::Runs | Behaviour::NotReady | Behaviour::ImagePull => pod.restarts,
    }
}

/// When the container last crashed, and when it will be started again.
pub(crate) fn last_crash(pod: &Pod, at: Seconds) -> Seconds {
    let mut crash = pod.since + CRASH_AFTER;
    let mut wait = FIRST_BACK_OFF;
    for _ in 0..crashes(at - pod.since) {
        crash += wait + CRASH_AFTER;
        wait = (wait * 2.0).min(LONGEST_BACK_OFF);
    }
    crash.min(at)
}

/// Restarts within a span of time, waiting twice as long after each up to the longest wait.
fn crashes(span: Seconds) -> u32 {
    let (mut elapsed, mut wait, mut count) = (CRASH_AFTER, FIRST_BACK_OFF, 0);
    while wait < LONGEST_BACK_OFF {
        elapsed += wait + CRASH_AFTER;
        if elapsed > span {
            return count;
        }
        count += 1;
        wait = (wait * 2.0).min(LONGEST_BACK_OFF);
    }
    let steady = ((span - elapsed) / (LONGEST_BACK_OFF + CRASH_AFTER)).clamp(0.0, 100_000.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100000")]
    let steady = steady as u32;
    count + steady
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loop_backs_off() {
        for (span, expected) in [(0.0, 0), (17.0, 0), (18.0, 1), (60.0, 2), (720.0, 6), (86_400.0, 288)] {
            assert_eq!(crashes(span), expected, "after {span} s");
        }
        assert!(crashes(1e12) <= 200_000);
    }
}

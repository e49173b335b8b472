//! The small model behind everything: which causes act on which pods, and what requests meet.

pub(crate) mod history;
pub(crate) mod latency;

use std::collections::BTreeMap;

use crate::cluster::template::Facts;
use crate::scenario::{Cause, Cure, Scenario, Traffic, Workload};
use crate::state::{Component, Pod, Segment, State, key};
use crate::time::Seconds;
use crate::{model::latency::slowdown, quantity};

/// A cure that works gradually does so in this many steps.
const FADE_STEPS: f64 = 4.0;

/// A state seen together with its scenario; every answer is a function of the two and a moment.
#[derive(Debug)]
pub(crate) struct Model<'a> {
    pub scenario: &'a Scenario,
    pub state: &'a State,
    /// What the templates of the replica sets say, by `namespace/name`.
    facts: BTreeMap<String, Facts>,
}

impl<'a> Model<'a> {
    pub fn new(scenario: &'a Scenario, state: &'a State) -> Self {
        let facts = state
            .objects_of("replicasets.apps")
            .map(|set| {
                let name = crate::state::text(set, "/metadata/name");
                let namespace = crate::state::text(set, "/metadata/namespace");
                (format!("{namespace}/{name}"), Facts::of(&set["spec"]["template"]))
            })
            .collect();
        Self { scenario, state, facts }
    }

    pub fn facts(&self, pod: &Pod) -> Option<&Facts> {
        self.facts.get(&format!("{}/{}", pod.namespace, pod.replica_set))
    }

    pub fn pods<'s>(&'s self, namespace: &'s str, deployment: &'s str) -> impl Iterator<Item = &'a Pod> + 's {
        let state = self.state;
        state.pods.iter().filter(move |pod| pod.namespace == namespace && pod.deployment == deployment)
    }

    /// Whether a cause concerns this pod, leaving aside what cures it for all pods at once.
    pub fn hits(&self, workload: &Workload, cause: &Cause, pod: &Pod) -> bool {
        self.matches(workload, cause, pod)
            && cause.at_most.is_none_or(|most| {
                self.pods(&workload.namespace, &workload.name)
                    .filter(|other| self.matches(workload, cause, other))
                    .take(most)
                    .any(|other| other.name == pod.name)
            })
    }

    fn matches(&self, workload: &Workload, cause: &Cause, pod: &Pod) -> bool {
        let Some(facts) = self.facts(pod) else { return false };
        let runs = cause.revisions.is_empty()
            || cause.revisions.iter().any(|r| workload.image(*r) == Some(facts.image.as_str()));
        // What has ended before the creation and names no revision has nothing left to act on.
        let over = cause.until.is_some() && cause.revisions.is_empty();
        let cured = cause.cured_by.iter().any(|cure| match cure {
            Cure::Restart => pod.created >= 0.0,
            Cure::Memory(size) => {
                facts.memory_limit.is_some_and(|limit| Some(limit) >= quantity::parse(size))
            }
            Cure::Env { name, value } => facts.env.get(name) == Some(value),
            Cure::FlagOff(_)
            | Cure::Replicas(_)
            | Cure::Object { .. }
            | Cure::Failover(_)
            | Cure::Reboot(_)
            | Cure::Record { .. } => false,
        });
        runs && !over && !cured
    }

    /// From when on a cause is cured for all pods by the world around them, seen at a moment.
    pub fn cured(&self, workload: &Workload, cause: &Cause, now: Seconds) -> Option<Seconds> {
        let (declared, aws) = (&self.scenario.aws, &self.state.aws);
        let cured = cause.cured_by.iter().filter_map(|cure| match cure {
            Cure::FlagOff(flag) => (self.state.flags.get(flag) == Some(&false)).then_some(now),
            Cure::Object { kind, name } => crate::kubernetes::resources::by_kind(kind)
                .filter(|r| self.state.objects.contains_key(&key(&r.id(), &workload.namespace, name)))
                .map(|_| now),
            Cure::Failover(cluster) => aws.failed_over(declared, cluster),
            Cure::Reboot(instance) => aws.rebooted(instance),
            Cure::Record { name, value } => aws.answers(name, value),
            Cure::Restart | Cure::Replicas(_) | Cure::Memory(_) | Cure::Env { .. } => None,
        });
        cured.min_by(f64::total_cmp)
    }

    /// Whether a cause does anything at a moment, to whichever pods.
    pub fn is_acting(&self, cause: &Cause, at: Seconds) -> bool {
        self.strength(cause, at, 0) > 0.0
    }

    /// From 1 (acts in full) to 0 (does not act), for all pods alike.
    fn strength(&self, cause: &Cause, at: Seconds, ready: usize) -> f64 {
        if at < 0.0 {
            let acts = at >= self.scenario.beginning(cause) && cause.until.is_none_or(|until| at < -until);
            return f64::from(u8::from(acts));
        }
        let enough = |cure: &Cure| matches!(cure, Cure::Replicas(count) if ready >= *count);
        if cause.cured_by.iter().any(enough) {
            return 0.0;
        }
        match self.state.cured.get(&cause.id) {
            None => 1.0,
            Some(cured) if at < *cured => 1.0,
            Some(_) if cause.within <= 0.0 => 0.0,
            Some(cured) => {
                let passed = (FADE_STEPS * (at - cured) / cause.within).floor() + 1.0;
                (1.0 - passed / FADE_STEPS).clamp(0.0, 1.0)
            }
        }
    }

    /// When the strength of a workload's causes changes by itself.
    pub fn fades<'s>(&'s self, workload: &'s str) -> impl Iterator<Item = Seconds> + 's {
        self.scenario.causes_of(workload).flat_map(|cause| {
            let cured = self.state.cured.get(&cause.id).copied();
            (0..=4).filter_map(move |step| Some(cured? + cause.within * f64::from(step) / FADE_STEPS))
        })
    }

    /// Causes that act on a pod at a moment, with their strength.
    pub fn acting<'s>(
        &'s self,
        workload: &'s Workload,
        pod: &'s Pod,
        at: Seconds,
        ready: usize,
    ) -> impl Iterator<Item = (&'a Cause, f64)> + 's {
        let scenario = self.scenario;
        scenario.causes.iter().filter(|cause| cause.workload == workload.name).filter_map(move |cause| {
            let strength = self.strength(cause, at, ready);
            // Before the creation other pods may have run than those that are known now: there
            // the time alone says whether a cause acted.
            let hit = if at < 0.0 {
                cause.at_most.is_none() || self.hits(workload, cause, pod)
            } else {
                self.hits(workload, cause, pod)
            };
            (strength > 0.0 && hit).then_some((cause, strength))
        })
    }

    /// What holds for a workload at a moment that no later write has changed.
    pub fn conditions(&self, namespace: &str, name: &str, at: Seconds) -> Segment {
        let pods: Vec<&Pod> = self
            .pods(namespace, name)
            // The rollouts before the creation went step by step, so no pod was missed while it started.
            .filter(|pod| pod.is_ready(at) || (at < 0.0 && (at < pod.since || pod.ready.is_some())))
            .collect();
        let mut segment = Segment {
            from: at,
            desired: self.desired(namespace, name),
            ready: u32::try_from(pods.len()).unwrap_or(u32::MAX),
            expected: 0.0,
            rps: 0.0,
            errors_500: 0.0,
            errors_503: 0.0,
            latency: Vec::new(),
        };
        if let Some(workload) = self.scenario.workload(namespace, name)
            && let Some(traffic) = &workload.traffic
        {
            self.serve(workload, traffic, &pods, at, &mut segment);
        }
        segment
    }

    fn desired(&self, namespace: &str, name: &str) -> u32 {
        self.state
            .object("deployments.apps", namespace, name)
            .and_then(|deployment| crate::state::number(deployment, "/spec/replicas"))
            .and_then(|replicas| u32::try_from(replicas).ok())
            .unwrap_or(0)
    }

    /// Spreads the requests evenly over the ready pods and lets the causes act on each.
    fn serve(
        &self,
        workload: &Workload,
        traffic: &Traffic,
        pods: &[&Pod],
        at: Seconds,
        segment: &mut Segment,
    ) {
        segment.expected = traffic.rps;
        segment.rps = traffic.rps * self.arriving(workload, pods, at);
        if pods.is_empty() {
            segment.errors_503 = 1.0;
            segment.latency = vec![Component { share: 1.0, p50: 0.004, p95: 0.008, p99: 0.012 }];
            return;
        }
        let share = 1.0 / pods.len() as f64;
        let mut capacity = 0.0;
        let mut served: Vec<Component> = Vec::new();
        for pod in pods {
            let mut component = Component {
                share,
                p50: traffic.latency.p50,
                p95: traffic.latency.p95,
                p99: traffic.latency.p99,
            };
            let (mut left, mut e500, mut e503) = (traffic.capacity, traffic.errors, 0.0);
            for (cause, strength) in self.acting(workload, pod, at, pods.len()) {
                let effect = &cause.effect;
                left *= 1.0 + (effect.capacity - 1.0) * strength;
                *if effect.code == 503 { &mut e503 } else { &mut e500 } += effect.errors * strength;
                component.p50 += effect.latency.p50 * strength;
                component.p95 += effect.latency.p95 * strength;
                component.p99 += effect.latency.p99 * strength;
            }
            capacity += left;
            segment.errors_500 += share * f64::min(e500, 1.0);
            segment.errors_503 += share * f64::min(e503, 1.0 - f64::min(e500, 1.0));
            match served
                .iter_mut()
                .find(|c| (c.p50, c.p95, c.p99) == (component.p50, component.p95, component.p99))
            {
                Some(same) => same.share += share,
                None => served.push(component),
            }
        }
        let load = segment.rps / capacity.max(1e-9);
        let (slower, shed) = (slowdown(load), latency::shed(load));
        for component in &mut served {
            component.p50 *= slower;
            component.p95 *= slower;
            component.p99 *= slower;
        }
        segment.latency = served;
        segment.errors_500 *= 1.0 - shed;
        segment.errors_503 = shed + (1.0 - shed) * segment.errors_503;
    }

    /// The factor on the expected traffic that the causes make of it.
    fn arriving(&self, workload: &Workload, pods: &[&Pod], at: Seconds) -> f64 {
        let changed = |cause: &Cause| {
            let strength = self.strength(cause, at, pods.len()) * self.share_hit(workload, cause, pods, at);
            1.0 + (cause.effect.traffic - 1.0) * strength
        };
        let causes = self.scenario.causes_of(&workload.name);
        causes.filter(|cause| cause.effect.traffic != 1.0).map(changed).product()
    }

    /// The share of the ready pods that a cause concerns. Before the creation, and where no pod is
    /// ready, the time alone says whether it acts.
    fn share_hit(&self, workload: &Workload, cause: &Cause, pods: &[&Pod], at: Seconds) -> f64 {
        if at < 0.0 || pods.is_empty() {
            return 1.0;
        }
        let hit = pods.iter().filter(|pod| self.hits(workload, cause, pod)).count();
        hit as f64 / pods.len() as f64
    }
}

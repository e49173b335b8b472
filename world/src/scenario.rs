//! Scenarios: data files that describe an environment, what is wrong with it, and what cures it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::aws::declared::Aws;
use crate::error::WorldError;
use crate::quantity;
use crate::time::Seconds;

/// What every scenario builds on: nodes, workloads, services, policies.
const BASE: &str = include_str!("../scenarios/base.yaml");

const FILES: [(&str, &str); 21] = [
    ("high-latency", include_str!("../scenarios/high-latency.yaml")),
    ("high-latency-load", include_str!("../scenarios/high-latency-load.yaml")),
    ("high-error-rate", include_str!("../scenarios/high-error-rate.yaml")),
    ("high-error-rate-dependency", include_str!("../scenarios/high-error-rate-dependency.yaml")),
    ("service-unavailable", include_str!("../scenarios/service-unavailable.yaml")),
    ("service-unavailable-pending", include_str!("../scenarios/service-unavailable-pending.yaml")),
    ("service-unavailable-healthy", include_str!("../scenarios/service-unavailable-healthy.yaml")),
    ("bad-deploy-rollback", include_str!("../scenarios/bad-deploy-rollback.yaml")),
    ("bad-deploy-rollback-two", include_str!("../scenarios/bad-deploy-rollback-two.yaml")),
    ("service-health-check", include_str!("../scenarios/service-health-check.yaml")),
    ("service-health-check-degraded", include_str!("../scenarios/service-health-check-degraded.yaml")),
    ("after-rollback", include_str!("../scenarios/after-rollback.yaml")),
    ("after-rollback-relapse", include_str!("../scenarios/after-rollback-relapse.yaml")),
    ("database-unavailable", include_str!("../scenarios/database-unavailable.yaml")),
    ("database-unavailable-stale", include_str!("../scenarios/database-unavailable-stale.yaml")),
    ("region-failover", include_str!("../scenarios/region-failover.yaml")),
    ("region-failover-small", include_str!("../scenarios/region-failover-small.yaml")),
    ("third-party-down", include_str!("../scenarios/third-party-down.yaml")),
    ("third-party-down-both", include_str!("../scenarios/third-party-down-both.yaml")),
    ("traffic-drop", include_str!("../scenarios/traffic-drop.yaml")),
    ("traffic-drop-deploy", include_str!("../scenarios/traffic-drop-deploy.yaml")),
];

/// The names of the scenarios, without reading them.
pub fn scenario_names() -> impl Iterator<Item = &'static str> + Clone {
    FILES.iter().map(|(name, _)| *name)
}

/// What there is to know about a scenario before it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioInfo {
    pub name: String,
    pub title: String,
    pub summary: String,
    /// The playbook that this scenario exercises.
    pub playbook: String,
    /// What ends the incident, told for people.
    pub cure: String,
}

/// All scenarios that ship, in the order in which they are told.
///
/// A built-in file that does not load is left out here; starting it gives the reason.
#[must_use]
pub fn scenarios() -> Vec<ScenarioInfo> {
    FILES.iter().filter_map(|(name, _)| load(name).ok()).map(|scenario| scenario.info()).collect()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub name: String,
    pub title: String,
    pub summary: String,
    pub playbook: String,
    pub cure: String,
    /// How long before the creation of the world the incident began.
    #[serde(deserialize_with = "seconds")]
    pub began: Seconds,
    pub nodes: Vec<Node>,
    pub workloads: Vec<Workload>,
    #[serde(default)]
    pub flags: BTreeMap<String, bool>,
    /// Manifests that exist from the start, as a client would have applied them.
    #[serde(default)]
    pub objects: Vec<Value>,
    #[serde(default)]
    pub aws: Aws,
    /// What others run and this world only talks about.
    #[serde(default)]
    pub outside: Vec<Outside>,
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// What the user of the main token may not do.
    #[serde(default)]
    pub deny: Vec<Denial>,
    /// Tells one text of a scenario from another, so that a state is never read with the wrong one.
    #[serde(skip)]
    pub digest: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    pub name: String,
    pub cpu: String,
    pub memory: String,
    #[serde(deserialize_with = "seconds")]
    pub age: Seconds,
}

/// A service that others run: it has a health page, and nothing here cures it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outside {
    pub name: String,
    /// Why it is unavailable; absent where it is well.
    #[serde(default)]
    pub trouble: Option<String>,
}

/// A deployment with its history, what it needs and what it serves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workload {
    pub name: String,
    pub namespace: String,
    pub replicas: u32,
    pub cpu: String,
    /// Memory that a pod asks for, and its limit.
    pub memory: String,
    pub memory_limit: String,
    /// Memory that a pod uses when nothing is wrong; a limit below it gets the pod killed.
    pub working_set: String,
    /// From the start of a pod to its readiness.
    #[serde(deserialize_with = "seconds")]
    pub startup: Seconds,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Oldest first; the last one is what runs.
    pub revisions: Vec<Revision>,
    /// Since when the pods of the last revision exist; absent: since that revision was deployed.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub pods_since: Option<Seconds>,
    /// Absent for workloads that serve no requests.
    #[serde(default)]
    pub traffic: Option<Traffic>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revision {
    pub revision: u32,
    /// Absent where `again` says which revision was brought back.
    #[serde(default)]
    pub image: Option<String>,
    #[serde(default)]
    pub again: Option<u32>,
    #[serde(deserialize_with = "seconds")]
    pub age: Seconds,
    pub note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Traffic {
    /// Requests per second that are expected, and arrive where no cause says otherwise.
    pub rps: f64,
    /// Requests per second that one ready pod serves at full speed.
    pub capacity: f64,
    pub latency: Latency,
    /// Share of requests that fail when nothing is wrong.
    pub errors: f64,
}

/// Quantiles of the time that requests take, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Latency {
    #[serde(deserialize_with = "seconds")]
    pub p50: Seconds,
    #[serde(deserialize_with = "seconds")]
    pub p95: Seconds,
    #[serde(deserialize_with = "seconds")]
    pub p99: Seconds,
}

/// One reason for trouble: what it does, to which pods, and what ends it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cause {
    pub id: String,
    pub workload: String,
    /// Told in health answers and events.
    pub reason: String,
    /// When it began, before the creation; absent: when the incident began.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub since: Option<Seconds>,
    /// When it had ended, before the creation. It stays in the history only.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub until: Option<Seconds>,
    /// Only pods that run what these revisions run; empty: all pods of the workload.
    #[serde(default)]
    pub revisions: Vec<u32>,
    /// At most so many pods at a time; absent: all that match.
    #[serde(default)]
    pub at_most: Option<usize>,
    /// Any one of these ends it.
    #[serde(default)]
    pub cured_by: Vec<Cure>,
    /// How long the end takes once the cure is there.
    #[serde(default, deserialize_with = "seconds")]
    pub within: Seconds,
    pub effect: Effect,
    /// Lines that show up in the logs of affected pods.
    #[serde(default)]
    pub logs: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cure {
    /// The pod was made after the world was created.
    Restart,
    FlagOff(String),
    /// So many pods are ready.
    Replicas(usize),
    /// The pod's memory limit is at least this.
    Memory(String),
    /// The pod's environment has this value.
    Env {
        name: String,
        value: String,
    },
    /// An object of this kind and name exists in the workload's namespace.
    Object {
        kind: String,
        name: String,
    },
    /// Another member of this cluster of databases writes than in the beginning.
    Failover(String),
    /// This database instance was rebooted.
    Reboot(String),
    /// The name of DNS answers this value.
    Record {
        name: String,
        value: String,
    },
}

/// All neutral by default: a cause names only what it changes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Effect {
    /// Seconds added to each quantile, before load multiplies them.
    pub latency: Latency,
    /// What is left of a pod's capacity, as a factor.
    pub capacity: f64,
    /// Share of requests that fail, and with which code.
    pub errors: f64,
    pub code: u16,
    /// Factor on the requests that arrive.
    pub traffic: f64,
    pub pods: PodEffect,
}

impl Default for Effect {
    fn default() -> Self {
        Self {
            latency: Latency::default(),
            capacity: 1.0,
            errors: 0.0,
            code: 500,
            traffic: 1.0,
            pods: PodEffect::Run,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PodEffect {
    Run,
    CrashLoop,
    OomKilled,
    NotReady,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Denial {
    pub verb: String,
    /// Plural, with the subresource after a slash where one is meant.
    pub resource: String,
}

impl Scenario {
    pub fn info(&self) -> ScenarioInfo {
        ScenarioInfo {
            name: self.name.clone(),
            title: self.title.clone(),
            summary: self.summary.clone(),
            playbook: self.playbook.clone(),
            cure: self.cure.clone(),
        }
    }

    pub fn workload(&self, namespace: &str, name: &str) -> Option<&Workload> {
        self.workloads.iter().find(|w| w.namespace == namespace && w.name == name)
    }

    pub fn causes_of<'a>(&'a self, workload: &'a str) -> impl Iterator<Item = &'a Cause> {
        self.causes.iter().filter(move |cause| cause.workload == workload)
    }

    /// When a cause began, in simulated seconds (negative: before the creation).
    pub fn beginning(&self, cause: &Cause) -> Seconds {
        -cause.since.unwrap_or(self.began)
    }
}

impl Workload {
    /// The image that a revision runs, following `again`.
    pub fn image(&self, revision: u32) -> Option<&str> {
        let found = self.revisions.iter().find(|r| r.revision == revision)?;
        match (&found.image, found.again) {
            (Some(image), _) => Some(image),
            (None, Some(earlier)) if earlier < revision => self.image(earlier),
            (None, _) => None,
        }
    }
}

/// Reads a built-in scenario.
pub(crate) fn load(name: &str) -> Result<Scenario, WorldError> {
    let (_, text) =
        FILES.iter().find(|(known, _)| *known == name).ok_or_else(|| WorldError::UnknownScenario {
            name: name.chars().take(80).collect(),
            hint: format!("there are {}", scenario_names().collect::<Vec<_>>().join(", ")),
        })?;
    let invalid = |reason: String| WorldError::Scenario { name: name.to_owned(), reason };
    let parse = |text: &str| serde_yaml::from_str::<Value>(text).map_err(|error| invalid(error.to_string()));
    let mut merged = parse(BASE)?;
    overlay(&mut merged, parse(text)?);
    let mut scenario: Scenario =
        serde_json::from_value(merged).map_err(|error| invalid(error.to_string()))?;
    scenario.digest = format!("{:016x}", crate::names::fnv(&format!("{BASE}{text}")));
    check(&scenario).map_err(invalid)?;
    Ok(scenario)
}

/// Lays a scenario over the base: maps are merged, lists of named things are merged by name, and
/// `objects` are added to those of the base; everything else replaces.
fn overlay(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    Some(there) if key == "objects" => {
                        if let (Value::Array(there), Value::Array(more)) = (there, value) {
                            there.extend(more);
                        }
                    }
                    Some(there) => overlay(there, value),
                    None => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(base), Value::Array(over)) if over.iter().all(|item| item.get("name").is_some()) => {
            for item in over {
                match base.iter_mut().find(|there| there.get("name") == item.get("name")) {
                    Some(there) => overlay(there, item),
                    None => base.push(item),
                }
            }
        }
        (base, over) => *base = over,
    }
}

/// Finds references that lead nowhere; quantities are found by the tests that build every scenario.
fn check(scenario: &Scenario) -> Result<(), String> {
    for workload in &scenario.workloads {
        if workload.revisions.is_empty() {
            return Err(format!("workload `{}` has no revision", workload.name));
        }
        if let Some(lost) = workload.revisions.iter().find(|r| workload.image(r.revision).is_none()) {
            return Err(format!("revision {} of `{}` has no image", lost.revision, workload.name));
        }
    }
    scenario.aws.check()?;
    for cause in &scenario.causes {
        let Some(workload) = scenario.workloads.iter().find(|w| w.name == cause.workload) else {
            return Err(format!("cause `{}` names no workload: `{}`", cause.id, cause.workload));
        };
        if let Some(lost) = cause.revisions.iter().find(|r| workload.image(**r).is_none()) {
            return Err(format!("cause `{}` names no revision: {lost}", cause.id));
        }
        for cure in &cause.cured_by {
            match cure {
                Cure::FlagOff(flag) if !scenario.flags.contains_key(flag) => {
                    return Err(format!("cause `{}` names no flag: `{flag}`", cause.id));
                }
                Cure::Memory(size) if quantity::parse(size).is_none() => {
                    return Err(format!("cause `{}` names no size: `{size}`", cause.id));
                }
                Cure::Failover(cluster) if scenario.aws.cluster(cluster).is_none() => {
                    return Err(format!("cause `{}` names no cluster: `{cluster}`", cause.id));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Seconds, D::Error> {
    let text = String::deserialize(deserializer)?;
    quantity::duration(&text)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a duration such as 90s or 18m")))
}

fn maybe_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Seconds>, D::Error> {
    seconds(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_loads_and_is_listed() {
        for (name, _) in FILES {
            let scenario = load(name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(scenario.name, name);
            let api = scenario.workload("production", "api").expect("every scenario has api");
            assert!(api.replicas >= 3);
        }
        assert_eq!(scenarios().len(), FILES.len());
    }

    #[test]
    fn an_unknown_scenario_names_the_known_ones() {
        let error = load("hi-latency").unwrap_err().to_string();
        assert!(error.contains("`hi-latency`") && error.contains("high-latency-load"), "{error}");
    }

    #[test]
    fn lists_of_named_things_merge_by_name() {
        let mut base = serde_json::json!({"nodes": [{"name": "a", "cpu": "1"}], "objects": [1]});
        overlay(
            &mut base,
            serde_json::json!({"nodes": [{"name": "a", "cpu": "2"}, {"name": "b"}], "objects": [2]}),
        );
        assert_eq!(
            base,
            serde_json::json!({"nodes": [{"name": "a", "cpu": "2"}, {"name": "b"}], "objects": [1, 2]})
        );
    }
}

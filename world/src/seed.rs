//! The first state of a world: what its scenario tells, as if it had been deployed that way.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::aws::estate::Estate;
use crate::cluster::{NOTICE, pods, refresh_cures, replica_sets, rollout};
use crate::kubernetes::patch::ownership::{self, Manager, Paths};
use crate::kubernetes::{resources, typed};
use crate::model::{Model, history};
use crate::names;
use crate::scenario::{Node, Scenario, Workload};
use crate::state::{Behaviour, Rollout, State, VERSION, key, text};
use crate::time::{Seconds, Timeline};

/// Who the managed fields of what was there from the start belong to.
const DEPLOYER: &str = "simulated-deployer";
/// What nobody tells the age of is this old.
const OLD: Seconds = 120.0 * 86_400.0;
const NAMESPACES: [&str; 4] = ["argocd", "default", "kube-system", "production"];

/// Makes the first state. Manifests of a scenario that are not valid are left out; the tests of
/// every built-in scenario see that there are none.
pub(crate) fn state(scenario: &Scenario, created: Timestamp, speed: u32) -> State {
    seed(scenario, created, Timeline { created, speed: speed.max(1) })
}

/// The same first state with its times moved to `now`: who and what is there keeps its identity.
pub(crate) fn moved(scenario: &Scenario, state: &State, now: Timestamp) -> State {
    seed(scenario, state.born, Timeline { created: now, ..state.timeline })
}

fn seed(scenario: &Scenario, born: Timestamp, timeline: Timeline) -> State {
    let mut state = State {
        version: VERSION,
        scenario: scenario.name.clone(),
        digest: scenario.digest.clone(),
        born,
        timeline,
        touched: false,
        as_of: 0.0,
        counter: 0,
        objects: BTreeMap::new(),
        pods: Vec::new(),
        rollouts: BTreeMap::new(),
        flags: scenario.flags.clone(),
        cured: BTreeMap::new(),
        history: BTreeMap::new(),
        happenings: Vec::new(),
        messages: Vec::new(),
        aws: Estate::of(&scenario.aws),
    };
    for namespace in NAMESPACES {
        let labels = json!({ "kubernetes.io/metadata.name": namespace, "simulated": "true" });
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace, "labels": labels },
            "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" },
        });
        insert(&mut state, object, -OLD);
    }
    for node in &scenario.nodes {
        let manifest = self::node(&state, node);
        insert(&mut state, manifest, -node.age);
    }
    for object in &scenario.objects {
        insert(&mut state, object.clone(), -OLD);
    }
    for workload in &scenario.workloads {
        deploy(scenario, &mut state, workload);
    }
    refresh_cures(scenario, &mut state, 0.0);
    settle_pods(scenario, &mut state);
    for workload in &scenario.workloads {
        let past =
            history::before_creation(&Model::new(scenario, &state), &workload.namespace, &workload.name);
        state.history.insert(format!("{}/{}", workload.namespace, workload.name), past);
    }
    state
}

/// Stores a manifest as if it had been created at that time.
fn insert(state: &mut State, manifest: Value, created: Seconds) {
    let (version, kind) = (text(&manifest, "/apiVersion").to_owned(), text(&manifest, "/kind").to_owned());
    let Some(resource) = resources::by_api_and_kind(&version, &kind) else { return };
    let Ok((mut object, _)) = typed::read(resource, manifest) else { return };
    let (namespace, name) =
        (text(&object, "/metadata/namespace").to_owned(), text(&object, "/metadata/name").to_owned());
    let key = key(&resource.id(), &namespace, &name);
    let metadata = &mut object["metadata"];
    metadata["uid"] = json!(names::uid(&format!("{}/{key}", state.born)));
    metadata["resourceVersion"] = json!(state.stamp().to_string());
    metadata["creationTimestamp"] = json!(state.timeline.stamp(created));
    metadata["generation"] = json!(1);
    own(state, &mut object, created);
    state.objects.insert(key, object);
}

fn own(state: &State, object: &mut Value, at: Seconds) {
    let by = Manager {
        name: DEPLOYER.to_owned(),
        operation: "Update".to_owned(),
        subresource: String::new(),
        time: state.timeline.stamp(at),
        paths: Paths::new(),
    };
    ownership::updated(None, object, &by);
}

fn node(state: &State, node: &Node) -> Value {
    let room = json!({ "cpu": node.cpu, "memory": node.memory, "pods": "110" });
    let since = state.timeline.stamp(-node.age);
    let condition = |kind: &str, status: &str, reason: &str| json!({ "type": kind, "status": status, "reason": reason, "message": "simulated", "lastHeartbeatTime": since, "lastTransitionTime": since });
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": node.name, "labels": {
            "kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux", "simulated": "true",
        } },
        "spec": {},
        "status": {
            "capacity": room,
            "allocatable": room,
            "addresses": [{ "type": "Hostname", "address": node.name }],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("Ready", "True", "KubeletReady"),
            ],
            "nodeInfo": {
                "kubeletVersion": crate::kubernetes::discovery::VERSION, "osImage": "simulated", "architecture": "amd64",
                "operatingSystem": "linux", "kernelVersion": "simulated", "containerRuntimeVersion": "simulated://1",
                "bootID": "simulated", "machineID": "simulated", "systemUUID": "simulated",
                "kubeProxyVersion": crate::kubernetes::discovery::VERSION,
            },
        },
    })
}

/// Deploys one revision of a workload after the other, each at its time.
fn deploy(scenario: &Scenario, state: &mut State, workload: &Workload) {
    let (namespace, name) = (&workload.namespace, &workload.name);
    let Some(first) = workload.revisions.first() else { return };
    insert(state, manifest(workload, first.revision, &first.note), -first.age);
    let deployment = key("deployments.apps", namespace, name);
    for (index, revision) in workload.revisions.iter().enumerate() {
        if let Some(object) = state.objects.get_mut(&deployment) {
            let next = manifest(workload, revision.revision, &revision.note);
            let image = next["spec"]["template"]["spec"]["containers"][0]["image"].clone();
            object["spec"]["template"]["spec"]["containers"][0]["image"] = image;
            object["metadata"]["annotations"]["kubernetes.io/change-cause"] = json!(revision.note);
            object["metadata"]["generation"] = json!(index + 1);
        }
        replica_sets::reconcile(state, namespace, name, -revision.age);
        renumber(state, namespace, name, revision.revision);
    }
    let Some(current) = state.rollouts.get(&format!("{namespace}/{name}")).cloned() else { return };
    let age = workload.revisions.last().map_or(OLD, |r| r.age);
    let done = (-age + workload.startup * f64::from(workload.replicas)).min(0.0);
    let settled = Rollout { observed: -age + NOTICE, progressed: done, complete: true, ..current.clone() };
    state.rollouts.insert(format!("{namespace}/{name}"), settled);
    if let Some(mut object) = state.objects.remove(&deployment) {
        own(state, &mut object, -age);
        object["metadata"]["resourceVersion"] = json!(state.stamp().to_string());
        state.objects.insert(deployment, object);
    }
    let told = format!("Scaled up replica set {} from 0 to {}", current.replica_set, workload.replicas);
    rollout::tell(state, namespace, name, -age, told);
    for index in 0..workload.replicas {
        let since = -workload.pods_since.unwrap_or(age) + 2.0 * f64::from(index);
        if let Some(pod) = rollout::new_pod(state, namespace, name, &current.replica_set, since.min(0.0)) {
            state.pods.push(pod);
            rollout::place(scenario, state, state.pods.len() - 1, since.min(0.0));
        }
    }
}

/// The first revision that a scenario tells of is not revision 1.
fn renumber(state: &mut State, namespace: &str, name: &str, revision: u32) {
    let Some(rollout) = state.rollouts.get(&format!("{namespace}/{name}")) else { return };
    let set = key("replicasets.apps", namespace, &rollout.replica_set);
    for key in [set, key("deployments.apps", namespace, name)] {
        if let Some(object) = state.objects.get_mut(&key) {
            object["metadata"]["annotations"][replica_sets::REVISION] = json!(revision.to_string());
        }
    }
}

fn manifest(workload: &Workload, revision: u32, note: &str) -> Value {
    let app = json!({ "app": workload.name });
    let env: Vec<Value> =
        workload.env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let mut container = json!({
        "name": workload.name,
        "image": workload.image(revision),
        "env": env,
        "resources": {
            "requests": { "cpu": workload.cpu, "memory": workload.memory },
            "limits": { "memory": workload.memory_limit },
        },
    });
    if workload.traffic.is_some() {
        container["ports"] = json!([{ "name": "http", "containerPort": 8080, "protocol": "TCP" }]);
        container["readinessProbe"] = json!({ "httpGet": { "path": "/ready", "port": "http" } });
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": workload.name,
            "namespace": workload.namespace,
            "labels": app,
            "annotations": { "kubernetes.io/change-cause": note },
        },
        "spec": {
            "replicas": workload.replicas,
            "selector": { "matchLabels": app },
            "template": { "metadata": { "labels": app }, "spec": { "containers": [container] } },
        },
    })
}

/// Pods run since they were made, or are in trouble since their cause began.
fn settle_pods(scenario: &Scenario, state: &mut State) {
    let model = Model::new(scenario, state);
    let began: Vec<(Behaviour, Option<Seconds>)> = state
        .pods
        .iter()
        .map(|pod| {
            let behaviour = pods::behaviour(&model, pod);
            let workload = scenario.workload(&pod.namespace, &pod.deployment);
            let began = workload.filter(|_| behaviour != Behaviour::Runs).and_then(|workload| {
                let hits =
                    scenario.causes_of(&workload.name).filter(|cause| model.hits(workload, cause, pod));
                hits.map(|cause| scenario.beginning(cause)).min_by(f64::total_cmp)
            });
            (behaviour, began)
        })
        .collect();
    for (pod, (behaviour, began)) in state.pods.iter_mut().zip(began) {
        pod.since = began.unwrap_or(pod.created).max(pod.created);
        if pod.scheduled.is_some() {
            pod.behaviour = behaviour;
            if behaviour != Behaviour::Runs {
                pod.ready = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{load, scenarios};

    fn seeded(name: &str) -> State {
        state(&load(name).unwrap(), "2026-11-21T10:00:00Z".parse().unwrap(), 60)
    }

    #[test]
    fn every_manifest_of_every_scenario_is_stored() {
        for info in scenarios() {
            let scenario = load(&info.name).unwrap();
            let state = seeded(&info.name);
            for object in &scenario.objects {
                let resource =
                    resources::by_api_and_kind(text(object, "/apiVersion"), text(object, "/kind")).unwrap();
                let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
                let stored = state.object(&resource.id(), namespace, name);
                assert!(stored.is_some(), "{}: {} {name}", info.name, resource.kind);
                assert!(
                    typed::read(resource, object.clone()).unwrap().1.is_empty(),
                    "{name} has unknown fields"
                );
            }
            for object in state.objects.values().filter(|o| o["kind"] == "Deployment") {
                let resource = resources::by_kind("Deployment").unwrap();
                assert_eq!(crate::kubernetes::validate::check(resource, Some(object), object), Ok(()));
            }
        }
    }

    #[test]
    fn the_bad_revision_is_18_minutes_old_and_the_pods_are_ready() {
        let state = seeded("high-latency");
        let sets = replica_sets::of_deployment(&state, "production", "api");
        let told: Vec<(u64, &str)> = sets
            .iter()
            .map(|set| (replica_sets::revision(set), text(set, "/metadata/creationTimestamp")))
            .collect();
        assert_eq!(
            told,
            [(40, "2026-11-12T10:00:00Z"), (41, "2026-11-18T10:00:00Z"), (42, "2026-11-21T09:42:00Z")]
        );
        let api: Vec<_> = state.pods.iter().filter(|pod| pod.deployment == "api").collect();
        assert_eq!(api.len(), 3);
        assert!(api.iter().all(|pod| pod.is_ready(0.0)));
        let deployment = state.object("deployments.apps", "production", "api").unwrap();
        assert_eq!(replica_sets::revision(deployment), 42);
    }

    #[test]
    fn a_revision_that_came_back_keeps_its_replica_set() {
        let state = seeded("after-rollback");
        let sets = replica_sets::of_deployment(&state, "production", "api");
        let told: Vec<u64> = sets.iter().map(|set| replica_sets::revision(set)).collect();
        assert_eq!(told, [40, 42, 43]);
        assert_eq!(text(sets[2], "/metadata/annotations/deployment.kubernetes.io~1revision-history"), "41");
        assert_eq!(text(sets[2], "/metadata/creationTimestamp"), "2026-11-18T10:00:00Z");
    }

    #[test]
    fn pods_are_in_the_trouble_that_the_scenario_tells() {
        for (scenario, ready, behaviour) in [
            ("service-unavailable", 0, Behaviour::CrashLoop),
            ("service-health-check-degraded", 2, Behaviour::OomKilled),
            ("service-unavailable-healthy", 3, Behaviour::Runs),
        ] {
            let state = seeded(scenario);
            let api: Vec<_> = state.pods.iter().filter(|pod| pod.deployment == "api").collect();
            assert_eq!(api.iter().filter(|pod| pod.is_ready(0.0)).count(), ready, "{scenario}");
            assert!(api.iter().any(|pod| pod.behaviour == behaviour), "{scenario}");
        }
        let pending = seeded("service-unavailable-pending");
        assert!(pending.pods.iter().filter(|pod| pod.deployment == "api").all(|pod| pod.scheduled.is_none()));
    }
}

//! What clients see: stored objects with the status that the moment gives them, and the objects
//! that are nothing but a consequence of others.

pub(crate) mod deployments;
pub(crate) mod events;
pub(crate) mod metrics;
pub(crate) mod network;
pub(crate) mod pods;
pub(crate) mod policies;

use serde_json::{Value, json};

use crate::kubernetes::resources::Resource;
use crate::model::Model;
use crate::scenario::Scenario;
use crate::state::{State, text};
use crate::time::Seconds;

/// A state at a moment.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub model: Model<'a>,
    pub state: &'a State,
    pub now: Seconds,
}

impl<'a> View<'a> {
    pub fn new(scenario: &'a Scenario, state: &'a State, now: Seconds) -> Self {
        Self { model: Model::new(scenario, state), state, now: now.max(state.as_of) }
    }

    pub fn stamp(&self, at: Seconds) -> String {
        self.state.timeline.stamp(at)
    }

    /// The resource version of everything that is seen now.
    pub fn version(&self) -> u64 {
        self.state.counter + crate::state::VERSIONS_PER_WRITE - 1
    }

    pub fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Value> {
        if is_stored(resource) {
            return self
                .state
                .object(&resource.id(), namespace, name)
                .map(|object| self.render(resource, object));
        }
        self.list(resource, Some(namespace)).into_iter().find(|object| {
            text(object, "/metadata/name") == name && text(object, "/metadata/namespace") == namespace
        })
    }

    /// All objects of a resource, in one namespace or in all.
    pub fn list(&self, resource: &Resource, namespace: Option<&str>) -> Vec<Value> {
        let mut found: Vec<Value> = match (resource.group, resource.plural) {
            ("", "pods") => self.pods().map(|pod| pods::render(self, pod)).collect(),
            ("", "events") => events::all(self),
            ("", "serviceaccounts") => accounts(self),
            ("", "endpoints") => network::endpoints(self),
            ("discovery.k8s.io", _) => network::slices(self),
            ("metrics.k8s.io", "nodes") => metrics::nodes(self),
            ("metrics.k8s.io", _) => metrics::pods(self),
            _ => self.state.objects_of(&resource.id()).map(|object| self.render(resource, object)).collect(),
        };
        if let Some(namespace) = namespace {
            found.retain(|object| text(object, "/metadata/namespace") == namespace);
        }
        found.sort_by(|a, b| {
            let key = |o| (text(o, "/metadata/namespace"), text(o, "/metadata/name"));
            key(a).cmp(&key(b))
        });
        found
    }

    pub fn pods(&self) -> impl Iterator<Item = &'a crate::state::Pod> + '_ {
        self.state.pods.iter().filter(|pod| pod.exists(self.now))
    }

    fn render(&self, resource: &Resource, object: &Value) -> Value {
        match (resource.group, resource.plural) {
            ("apps", "deployments") => deployments::render(self, object),
            ("apps", "replicasets") => deployments::render_set(self, object),
            ("", "namespaces") => active(object),
            ("", "resourcequotas") => policies::quota(self, object),
            ("policy", _) => policies::budget(self, object),
            ("autoscaling", _) => policies::autoscaler(self, object),
            ("argoproj.io", _) => policies::application(self, object),
            _ => object.clone(),
        }
    }
}

/// Every namespace has the account that pods run as.
fn accounts(view: &View<'_>) -> Vec<Value> {
    let of = |namespace: &Value| {
        let metadata = &namespace["metadata"];
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {
                "name": "default", "namespace": metadata["name"], "resourceVersion": metadata["resourceVersion"],
                "creationTimestamp": metadata["creationTimestamp"],
                "uid": crate::names::uid(&format!("account/{}", metadata["uid"])),
            },
        })
    };
    view.state.objects_of("namespaces").map(of).collect()
}

fn active(object: &Value) -> Value {
    let mut shown = object.clone();
    shown["status"] = json!({ "phase": "Active" });
    shown
}

/// Whether clients see this resource from the stored objects.
fn is_stored(resource: &Resource) -> bool {
    let derived = ["pods", "events", "endpoints", "endpointslices", "serviceaccounts"];
    resource.group != "metrics.k8s.io" && !derived.contains(&resource.plural)
}

/// A condition as most kinds carry it.
pub(crate) fn condition(kind: &str, status: bool, reason: &str, message: &str, since: &str) -> Value {
    let status = if status { "True" } else { "False" };
    let mut condition = json!({ "type": kind, "status": status, "lastTransitionTime": since });
    if !reason.is_empty() {
        condition["reason"] = json!(reason);
    }
    if !message.is_empty() {
        condition["message"] = json!(message);
    }
    condition
}

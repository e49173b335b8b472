//! Deployments, StatefulSets and DaemonSets: naming them, finding them, and what their rollout
//! has come to.

use std::{collections::BTreeMap, fmt};

use runbook_core::{
    Value,
    change::Target,
    fault::{Fault, FaultKind},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    client::{Session, parse},
    place::Place,
    view::{self, Workload},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

impl Kind {
    /// `deployments`.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
        }
    }
    /// `Deployment`.
    pub(crate) fn object(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
        })
    }
}

/// The address of one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkloadRef {
    pub(crate) namespace: String,
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

impl WorkloadRef {
    pub(crate) fn deployment(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), kind: Kind::Deployment, name: name.to_owned() }
    }

    /// The one of several inputs that is given.
    pub(crate) fn one_of(namespace: &str, given: [(Kind, &Option<String>); 3]) -> Result<Self, Fault> {
        let mut named = given.into_iter().filter_map(|(kind, name)| Some((kind, name.clone()?)));
        match (named.next(), named.next()) {
            (Some((kind, name)), None) => Ok(Self { namespace: namespace.to_owned(), kind, name }),
            (None, _) => Err(Fault::permanent("`with` names no workload")
                .hint("give `deployment: NAME`, `statefulset: NAME` or `daemonset: NAME`")),
            (Some(_), Some(_)) => {
                Err(Fault::permanent("`with` names several workloads").hint("give only one"))
            }
        }
    }

    pub(crate) fn place(&self) -> Place {
        Place::apps(self.kind.resource()).within(&self.namespace).named(&self.name)
    }

    /// `kubernetes:shop/deployment/api`.
    pub(crate) fn target_name(&self) -> String {
        format!("kubernetes:{}/{}/{}", self.namespace, self.kind, self.name)
    }

    pub(crate) fn target(&self, object: &Value) -> Target {
        let uid = object.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned);
        Target::new(self.target_name(), uid)
    }

    /// The object, without what only the server keeps books with.
    pub(crate) async fn get(&self, session: &Session<'_>) -> Result<Value, Fault> {
        match session.get(self.place()).await {
            Ok(object) => Ok(trimmed(object)),
            Err(fault) if fault.kind == FaultKind::NotFound => {
                Err(with_near_names(session, &self.place(), fault).await)
            }
            Err(fault) => Err(fault),
        }
    }
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// An object without the records of who set which field, which can be larger than the rest.
pub(crate) fn trimmed(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("selfLink");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    object
}

const NEAR: f32 = 0.5;
const MOST_NAMES: usize = 5;

/// Adds to "there is no …" what there is instead, as far as one may look.
pub(crate) async fn with_near_names(session: &Session<'_>, place: &Place, fault: Fault) -> Fault {
    let Some(name) = &place.name else { return fault };
    let Ok(names) = session.names(&place.collection()).await else { return fault };
    if names.is_empty() {
        let within = place.namespace.as_deref().unwrap_or("the cluster");
        return match &place.namespace {
            Some(namespace) if !exists(session, namespace).await => {
                Fault::not_found(format!("there is no namespace `{namespace}`"))
                    .hint("check the namespace and the context of this environment")
            }
            _ => fault.hint(format!("there are no {} in `{within}` at all", place.resource)),
        };
    }
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let near = similar::get_close_matches(name.as_str(), &known, MOST_NAMES, NEAR);
    match near.split_first() {
        Some((first, _)) => fault.hint(format!("did you mean `{first}`?")),
        None => fault.hint(format!(
            "there is: {}",
            known.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ")
        )),
    }
}

/// Whether a namespace exists; where one may not look, it is taken to.
async fn exists(session: &Session<'_>, namespace: &str) -> bool {
    let looked = session.get(Place::core("namespaces").named(namespace)).await;
    !matches!(looked, Err(fault) if fault.kind == FaultKind::NotFound)
}

pub(crate) fn view_of(object: &Value) -> Result<Workload, Fault> {
    parse(object.clone())
}

/// How many pods of a workload there are to be, and are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) desired: i64,
    pub(crate) total: i64,
    pub(crate) ready: i64,
    pub(crate) updated: i64,
    pub(crate) available: i64,
}

impl Counts {
    pub(crate) fn of(kind: Kind, workload: &Workload) -> Self {
        let status = &workload.status;
        match kind {
            Kind::DaemonSet => Self {
                desired: status.desired_number_scheduled,
                total: status.current_number_scheduled,
                ready: status.number_ready,
                updated: status.updated_number_scheduled,
                available: status.number_available,
            },
            Kind::Deployment | Kind::StatefulSet => Self {
                desired: workload.spec.replicas.unwrap_or(1),
                total: status.replicas,
                ready: status.ready_replicas,
                updated: status.updated_replicas,
                available: status.available_replicas,
            },
        }
    }
}

pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
pub(crate) const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

/// The revision that a deployment or one of its ReplicaSets is at.
pub(crate) fn revision(metadata: &view::Meta) -> Option<i64> {
    metadata.annotations.get(REVISION)?.parse().ok()
}

/// Container -> image.
pub(crate) fn images(template: &view::Template) -> BTreeMap<String, String> {
    let containers = template.spec.containers.iter();
    containers.map(|container| (container.name.clone(), container.image.clone())).collect()
}

//! Where pods fit: the nodes' memory, processors and pod counts, and the namespaces' quotas.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cluster::template::Facts;
use crate::model::Model;
use crate::quantity;
use crate::state::{Pod, State, text};
use crate::time::Seconds;

pub(crate) const PODS_PER_NODE: usize = 110;
/// The whole cluster holds no more, so that no request can make a world grow without end.
pub(crate) const MAX_PODS: usize = 1_000;

/// What is in use, of a node or of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    pub pods: usize,
    pub cpu: f64,
    pub memory: f64,
}

impl Usage {
    pub fn add(&mut self, facts: &Facts) {
        self.pods += 1;
        self.cpu += facts.cpu;
        self.memory += facts.memory;
    }
}

/// What the pods on each node ask for.
pub(crate) fn by_node(model: &Model<'_>, at: Seconds) -> BTreeMap<String, Usage> {
    let mut usage: BTreeMap<String, Usage> = model
        .state
        .objects_of("nodes")
        .map(|node| (text(node, "/metadata/name").to_owned(), Usage::default()))
        .collect();
    for pod in model.state.pods.iter().filter(|pod| pod.exists(at)) {
        if let (Some(node), Some(facts)) = (&pod.node, model.facts(pod))
            && let Some(used) = usage.get_mut(node)
        {
            used.add(facts);
        }
    }
    usage
}

pub(crate) fn by_namespace(model: &Model<'_>, namespace: &str, at: Seconds) -> Usage {
    let mut usage = Usage::default();
    for pod in model.state.pods.iter().filter(|pod| pod.namespace == namespace && pod.exists(at)) {
        if let Some(facts) = model.facts(pod) {
            usage.add(facts);
        }
    }
    usage
}

/// The node with the most free memory on which a pod fits.
pub(crate) fn find_node(state: &State, usage: &BTreeMap<String, Usage>, facts: &Facts) -> Option<String> {
    let free = |node: &Value| {
        let used = usage.get(text(node, "/metadata/name")).copied().unwrap_or_default();
        let of = |resource: &str| {
            quantity::parse(text(node, &format!("/status/allocatable/{resource}"))).unwrap_or(0.0)
        };
        let (cpu, memory) = (of("cpu") - used.cpu, of("memory") - used.memory);
        let fits = cpu >= facts.cpu && memory >= facts.memory && used.pods < PODS_PER_NODE;
        (fits && node.pointer("/spec/unschedulable") != Some(&Value::Bool(true))).then_some(memory)
    };
    state
        .objects_of("nodes")
        .filter_map(|node| Some((free(node)?, text(node, "/metadata/name"))))
        .max_by(|(a, left), (b, right)| a.total_cmp(b).then(right.cmp(left)))
        .map(|(_, name)| name.to_owned())
}

/// Which quota a further pod would break, told as the API server does.
pub(crate) fn exceeded_quota(
    model: &Model<'_>,
    namespace: &str,
    facts: &Facts,
    at: Seconds,
) -> Option<String> {
    let used = by_namespace(model, namespace, at);
    let wanted = [
        ("pods", used.pods as f64, 1.0),
        ("requests.cpu", used.cpu, facts.cpu),
        ("requests.memory", used.memory, facts.memory),
    ];
    model.state.objects_of("resourcequotas").filter(|q| text(q, "/metadata/namespace") == namespace).find_map(
        |quota| {
            let (resource, hard) = wanted.iter().find_map(|(resource, used, more)| {
                let hard = quota["spec"]["hard"].get(*resource)?.as_str()?;
                (used + more > quantity::parse(hard)?).then_some((*resource, hard))
            })?;
            Some(format!("exceeded quota: {}, limited: {resource}={hard}", text(quota, "/metadata/name")))
        },
    )
}

/// Why a pending pod fits nowhere, in the scheduler's words.
pub(crate) fn unschedulable_message(model: &Model<'_>, pod: &Pod, at: Seconds) -> String {
    let facts = model.facts(pod).cloned().unwrap_or_default();
    let usage = by_node(model, at);
    let (mut memory, mut cpu, mut cordoned, mut full, mut nodes) = (0, 0, 0, 0, 0);
    for node in model.state.objects_of("nodes") {
        nodes += 1;
        let used = usage.get(text(node, "/metadata/name")).copied().unwrap_or_default();
        let of = |resource: &str| {
            quantity::parse(text(node, &format!("/status/allocatable/{resource}"))).unwrap_or(0.0)
        };
        cordoned += usize::from(node.pointer("/spec/unschedulable") == Some(&Value::Bool(true)));
        memory += usize::from(of("memory") - used.memory < facts.memory);
        cpu += usize::from(of("cpu") - used.cpu < facts.cpu);
        full += usize::from(used.pods >= PODS_PER_NODE);
    }
    let reasons: Vec<String> = [
        (cordoned, "node(s) were unschedulable"),
        (cpu, "Insufficient cpu"),
        (memory, "Insufficient memory"),
        (full, "Too many pods"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, reason)| format!("{count} {reason}"))
    .collect();
    format!("0/{nodes} nodes are available: {}.", reasons.join(", "))
}

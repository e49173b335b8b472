//! `kubernetes.top`: what pods or nodes use right now, by the metrics API.

use std::collections::BTreeMap;

use async_trait::async_trait;
use runbook_core::{
    Value,
    change::Observed,
    fault::{Fault, FaultKind},
    spec::ActionSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Read, outputs};
use crate::{
    client::{Session, parse},
    place::Place,
    quantity::Quantity,
    schema,
    view::{Meta, Node},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Of {
    #[default]
    Pods,
    Nodes,
}

/// Whose use.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// `pods` or `nodes`.
    #[serde(default)]
    kind: Of,
    /// The namespace of the pods; all namespaces where it is left out.
    namespace: Option<String>,
    /// A label selector.
    selector: Option<String>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// How many pods or nodes were measured.
    count: usize,
    /// Cores that all of them use.
    cpu: f64,
    /// Bytes of memory that all of them use.
    memory: i64,
    /// The largest share of a node's cores in use, in percent; for nodes only.
    cpu_percent_max: Option<f64>,
    /// The largest share of a node's memory in use, in percent; for nodes only.
    memory_percent_max: Option<f64>,
    /// What each uses, the largest use of memory first, at most a hundred.
    items: Vec<ItemOutput>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ItemOutput {
    /// The pod or node.
    name: String,
    /// The namespace of a pod.
    namespace: Option<String>,
    /// Cores in use.
    cpu: f64,
    /// Bytes of memory in use.
    memory: i64,
    /// Percent of the cores that a node has to give.
    cpu_percent: Option<f64>,
    /// Percent of the memory that a node has to give.
    memory_percent: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Measured {
    metadata: Meta,
    usage: BTreeMap<String, Value>,
    containers: Vec<Usage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Usage {
    usage: BTreeMap<String, Value>,
}

impl Measured {
    fn uses(&self, resource: &str) -> Quantity {
        let own =
            std::iter::once(&self.usage).chain(self.containers.iter().map(|container| &container.usage));
        own.filter_map(|usage| usage.get(resource))
            .filter_map(Quantity::of)
            .fold(Quantity::ZERO, Quantity::plus)
    }
}

const MOST_SHOWN: usize = 100;
/// The versions of the metrics API that this understands.
const VERSION: &str = "v1beta1";

#[derive(Debug)]
pub(crate) struct Top;

#[async_trait]
impl Read for Top {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            permissions: vec![schema::rbac("metrics.k8s.io", "pods", &["list"])],
            example: json!({"kind": "pods", "namespace": "production", "selector": "app=api"}),
            ..schema::read::<Input, Output>("top", "Cores and memory that pods or nodes use right now")
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let resource = if input.kind == Of::Nodes { "nodes" } else { "pods" };
        let mut place = Place::of("metrics.k8s.io", VERSION, resource);
        place.namespace = input.namespace.filter(|_| input.kind == Of::Pods);
        let listed = session.list(&place, input.selector.as_deref(), None).await.map_err(not_installed)?;
        let measured: Vec<Measured> = listed.items.into_iter().map(parse).collect::<Result<_, _>>()?;
        let nodes = if input.kind == Of::Nodes {
            nodes(session, input.selector.as_deref()).await?
        } else {
            Vec::new()
        };
        Ok(Observed::outputs(outputs(&told(&measured, &nodes))?))
    }
}

fn not_installed(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::NotFound => Fault::not_found("the cluster has no metrics API")
            .hint("install metrics-server, or ask Prometheus"),
        FaultKind::Refused => {
            fault.hint("the metrics API is installed but does not answer: look at metrics-server")
        }
        _ => fault,
    }
}

async fn nodes(session: &Session<'_>, selector: Option<&str>) -> Result<Vec<Node>, Fault> {
    let listed = session.list(&Place::core("nodes"), selector, None).await?;
    listed.items.into_iter().map(parse).collect()
}

fn told(measured: &[Measured], nodes: &[Node]) -> Output {
    let mut output = Output { count: measured.len(), ..Output::default() };
    let (mut cpu, mut memory) = (Quantity::ZERO, Quantity::ZERO);
    for item in measured {
        let node = nodes.iter().find(|node| node.metadata.name == item.metadata.name);
        let share = |resource: &str| percent(item.uses(resource), node?.status.allocatable.get(resource)?);
        (cpu, memory) = (cpu.plus(item.uses("cpu")), memory.plus(item.uses("memory")));
        output.items.push(ItemOutput {
            name: item.metadata.name.clone(),
            namespace: Some(item.metadata.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            cpu: item.uses("cpu").units(),
            memory: item.uses("memory").whole(),
            cpu_percent: share("cpu"),
            memory_percent: share("memory"),
        });
    }
    let largest =
        |share: fn(&ItemOutput) -> Option<f64>| output.items.iter().filter_map(share).max_by(f64::total_cmp);
    (output.cpu_percent_max, output.memory_percent_max) =
        (largest(|item| item.cpu_percent), largest(|item| item.memory_percent));
    (output.cpu, output.memory) = (cpu.units(), memory.whole());
    output.items.sort_by(|a, b| b.memory.cmp(&a.memory).then_with(|| a.name.cmp(&b.name)));
    output.items.truncate(MOST_SHOWN);
    output
}

/// One digit after the point is all that anybody reads.
fn percent(used: Quantity, of: &Value) -> Option<f64> {
    let of = Quantity::of(of)?.units();
    (of > 0.0).then(|| (used.units() / of * 1000.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_containers_and_takes_shares_of_nodes() {
        let pods: Vec<Measured> = serde_json::from_value(json!([
            {"metadata": {"name": "a", "namespace": "shop"}, "containers": [
                {"usage": {"cpu": "100m", "memory": "64Mi"}}, {"usage": {"cpu": "25000000n", "memory": "64Mi"}}]},
            {"metadata": {"name": "b", "namespace": "shop"}, "containers": [{"usage": {"cpu": "1", "memory": "1Gi"}}]},
        ]))
        .unwrap();
        let output = told(&pods, &[]);
        assert_eq!((output.count, output.cpu, output.memory), (2, 1.125, (1 << 30) + (128 << 20)));
        assert_eq!(output.items[0].name, "b");
        assert_eq!(output.cpu_percent_max, None);

        let measured: Vec<Measured> = serde_json::from_value(
            json!([{"metadata": {"name": "n"}, "usage": {"cpu": "1", "memory": "6Gi"}}]),
        )
        .unwrap();
        let nodes: Vec<Node> = serde_json::from_value(
            json!([{"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "3", "memory": "8Gi"}}}]),
        )
        .unwrap();
        let output = told(&measured, &nodes);
        assert_eq!((output.cpu_percent_max, output.memory_percent_max), (Some(33.3), Some(75.0)));
    }
}

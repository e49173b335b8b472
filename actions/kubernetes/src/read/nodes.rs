//! `kubernetes.nodes`: what the nodes have to give, what is asked of them, and which are in trouble.

use async_trait::async_trait;
use futures::join;
use runbook_core::{change::Observed, fault::Fault, spec::ActionSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Read, outputs};
use crate::{
    client::{MOST_LISTED, Session, parse},
    place::Place,
    quantity::Quantity,
    schema,
    view::{Node, Pod, condition},
};

/// Which nodes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// A label selector; all nodes where it is left out.
    selector: Option<String>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// How many nodes there are.
    count: usize,
    /// How many are ready.
    ready: usize,
    /// How many take no new pods.
    unschedulable: usize,
    /// The nodes that are short of memory, disk, processes or network, with what they lack.
    pressure: Vec<String>,
    /// Cores that all of them have to give.
    cpu_allocatable: f64,
    /// Cores that the pods on them ask for; nothing where pods may not be listed.
    cpu_requested: Option<f64>,
    /// Bytes of memory that all of them have to give.
    memory_allocatable: i64,
    /// Bytes of memory that the pods on them ask for; nothing where pods may not be listed.
    memory_requested: Option<i64>,
    /// The nodes, at most two hundred.
    nodes: Vec<NodeOutput>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct NodeOutput {
    /// Its name.
    name: String,
    /// Whether it is ready.
    ready: bool,
    /// Whether it takes no new pods.
    unschedulable: bool,
    /// What it is short of: `MemoryPressure`, `DiskPressure`, …
    pressure: Vec<String>,
    /// Cores that it has to give.
    cpu_allocatable: f64,
    /// Cores that its pods ask for.
    cpu_requested: Option<f64>,
    /// Bytes of memory that it has to give.
    memory_allocatable: i64,
    /// Bytes of memory that its pods ask for.
    memory_requested: Option<i64>,
    /// How many pods run on it.
    pods: Option<usize>,
}

const MOST_SHOWN: usize = 200;
const PRESSURES: [&str; 4] = ["MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"];

#[derive(Debug)]
pub(crate) struct Nodes;

#[async_trait]
impl Read for Nodes {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            permissions: vec![schema::rbac("", "nodes", &["list"]), schema::rbac("", "pods", &["list"])],
            example: json!({}),
            ..schema::read::<Input, Output>(
                "nodes",
                "Readiness, pressure and allocated resources of the nodes",
            )
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let (nodes, pods) = (Place::core("nodes"), Place::core("pods"));
        let unfinished = "status.phase!=Succeeded,status.phase!=Failed";
        let (nodes, pods) = join!(
            session.list(&nodes, input.selector.as_deref(), None),
            session.list(&pods, None, Some(unfinished)),
        );
        let nodes: Vec<Node> = nodes?.items.into_iter().map(parse).collect::<Result<_, _>>()?;
        let mut warnings = Vec::new();
        let pods = match pods {
            Ok(listed) => {
                if listed.truncated {
                    warnings.push(format!(
                        "there are more than {MOST_LISTED} pods; what the rest asks for is not counted"
                    ));
                }
                Some(listed.items.into_iter().map(parse).collect::<Result<Vec<Pod>, _>>()?)
            }
            Err(fault) => {
                warnings.push(format!("what pods ask for is not known: {fault}"));
                None
            }
        };
        Ok(Observed { warnings, ..Observed::outputs(outputs(&told(&nodes, pods.as_deref()))?) })
    }
}

fn told(nodes: &[Node], pods: Option<&[Pod]>) -> Output {
    let mut output = Output { count: nodes.len(), ..Output::default() };
    let (mut cpu, mut memory) = (Quantity::ZERO, Quantity::ZERO);
    let (mut cpu_asked, mut memory_asked) = (Quantity::ZERO, Quantity::ZERO);
    for node in nodes {
        let name = &node.metadata.name;
        let has =
            |resource: &str| node.status.allocatable.get(resource).and_then(Quantity::of).unwrap_or_default();
        let ready = condition(&node.status.conditions, "Ready").is_some_and(|ready| ready.status == "True");
        let own = pods.map(|pods| pods.iter().filter(|pod| pod.spec.node_name == *name).collect::<Vec<_>>());
        let asked = |resource: &str| {
            own.as_ref()
                .map(|own| own.iter().map(|pod| asks_for(pod, resource)).fold(Quantity::ZERO, Quantity::plus))
        };
        let short: Vec<String> = PRESSURES
            .into_iter()
            .filter(|kind| condition(&node.status.conditions, kind).is_some_and(|it| it.status == "True"))
            .map(str::to_owned)
            .collect();
        output.ready += usize::from(ready);
        output.unschedulable += usize::from(node.spec.unschedulable);
        output.pressure.extend(short.iter().map(|kind| format!("{name}: {kind}")));
        (cpu, memory) = (cpu.plus(has("cpu")), memory.plus(has("memory")));
        cpu_asked = cpu_asked.plus(asked("cpu").unwrap_or_default());
        memory_asked = memory_asked.plus(asked("memory").unwrap_or_default());
        if output.nodes.len() < MOST_SHOWN {
            output.nodes.push(NodeOutput {
                name: name.clone(),
                ready,
                unschedulable: node.spec.unschedulable,
                pressure: short,
                cpu_allocatable: has("cpu").units(),
                cpu_requested: asked("cpu").map(Quantity::units),
                memory_allocatable: has("memory").whole(),
                memory_requested: asked("memory").map(Quantity::whole),
                pods: own.as_ref().map(Vec::len),
            });
        }
    }
    (output.cpu_allocatable, output.memory_allocatable) = (cpu.units(), memory.whole());
    output.cpu_requested = pods.map(|_| cpu_asked.units());
    output.memory_requested = pods.map(|_| memory_asked.whole());
    output
}

fn asks_for(pod: &Pod, resource: &str) -> Quantity {
    let requests =
        pod.spec.containers.iter().filter_map(|container| container.resources.requests.get(resource));
    requests.filter_map(Quantity::of).fold(Quantity::ZERO, Quantity::plus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_what_is_asked_of_each_node() {
        let nodes: Vec<Node> = serde_json::from_value(json!([
            {"metadata": {"name": "a"}, "status": {
                "allocatable": {"cpu": "4", "memory": "8Gi"},
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "MemoryPressure", "status": "True"}]}},
            {"metadata": {"name": "b"}, "spec": {"unschedulable": true},
             "status": {"allocatable": {"cpu": "3500m", "memory": "8Gi"}}},
        ]))
        .unwrap();
        let pod = |node: &str, cpu: &str| json!({"spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}]}});
        let pods: Vec<Pod> =
            serde_json::from_value(json!([pod("a", "250m"), pod("a", "1"), pod("b", "2")])).unwrap();
        let output = told(&nodes, Some(&pods));
        assert_eq!((output.count, output.ready, output.unschedulable), (2, 1, 1));
        assert_eq!(output.pressure, ["a: MemoryPressure"]);
        assert_eq!((output.cpu_allocatable, output.cpu_requested), (7.5, Some(3.25)));
        assert_eq!((output.memory_allocatable, output.memory_requested), (16 << 30, Some(3 << 30)));
        assert_eq!((output.nodes[0].cpu_requested, output.nodes[0].pods), (Some(1.25), Some(2)));
        assert_eq!(told(&nodes, None).cpu_requested, None);
    }
}

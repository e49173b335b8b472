//! LimitRanges that pods of a template would break: the server takes the template, and then refuses
//! each of its pods.

use std::collections::BTreeMap;

use runbook_contract::Obstacle;
use runbook_core::{Value, fault::Fault};
use serde::Deserialize;

use crate::{
    client::{Session, parse},
    place::Place,
    quantity::Quantity,
    view::{Container, Meta},
    workload::WorkloadRef,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LimitRange {
    metadata: Meta,
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    limits: Vec<Limit>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Limit {
    #[serde(rename = "type")]
    kind: String,
    max: BTreeMap<String, Value>,
    min: BTreeMap<String, Value>,
}

/// `containers` are those of the pods that are to be made.
pub(super) async fn look(
    session: &Session<'_>,
    of: &WorkloadRef,
    containers: &[Container],
) -> Result<Vec<Obstacle>, Fault> {
    if containers.is_empty() {
        return Ok(Vec::new());
    }
    let place = Place::core("limitranges").within(&of.namespace);
    let listed = session.list(&place, None, None).await?.items.into_iter().map(parse::<LimitRange>);
    let ranges: Vec<LimitRange> = listed.collect::<Result<_, _>>()?;
    let pairs = ranges.iter().flat_map(|range| containers.iter().map(move |container| (range, container)));
    Ok(pairs.flat_map(|(range, container)| broken(range, container)).collect())
}

/// Only what a container says itself is compared: what it leaves out, the server fills in so that
/// it fits.
fn broken(range: &LimitRange, container: &Container) -> Vec<Obstacle> {
    let name = &range.metadata.name;
    let limits = &container.resources.limits;
    let requests = &container.resources.requests;
    let amount =
        |amounts: &BTreeMap<String, Value>, resource: &String| amounts.get(resource).and_then(Quantity::of);
    let mut told = Vec::new();
    for limit in range.spec.limits.iter().filter(|limit| limit.kind == "Container") {
        for (resource, most) in &limit.max {
            let asked = amount(limits, resource).max(amount(requests, resource));
            if let (Some(asked), Some(most)) = (asked, Quantity::of(most))
                && asked > most
            {
                told.push(format!("at most {most} of {resource}, and `{}` asks for {asked}", container.name));
            }
        }
        for (resource, least) in &limit.min {
            let asked = amount(requests, resource).or_else(|| amount(limits, resource));
            if let (Some(asked), Some(least)) = (asked, Quantity::of(least))
                && asked < least
            {
                told.push(format!(
                    "at least {least} of {resource}, and `{}` asks for {asked}",
                    container.name
                ));
            }
        }
    }
    let obstacles = told.into_iter().map(|what| Obstacle {
        blocking: true,
        code: "limits".to_owned(),
        message: format!("limit range `{name}` wants of a container {what}: its pods would be refused"),
        hint: Some("ask for an amount within the limit range, or have that changed".to_owned()),
    });
    obstacles.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tells_amounts_that_a_limit_range_does_not_allow() {
        let range: LimitRange =
            serde_json::from_value(json!({"metadata": {"name": "sizes"}, "spec": {"limits": [
                {"type": "Container", "max": {"memory": "2Gi", "cpu": "1"}, "min": {"memory": "64Mi"}},
                {"type": "Pod", "max": {"memory": "1"}},
            ]}}))
            .unwrap();
        for (resources, said) in [
            (json!({}), vec![]),
            (json!({"limits": {"memory": "2048Mi", "cpu": "1000m"}}), vec![]),
            (json!({"limits": {"memory": "3Gi"}}), vec!["at most 2Gi of memory, and `app` asks for 3Gi"]),
            (json!({"requests": {"cpu": "2"}}), vec!["at most 1 of cpu, and `app` asks for 2"]),
            (json!({"limits": {"memory": "32Mi"}}), vec!["at least 64Mi of memory, and `app` asks for 32Mi"]),
            (
                json!({"limits": {"memory": "1Gi"}, "requests": {"memory": "1"}}),
                vec!["at least 64Mi of memory"],
            ),
        ] {
            let container: Container =
                serde_json::from_value(json!({"name": "app", "resources": resources})).unwrap();
            let found = broken(&range, &container);
            assert_eq!(found.len(), said.len(), "{resources}: {found:?}");
            for (found, said) in found.iter().zip(said) {
                assert!(found.message.contains(said), "{found:?}");
            }
        }
    }
}

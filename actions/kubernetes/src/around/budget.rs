//! A PodDisruptionBudget that allows no disruption right now.

use runbook_contract::Obstacle;
use runbook_core::fault::Fault;
use serde::Deserialize;

use super::Depth;
use crate::{
    client::{Session, parse},
    discover,
    place::Place,
    selector,
    view::{LabelSelector, Meta, Workload},
    workload::WorkloadRef,
};

const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Budget {
    metadata: Meta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    selector: LabelSelector,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    disruptions_allowed: i64,
    current_healthy: i64,
    desired_healthy: i64,
    expected_pods: i64,
}

/// Budgets hold back evictions, not rollouts or scaling, so a plan does not mention them.
pub(super) async fn look(
    session: &Session<'_>,
    of: &WorkloadRef,
    workload: &Workload,
    depth: Depth,
) -> Result<Vec<Obstacle>, Fault> {
    if depth == Depth::Plan {
        return Ok(Vec::new());
    }
    let Some(version) = discover::version(session, "policy", &VERSIONS).await? else { return Ok(Vec::new()) };
    let place = Place::of("policy", version, "poddisruptionbudgets").within(&of.namespace);
    let budgets = session.list(&place, None, None).await?.items.into_iter().map(parse::<Budget>);
    let budgets: Vec<Budget> = budgets.collect::<Result<_, _>>()?;
    Ok(budgets.iter().filter_map(|budget| exhausted(budget, workload)).collect())
}

fn exhausted(budget: &Budget, workload: &Workload) -> Option<Obstacle> {
    let chosen = selector::of(&budget.spec.selector);
    let covers = selector::matches(&chosen, &workload.spec.template.metadata.labels);
    let status = &budget.status;
    (covers && status.expected_pods > 0 && status.disruptions_allowed == 0).then(|| Obstacle {
        blocking: false,
        code: "pdb".to_owned(),
        message: format!(
            "PodDisruptionBudget `{}` allows no disruption now: {} of {} pods are healthy, {} must be",
            budget.metadata.name, status.current_healthy, status.expected_pods, status.desired_healthy
        ),
        hint: Some("evictions, such as draining a node, will wait; rollouts and scaling will not".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_exhausted_budget_of_these_pods_counts() {
        let workload: Workload =
            serde_json::from_value(json!({"spec": {"template": {"metadata": {"labels": {"app": "api"}}}}}))
                .unwrap();
        for (app, allowed, expected, found) in
            [("api", 0, 3, true), ("api", 1, 3, false), ("db", 0, 3, false), ("api", 0, 0, false)]
        {
            let budget: Budget = serde_json::from_value(json!({
                "spec": {"selector": {"matchLabels": {"app": app}}},
                "status": {"disruptionsAllowed": allowed, "expectedPods": expected},
            }))
            .unwrap();
            assert_eq!(exhausted(&budget, &workload).is_some(), found, "{app} {allowed} {expected}");
        }
    }
}

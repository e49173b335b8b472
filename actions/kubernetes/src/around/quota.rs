//! ResourceQuotas that more, or larger, pods would exceed.

use std::collections::BTreeMap;

use runbook_contract::Obstacle;
use runbook_core::{Value, fault::Fault};
use serde::Deserialize;

use crate::{
    client::{Session, parse},
    place::Place,
    quantity::Quantity,
    view::{Meta, Template},
    workload::WorkloadRef,
};

/// By the names that quotas use: `pods`, `requests.cpu`, `limits.memory`.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResourceQuota {
    metadata: Meta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    scopes: Vec<String>,
    scope_selector: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    hard: BTreeMap<String, Value>,
    used: BTreeMap<String, Value>,
}

/// What a number of pods of a template asks for. Nothing where pods are taken away.
pub(crate) fn of_pods(template: &Template, count: i64) -> Amounts {
    let mut amounts = Amounts::new();
    if count <= 0 {
        return amounts;
    }
    amounts.insert("pods".to_owned(), Quantity::parse("1").unwrap_or_default().times(count));
    for container in &template.spec.containers {
        for (side, given) in
            [("requests", &container.resources.requests), ("limits", &container.resources.limits)]
        {
            for (resource, amount) in given {
                let Some(amount) = Quantity::of(amount) else { continue };
                let sum = amounts.entry(format!("{side}.{resource}")).or_default();
                *sum = sum.plus(amount.times(count));
            }
        }
    }
    amounts
}

pub(super) async fn look(
    session: &Session<'_>,
    of: &WorkloadRef,
    needed: &Amounts,
) -> Result<Vec<Obstacle>, Fault> {
    if needed.values().all(|amount| *amount <= Quantity::ZERO) {
        return Ok(Vec::new());
    }
    let place = Place::core("resourcequotas").within(&of.namespace);
    let quotas = session.list(&place, None, None).await?.items.into_iter().map(parse::<ResourceQuota>);
    let quotas: Vec<ResourceQuota> = quotas.collect::<Result<_, _>>()?;
    Ok(quotas.iter().flat_map(|quota| exceeded(quota, needed)).collect())
}

/// Quotas with a scope are for some pods only; whether for these is not worked out here.
fn exceeded(quota: &ResourceQuota, needed: &Amounts) -> Vec<Obstacle> {
    if !quota.spec.scopes.is_empty() || quota.spec.scope_selector.is_some() {
        return Vec::new();
    }
    let limits = quota.status.hard.iter().filter_map(|(name, hard)| {
        let asked = *needed.get(full_name(name))?;
        let used = quota.status.used.get(name).and_then(Quantity::of).unwrap_or_default();
        let hard = Quantity::of(hard)?;
        (asked > Quantity::ZERO && used.plus(asked) > hard).then(|| Obstacle {
            blocking: true,
            code: "quota".to_owned(),
            message: format!(
                "quota `{}` has no room: {name} is at {used} of {hard}, and {asked} more would be needed",
                quota.metadata.name
            ),
            hint: Some("free some, or ask for a larger quota".to_owned()),
        })
    });
    limits.collect()
}

/// Quotas have short names for requests.
fn full_name(name: &str) -> &str {
    match name {
        "cpu" => "requests.cpu",
        "memory" => "requests.memory",
        "count/pods" => "pods",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tells_what_would_not_fit() {
        let template: Template = serde_json::from_value(json!({"spec": {"containers": [
            {"name": "a", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}},
            {"name": "b", "resources": {"requests": {"cpu": "100m"}}},
        ]}}))
        .unwrap();
        let needed = of_pods(&template, 3);
        assert_eq!(needed["requests.cpu"].to_string(), "1800m");
        let quota = |hard: Value, used: Value, scopes: Value| -> ResourceQuota {
            serde_json::from_value(json!({"metadata": {"name": "q"}, "spec": {"scopes": scopes}, "status": {"hard": hard, "used": used}})).unwrap()
        };
        for (hard, used, scopes, names) in [
            (json!({"pods": "10"}), json!({"pods": "7"}), json!([]), vec![]),
            (json!({"pods": "10"}), json!({"pods": "8"}), json!([]), vec!["pods"]),
            (json!({"cpu": "2"}), json!({"cpu": "300m"}), json!([]), vec!["cpu"]),
            (json!({"limits.memory": "8Gi"}), json!({"limits.memory": "1Gi"}), json!([]), vec![]),
            (
                json!({"limits.memory": "6Gi"}),
                json!({"limits.memory": "1Gi"}),
                json!([]),
                vec!["limits.memory"],
            ),
            (json!({"pods": "1"}), json!({"pods": "1"}), json!(["BestEffort"]), vec![]),
            (json!({"services": "1"}), json!({"services": "1"}), json!([]), vec![]),
        ] {
            let found = exceeded(&quota(hard.clone(), used, scopes), &needed);
            let named: Vec<_> = names
                .iter()
                .filter(|name| found.iter().any(|it| it.message.contains(&format!("{name} is at"))))
                .collect();
            assert_eq!((found.len(), named.len()), (names.len(), names.len()), "{hard}");
        }
        assert!(of_pods(&template, -2).is_empty());
    }
}

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

/// The room that a change needs.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Without it the change does not come to its end.
    pub(super) at_least: Amounts,
    /// Without it the change waits for pods that go.
    pub(super) at_ease: Amounts,
}

pub(super) async fn look(
    session: &Session<'_>,
    of: &WorkloadRef,
    needs: &Needs,
) -> Result<Vec<Obstacle>, Fault> {
    let mut amounts = needs.at_least.values().chain(needs.at_ease.values());
    if amounts.all(|amount| *amount <= Quantity::ZERO) {
        return Ok(Vec::new());
    }
    let place = Place::core("resourcequotas").within(&of.namespace);
    let quotas = session.list(&place, None, None).await?.items.into_iter().map(parse::<ResourceQuota>);
    let quotas: Vec<ResourceQuota> = quotas.collect::<Result<_, _>>()?;
    let all = quotas.iter().flat_map(|quota| {
        let short = exceeded(quota, &needs.at_least).map(|it| it.blocks());
        let short: Vec<Obstacle> = short.collect();
        if short.is_empty() { exceeded(quota, &needs.at_ease).map(|it| it.delays()).collect() } else { short }
    });
    Ok(all.collect())
}

/// A limit of a quota without the room that is asked for.
struct Short<'q> {
    quota: &'q str,
    name: &'q str,
    used: Quantity,
    hard: Quantity,
    asked: Quantity,
}

impl Short<'_> {
    fn blocks(&self) -> Obstacle {
        let Self { quota, name, used, hard, asked } = self;
        Obstacle {
            blocking: true,
            code: "quota".to_owned(),
            message: format!(
                "quota `{quota}` has no room: {name} is at {used} of {hard}, and {asked} more would be needed"
            ),
            hint: Some("free some, or ask for a larger quota".to_owned()),
        }
    }

    /// The controllers try again after pauses that double, so nobody can tell when they are through.
    fn delays(&self) -> Obstacle {
        let Self { quota, name, used, hard, asked } = self;
        Obstacle {
            blocking: false,
            code: "delay".to_owned(),
            message: format!(
                "quota `{quota}` slows it down: {name} is at {used} of {hard}, and {asked} more would be asked for; \
                 new pods come only as old ones go"
            ),
            hint: Some("free some, ask for a larger quota, or give the step more time".to_owned()),
        }
    }
}

/// Quotas with a scope are for some pods only; whether for these is not worked out here.
fn exceeded<'q>(quota: &'q ResourceQuota, needed: &'q Amounts) -> impl Iterator<Item = Short<'q>> {
    let for_all = quota.spec.scopes.is_empty() && quota.spec.scope_selector.is_none();
    quota.status.hard.iter().filter(move |_| for_all).filter_map(|(name, hard)| {
        let asked = *needed.get(full_name(name))?;
        let used = quota.status.used.get(name).and_then(Quantity::of).unwrap_or_default();
        let hard = Quantity::of(hard)?;
        (asked > Quantity::ZERO && used.plus(asked) > hard).then_some(Short {
            quota: &quota.metadata.name,
            name,
            used,
            hard,
            asked,
        })
    })
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
            let quota = quota(hard.clone(), used, scopes);
            let found: Vec<Obstacle> = exceeded(&quota, &needed).map(|it| it.blocks()).collect();
            let named: Vec<_> = names
                .iter()
                .filter(|name| found.iter().any(|it| it.message.contains(&format!("{name} is at"))))
                .collect();
            assert_eq!((found.len(), named.len()), (names.len(), names.len()), "{hard}");
        }
        assert!(of_pods(&template, -2).is_empty());
    }
}

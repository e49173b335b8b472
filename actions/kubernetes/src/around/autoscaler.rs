//! A HorizontalPodAutoscaler that sets the replicas itself.

use runbook_contract::Obstacle;
use runbook_core::{Value, fault::Fault};
use serde::Deserialize;

use super::Purpose;
use crate::{
    client::{Session, parse},
    discover,
    place::Place,
    view::Meta,
    workload::WorkloadRef,
};

/// All of them agree about the fields that are looked at here.
const VERSIONS: [&str; 4] = ["v2", "v2beta2", "v2beta1", "v1"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Autoscaler {
    metadata: Meta,
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    scale_target_ref: Reference,
    min_replicas: Option<i64>,
    max_replicas: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    kind: String,
    name: String,
}

pub(super) async fn look(
    session: &Session<'_>,
    of: &WorkloadRef,
    purpose: &Purpose,
) -> Result<Vec<Obstacle>, Fault> {
    if matches!(purpose, Purpose::Rollout { .. }) {
        return Ok(Vec::new());
    }
    let Some(version) = discover::version(session, "autoscaling", &VERSIONS).await? else {
        return Ok(Vec::new());
    };
    let place = Place::of("autoscaling", version, "horizontalpodautoscalers").within(&of.namespace);
    let listed = session.list(&place, None, None).await?;
    found(of, listed.items, purpose)
}

fn found(of: &WorkloadRef, autoscalers: Vec<Value>, purpose: &Purpose) -> Result<Vec<Obstacle>, Fault> {
    let mut obstacles = Vec::new();
    for autoscaler in autoscalers {
        let Autoscaler { metadata, spec } = parse(autoscaler)?;
        let target = &spec.scale_target_ref;
        if target.kind != of.kind.object() || target.name != of.name {
            continue;
        }
        let (name, least, most) = (metadata.name, spec.min_replicas.unwrap_or(1), spec.max_replicas);
        let message = match purpose {
            Purpose::Scale { to: 0 } => {
                format!("autoscaler `{name}` does nothing while {of} has no replicas")
            }
            _ => format!(
                "autoscaler `{name}` governs {of} and sets its replicas itself, between {least} and {most}"
            ),
        };
        let hint = match purpose {
            Purpose::Scale { to } if *to > 0 => format!("to hold {to}, set its minReplicas to {to} instead"),
            _ => "its minReplicas is what holds a number of pods".to_owned(),
        };
        obstacles.push(Obstacle { blocking: false, code: "hpa".to_owned(), message, hint: Some(hint) });
    }
    Ok(obstacles)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_autoscaler_of_the_workload_counts() {
        let of = WorkloadRef::deployment("shop", "api");
        let scaler = |kind: &str, name: &str| {
            json!({"metadata": {"name": "s"}, "spec": {
                "scaleTargetRef": {"kind": kind, "name": name}, "minReplicas": 2, "maxReplicas": 8}})
        };
        for (kind, name, expected) in
            [("Deployment", "api", 1), ("Deployment", "web", 0), ("StatefulSet", "api", 0)]
        {
            let obstacles = found(&of, vec![scaler(kind, name)], &Purpose::Scale { to: 10 }).unwrap();
            assert_eq!(obstacles.len(), expected, "{kind}/{name}");
        }
        let obstacles = found(&of, vec![scaler("Deployment", "api")], &Purpose::Scale { to: 10 }).unwrap();
        assert!(obstacles[0].message.contains("between 2 and 8"), "{}", obstacles[0].message);
    }
}

//! The shapes that deployments come in.

use runbook_core::Value;
use serde_json::json;

use crate::fixture::deployment;

/// A deployment and how it came to be. `NAME` and `NAMESPACE` stand for its own.
#[derive(Clone)]
pub struct Shape {
    pub name: &'static str,
    pub object: Value,
    /// JSON patches, each rolled out before the next.
    pub releases: Vec<Value>,
    /// The last rollout is not waited for: it is under way, or never ends.
    pub unsettled: bool,
    /// Its newest pods say that they cannot have their image.
    pub stuck: bool,
    /// A merge patch after all rollouts.
    pub finally: Option<Value>,
    /// Other objects: collection and object.
    pub beside: Vec<(&'static str, Value)>,
}

impl Shape {
    fn of(name: &'static str, replicas: i64) -> Self {
        Self {
            name,
            object: deployment("NAME", "shop/api:1", replicas),
            releases: Vec::new(),
            unsettled: false,
            stuck: false,
            finally: None,
            beside: Vec::new(),
        }
    }
    fn with(mut self, pointer: &str, value: Value) -> Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = self.object.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(items) => items.push(value),
            parent => parent[key] = value,
        }
        self
    }
    fn released(mut self, image: &str, cause: &str) -> Self {
        let cause =
            json!({"op": "add", "path": "/metadata/annotations/kubernetes.io~1change-cause", "value": cause});
        let image =
            json!({"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image});
        self.releases.push(json!([image, cause]));
        self
    }
    fn unsettled(self) -> Self {
        Self { unsettled: true, ..self }
    }
}

const POD: &str = "/spec/template/spec";

/// Those of which everything is asked.
pub fn shapes() -> Vec<Shape> {
    let sidecar =
        json!({"name": "sidecar", "image": "shop/proxy:1", "env": [{"name": "MODE", "value": "thin"}]});
    let from = json!([
        {"name": "LOG_LEVEL", "valueFrom": {"configMapKeyRef": {"name": "NAME", "key": "level", "optional": true}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "MODE", "value": "fast"},
        {"name": "EMPTY"},
    ]);
    let hpa = json!({
        "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "NAME"},
        "spec": {"minReplicas": 1, "maxReplicas": 10, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "NAME"}},
    });
    let slow = json!([
        {"op": "add", "path": "/spec/template/metadata/annotations", "value": {"fake/delay": "3"}},
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "shop/api:2"},
    ]);
    let rolling = Shape { releases: vec![slow], ..Shape::of("rolling", 2) };
    vec![
        Shape::of("one", 1),
        Shape::of("three", 3).released("shop/api:2", "deploy 2"),
        Shape::of("storied", 1).released("shop/api:2", "deploy 2").released("shop/api:3", "deploy 3"),
        Shape::of("two-containers", 2)
            .with(&format!("{POD}/containers/1"), sidecar)
            .released("shop/api:2", "deploy 2"),
        Shape::of("recreated", 2).with("/spec/strategy", json!({"type": "Recreate"})).released("shop/api:2", "deploy 2"),
        Shape::of("annotated", 1)
            .with("/metadata/annotations", json!({"team": "shop", "kubernetes.io/change-cause": "deploy 1"}))
            .with("/spec/template/metadata/annotations", json!({"kubectl.kubernetes.io/restartedAt": "2025-01-01T00:00:00Z", "scrape": "yes"}))
            .released("shop/api:2", "deploy 2"),
        Shape::of("bare", 1)
            .with(&format!("{POD}/containers"), json!([{"name": "app", "image": "shop/api:1"}])),
        Shape::of("referring", 1).with(
            &format!("{POD}/containers"),
            json!([{"name": "app", "image": "shop/api:1", "env": from,
                    "resources": {"requests": {"cpu": "0.25", "memory": "1000M"}, "limits": {"cpu": "1", "memory": "2G"}}}]),
        ),
        Shape::of("surging", 4)
            .with("/spec/strategy", json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%", "maxUnavailable": "50%"}}))
            .released("shop/api:2", "deploy 2"),
        Shape::of("forgetful", 1).with("/spec/revisionHistoryLimit", json!(0)).released("shop/api:2", "deploy 2"),
        Shape::of("asleep", 0).released("shop/api:2", "deploy 2"),
        Shape { finally: Some(json!({"spec": {"paused": true}})), ..Shape::of("paused", 2).released("shop/api:2", "deploy 2") },
        rolling.unsettled(),
        Shape { stuck: true, ..Shape::of("broken", 2).released("shop/api:bad", "deploy bad").unsettled() },
        Shape {
            beside: vec![("/apis/autoscaling/v1/namespaces/NAMESPACE/horizontalpodautoscalers", hpa)],
            ..Shape::of("autoscaled", 2).released("shop/api:2", "deploy 2")
        },
    ]
}

/// Those of which only some things are asked.
fn others() -> Vec<Shape> {
    let four = Some(json!({"spec": {"replicas": 4}}));
    let filled = Shape::of("filled", 3).with("/spec/progressDeadlineSeconds", json!(300));
    let unyielding = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    vec![
        Shape::of("small", 1).released("shop/api:2", "deploy 2"),
        Shape { finally: four.clone(), ..filled.clone().released("shop/api:2", "deploy 2") },
        // A rollout may not miss any of its pods.
        Shape {
            name: "filled-unyielding",
            finally: four,
            ..filled.with("/spec/strategy", unyielding).released("shop/api:2", "deploy 2")
        },
    ]
}

pub fn shape(name: &str) -> Shape {
    shapes().into_iter().chain(others()).find(|shape| shape.name == name).unwrap()
}

//! Every read that the API server can answer without a kubelet.

use std::sync::Arc;

use runbook_contract::{Access, Mode};
use runbook_core::{Value, fault::FaultKind, unknown};
use serde_json::json;

use crate::fixture::{World, action_of, cx, in_namespace};

#[tokio::test]
async fn pods_and_their_deployment() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 3).await;
        world.deploy("other", "shop/other:1", 1).await;
        let pods = world.read("pods", json!({"selector": "app=api"})).await;
        assert_eq!(
            (&pods["ready"], &pods["desired"], &pods["total"], &pods["running"]),
            (&json!(3), &json!(3), &json!(3), &json!(3))
        );
        assert_eq!(world.read("pods", json!({})).await["desired"], json!(4));
        let deployment = world.read("deployment", json!({"deployment": "api"})).await;
        assert_eq!(
            (&deployment["healthy"], &deployment["image"], &deployment["revision"]),
            (&json!(true), &json!("shop/api:1"), &json!(1))
        );

        world.release("api", "shop/api:bad", "broken").await;
        world
            .until("the broken pod", async |world| {
                world.read("pods", json!({"selector": "app=api"})).await["reasons"]["ImagePullBackOff"]
                    == json!(1)
            })
            .await;
        let pods = world.read("pods", json!({"selector": "app in (api)"})).await;
        assert_eq!((&pods["ready"], &pods["desired"], &pods["pending"]), (&json!(3), &json!(3), &json!(1)));
        assert_eq!(pods["pods"][0]["reason"], json!("ImagePullBackOff"));
        assert_eq!(world.read("deployment", json!({"deployment": "api"})).await["healthy"], json!(false));

        let events = world.read("events", json!({"selector": "app=api", "since": "5m"})).await;
        assert!(
            events["conditions"].as_array().unwrap().iter().any(|it| it["reason"] == "ContainersNotReady"),
            "{events}"
        );
        let events = world.read("events", json!({"kind": "Deployment", "name": "api"})).await;
        assert!(events["reasons"]["ScalingReplicaSet"].as_i64().unwrap() >= 2, "{events}");
        assert_eq!(events["events"][0]["object"], json!("deployment/api"));
    })
    .await;
}

#[tokio::test]
async fn the_history_of_rollouts() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 1).await;
        world.release("api", "shop/api:2", "release 2").await;
        world.rolled_out("api").await;
        let history = world.read("rollout_history", json!({"deployment": "api"})).await;
        assert_eq!(
            (&history["revision"], &history["previous_revision"], &history["count"]),
            (&json!(2), &json!(1), &json!(2))
        );
        assert!(history["last_change_age"].as_f64().unwrap() < 60.0, "{history}");
        let told: Vec<_> = history["revisions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (&it["revision"], &it["image"], &it["change_cause"]))
            .collect();
        assert_eq!(
            told,
            [
                (&json!(2), &json!("shop/api:2"), &json!("release 2")),
                (&json!(1), &json!("shop/api:1"), &Value::Null)
            ]
        );

        // A rollback uses an old ReplicaSet again: the last change is now, not when that was made.
        let hour = "2026-01-01T00:00:00Z";
        let change = world.plan("rollout_undo", &world.with_namespace(json!({"deployment": "api"}))).await;
        world.make(&change).await;
        let history = world.read("rollout_history", json!({"deployment": "api"})).await;
        assert_eq!((&history["revision"], &history["previous_revision"]), (&json!(3), &json!(2)));
        assert!(history["last_change_age"].as_f64().unwrap() < 60.0, "{history}");
        assert!(history["last_change_at"].as_str().unwrap() > hour, "{history}");
    })
    .await;
}

#[tokio::test]
async fn a_predicted_change_shows_in_later_reads() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 3).await;
        world.release("api", "shop/api:2", "release 2").await;
        world.rolled_out("api").await;
        let input = world.with_namespace(json!({"deployment": "api"}));
        let back = world.plan("rollout_undo", &input).await;
        let more =
            world.plan("scale", &world.with_namespace(json!({"deployment": "api", "replicas": 7}))).await;
        let predicted = [back, more];
        let after = async |name: &str, input: Value| {
            let action = world.action(name);
            let seen = action.observe(&cx(), &world.with_namespace(input)).await.unwrap();
            let (untouched, touched) = action.overlay(seen.clone(), &[]);
            assert_eq!((&untouched, touched), (&seen, false), "{name}");
            let (seen, touched) = action.overlay(seen, &predicted);
            assert!(touched, "{name}");
            seen.outputs
        };
        let deployment = after("deployment", json!({"deployment": "api"})).await;
        assert_eq!(
            (&deployment["replicas"], &deployment["image"], &deployment["revision"]),
            (&json!(7), &json!("shop/api:1"), &json!(3))
        );
        assert!(unknown::reason(&deployment["ready"]).unwrap().contains("kubernetes.scale"), "{deployment}");
        let pods = after("pods", json!({"selector": "app=api"})).await;
        assert_eq!(pods["desired"], json!(7));
        assert!(unknown::reason(&pods["ready"]).is_some());
        let status = after("rollout_status", json!({"deployment": "api"})).await;
        assert_eq!(status["desired"], json!(7));
        assert!(unknown::reason(&status["complete"]).is_some());
        let history = after("rollout_history", json!({"deployment": "api"})).await;
        assert_eq!((&history["revision"], &history["previous_revision"]), (&json!(3), &json!(2)));
        assert!(unknown::reason(&history["last_change_age"]).is_some());

        // The next change starts from what is predicted.
        let scale = world.action("scale");
        let input = world.with_namespace(json!({"deployment": "api", "replicas": 9}));
        let seen = scale.observe(&cx(), &input).await.unwrap();
        let (seen, touched) = scale.overlay(seen, &predicted);
        assert!(touched);
        let planned = scale.plan(&crate::fixture::plan_cx(), &input, &seen).unwrap();
        let runbook_core::change::Planned::Change(next) = planned else { panic!("nothing to do") };
        assert_eq!(next.summary, "replicas 7 -> 9");
    })
    .await;
}

#[tokio::test]
async fn a_service_and_what_leads_to_it() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 2).await;
        let namespace = &world.namespace;
        world.create(&format!("/api/v1/namespaces/{namespace}/services"), &json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "api"},
            "spec": {"selector": {"app": "api"}, "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}]}})).await;
        let backend = json!({"service": {"name": "api", "port": {"number": 80}}});
        world.create(&format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"), &json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
            "spec": {"rules": [{"host": "a.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}})).await;
        world.until("the endpoints", async |world| {
            world.read("service", json!({"service": "api"})).await["endpoints_ready"] == json!(2)
        }).await;
        let service = world.read("service", json!({"service": "api"})).await;
        assert_eq!((&service["exists"], &service["selector"]), (&json!(true), &json!("app=api")));
        assert_eq!(service["ports"], json!([{"name": null, "port": 80, "target": "8080", "protocol": "TCP"}]));
        assert_eq!((&service["ingresses"][0]["name"], &service["ingresses"][0]["hosts"]), (&json!("web"), &json!(["a.test"])));
        let missing = world.read("service", json!({"service": "nothing"})).await;
        assert_eq!((&missing["exists"], &missing["endpoints_ready"]), (&json!(false), &json!(0)));
    })
    .await;
}

#[tokio::test]
async fn nodes() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 2).await;
        let nodes = world.action("nodes").observe(&cx(), &json!({})).await.unwrap().outputs;
        assert_eq!(
            (&nodes["count"], &nodes["ready"], &nodes["pressure"]),
            (&json!(1), &json!(1), &json!([]))
        );
        assert_eq!(nodes["cpu_allocatable"], json!(32.0));
        assert!(nodes["memory_requested"].as_i64().unwrap() >= 2 * (128 << 20), "{nodes}");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_is() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 1).await;
        let access = Access::new(Mode::ReadOnly);
        for (name, input, hint) in [
            ("deployment", json!({"namespace": world.namespace, "deployment": "apy"}), "did you mean `api`?"),
            ("deployment", json!({"namespace": world.namespace, "deployment": "xyz"}), "there is: api"),
            (
                "deployment",
                json!({"namespace": "no-such-namespace", "deployment": "api"}),
                "check the namespace",
            ),
            ("top", json!({"kind": "nodes"}), "install metrics-server"),
        ] {
            let fault = action_of(&world.config, &access, name).observe(&cx(), &input).await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::NotFound, "{fault:?}");
            assert!(fault.hint.as_deref().unwrap_or_default().contains(hint), "{fault:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_may_only_read_refuses_to_write() {
    in_namespace(async |world: Arc<World>| {
        let image = world.deploy("api", "shop/api:1", 1).await;
        let access = Access::new(Mode::ReadOnly);
        let change =
            world.plan("scale", &world.with_namespace(json!({"deployment": "api", "replicas": 2}))).await;
        let scale = action_of(&world.config, &access, "scale");
        scale.validate(&cx(), &change).await.unwrap();
        let fault = scale.apply(&cx(), &change).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Denied, "{fault:?}");
        assert_eq!((access.writes_sent(), access.writes_refused()), (0, 1));
        assert_eq!(
            world.deployment("api").await["metadata"]["resourceVersion"],
            image["metadata"]["resourceVersion"]
        );
    })
    .await;
}

//! Patches and applies of any object.

use std::sync::Arc;

use runbook_contract::{Access, Mode, laws};
use runbook_core::{
    Value,
    change::{Landed, Planned},
    fault::FaultKind,
    spec::{Effect, Grade},
};
use serde_json::json;

use crate::fixture::{World, action_of, cx, in_namespace, plan_cx};

fn config_map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "limits"}, "data": data})
}

/// Plans, validates without a trace, makes and takes back.
async fn lives(world: &World, name: &str, input: &Value, path: &str) {
    let action = world.action(name);
    assert_eq!(laws::of_change(action.as_ref(), &world.access, &cx(), input).await, Vec::<String>::new());
    let image = world.get(path).await;
    let (sent, versions) = (world.access.writes_sent(), world.versions().await);
    let change = world.plan(name, input).await;
    assert_eq!(action.validate(&cx(), &change).await.unwrap().grade, Grade::Validated);
    assert_eq!((world.access.writes_sent(), world.versions().await), (sent, versions));
    let seen = action.observe(&cx(), input).await.unwrap();
    assert_eq!(action.landed(&change, &seen), Landed::No);

    world.make(&change).await;
    assert_ne!(content(world.get(path).await), content(image.clone()));
    let seen = action.observe(&cx(), input).await.unwrap();
    assert_eq!(action.landed(&change, &seen), Landed::Yes);
    assert!(matches!(action.plan(&plan_cx(), input, &seen).unwrap(), Planned::Already { .. }));

    let Planned::Change(undo) = world.plan_undo(&change).await.unwrap() else {
        panic!("nothing to take back")
    };
    let (made, sent) = (world.get(path).await, world.access.writes_sent());
    action.validate(&cx(), &undo).await.unwrap();
    assert_eq!(
        (world.get(path).await, world.access.writes_sent()),
        (made, sent),
        "asking about the undo did it"
    );
    world.make(&undo).await;
    assert_eq!(content(world.get(path).await), content(image), "not as it was before");
    assert!(matches!(world.plan_undo(&change).await.unwrap(), Planned::Already { .. }));
}

/// An object without what the server counts and books in it.
fn content(object: Option<Value>) -> Option<Value> {
    let mut object = object?;
    object.as_object_mut()?.remove("status");
    let metadata = object["metadata"].as_object_mut()?;
    metadata.retain(|name, _| ["name", "labels", "annotations"].contains(&name.as_str()));
    Some(object)
}

#[tokio::test]
async fn patching_in_all_three_ways() {
    in_namespace(async |world: Arc<World>| {
        let maps = format!("/api/v1/namespaces/{}/configmaps", world.namespace);
        world.create(&maps, &config_map(&json!({"rps": "100", "burst": "20"}))).await;
        let path = format!("{maps}/limits");
        for (kind, way, patch) in [
            ("ConfigMap", "merge", json!({"data": {"rps": "10", "burst": null, "queue": "5"}})),
            ("cm", "strategic", json!({"metadata": {"labels": {"strict": "yes"}}})),
            ("configmaps", "json", json!([{"op": "replace", "path": "/data/rps", "value": "1"}])),
        ] {
            let input = json!({"kind": kind, "name": "limits", "type": way, "patch": patch});
            lives(&world, "patch", &world.with_namespace(input), &path).await;
        }
        let change = world
            .plan(
                "patch",
                &world.with_namespace(json!({
            "kind": "ConfigMap", "name": "limits", "patch": {"data": {"rps": "10"}}})),
            )
            .await;
        assert_eq!(change.effect, Effect::Destructive);
        assert_eq!(
            (&change.before, &change.after),
            (&json!({"data": {"rps": "100"}}), &json!({"data": {"rps": "10"}}))
        );
        assert_eq!(change.summary, "configmap limits: data.rps: 100 -> 10");
        assert_eq!(change.target.name, format!("kubernetes:{}/configmap/limits", world.namespace));
    })
    .await;
}

#[tokio::test]
async fn patching_an_ingress() {
    in_namespace(async |world: Arc<World>| {
        let ingresses = format!("/apis/networking.k8s.io/v1/namespaces/{}/ingresses", world.namespace);
        let backend = json!({"service": {"name": "api", "port": {"number": 80}}});
        world.create(&ingresses, &json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "api"},
                "spec": {"rules": [{"host": "a.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]},
            }))
            .await;
        let input = json!({"kind": "ingress", "name": "api",
                           "patch": {"metadata": {"annotations": {"nginx.ingress.kubernetes.io/limit-rps": "20"}}}});
        lives(&world, "patch", &world.with_namespace(input), &format!("{ingresses}/api")).await;
    })
    .await;
}

#[tokio::test]
async fn applying_makes_and_alters_and_undo_deletes_and_restores() {
    in_namespace(async |world: Arc<World>| {
        let path = format!("/api/v1/namespaces/{}/configmaps/limits", world.namespace);
        let strict = world.with_namespace(json!({"manifest": config_map(&json!({"rps": "10"}))}));
        lives(&world, "apply", &strict, &path).await;
        assert_eq!(world.get(&path).await, None, "what was made is still there");

        let change = world.plan("apply", &strict).await;
        assert_eq!((&change.before, change.effect), (&Value::Null, Effect::Write));
        let made = world.make(&change).await;
        assert_eq!((&made["exists"], &made["created"]), (&json!(true), &json!(true)));
        let Planned::Change(undo) = world.plan_undo(&change).await.unwrap() else {
            panic!("nothing to take back")
        };
        assert_eq!((undo.request.method.as_str(), undo.effect), ("DELETE", Effect::Destructive));

        let stricter = world.with_namespace(json!({"manifest": config_map(&json!({"rps": "1"}))}));
        lives(&world, "apply", &stricter, &path).await;

        // Someone adds to it: deleting it would take that away too.
        world.merge(&path, &json!({"data": {"other": "1"}})).await;
        assert_eq!(world.plan_undo(&change).await.unwrap_err().kind, FaultKind::Conflict);
    })
    .await;
}

#[tokio::test]
async fn applying_a_file_of_the_playbooks() {
    in_namespace(async |world: Arc<World>| {
        let folder = tempfile::tempdir().unwrap();
        let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: limits}\ndata: {strict: 'on'}\n";
        std::fs::write(folder.path().join("rate-limit-strict.yaml"), manifest).unwrap();
        let config =
            runbook_kubernetes::Config { files: Some(folder.path().to_owned()), ..world.config.clone() };
        let action = action_of(&config, &Access::new(Mode::ReadOnly), "apply");
        let input = world.with_namespace(json!({"file": "rate-limit-strict.yaml"}));
        let seen = action.observe(&cx(), &input).await.unwrap();
        let Planned::Change(change) = action.plan(&plan_cx(), &input, &seen).unwrap() else {
            panic!("nothing to do")
        };
        assert_eq!(change.after["data"], json!({"strict": "on"}));
        assert_eq!(change.request.body["metadata"]["namespace"], json!(world.namespace));
    })
    .await;
}

#[tokio::test]
async fn fields_of_others_are_taken_over_only_by_force() {
    in_namespace(async |world: Arc<World>| {
        let maps = format!("/api/v1/namespaces/{}/configmaps", world.namespace);
        world
            .send(
                "PATCH",
                &format!("{maps}/limits?fieldManager=helm"),
                "application/apply-patch+yaml",
                Some(&config_map(&json!({"rps": "100"}))),
            )
            .await;
        let action = world.action("apply");
        let mut input = world.with_namespace(json!({"manifest": config_map(&json!({"rps": "10"}))}));
        let seen = action.observe(&cx(), &input).await.unwrap();
        let fault = action.plan(&plan_cx(), &input, &seen).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permanent);
        assert!(fault.message.contains("helm") && fault.hint.unwrap().contains("force"), "{}", fault.message);
        input["force"] = json!(true);
        lives(&world, "apply", &input, &format!("{maps}/limits")).await;
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_changed_is_said() {
    in_namespace(async |world: Arc<World>| {
        let patch = json!({"data": {"a": "b"}});
        for (name, input, kind, text) in [
            (
                "patch",
                json!({"kind": "Secret", "name": "x", "patch": patch}),
                FaultKind::Denied,
                "a Secret is not changed",
            ),
            (
                "patch",
                json!({"kind": "Widget", "name": "x", "patch": patch}),
                FaultKind::NotFound,
                "serves no kind `Widget`",
            ),
            (
                "patch",
                json!({"kind": "ConfigMap", "name": "x", "api_version": "v9", "patch": patch}),
                FaultKind::NotFound,
                "does not serve",
            ),
            (
                "patch",
                json!({"kind": "ConfigMap", "name": "kube-root-ca", "patch": patch}),
                FaultKind::NotFound,
                "there is no configmaps `kube-root-ca`",
            ),
            (
                "patch",
                json!({"kind": "ConfigMap", "name": "x", "type": "json", "patch": patch}),
                FaultKind::Permanent,
                "list of operations",
            ),
            ("apply", json!({}), FaultKind::Permanent, "either `file` or `manifest`"),
            (
                "apply",
                json!({"manifest": {"kind": "ConfigMap"}}),
                FaultKind::Permanent,
                "has no `apiVersion`",
            ),
            ("apply", json!({"file": "x.yaml"}), FaultKind::Permanent, "no folder for files"),
        ] {
            let fault = world.action(name).observe(&cx(), &world.with_namespace(input)).await.unwrap_err();
            assert_eq!(fault.kind, kind, "{fault:?}");
            assert!(fault.message.contains(text), "{fault:?}");
        }
        world.deploy("api", "shop/api:1", 1).await;
        let input = world.with_namespace(
            json!({"kind": "Deployment", "name": "api", "patch": {"spec": {"replicas": -1}}}),
        );
        let action = world.action("patch");
        let seen = action.observe(&cx(), &input).await.unwrap();
        let fault = action.plan(&plan_cx(), &input, &seen).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permanent);
        assert!(fault.message.contains("spec.replicas"), "{fault:?}");
    })
    .await;
}

//! What stands in the way: rights, autoscalers, budgets, quotas, a pause, Argo CD.

use std::sync::Arc;

use runbook_contract::{Access, Mode, Obstacle};
use runbook_core::{Value, fault::FaultKind};
use runbook_kubernetes::{Config, actions};
use serde_json::json;

use crate::fixture::{NOBODY, World, action_of, cx, in_namespace, kubeconfig};

async fn preflight(world: &World, name: &str, input: Value) -> Vec<Obstacle> {
    world.action(name).preflight(&cx(), &world.with_namespace(input)).await.unwrap()
}

fn codes(obstacles: &[Obstacle]) -> Vec<(&str, bool)> {
    obstacles.iter().map(|obstacle| (obstacle.code.as_str(), obstacle.blocking)).collect()
}

#[tokio::test]
async fn nothing_in_the_way() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 1).await;
        for (name, input) in [
            ("scale", json!({"deployment": "api", "replicas": 2})),
            ("rollout_undo", json!({"deployment": "api"})),
            ("rollout_restart", json!({"deployment": "api"})),
            ("set_env", json!({"deployment": "api", "env": {"A": "1"}})),
            ("set_resources", json!({"deployment": "api", "limits": {"memory": "2Gi"}})),
            ("patch", json!({"kind": "Deployment", "name": "api", "patch": {}})),
            ("exec", json!({"selector": "app=api", "command": ["true"]})),
            ("pods", json!({"selector": "app=api"})),
        ] {
            assert_eq!(codes(&preflight(&world, name, input).await), [], "{name}");
        }
        let answer = world.read("preflight", json!({"deployment": "api", "replicas": 3})).await;
        assert_eq!(answer, json!({"ok": true, "blocking": 0, "obstacles": []}));
    })
    .await;
}

#[tokio::test]
async fn an_autoscaler_a_budget_and_a_quota() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 2).await;
        let namespace = &world.namespace;
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"});
        world.create(&format!("/apis/autoscaling/v1/namespaces/{namespace}/horizontalpodautoscalers"), &json!({
            "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "api-hpa"},
            "spec": {"minReplicas": 2, "maxReplicas": 8, "scaleTargetRef": target}})).await;
        let budgets = format!("/apis/policy/v1beta1/namespaces/{namespace}/poddisruptionbudgets");
        world.create(&budgets, &json!({
            "apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "api-pdb"},
            "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "api"}}}})).await;
        let quotas = format!("/api/v1/namespaces/{namespace}/resourcequotas");
        world.create(&quotas, &json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"},
            "spec": {"hard": {"pods": "4", "limits.memory": "6Gi"}}})).await;
        world.until("the budget and the quota", async |world| {
            let budget = world.get(&format!("{budgets}/api-pdb")).await.unwrap();
            let quota = world.get(&format!("{quotas}/small")).await.unwrap();
            budget["status"]["expectedPods"] == 2 && quota["status"]["used"]["pods"] == "2"
        }).await;

        let obstacles = preflight(&world, "scale", json!({"deployment": "api", "replicas": 4})).await;
        assert_eq!(codes(&obstacles), [("hpa", false), ("pdb", false)]);
        assert!(obstacles[0].message.contains("`api-hpa`") && obstacles[0].message.contains("between 2 and 8"));
        assert_eq!(obstacles[0].hint.as_deref(), Some("to hold 4, set its minReplicas to 4 instead"));
        let obstacles = preflight(&world, "scale", json!({"deployment": "api", "replicas": 5})).await;
        assert_eq!(codes(&obstacles), [("hpa", false), ("pdb", false), ("quota", true)]);
        assert!(obstacles[2].message.contains("pods is at 2 of 4, and 3 more"), "{}", obstacles[2].message);
        let larger = json!({"deployment": "api", "limits": {"memory": "+3Gi"}});
        let obstacles = preflight(&world, "set_resources", larger).await;
        assert_eq!(codes(&obstacles), [("pdb", false), ("quota", true)]);

        // A plan tells what would surprise.
        let change = world.plan("scale", &world.with_namespace(json!({"deployment": "api", "replicas": 5}))).await;
        assert_eq!(change.warnings.len(), 2, "{:?}", change.warnings);
        assert!(change.warnings[0].contains("`api-hpa`"), "{:?}", change.warnings);
        let answer = world.read("preflight", json!({"deployment": "api", "replicas": 5})).await;
        assert_eq!((&answer["ok"], &answer["blocking"]), (&json!(false), &json!(1)));
    })
    .await;
}

#[tokio::test]
async fn what_is_paused_or_missing() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 1).await;
        world.merge(&world.deployment_path("api"), &json!({"spec": {"paused": true}})).await;
        assert_eq!(
            codes(&preflight(&world, "rollout_restart", json!({"deployment": "api"})).await),
            [("paused", true)]
        );
        assert_eq!(codes(&preflight(&world, "scale", json!({"deployment": "api", "replicas": 2})).await), []);
        let obstacles = preflight(&world, "rollout_restart", json!({"deployment": "apy"})).await;
        assert_eq!(codes(&obstacles), [("missing", true)]);
        assert_eq!(obstacles[0].hint.as_deref(), Some("did you mean `api`?"));
    })
    .await;
}

/// The whole of it in one test: the kind of Argo CD's applications is cluster-wide.
#[tokio::test]
async fn argo_cd_that_heals_itself() {
    in_namespace(async |world: Arc<World>| {
        if !world.takes_custom_kinds().await {
            return;
        }
        const KINDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let version = json!({"name": "v1alpha1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}});
        world
            .create(
                KINDS,
                &json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "applications.argoproj.io"},
            "spec": {"group": "argoproj.io", "scope": "Namespaced", "versions": [version],
                     "names": {"kind": "Application", "plural": "applications", "singular": "application"}}}),
            )
            .await;
        let applications = format!("/apis/argoproj.io/v1alpha1/namespaces/{}/applications", world.namespace);
        world.until("the kind", async |world| world.get(&applications).await.is_some()).await;

        world.deploy("api", "shop/api:1", 1).await;
        let tracking = format!("shop:apps/Deployment:{}/api", world.namespace);
        world
            .merge(
                &world.deployment_path("api"),
                &json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": tracking}}}),
            )
            .await;
        let managed =
            json!({"group": "apps", "kind": "Deployment", "namespace": world.namespace, "name": "api"});
        world
            .create(
                &applications,
                &json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "shop"},
            "spec": {"syncPolicy": {"automated": {"selfHeal": true}}}, "status": {"resources": [managed]}}),
            )
            .await;
        let healing = preflight(&world, "rollout_undo", json!({"deployment": "api"})).await;
        world
            .merge(
                &format!("{applications}/shop"),
                &json!({"spec": {"syncPolicy": {"automated": {"selfHeal": false}}}}),
            )
            .await;
        let syncing = preflight(&world, "rollout_undo", json!({"deployment": "api"})).await;
        let warned = world
            .action("scale")
            .observe(&cx(), &world.with_namespace(json!({"deployment": "api", "replicas": 2})))
            .await;
        world.send("DELETE", &format!("{KINDS}/applications.argoproj.io"), "application/json", None).await;

        assert_eq!(codes(&healing), [("argocd", true)]);
        assert!(healing[0].message.contains("`shop`") && healing[0].message.contains("put a change back"));
        assert_eq!(codes(&syncing), [("argocd", false)]);
        assert!(warned.unwrap().warnings[0].contains("Argo CD"));
    })
    .await;
}

#[tokio::test]
async fn nobody_is_told_which_rights_are_missing() {
    let Some(nobody) = kubeconfig(NOBODY) else { return };
    in_namespace(async |world: Arc<World>| {
        let image = world.deploy("api", "shop/api:1", 1).await;
        let access = Access::new(Mode::ReadWrite);
        let config = Config { kubeconfig: Some(nobody), ..Config::default() };
        let input = world.with_namespace(json!({"deployment": "api", "replicas": 2}));
        let scale = action_of(&config, &access, "scale");
        let fault = scale.observe(&cx(), &input).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Forbidden);
        assert!(fault.message.contains(r#"User "nobody" cannot get resource "deployments""#), "{fault:?}");
        let scope = format!("in namespace `{}`", world.namespace);
        assert_eq!(fault.hint, Some(format!("ask for a role with `get` on `deployments.apps` {scope}")));

        let obstacles = scale.preflight(&cx(), &input).await.unwrap();
        // Without a look at the pods the change is made all the same.
        assert_eq!(codes(&obstacles), [("rbac", true), ("rbac", true), ("rbac", false)], "{obstacles:?}");
        let messages: Vec<_> = obstacles.iter().map(|obstacle| obstacle.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                format!("you may not `get` deployments.apps {scope}"),
                format!("you may not `patch` deployments/scale.apps {scope}"),
                format!("you may not `list` pods {scope}: why a rollout is held up would not be told"),
            ]
        );

        // A plan of someone with the rights changes nothing in the hands of someone without.
        let change = world.plan("scale", &input).await;
        for fault in [
            scale.validate(&cx(), &change).await.unwrap_err(),
            scale.apply(&cx(), &change).await.unwrap_err(),
        ] {
            assert_eq!(fault.kind, FaultKind::Forbidden);
            assert!(fault.message.contains(r#"cannot patch resource "deployments/scale""#), "{fault:?}");
            assert!(!format!("{fault:?}").contains("nobody-token"));
        }
        assert_eq!(
            world.deployment("api").await["metadata"]["resourceVersion"],
            image["metadata"]["resourceVersion"]
        );
        for action in actions(&config, &access) {
            if action.spec().name.ends_with("deployment") || action.spec().name.ends_with("events") {
                let obstacles = action.preflight(&cx(), &input).await.unwrap();
                assert!(obstacles.iter().all(|obstacle| obstacle.blocking), "{obstacles:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn limits_are_checked_before_anything_is_sent() {
    let access = Access::new(Mode::ReadWrite);
    let scale = action_of(&Config::default(), &access, "scale");
    for (replicas, limits, expected) in [
        (50, json!({"max_replicas": 50}), None),
        (51, json!({"max_replicas": 50}), Some(FaultKind::Denied)),
        (1, json!({"min_replicas": 2}), Some(FaultKind::Denied)),
        (1, json!({}), None),
        (1, Value::Null, None),
        (1, json!({"maximum": 2}), Some(FaultKind::Permanent)),
    ] {
        let input = json!({"namespace": "shop", "deployment": "api", "replicas": replicas});
        let fault = scale.within_limits(&input, &limits).err();
        assert_eq!(fault.as_ref().map(|fault| fault.kind), expected, "{fault:?}");
    }
    assert_eq!((access.reads_sent(), access.writes_sent()), (0, 0));
}

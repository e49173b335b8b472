//! Every change of a workload: planned, validated without a trace, made, verified and taken back.

use std::sync::Arc;

use runbook_contract::{PlanCx, laws};
use runbook_core::{
    Value,
    change::{Landed, Planned, Progress},
    fault::FaultKind,
    spec::{Effect, Grade},
};
use serde_json::json;

use crate::fixture::{World, cx, deployment, in_namespace, plan_cx};

/// Takes a change through its whole life: looked at, planned twice alike, validated without a
/// write, made, verified, told to have landed, and taken back to what was there before.
async fn lives(world: &World, name: &str, input: Value, path: &str, restores: bool) -> Value {
    let input = world.with_namespace(input);
    let action = world.action(name);
    assert_eq!(laws::of_change(action.as_ref(), &world.access, &cx(), &input).await, Vec::<String>::new());
    let image = world.get(path).await.unwrap();
    let (sent, versions) = (world.access.writes_sent(), world.versions().await);

    let change = world.plan(name, &input).await;
    let validation = action.validate(&cx(), &change).await.unwrap();
    assert_eq!(validation.grade, Grade::Validated);
    assert_eq!(world.versions().await, versions, "a dry-run changed something");
    assert_eq!(world.access.writes_sent(), sent);
    let seen = action.observe(&cx(), &input).await.unwrap();
    assert_eq!(action.landed(&change, &seen), Landed::No);
    let (predicted, touched) = action.overlay(seen, std::slice::from_ref(&change));
    assert!(touched, "the change does not show in what is predicted");
    // What adds to what is there adds to what is predicted; all else is as asked already.
    if let Planned::Change(next) = action.plan(&plan_cx(), &input, &predicted).unwrap() {
        assert_eq!(next.before, change.after);
    }

    let outputs = world.make(&change).await;
    let made = world.get(path).await.unwrap();
    assert_ne!(made["spec"], image["spec"]);
    let seen = action.observe(&cx(), &input).await.unwrap();
    assert_eq!(action.landed(&change, &seen), Landed::Yes);
    // Sending it again does nothing twice: it is found to be made.
    action.apply(&cx(), &change).await.unwrap();
    assert_eq!(world.get(path).await.unwrap()["metadata"]["generation"], made["metadata"]["generation"]);

    if restores {
        let Planned::Change(undo) = world.plan_undo(&change).await.unwrap() else {
            panic!("nothing to take back")
        };
        assert_eq!(undo.action, change.action);
        action.validate(&cx(), &undo).await.unwrap();
        world.make(&undo).await;
        assert_eq!(world.get(path).await.unwrap()["spec"], image["spec"], "not as it was before");
        let again = world.plan_undo(&change).await.unwrap();
        assert!(matches!(again, Planned::Already { .. }), "{again:?}");
    } else {
        assert_eq!(world.plan_undo(&change).await.unwrap_err().kind, FaultKind::Permanent);
    }
    outputs
}

#[tokio::test]
async fn scaling() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 3).await;
        let path = world.deployment_path("api");
        let outputs = lives(&world, "scale", json!({"deployment": "api", "replicas": 5}), &path, true).await;
        assert_eq!(
            (&outputs["replicas"], &outputs["previous_replicas"], &outputs["ready"]),
            (&json!(5), &json!(3), &json!(5))
        );
        assert_eq!(outputs["changed"], json!(["replicas: 3 -> 5"]));
        lives(&world, "scale", json!({"deployment": "api", "replicas": 1}), &path, true).await;

        let to_zero =
            world.plan("scale", &world.with_namespace(json!({"deployment": "api", "replicas": 0}))).await;
        assert_eq!(to_zero.effect, Effect::Destructive);
        assert_eq!(to_zero.target.name, format!("kubernetes:{}/deployment/api", world.namespace));
        assert!(to_zero.request.url.contains("/deployments/api/scale?"), "{}", to_zero.request.url);
    })
    .await;
}

#[tokio::test]
async fn scaling_a_stateful_set() {
    in_namespace(async |world: Arc<World>| {
        let mut set = deployment("db", "shop/db:1", 1);
        set["kind"] = json!("StatefulSet");
        set["spec"]["serviceName"] = json!("db");
        set["spec"].as_object_mut().unwrap().remove("progressDeadlineSeconds");
        let sets = format!("/apis/apps/v1/namespaces/{}/statefulsets", world.namespace);
        world.create(&sets, &set).await;
        let path = format!("{sets}/db");
        world
            .until("the set", async |world| world.get(&path).await.unwrap()["status"]["readyReplicas"] == 1)
            .await;
        lives(&world, "scale", json!({"statefulset": "db", "replicas": 2}), &path, true).await;
        lives(&world, "set_env", json!({"statefulset": "db", "env": {"MODE": "slow"}}), &path, true).await;
        lives(&world, "rollout_restart", json!({"statefulset": "db"}), &path, false).await;
        let status = world.read("rollout_status", json!({"statefulset": "db"})).await;
        assert_eq!(status["complete"], json!(true), "{status}");
    })
    .await;
}

#[tokio::test]
async fn rolling_back_and_forward() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 3).await;
        let path = world.deployment_path("api");
        world.release("api", "shop/api:2", "release 2").await;
        world.rolled_out("api").await;
        let outputs = lives(&world, "rollout_undo", json!({"deployment": "api"}), &path, true).await;
        assert_eq!((&outputs["revision"], &outputs["previous_revision"]), (&json!(3), &json!(2)));
        assert_eq!(outputs["images"], json!({"app": "shop/api:1"}));

        let change = world.plan("rollout_undo", &world.with_namespace(json!({"deployment": "api"}))).await;
        assert_eq!(change.summary, "back from revision 4 to 3 (app: shop/api:2 -> shop/api:1)");
        assert_eq!(change.before["template"]["spec"]["containers"][0]["image"], "shop/api:2");
        assert_eq!(change.after["template"]["spec"]["containers"][0]["image"], "shop/api:1");
        assert_eq!(
            (&change.before["change_cause"], &change.after["change_cause"]),
            (&json!("release 2"), &Value::Null)
        );
        assert_eq!((&change.before["revision"], &change.after["revision"]), (&json!(4), &json!(5)));
    })
    .await;
}

#[tokio::test]
async fn rolling_back_a_bad_release_and_taking_it_back() {
    in_namespace(async |world: Arc<World>| {
        let good = world.deploy("api", "shop/api:1", 3).await;
        world.release("api", "shop/api:bad", "broken").await;
        let input = world.with_namespace(json!({"deployment": "api"}));
        let change = world.plan("rollout_undo", &input).await;
        world.make(&change).await;
        let now = world.deployment("api").await;
        assert_eq!(now["spec"], good["spec"]);
        assert_eq!(
            now["metadata"]["annotations"].get("kubernetes.io/change-cause"),
            None,
            "the cause of the bad release stayed"
        );

        // Going back to the bad release is accepted, and its failure is told by its pods' own words.
        let Planned::Change(undo) = world.plan_undo(&change).await.unwrap() else {
            panic!("nothing to take back")
        };
        world.action("rollout_undo").apply(&cx(), &undo).await.unwrap();
        let Progress::Failed(why) = world.ended(&undo).await else { panic!("a broken image was rolled out") };
        assert!(why.contains("ImagePullBackOff"), "{why}");
        let status = world.read("rollout_status", json!({"deployment": "api"})).await;
        assert_eq!((&status["complete"], &status["progressing"]), (&json!(false), &json!(false)));
        assert!(status["why_not"].as_str().unwrap().contains("ImagePullBackOff"), "{status}");
    })
    .await;
}

#[tokio::test]
async fn rolling_back_where_there_is_nothing_to_go_back_to() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 1).await;
        let action = world.action("rollout_undo");
        for (input, kind, text) in [
            (json!({"deployment": "api"}), FaultKind::Permanent, "no earlier revision"),
            (json!({"deployment": "api", "to_revision": 7}), FaultKind::NotFound, "no revision 7"),
        ] {
            let input = world.with_namespace(input);
            let seen = action.observe(&cx(), &input).await.unwrap();
            let fault = action.plan(&plan_cx(), &input, &seen).unwrap_err();
            assert_eq!(fault.kind, kind, "{fault:?}");
            assert!(fault.message.contains(text), "{fault:?}");
        }
        let input = world.with_namespace(json!({"deployment": "api", "to_revision": 1}));
        let seen = action.observe(&cx(), &input).await.unwrap();
        assert!(matches!(action.plan(&plan_cx(), &input, &seen).unwrap(), Planned::Already { .. }));
    })
    .await;
}

#[tokio::test]
async fn restarting() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 2).await;
        let outputs = lives(
            &world,
            "rollout_restart",
            json!({"deployment": "api"}),
            &world.deployment_path("api"),
            false,
        )
        .await;
        assert_eq!(outputs["changed"], json!(["restarted_at: none -> 2026-01-01T12:00:00Z"]));
    })
    .await;
}

#[tokio::test]
async fn setting_variables() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 2).await;
        let path = world.deployment_path("api");
        let env = json!({"LOG_LEVEL": "DEBUG", "MODE": null, "PORT": 8080});
        let outputs = lives(&world, "set_env", json!({"deployment": "api", "env": env}), &path, true).await;
        assert_eq!(
            outputs["changed"],
            json!(["env.LOG_LEVEL: INFO -> DEBUG", "env.MODE: fast -> none", "env.PORT: none -> 8080"])
        );
        let all = json!({"LOG_LEVEL": null, "MODE": null});
        lives(&world, "set_env", json!({"deployment": "api", "env": all}), &path, true).await;
    })
    .await;
}

#[tokio::test]
async fn setting_resources() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 2).await;
        let path = world.deployment_path("api");
        let outputs = lives(
            &world,
            "set_resources",
            json!({"deployment": "api", "limits": {"memory": "+2Gi"}}),
            &path,
            true,
        )
        .await;
        assert_eq!(outputs["changed"], json!(["limits.memory: 1Gi -> 3Gi"]));
        let amounts = json!({"deployment": "api", "limits": {"cpu": 2}, "requests": {"cpu": "250m"}});
        lives(&world, "set_resources", amounts, &path, true).await;
    })
    .await;
}

#[tokio::test]
async fn a_paused_deployment_is_not_changed_unseen() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 1).await;
        world.merge(&world.deployment_path("api"), &json!({"spec": {"paused": true}})).await;
        let action = world.action("set_env");
        let input = world.with_namespace(json!({"deployment": "api", "env": {"A": "1"}}));
        let seen = action.observe(&cx(), &input).await.unwrap();
        assert!(seen.warnings.iter().any(|warning| warning.contains("paused")), "{:?}", seen.warnings);
        let fault = action.plan(&plan_cx(), &input, &seen).unwrap_err();
        assert!(fault.message.contains("paused") && fault.hint.unwrap().contains("kubectl rollout resume"));
    })
    .await;
}

#[tokio::test]
async fn an_edit_by_someone_else_is_a_conflict_and_a_status_update_is_not() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 1).await;
        let path = world.deployment_path("api");
        let input = world.with_namespace(json!({"deployment": "api", "env": {"LOG_LEVEL": "DEBUG"}}));
        let action = world.action("set_env");
        let change = world.plan("set_env", &input).await;

        // What the change does not depend on may move.
        world.merge(&path, &json!({"metadata": {"labels": {"touched": "yes"}}})).await;
        let renewed = world.plan("set_env", &input).await;
        assert_eq!(renewed.digest(), change.digest());
        action.validate(&cx(), &change).await.unwrap();

        // What it depends on may not.
        let other =
            json!([{"name": "app", "image": "shop/api:1", "env": [{"name": "LOG_LEVEL", "value": "WARN"}]}]);
        world.merge(&path, &json!({"spec": {"template": {"spec": {"containers": other}}}})).await;
        let renewed = world.plan("set_env", &input).await;
        assert_eq!(change.moved(&renewed), ["env.LOG_LEVEL: INFO -> WARN"]);
        let (sent, generation) =
            (world.access.writes_sent(), world.deployment("api").await["metadata"]["generation"].clone());
        for fault in [
            action.apply(&cx(), &change).await.unwrap_err(),
            action.validate(&cx(), &change).await.unwrap_err(),
        ] {
            assert_eq!(fault.kind, FaultKind::Conflict, "{fault:?}");
            assert!(fault.message.contains("env.LOG_LEVEL: INFO -> WARN"), "{fault:?}");
        }
        assert_eq!(world.access.writes_sent(), sent + 1);
        assert_eq!(
            world.deployment("api").await["metadata"]["generation"],
            generation,
            "it was written all the same"
        );
        let seen = action.observe(&cx(), &input).await.unwrap();
        assert_eq!(action.landed(&change, &seen), Landed::CannotTell);
    })
    .await;
}

#[tokio::test]
async fn a_change_that_someone_altered_is_not_taken_back_over_their_head() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 1).await;
        let change =
            world.plan("scale", &world.with_namespace(json!({"deployment": "api", "replicas": 2}))).await;
        world.make(&change).await;
        world.merge(&world.deployment_path("api"), &json!({"spec": {"replicas": 4}})).await;
        let fault = world.plan_undo(&change).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Conflict);
        assert!(fault.message.contains("replicas: 2 -> 4"), "{fault:?}");
        let Progress::Failed(why) = world.ended(&change).await else {
            panic!("another number was taken for done")
        };
        assert!(why.contains("changed again by someone else"), "{why}");

        // Unless a person has seen that and said so.
        let action = world.action("scale");
        let seen = action.observe(&cx(), &change.input).await.unwrap();
        let planned = action.plan_undo(&PlanCx { over_others: true, ..plan_cx() }, &change, &seen).unwrap();
        let Planned::Change(undo) = planned else { panic!("nothing to take back") };
        assert_eq!((&undo.before, &undo.after), (&json!({"replicas": 4}), &json!({"replicas": 1})));
        world.make(&undo).await;
    })
    .await;
}

#[tokio::test]
async fn another_object_of_the_same_name_is_another_object() {
    in_namespace(async |world: Arc<World>| {
        world.deploy("api", "shop/api:1", 1).await;
        let input = world.with_namespace(json!({"deployment": "api", "replicas": 2}));
        let change = world.plan("scale", &input).await;
        world.send("DELETE", &world.deployment_path("api"), "application/json", None).await;
        world
            .until("the end of the deployment", async |world| {
                world.get(&world.deployment_path("api")).await.is_none()
            })
            .await;
        world.deploy("api", "shop/api:1", 1).await;
        let action = world.action("scale");
        assert_eq!(action.apply(&cx(), &change).await.unwrap_err().kind, FaultKind::Conflict);
        let seen = action.observe(&cx(), &input).await.unwrap();
        assert_eq!(action.landed(&change, &seen), Landed::CannotTell);
        assert_ne!(world.plan("scale", &input).await.digest(), change.digest());
    })
    .await;
}

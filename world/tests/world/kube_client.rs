//! The same client that runbooks use, unchanged: kube.

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{
    Api, AttachParams, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::support::{Fixture, container, image, start};

async fn client(fixture: &Fixture) -> kube::Client {
    let kubeconfig = Kubeconfig::from_yaml(&fixture.world.kubeconfig()).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

#[tokio::test]
async fn typed_objects_are_read_and_changed() {
    let fixture = start("high-latency").await;
    let client = client(&fixture).await;
    assert_eq!(client.apiserver_version().await.unwrap().git_version, "v1.33.0+simulated");
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "production");
    let seen = deployments.get("api").await.unwrap();
    assert_eq!(seen.spec.replicas, Some(3));
    let patch = Patch::Strategic(container(json!({ "env": [{ "name": "LOG_LEVEL", "value": "DEBUG" }] })));
    let patched = deployments.patch("api", &PatchParams::default(), &patch).await.unwrap();
    let template = patched.spec.template.spec.unwrap();
    let env = template.containers[0].env.as_ref().unwrap();
    assert_eq!(env.len(), 2, "the other variable is still there");
    let mut stale = seen.clone();
    stale.spec.replicas = Some(7);
    let error = deployments.replace("api", &PostParams::default(), &stale).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.is_conflict()));
    let scale = deployments.get_scale("api").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(3));
    let change = Patch::Merge(json!({ "spec": { "replicas": 5 } }));
    let scaled = deployments.patch_scale("api", &PatchParams::default(), &change).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(5));
    let config_maps: Api<ConfigMap> = Api::namespaced(client, "production");
    let wanted = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "strict" }, "data": { "a": "1" } });
    let applied =
        config_maps.patch("strict", &PatchParams::apply("runbook"), &Patch::Apply(wanted)).await.unwrap();
    assert_eq!(applied.data.unwrap()["a"], "1");
    config_maps.delete("strict", &DeleteParams::default()).await.unwrap();
    let gone = config_maps.get("strict").await.unwrap_err();
    assert!(matches!(gone, kube::Error::Api(status) if status.is_not_found()));
}

#[tokio::test]
async fn logs_and_exec_work() {
    let fixture = start("high-latency").await;
    let pods: Api<Pod> = Api::namespaced(client(&fixture).await, "production");
    let list = pods.list(&ListParams::default().labels("app=api")).await.unwrap();
    let name = list.items[0].metadata.name.clone().unwrap();
    let logs = pods.logs(&name, &LogParams { tail_lines: Some(5), ..LogParams::default() }).await.unwrap();
    assert_eq!(logs.lines().count(), 5);
    let mut stream = pods.log_stream(&name, &LogParams::default()).await.unwrap().lines();
    assert!(stream.next().await.unwrap().unwrap().contains("starting (simulated)"));
    for (argv, printed, success) in [
        (vec!["echo", "hello", "there"], "hello there\n", true),
        (vec!["cat", "/etc/hostname"], &format!("{name}\n"), true),
        (vec!["psql", "-c", "select 1"], "", false),
    ] {
        let mut process = pods.exec(&name, argv.clone(), &AttachParams::default()).await.unwrap();
        let mut stdout = String::new();
        process.stdout().unwrap().read_to_string(&mut stdout).await.unwrap();
        let status = process.take_status().unwrap().await.unwrap();
        assert_eq!(stdout, printed, "{argv:?}");
        assert_eq!(status.status.as_deref() == Some("Success"), success, "{argv:?}");
        if !success {
            let causes = status.details.unwrap().causes.unwrap();
            assert_eq!(causes[0].message.as_deref(), Some("127"));
        }
    }
}

#[tokio::test]
async fn a_watch_tells_what_changes() {
    let fixture = start("high-latency").await;
    let deployments: Api<Deployment> = Api::namespaced(client(&fixture).await, "production");
    let list = deployments.list(&ListParams::default()).await.unwrap();
    let version = list.metadata.resource_version.unwrap();
    let params = WatchParams::default().fields("metadata.name=api").timeout(20);
    let mut events = deployments.watch(&params, &version).await.unwrap().boxed();
    fixture.change_api(json!({ "image": image(41) })).await;
    let changed = events.try_next().await.unwrap().unwrap();
    let WatchEvent::Modified(deployment) = changed else { panic!("{changed:?}") };
    assert_eq!(deployment.spec.template.spec.unwrap().containers[0].image, Some(image(41)));
    fixture.pass(120);
    loop {
        let WatchEvent::Modified(deployment) = events.try_next().await.unwrap().unwrap() else { continue };
        if deployment.status.and_then(|status| status.updated_replicas) == Some(3) {
            break;
        }
    }
}

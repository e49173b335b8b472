//! What needs a kubelet or a metrics server: logs, commands, resource use.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{
        RawQuery, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    routing::{any, get},
};
use runbook_contract::{Access, Cx, Mode};
use runbook_core::{
    Value,
    change::{Change, Landed, Planned},
    duration::Duration,
    fault::FaultKind,
    spec::{Effect, Grade},
};
use runbook_kubernetes::Config;
use serde_json::json;

use crate::{
    fixture::{action_of, cx, plan_cx},
    stub::{Asked, Stub, answer, not_found, ok},
};

fn pod(name: &str, ready: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "uid": name, "labels": {"app": "api"}},
        "spec": {"containers": [{"name": "app"}, {"name": "sidecar"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    })
}

#[tokio::test]
async fn logs_of_one_and_of_several_pods() {
    let stub = Stub::serve(|(_, path, _): &Asked| {
        let pods = "/api/v1/namespaces/shop/pods";
        match path.split('?').next().unwrap() {
            path if path == pods => ok(&json!({"items": [pod("a", "True"), pod("b", "False")]})),
            path if path == format!("{pods}/a") => ok(&pod("a", "True")),
            path if path.ends_with("/log") => {
                answer(http::StatusCode::OK, &[], "INFO one\nERROR two\nERROR three\n")
            }
            _ => not_found(),
        }
    })
    .await;
    let logs = action_of(&stub.config, &Access::new(Mode::ReadOnly), "logs");
    let seen = logs
        .observe(
            &cx(),
            &json!({"namespace": "shop", "pod": "a", "since": "90s", "tail": 10, "previous": true}),
        )
        .await;
    assert_eq!(
        seen.unwrap().outputs,
        json!({
            "lines": ["INFO one", "ERROR two", "ERROR three"],
            "count": 3,
            "matched": 3,
            "truncated": false,
            "last": "ERROR three",
        })
    );
    let asked = stub.paths().pop().unwrap();
    for part in
        ["/pods/a/log?", "tailLines=10", "limitBytes=", "container=app", "sinceSeconds=90", "previous=true"]
    {
        assert!(asked.contains(part), "{asked}");
    }
    let seen = logs
        .observe(
            &cx(),
            &json!({"namespace": "shop", "selector": "app=api", "container": "sidecar", "match": "two"}),
        )
        .await;
    assert_eq!(
        seen.unwrap().outputs,
        json!({
            "lines": ["b: ERROR two", "a: ERROR two"],
            "count": 6,
            "matched": 2,
            "truncated": false,
            "last": "ERROR two",
        })
    );
    assert!(stub.paths().pop().unwrap().contains("container=sidecar"));
    for input in [json!({"namespace": "shop"}), json!({"namespace": "shop", "pod": "a", "match": "("})] {
        assert_eq!(logs.observe(&cx(), &input).await.unwrap_err().kind, FaultKind::Permanent, "{input}");
    }
}

#[tokio::test]
async fn use_of_pods_and_nodes() {
    let stub = Stub::serve(|(_, path, _): &Asked| match path.split('?').next().unwrap() {
        "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods" => ok(&json!({"items": [
            {"metadata": {"name": "a", "namespace": "shop"}, "containers": [{"usage": {"cpu": "250m", "memory": "64Mi"}}]}]})),
        "/apis/metrics.k8s.io/v1beta1/nodes" => {
            ok(&json!({"items": [{"metadata": {"name": "n"}, "usage": {"cpu": "1", "memory": "6Gi"}}]}))
        }
        "/api/v1/nodes" => {
            ok(&json!({"items": [{"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "4", "memory": "8Gi"}}}]}))
        }
        _ => not_found(),
    })
    .await;
    let top = action_of(&stub.config, &Access::new(Mode::ReadOnly), "top");
    let pods = top.observe(&cx(), &json!({"namespace": "shop"})).await.unwrap().outputs;
    assert_eq!(
        (&pods["cpu"], &pods["memory"], &pods["items"][0]["name"]),
        (&json!(0.25), &json!(64 << 20), &json!("a"))
    );
    let nodes = top.observe(&cx(), &json!({"kind": "nodes"})).await.unwrap().outputs;
    assert_eq!((&nodes["cpu_percent_max"], &nodes["memory_percent_max"]), (&json!(25.0), &json!(75.0)));
}

/// A server with one pod, in which `sh` ends with 3, `sleep` does not end, and all else prints its
/// query.
async fn with_shell() -> (Stub, Arc<Mutex<Vec<String>>>) {
    let queries = Arc::new(Mutex::new(Vec::new()));
    let log = queries.clone();
    let exec = move |RawQuery(query): RawQuery, upgrade: WebSocketUpgrade| async move {
        let query = query.unwrap_or_default();
        log.lock().unwrap().push(query.clone());
        upgrade.protocols(["v4.channel.k8s.io"]).on_upgrade(move |socket| shell(socket, query))
    };
    let router = Router::new()
        .route(
            "/api/v1/namespaces/shop/pods",
            get(|| async { ok(&json!({"items": [pod("b", "True"), pod("a", "True"), pod("0", "False")]})) }),
        )
        .route("/api/v1/namespaces/shop/pods/a", get(|| async { ok(&pod("a", "True")) }))
        .route("/api/v1/namespaces/shop/pods/a/exec", any(exec));
    (Stub::of(router, Arc::default()).await, queries)
}

async fn shell(mut socket: WebSocket, query: String) {
    let mut send = async |channel: u8, text: &str| {
        let message = std::iter::once(channel).chain(text.bytes()).collect::<Vec<u8>>();
        let _ = socket.send(Message::Binary(message.into())).await;
    };
    if query.contains("command=sleep") {
        std::future::pending::<()>().await;
    }
    if query.contains("command=sh") {
        send(2, "no such thing\n").await;
        let causes = json!([{"reason": "ExitCode", "message": "3"}]);
        let status = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "failed", "details": {"causes": causes}});
        send(3, &status.to_string()).await;
    } else {
        send(1, "hello ").await;
        send(1, &"x".repeat(70 * 1024)).await;
        send(2, "warned").await;
        send(3, &json!({"status": "Success"}).to_string()).await;
    }
}

async fn planned(config: &Config, access: &Arc<Access>, command: &[&str]) -> Change {
    let exec = action_of(config, access, "exec");
    let input = json!({"namespace": "shop", "selector": "app=api", "command": command});
    let seen = exec.observe(&cx(), &input).await.unwrap();
    match exec.plan(&plan_cx(), &input, &seen).unwrap() {
        Planned::Change(change) => *change,
        already @ Planned::Already { .. } => panic!("nothing to do: {already:?}"),
    }
}

#[tokio::test]
async fn a_command_runs_once_and_its_output_is_bounded() {
    let (stub, queries) = with_shell().await;
    let access = Access::new(Mode::ReadWrite);
    let change = planned(&stub.config, &access, &["redis-cli", "info", "a b"]).await;
    assert_eq!((change.effect, change.target.name.as_str()), (Effect::Destructive, "kubernetes:shop/pod/a"));
    assert_eq!(change.summary, "run `redis-cli info a b` in pod a");
    let exec = action_of(&stub.config, &access, "exec");
    assert_eq!(exec.validate(&cx(), &change).await.unwrap().grade, Grade::Unknown);
    assert_eq!(access.writes_sent(), 0);
    let outputs = exec.apply(&cx(), &change).await.unwrap();
    assert_eq!(
        (&outputs["exit_code"], &outputs["stderr"], &outputs["truncated"]),
        (&json!(0), &json!("warned"), &json!(true))
    );
    let stdout = outputs["stdout"].as_str().unwrap();
    assert!(stdout.starts_with("hello xxx"));
    assert_eq!(stdout.len(), 64 * 1024);
    assert_eq!(access.writes_sent(), 1);
    let queries = queries.lock().unwrap().clone();
    assert_eq!(queries.len(), 1);
    assert!(
        queries[0].contains("command=redis-cli&command=info&command=a+b")
            || queries[0].contains("command=a%20b"),
        "{queries:?}"
    );
    assert!(!queries[0].contains("tty=true") && !queries[0].contains("stdin=true"), "{queries:?}");
    let seen = exec.observe(&cx(), &change.input).await.unwrap();
    assert_eq!(exec.landed(&change, &seen), Landed::CannotTell);
}

#[tokio::test]
async fn a_command_that_fails_or_hangs() {
    let (stub, _) = with_shell().await;
    let access = Access::new(Mode::ReadWrite);
    let exec = action_of(&stub.config, &access, "exec");
    let change = planned(&stub.config, &access, &["sh", "-c", "x"]).await;
    let fault = exec.apply(&cx(), &change).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent);
    assert_eq!(fault.message, "`sh -c x` ended with 3 in pod a: no such thing");
    let change = planned(&stub.config, &access, &["sleep", "60"]).await;
    let fault = exec.apply(&Cx { timeout: Duration::from_millis(300), ..cx() }, &change).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unknown, "{fault:?}");
}

#[tokio::test]
async fn only_listed_commands_run_without_writing() {
    let (stub, queries) = with_shell().await;
    let config =
        Config { read_only_exec: vec![vec!["redis-cli".into(), "info".into()]], ..stub.config.clone() };
    let access = Access::new(Mode::ReadOnly);
    let exec = action_of(&config, &access, "exec");
    let listed = planned(&config, &access, &["redis-cli", "info", "memory"]).await;
    assert_eq!(listed.effect, Effect::Read);
    exec.apply(&cx(), &listed).await.unwrap();
    let seen = exec.observe(&cx(), &listed.input).await.unwrap();
    assert_eq!(exec.landed(&listed, &seen), Landed::No);
    let other = planned(&config, &access, &["redis-cli", "flushall"]).await;
    assert_eq!(other.effect, Effect::Destructive);
    let fault = exec.apply(&cx(), &other).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Denied, "{fault:?}");
    assert_eq!((queries.lock().unwrap().len(), access.writes_sent(), access.writes_refused()), (1, 0, 1));
}

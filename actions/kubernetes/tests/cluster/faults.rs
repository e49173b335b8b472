//! What may be done next after a request that went wrong.

use axum::response::Response;
use http::{Method, StatusCode};
use runbook_contract::{Access, Action, Cx, Mode};
use runbook_core::{
    Value,
    change::{Change, Planned},
    duration::Duration,
    fault::{Fault, FaultKind},
    spec::Grade,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    fixture::{action_of, cx, deployment, plan_cx},
    stub::{Asked, Stub, answer, config, failure, not_found, ok},
};

fn api() -> Value {
    let mut object = deployment("api", "shop/api:1", 3);
    object["metadata"]["namespace"] = json!("shop");
    object["metadata"]["uid"] = json!("uid-1");
    object["metadata"]["resourceVersion"] = json!("7");
    object["metadata"]["generation"] = json!(1);
    object
}

fn input() -> Value {
    json!({"namespace": "shop", "deployment": "api", "replicas": 5})
}

/// A server with one deployment, whose answer to a write is given.
async fn with_write(write: impl Fn() -> Response + Clone + Send + Sync + 'static) -> Stub {
    Stub::serve(move |(method, path, _): &Asked| match (method.as_str(), path.split('?').next().unwrap()) {
        ("GET", "/apis/apps/v1/namespaces/shop/deployments/api") => ok(&api()),
        ("GET", "/api/v1/namespaces/shop/resourcequotas") => ok(&json!({"items": []})),
        ("PATCH", _) => write(),
        _ => not_found(),
    })
    .await
}

async fn planned(action: &dyn Action) -> Change {
    let seen = action.observe(&cx(), &input()).await.unwrap();
    match action.plan(&plan_cx(), &input(), &seen).unwrap() {
        Planned::Change(change) => *change,
        already @ Planned::Already { .. } => panic!("nothing to do: {already:?}"),
    }
}

async fn refused(stub: &Stub) -> Fault {
    let action = action_of(&stub.config, &Access::new(Mode::ReadWrite), "scale");
    let change = planned(action.as_ref()).await;
    let fault = action.apply(&cx(), &change).await.unwrap_err();
    assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
    fault
}

const NO_RIGHT: &str =
    r#"deployments.apps "api" is forbidden: User "eve" cannot patch resource "deployments/scale""#;

/// Status, `Retry-After`, body, and what is made of it.
type Case = (u16, Option<&'static str>, String, FaultKind, &'static str);

fn cases() -> Vec<Case> {
    let said = |code: u16, reason: &str, message: &str| failure(code, reason, message, &json!({}));
    let causes = json!({"causes": [{"field": "spec.replicas", "message": "must be positive"}]});
    vec![
        (429, Some("7"), said(429, "TooManyRequests", "slow down"), FaultKind::Refused, "slow down"),
        (503, None, said(503, "ServiceUnavailable", "not now"), FaultKind::Refused, "not now"),
        (503, Some("1"), "<html>".to_owned(), FaultKind::Refused, "<html>"),
        // A proxy's page says nothing of what became of the request behind it.
        (503, None, "<html>upstream</html>".to_owned(), FaultKind::Unknown, "upstream"),
        (502, None, "bad gateway".to_owned(), FaultKind::Unknown, "bad gateway"),
        (500, None, said(500, "InternalError", "webhook timed out"), FaultKind::Unknown, "webhook timed out"),
        (504, None, said(504, "Timeout", "timed out"), FaultKind::Unknown, "timed out"),
        (401, None, said(401, "Unauthorized", "Unauthorized"), FaultKind::Forbidden, "does not accept"),
        (403, None, said(403, "Forbidden", NO_RIGHT), FaultKind::Forbidden, r#"User "eve" cannot patch"#),
        (403, None, said(403, "Forbidden", "exceeded quota: small"), FaultKind::Permanent, "exceeded quota"),
        (
            422,
            None,
            failure(422, "Invalid", "invalid", &causes),
            FaultKind::Permanent,
            "spec.replicas: must be",
        ),
        (400, None, said(400, "BadRequest", "a webhook denied it"), FaultKind::Permanent, "denied it"),
        (413, None, said(413, "RequestEntityTooLarge", "too large"), FaultKind::Permanent, "too large"),
    ]
}

#[tokio::test]
async fn answers_are_told_apart_by_what_may_be_done_next() {
    for (code, wait, body, kind, text) in cases() {
        let reply = body.clone();
        let stub = with_write(move || {
            let headers: Vec<_> = wait.map(|wait| ("retry-after", wait)).into_iter().collect();
            answer(StatusCode::from_u16(code).unwrap(), &headers, &reply)
        })
        .await;
        let fault = refused(&stub).await;
        assert_eq!(fault.kind, kind, "{code} {body}: {fault:?}");
        assert!(fault.message.contains(text), "{code} {body}: {fault:?}");
        let wait = wait.map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
        assert_eq!(fault.retry_after, wait, "{code} {body}");
        assert_eq!(stub.writes().len(), 1, "{code} {body}: sent again without being asked to");
    }
}

#[tokio::test]
async fn a_missing_right_is_named_as_a_role_would_name_it() {
    let body = failure(403, "Forbidden", NO_RIGHT, &json!({}));
    let stub = with_write(move || answer(StatusCode::FORBIDDEN, &[], &body)).await;
    let hint = refused(&stub).await.hint.unwrap();
    assert_eq!(hint, "ask for a role with `patch` on `deployments/scale.apps` in namespace `shop`");
}

#[tokio::test]
async fn a_read_of_an_unwell_server_may_be_tried_again() {
    let access = Access::new(Mode::ReadOnly);
    for (code, kind) in
        [(503, FaultKind::Refused), (500, FaultKind::Unreachable), (502, FaultKind::Unreachable)]
    {
        let stub = Stub::serve(move |_| answer(StatusCode::from_u16(code).unwrap(), &[], "<html>")).await;
        let fault = action_of(&stub.config, &access, "scale").observe(&cx(), &input()).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{fault:?}");
        assert!(fault.kind.is_transient());
    }
    let stub = Stub::serve(|_| answer(StatusCode::OK, &[], "<html>a login page</html>")).await;
    let fault = action_of(&stub.config, &access, "scale").observe(&cx(), &input()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent);
    assert!(fault.message.contains("is not JSON"), "{fault:?}");
}

#[tokio::test]
async fn a_server_that_is_gone_was_sent_nothing() {
    let mut stub = with_write(|| ok(&api())).await;
    let access = Access::new(Mode::ReadWrite);
    let action = action_of(&stub.config, &access, "scale");
    let change = planned(action.as_ref()).await;
    stub.stop().await;
    // Another client, for the connection of the first may still be open.
    let action = action_of(&stub.config, &access, "scale");
    let fault = action.apply(&cx(), &change).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused, "{fault:?}");
    assert!(fault.message.contains("nothing was sent"), "{fault:?}");
    assert_eq!(action.observe(&cx(), &input()).await.unwrap_err().kind, FaultKind::Unreachable);
}

/// Answers reads, takes the request of a write, and then hangs or closes the connection.
async fn broken(hang: bool) -> runbook_kubernetes::Config {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, hang));
        }
    });
    config
}

async fn converse(mut stream: tokio::net::TcpStream, hang: bool) {
    let mut request = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut request).await {
        let text = String::from_utf8_lossy(&request[..read]).into_owned();
        if text.starts_with("PATCH") {
            if hang {
                std::future::pending::<()>().await;
            }
            return;
        }
        let body = if text.contains("/deployments/api") { api() } else { json!({"items": []}) }.to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
        stream.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_write_without_an_answer_is_in_doubt() {
    for hang in [false, true] {
        let action = action_of(&broken(hang).await, &Access::new(Mode::ReadWrite), "scale");
        let change = planned(action.as_ref()).await;
        let short = Cx { timeout: Duration::from_millis(300), ..cx() };
        let fault = action.apply(&short, &change).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unknown, "{fault:?}");
        assert!(
            fault.message.contains("patch deployments/scale.apps `api` in namespace `shop`"),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_dry_run_that_a_webhook_cannot_take_is_a_prediction() {
    let said = r#"admission webhook "policy.test" does not support dry run"#;
    let body = failure(400, "BadRequest", said, &json!({}));
    let stub = with_write(move || answer(StatusCode::BAD_REQUEST, &[], &body)).await;
    let action = action_of(&stub.config, &Access::new(Mode::ReadOnly), "scale");
    let change = planned(action.as_ref()).await;
    let validation = action.validate(&cx(), &change).await.unwrap();
    assert_eq!(validation.grade, Grade::Predicted);
    assert!(validation.warnings[0].contains("policy.test"));
}

#[tokio::test]
async fn warnings_of_the_server_are_passed_on() {
    let warning = ("warning", r#"299 - "this will be refused next year""#);
    let stub = with_write(move || answer(StatusCode::OK, &[warning], "{}")).await;
    let access = Access::new(Mode::ReadOnly);
    let action = action_of(&stub.config, &access, "scale");
    let change = planned(action.as_ref()).await;
    let validation = action.validate(&cx(), &change).await.unwrap();
    assert_eq!(validation.grade, Grade::Validated);
    assert_eq!(validation.warnings, ["this will be refused next year"]);
    assert_eq!((stub.writes().len(), access.writes_sent()), (0, 0));
}

#[tokio::test]
async fn the_request_that_is_sent_is_the_one_that_was_planned() {
    let stub = with_write(|| ok(&api())).await;
    let action = action_of(&stub.config, &Access::new(Mode::ReadWrite), "scale");
    let change = planned(action.as_ref()).await;
    action.apply(&cx(), &change).await.unwrap();
    let (method, path, body) = stub.writes().remove(0);
    assert_eq!(method, Method::PATCH);
    assert!(change.request.url.ends_with(&path), "{} is not {path}", change.request.url);
    assert_eq!(body, json!({"spec": {"replicas": 5}, "metadata": {"resourceVersion": "7"}}));

    let elsewhere = with_write(|| ok(&api())).await;
    let other = action_of(&elsewhere.config, &Access::new(Mode::ReadWrite), "scale");
    let fault = other.apply(&cx(), &change).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent, "{fault:?}");
    assert_eq!(elsewhere.writes().len(), 0);
}

#[tokio::test]
async fn names_cannot_reach_another_place() {
    let stub = with_write(|| ok(&api())).await;
    let action = action_of(&stub.config, &Access::new(Mode::ReadWrite), "scale");
    for name in ["../../../../api/v1/nodes/a", "api/status", "..", ""] {
        let input = json!({"namespace": "shop", "deployment": name, "replicas": 1});
        assert_eq!(action.observe(&cx(), &input).await.unwrap_err().kind, FaultKind::Permanent, "{name}");
    }
    assert_eq!(stub.paths(), Vec::<String>::new());
}

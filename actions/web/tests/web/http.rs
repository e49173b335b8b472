//! `http.get` and `http.request` as runbooks use them.

use std::sync::Arc;

use runbook_contract::{Access, Action, PlanCx, laws};
use runbook_core::{
    Value,
    change::{Landed, Planned, Progress, Undo},
    fault::FaultKind,
    spec::Effect,
};
use serde_json::json;
use wiremock::MockServer;

use crate::scenario::{answers, cx, json as ok, named, plan_cx, planned, reading, status, writing};

fn action(name: &str, server: &MockServer, access: &Arc<Access>) -> Arc<dyn Action> {
    let config = serde_json::from_value(json!({ "allow": [server.uri()] })).unwrap();
    named(runbook_web::http::actions(&config, access), name)
}

/// A service with one setting: `GET /mode` tells it, whatever is told to it.
async fn mode(server: &MockServer, value: &str) {
    server.reset().await;
    answers(server, "GET", "/mode", ok(json!({"data": {"mode": value}}))).await;
    answers(server, "PUT", "/mode", ok(json!({"accepted": true}))).await;
}

fn set_mode(server: &MockServer) -> Value {
    let url = format!("{}/mode", server.uri());
    json!({
        "method": "PUT", "url": url, "headers": {"x-team": "sre"}, "body": {"mode": "on"},
        "observe": {"url": url, "json_path": "data.mode", "equals": "on"},
        "undo": {"method": "PUT", "url": url, "body": {"mode": "off"}},
    })
}

#[tokio::test]
async fn a_status_is_an_answer() {
    let server = MockServer::start().await;
    let body = json!({"db": {"status": "up", "pool": [1, 2]}});
    answers(&server, "GET", "/health", ok(&body)).await;
    answers(&server, "GET", "/sick", status(503).set_body_string("no")).await;
    let action = action("http.get", &server, &reading());
    for (path, extra, expected) in [
        ("/health", json!({}), json!({"status": 200, "ok": true})),
        ("/health", json!({"json_path": "db.status"}), json!({"ok": true, "value": "up"})),
        ("/health", json!({"json_path": "/db/pool/1"}), json!({"value": 2})),
        ("/health", json!({"json_path": "db.nothing"}), json!({"ok": true, "value": null})),
        ("/health", json!({"expect_status": 204}), json!({"status": 200, "ok": false})),
        (
            "/sick",
            json!({"json_path": "db.status"}),
            json!({"status": 503, "ok": false, "body": "no", "value": null}),
        ),
        ("/sick", json!({"expect_status": 503}), json!({"ok": true})),
        ("/missing", json!({}), json!({"status": 404, "ok": false})),
    ] {
        let mut input = json!({"url": format!("{}{path}", server.uri())});
        input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let seen = action.observe(&cx(), &input).await.unwrap();
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(seen.outputs.get(key).unwrap_or(&Value::Null), value, "{input}: {key}");
        }
        let leads_nowhere = expected.get("value") == Some(&Value::Null);
        assert_eq!(!seen.warnings.is_empty(), leads_nowhere, "{input}: {:?}", seen.warnings);
        assert_eq!(seen.outputs.get("value").is_none(), leads_nowhere || extra.get("json_path").is_none());
        assert!(seen.outputs["time_ms"].is_u64());
    }
}

#[tokio::test]
async fn headers_that_would_change_the_meaning_of_a_request_are_refused() {
    let server = MockServer::start().await;
    let action = action("http.get", &server, &reading());
    for (name, value) in [
        ("Host", "evil.test"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("bad name", "x"),
        ("x-split", "a\r\nhost: evil.test"),
    ] {
        let input = json!({"url": server.uri(), "headers": {name: value}});
        let fault = action.observe(&cx(), &input).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permanent, "{name}: {fault}");
        assert!(!fault.message.contains("evil"), "{fault}");
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_request_that_can_be_observed_is_planned_applied_verified_and_undone() {
    let server = MockServer::start().await;
    let access = writing();
    let action = action("http.request", &server, &access);
    mode(&server, "off").await;
    let input = set_mode(&server);
    assert_eq!(laws::of_change(action.as_ref(), &access, &cx(), &input).await, Vec::<String>::new());
    let change = planned(action.as_ref(), &input).await;
    assert_eq!(change.before, json!({"value": "off"}));
    assert_eq!(change.after, json!({"value": "on"}));
    assert_eq!(change.summary, "data.mode off -> on");
    assert_eq!((change.effect, &change.undo), (Effect::Write, &Undo::Auto));
    assert_eq!(change.target.name, format!("http:{}/mode", server.address()));
    assert_eq!(change.digest(), planned(action.as_ref(), &input).await.digest());

    let outputs = action.apply(&cx(), &change).await.unwrap();
    assert_eq!(
        (&outputs["sent"], &outputs["status"], &outputs["json"]["accepted"]),
        (&json!(true), &json!(200), &json!(true))
    );
    assert_eq!(access.writes_sent(), 1);
    let sent = server.received_requests().await.unwrap().pop().unwrap();
    assert_eq!(sent.headers["idempotency-key"], "key-1");
    assert_eq!(sent.headers["content-type"], "application/json");
    assert_eq!(sent.headers["x-team"], "sre");
    assert_eq!(sent.body_json::<Value>().unwrap(), json!({"mode": "on"}));
    let still = action.verify(&cx(), &change).await.unwrap();
    assert_eq!(still, Progress::Pending("`data.mode` is off, not yet on".to_owned()));

    mode(&server, "on").await;
    assert_eq!(action.verify(&cx(), &change).await.unwrap(), Progress::Done(Value::Null));
    let seen = action.observe(&cx(), &input).await.unwrap();
    assert!(matches!(action.plan(&plan_cx(), &input, &seen).unwrap(), Planned::Already { .. }));
    let Planned::Change(undo) = action.plan_undo(&plan_cx(), &change, &seen).unwrap() else { panic!() };
    assert_eq!((&undo.before, &undo.after), (&change.after, &change.before));
    assert_eq!((&undo.target, &undo.request.body), (&change.target, &json!({"mode": "off"})));
    action.apply(&cx(), &undo).await.unwrap();
    mode(&server, "off").await;
    assert_eq!(action.verify(&cx(), &undo).await.unwrap(), Progress::Done(Value::Null));
}

#[tokio::test]
async fn doubt_is_settled_by_looking() {
    let server = MockServer::start().await;
    let action = action("http.request", &server, &writing());
    mode(&server, "off").await;
    let input = set_mode(&server);
    let change = planned(action.as_ref(), &input).await;
    for (now, landed) in [("on", Landed::Yes), ("off", Landed::No), ("half", Landed::CannotTell)] {
        mode(&server, now).await;
        let seen = action.observe(&cx(), &input).await.unwrap();
        assert_eq!(action.landed(&change, &seen), landed, "{now}");
    }
    for (now, expected) in [("half", None), ("off", Some("already"))] {
        mode(&server, now).await;
        let seen = action.observe(&cx(), &input).await.unwrap();
        match (action.plan_undo(&plan_cx(), &change, &seen), expected) {
            (Err(fault), None) => assert_eq!(fault.kind, FaultKind::Conflict),
            (Ok(Planned::Already { .. }), Some(_)) => {}
            (other, _) => panic!("{now}: {other:?}"),
        }
        let insisting = PlanCx { over_others: true, ..plan_cx() };
        assert!(action.plan_undo(&insisting, &change, &seen).is_ok(), "{now}");
    }
    mode(&server, "half").await;
    assert_eq!(action.apply(&cx(), &change).await.unwrap_err().kind, FaultKind::Conflict);
}

#[tokio::test]
async fn without_a_look_nothing_is_claimed() {
    let server = MockServer::start().await;
    answers(&server, "POST", "/jobs", status(202)).await;
    let action = action("http.request", &server, &writing());
    let input = json!({"method": "POST", "url": format!("{}/jobs?key=s3cret", server.uri()), "body": "run",
                       "idempotency_key": "X-Request-Id", "expect_status": 202});
    let change = planned(action.as_ref(), &input).await;
    assert!(matches!(change.undo, Undo::None(_)));
    assert!(change.warnings[0].contains("without `observe`"));
    assert_eq!(change.target.name, format!("http:{}/jobs", server.address()));
    assert_eq!(action.apply(&cx(), &change).await.unwrap()["status"], 202);
    let sent = server.received_requests().await.unwrap().pop().unwrap();
    assert_eq!(
        (sent.headers["x-request-id"].as_bytes(), sent.body.as_slice()),
        (b"key-1".as_slice(), b"run".as_slice())
    );
    assert_eq!(sent.headers["content-type"], "text/plain; charset=utf-8");
    let seen = action.observe(&cx(), &input).await.unwrap();
    assert_eq!(action.landed(&change, &seen), Landed::CannotTell);
    assert_eq!(action.verify(&cx(), &change).await.unwrap(), Progress::Done(Value::Null));
    assert_eq!(action.plan_undo(&plan_cx(), &change, &seen).unwrap_err().kind, FaultKind::Permanent);

    let other_status =
        json!({"method": "POST", "url": format!("{}/jobs", server.uri()), "expect_status": 201});
    let change = planned(action.as_ref(), &other_status).await;
    assert_eq!(action.apply(&cx(), &change).await.unwrap_err().kind, FaultKind::Unknown);
}

#[tokio::test]
async fn a_content_type_of_the_runbook_wins() {
    let server = MockServer::start().await;
    answers(&server, "POST", "/form", status(200)).await;
    let action = action("http.request", &server, &writing());
    for (body, kind) in [
        (json!("a=1"), "application/x-www-form-urlencoded"),
        (json!({"a": 1}), "application/merge-patch+json"),
    ] {
        let input = json!({"method": "POST", "url": format!("{}/form", server.uri()), "body": body,
                           "headers": {"Content-Type": kind}});
        let change = planned(action.as_ref(), &input).await;
        action.apply(&cx(), &change).await.unwrap();
        let sent = server.received_requests().await.unwrap().pop().unwrap();
        assert_eq!(sent.headers.get_all("content-type").iter().collect::<Vec<_>>(), [kind]);
    }
}

#[tokio::test]
async fn a_dry_run_cannot_write() {
    let server = MockServer::start().await;
    mode(&server, "off").await;
    let access = reading();
    let action = action("http.request", &server, &access);
    let change = planned(action.as_ref(), &set_mode(&server)).await;
    assert_eq!(action.apply(&cx(), &change).await.unwrap_err().kind, FaultKind::Denied);
    assert_eq!((access.writes_sent(), access.writes_refused()), (0, 1));
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| request.method.as_str() == "GET"));
}

#[tokio::test]
async fn a_target_is_named_without_the_query() {
    let server = MockServer::start().await;
    let action = action("http.request", &server, &writing());
    let host = server.address();
    for (url, target) in [
        (format!("http://{host}"), format!("http:{host}")),
        (format!("http://{host}/hook/a%20b?k=s3cret"), format!("http:{host}/hook/a%20b")),
        (format!("HTTP://{host}/x y#part"), format!("http:{host}/x y")),
    ] {
        let change = planned(action.as_ref(), &json!({"method": "POST", "url": url})).await;
        assert_eq!(change.target.name, target);
        assert!(!change.summary.contains("s3cret"));
    }
}

#[tokio::test]
async fn taking_something_away_is_destructive_and_reading_is_no_request() {
    let server = MockServer::start().await;
    let action = action("http.request", &server, &reading());
    let url = format!("{}/x", server.uri());
    let change = planned(action.as_ref(), &json!({"method": "DELETE", "url": url})).await;
    assert_eq!(change.effect, Effect::Destructive);
    for method in ["GET", "HEAD", "delete", "CONNECT"] {
        let fault = action.observe(&cx(), &json!({"method": method, "url": url})).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permanent, "{method}");
    }
    let elsewhere = json!({"method": "POST", "url": "http://evil.test/"});
    let seen = action.observe(&cx(), &elsewhere).await.unwrap();
    assert_eq!(action.plan(&plan_cx(), &elsewhere, &seen).unwrap_err().kind, FaultKind::Denied);
    assert_eq!(action.preflight(&cx(), &elsewhere).await.unwrap()[0].code, "limit");
}

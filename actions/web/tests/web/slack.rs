//! `slack.post` against a Slack that says what Slack says.

use std::sync::Arc;

use runbook_contract::{Access, Action};
use runbook_core::{
    Value,
    change::{Landed, Observed, Undo},
    fault::FaultKind,
    secret,
};
use serde_json::json;
use wiremock::MockServer;

use crate::scenario::{answers, cx, json as ok, named, plan_cx, planned, reading, status, writing};

fn post(server: &MockServer, access: &Arc<Access>) -> Arc<dyn Action> {
    let url = format!("{}/api", server.uri()).parse().unwrap();
    let token = runbook_contract::SecretSource::Given("xoxb-s3cret".to_owned());
    let config = runbook_web::slack::Config { url, token, channel: Some("#sre".to_owned()) };
    named(runbook_web::slack::actions(&config, access), "slack.post")
}

#[tokio::test]
async fn a_message_is_planned_and_posted() {
    let server = MockServer::start().await;
    answers(&server, "POST", "/api/chat.postMessage", ok(json!({"ok": true, "channel": "C1", "ts": "1.2"})))
        .await;
    let access = writing();
    let action = post(&server, &access);
    let input = json!({"channel": "#incidents", "template": "resolved", "fields": {"title": "API", "p95": "0.2 s (was 8 s)"}});
    let change = planned(action.as_ref(), &input).await;
    let text = ":white_check_mark: *Resolved: API*\n• p95: 0.2 s (was 8 s)";
    assert_eq!(change.after, json!({"message": text}));
    assert_eq!((change.target.name.as_str(), change.target.short()), ("slack:#incidents", "#incidents"));
    assert!(matches!(change.undo, Undo::None(_)) && !change.summary.contains('\n'));
    assert_eq!(change.digest(), planned(action.as_ref(), &input).await.digest());
    assert_eq!(access.writes_sent(), 0);

    let outputs = action.apply(&cx(), &change).await.unwrap();
    assert_eq!(outputs, json!({"posted": true, "channel": "C1", "ts": "1.2"}));
    let sent = server.received_requests().await.unwrap().pop().unwrap();
    assert_eq!(sent.headers["authorization"], "Bearer xoxb-s3cret");
    let body: Value = sent.body_json().unwrap();
    assert_eq!((&body["channel"], &body["text"]), (&json!("#incidents"), &json!(text)));
    let first = body["client_msg_id"].clone();
    uuid_shaped(first.as_str().unwrap());
    action.apply(&cx(), &change).await.unwrap();
    let again = server.received_requests().await.unwrap().pop().unwrap();
    assert_eq!(again.body_json::<Value>().unwrap()["client_msg_id"], first, "a repeat carries the same id");
    assert_eq!(action.landed(&change, &Observed::default()), Landed::No);
}

fn uuid_shaped(text: &str) {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{text}");
    assert!(text.chars().all(|letter| letter == '-' || letter.is_ascii_hexdigit()), "{text}");
}

#[tokio::test]
async fn what_slack_refuses_says_what_to_do() {
    for (answer, kind) in [
        (ok(json!({"ok": false, "error": "channel_not_found"})), FaultKind::NotFound),
        (ok(json!({"ok": false, "error": "not_in_channel"})), FaultKind::Forbidden),
        (ok(json!({"ok": false, "error": "invalid_auth"})), FaultKind::Forbidden),
        (ok(json!({"ok": false, "error": "missing_scope"})), FaultKind::Forbidden),
        (ok(json!({"ok": false, "error": "is_archived"})), FaultKind::Permanent),
        (ok(json!({"ok": false, "error": "ratelimited"})), FaultKind::Refused),
        (status(429).insert_header("retry-after", "30"), FaultKind::Refused),
        (ok(json!({"ok": false, "error": "fatal_error"})), FaultKind::Unknown),
        (ok(json!({"ok": false, "error": "something_new"})), FaultKind::Permanent),
        (status(500), FaultKind::Unknown),
        (status(200).set_body_string("<html>"), FaultKind::Unknown),
        (ok(json!({"hello": 1})), FaultKind::Unknown),
    ] {
        let server = MockServer::start().await;
        answers(&server, "POST", "/api/chat.postMessage", answer).await;
        let action = post(&server, &writing());
        let change = planned(action.as_ref(), &json!({"text": "hello"})).await;
        let fault = action.apply(&cx(), &change).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(!fault.message.contains("s3cret"), "{fault}");
    }
}

#[tokio::test]
async fn inputs_are_checked_before_anything_is_sent() {
    let server = MockServer::start().await;
    let action = post(&server, &reading());
    for (input, kind) in [
        (json!({}), FaultKind::Permanent),
        (json!({"text": "a", "template": "update"}), FaultKind::Permanent),
        (json!({"channel": " ", "text": "a"}), FaultKind::Permanent),
        (json!({"blocks": vec![json!({"type": "divider"}); 51]}), FaultKind::Permanent),
    ] {
        let fault = action.plan(&plan_cx(), &input, &Observed::default()).unwrap_err();
        assert_eq!(fault.kind, kind, "{input}: {fault}");
    }
    let long = planned(action.as_ref(), &json!({"text": "é".repeat(5000)})).await;
    assert_eq!(long.request.body["text"].as_str().unwrap().chars().count(), 4000);
    assert!(long.warnings[0].contains("cut after 4000"));
    let default = planned(action.as_ref(), &json!({"blocks": [{"type": "divider"}], "text": "x"})).await;
    assert_eq!(
        (&default.request.body["channel"], default.request.body["blocks"].as_array().unwrap().len()),
        (&json!("#sre"), 1)
    );
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[test]
fn secrets_do_not_belong_into_a_message() {
    let spec = runbook_web::slack::specs().remove(0);
    let token = secret::mark("token");
    for (input, field) in [
        (json!({"text": format!("the key is {token}")}), Some("text")),
        (json!({"template": "update", "fields": {"key": token}}), Some("fields")),
        (json!({"blocks": [{"text": token}]}), Some("blocks")),
        (json!({"text": "no secret"}), None),
    ] {
        assert_eq!(spec.misplaced_secret(&input), field, "{input}");
    }
}

#[tokio::test]
async fn a_dry_run_posts_nothing() {
    let server = MockServer::start().await;
    let access = reading();
    let action = post(&server, &access);
    let change = planned(action.as_ref(), &json!({"text": "hello"})).await;
    assert_eq!(action.apply(&cx(), &change).await.unwrap_err().kind, FaultKind::Denied);
    assert_eq!((access.writes_sent(), access.writes_refused()), (0, 1));
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn preflight_asks_whether_the_token_is_known() {
    for (answer, code) in
        [(json!({"ok": true}), None), (json!({"ok": false, "error": "invalid_auth"}), Some("forbidden"))]
    {
        let server = MockServer::start().await;
        answers(&server, "POST", "/api/auth.test", ok(answer)).await;
        let found = post(&server, &reading()).preflight(&cx(), &json!({"text": "hello"})).await.unwrap();
        assert_eq!(found.first().map(|obstacle| obstacle.code.as_str()), code);
    }
    let server = MockServer::start().await;
    let found = post(&server, &reading()).preflight(&cx(), &json!({})).await.unwrap();
    assert_eq!(found[0].code, "invalid");
}

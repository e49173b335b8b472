//! What is sent, to the byte where it matters.

use runbook_contract::SecretSource;
use runbook_intake::{Headers, Proof, Request};
use serde_json::{Value, json};

use super::{
    bench::{Bench, CANARY, SIGNING, are, pagerduty, slack, webhook},
    stand_in::{Reply, Seen, StandIn},
};
use crate::{
    Channel, Outcome, Press, State,
    notice::samples,
    slack::buttons::{APPROVE, AnswerTo},
};

#[tokio::test]
async fn slack_gets_a_message_that_is_edited_once_it_is_decided() {
    let server = StandIn::up([]).await;
    let bench = Bench::new(vec![slack(&server.url(""))]);
    let _worker = bench.work();
    assert_eq!(bench.post(&samples::approval_requested(), "run/5").await, 1);
    let sent = bench.one(State::Sent).await;
    assert_eq!((sent.tries, sent.trouble), (1, None));
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("POST", "/api/chat.postMessage"));
    assert_eq!(seen[0].header("authorization"), format!("Bearer xoxb-{CANARY}"));
    assert_eq!(seen[0].header("content-type"), "application/json; charset=utf-8");
    let body = seen[0].json();
    assert_eq!(body["channel"], "#incidents");
    assert_eq!(body["text"], "[production] Approval needed: roll back api from 42 to 41");
    assert!(body["blocks"].to_string().contains(APPROVE));
    let id = body["client_msg_id"].as_str().unwrap();
    assert_eq!((id.len(), &id[14..15]), (36, "8"), "the shape of a UUID");

    bench.post(&samples::approval_answered(Outcome::Approved), "run/7").await;
    bench.run_until(are(2, State::Sent)).await;
    let seen = server.seen();
    assert_eq!((seen.len(), seen[1].path.as_str()), (2, "/api/chat.update"));
    let body = seen[1].json();
    assert_eq!((&body["channel"], &body["ts"]), (&json!("C0INCIDENTS"), &json!("1700000000.000001")));
    assert!(body["blocks"].to_string().contains("Approved by alice"));
    assert!(!body["blocks"].to_string().contains(APPROVE), "the buttons are gone");
    assert_eq!(bench.outbox.tallies()["slack"].sent, 2);
    assert!(!bench.written().await.contains(CANARY));
}

#[tokio::test]
async fn an_answer_to_what_was_not_asked_here_is_not_told() {
    let server = StandIn::up([]).await;
    let bench = Bench::new(vec![slack(&server.url(""))]);
    let _worker = bench.work();
    bench.post(&samples::approval_answered(Outcome::Approved), "run/7").await;
    bench.one(State::Dropped).await;
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn pagerduty_gets_events_with_one_key() {
    let server = StandIn::up([]).await;
    let bench = Bench::new(vec![pagerduty(&server.url(""))]);
    let _worker = bench.work();
    let all = samples::all();
    bench.post(&all[0], "inc/1").await;
    bench.one(State::Sent).await;
    bench.post(&all[3], "inc/9").await;
    bench.run_until(are(2, State::Sent)).await;
    let seen = server.seen();
    let events: Vec<Value> = seen.iter().map(Seen::json).collect();
    assert_eq!(seen[0].path, "/v2/enqueue");
    assert!(events.iter().all(|event| event["routing_key"] == format!("key-{CANARY}")));
    assert!(events.iter().all(|event| event["dedup_key"] == "runbook/incident/inc_01"));
    assert_eq!(
        (&events[0]["event_action"], &events[1]["event_action"]),
        (&json!("trigger"), &json!("resolve"))
    );
    assert!(events[1].get("payload").is_none());
    assert!(!bench.written().await.contains(CANARY));
}

#[tokio::test]
async fn a_webhook_is_signed_and_its_address_may_be_a_secret() {
    let server = StandIn::up([]).await;
    let Channel::Webhook(mut config) = webhook(&server.url("")) else { panic!() };
    let url = config.url.take().unwrap().url().to_string();
    config.url_from = Some(SecretSource::Given(url));
    let bench = Bench::new(vec![Channel::Webhook(config)]);
    let _worker = bench.work();
    bench.post(&samples::alert_unmatched(), "alert/1").await;
    bench.one(State::Sent).await;
    let seen = server.seen().remove(0);
    assert_eq!(seen.path, format!("/hook?token={CANARY}"));
    let proof = Proof::StandardWebhooks { secrets: vec![SIGNING.into()] };
    let headers = seen.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    proof.verify(&Request::new(headers.collect(), &seen.body, samples::at())).unwrap();
    assert_eq!(seen.header("webhook-id"), bench.all().await[0].id);
    assert_eq!(seen.json()["type"], "alert_unmatched");
    assert!(!bench.written().await.contains(CANARY));
}

#[tokio::test]
async fn whoever_pressed_is_known_and_answered_alone() {
    let server = StandIn::up([]).await;
    let bench = Bench::new(vec![slack(&server.url(""))]);
    let payload = json!({
        "type": "block_actions",
        "user": {"id": "U024BE7LH", "username": "al"},
        "container": {"message_ts": "1.2", "channel_id": "C1"},
        "response_url": server.url("/actions/T1/2/3"),
        "actions": [{
            "action_id": APPROVE, "action_ts": "3.4",
            "value": json!({"run": samples::run().id, "step": "a", "digest": "b"}).to_string(),
        }],
    });
    let encoded: String = url::form_urlencoded::byte_serialize(payload.to_string().as_bytes()).collect();
    let body = format!("payload={encoded}");
    let proof = Proof::Slack { secrets: vec![format!("signing-{CANARY}").into()] };
    let signed = proof.sign("", body.as_bytes(), samples::at()).unwrap();
    let request = Request::new(Headers::from(signed.as_slice()), body.as_bytes(), samples::at());
    let Press::Decided(pressed) = bench.outbox.press(&request).unwrap() else { panic!() };
    let to = AnswerTo(Box::new(server.url("/actions/T1/2/3").parse().unwrap()));
    assert_eq!((pressed.person.as_str(), pressed.answer_to.as_ref()), ("alice", Some(&to)));

    bench.outbox.answer(&to, "alice <has> approved").await.unwrap();
    let seen = server.seen().remove(0);
    assert_eq!(seen.path, "/actions/T1/2/3");
    let text = "alice &lt;has&gt; approved";
    assert_eq!(seen.json(), json!({"response_type": "ephemeral", "replace_original": false, "text": text}));
    server.will(Reply::Json(404, json!({})));
    let error = bench.outbox.answer(&to, "x").await.unwrap_err();
    assert!(error.contains("404") && !error.contains("/actions"), "{error}");
}

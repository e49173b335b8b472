//! Mail, from the queue to the server.

use serde_json::{Value, json};

use super::{
    bench::{Bench, CANARY, channel},
    postbox::{HANG_UP, Postbox},
};
use crate::{Channel, State, notice::samples};

fn mail(port: u16, changes: Value) -> Channel {
    let mut value = json!({
        "kind": "email", "name": "mail", "on": ["approval_requested", "alert_unmatched"],
        "server": format!("127.0.0.1:{port}"), "tls": "none",
        "from": "Runbook <runbook@example.com>", "to": ["team@example.com", "b@example.com"],
    });
    value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    channel(value)
}

fn login() -> Value {
    json!({"user": "runbook", "password": {"env": "X"}})
}

#[tokio::test]
async fn a_mail_arrives_whole() {
    let postbox = Postbox::up("AUTH PLAIN LOGIN", &[]).await;
    let bench = Bench::new(vec![mail(postbox.port, login())]);
    let _worker = bench.work();
    bench.post(&samples::approval_requested(), "a").await;
    bench.one(State::Sent).await;
    let mails = postbox.mails();
    assert_eq!(mails.len(), 1);
    let (said, text) = (mails[0].lines.concat(), &mails[0].mail);
    for expected in [
        "AUTH PLAIN",
        "MAIL FROM:<runbook@example.com>",
        "RCPT TO:<team@example.com>",
        "RCPT TO:<b@example.com>",
    ] {
        assert!(said.contains(expected), "{expected} is not in {said}");
    }
    let id = bench.all().await.remove(0).id;
    for expected in [
        "From: Runbook <runbook@example.com>",
        "Subject: [production] Approval needed: roll back api from 42 to 41",
        &format!("Message-ID: <{id}@example.com>"),
        "Target: kubernetes:production/deployment/api",
        "+ image: api:41",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    assert!(!bench.written().await.contains(CANARY));
}

#[tokio::test]
async fn what_the_server_has_no_time_for_comes_again_as_the_same_mail() {
    // Told to come back, then broken off after the mail was taken but before that was said.
    let postbox = Postbox::up("8BITMIME", &[("RCPT", "451 come back later"), (".", HANG_UP)]).await;
    let bench = Bench::new(vec![mail(postbox.port, json!({}))]);
    let _worker = bench.work();
    bench.post(&samples::alert_unmatched(), "a").await;
    for tries in [1, 2] {
        let due = bench.tried(tries).await;
        assert!(due.trouble.as_deref().is_some_and(|why| why.contains("127.0.0.1")), "{due:?}");
        bench.clock.advance_to(due.at);
    }
    bench.one(State::Sent).await;
    let mails = postbox.mails();
    assert_eq!(mails.len(), 2, "nobody knew of the first");
    assert_eq!(mails[0].mail, mails[1].mail, "with one Message-ID, so that programs show one");
}

#[tokio::test]
async fn a_no_is_a_no() {
    for (features, refusals, changes, why) in [
        ("8BITMIME", [("RCPT", "550 no such user")], json!({}), "550"),
        ("AUTH PLAIN", [("AUTH", "535 password-c4nary-s3cret is wrong")], login(), "*** is wrong"),
    ] {
        let postbox = Postbox::up(features, &refusals).await;
        let bench = Bench::new(vec![mail(postbox.port, changes)]);
        let _worker = bench.work();
        bench.post(&samples::alert_unmatched(), "a").await;
        let failed = bench.one(State::Failed).await;
        assert!(failed.trouble.as_deref().unwrap().contains(why), "{failed:?}");
        assert!(!bench.written().await.contains(CANARY));
        assert_eq!(postbox.mails().len(), 0);
    }
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_where_tls_is_wanted() {
    let postbox = Postbox::up("AUTH PLAIN", &[]).await;
    let mut changes = login();
    changes["tls"] = json!("starttls");
    let bench = Bench::new(vec![mail(postbox.port, changes)]);
    let _worker = bench.work();
    bench.post(&samples::alert_unmatched(), "a").await;
    let failed = bench.one(State::Failed).await;
    assert!(failed.trouble.as_deref().unwrap().contains("STARTTLS"), "{failed:?}");
    let said = postbox.said();
    assert!(said.contains("EHLO") && !said.contains("AUTH") && !said.contains("MAIL"), "{said}");
}

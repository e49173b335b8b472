//! Receivers that do not take what they are sent.

use std::time::{Duration as StdDuration, Instant};

use runbook_core::duration::Duration;
use serde_json::json;
use tokio::net::TcpListener;

use super::{
    bench::{Bench, CANARY, are, pagerduty, slack, webhook},
    stand_in::{Reply, StandIn},
};
use crate::{
    State,
    notice::samples,
    outbox::limits::{LONGEST_BACKOFF, LONGEST_WAIT, MOST_TRIES},
};

#[tokio::test]
async fn what_may_go_better_is_tried_again() {
    let no = |status| Reply::Json(status, json!({"message": "not now"}));
    let busy = Reply::Json(200, json!({"ok": false, "error": "internal_error"}));
    let odd = Reply::Json(200, json!("<html>"));
    let server = StandIn::up([no(500), no(503), no(408), busy, odd]).await;
    let bench = Bench::new(vec![slack(&server.url(""))]);
    let _worker = bench.work();
    bench.post(&samples::run_ended(runbook_core::event::EndStatus::Stuck), "a").await;
    let mut last = samples::at();
    for (tries, why) in [(1, "500"), (2, "503"), (3, "408"), (4, "internal_error"), (5, "not one of Slack's")]
    {
        let due = bench.tried(tries).await;
        let trouble = due.trouble.unwrap();
        assert!(trouble.contains(why), "{trouble}");
        let wait = Duration::between(last, due.at).as_secs_f64();
        let base = f64::from(2_u32.pow(tries));
        assert!((base * 0.75..=base * 1.25).contains(&wait), "{wait} s after {tries} tries");
        bench.clock.advance_to(due.at);
        last = due.at;
    }
    assert_eq!(bench.one(State::Sent).await.tries, 6);
    let seen = server.seen();
    assert_eq!(seen.len(), 6);
    assert!(seen.iter().all(|one| one.json()["client_msg_id"] == seen[0].json()["client_msg_id"]));
    assert_eq!(bench.outbox.tallies()["slack"].retried, 5);
}

#[tokio::test]
async fn who_says_when_to_come_back_is_left_alone_until_then() {
    let busy = Reply::Wait(429, "120", json!({"ok": false, "error": "ratelimited"}));
    let server = StandIn::up([busy]).await;
    let bench = Bench::new(vec![slack(&server.url(""))]);
    let _worker = bench.work();
    bench.post(&samples::approval_requested(), "a").await;
    let due = bench.tried(1).await;
    assert!(Duration::between(samples::at(), due.at) >= Duration::from_secs(120), "{}", due.at);
    // Not only that message: all of the channel.
    bench.post(&samples::alert_unmatched(), "b").await;
    bench.clock.advance(Duration::from_secs(110));
    let all = bench.run_until(|all| all.iter().any(|one| one.dispatch.state == State::Sent)).await;
    let sent = all.iter().find(|one| one.dispatch.state == State::Sent).unwrap();
    assert!(Duration::between(samples::at(), sent.dispatch.at) >= Duration::from_secs(120), "{sent:?}");
    bench.run_until(are(2, State::Sent)).await;
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn no_answer_silences_a_channel_for_long() {
    let mad = Reply::Wait(503, "31536000", json!({}));
    let server = StandIn::up([mad]).await;
    let bench = Bench::new(vec![webhook(&server.url(""))]);
    let _worker = bench.work();
    bench.post(&samples::alert_unmatched(), "a").await;
    let failed = bench.one(State::Failed).await;
    assert!(failed.trouble.unwrap().starts_with("given up"), "nobody waits for a year");
    bench.post(&samples::alert_unmatched(), "b").await;
    bench.clock.advance(LONGEST_BACKOFF);
    bench.until(|all| all.iter().any(|one| one.dispatch.state == State::Sent)).await;
}

#[tokio::test]
async fn what_is_refused_for_good_is_kept_with_its_reason() {
    let slack_says = |error: &str| Reply::Json(200, json!({"ok": false, "error": error}));
    for (reply, why) in [
        (slack_says("invalid_auth"), "invalid_auth"),
        (slack_says("channel_not_found"), "channel_not_found"),
        (slack_says(&format!("you sent xoxb-{CANARY}")), "you sent ***"),
        (Reply::Json(403, json!({"error": "nope"})), "403 forbidden: nope"),
        (Reply::Json(302, json!({})), "redirects are not followed"),
    ] {
        let server = StandIn::up([reply]).await;
        let bench = Bench::new(vec![slack(&server.url(""))]);
        let _worker = bench.work();
        bench.post(&samples::approval_requested(), "a").await;
        let failed = bench.one(State::Failed).await;
        assert!(failed.trouble.as_deref().unwrap().contains(why), "{failed:?}");
        assert_eq!((failed.tries, server.seen().len()), (1, 1));
        assert_eq!(bench.outbox.tallies()["slack"].failed, 1);
        assert!(!bench.written().await.contains(CANARY));

        // A person sets it right and sends it once more.
        let id = bench.all().await.remove(0).id;
        assert!(bench.outbox.retry(&id).await.unwrap());
        bench.run_until(are(1, State::Sent)).await;
        assert!(!bench.outbox.retry(&id).await.unwrap(), "what was sent is not sent again");
    }
}

#[tokio::test]
async fn pagerduty_says_what_is_wrong_without_the_key() {
    let errors = json!({"status": "invalid event", "message": "Event object is invalid",
        "errors": [format!("'routing_key' key-{CANARY} is invalid")]});
    let server = StandIn::up([Reply::Json(400, errors)]).await;
    let bench = Bench::new(vec![pagerduty(&server.url(""))]);
    let _worker = bench.work();
    bench.post(&samples::approval_requested(), "a").await;
    let why = bench.one(State::Failed).await.trouble.unwrap();
    assert!(why.ends_with("400 bad request: Event object is invalid; 'routing_key' *** is invalid"), "{why}");
}

#[tokio::test]
async fn a_server_that_is_silent_or_gone_costs_no_other_channel() {
    let (silent, fine) = (StandIn::up([Reply::Silence]).await, StandIn::up([]).await);
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let patience = StdDuration::from_secs(3);
    let mut bench = Bench::new(vec![slack(&silent.url("")), webhook(&gone), pagerduty(&fine.url(""))]);
    bench.outbox = bench.outbox.with_patience(patience);
    let _worker = bench.work();
    let begun = Instant::now();
    assert_eq!(bench.post(&samples::approval_requested(), "a").await, 3);
    bench.until(|all| all.iter().any(|one| one.dispatch.state == State::Sent)).await;
    assert!(begun.elapsed() < patience, "it did not wait for the silent one");
    let all = bench.until(|all| all.iter().filter(|one| one.dispatch.trouble.is_some()).count() == 2).await;
    let why = |channel: &str| {
        let one = all.iter().find(|one| one.dispatch.channel == channel).unwrap();
        assert_eq!(one.dispatch.state, State::Due);
        one.dispatch.trouble.clone().unwrap()
    };
    assert!(why("slack").contains("in time"), "{}", why("slack"));
    assert!(why("webhook").contains("could not be reached"), "{}", why("webhook"));
    assert!(!bench.written().await.contains(CANARY));
}

#[tokio::test]
async fn after_a_day_or_many_tries_it_is_given_up() {
    let server = StandIn::up(vec![Reply::Json(503, json!({})); 100]).await;
    let bench = Bench::new(vec![webhook(&server.url(""))]);
    let _worker = bench.work();
    bench.post(&samples::alert_unmatched(), "a").await;
    let mut tries = 0;
    let failed = loop {
        let next = |state, tried| state == State::Failed || (state == State::Due && tried > tries);
        let all = bench.until(|all| next(all[0].dispatch.state, all[0].dispatch.tries)).await;
        let one = all[0].dispatch.clone();
        if one.state == State::Failed {
            break one;
        }
        tries = one.tries;
        bench.clock.advance_to(one.at);
    };
    assert!(failed.tries <= MOST_TRIES && failed.at <= LONGEST_WAIT.after(samples::at()), "{failed:?}");
    assert!(Duration::between(samples::at(), failed.at) > Duration::from_secs(12 * 3_600), "{failed:?}");
    let why = failed.trouble.unwrap();
    assert!(why.starts_with("given up after") && why.contains("503"), "{why}");
}

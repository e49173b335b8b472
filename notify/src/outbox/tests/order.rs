//! Once, in order, not too late, not too much.

use runbook_core::{duration::Duration, event::EndStatus};
use runbook_journal::{JournalError, Write};
use serde_json::json;

use super::{
    bench::{Bench, are, pagerduty, slack, webhook},
    stand_in::{Reply, Seen, StandIn},
};
use crate::{
    Approval, Listed, MOST_QUEUED, News, Notice, Outcome, State,
    notice::samples,
    outbox::{KEPT, limits::TIDY},
};

/// Where nobody answers.
const NOWHERE: &str = "http://127.0.0.1:1";

fn over(count: usize) -> impl Fn(&[Listed]) -> bool {
    move |all| all.len() == count && all.iter().all(|one| !one.dispatch.state.is_open())
}

#[tokio::test]
async fn a_key_is_queued_once_for_each_channel() {
    let bench = Bench::new(vec![webhook(NOWHERE), slack(NOWHERE)]);
    let notice = samples::alert_unmatched();
    let writes = bench.outbox.put(&notice, "a").await.unwrap();
    let again = bench.outbox.put(&notice, "a").await.unwrap();
    assert_eq!((writes.len(), again.len()), (2, 2));
    bench.shelf.write(writes).await.unwrap();
    // Who was slower learns so, and asks again.
    assert!(matches!(bench.shelf.write(again).await, Err(JournalError::Changed { .. })));
    assert_eq!(bench.outbox.put(&notice, "a").await.unwrap().len(), 0);
    assert_eq!(bench.post(&notice, "a").await, 0);
    let both = tokio::join!(bench.outbox.post(&notice, "b"), bench.outbox.post(&notice, "b"));
    assert_eq!(both.0.unwrap() + both.1.unwrap(), 2);
    assert_eq!(bench.all().await.len(), 4);
    for (state, count) in [(None, 2), (Some(State::Due), 2), (Some(State::Sent), 0)] {
        assert_eq!(
            bench.outbox.list(Some("slack"), state, None, 10).await.unwrap().len(),
            count,
            "{state:?}"
        );
    }
    let first = bench.outbox.list(None, None, None, 3).await.unwrap();
    let last = first.last().map(|one| (one.dispatch.at, one.id.clone()));
    assert_eq!((first.len(), bench.outbox.list(None, None, last, 3).await.unwrap().len()), (3, 1));
    let unwanted = samples::all().remove(2);
    assert_eq!(bench.outbox.put(&unwanted, "c").await.unwrap().len(), 0, "nobody asked for it");
}

#[tokio::test]
async fn the_oldest_goes_first() {
    let server = StandIn::up([]).await;
    let bench = Bench::new(vec![webhook(&server.url(""))]);
    for key in ["z", "a", "m", "b"] {
        bench.post(&samples::alert_unmatched(), key).await;
        bench.clock.advance(Duration::from_millis(1));
    }
    let mut queued = bench.all().await;
    queued.sort_by_key(|one| one.dispatch.created_at);
    let _worker = bench.work();
    bench.run_until(are(4, State::Sent)).await;
    let seen = server.seen();
    let sent: Vec<&str> = seen.iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!(sent, queued.iter().map(|one| one.id.as_str()).collect::<Vec<_>>());
}

#[tokio::test]
async fn channels_are_replaced_while_it_works() {
    let (old, new) = (StandIn::up([]).await, StandIn::up([]).await);
    let bench = Bench::new(vec![webhook(&old.url(""))]);
    let worker = bench.work();
    bench.post(&samples::alert_unmatched(), "1").await;
    bench.run_until(are(1, State::Sent)).await;
    // Those that would not do what they say leave what there was.
    let twice = vec![webhook(NOWHERE), webhook(NOWHERE)];
    bench.outbox.replace(twice).unwrap_err();
    bench.post(&samples::alert_unmatched(), "2").await;
    bench.run_until(are(2, State::Sent)).await;
    assert_eq!((old.seen().len(), new.seen().len()), (2, 0));

    bench.outbox.replace(vec![webhook(&new.url("")), slack(NOWHERE)]).unwrap();
    bench.post(&samples::alert_unmatched(), "3").await;
    bench.run_until(|all| all.iter().filter(|one| one.dispatch.state == State::Sent).count() == 3).await;
    assert_eq!((old.seen().len(), new.seen().len()), (2, 1));
    assert_eq!(bench.outbox.tallies().len(), 2);
    worker.stop.send_replace(true);
    bench.outbox.replace(vec![]).unwrap();
}

#[tokio::test]
async fn two_workers_send_it_once() {
    let server = StandIn::up([]).await;
    let bench = Bench::new(vec![webhook(&server.url(""))]);
    for key in 0..20 {
        bench.post(&samples::alert_unmatched(), &format!("{key}")).await;
    }
    let other = bench.beside(vec![webhook(&server.url(""))]);
    let _workers = (bench.work(), other.work());
    bench.run_until(are(20, State::Sent)).await;
    let seen = server.seen();
    let mut sent: Vec<&str> = seen.iter().map(|one| one.header("webhook-id")).collect();
    sent.sort_unstable();
    sent.dedup();
    assert_eq!((seen.len(), sent.len()), (20, 20));
}

#[tokio::test]
async fn a_question_that_is_decided_or_too_late_is_not_asked() {
    let server = StandIn::up([Reply::Json(503, json!({}))]).await;
    let bench = Bench::new(vec![slack(&server.url(""))]);
    let _worker = bench.work();
    bench.post(&samples::approval_requested(), "ask").await;
    bench.tried(1).await;
    bench.post(&samples::approval_answered(Outcome::Rejected), "answer").await;
    bench.clock.advance(Duration::from_secs(1));
    bench.until(are(2, State::Dropped)).await;
    assert_eq!(server.seen().len(), 1, "only the try that failed");

    let late = Bench::new(vec![slack(&server.url(""))]);
    late.post(&samples::approval_requested(), "ask").await;
    late.clock.advance(Duration::from_secs(3_600));
    let _worker = late.work();
    let dropped = late.one(State::Dropped).await;
    assert!(dropped.trouble.unwrap().contains("the time to decide was over"));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn nobody_is_paged_for_what_is_over() {
    let server = StandIn::up([Reply::Json(500, json!({}))]).await;
    let bench = Bench::new(vec![pagerduty(&server.url(""))]);
    let _worker = bench.work();
    bench.post(&samples::run_ended(EndStatus::Stuck), "stuck").await;
    bench.tried(1).await;
    bench.post(&samples::run_ended(EndStatus::Succeeded), "ended").await;
    bench.clock.advance(Duration::from_secs(1));
    bench.until(over(2)).await;
    let actions: Vec<_> = server.seen().iter().map(|one| one.json()["event_action"].clone()).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
}

#[tokio::test]
async fn no_edit_undoes_a_newer_one() {
    let posted = Reply::Json(200, json!({"ok": true, "channel": "C1", "ts": "1.1"}));
    let server = StandIn::up([posted, Reply::Json(500, json!({}))]).await;
    let bench = Bench::new(vec![slack(&server.url(""))]);
    let _worker = bench.work();
    bench.post(&samples::approval_requested(), "ask").await;
    bench.one(State::Sent).await;
    bench.post(&samples::approval_answered(Outcome::Open), "first").await;
    bench.clock.advance(Duration::from_secs(1));
    bench.until(|all| all.iter().any(|one| one.dispatch.trouble.is_some())).await;
    bench.post(&samples::approval_answered(Outcome::Approved), "second").await;
    bench.clock.advance(Duration::from_secs(1));
    bench.until(over(3)).await;
    let seen: Vec<_> = server.seen().iter().map(Seen::json).collect();
    assert_eq!(seen.len(), 3);
    assert!(seen[2]["text"].as_str().unwrap().contains("Approved"), "{}", seen[2]);
}

#[tokio::test]
async fn all_messages_of_an_approval_are_edited() {
    let server = StandIn::up([]).await;
    let bench = Bench::new(vec![slack(&server.url(""))]);
    let _worker = bench.work();
    let to = vec!["leads".to_owned()];
    let escalated = News::ApprovalEscalated { approval: Box::new(samples::approval()), to };
    let notices = [
        samples::approval_requested(),
        samples::notice(escalated),
        samples::approval_answered(Outcome::Void),
    ];
    for (key, notice) in notices.iter().enumerate() {
        bench.post(notice, &format!("{key}")).await;
        bench.run_until(are(key + 1, State::Sent)).await;
    }
    let edited: Vec<_> = server.seen().iter().skip(2).map(|one| one.json()["ts"].clone()).collect();
    assert_eq!(edited, ["1700000000.000001", "1700000000.000002"]);
    // One that people have deleted is no reason to try again.
    server.will(Reply::Json(200, json!({"ok": false, "error": "message_not_found"})));
    bench.post(&samples::approval_answered(Outcome::Expired), "again").await;
    bench.run_until(are(4, State::Sent)).await;
}

#[tokio::test]
async fn the_queue_is_bounded_and_what_people_wait_for_stays() {
    let bench = Bench::new(vec![slack(NOWHERE)]);
    bench.post(&samples::approval_requested(), "ask").await;
    for key in 0..(MOST_QUEUED + 20) {
        bench.clock.advance(Duration::from_millis(1));
        bench.post(&samples::alert_unmatched(), &format!("alert/{key}")).await;
    }
    bench.outbox.tidy().await.unwrap();
    let waiting = bench.outbox.list(None, Some(State::Due), None, 1_000).await.unwrap();
    assert_eq!(waiting.len(), MOST_QUEUED);
    assert!(waiting.iter().any(|one| one.dispatch.key == "ask"));
    let mut dropped = bench.outbox.list(Some("slack"), Some(State::Dropped), None, 1_000).await.unwrap();
    dropped.sort_by_key(|one| one.dispatch.created_at);
    assert_eq!((dropped.len(), dropped[0].dispatch.key.as_str()), (21, "alert/0"));
    assert_eq!(bench.outbox.tallies()["slack"].dropped, 21);

    // What is over is forgotten after a while, and with it that it need not be sent again.
    bench.clock.advance(KEPT);
    bench.outbox.tidy().await.unwrap();
    assert_eq!(bench.outbox.list(None, Some(State::Dropped), None, 1_000).await.unwrap().len(), 0);
}

#[tokio::test]
async fn what_waits_for_a_channel_that_is_gone_is_given_up() {
    let bench = Bench::new(vec![webhook(NOWHERE)]);
    bench.post(&samples::alert_unmatched(), "a").await;
    let next = bench.beside(vec![slack(NOWHERE)]);
    next.outbox.tidy().await.unwrap();
    assert_eq!(bench.all().await[0].dispatch.state, State::Due, "another process may know it");
    bench.clock.advance(TIDY);
    next.outbox.tidy().await.unwrap();
    let failed = bench.one(State::Failed).await;
    assert!(failed.trouble.unwrap().contains("no longer configured"));
}

#[tokio::test]
async fn what_cannot_be_read_keeps_nothing_waiting() {
    let server = StandIn::up([]).await;
    let bench = Bench::new(vec![webhook(&server.url(""))]);
    let mut writes = bench.outbox.put(&samples::alert_unmatched(), "newer").await.unwrap();
    if let Some(Write::Put { document, .. }) = writes.first_mut() {
        document.body = b"{\"a\": \"later version\"}".to_vec();
    }
    bench.shelf.write(writes).await.unwrap();
    bench.clock.advance(Duration::from_secs(1));
    bench.post(&samples::alert_unmatched(), "a").await;
    let _worker = bench.work();
    bench.run_until(are(1, State::Sent)).await;
    assert_eq!(server.seen().len(), 1);
    assert_eq!(bench.post(&samples::alert_unmatched(), "newer").await, 0, "it is still there");
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_ends_what_it_was_sending() {
    let server = StandIn::up([]).await;
    let bench = Bench::new(vec![webhook(&server.url(""))]);
    let mut worker = bench.work();
    bench.post(&samples::alert_unmatched(), "a").await;
    bench.until(|all| all[0].dispatch.state != State::Due).await;
    worker.stop.send(true).unwrap();
    (&mut worker.task).await.unwrap();
    assert_eq!(bench.all().await[0].dispatch.state, State::Sent);
}

#[tokio::test]
async fn a_notice_without_end_is_cut_before_it_is_kept() {
    let bench = Bench::new(vec![webhook(NOWHERE)]);
    let approval = Approval { prompt: "x".repeat(10_000_000), ..samples::approval() };
    let notice = samples::notice(News::ApprovalRequested(Box::new(approval)));
    let kept = Notice { environment: Some("e".repeat(1_000_000)), ..notice };
    bench.post(&kept, &"k".repeat(100_000)).await;
    assert_eq!(bench.all().await.len(), 1);
    assert!(bench.written().await.len() < 64 * 1024);
}

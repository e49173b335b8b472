//! A worker that dies at any moment loses nothing, and what comes twice is known as the same.

use std::{future::Future, pin::pin, task::Poll};

use futures::future::poll_fn;
use runbook_core::event::EndStatus;
use tokio::sync::watch;

use super::{
    bench::{Bench, pagerduty, slack, webhook},
    stand_in::{Seen, StandIn},
};
use crate::{Channel, State, notice::samples, outbox::limits::LEASE};

/// Polls a future so many times, then drops it.
async fn killed_after(times: usize, future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(move |cx| {
        if left == 0 || future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        Poll::Pending
    })
    .await;
}

/// Kills a worker after so many steps, lets another go on, and says how often the receiver was asked.
async fn survives(times: usize, channel: impl Fn(&str) -> Channel, same: &str) -> usize {
    let server = StandIn::up([]).await;
    let bench = Bench::new(vec![channel(&server.url(""))]);
    bench.post(&samples::run_ended(EndStatus::Stuck), "a").await;
    let (_stop, stopped) = watch::channel(false);
    // A worker that has nothing more to do is polled no more.
    tokio::select! {
        () = killed_after(times, bench.outbox.deliver(stopped)) => {}
        _ = bench.one(State::Sent) => {}
    }
    let _worker = bench.work();
    // What it had begun is left alone until its lease has ended, then sent again.
    bench.clock.advance(LEASE);
    let sent = bench.one(State::Sent).await;
    let seen = server.seen();
    assert!((1..=2).contains(&seen.len()), "{} requests", seen.len());
    assert!(sent.tries as usize >= seen.len());
    let id = |seen: &Seen| match seen.header(same) {
        "" => seen.json()[same].as_str().unwrap().to_owned(),
        header => header.to_owned(),
    };
    assert!(seen.iter().all(|one| id(one) == id(&seen[0])), "the receiver can tell that it is the same");
    seen.len()
}

#[tokio::test]
async fn a_worker_may_die_at_any_step() {
    let mut repeated = 0;
    for times in 0..16 {
        repeated += survives(times, pagerduty, "dedup_key").await - 1;
        repeated += survives(times, webhook, "webhook-id").await - 1;
        repeated += survives(times, slack, "client_msg_id").await - 1;
    }
    assert!(repeated > 0, "no death fell between the request and the record of its answer");
}

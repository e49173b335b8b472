//! An outbox on a bench: its shelf, a clock that is moved by hand, and workers.

use std::{sync::Arc, time::Duration as StdDuration};

use runbook_contract::{SecretSource, clock::Manual};
use runbook_core::duration::Duration;
use runbook_journal::{DocumentQuery, Mark, Memory, Shelf};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{
    Channel, Listed, Notice, Outbox, Site, State,
    notice::samples,
    outbox::{
        Dispatch,
        kept::{Kept, Standing},
    },
};

/// A test that waits longer than this has failed.
const LONGEST: StdDuration = StdDuration::from_secs(30);
/// How much real time one second of the clock gets at the most, where a test lets it run.
const TICK: StdDuration = StdDuration::from_millis(150);
/// What no document, log or error may hold.
pub(super) const CANARY: &str = "c4nary-s3cret";

pub(super) struct Bench {
    pub shelf: Arc<dyn Shelf>,
    pub clock: Manual,
    pub outbox: Outbox,
}

/// A worker that ends with its test.
pub(super) struct Worker {
    pub stop: watch::Sender<bool>,
    pub task: JoinHandle<()>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bench {
    pub(super) fn new(channels: Vec<Channel>) -> Self {
        let clock = Manual::at(samples::at());
        Self::on(Arc::new(Memory::new()), clock, channels)
    }

    pub(super) fn on(shelf: Arc<dyn Shelf>, clock: Manual, channels: Vec<Channel>) -> Self {
        let site = Site::new("https://runbook.example.com").unwrap();
        let outbox = Outbox::new(Arc::clone(&shelf), Arc::new(clock.clone()), channels, Some(site)).unwrap();
        Self { shelf, clock, outbox }
    }

    /// Another process on the same shelf.
    pub(super) fn beside(&self, channels: Vec<Channel>) -> Self {
        Self::on(Arc::clone(&self.shelf), self.clock.clone(), channels)
    }

    pub(super) fn work(&self) -> Worker {
        let (stop, stopped) = watch::channel(false);
        let outbox = self.outbox.clone();
        Worker { stop, task: tokio::spawn(async move { outbox.deliver(stopped).await }) }
    }

    pub(super) async fn post(&self, notice: &Notice, key: &str) -> usize {
        self.outbox.post(notice, key).await.unwrap()
    }

    pub(super) async fn all(&self) -> Vec<Listed> {
        self.outbox.list(None, None, None, 1_000).await.unwrap()
    }

    /// Waits until all that is in the outbox is as wanted; the clock stands still.
    pub(super) async fn until(&self, wanted: impl Fn(&[Listed]) -> bool) -> Vec<Listed> {
        self.wait(wanted, false).await
    }

    /// The same while the clock runs.
    pub(super) async fn run_until(&self, wanted: impl Fn(&[Listed]) -> bool) -> Vec<Listed> {
        self.wait(wanted, true).await
    }

    async fn wait(&self, wanted: impl Fn(&[Listed]) -> bool, running: bool) -> Vec<Listed> {
        let mut mark = Mark::default();
        let wait = async {
            loop {
                let all = self.all().await;
                if wanted(&all) {
                    return all;
                }
                match timeout(TICK, self.shelf.stirred(mark)).await {
                    Ok(next) => mark = next.unwrap(),
                    Err(_) if running => self.clock.advance(Duration::from_secs(1)),
                    Err(_) => {}
                }
            }
        };
        match timeout(LONGEST, wait).await {
            Ok(all) => all,
            Err(_) => panic!("it did not come to that: {:#?}", self.all().await),
        }
    }

    /// Waits until the one dispatch is in a state.
    pub(super) async fn one(&self, state: State) -> Dispatch {
        self.until(|all| all.len() == 1 && all[0].dispatch.state == state).await.remove(0).dispatch
    }

    /// Waits until the one dispatch was tried so often and is due again.
    pub(super) async fn tried(&self, tries: u32) -> Dispatch {
        let fits = |one: &Dispatch| one.state == State::Due && one.tries == tries;
        self.until(|all| all.len() == 1 && fits(&all[0].dispatch)).await.remove(0).dispatch
    }

    /// All that is on the shelf, as text.
    pub(super) async fn written(&self) -> String {
        let mut text = String::new();
        for kind in [Dispatch::KIND, Standing::KIND] {
            let query = DocumentQuery { kind: kind.to_owned(), limit: 1_000, ..DocumentQuery::default() };
            for document in self.shelf.documents(&query).await.unwrap() {
                text.push_str(&String::from_utf8(document.body).unwrap());
            }
        }
        text
    }
}

/// Whether every dispatch, of so many, is in a state.
pub(super) fn are(count: usize, state: State) -> impl Fn(&[Listed]) -> bool {
    move |all| all.len() == count && all.iter().all(|one| one.dispatch.state == state)
}

pub(super) fn channel(value: Value) -> Channel {
    let mut channel: Channel = serde_json::from_value(value).unwrap();
    let given = |kind: &str| SecretSource::Given(format!("{kind}-{CANARY}"));
    match &mut channel {
        Channel::Slack(slack) => {
            slack.token = given("xoxb");
            slack.signing_secret = Some(given("signing"));
        }
        Channel::PagerDuty(pagerduty) => pagerduty.routing_key = given("key"),
        Channel::Email(email) => email.password = email.user.as_ref().map(|_| given("password")),
        Channel::Webhook(webhook) => webhook.secret = SecretSource::Given(SIGNING.to_owned()),
    }
    channel
}

pub(super) const SIGNING: &str = "whsec_YzRuYXJ5LXMzY3JldA==";
const ON: [&str; 6] = [
    "incident_opened",
    "approval_requested",
    "approval_escalated",
    "run_ended",
    "run_stuck",
    "alert_unmatched",
];

pub(super) fn slack(url: &str) -> Channel {
    channel(json!({
        "kind": "slack", "name": "slack", "on": ON, "token": {"env": "X"}, "channel": "#incidents",
        "people": {"U024BE7LH": "alice"}, "url": format!("{url}/api"), "hooks": url,
    }))
}

pub(super) fn pagerduty(url: &str) -> Channel {
    channel(json!({
        "kind": "pagerduty", "name": "pagerduty", "on": ON, "routing_key": {"env": "X"},
        "url": format!("{url}/v2/enqueue"),
    }))
}

pub(super) fn webhook(url: &str) -> Channel {
    channel(json!({
        "kind": "webhook", "name": "webhook", "on": ON, "secret": {"env": "X"},
        "url": format!("{url}/hook?token={CANARY}"),
    }))
}

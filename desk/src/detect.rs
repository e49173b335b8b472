//! The embedded detector: polls what measures, lets the rules judge it, and tells what fires through
//! the same door as every other detector.
//!
//! The state of each rule is a document on the shelf and is written before anything is told. A
//! detector that is killed at any moment goes on from there: what may not have arrived is told again
//! under the same number. Several may watch the same rules; a reading is taken in by one of them.

mod blind;
mod retired;
mod round;

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use async_trait::async_trait;
use runbook_core::{
    Timestamp,
    detection::{Failing, Measure, Message, Reading, Rule, Sample, Watch},
    duration::Duration,
    fault::Fault,
};
use runbook_engine::Clock;
use runbook_journal::Shelf;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::kept::Kept;

pub use self::{retired::names, round::read};

/// What is polled.
#[async_trait]
pub trait Gauge: Debug + Send + Sync {
    /// The series of a measure and their newest numbers; none where there is no data. The one who asks
    /// stops waiting after the detector's time-out.
    async fn read(&self, measure: &Measure) -> Result<Vec<Sample>, Fault>;
}

/// Where messages go: the door that others come through too.
#[async_trait]
pub trait Sink: Debug + Send + Sync {
    /// Delivers a message. It has arrived once this returns; otherwise it is told again later, under
    /// the same number, and so it is where no answer comes before the detector's time-out.
    async fn deliver(&self, message: &Message) -> Result<(), String>;
}

/// One detector and its rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Detector {
    /// Also its part of the identity of what is kept.
    pub name: String,
    pub rules: Vec<Rule>,
    /// From one round to the next; one second at the least.
    pub every: Duration,
    /// When what still fires is told again.
    pub repeat: Duration,
    /// For all that one rule measures together.
    pub timeout: Duration,
}

impl Detector {
    pub const EVERY: Duration = Duration::from_secs(30);
    pub const REPEAT: Duration = Duration::from_secs(4 * 3600);
    pub const TIMEOUT: Duration = Duration::from_secs(10);
    const LEAST: Duration = Duration::from_secs(1);

    /// The same where time runs so much faster, as in simulated environments.
    #[must_use]
    pub fn scaled(self, speed: u32) -> Self {
        Self {
            rules: self.rules.into_iter().map(|rule| rule.scaled(speed)).collect(),
            every: self.every.scaled(speed).max(Self::LEAST),
            repeat: self.repeat.scaled(speed).max(Self::LEAST),
            ..self
        }
    }
}

/// A detector at work. A cheap handle; clones share everything.
#[derive(Debug, Clone)]
pub struct Detection {
    detector: Arc<Detector>,
    gauge: Arc<dyn Gauge>,
    sink: Arc<dyn Sink>,
    shelf: Arc<dyn Shelf>,
    clock: Arc<dyn Clock>,
    latest: Arc<watch::Sender<Option<Round>>>,
}

/// What one round came to.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Round {
    pub at: Timestamp,
    pub rules: usize,
    /// Series that are pending, and that fire.
    pub pending: usize,
    pub firing: usize,
    /// The rules that could not be read, and why. Nothing has changed for these.
    pub failing: BTreeMap<String, Failing>,
    pub delivered: usize,
    /// Messages that did not arrive.
    pub refused: usize,
    /// Why messages did not arrive; they are told again in the next round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<String>,
    /// Why the state could not be read or written; such rules are looked at again in the next round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

/// What is kept of one rule of a detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    pub detector: String,
    /// As it was last: its messages are made of it, also once it is no more.
    pub rule: Rule,
    pub watch: Watch,
}

impl Round {
    /// For how long at least one rule could not be read.
    pub fn blind_for(&self) -> Duration {
        let since = self.failing.values().map(|failing| failing.since).min();
        since.map_or(Duration::ZERO, |since| Duration::between(since, self.at))
    }
}

impl Watched {
    /// Its name on the shelf.
    pub fn id(detector: &str, rule: &str) -> String {
        format!("{detector}/{rule}")
    }
}

impl Kept for Watched {
    const KIND: &'static str = "detection";
    fn at(&self) -> Timestamp {
        self.watch.read_at.unwrap_or_default()
    }
    fn state(&self) -> Option<String> {
        let mut series = self.watch.series.values();
        let state = match (&self.watch.failing, self.watch.series.is_empty()) {
            (Some(_), _) => "failing",
            (None, true) => "inactive",
            (None, false) if series.any(|active| active.fired_at.is_some()) => "firing",
            (None, false) => "pending",
        };
        Some(state.to_owned())
    }
    fn parent(&self) -> Option<String> {
        Some(self.detector.clone())
    }
}

impl Detection {
    pub fn new(
        detector: Detector,
        gauge: Arc<dyn Gauge>,
        sink: Arc<dyn Sink>,
        shelf: Arc<dyn Shelf>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { detector: Arc::new(detector), gauge, sink, shelf, clock, latest: Arc::default() }
    }

    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// What the latest round came to; nothing before the first. For pages and health.
    pub fn rounds(&self) -> watch::Receiver<Option<Round>> {
        self.latest.subscribe()
    }

    /// Goes round until it is told to stop. Rounds that are missed, for one that took long or for a
    /// machine that slept, are not made up for.
    pub async fn watch(&self, mut stop: watch::Receiver<bool>) {
        let mut next = self.clock.now();
        while !*stop.borrow() {
            tokio::select! {
                round = self.round() => drop(self.latest.send_replace(Some(round))),
                // Half a round harms nothing: what was not written is done again.
                changed = stop.changed() => if changed.is_err() { return } else { continue },
            }
            next = self.after(next);
            tokio::select! {
                () = self.clock.sleep_until(next) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    /// The next time to go round after `last` that is still to come.
    fn after(&self, last: Timestamp) -> Timestamp {
        let now = self.clock.now();
        let every = self.detector.every.max(Detector::LEAST).as_std();
        let gone = Duration::between(last, now).as_std();
        let rounds = gone.as_millis() / every.as_millis().max(1) + 1;
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let next = Duration::from(every.saturating_mul(rounds)).after(last);
        if next > now { next } else { Duration::from(every).after(now) }
    }
}

/// What was made of a look at one rule.
type Looked<'a> = (&'a Rule, Result<Reading, Fault>);

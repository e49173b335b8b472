//! The state of a rule: inactive, pending, firing, and over again, each series by itself. The
//! transitions are those of Prometheus' alerting rules.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Reading, Rule};
use crate::duration::Duration;

/// After a gap as long as this between two readings, what was pending begins anew: nobody knows
/// whether it was so all the time.
pub const OUTAGE: Duration = Duration::from_secs(3600);
/// The most ends that wait to be told; the oldest go first.
pub const MOST_WAITING: usize = 500;
/// The most series that go on firing for `keep_firing_for` after they have vanished: labels that are
/// new each time must not fill the memory.
const MOST_KEPT: usize = 200;

/// What is known of one rule. It is the whole state: kept anywhere, it goes on from there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Watch {
    /// Pending and firing series, by an identity of their labels.
    #[serde(default)]
    pub series: BTreeMap<String, Active>,
    /// What is over, and was not told yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Ended>,
    /// When the last reading was taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    /// Since when it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
}

/// A series that is pending or firing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Active {
    pub labels: BTreeMap<String, String>,
    /// Since when it has been beyond the threshold without a break.
    pub since: Timestamp,
    /// Since when it fires; pending, where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Timestamp>,
    /// Since when it is no longer beyond the threshold and only goes on firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_since: Option<Timestamp>,
    /// When it was last told that it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
    /// What was measured last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}

/// A firing that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub series: String,
    pub labels: BTreeMap<String, String>,
    pub fired_at: Timestamp,
    pub ended_at: Timestamp,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}

/// A rule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    pub since: Timestamp,
    /// The latest reason.
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What became of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Pending,
    Firing,
    /// It was pending, and never fired.
    Calmed,
    Resolved,
}

impl Watch {
    /// Takes a reading in, and gives the series of which something became, by their identities.
    pub fn take(&mut self, rule: &Rule, reading: &Reading, now: Timestamp) -> Vec<(String, Turn)> {
        let mut turns = Vec::new();
        if self.read_at.is_some_and(|last| Duration::between(last, now) > OUTAGE) {
            self.series.retain(|_, active| active.fired_at.is_some());
        }
        self.read_at = Some(now);
        self.failing = None;
        let read: BTreeMap<String, _> =
            reading.series.iter().map(|series| (identity(&series.labels), series)).collect();
        for (id, series) in read.iter().filter(|(_, series)| series.breached) {
            let active = self.series.entry(id.clone()).or_insert_with(|| {
                turns.push((id.clone(), Turn::Pending));
                Active::pending(series.labels.clone(), now)
            });
            active.kept_since = None;
            if active.fired_at.is_none() && Duration::between(active.since, now) >= rule.hold {
                active.fired_at = Some(now);
                turns.push((id.clone(), Turn::Firing));
            }
        }
        for (id, series) in &read {
            if let Some(active) = self.series.get_mut(id) {
                active.metrics.clone_from(&series.metrics);
            }
        }
        let is_over = |id: &String| !read.get(id).is_some_and(|series| series.breached);
        let over: Vec<String> = self.series.keys().filter(|id| is_over(id)).cloned().collect();
        let mut kept = 0;
        for id in over {
            let Some(active) = self.series.get_mut(&id) else { continue };
            if kept < MOST_KEPT && active.is_kept(rule.keep_firing_for, now) {
                kept += 1;
            } else {
                let turn = self.end(&id, now);
                turns.extend(turn.map(|turn| (id, turn)));
            }
        }
        turns
    }

    /// Takes in that it could not be read: nothing changes. Whether that is news.
    pub fn fail(&mut self, message: String, hint: Option<String>, now: Timestamp) -> bool {
        let since = self.failing.as_ref().map(|failing| failing.since);
        self.failing = Some(Failing { since: since.unwrap_or(now), message, hint });
        since.is_none()
    }

    /// Ends whatever fires: of a rule that is no more.
    pub fn close(&mut self, now: Timestamp) {
        let all: Vec<String> = self.series.keys().cloned().collect();
        for id in all {
            self.end(&id, now);
        }
    }

    /// Whether there is nothing left that anybody has to know.
    pub fn is_settled(&self) -> bool {
        self.series.is_empty() && self.ended.is_empty()
    }

    fn end(&mut self, id: &str, now: Timestamp) -> Option<Turn> {
        let active = self.series.remove(id)?;
        let Some(fired_at) = active.fired_at else { return Some(Turn::Calmed) };
        // It may have been told without us knowing, so its end is told in any case.
        self.ended.push(Ended {
            series: id.to_owned(),
            labels: active.labels,
            fired_at,
            ended_at: now,
            metrics: active.metrics,
        });
        let surplus = self.ended.len().saturating_sub(MOST_WAITING);
        self.ended.drain(..surplus);
        Some(Turn::Resolved)
    }
}

impl Active {
    fn pending(labels: BTreeMap<String, String>, now: Timestamp) -> Self {
        Self { labels, since: now, fired_at: None, kept_since: None, told_at: None, metrics: BTreeMap::new() }
    }

    fn is_kept(&mut self, keep: Duration, now: Timestamp) -> bool {
        if self.fired_at.is_none() || keep.is_zero() {
            return false;
        }
        let since = *self.kept_since.get_or_insert(now);
        Duration::between(since, now) < keep
    }
}

/// A short name for a set of labels. 96 bits: two of a billion are alike with a chance of one in 10^11.
fn identity(labels: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha256::new();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

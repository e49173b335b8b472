//! What the detector says: bodies of the generic format.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Ended, Rule, Watch, rounded};
use crate::duration::Duration;

/// One delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Names the delivery (`webhook-id`): equal for repeats.
    pub id: String,
    /// In the format of the source `generic`.
    pub body: Value,
    about: About,
}

#[derive(Debug, Clone, PartialEq)]
struct About {
    series: String,
    fired_at: Timestamp,
    is_over: bool,
}

impl Watch {
    /// What has to be told now: what fires and was not told, or not for as long as `repeat`; what is
    /// over and was not told. Oldest first.
    pub fn due(&self, rule: &Rule, repeat: Duration, now: Timestamp) -> Vec<Message> {
        let over = self.ended.iter().map(|ended| Message::over(rule, ended));
        let firing = self.series.iter().filter_map(|(id, active)| {
            let fired_at = active.fired_at?;
            let is_due = active.told_at.is_none_or(|told| Duration::between(told, now) >= repeat);
            let told = Told { series: id, labels: &active.labels, fired_at, metrics: &active.metrics };
            is_due.then(|| told.message(rule, None))
        });
        over.chain(firing).collect()
    }

    /// Takes in that a message has arrived.
    pub fn told(&mut self, message: &Message, now: Timestamp) {
        let About { series, fired_at, is_over } = &message.about;
        if *is_over {
            self.ended.retain(|ended| ended.series != *series || ended.fired_at != *fired_at);
        } else if let Some(active) = self.series.get_mut(series)
            && active.fired_at == Some(*fired_at)
        {
            active.told_at = Some(now);
        }
    }
}

impl Message {
    fn over(rule: &Rule, ended: &Ended) -> Self {
        let Ended { series, labels, fired_at, ended_at, metrics } = ended;
        Told { series, labels, fired_at: *fired_at, metrics }.message(rule, Some(*ended_at))
    }
}

/// What a message is made of.
struct Told<'a> {
    series: &'a str,
    labels: &'a BTreeMap<String, String>,
    fired_at: Timestamp,
    metrics: &'a BTreeMap<String, f64>,
}

impl Told<'_> {
    fn message(&self, rule: &Rule, ended_at: Option<Timestamp>) -> Message {
        let series = format!("{}-{}", rule.name, self.series);
        let firing = format!("{series}-{}", self.fired_at.as_millisecond());
        let status = if ended_at.is_some() { "resolved" } else { "firing" };
        let mut body = Map::new();
        let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
        put("id", json!(firing));
        put("fingerprint", json!(series));
        put("name", json!(rule.name));
        put("title", json!(rule.title()));
        put("status", json!(status));
        put("timestamp", json!(ended_at.unwrap_or(self.fired_at)));
        put("startsAt", json!(self.fired_at));
        put("description", json!(self.description(rule, ended_at.is_some())));
        for (key, text) in [("severity", &rule.severity), ("service", &rule.service), ("url", &rule.url)] {
            if let Some(text) = text {
                put(key, json!(text));
            }
        }
        put("labels", json!(self.labels));
        if !rule.annotations.is_empty() {
            put("annotations", json!(rule.annotations));
        }
        if !self.metrics.is_empty() {
            put("metrics", json!(self.metrics));
        }
        Message {
            id: format!("{firing}-{status}"),
            body: Value::Object(body),
            about: About {
                series: self.series.to_owned(),
                fired_at: self.fired_at,
                is_over: ended_at.is_some(),
            },
        }
    }

    fn description(&self, rule: &Rule, is_over: bool) -> String {
        let numbers: Vec<String> =
            self.metrics.iter().map(|(name, number)| format!("{name} {}", rounded(*number))).collect();
        let numbers = if numbers.is_empty() { "no data".to_owned() } else { numbers.join(", ") };
        let bound = format!("{} {}", rule.called(), rule.threshold());
        let condition = if rule.when.is_some() { rule.threshold() } else { bound };
        if is_over {
            format!("no longer {condition} ({numbers})")
        } else if rule.hold.is_zero() {
            format!("{condition} ({numbers})")
        } else {
            format!("{condition} for {} ({numbers})", rule.hold)
        }
    }
}

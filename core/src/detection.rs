//! Detection: rules over what a source of metrics measures, with the `for` and `keep_firing_for` of
//! Prometheus, and what the detector says of them, in the generic format.
//!
//! The way of the data: what was measured ([`Sample`]) is judged by a [`Rule`] into a [`Reading`];
//! readings are folded into a [`Watch`]; the watch says which [`Message`]s are due. A reading that
//! failed changes nothing but that it is told; one that has no data is a reading.

mod judge;
mod message;
mod preset;
mod rule_file;
mod track;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{duration::Duration, expression};

pub use self::{
    judge::{MOST_SERIES, Reading, Sample, Series},
    message::Message,
    preset::Preset,
    rule_file::rule_file,
    track::{Active, Ended, Failing, MOST_WAITING, OUTAGE, Turn, Watch},
};

/// The label that carries the name of the rule, as with Prometheus.
pub const NAME_LABEL: &str = "alertname";

/// One rule: a measure, a threshold, and for how long it must be beyond it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What fires; also the label `alertname` of its alerts: `HighErrorRate`.
    #[schemars(regex(pattern = "^[A-Za-z][A-Za-z0-9_-]{0,62}$"))]
    pub name: String,
    /// One line for people; the name, where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub title: Option<String>,
    /// What is measured: a query of Prometheus. Each series of its result is watched by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 6144))]
    pub query: Option<String>,
    /// What is measured, instead: a metric of CloudWatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudwatch: Option<Metric>,
    /// What the number is called among the metrics of the alert: `errorRate`. `value`, if not given.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[A-Za-z][A-Za-z0-9_]{0,62}$"))]
    pub called: Option<String>,
    /// What the number should be. With it, `above` and `below` are shares of that: `below: 0.5` is
    /// less than half of it. Series belong together by their labels; a single number without labels
    /// stands for all (in PromQL, write `scalar(…)`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Measure>,
    /// Fires above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Fires below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// Fires where this expression holds, instead: of `value`, `expected` and `labels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub when: Option<String>,
    /// For how long without a break, before it fires.
    #[serde(default, rename = "for", skip_serializing_if = "is_none")]
    pub hold: Duration,
    /// For how long it goes on firing afterwards, so that a number at the threshold is one alert and
    /// not many.
    #[serde(default, skip_serializing_if = "is_none")]
    pub keep_firing_for: Duration,
    /// What it means that there is no data at all.
    #[serde(default, skip_serializing_if = "Absent::is_ok")]
    pub absent: Absent,
    /// In the words of the severity matrix: `SEV-2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    pub severity: Option<String>,
    /// The service it is about; else the label `service` of the series says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub service: Option<String>,
    /// Added to the labels of each series, or instead of those of the same names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 32))]
    pub labels: BTreeMap<String, String>,
    /// For people: what it means, what to look at.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 32))]
    pub annotations: BTreeMap<String, String>,
    /// Told along among the metrics of the alert, by name; nothing depends on these.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(length(max = 16))]
    pub also: IndexMap<String, Measure>,
    /// Where people look at it: a dashboard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub url: Option<String>,
}

/// A number, or one for each of several series.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// A query of Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 6144))]
    pub query: Option<String>,
    /// A metric of CloudWatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudwatch: Option<Metric>,
}

/// A metric of CloudWatch, over its last period.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// `AWS/ApplicationELB`.
    pub namespace: String,
    /// `HTTPCode_Target_5XX_Count`.
    pub metric: String,
    /// All dimensions that the metric has: `LoadBalancer: app/shop/50dc6c495c0c9188`. They are the
    /// labels of the alert.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 30))]
    pub dimensions: BTreeMap<String, String>,
    /// `average`, `sum`, `minimum`, `maximum`, `sample_count`, or a percentile such as `p99`.
    /// `average` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    /// Over how long; five minutes if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Duration>,
}

/// What it means that a measure has no data at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Absent {
    /// Nothing is beyond a threshold.
    #[default]
    Ok,
    /// It is as bad as being beyond the threshold.
    Firing,
}

impl Absent {
    fn is_ok(&self) -> bool {
        *self == Self::Ok
    }
}

/// What the name of a number is among the metrics, where the rule does not say.
const VALUE: &str = "value";
const EXPECTED: &str = "expected";
const LABELS: &str = "labels";

impl Rule {
    pub fn title(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }

    /// What the number is called among the metrics of an alert.
    pub fn called(&self) -> &str {
        self.called.as_deref().unwrap_or(VALUE)
    }

    /// What the threshold applies to.
    pub fn measure(&self) -> Measure {
        Measure { query: self.query.clone(), cloudwatch: self.cloudwatch.clone() }
    }

    /// All that it measures, with the keys under which they stand.
    pub fn measures(&self) -> Vec<(&str, Measure)> {
        let expected = self.expected.iter().map(|measure| (EXPECTED, measure.clone()));
        let also = self.also.iter().map(|(name, measure)| (name.as_str(), measure.clone()));
        std::iter::once((VALUE, self.measure())).chain(expected).chain(also).collect()
    }

    /// The threshold for people: `> 0.05`, `< 50 % of expected`.
    pub fn threshold(&self) -> String {
        let bound = |sign: &str, number: f64| match &self.expected {
            Some(_) => format!("{sign} {} % of expected", rounded(number * 100.0)),
            None => format!("{sign} {number}"),
        };
        match (self.above, self.below, &self.when) {
            (Some(above), ..) => bound(">", above),
            (_, Some(below), _) => bound("<", below),
            (.., when) => when.clone().unwrap_or_default(),
        }
    }

    /// The same rule where time runs faster, as in simulated environments.
    #[must_use]
    pub fn scaled(self, speed: u32) -> Self {
        Self { hold: self.hold.scaled(speed), keep_firing_for: self.keep_firing_for.scaled(speed), ..self }
    }

    /// What is wrong with it beyond its shape: the key, and why.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        match (&self.query, &self.cloudwatch) {
            (Some(_), Some(_)) => {
                problems.push(("query", "both `query` and `cloudwatch`; keep one of them".to_owned()));
            }
            (None, None) => {
                problems.push(("name", "nothing is measured; give it a `query` or `cloudwatch`".to_owned()));
            }
            _ => {}
        }
        self.threshold_problems(&mut problems);
        let mut names = vec![self.called()];
        names.extend(self.expected.as_ref().map(|_| EXPECTED));
        for (name, measure) in &self.also {
            if names.contains(&name.as_str()) {
                problems.push(("also", format!("two numbers of the alert are called `{name}`")));
            }
            if measure.query.is_some() == measure.cloudwatch.is_some() {
                problems.push(("also", format!("`{name}` needs either `query` or `cloudwatch`")));
            }
            names.push(name);
        }
        if self.called.as_deref() == Some(EXPECTED) && self.expected.is_some() {
            problems.push(("as", "two numbers of the alert are called `expected`".to_owned()));
        }
        if self.expected.as_ref().is_some_and(|one| one.query.is_some() == one.cloudwatch.is_some()) {
            problems.push(("expected", "it needs either `query` or `cloudwatch`".to_owned()));
        }
        if self.labels.contains_key(NAME_LABEL) {
            let why = format!("`{NAME_LABEL}` is the name of the rule and cannot be another");
            problems.push(("labels", why));
        }
        problems
    }

    fn threshold_problems(&self, problems: &mut Vec<(&'static str, String)>) {
        let given = [self.above.is_some(), self.below.is_some(), self.when.is_some()];
        match given.iter().filter(|given| **given).count() {
            1 => {}
            0 => {
                problems.push(("name", "it has no threshold; give it `above`, `below` or `when`".to_owned()))
            }
            _ => problems.push((
                "name",
                "it has several thresholds; keep one of `above`, `below` and `when`".to_owned(),
            )),
        }
        for (key, number) in [("above", self.above), ("below", self.below)] {
            if number.is_some_and(|number| !number.is_finite()) {
                problems.push((key, "it is not a number that anything can be compared with".to_owned()));
            }
        }
        let Some(when) = &self.when else { return };
        let mut known = vec![VALUE, LABELS];
        known.extend(self.expected.as_ref().map(|_| EXPECTED));
        match expression::references(when) {
            Err(error) => problems.push(("when", error.to_string())),
            Ok(paths) => {
                let unknown = paths.iter().filter_map(|path| path.first());
                for name in unknown.filter(|name| !known.contains(&name.as_str())) {
                    let list = known.join("`, `");
                    problems.push(("when", format!("there is no `{name}` here; there is `{list}`")));
                }
            }
        }
    }
}

fn is_none(length: &Duration) -> bool {
    length.is_zero()
}

/// Without the digits that a product of floats leaves behind.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

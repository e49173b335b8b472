//! From what was measured to which series are beyond the threshold.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Absent, EXPECTED, LABELS, NAME_LABEL, Rule, VALUE};
use crate::{expression, fault::Fault};

/// The most series that one rule may have: more would be a storm of alerts, and nobody's rule.
pub const MOST_SERIES: usize = 50;

/// The label in which Prometheus keeps the name of a metric; alerts do not have it.
const METRIC_NAME: &str = "__name__";

/// One series and its newest number.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample {
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// What a rule makes of one look.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Reading {
    pub series: Vec<Series>,
}

/// One series, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// Those of an alert: with those of the rule.
    pub labels: BTreeMap<String, String>,
    /// As they were measured, by which the numbers of several queries belong together.
    #[serde(skip)]
    measured: BTreeMap<String, String>,
    /// Nothing, where there is no data and that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The number and what is told along, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Beyond the threshold.
    pub breached: bool,
}

impl Rule {
    /// Judges one look. No samples are no data; numbers that are none (0/0) are left out, as Prometheus
    /// compares them with nothing. `expected` is looked at where the rule has one.
    ///
    /// # Errors
    /// Series that cannot be told apart, or are too many; an expression that has no value.
    pub fn read(&self, samples: Vec<Sample>, expected: &[Sample]) -> Result<Reading, Fault> {
        let samples: Vec<Sample> = samples.into_iter().filter(|sample| !sample.value.is_nan()).collect();
        if samples.len() > MOST_SERIES {
            let message = format!("the measure of `{}` has {} series", self.name, samples.len());
            let hint = format!("{MOST_SERIES} are the most; sum them up by the labels that matter");
            return Err(Fault::permanent(message).hint(hint));
        }
        if samples.is_empty() && self.absent == Absent::Firing {
            return Ok(Reading { series: vec![self.nothing()] });
        }
        let mut seen = BTreeSet::new();
        let mut series = Vec::with_capacity(samples.len());
        for sample in samples {
            let judged = self.judge(sample, expected)?;
            if !seen.insert(judged.labels.clone()) {
                let message = format!("two series of `{}` have the same labels", self.name);
                return Err(
                    Fault::permanent(message).hint("keep the label that tells them apart, or sum them up")
                );
            }
            series.push(judged);
        }
        Ok(Reading { series })
    }

    fn nothing(&self) -> Series {
        Series {
            labels: self.alert_labels(&BTreeMap::new()),
            measured: BTreeMap::new(),
            value: None,
            metrics: BTreeMap::new(),
            breached: true,
        }
    }

    fn judge(&self, sample: Sample, expected: &[Sample]) -> Result<Series, Fault> {
        let Sample { labels: mut measured, value } = sample;
        measured.remove(METRIC_NAME);
        let should = self.expected.as_ref().and_then(|_| belonging(expected, &measured));
        let breached = match (&self.expected, should) {
            // There is nothing to compare it with.
            (Some(_), None) => false,
            _ => self.is_beyond(value, should, &measured)?,
        };
        let mut metrics = BTreeMap::from([(self.called().to_owned(), value)]);
        metrics.extend(should.map(|should| (EXPECTED.to_owned(), should)));
        Ok(Series { labels: self.alert_labels(&measured), measured, value: Some(value), metrics, breached })
    }

    fn is_beyond(
        &self,
        value: f64,
        expected: Option<f64>,
        labels: &BTreeMap<String, String>,
    ) -> Result<bool, Fault> {
        let bound = |share: f64| expected.map_or(share, |expected| share * expected);
        if let Some(above) = self.above {
            return Ok(value > bound(above));
        }
        if let Some(below) = self.below {
            return Ok(value < bound(below));
        }
        let Some(when) = &self.when else { return Ok(false) };
        let mut names = json!({ VALUE: value, LABELS: labels });
        if let (Some(expected), Value::Object(names)) = (expected, &mut names) {
            names.insert(EXPECTED.to_owned(), json!(expected));
        }
        let unfit = |error: expression::ExpressionError| {
            let fault = Fault::permanent(format!("`when` of `{}`: {error}", self.name));
            match error.hint {
                Some(hint) => fault.hint(hint),
                None => fault,
            }
        };
        Ok(expression::holds(when, &names).map_err(unfit)? == Some(true))
    }

    fn alert_labels(&self, measured: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = measured.clone();
        labels.extend(self.labels.clone());
        labels.insert(NAME_LABEL.to_owned(), self.name.clone());
        labels
    }
}

impl Series {
    /// One that nobody measured: what the detector says of itself, under this name.
    pub fn own(labels: BTreeMap<String, String>, called: &str, value: f64, breached: bool) -> Self {
        let metrics = BTreeMap::from([(called.to_owned(), value)]);
        Self { labels, measured: BTreeMap::new(), value: Some(value), metrics, breached }
    }
}

impl Reading {
    pub fn is_breached(&self) -> bool {
        self.series.iter().any(|series| series.breached)
    }

    /// Lays beside each series what is told along under this name.
    pub fn tell_along(&mut self, name: &str, samples: &[Sample]) {
        for series in &mut self.series {
            if let Some(value) = belonging(samples, &series.measured) {
                series.metrics.insert(name.to_owned(), value);
            }
        }
    }
}

/// The number of the same labels; else the one number there is, where it has none.
fn belonging(samples: &[Sample], labels: &BTreeMap<String, String>) -> Option<f64> {
    let plain = |sample: &&Sample| sample.labels.iter().filter(|(name, _)| *name != METRIC_NAME).eq(labels);
    let same = samples.iter().find(plain);
    let only = || match samples {
        [only] if only.labels.keys().all(|name| name == METRIC_NAME) => Some(only),
        _ => None,
    };
    same.or_else(only).map(|sample| sample.value).filter(|value| !value.is_nan())
}

//! From the JSON of the query API to numbers.

use std::collections::BTreeMap;

use regex::Regex;
use runbook_contract::text::{clean, shortened};
use runbook_core::{Value, fault::Fault};
use schemars::JsonSchema;
use serde::Serialize;

use super::Output;
use crate::client::Answer;

const MOST_SAMPLES: usize = 50;
const MOST_WARNINGS: usize = 10;

/// One series.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sample {
    /// The labels, the metric's name among them as `__name__`.
    pub labels: BTreeMap<String, String>,
    /// The newest number.
    pub value: f64,
}

/// A result before it is summed up: the numbers of each series, oldest first.
#[derive(Debug, Default)]
pub(super) struct Data {
    series: Vec<(BTreeMap<String, String>, Vec<f64>)>,
    /// Series of which no point is a number.
    empty: usize,
    warnings: Vec<String>,
}

/// Reads an answer of the query API.
pub(super) fn read(query: &str, answer: Answer) -> Result<Data, Fault> {
    if !answer.status.is_success() {
        let api = answer.json().as_ref().and_then(|json| api_fault(query, json));
        return Err(api.unwrap_or_else(|| answer.fault()));
    }
    let json = answer.require_json()?;
    if let Some(fault) = api_fault(query, &json) {
        return Err(fault);
    }
    let mut data = Data::default();
    let notes = json.get("warnings").and_then(Value::as_array).into_iter().flatten();
    data.warnings.extend(notes.filter_map(Value::as_str).take(MOST_WARNINGS).map(short));
    let result = json.pointer("/data/result").unwrap_or(&Value::Null);
    match json.pointer("/data/resultType").and_then(Value::as_str) {
        Some("scalar") => data.add(&Value::Null, std::slice::from_ref(result)),
        Some("vector" | "matrix") => {
            for series in result.as_array().into_iter().flatten() {
                let points = match (series.get("values"), series.get("value")) {
                    (Some(Value::Array(points)), _) => points.as_slice(),
                    (_, Some(point)) => std::slice::from_ref(point),
                    _ => &[],
                };
                data.add(series.get("metric").unwrap_or(&Value::Null), points);
            }
        }
        Some("string") => {
            return Err(Fault::permanent("the query gives a text, not a number"));
        }
        _ => {
            return Err(Fault::permanent("the answer is not one of the Prometheus query API")
                .hint("check that `prometheus.url` is the address of Prometheus itself"));
        }
    }
    Ok(data)
}

impl Data {
    fn add(&mut self, labels: &Value, points: &[Value]) {
        let numbers: Vec<f64> = points.iter().filter_map(|point| number(point.get(1)?)).collect();
        if numbers.is_empty() {
            self.empty += 1;
            return;
        }
        let text = |(name, value): (&String, &Value)| Some((short(name), short(value.as_str()?)));
        let labels = labels.as_object().into_iter().flatten().filter_map(text).collect();
        self.series.push((labels, numbers));
    }

    /// The outputs, and what a person should know of them.
    pub fn summarize(self, default: Option<f64>) -> Result<(Output, Vec<String>), Fault> {
        let Self { series, empty, mut warnings } = self;
        if empty > 0 && !series.is_empty() {
            warnings
                .push(format!("{empty} of {} series gave no number and are left out", empty + series.len()));
        }
        if series.is_empty() && default.is_none() {
            let why = if empty > 0 { "not a number (such as 0/0)" } else { "no series" };
            return Err(Fault::not_found(format!("query returned no data: {why}"))
                .hint("check the metric and its labels, or say with `default:` what no data means"));
        }
        let all = || series.iter().flat_map(|(_, numbers)| numbers.iter().copied());
        if all().any(|number| number.abs() == f64::MAX) {
            warnings.push("the result is infinite; it is given as the largest number there is".to_owned());
        }
        let last = match series.as_slice() {
            [] => default,
            [(_, numbers)] => numbers.last().copied(),
            _ => None,
        };
        if last.is_none() {
            let count = series.len();
            warnings.push(format!(
                "the query has {count} series, so there is no single `value`; use `min`, `max` or `avg`"
            ));
        }
        let sample = |(labels, numbers): &(BTreeMap<_, _>, Vec<f64>)| {
            Some(Sample { labels: labels.clone(), value: *numbers.last()? })
        };
        let output = Output {
            value: last,
            series: series.len(),
            min: all().reduce(f64::min).or(default),
            max: all().reduce(f64::max).or(default),
            avg: mean(all()).or(default),
            last,
            samples: series.iter().take(MOST_SAMPLES).filter_map(sample).collect(),
        };
        Ok((output, warnings))
    }
}

/// A sample's number. JSON knows no infinity, so the largest number stands for it and
/// comparisons hold: a latency above the highest bucket is not below any limit.
fn number(text: &Value) -> Option<f64> {
    let number: f64 = text.as_str()?.parse().ok()?;
    if number.is_nan() { None } else { Some(number.clamp(f64::MIN, f64::MAX)) }
}

fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
    // Infinities are given as the largest number, and so is a mean that holds one.
    (count > 0.0).then(|| (sum / count).clamp(f64::MIN, f64::MAX))
}

/// What the API says went wrong, where the answer is the API's.
fn api_fault(query: &str, json: &Value) -> Option<Fault> {
    if json.get("status")? != "error" {
        return None;
    }
    let said = short(json.get("error").and_then(Value::as_str).unwrap_or("no reason was given"));
    Some(match json.get("errorType").and_then(Value::as_str).unwrap_or_default() {
        "bad_data" => bad_query(query, &said),
        "execution" => Fault::permanent(format!("Prometheus could not evaluate the query: {said}")),
        "not_found" => Fault::not_found(format!("Prometheus has no such data: {said}")),
        "timeout" | "canceled" => Fault::unreachable(format!("Prometheus gave the query up: {said}"))
            .hint("the query may be too expensive: a shorter range, a recording rule"),
        _ => Fault::unreachable(format!("Prometheus could not answer: {said}")),
    })
}

/// A query that Prometheus does not accept, with the place that it names (`1:5: parse error`).
fn bad_query(query: &str, said: &str) -> Fault {
    let place = Regex::new(r"(\d{1,5}):(\d{1,5}): (.*)").ok().and_then(|place| {
        let found = place.captures(said)?;
        let (line, column): (usize, usize) = (found[1].parse().ok()?, found[2].parse().ok()?);
        let text = query.lines().nth(line.checked_sub(1)?)?;
        let rest: String = text.chars().skip(column.saturating_sub(1)).take(30).collect();
        Some(format!("{} at line {line}, character {column}, before `{rest}`", &found[3]))
    });
    let what = place.unwrap_or_else(|| said.to_owned());
    Fault::permanent(format!("Prometheus does not accept the query: {what}"))
        .hint("try the query on the Prometheus page; PromQL's braces and quotes must survive the YAML")
}

fn short(text: &str) -> String {
    shortened(&clean(text), 300)
}

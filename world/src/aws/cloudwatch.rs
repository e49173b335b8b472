//! CloudWatch: how many connections the databases have.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::cbor;
use super::declared::Connections;
use crate::environment::Environment;
use crate::exchange::{Answer, Request};
use crate::kubernetes::views::View;
use crate::scenario::Cure;
use crate::time::Seconds;

const MOST_POINTS: i64 = 1_440;
/// A point is made of so many samples.
const SAMPLES: i64 = 5;
const CONNECTIONS: &str = "DatabaseConnections";

pub(crate) fn respond(environment: &Environment, request: &Request) -> Answer {
    let Some(asked) = cbor::read(&request.body) else {
        return refused("InvalidParameterValue", "the body is not the CBOR of a request");
    };
    let number = |name: &str| asked[name].as_f64().map(|seconds| seconds.floor() as i64);
    let (start, end, period) = (number("StartTime"), number("EndTime"), number("Period"));
    let (Some(start), Some(end), Some(period)) = (start, end, period) else {
        return refused("MissingParameter", "StartTime, EndTime and Period are needed");
    };
    if end <= start || period < 1 || (end - start) / period > MOST_POINTS {
        return refused("InvalidParameterCombination", "there would be no point, or too many");
    }
    let points = environment.look(|view| match source(view, &asked) {
        Some(source) => points(view, &source, &asked, start, end, period),
        None => Vec::new(),
    });
    match points {
        Ok(points) => answer(200, &json!({ "Label": asked["MetricName"], "Datapoints": points })),
        Err(error) => refused("InternalServiceError", &error.to_string()),
    }
}

fn answer(status: u16, body: &Value) -> Answer {
    Answer {
        status,
        content_type: "application/cbor",
        headers: HeaderMap::from_iter([(
            HeaderName::from_static("smithy-protocol"),
            HeaderValue::from_static("rpc-v2-cbor"),
        )]),
        body: cbor::write(body, "Timestamp"),
    }
}

fn refused(code: &str, message: &str) -> Answer {
    answer(400, &json!({ "__type": format!("com.amazonaws.cloudwatch#{code}"), "message": message }))
}

/// What a metric is of: its numbers, and the cure that ends its trouble.
struct Source {
    connections: Connections,
    cures: Vec<Cure>,
}

fn source(view: &View<'_>, asked: &Value) -> Option<Source> {
    let [dimension] = asked["Dimensions"].as_array()?.as_slice() else { return None };
    if asked["Namespace"] != "AWS/RDS" || asked["MetricName"] != CONNECTIONS {
        return None;
    }
    let (aws, name) = (&view.model.scenario.aws, dimension["Value"].as_str()?);
    match dimension["Name"].as_str()? {
        "DBClusterIdentifier" => {
            let cluster = aws.cluster(name)?;
            Some(Source { connections: cluster.connections, cures: vec![Cure::Failover(name.to_owned())] })
        }
        "DBInstanceIdentifier" => {
            let cluster =
                aws.clusters.iter().find(|one| one.members.first().is_some_and(|first| first.name == name));
            let connections =
                cluster.map(|one| one.connections).or_else(|| aws.instance(name).map(|one| one.connections));
            let failover = cluster.map(|one| Cure::Failover(one.name.clone()));
            let cures = failover.into_iter().chain([Cure::Reboot(name.to_owned())]).collect();
            Some(Source { connections: connections?, cures })
        }
        _ => None,
    }
}

impl Source {
    fn at(&self, view: &View<'_>, at: Seconds) -> f64 {
        let causes = view.model.scenario.causes.iter();
        let trouble = causes
            .filter(|cause| cause.cured_by.iter().any(|cure| self.cures.contains(cure)))
            .any(|cause| view.model.is_acting(cause, at));
        if trouble { self.connections.in_trouble } else { self.connections.usual }
    }
}

fn points(view: &View<'_>, source: &Source, asked: &Value, start: i64, end: i64, period: i64) -> Vec<Value> {
    let percentiles: Vec<&str> =
        asked["ExtendedStatistics"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let starts = (0..).map(|index| start + index * period).take_while(|from| *from < end);
    starts.filter_map(|from| point(view, source, &percentiles, from, period)).collect()
}

/// The samples of one period that have been taken by now; nothing where there is none.
fn point(view: &View<'_>, source: &Source, percentiles: &[&str], from: i64, period: i64) -> Option<Value> {
    let line = &view.state.timeline;
    let mut samples: Vec<f64> = (0..SAMPLES)
        .filter_map(|index| {
            jiff::Timestamp::from_millisecond(from * 1_000 + period * 1_000 * index / SAMPLES).ok()
        })
        .map(|at| line.simulated(at))
        .filter(|at| *at <= view.now)
        .map(|at| source.at(view, at))
        .collect();
    samples.sort_by(f64::total_cmp);
    let (least, most) = (*samples.first()?, *samples.last()?);
    let (count, sum) = (samples.len() as f64, samples.iter().sum::<f64>());
    let extended: serde_json::Map<String, Value> =
        percentiles.iter().map(|name| ((*name).to_owned(), json!(percentile(&samples, name)))).collect();
    Some(json!({
        "Timestamp": from, "SampleCount": count, "Sum": sum, "Average": sum / count, "Minimum": least,
        "Maximum": most, "Unit": "Count", "ExtendedStatistics": extended,
    }))
}

fn percentile(samples: &[f64], name: &str) -> f64 {
    let share: f64 = name.trim_start_matches('p').parse().unwrap_or(100.0);
    let index = (share / 100.0 * samples.len() as f64).ceil() as usize;
    samples.get(index.saturating_sub(1).min(samples.len().saturating_sub(1))).copied().unwrap_or_default()
}

//! Prometheus' query API, over the history of the model.

pub(crate) mod eval;
pub(crate) mod functions;
pub(crate) mod operators;
pub(crate) mod series;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::exchange::{Answer, Query, Request};
use crate::kubernetes::views::View;
use crate::prometheus::eval::{Evaluator, QueryError, Sample, Value as Evaluated};
use crate::prometheus::series::Data;
use crate::time::Seconds;

/// As in a real server.
const MAX_POINTS: f64 = 11_000.0;

/// Answers what comes after `/prometheus`.
pub(crate) fn respond(environment: &Environment, request: &Request, path: &[&str]) -> Answer {
    let mut query = request.query.clone();
    if request.method == Method::POST && request.media_type() == "application/x-www-form-urlencoded" {
        query.extend(Query::parse(&String::from_utf8_lossy(&request.body)));
    }
    if ![Method::GET, Method::POST, Method::HEAD].contains(&request.method) {
        return Answer::text(405, "method not allowed\n");
    }
    let answer = environment.look(|view| match path {
        ["-", "ready"] => Ok(Answer::text(200, "Prometheus Server is Ready. (simulated)\n")),
        ["-", "healthy"] => Ok(Answer::text(200, "Prometheus Server is Healthy. (simulated)\n")),
        ["api", "v1", "query"] => instant(view, &query),
        ["api", "v1", "query_range"] => range(view, &query),
        ["api", "v1", "labels"] => Ok(success(&json!(series::LABELS))),
        ["api", "v1", "label", name, "values"] => Ok(success(&json!(Data::new(view).values(name)))),
        ["api", "v1", "status", "buildinfo"] => {
            Ok(success(&json!({ "version": "3.0.0+simulated", "revision": "simulated" })))
        }
        _ => Ok(Answer::text(404, "404 page not found\n")),
    });
    match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => failure(&error),
        Err(error) => failure(&QueryError { status: 500, kind: "internal", message: error.to_string() }),
    }
}

fn success(data: &Value) -> Answer {
    Answer::json(200, &json!({ "status": "success", "data": data }))
}

fn failure(error: &QueryError) -> Answer {
    Answer::json(error.status, &json!({ "status": "error", "errorType": error.kind, "error": error.message }))
}

fn instant(view: &View<'_>, query: &Query) -> Result<Answer, QueryError> {
    let at = match query.get("time") {
        Some(text) => time("time", text)?,
        None => view.state.timeline.real(view.now),
    };
    let data = Data::new(view);
    let evaluator = Evaluator::new(&data);
    let expression = eval::parse(query.get("query").unwrap_or_default())?;
    let moment = view.state.timeline.simulated(at);
    let stamp = seconds(at);
    let data = match evaluator.top(&expression, moment)? {
        Evaluated::Scalar(value) => json!({ "resultType": "scalar", "result": [stamp, number(value)] }),
        Evaluated::Text(text) => json!({ "resultType": "string", "result": [stamp, text] }),
        Evaluated::Vector(samples) => {
            let result: Vec<Value> = samples
                .iter()
                .map(|sample| json!({ "metric": sample.labels, "value": [stamp, number(sample.value)] }))
                .collect();
            json!({ "resultType": "vector", "result": result })
        }
        Evaluated::Matrix(rows) => {
            let result: Vec<Value> = rows
                .iter()
                .map(|(labels, points)| {
                    let values: Vec<Value> = points
                        .iter()
                        .map(|(at, value)| json!([seconds(view.state.timeline.real(*at)), number(*value)]))
                        .collect();
                    json!({ "metric": labels, "values": values })
                })
                .collect();
            json!({ "resultType": "matrix", "result": result })
        }
    };
    Ok(success(&data))
}

fn range(view: &View<'_>, query: &Query) -> Result<Answer, QueryError> {
    let bound = |name: &str| time(name, query.get(name).unwrap_or_default()).map(seconds);
    let (start, end) = (bound("start")?, bound("end")?);
    let step = step(query.get("step").unwrap_or_default())?;
    if end < start {
        return Err(QueryError::bad_data(
            "invalid parameter \"end\": end timestamp must not be before start time",
        ));
    }
    if (end - start) / step > MAX_POINTS {
        return Err(QueryError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let data = Data::new(view);
    let evaluator = Evaluator::new(&data);
    let expression = eval::parse(query.get("query").unwrap_or_default())?;
    let mut rows: Vec<(series::Labels, Vec<Value>)> = Vec::new();
    let mut at = start;
    while at <= end + 1e-9 {
        let moment = view.state.timeline.simulated(timestamp(at)?);
        let samples = match evaluator.at(&expression, moment)? {
            Evaluated::Vector(samples) => samples,
            Evaluated::Scalar(value) => vec![Sample { labels: series::Labels::new(), value }],
            Evaluated::Text(_) | Evaluated::Matrix(_) => {
                return Err(QueryError::bad_data(
                    "invalid expression type for range query, must be Scalar or instant Vector",
                ));
            }
        };
        for sample in samples {
            let point = json!([at, number(sample.value)]);
            match rows.iter_mut().find(|(labels, _)| *labels == sample.labels) {
                Some((_, points)) => points.push(point),
                None => rows.push((sample.labels, vec![point])),
            }
        }
        at += step;
    }
    let result: Vec<Value> =
        rows.iter().map(|(labels, points)| json!({ "metric": labels, "values": points })).collect();
    Ok(success(&json!({ "resultType": "matrix", "result": result })))
}

fn time(name: &str, text: &str) -> Result<Timestamp, QueryError> {
    let bad = || {
        QueryError::bad_data(format!(
            "invalid parameter \"{name}\": cannot parse {text:?} to a valid timestamp"
        ))
    };
    match text.parse::<f64>() {
        Ok(seconds) => timestamp(seconds).map_err(|_| bad()),
        Err(_) => text.parse().map_err(|_| bad()),
    }
}

fn timestamp(seconds: f64) -> Result<Timestamp, QueryError> {
    let bad = || QueryError::bad_data(format!("cannot parse {seconds} to a valid timestamp"));
    if !seconds.is_finite() || seconds.abs() > 1e11 {
        return Err(bad());
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
    let micros = (seconds * 1e6).round() as i64;
    Timestamp::from_microsecond(micros).map_err(|_| bad())
}

fn step(text: &str) -> Result<Seconds, QueryError> {
    let seconds = text.parse::<f64>().ok().or_else(|| crate::quantity::duration(text));
    seconds.filter(|s| s.is_finite() && *s > 0.0).ok_or_else(|| {
        QueryError::bad_data(
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
        )
    })
}

fn seconds(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds fit into 53 bits")]
    let seconds = at.as_millisecond() as f64 / 1000.0;
    seconds
}

/// A sample's value as the API writes it.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        format!("{value}")
    }
}

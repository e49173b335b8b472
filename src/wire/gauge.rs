//! What the embedded detector polls: the environment's own reading actions.

use async_trait::async_trait;
use runbook_contract::{Cx, Registry};
use runbook_core::{
    Timestamp, Value,
    detection::{Measure, Metric, Sample},
    duration::Duration,
    fault::Fault,
};
use runbook_desk::detect::Gauge;
use serde_json::json;

use crate::wire::Wired;

const QUERY: &str = "prometheus.query";
const METRIC: &str = "aws.cloudwatch_metric";

/// The instruments of one environment.
#[derive(Debug)]
pub struct Instruments {
    registry: Registry,
    environment: String,
    speed: u32,
    timeout: Duration,
}

impl Instruments {
    /// `timeout` is for each call.
    pub fn of(wired: &Wired, timeout: Duration) -> Self {
        Self {
            registry: wired.registry.clone(),
            environment: wired.name.clone(),
            speed: wired.speed,
            timeout,
        }
    }

    async fn outputs(&self, action: &str, input: Value) -> Result<Value, Fault> {
        let Some(found) = self.registry.get(action) else {
            let message = format!("the environment `{}` has no `{action}`", self.environment);
            return Err(Fault::permanent(message).hint("configure its provider in this environment"));
        };
        let cx = Cx {
            timeout: self.timeout,
            idempotency_key: String::new(),
            now: Timestamp::now(),
            speed: self.speed,
        };
        Ok(found.observe(&cx, &input).await?.outputs)
    }

    async fn query(&self, query: &str) -> Result<Vec<Sample>, Fault> {
        // With a default, no data is no error; the samples tell whether there are any.
        let outputs = self.outputs(QUERY, json!({ "query": query, "default": 0 })).await?;
        let samples: Vec<Sample> = read(outputs.get("samples"))?;
        let series = outputs.get("series").and_then(Value::as_u64).unwrap_or_default();
        if series > samples.len() as u64 {
            let message = format!("the query has {series} series, {} at most are watched", samples.len());
            return Err(Fault::permanent(message).hint("sum them up by the labels that matter"));
        }
        Ok(samples)
    }

    async fn metric(&self, metric: &Metric) -> Result<Vec<Sample>, Fault> {
        let mut input = json!({
            "namespace": metric.namespace,
            "metric": metric.metric,
            "dimensions": metric.dimensions,
            "default": 0,
        });
        for (key, value) in [("statistic", json!(metric.statistic)), ("window", json!(metric.period))] {
            if !value.is_null() {
                input[key] = value;
            }
        }
        let outputs = self.outputs(METRIC, input).await?;
        let points: Vec<Value> = read(outputs.get("points"))?;
        let value = outputs.get("value").and_then(Value::as_f64).filter(|_| !points.is_empty());
        let sample = |value| Sample { labels: metric.dimensions.clone(), value };
        Ok(value.map(sample).into_iter().collect())
    }
}

#[async_trait]
impl Gauge for Instruments {
    async fn read(&self, measure: &Measure) -> Result<Vec<Sample>, Fault> {
        match (&measure.query, &measure.cloudwatch) {
            (Some(query), _) => self.query(query).await,
            (None, Some(metric)) => self.metric(metric).await,
            (None, None) => Err(Fault::permanent("the rule measures nothing")),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(outputs: Option<&Value>) -> Result<Vec<T>, Fault> {
    let outputs = outputs.cloned().unwrap_or_else(|| json!([]));
    serde_json::from_value(outputs)
        .map_err(|error| Fault::permanent(format!("the answer has another shape than agreed: {error}")))
}

//! `prometheus.query`: one PromQL query, as one number where it has one.

mod answer;

use std::sync::Arc;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use runbook_contract::{Access, Action, Cx, Obstacle, SecretSource, schema};
use runbook_core::{
    Timestamp, Value,
    change::Observed,
    duration::Duration,
    fault::Fault,
    spec::{ActionSpec, Effect, Grade, Permission, Reads, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    auth::{self, Basic},
    client::{Call, Client, Deadline},
    endpoint::Endpoint,
    fault::obstacle,
};

/// A Prometheus, or anything that speaks its query API (Thanos, Mimir, VictoriaMetrics).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its address, with the path prefix if it has one.
    pub url: Endpoint,
    /// Sent as a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretSource>,
    /// Instead of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
}

/// The actions of one environment's Prometheus. Nothing is sent until one is called.
pub fn actions(config: &Config, access: &Arc<Access>) -> Vec<Arc<dyn Action>> {
    vec![Arc::new(Query {
        spec: spec(),
        client: Client::new(access, config.url.allow()),
        config: config.clone(),
    })]
}

/// What the actions say of themselves.
pub fn specs() -> Vec<ActionSpec> {
    vec![spec()]
}

const NAME: &str = "prometheus.query";
/// What fits into a URL on the way through the usual proxies.
const LONGEST_QUERY: usize = 6 * 1024;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The PromQL query.
    query: String,
    /// When to ask about: `2026-11-21T03:00:00Z`. Now, if not given; with `range`, its end.
    time: Option<String>,
    /// Looks at a stretch of time instead of one moment.
    range: Option<Range>,
    /// The `value` where the query returns no data (no series, or not a number as 0/0 gives).
    /// Without it, no data is an error and the check does not pass.
    default: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Range {
    /// How far back.
    since: Duration,
    /// The distance of the points.
    step: Duration,
}

/// What a query comes to.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Output {
    /// The number, where the result is a scalar or one series (of a range: its last). Absent where
    /// there are several: use `min`, `max`, `avg` or `samples`.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    /// How many series have data.
    series: usize,
    /// The smallest number of all series and points.
    min: Option<f64>,
    max: Option<f64>,
    avg: Option<f64>,
    /// The newest number of a single series.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<f64>,
    /// The series with their labels and newest values, fifty at most.
    samples: Vec<answer::Sample>,
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: NAME.to_owned(),
        summary: "Asks Prometheus a query, for a moment or a range".to_owned(),
        effect: Effect::Read,
        destructive_when: None,
        input: schema::of::<Input>(),
        output: schema::of::<Output>(),
        undo: UndoSupport::None("it only reads".to_owned()),
        grade: Grade::Observed,
        reads: Reads::Behaviour,
        permissions: vec![Permission::Other(
            "to query the Prometheus HTTP API (GET /api/v1/query, /api/v1/query_range)".to_owned(),
        )],
        example: json!({
            "query": "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{service=\"api\"}[5m])))"
        }),
    }
}

#[derive(Debug)]
struct Query {
    spec: ActionSpec,
    client: Client,
    config: Config,
}

impl Query {
    async fn ask(&self, cx: &Cx, input: &Input) -> Result<answer::Data, Fault> {
        if input.query.trim().is_empty() || input.query.len() > LONGEST_QUERY {
            return Err(Fault::permanent(format!("a query has between 1 and {LONGEST_QUERY} bytes"))
                .hint("move a long query into a recording rule"));
        }
        let mut url;
        match &input.range {
            None => {
                url = self.config.url.at(["api", "v1", "query"]);
                if let Some(time) = &input.time {
                    url.query_pairs_mut().append_pair("time", &seconds(moment(time)?));
                }
            }
            Some(range) => {
                if range.step.is_zero() || range.since < range.step {
                    return Err(Fault::permanent(
                        "`range` needs a `step` above zero and a `since` of one step or more",
                    ));
                }
                // A simulated environment runs faster: fifteen of its minutes take fifteen seconds.
                let (since, step) = (range.since.scaled(cx.speed), range.step.scaled(cx.speed));
                let end = input.time.as_deref().map_or(Ok(cx.now), moment)?;
                let start = end
                    .checked_sub(since.as_std())
                    .map_err(|_| Fault::permanent("`range.since` goes back beyond the calendar"))?;
                url = self.config.url.at(["api", "v1", "query_range"]);
                url.query_pairs_mut()
                    .append_pair("start", &seconds(start))
                    .append_pair("end", &seconds(end))
                    .append_pair("step", &step.as_secs_f64().to_string());
            }
        }
        url.query_pairs_mut().append_pair("query", &input.query);
        let mut call = Call::get(url, Deadline::after(cx.timeout));
        if let Some(header) = self.authorization()? {
            call = call.with(AUTHORIZATION, header);
        }
        answer::read(&input.query, self.client.send(call).await?)
    }

    fn authorization(&self) -> Result<Option<http::HeaderValue>, Fault> {
        match (&self.config.token, &self.config.basic) {
            (Some(_), Some(_)) => {
                Err(Fault::permanent("`prometheus` has both `token` and `basic`").hint("keep one of them"))
            }
            (Some(token), None) => auth::bearer(token).map(Some),
            (None, Some(basic)) => auth::basic(basic).map(Some),
            (None, None) => Ok(None),
        }
    }
}

fn moment(text: &str) -> Result<Timestamp, Fault> {
    text.parse().map_err(|_| {
        Fault::permanent(format!("`{}` is not a time", text.chars().take(40).collect::<String>()))
            .hint("write it like `2026-11-21T03:00:00Z`")
    })
}

fn seconds(at: Timestamp) -> String {
    format!("{:.3}", at.as_duration().as_secs_f64())
}

#[async_trait]
impl Action for Query {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        let input: Input = schema::read(NAME, input)?;
        let data = self.ask(cx, &input).await?;
        let (output, warnings) = data.summarize(input.default)?;
        let outputs = serde_json::to_value(output).map_err(|error| Fault::permanent(error.to_string()))?;
        Ok(Observed { outputs, warnings, ..Observed::default() })
    }

    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let input: Input = schema::read(NAME, input)?;
        // No data now may be data later; only a query that cannot be asked stands in the way.
        Ok(self.ask(cx, &input).await.err().map(obstacle).into_iter().collect())
    }
}

//! `aws.cloudwatch_metric`: one number of a metric over a window of time.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_cloudwatch::types::{Datapoint, Dimension, Statistic};
use aws_smithy_types::DateTime;
use futures::FutureExt as _;
use runbook_core::{
    Timestamp,
    change::Observed,
    duration::Duration,
    fault::Fault,
    spec::{ActionSpec, Reads},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Read;
use crate::{client::Session, guard::GET_METRIC_STATISTICS, rds::moment, schema};

/// Which metric, summed up how, over which time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The namespace: `AWS/RDS`.
    namespace: String,
    /// The metric's name: `DatabaseConnections`.
    metric: String,
    /// The dimensions that the metric has, all of them: `DBClusterIdentifier: orders`.
    #[serde(default)]
    dimensions: BTreeMap<String, String>,
    /// `average`, `sum`, `minimum`, `maximum`, `sample_count`, or a percentile such as `p99` or
    /// `p99.9`. `average` if not given.
    statistic: Option<String>,
    /// How far back to look; five minutes if not given.
    window: Option<Duration>,
    /// The length of one point. The whole window if not given, which makes a percentile exact.
    period: Option<Duration>,
    /// The `value` where there is no data. Without it, no data is an error and the check does not
    /// pass.
    default: Option<f64>,
}

/// What a metric comes to.
#[derive(Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// The statistic over the whole window. Of a percentile over several points: the highest.
    value: Option<f64>,
    /// The unit of the numbers: `Milliseconds`, `Count`, …
    unit: Option<String>,
    /// The smallest of the points.
    min: Option<f64>,
    /// The largest of the points.
    max: Option<f64>,
    /// The newest of the points.
    last: Option<f64>,
    /// The points, oldest first, the newest hundred at most.
    points: Vec<Point>,
}

/// One point of the window.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Point {
    /// When it begins.
    #[schemars(with = "String", extend("format" = "date-time"))]
    at: Timestamp,
    /// The statistic.
    value: f64,
}

/// How the numbers of a metric are summed up.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Summary {
    Average,
    Sum,
    Minimum,
    Maximum,
    SampleCount,
    /// As CloudWatch writes it: `p99`.
    Percentile(String),
}

const DEFAULT_WINDOW: Duration = Duration::from_secs(300);
const LONGEST_WINDOW: Duration = Duration::from_secs(63 * 24 * 3600);
/// CloudWatch gives no more than this in one answer.
const MOST_DATAPOINTS: u64 = 1440;
const MOST_POINTS: usize = 100;

#[derive(Debug)]
pub(crate) struct CloudwatchMetric;

#[async_trait]
impl Read for CloudwatchMetric {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            reads: Reads::Behaviour,
            example: json!({
                "namespace": "AWS/RDS", "metric": "DatabaseConnections",
                "dimensions": {"DBClusterIdentifier": "orders"}, "statistic": "maximum", "window": "5m",
            }),
            ..schema::read::<Input, Output>(
                "cloudwatch_metric",
                "A statistic or percentile of a CloudWatch metric over a window of time",
                &["cloudwatch:GetMetricStatistics"],
            )
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let summary = Summary::of(input.statistic.as_deref().unwrap_or("average"))?;
        let window = input.window.unwrap_or(DEFAULT_WINDOW).scaled(session.speed);
        let (seconds, period) = lengths(window, input.period.map(|period| period.scaled(session.speed)))?;
        let end = session.now.as_second();
        let start = end.saturating_sub(seconds);
        let dimensions: Vec<Dimension> = input
            .dimensions
            .iter()
            .map(|(name, value)| Dimension::builder().name(name).value(value).build())
            .collect();
        let cloudwatch = &session.link().cloudwatch;
        let answer = session
            .ask(GET_METRIC_STATISTICS, || {
                let asked = cloudwatch
                    .get_metric_statistics()
                    .namespace(&input.namespace)
                    .metric_name(&input.metric)
                    .set_dimensions(Some(dimensions.clone()))
                    .start_time(DateTime::from_secs(start))
                    .end_time(DateTime::from_secs(end))
                    .period(period);
                match &summary {
                    Summary::Percentile(name) => asked.extended_statistics(name),
                    _ => asked.set_statistics(Some(ALL.to_vec())),
                }
                .send()
                .boxed()
            })
            .await?;
        let output = output_of(answer.datapoints.unwrap_or_default(), &summary, input.default)
            .ok_or_else(|| no_data(&input))?;
        Ok(Observed::outputs(schema::value(&output)?))
    }

    /// No data now may be data later.
    fn is_in_the_way(_: &Fault) -> bool {
        false
    }
}

/// Together they make each of them exact over several points.
const ALL: [Statistic; 5] =
    [Statistic::Average, Statistic::Sum, Statistic::Minimum, Statistic::Maximum, Statistic::SampleCount];

fn no_data(input: &Input) -> Fault {
    Fault::not_found(format!("metric `{}` of `{}` has no data in the window", input.metric, input.namespace))
        .hint("all dimensions of the metric must be given; `default` says what no data means")
}

/// Window and period in seconds, as CloudWatch takes them.
fn lengths(window: Duration, period: Option<Duration>) -> Result<(i64, i32), Fault> {
    let minutes = |length: Duration| (length.as_std().as_secs().div_ceil(60)).max(1) * 60;
    if window.is_zero() || window > LONGEST_WINDOW {
        return Err(Fault::permanent("`window` must be above zero and 63 days at the most"));
    }
    let window = minutes(window);
    // The longest period that CloudWatch takes is a day.
    let period = period.map_or(window.min(86_400), minutes).min(window);
    if period > 86_400 {
        return Err(Fault::permanent("`period` must be a day at the most"));
    }
    if window.div_ceil(period) > MOST_DATAPOINTS {
        return Err(Fault::permanent(format!("a window of {window} s has too many points of {period} s"))
            .hint(format!("{MOST_DATAPOINTS} are the most; give a longer `period`")));
    }
    let fits = |_| Fault::permanent("`window` is too long");
    Ok((i64::try_from(window).map_err(fits)?, i32::try_from(period).map_err(fits)?))
}

impl Summary {
    fn of(statistic: &str) -> Result<Self, Fault> {
        Ok(match statistic.to_lowercase().as_str() {
            "average" => Self::Average,
            "sum" => Self::Sum,
            "minimum" => Self::Minimum,
            "maximum" => Self::Maximum,
            "sample_count" => Self::SampleCount,
            name => {
                let percent = name.strip_prefix('p').and_then(|percent| percent.parse::<f64>().ok());
                let sound = percent.is_some_and(|percent| (0.0..=100.0).contains(&percent));
                if !sound {
                    let shown: String = statistic.chars().take(40).collect();
                    return Err(Fault::permanent(format!("`{shown}` is not a statistic of CloudWatch"))
                        .hint(
                            "use average, sum, minimum, maximum, sample_count, or a percentile such as p99",
                        ));
                }
                Self::Percentile(name.to_owned())
            }
        })
    }

    fn of_point(&self, point: &Datapoint) -> Option<f64> {
        match self {
            Self::Average => point.average,
            Self::Sum => point.sum,
            Self::Minimum => point.minimum,
            Self::Maximum => point.maximum,
            Self::SampleCount => point.sample_count,
            Self::Percentile(name) => point.extended_statistics()?.get(name).copied(),
        }
        .filter(|value| value.is_finite())
    }

    /// Over all points together.
    fn of_all(&self, points: &[Datapoint]) -> Option<f64> {
        let each = || points.iter().filter_map(|point| self.of_point(point));
        match self {
            Self::Average => {
                let sum: f64 = points.iter().filter_map(|point| point.sum).sum();
                let count: f64 = points.iter().filter_map(|point| point.sample_count).sum();
                (count > 0.0).then(|| sum / count).or_else(|| each().next())
            }
            Self::Sum | Self::SampleCount => each().next().map(|_| each().sum()),
            Self::Minimum => each().reduce(f64::min),
            Self::Maximum | Self::Percentile(_) => each().reduce(f64::max),
        }
    }
}

/// Nothing where there is no data and nothing was said of that.
fn output_of(mut found: Vec<Datapoint>, summary: &Summary, default: Option<f64>) -> Option<Output> {
    found.sort_by_key(|point| point.timestamp.map(|at| (at.secs(), at.subsec_nanos())));
    let value = summary.of_all(&found);
    if value.is_none() {
        return default.map(|value| Output { value: Some(value), ..Output::default() });
    }
    let values = || found.iter().filter_map(|point| summary.of_point(point));
    let points = found.iter().filter_map(|point| {
        Some(Point { at: moment(point.timestamp.as_ref())?, value: summary.of_point(point)? })
    });
    let points: Vec<Point> = points.collect();
    let surplus = points.len().saturating_sub(MOST_POINTS);
    Some(Output {
        value,
        unit: found.iter().find_map(|point| point.unit.as_ref()).map(|unit| unit.as_str().to_owned()),
        min: values().reduce(f64::min),
        max: values().reduce(f64::max),
        last: values().next_back(),
        points: points.into_iter().skip(surplus).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: i64, numbers: &[f64]) -> Datapoint {
        let sum: f64 = numbers.iter().sum();
        let count = numbers.iter().map(|_| 1.0).sum::<f64>();
        Datapoint::builder()
            .timestamp(DateTime::from_secs(at))
            .sum(sum)
            .sample_count(count)
            .average(sum / count)
            .minimum(numbers.iter().copied().fold(f64::MAX, f64::min))
            .maximum(numbers.iter().copied().fold(f64::MIN, f64::max))
            .extended_statistics("p99", numbers.iter().copied().fold(f64::MIN, f64::max))
            .build()
    }

    #[test]
    fn several_points_sum_up_as_one_would() {
        let points = vec![point(120, &[9.0]), point(60, &[1.0, 2.0, 3.0])];
        for (statistic, value) in [
            ("average", 3.75),
            ("sum", 15.0),
            ("minimum", 1.0),
            ("maximum", 9.0),
            ("sample_count", 4.0),
            ("p99", 9.0),
        ] {
            let summary = Summary::of(statistic).unwrap();
            let output = output_of(points.clone(), &summary, None).unwrap();
            assert_eq!(output.value, Some(value), "{statistic}");
            assert_eq!(output.points.iter().map(|point| point.at.as_second()).collect::<Vec<_>>(), [60, 120]);
        }
    }

    #[test]
    fn no_data_is_what_the_runbook_says_or_nothing() {
        let summary = Summary::Average;
        assert_eq!(output_of(Vec::new(), &summary, None), None);
        assert_eq!(output_of(Vec::new(), &summary, Some(0.0)).unwrap().value, Some(0.0));
    }

    #[test]
    fn windows_are_whole_minutes_and_bounded() {
        let text = |text: &str| text.parse::<Duration>().unwrap();
        for (window, period, expected) in [
            ("5m", None, (300, 300)),
            ("90s", None, (120, 120)),
            ("1h", Some("1m"), (3600, 60)),
            ("5m", Some("1h"), (300, 300)),
            ("2d", None, (172_800, 86_400)),
        ] {
            assert_eq!(lengths(text(window), period.map(text)).unwrap(), expected, "{window} {period:?}");
        }
        for (window, period) in [("0s", None), ("64d", None), ("3d", Some("1m"))] {
            assert!(lengths(text(window), period.map(text)).is_err(), "{window} {period:?}");
        }
    }

    #[test]
    fn statistics_are_those_of_cloudwatch() {
        assert_eq!(Summary::of("P99.9").unwrap(), Summary::Percentile("p99.9".to_owned()));
        for wrong in ["", "p", "p101", "p-1", "pNaN", "mean", "tm99"] {
            assert!(Summary::of(wrong).is_err(), "{wrong}");
        }
    }
}

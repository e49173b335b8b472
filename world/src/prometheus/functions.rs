//! The functions of PromQL that are served.

use std::collections::BTreeMap;

use promql_parser::parser::{Call, Expr};

use crate::prometheus::eval::{Evaluator, QueryError, Sample, Value, Window, map, nameless};
use crate::prometheus::series::Labels;
use crate::time::Seconds;

pub(crate) fn call(evaluator: &Evaluator<'_, '_>, call: &Call, at: Seconds) -> Result<Value, QueryError> {
    let name = call.func.name;
    let argument = |index: usize| -> Result<&Expr, QueryError> {
        let found = call.args.args.get(index).map(AsRef::as_ref);
        found.ok_or_else(|| QueryError::bad_data(format!("{name}() lacks argument {}", index + 1)))
    };
    let scalar = |index: usize| evaluator.scalar(argument(index)?, at);
    let vector = |index: usize| evaluator.vector(argument(index)?, at);
    let over = |index: usize, fold: &dyn Fn(&Window) -> Option<f64>| {
        windows(evaluator, argument(index)?, at).map(|all| Value::Vector(folded(&all, fold)))
    };
    match name {
        "rate" => over(0, &|window| Some(increase(window)? / window.range)),
        "increase" | "delta" => over(0, &increase),
        "irate" => over(0, &instant_rate),
        "avg_over_time" => over(0, &|w| Some(values(w).sum::<f64>() / w.points.len() as f64)),
        "max_over_time" => over(0, &|w| values(w).reduce(f64::max)),
        "min_over_time" => over(0, &|w| values(w).reduce(f64::min)),
        "quantile_over_time" => {
            let share = scalar(0)?;
            over(1, &|w| Some(quantile(share, values(w).collect())))
        }
        "histogram_quantile" => Ok(Value::Vector(histogram(scalar(0)?, vector(1)?))),
        "vector" => Ok(Value::Vector(vec![Sample { labels: Labels::new(), value: scalar(0)? }])),
        "scalar" => Ok(Value::Scalar(match vector(0)?.as_slice() {
            [one] => one.value,
            _ => f64::NAN,
        })),
        "time" => Ok(Value::Scalar(evaluator.data.real(at))),
        "absent" => Ok(Value::Vector(absent(argument(0)?, &vector(0)?))),
        "abs" => Ok(Value::Vector(map(vector(0)?, f64::abs))),
        "clamp_min" => {
            let bound = scalar(1)?;
            Ok(Value::Vector(map(vector(0)?, |value| value.max(bound))))
        }
        "clamp_max" => {
            let bound = scalar(1)?;
            Ok(Value::Vector(map(vector(0)?, |value| value.min(bound))))
        }
        _ => Err(QueryError::unsupported(format!("the function {name}()"))),
    }
}

fn windows(evaluator: &Evaluator<'_, '_>, argument: &Expr, at: Seconds) -> Result<Vec<Window>, QueryError> {
    match argument {
        Expr::MatrixSelector(matrix) => evaluator.range(&matrix.vs, matrix.range, at),
        Expr::Paren(inner) => windows(evaluator, &inner.expr, at),
        Expr::Subquery(_) => Err(QueryError::unsupported("subqueries")),
        _ => Err(QueryError::bad_data("expected a range vector such as metric[5m]")),
    }
}

fn folded(windows: &[Window], fold: &dyn Fn(&Window) -> Option<f64>) -> Vec<Sample> {
    windows
        .iter()
        .filter_map(|window| Some(Sample { labels: nameless(&window.series_labels), value: fold(window)? }))
        .collect()
}

fn values(window: &Window) -> impl Iterator<Item = f64> {
    window.points.iter().map(|(_, value)| *value)
}

/// The model's counters are exact at any moment, so nothing needs to be extrapolated.
fn increase(window: &Window) -> Option<f64> {
    let ((_, first), (_, last)) = (window.points.first()?, window.points.last()?);
    (window.points.len() > 1).then_some(last - first)
}

fn instant_rate(window: &Window) -> Option<f64> {
    let [.., (_, before), (_, last)] = window.points.as_slice() else { return None };
    Some((last - before) / window.step)
}

fn quantile(share: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || share.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&share) {
        return if share < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    values.sort_by(f64::total_cmp);
    let rank = share * (values.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the length of the list"
    )]
    let below = rank.floor() as usize;
    let above = (below + 1).min(values.len() - 1);
    values[below] + (values[above] - values[below]) * (rank - below as f64)
}

fn absent(argument: &Expr, found: &[Sample]) -> Vec<Sample> {
    if !found.is_empty() {
        return Vec::new();
    }
    let mut labels = Labels::new();
    if let Expr::VectorSelector(selector) = argument {
        for matcher in &selector.matchers.matchers {
            if matcher.op == promql_parser::label::MatchOp::Equal && matcher.name != "__name__" {
                labels.insert(matcher.name.clone(), matcher.value.clone());
            }
        }
    }
    vec![Sample { labels, value: 1.0 }]
}

/// Interpolates within the bucket that holds the rank, as Prometheus does.
fn histogram(share: f64, samples: Vec<Sample>) -> Vec<Sample> {
    let mut groups: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in samples {
        let mut labels = nameless(&sample.labels);
        let Some(bound) = labels.remove("le").and_then(|le| le.parse::<f64>().ok()) else { continue };
        groups.entry(labels).or_default().push((bound, sample.value));
    }
    groups
        .into_iter()
        .map(|(labels, buckets)| Sample { labels, value: bucket_quantile(share, buckets) })
        .collect()
}

fn bucket_quantile(share: f64, mut buckets: Vec<(f64, f64)>) -> f64 {
    if share.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&share) {
        return if share < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some((bound, total)) = buckets.last().copied() else { return f64::NAN };
    if bound != f64::INFINITY || buckets.len() < 2 || total <= 0.0 || total.is_nan() {
        return f64::NAN;
    }
    let rank = share * total;
    let index = buckets[..buckets.len() - 1].partition_point(|(_, count)| *count < rank);
    if index == buckets.len() - 1 {
        return buckets[index - 1].0;
    }
    let (upper, count) = buckets[index];
    let (lower, before) = if index == 0 { (0.0, 0.0) } else { buckets[index - 1] };
    if count <= before { lower } else { lower + (upper - lower) * (rank - before) / (count - before) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_buckets() {
        let buckets = vec![(0.1, 50.0), (0.5, 90.0), (1.0, 100.0), (f64::INFINITY, 100.0)];
        for (share, expected) in [(0.5, 0.1), (0.25, 0.05), (0.7, 0.3), (0.95, 0.75), (1.0, 1.0)] {
            assert!((bucket_quantile(share, buckets.clone()) - expected).abs() < 1e-9, "{share}");
        }
        let open = vec![(0.1, 50.0), (f64::INFINITY, 100.0)];
        assert_eq!(bucket_quantile(0.9, open), 0.1);
        assert!(bucket_quantile(0.9, vec![(0.1, 0.0), (f64::INFINITY, 0.0)]).is_nan());
        assert!(bucket_quantile(0.9, vec![(0.1, 1.0)]).is_nan());
        assert_eq!(bucket_quantile(1.1, vec![]), f64::INFINITY);
    }

    #[test]
    fn quantiles_of_values() {
        assert_eq!(quantile(0.5, vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(quantile(0.75, vec![1.0, 2.0]), 1.75);
        assert!(quantile(0.5, vec![]).is_nan());
    }
}

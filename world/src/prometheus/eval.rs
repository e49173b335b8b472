//! Evaluates PromQL: the shapes that runbooks use; anything else is refused by name.

use std::cell::Cell;
use std::time::Duration;

use promql_parser::label::{Matcher, Matchers};
use promql_parser::parser::{self, AggregateExpr, Expr, LabelModifier, Offset, VectorSelector, token};

use crate::prometheus::series::{Data, Labels, Series};
use crate::prometheus::{functions, operators};
use crate::time::Seconds;

/// Bounds on a query: its text, its depth, and the samples that it may look at.
const MAX_QUERY: usize = 4_096;
const MAX_DEPTH: u32 = 100;
const MAX_SAMPLES: u64 = 2_000_000;
/// How far apart the samples of a gauge are, at least, in simulated seconds.
const SCRAPE: Seconds = 15.0;
const MAX_GRID: f64 = 1_000.0;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueryError {
    pub status: u16,
    pub kind: &'static str,
    pub message: String,
}

impl QueryError {
    pub fn bad_data(message: impl Into<String>) -> Self {
        Self { status: 400, kind: "bad_data", message: message.into() }
    }

    pub fn execution(message: impl Into<String>) -> Self {
        Self { status: 422, kind: "execution", message: message.into() }
    }

    pub fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("the simulated Prometheus does not evaluate {what}"))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub labels: Labels,
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Scalar(f64),
    Text(String),
    Vector(Vec<Sample>),
    Matrix(Vec<(Labels, Vec<(Seconds, f64)>)>),
}

pub(crate) fn parse(query: &str) -> Result<Expr, QueryError> {
    if query.len() > MAX_QUERY {
        return Err(QueryError::bad_data(format!("the query is longer than {MAX_QUERY} bytes")));
    }
    parser::parse(query)
        .map_err(|error| QueryError::bad_data(format!("invalid parameter \"query\": {error}")))
}

pub(crate) struct Evaluator<'d, 'a> {
    pub data: &'d Data<'a>,
    looked_at: Cell<u64>,
    depth: Cell<u32>,
}

impl<'d, 'a> Evaluator<'d, 'a> {
    pub fn new(data: &'d Data<'a>) -> Self {
        Self { data, looked_at: Cell::new(0), depth: Cell::new(0) }
    }

    /// Evaluates a whole query, which alone may be a range.
    pub fn top(&self, expression: &Expr, at: Seconds) -> Result<Value, QueryError> {
        if let Expr::MatrixSelector(matrix) = expression {
            let rows = self.range(&matrix.vs, matrix.range, at)?;
            return Ok(Value::Matrix(
                rows.into_iter().map(|window| (window.series_labels, window.points)).collect(),
            ));
        }
        self.at(expression, at)
    }

    pub fn at(&self, expression: &Expr, at: Seconds) -> Result<Value, QueryError> {
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > MAX_DEPTH {
            return Err(QueryError::bad_data("the query is nested too deeply"));
        }
        let value = self.node(expression, at);
        self.depth.set(self.depth.get() - 1);
        value
    }

    fn node(&self, expression: &Expr, at: Seconds) -> Result<Value, QueryError> {
        match expression {
            Expr::NumberLiteral(number) => Ok(Value::Scalar(number.val)),
            Expr::StringLiteral(text) => Ok(Value::Text(text.val.clone())),
            Expr::Paren(inner) => self.at(&inner.expr, at),
            Expr::Unary(inner) => Ok(match self.at(&inner.expr, at)? {
                Value::Scalar(value) => Value::Scalar(-value),
                Value::Vector(samples) => Value::Vector(map(samples, |value| -value)),
                other => other,
            }),
            Expr::VectorSelector(selector) => {
                let at = shifted(selector, at)?;
                let samples = self.select(selector)?;
                let samples = samples.iter().flat_map(|(all, chosen)| chosen.iter().map(|i| &all[*i]));
                let mut found = Vec::new();
                for series in samples {
                    self.count(1)?;
                    found.extend(series.at(at).map(|value| Sample { labels: series.labels.clone(), value }));
                }
                Ok(Value::Vector(found))
            }
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, at),
            Expr::Binary(binary) => {
                let (left, right) = (self.at(&binary.lhs, at)?, self.at(&binary.rhs, at)?);
                operators::apply(binary, left, right)
            }
            Expr::Call(call) => functions::call(self, call, at),
            Expr::MatrixSelector(_) => {
                Err(QueryError::bad_data("a range vector must stand inside a function such as rate()"))
            }
            Expr::Subquery(_) => Err(QueryError::unsupported("subqueries")),
            Expr::Extension(_) => Err(QueryError::unsupported("extensions")),
        }
    }

    pub fn vector(&self, expression: &Expr, at: Seconds) -> Result<Vec<Sample>, QueryError> {
        match self.at(expression, at)? {
            Value::Vector(samples) => Ok(samples),
            _ => Err(QueryError::bad_data("expected an instant vector")),
        }
    }

    pub fn scalar(&self, expression: &Expr, at: Seconds) -> Result<f64, QueryError> {
        match self.at(expression, at)? {
            Value::Scalar(value) => Ok(value),
            _ => Err(QueryError::bad_data("expected a scalar")),
        }
    }

    /// The samples of a selector within the window that ends at a moment.
    pub fn range(
        &self,
        selector: &VectorSelector,
        range: Duration,
        at: Seconds,
    ) -> Result<Vec<Window>, QueryError> {
        let at = shifted(selector, at)?;
        let range = range.as_secs_f64();
        let step = SCRAPE.max(range / MAX_GRID).min(range);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most MAX_GRID")]
        let steps = (range / step).floor() as u32;
        let mut windows = Vec::new();
        for (all, chosen) in self.select(selector)? {
            for index in chosen {
                let series = &all[index];
                self.count(u64::from(steps) + 1)?;
                let points: Vec<(Seconds, f64)> = (0..=steps)
                    .rev()
                    .map(|back| at - step * f64::from(back))
                    .filter_map(|moment| Some((moment, series.at(moment)?)))
                    .collect();
                if !points.is_empty() {
                    windows.push(Window { series_labels: series.labels.clone(), range, step, points });
                }
            }
        }
        Ok(windows)
    }

    /// Series by index, so that they need not be moved.
    #[expect(clippy::type_complexity, reason = "the shared series of a name, and which of them match")]
    fn select(
        &self,
        selector: &VectorSelector,
    ) -> Result<Vec<(std::rc::Rc<Vec<Series<'a>>>, Vec<usize>)>, QueryError> {
        if !selector.matchers.or_matchers.is_empty() {
            return Err(QueryError::unsupported("matchers joined by `or`"));
        }
        let names: Vec<&str> = match &selector.name {
            Some(name) => vec![name.as_str()],
            None => Data::names().to_vec(),
        };
        Ok(names
            .into_iter()
            .map(|name| {
                let all = self.data.series(name);
                let chosen =
                    (0..all.len()).filter(|i| matches(&selector.matchers, &all[*i].labels)).collect();
                (all, chosen)
            })
            .collect())
    }

    fn count(&self, samples: u64) -> Result<(), QueryError> {
        self.looked_at.set(self.looked_at.get() + samples);
        if self.looked_at.get() > MAX_SAMPLES {
            return Err(QueryError::execution(
                "query processing would load too many samples into memory in query execution",
            ));
        }
        Ok(())
    }

    fn aggregate(&self, aggregate: &AggregateExpr, at: Seconds) -> Result<Value, QueryError> {
        let fold: fn(&[f64]) -> f64 = match aggregate.op.id() {
            token::T_SUM => |values| values.iter().sum(),
            token::T_AVG => |values| values.iter().sum::<f64>() / values.len() as f64,
            token::T_MAX => |values| values.iter().copied().fold(f64::NAN, f64::max),
            token::T_MIN => |values| values.iter().copied().fold(f64::NAN, f64::min),
            token::T_COUNT => |values| values.len() as f64,
            _ => return Err(QueryError::unsupported(format!("the aggregation `{}`", aggregate.op))),
        };
        let mut groups: Vec<(Labels, Vec<f64>)> = Vec::new();
        for sample in self.vector(&aggregate.expr, at)? {
            let labels = grouped(&sample.labels, aggregate.modifier.as_ref());
            match groups.iter_mut().find(|(known, _)| *known == labels) {
                Some((_, values)) => values.push(sample.value),
                None => groups.push((labels, vec![sample.value])),
            }
        }
        Ok(Value::Vector(
            groups.into_iter().map(|(labels, values)| Sample { labels, value: fold(&values) }).collect(),
        ))
    }
}

/// What a range selector yields for one series: its samples, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub series_labels: Labels,
    pub range: Seconds,
    pub step: Seconds,
    pub points: Vec<(Seconds, f64)>,
}

/// Changes every value; the result is no longer the metric that it was.
pub(crate) fn map(samples: Vec<Sample>, change: impl Fn(f64) -> f64) -> Vec<Sample> {
    samples
        .into_iter()
        .map(|sample| Sample { labels: nameless(&sample.labels), value: change(sample.value) })
        .collect()
}

pub(crate) fn nameless(labels: &Labels) -> Labels {
    labels.iter().filter(|(name, _)| *name != "__name__").map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn grouped(labels: &Labels, modifier: Option<&LabelModifier>) -> Labels {
    let keep = |name: &String| match modifier {
        Some(LabelModifier::Include(by)) => by.labels.contains(name),
        Some(LabelModifier::Exclude(without)) => name != "__name__" && !without.labels.contains(name),
        None => false,
    };
    labels.iter().filter(|(name, _)| keep(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn matches(matchers: &Matchers, labels: &Labels) -> bool {
    let one = |matcher: &Matcher| matcher.is_match(labels.get(&matcher.name).map_or("", String::as_str));
    matchers.matchers.iter().all(one)
}

/// The moment that a selector looks at, with its offset.
fn shifted(selector: &VectorSelector, at: Seconds) -> Result<Seconds, QueryError> {
    if selector.at.is_some() {
        return Err(QueryError::unsupported("the @ modifier"));
    }
    Ok(match &selector.offset {
        Some(Offset::Pos(by)) => at - by.as_secs_f64(),
        Some(Offset::Neg(by)) => at + by.as_secs_f64(),
        None => at,
    })
}

//! Binary operators: arithmetic, comparison and sets, between scalars and vectors.

use std::collections::BTreeMap;

use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality, token};

use crate::prometheus::eval::{QueryError, Sample, Value, nameless};
use crate::prometheus::series::Labels;

pub(crate) fn apply(binary: &BinaryExpr, left: Value, right: Value) -> Result<Value, QueryError> {
    let operator = binary.op.id();
    let as_bool = binary.return_bool();
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            Ok(Value::Scalar(match compare(operator, left, right) {
                Some(holds) => f64::from(u8::from(holds)),
                None => calculate(operator, left, right)?,
            }))
        }
        (Value::Vector(samples), Value::Scalar(right)) => {
            each(samples, operator, as_bool, |value| (value, right)).map(Value::Vector)
        }
        (Value::Scalar(left), Value::Vector(samples)) => {
            each(samples, operator, as_bool, |value| (left, value)).map(Value::Vector)
        }
        (Value::Vector(left), Value::Vector(right)) if binary.op.is_set_operator() => {
            Ok(Value::Vector(sets(operator, binary.modifier.as_ref(), left, right)))
        }
        (Value::Vector(left), Value::Vector(right)) => pairs(binary, left, right).map(Value::Vector),
        _ => Err(QueryError::bad_data("binary expressions take scalars and instant vectors only")),
    }
}

fn compare(operator: u16, left: f64, right: f64) -> Option<bool> {
    Some(match operator {
        token::T_EQLC => left == right,
        token::T_NEQ => left != right,
        token::T_GTR => left > right,
        token::T_LSS => left < right,
        token::T_GTE => left >= right,
        token::T_LTE => left <= right,
        _ => return None,
    })
}

fn calculate(operator: u16, left: f64, right: f64) -> Result<f64, QueryError> {
    Ok(match operator {
        token::T_ADD => left + right,
        token::T_SUB => left - right,
        token::T_MUL => left * right,
        token::T_DIV => left / right,
        token::T_MOD => left % right,
        token::T_POW => left.powf(right),
        other => {
            return Err(QueryError::unsupported(format!("the operator `{}`", token::TokenType::new(other))));
        }
    })
}

/// A vector against a scalar: comparisons keep the samples that hold, with the vector's values.
fn each(
    samples: Vec<Sample>,
    operator: u16,
    as_bool: bool,
    sides: impl Fn(f64) -> (f64, f64),
) -> Result<Vec<Sample>, QueryError> {
    let mut result = Vec::new();
    for sample in samples {
        let (left, right) = sides(sample.value);
        match compare(operator, left, right) {
            Some(holds) if as_bool => {
                result.push(Sample { labels: nameless(&sample.labels), value: f64::from(u8::from(holds)) });
            }
            Some(true) => result.push(sample),
            Some(false) => {}
            None => {
                let value = calculate(operator, left, right)?;
                result.push(Sample { labels: nameless(&sample.labels), value });
            }
        }
    }
    Ok(result)
}

/// The labels by which two vectors are matched.
fn signature(labels: &Labels, modifier: Option<&BinModifier>) -> Labels {
    let matching = modifier.and_then(|modifier| modifier.matching.as_ref());
    let keep = |name: &String| match matching {
        Some(LabelModifier::Include(on)) => on.labels.contains(name),
        Some(LabelModifier::Exclude(ignoring)) => name != "__name__" && !ignoring.labels.contains(name),
        None => name != "__name__",
    };
    labels.iter().filter(|(name, _)| keep(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn sets(operator: u16, modifier: Option<&BinModifier>, left: Vec<Sample>, right: Vec<Sample>) -> Vec<Sample> {
    let signatures = |samples: &[Sample]| -> Vec<Labels> {
        samples.iter().map(|sample| signature(&sample.labels, modifier)).collect()
    };
    let (of_left, of_right) = (signatures(&left), signatures(&right));
    let filtered = |samples: Vec<Sample>, own: &[Labels], other: &[Labels], wanted: bool| -> Vec<Sample> {
        let keep = samples.into_iter().zip(own).filter(|(_, own)| other.contains(own) == wanted);
        keep.map(|(sample, _)| sample).collect()
    };
    match operator {
        token::T_LAND => filtered(left, &of_left, &of_right, true),
        token::T_LUNLESS => filtered(left, &of_left, &of_right, false),
        _ => {
            let mut all = left;
            all.extend(filtered(right, &of_right, &of_left, false));
            all
        }
    }
}

/// Two vectors, one to one.
fn pairs(binary: &BinaryExpr, left: Vec<Sample>, right: Vec<Sample>) -> Result<Vec<Sample>, QueryError> {
    let modifier = binary.modifier.as_ref();
    if let Some(modifier) = modifier
        && !matches!(modifier.card, VectorMatchCardinality::OneToOne)
    {
        return Err(QueryError::unsupported("group_left and group_right"));
    }
    let mut partners: BTreeMap<Labels, f64> = BTreeMap::new();
    for sample in &right {
        if partners.insert(signature(&sample.labels, modifier), sample.value).is_some() {
            return Err(many_to_many("right"));
        }
    }
    let mut seen: Vec<Labels> = Vec::new();
    let mut result = Vec::new();
    for sample in left {
        let labels = signature(&sample.labels, modifier);
        let Some(partner) = partners.get(&labels) else { continue };
        if seen.contains(&labels) {
            return Err(many_to_many("left"));
        }
        seen.push(labels.clone());
        match compare(binary.op.id(), sample.value, *partner) {
            Some(holds) if binary.return_bool() => {
                result.push(Sample { labels, value: f64::from(u8::from(holds)) });
            }
            Some(true) => result.push(sample),
            Some(false) => {}
            None => {
                let value = calculate(binary.op.id(), sample.value, *partner)?;
                result.push(Sample { labels, value });
            }
        }
    }
    Ok(result)
}

fn many_to_many(side: &str) -> QueryError {
    QueryError::execution(format!(
        "found duplicate series for the match group on the {side} hand-side of the operation; many-to-many matching not allowed: matching labels must be unique on one side"
    ))
}

//! Expressions: Jinja's, bare in `when`, `expect` and `until`, inside `${{ }}` everywhere else.
//! minijinja evaluates them; what is around it here bounds their work and size, keeps null from
//! being ordered among numbers, and lets unknown values spread.
//!
//! `{{ }}`, `{% %}` and `{# #}` are plain text, so Prometheus' and Go's templates pass through. A
//! literal `${{` is written `${{ '${{' }}`.

mod environment;
mod names;
mod quantity;
mod scan;
mod template;
mod token;

use std::{fmt, ops::Range};

use minijinja::ErrorKind;
use serde_json::Value;

pub use self::{
    environment::{FILTERS, FUNCTIONS, TESTS},
    scan::{MAX_SOURCE, Reference},
    template::{MAX_TEMPLATE, Part, is_plain, parts, references_in_template, render, render_text},
};
use self::{
    names::Touched,
    scan::{Joint, Scan},
};
use crate::suggest;

/// What an expression came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Known(Value),
    /// It depends on something that nobody knows yet, for this reason.
    Unknown(String),
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// The expression as it is written, cut where it is long.
    pub expression: String,
    /// A lowercase fragment.
    pub message: String,
    /// The place in the expression, in bytes.
    pub span: Option<Range<usize>>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ExpressionError {
    fn new(source: &str, message: impl Into<String>) -> Self {
        const SHOWN: usize = 200;
        let mut expression: String = source.chars().take(SHOWN).collect();
        if expression.len() < source.len() {
            expression.push('…');
        }
        Self { expression, message: message.into(), span: None, hint: None }
    }
    fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in `{}`", self.message, self.expression.trim())
    }
}

impl std::error::Error for ExpressionError {}

/// Evaluates a bare expression. `names` is an object: `inputs`, `steps`, `run`, `alert`,
/// `incident`, `item`, `secrets`; in `expect`, the outputs of the check beside them. An unknown
/// value anywhere in it makes the outcome unknown, but only where the evaluation touches it.
pub fn evaluate(source: &str, names: &Value) -> Result<Outcome, ExpressionError> {
    let scan = scan::scan(source)?;
    run(source, &scan, names)
}

/// Evaluates an expression as a condition, by Jinja's idea of what is true; `None` where it is
/// unknown. One known side can decide `and` and `or` even where the other is unknown.
pub fn holds(source: &str, names: &Value) -> Result<Option<bool>, ExpressionError> {
    let scan = scan::scan(source)?;
    match run(source, &scan, names)? {
        Outcome::Known(value) => Ok(Some(is_true(&value))),
        Outcome::Unknown(_) if scan.joints.is_empty() => Ok(None),
        Outcome::Unknown(_) => Ok(decided(source, &scan, names)),
    }
}

/// The dotted paths that an expression refers to, such as `["steps", "history", "passed"]`; the
/// expression is compiled on the way, so every error in its writing is found.
pub fn references(source: &str) -> Result<Vec<Vec<String>>, ExpressionError> {
    Ok(located_references(source)?.into_iter().map(|reference| reference.path).collect())
}

/// The same with places.
pub fn located_references(source: &str) -> Result<Vec<Reference>, ExpressionError> {
    let scan = scan::scan(source)?;
    compile(source, &scan)?;
    Ok(scan.references)
}

/// The path of an expression that is nothing but a name, such as `inputs.replicas`.
pub fn plain_path(source: &str) -> Option<Vec<String>> {
    let [reference] = <[Reference; 1]>::try_from(scan::scan(source).ok()?.references).ok()?;
    (source.trim() == source.get(reference.span())?).then_some(reference.path)
}

fn compile(source: &str, scan: &Scan) -> Result<minijinja::Expression<'static, 'static>, ExpressionError> {
    environment::environment()
        .compile_expression_owned(scan.guarded(source))
        .map_err(|error| explain(source, scan, &error))
}

fn run(source: &str, scan: &Scan, names: &Value) -> Result<Outcome, ExpressionError> {
    let expression = compile(source, scan)?;
    let touched = Touched::default();
    let context = names::context(names, &scan.references, &touched);
    let result = expression.eval(context).and_then(|value| names::to_json(&value));
    if let Some(reason) = touched.get() {
        return Ok(Outcome::Unknown(reason.clone()));
    }
    match result {
        Ok(value) => Ok(Outcome::Known(value)),
        Err(error) if error.kind() == ErrorKind::UndefinedError => Err(missing(source, scan, names, &error)),
        Err(error) => Err(explain(source, scan, &error)),
    }
}

/// Three-valued logic over the parts between `and` and `or` that stand outside brackets. A part
/// that fails by itself was perhaps guarded by an unknown one, so it counts as unknown.
fn decided(source: &str, scan: &Scan, names: &Value) -> Option<bool> {
    let part = |range: Range<usize>| {
        let source = source.get(range)?;
        let scan = scan::scan(source).ok()?;
        match run(source, &scan, names).ok()? {
            Outcome::Known(value) => Some(is_true(&value)),
            Outcome::Unknown(_) => None,
        }
    };
    let (mut any, mut all) = (Some(false), Some(true));
    let mut from = 0;
    let end = (source.len()..source.len(), Joint::Or);
    for (joint, kind) in scan.joints.iter().chain([&end]) {
        all = match (all, part(from..joint.start)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
        from = joint.end;
        if *kind == Joint::Or {
            any = match (any, all) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
            all = Some(true);
        }
    }
    any
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// minijinja's error in our words and with a place in the source.
fn explain(source: &str, scan: &Scan, error: &minijinja::Error) -> ExpressionError {
    let message = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "it takes too many steps to work out".to_owned(),
        (ErrorKind::SyntaxError | ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    let mut explained = ExpressionError::new(source, message.replace("_number", "number"));
    explained.span = error.range().map(|range| {
        let start = scan.unguarded(range.start).min(source.len());
        start..scan.unguarded(range.end).clamp(start, source.len())
    });
    let hint = std::error::Error::source(error).and_then(|source| source.downcast_ref::<environment::Hint>());
    explained.hint = hint.map(ToString::to_string);
    explained
}

/// An undefined value: the first name that leads nowhere, with what was probably meant.
fn missing(source: &str, scan: &Scan, names: &Value, error: &minijinja::Error) -> ExpressionError {
    for reference in &scan.references {
        let mut seen = names;
        for (depth, part) in reference.path.iter().enumerate() {
            let found = if depth == 0 { names::lookup(names, part) } else { seen.get(part) };
            let Some(value) = found else {
                let path = reference.path[..=depth].join(".");
                let missing = ExpressionError::new(source, format!("`{path}` is not defined"))
                    .at(reference.spans[depth].clone());
                return match suggestion(part, seen) {
                    Some(hint) => missing.hint(hint),
                    None => missing,
                };
            };
            seen = value;
        }
    }
    let mut explained = explain(source, scan, error);
    explained.message = "part of it is not defined".to_owned();
    explained
}

fn suggestion(part: &str, seen: &Value) -> Option<String> {
    let fields = seen.as_object()?;
    let known = || fields.keys().map(String::as_str);
    match suggest::closest(part, known()) {
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if fields.is_empty() => None,
        None => Some(format!("there is {}", suggest::list(known()))),
    }
}

#[cfg(test)]
mod tests;

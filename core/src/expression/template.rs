//! Texts with `${{ }}` in them.

use std::ops::Range;

use serde_json::Value;

use super::{ExpressionError, Outcome, environment::MAX_TEXT, evaluate, names, references, token};
use crate::unknown;

/// The longest text with expressions in it, in bytes.
pub const MAX_TEMPLATE: usize = 64 * 1024;
const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    Text(&'a str),
    /// What stands between `${{` and `}}`, and where, in bytes.
    Expression(&'a str, Range<usize>),
}

/// Takes a text apart.
pub fn parts(text: &str) -> Result<Vec<Part<'_>>, ExpressionError> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(OPEN)) {
        if text.len() > MAX_TEMPLATE {
            return Err(ExpressionError::new(text, format!("it is longer than {MAX_TEMPLATE} bytes")));
        }
        let (open, start) = (at + found, at + found + OPEN.len());
        let inside = text.get(start..).unwrap_or_default();
        let Some(length) = token::end_of_template_expression(inside) else {
            return Err(ExpressionError::new(text, "this `${{` is not closed")
                .at(open..start)
                .hint("a `}}` is missing; a literal `${{` is written `${{ '${{' }}`"));
        };
        if found > 0 {
            parts.push(Part::Text(&text[at..open]));
        }
        parts.push(Part::Expression(&text[start..start + length], start..start + length));
        at = start + length + CLOSE.len();
    }
    match text.get(at..) {
        Some(rest) if !rest.is_empty() => parts.push(Part::Text(rest)),
        _ => {}
    }
    Ok(parts)
}

/// Whether a value has no `${{` in any of its texts, so that filling it in changes nothing.
pub fn is_plain(template: &Value) -> bool {
    match template {
        Value::String(text) => !text.contains(OPEN),
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(fields) => fields.values().all(is_plain),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Fills in every `${{ }}` of a value. A text that is exactly one `${{ }}` keeps the type of what
/// it comes to; a text with something unknown in it becomes an unknown value. Keys stay.
pub fn render(template: &Value, names: &Value) -> Result<Value, ExpressionError> {
    let mut room = MAX_TEXT;
    fill(template, names, &mut room)
}

/// Fills in a text; what is unknown is shown as `(unknown)`.
pub fn render_text(template: &str, names: &Value) -> Result<String, ExpressionError> {
    let mut room = MAX_TEXT;
    let mut out = String::new();
    for part in parts(template)? {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Expression(source, _) => match evaluate(source, names)? {
                Outcome::Known(value) => out.push_str(&taken(source, names::json_text(value), &mut room)?),
                Outcome::Unknown(_) => out.push_str("(unknown)"),
            },
        }
    }
    Ok(out)
}

/// The dotted paths that the expressions of a text refer to.
pub fn references_in_template(text: &str) -> Result<Vec<Vec<String>>, ExpressionError> {
    let mut found = Vec::new();
    for part in parts(text)? {
        if let Part::Expression(source, _) = part {
            found.extend(references(source)?);
        }
    }
    Ok(found)
}

fn fill(template: &Value, names: &Value, room: &mut usize) -> Result<Value, ExpressionError> {
    match template {
        Value::String(text) => fill_text(text, names, room),
        Value::Array(items) => items.iter().map(|item| fill(item, names, room)).collect(),
        Value::Object(fields) => {
            let mut filled = serde_json::Map::with_capacity(fields.len());
            for (key, item) in fields {
                filled.insert(key.clone(), fill(item, names, room)?);
            }
            Ok(Value::Object(filled))
        }
        other => Ok(other.clone()),
    }
}

fn fill_text(template: &str, names: &Value, room: &mut usize) -> Result<Value, ExpressionError> {
    let parts = parts(template)?;
    if let [Part::Expression(source, _)] = parts.as_slice() {
        return Ok(match evaluate(source, names)? {
            Outcome::Known(value) => {
                taken(source, value.to_string(), room)?;
                value
            }
            Outcome::Unknown(reason) => unknown::because(reason),
        });
    }
    let mut out = String::new();
    let mut reason = None;
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            // The rest is evaluated too: an error in it must not hide behind an unknown.
            Part::Expression(source, _) => match evaluate(source, names)? {
                Outcome::Known(value) => out.push_str(&taken(source, names::json_text(value), room)?),
                Outcome::Unknown(why) => reason = reason.or(Some(why)),
            },
        }
    }
    Ok(reason.map_or(Value::String(out), unknown::because))
}

fn taken(source: &str, text: String, room: &mut usize) -> Result<String, ExpressionError> {
    match room.checked_sub(text.len()) {
        Some(left) => {
            *room = left;
            Ok(text)
        }
        None => Err(ExpressionError::new(source, format!("the result is larger than {MAX_TEXT} bytes"))),
    }
}

//! A change: what an action would do to one target, complete enough to show, to approve, to apply
//! and to take back, without asking the world again.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    fault::Fault,
    spec::{Effect, Grade},
    unknown,
};

/// What a provider saw of a target.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// What was looked at; reads over many things have none.
    pub target: Option<Target>,
    /// What expressions see: `steps.ID.outputs.*`, and the bare names inside `expect`.
    pub outputs: Value,
    /// What the provider needs to plan, beyond the outputs. Never shown.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub state: Value,
    /// What a person should know: "an HPA governs this deployment".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Observed {
    pub fn outputs(outputs: Value) -> Self {
        Self { outputs, ..Self::default() }
    }
}

/// The one thing that a change changes, named so that two runs cannot mistake it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// `kubernetes:production/deployment/api`: provider, then the path in its own words.
    pub name: String,
    /// The server's identity of this very object, where it has one: a deleted and re-created
    /// object is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

impl Target {
    pub fn new(name: impl Into<String>, uid: Option<String>) -> Self {
        Self { name: name.into(), uid }
    }
    /// The last part of the name: what a person types to confirm a destructive step.
    pub fn short(&self) -> &str {
        self.name.rsplit(['/', ':']).next().unwrap_or(&self.name)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The exact request, for people to read and for the provider to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub method: String,
    pub url: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
    /// The media type of the body where it says how the body is meant (a kind of patch).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// What an action would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub action: String,
    /// The resolved input, secrets as marks.
    pub input: Value,
    pub target: Target,
    /// `replicas 3 -> 10`.
    pub summary: String,
    pub effect: Effect,
    /// The fields that this change depends on and alters, as they were observed: what undo
    /// restores, what drift is measured against, what the diff shows. Never a counter that every
    /// status update moves.
    pub before: Value,
    /// The same fields as they will be.
    pub after: Value,
    pub request: Request,
    /// What makes the write conditional (a resourceVersion). Not part of the digest, for it moves
    /// without meaning; renewed when the target is observed again just before applying.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub precondition: Value,
    /// What the provider recorded beyond `before` in order to undo this.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub image: Value,
    pub undo: Undo,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Whether this very change can be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    Auto,
    /// Not possible, with the reason.
    None(String),
}

impl Change {
    /// What an approval binds to: `sha256:` and hex, over the resolved input, the target's
    /// identity, the observed fields that the change depends on, and the request.
    pub fn digest(&self) -> String {
        let bound = serde_json::json!([
            self.action,
            self.input,
            self.target,
            self.effect,
            self.before,
            self.after,
            self.request
        ]);
        digest(&bound)
    }

    /// The fields whose observed values differ between this change and a newer look at the same
    /// target, as `path: old -> new`.
    pub fn moved(&self, newer: &Change) -> Vec<String> {
        let mut moved = Vec::new();
        if self.target != newer.target {
            moved.push(format!("{}: replaced by another object of that name", self.target));
        }
        differences("", &self.before, &newer.before, &mut moved);
        if moved.is_empty() && self.digest() != newer.digest() {
            differences("request", &self.request.body, &newer.request.body, &mut moved);
            differences("", &self.after, &newer.after, &mut moved);
        }
        if moved.is_empty() && self.digest() != newer.digest() {
            moved.push("the request that would be sent".to_owned());
        }
        moved
    }
}

/// `sha256:` and hex over the canonical JSON of a value: keys sorted, no spaces.
pub fn digest(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    format!("sha256:{}", hex(&Sha256::digest(text.as_bytes())))
}

/// Lowercase hex.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<_> = fields.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                canonical(&fields[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

const MOST_DIFFERENCES: usize = 50;

/// Lists where two values differ, as `path: old -> new`, at most fifty.
pub fn differences(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    if old == new || found.len() >= MOST_DIFFERENCES {
        return;
    }
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<_> = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).collect();
            keys.sort_unstable();
            for key in keys {
                let (x, y) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                differences(&join(path, key), x, y, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{i}]"), x, y, found);
            }
        }
        _ => found.push(format!("{path}: {} -> {}", brief(old), brief(new))),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A value on one line for people, at most eighty characters.
pub fn brief(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => number.as_f64().map_or_else(String::new, short),
        other => other.to_string(),
    };
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

/// A fraction as a person reads it: four digits are enough.
fn short(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || !(1e-6..1e15).contains(&size) {
        return number.to_string();
    }
    let decimals = (0..10).find(|decimals| size * 10_f64.powi(*decimals) >= 1000.0).unwrap_or(10);
    let text = format!("{number:.*}", usize::try_from(decimals).unwrap_or(0));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// More single outputs than this are not read by anyone on one line.
const MOST_OUTPUTS: usize = 8;

/// What was read, on one line: the one value where there is one, else the single numbers and words.
pub fn gist(outputs: &Value) -> String {
    let Value::Object(fields) = outputs else { return brief(outputs) };
    if let Some(value) = fields.get("value").filter(|value| !value.is_null()) {
        return format!("value={}", scalar(value));
    }
    let is_single = |value: &Value| {
        unknown::reason(value).is_some() || !(value.is_array() || value.is_object() || value.is_null())
    };
    let shown: Vec<String> = fields
        .iter()
        .filter(|(_, value)| is_single(value))
        .map(|(name, value)| format!("{name}={}", scalar(value)))
        .take(MOST_OUTPUTS)
        .collect();
    if shown.is_empty() { brief(outputs) } else { shown.join("  ") }
}

fn scalar(value: &Value) -> String {
    if unknown::reason(value).is_some() { "(unknown)".to_owned() } else { brief(value) }
}

/// What planning came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Planned {
    Change(Box<Change>),
    /// The world is already as asked.
    Already {
        target: Option<Target>,
        summary: String,
        outputs: Value,
    },
}

/// What the server, or nobody, said of a change before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    pub grade: Grade,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    #[serde(default)]
    pub ending: Ending,
}

/// What can be foreseen of how a change ends that the server takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    #[default]
    Complete,
    /// Nobody can tell whether it is complete in time: a quota lets new pods in only as old ones go.
    Open(String),
    /// It would not be complete: a quota without room for its pods.
    Doomed(Fault),
}

impl Validation {
    pub fn of(grade: Grade, warnings: Vec<String>) -> Self {
        Self { grade, warnings, ending: Ending::Complete }
    }
}

/// Whether a change whose outcome is in doubt took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Landed {
    Yes,
    /// Provably not, and sending it again cannot do it twice.
    No,
    CannotTell,
}

/// How far a change that was accepted has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    Done(Value),
    /// Not yet, with what is still missing: `2 of 3 pods updated`.
    Pending(String),
    /// It will not come: why.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn outputs_are_short_enough_to_be_read() {
        for (outputs, text) in [
            (json!({ "value": 8.062653225905525, "min": 1 }), "value=8.063"),
            (json!({ "value": 0.0004912 }), "value=0.0004912"),
            (json!({ "value": 0.99621 }), "value=0.9962"),
            (json!({ "value": 1081.0 }), "value=1081"),
            (json!({ "value": -12345.678 }), "value=-12346"),
            (json!({ "value": 0.0 }), "value=0"),
            (json!({ "ready": 3, "desired": 3, "pods": [1, 2], "none": null }), "ready=3  desired=3"),
            (json!({ "ready": unknown::because("later") }), "ready=(unknown)"),
        ] {
            assert_eq!(gist(&outputs), text);
        }
    }
}

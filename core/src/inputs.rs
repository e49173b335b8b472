//! The inputs of a run: what is given against what the runbook declares, all problems at once.

use std::fmt;

use indexmap::IndexMap;
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Number, Value};

use crate::{
    runbook::{Input, InputType},
    schema::shape,
    secret, suggest,
};

/// The longest value of one input, as JSON.
const MAX_VALUE: usize = 64 * 1024;

/// Why an input cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputProblem {
    pub input: String,
    /// A lowercase fragment that fits after the input's name.
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for InputProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "input `{}` {}", self.input, self.message)
    }
}

impl std::error::Error for InputProblem {}

impl InputProblem {
    fn new(input: &str, message: impl Into<String>) -> Self {
        Self { input: input.to_owned(), message: message.into(), hint: None }
    }
    fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// The value of every declared input: what is given, else the default. `given` is an object, or
/// null for nothing; a null value counts as not given.
pub fn resolve(specs: &IndexMap<String, Input>, given: &Value) -> Result<Value, Vec<InputProblem>> {
    let none = Map::new();
    let given = match given {
        Value::Object(fields) => fields,
        Value::Null => &none,
        _ => return Err(vec![InputProblem::new("*", "must come as an object of names and values")]),
    };
    let mut problems = unknown(specs, given);
    let mut values = Map::new();
    for (name, spec) in specs {
        let value = given.get(name).filter(|value| !value.is_null());
        match (value, &spec.default) {
            (Some(value), _) => match check(spec, value) {
                Ok(value) => drop(values.insert(name.clone(), secret::sanitize(value))),
                Err(message) => {
                    let hint = spec.description.clone();
                    problems.push(InputProblem::new(name, message).hint(hint));
                }
            },
            (None, Some(default)) => drop(values.insert(name.clone(), default.clone())),
            (None, None) => {
                let hint =
                    spec.description.clone().unwrap_or_else(|| format!("give it with -i {name}=VALUE"));
                problems.push(InputProblem::new(name, "must be given").hint(Some(hint)));
            }
        }
    }
    if problems.is_empty() { Ok(Value::Object(values)) } else { Err(problems) }
}

fn unknown(specs: &IndexMap<String, Input>, given: &Map<String, Value>) -> Vec<InputProblem> {
    let known = || specs.keys().map(String::as_str);
    let unknown = given.keys().filter(|name| !specs.contains_key(*name));
    unknown
        .map(|name| {
            let hint = match suggest::closest(name, known()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if specs.is_empty() => "the runbook takes no inputs".to_owned(),
                None => format!("known are {}", suggest::list(known())),
            };
            InputProblem::new(name, "is not an input of this runbook").hint(Some(hint))
        })
        .collect()
}

/// Reads `-i NAME=TEXT`: text by the type of the input. Lists are JSON or words between commas.
pub fn from_text(name: &str, spec: &Input, text: &str) -> Result<Value, InputProblem> {
    let json = || serde_json::from_str::<Value>(text).ok();
    let value = match spec.kind {
        InputType::String => Some(Value::from(text)),
        InputType::Integer => text.trim().parse::<i64>().ok().map(Value::from),
        InputType::Number => text.trim().parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number),
        InputType::Boolean => text.trim().parse::<bool>().ok().map(Value::from),
        InputType::Array if text.trim_start().starts_with('[') => json().filter(Value::is_array),
        InputType::Array if text.is_empty() => Some(Value::Array(Vec::new())),
        InputType::Array => Some(text.split(',').map(|item| Value::from(item.trim())).collect()),
        InputType::Object => json().filter(Value::is_object),
    };
    let value = value.ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        let hint = match spec.kind {
            InputType::Array => Some("write a,b or [\"a\", \"b\"]".to_owned()),
            InputType::Object => Some("write JSON: {\"key\": \"value\"}".to_owned()),
            _ => None,
        };
        InputProblem::new(name, format!("must be {}, not `{shown}`", article(spec.kind))).hint(hint)
    })?;
    check(spec, &value).map_err(|message| InputProblem::new(name, message).hint(spec.description.clone()))
}

/// A value as the input takes it, or why it does not, as a fragment that fits after its name.
pub fn check(spec: &Input, value: &Value) -> Result<Value, String> {
    let value = of_type(spec.kind, value).ok_or_else(|| {
        format!("must be {}, not {}", article(spec.kind), shape::article(shape::type_of_json(value)))
    })?;
    let length = value.to_string().len();
    if length > MAX_VALUE {
        return Err(format!("is longer than {MAX_VALUE} bytes"));
    }
    if let Some(allowed) = &spec.one_of
        && !allowed.iter().any(|one| same(one, &value))
    {
        let words: Vec<String> = allowed.iter().map(plain).collect();
        return Err(format!("must be one of {}", suggest::list(words.iter().map(String::as_str))));
    }
    match &value {
        Value::String(text) => check_text(spec, text)?,
        Value::Number(number) => check_number(spec, number.as_f64().unwrap_or_default())?,
        Value::Array(items) => check_items(spec, items.len())?,
        _ => {}
    }
    Ok(value)
}

/// The pattern of an input, compiled. It matches where it is found, as it is written: anchors are
/// the author's.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    const MAX_COMPILED: usize = 256 * 1024;
    RegexBuilder::new(pattern).size_limit(MAX_COMPILED).build().map_err(|error| {
        let told = error.to_string();
        told.lines().last().unwrap_or("it does not compile").trim_start_matches("error: ").to_owned()
    })
}

fn check_text(spec: &Input, text: &str) -> Result<(), String> {
    let length = text.chars().count();
    let bound = |limit: Option<u32>| limit.and_then(|limit| usize::try_from(limit).ok());
    if let Some(least) = bound(spec.min_length).filter(|least| length < *least) {
        return Err(format!("must have at least {least} characters, and has {length}"));
    }
    if let Some(most) = bound(spec.max_length).filter(|most| length > *most) {
        return Err(format!("must have at most {most} characters, and has {length}"));
    }
    let Some(pattern) = &spec.pattern else { return Ok(()) };
    let compiled =
        compile(pattern).map_err(|error| format!("has a pattern that does not compile: {error}"))?;
    if compiled.is_match(text) {
        return Ok(());
    }
    let shown: String = text.chars().take(60).collect();
    Err(format!("must match {pattern}, and `{shown}` does not"))
}

fn check_number(spec: &Input, number: f64) -> Result<(), String> {
    if let Some(least) = spec.minimum.filter(|least| number < *least) {
        return Err(format!("must be at least {least}, and is {number}"));
    }
    if let Some(most) = spec.maximum.filter(|most| number > *most) {
        return Err(format!("must be at most {most}, and is {number}"));
    }
    Ok(())
}

fn check_items(spec: &Input, count: usize) -> Result<(), String> {
    let most = spec.max_items.and_then(|most| usize::try_from(most).ok());
    match most.filter(|most| count > *most) {
        Some(most) => Err(format!("must have at most {most} items, and has {count}")),
        None => Ok(()),
    }
}

/// The value as its type has it: a whole float is an integer where one is asked for.
fn of_type(kind: InputType, value: &Value) -> Option<Value> {
    let fits = match (kind, value) {
        (InputType::String, Value::String(_))
        | (InputType::Number, Value::Number(_))
        | (InputType::Boolean, Value::Bool(_))
        | (InputType::Array, Value::Array(_))
        | (InputType::Object, Value::Object(_)) => true,
        (InputType::Integer, Value::Number(number)) => {
            if number.is_f64() {
                return whole(number.as_f64()?).map(Value::from);
            }
            true
        }
        _ => false,
    };
    fits.then(|| value.clone())
}

fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    // In range, so that nothing is lost.
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

fn same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && one.as_f64() == other.as_f64())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A type by JSON Schema's name.
pub fn type_name(kind: InputType) -> &'static str {
    match kind {
        InputType::String => "string",
        InputType::Integer => "integer",
        InputType::Number => "number",
        InputType::Boolean => "boolean",
        InputType::Array => "array",
        InputType::Object => "object",
    }
}

/// A type for people.
pub fn article(kind: InputType) -> &'static str {
    shape::article(type_name(kind))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn specs() -> IndexMap<String, Input> {
        serde_json::from_value(json!({
            "service": { "type": "string", "default": "api", "pattern": "^[a-z]+$" },
            "replicas": { "type": "integer", "minimum": 2, "maximum": 20, "description": "how many" },
            "region": { "type": "string", "enum": ["eu", "us"], "default": "eu" },
            "ratio": { "type": "number", "default": 0.5 },
            "hosts": { "type": "array", "maxItems": 2, "default": [] },
            "note": { "type": "string", "default": "", "maxLength": 5 },
        }))
        .unwrap()
    }

    #[test]
    fn takes_what_is_given_and_fills_in_the_rest() {
        let resolved = resolve(&specs(), &json!({"replicas": 3.0, "region": null})).unwrap();
        let expected = json!({
            "service": "api", "replicas": 3, "region": "eu", "ratio": 0.5, "hosts": [], "note": ""
        });
        assert_eq!(resolved, expected);
    }

    #[test]
    fn finds_every_problem_at_once() {
        let given = json!({
            "service": "API", "replicas": 30, "region": "ap", "ratio": "x", "hosts": [1, 2, 3],
            "note": "too long", "servce": 1,
        });
        let problems = resolve(&specs(), &given).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "input `servce` is not an input of this runbook",
                "input `service` must match ^[a-z]+$, and `API` does not",
                "input `replicas` must be at most 20, and is 30",
                "input `region` must be one of `eu`, `us`",
                "input `ratio` must be a number, not a string",
                "input `hosts` must have at most 2 items, and has 3",
                "input `note` must have at most 5 characters, and has 8",
            ]
        );
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `service`?"));
        assert_eq!(problems[2].hint.as_deref(), Some("how many"));
        let missing = resolve(&specs(), &Value::Null).unwrap_err();
        assert_eq!(missing[0].to_string(), "input `replicas` must be given");
        assert!(resolve(&specs(), &json!([1])).is_err());
    }

    #[test]
    fn a_forged_secret_in_an_input_is_defused() {
        let specs = serde_json::from_value(json!({ "x": { "type": "string" } })).unwrap();
        let resolved = resolve(&specs, &json!({ "x": secret::mark("token") })).unwrap();
        assert!(!secret::is_marked(resolved["x"].as_str().unwrap()));
    }

    #[test]
    fn reads_text_by_type() {
        for (kind, text, expected) in [
            ("string", "5", Some(json!("5"))),
            ("integer", "5", Some(json!(5))),
            ("integer", "5.5", None),
            ("integer", "five", None),
            ("number", "0.5", Some(json!(0.5))),
            ("number", "NaN", None),
            ("boolean", "true", Some(json!(true))),
            ("boolean", "yes", None),
            ("array", "a, b", Some(json!(["a", "b"]))),
            ("array", "[1, 2]", Some(json!([1, 2]))),
            ("array", "[1", None),
            ("array", "", Some(json!([]))),
            ("object", "{\"a\": 1}", Some(json!({"a": 1}))),
            ("object", "a", None),
        ] {
            let spec: Input = serde_json::from_value(json!({ "type": kind })).unwrap();
            assert_eq!(from_text("x", &spec, text).ok(), expected, "{kind} {text}");
        }
    }
}

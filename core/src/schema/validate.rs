//! Validation of a tree against the part of JSON Schema that schemars writes, with the place of
//! every problem, and with what can be kept of a tree that has some.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::LazyLock,
};

use regex::Regex;
use serde_json::{Map, Value};

use super::shape::{allows, alternatives, article, resolve, types, words};
use crate::{
    duration::Duration,
    finding::Code,
    inputs,
    parse::tree::{Content, Entry, Node},
    suggest,
};

/// Something in a tree that its schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    pub span: Range<usize>,
    pub message: String,
    pub hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    UnknownKey,
    MissingKey,
    WrongType,
    UnknownWord,
    BadDuration,
    OutOfRange,
    PatternMismatch,
    Empty,
}

impl ProblemKind {
    /// Its code in the structure of a file.
    pub fn code(self) -> Code {
        match self {
            Self::UnknownKey => Code::UnknownKey,
            Self::MissingKey => Code::MissingKey,
            Self::WrongType => Code::WrongType,
            Self::UnknownWord => Code::UnknownWord,
            Self::BadDuration => Code::BadDuration,
            Self::OutOfRange => Code::OutOfRange,
            Self::PatternMismatch => Code::PatternMismatch,
            Self::Empty => Code::EmptyValue,
        }
    }
    /// Its code in the input of an action or of another runbook.
    pub fn input_code(self) -> Code {
        match self {
            Self::UnknownKey => Code::UnknownField,
            Self::MissingKey => Code::MissingField,
            _ => Code::BadField,
        }
    }
}

/// What is known of a text with `${{ }}` in it before anything runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// It can come to anything.
    Anything,
    /// It comes to a value of this JSON Schema type.
    Type(&'static str),
}

/// Says what a text with `${{ }}` comes to; `None` where it has none.
pub type Fill<'a> = &'a dyn Fn(&str) -> Option<Filled>;

/// What validation found.
#[derive(Debug, Default)]
pub struct Report {
    pub problems: Vec<Problem>,
    /// Nodes without which the tree has the required shape, as far as that can be had.
    pub dropped: BTreeSet<u32>,
}

/// Validates `node`, called `name` in messages. `fill` is for places where `${{ }}` is filled in.
pub fn validate(schema: &Value, node: &Node, name: &str, fill: Option<Fill<'_>>) -> Report {
    let validator = Validator { root: schema, fill, report: RefCell::default() };
    validator.check(schema, node, &format!("`{name}`"));
    validator.report.into_inner()
}

/// The tree without what was dropped.
pub fn kept(node: &Node, dropped: &BTreeSet<u32>) -> Node {
    let content = match &node.content {
        Content::List(items) => Content::List(
            items.iter().filter(|item| !dropped.contains(&item.id)).map(|item| kept(item, dropped)).collect(),
        ),
        Content::Map(entries) => Content::Map(
            entries
                .iter()
                .filter(|entry| !dropped.contains(&entry.value.id))
                .map(|entry| Entry { value: kept(&entry.value, dropped), ..entry.clone() })
                .collect(),
        ),
        other => other.clone(),
    };
    Node { id: node.id, span: node.span.clone(), content }
}

struct Validator<'a> {
    root: &'a Value,
    fill: Option<Fill<'a>>,
    report: RefCell<Report>,
}

impl Validator<'_> {
    /// Whether the node can be kept. What is called `subject` stands at the start of sentences.
    fn check(&self, schema: &Value, node: &Node, subject: &str) -> bool {
        let schema = resolve(schema, self.root);
        let Some(fields) = schema.as_object() else {
            return schema != &Value::Bool(false)
                || self.say(ProblemKind::UnknownKey, node, subject, "is not allowed");
        };
        if let Some(filled) = node.text().and_then(|text| self.fill.and_then(|fill| fill(text))) {
            return self.check_filled(schema, node, subject, filled);
        }
        let allowed = types(schema, self.root);
        if let Some(allowed) = &allowed
            && !allows(allowed, &node.content)
        {
            return self.wrong_type(node, subject, allowed);
        }
        if let Some(words) = words(schema, self.root) {
            return self.check_word(&words, node, subject);
        }
        if let Some(alternatives) = alternatives(fields) {
            return self.check_alternatives(alternatives, node, subject);
        }
        let all = fields.get("allOf").and_then(Value::as_array).into_iter().flatten();
        let mut kept = true;
        for part in all {
            kept &= self.check(part, node, subject);
        }
        kept && match &node.content {
            Content::Text(text) => self.check_text(fields, node, subject, text),
            Content::Number(number) => self.check_number(fields, node, subject, number),
            Content::List(items) => self.check_list(fields, node, subject, items),
            Content::Map(entries) => self.check_map(fields, node, subject, entries),
            Content::Null | Content::Bool(_) => true,
        }
    }

    fn check_filled(&self, schema: &Value, node: &Node, subject: &str, filled: Filled) -> bool {
        let (Filled::Type(comes_to), Some(allowed)) = (filled, types(schema, self.root)) else { return true };
        if allowed.contains(comes_to) || (comes_to == "integer" && allowed.contains("number")) {
            return true;
        }
        let message = format!("must be {}, and this comes to {}", any_of(&allowed), article(comes_to));
        self.say(ProblemKind::WrongType, node, subject, &message);
        if comes_to == "string" && node.text().is_some_and(|text| !text.trim().starts_with("${{")) {
            self.hint("a value keeps its type where it is one `${{ }}` with nothing around it");
        }
        false
    }

    fn wrong_type(&self, node: &Node, subject: &str, allowed: &BTreeSet<&'static str>) -> bool {
        if node.is_null() {
            self.say(ProblemKind::Empty, node, subject, "is empty");
            self.hint(format!("give it {}, or leave the key out", any_of(allowed)));
            return false;
        }
        let message = format!("must be {}, not {}", any_of(allowed), node.kind());
        self.say(ProblemKind::WrongType, node, subject, &message);
        match &node.content {
            Content::Number(_) | Content::Bool(_) if allowed.contains("string") => {
                self.hint("put it in quotes");
            }
            Content::Text(text) if allowed.contains("array") && text.len() < 40 && !text.contains('\n') => {
                self.hint(format!("write a list: [{text}]"));
            }
            Content::Text(text) if text.parse::<f64>().is_ok() => self.hint("leave the quotes out"),
            Content::Text(text) if allowed.contains("boolean") && is_old_boolean(text) => {
                self.hint("write `true` or `false`");
            }
            _ => {}
        }
        false
    }

    fn check_word(&self, words: &[&Value], node: &Node, subject: &str) -> bool {
        let given = node.to_json();
        if words.iter().any(|word| **word == given) {
            return true;
        }
        let known: Vec<String> = words.iter().map(|word| plain(word)).collect();
        let known = || known.iter().map(String::as_str);
        let message = format!("cannot be `{}`", shorten(&plain(&given)));
        self.say(ProblemKind::UnknownWord, node, subject, &message);
        self.hint(match suggest::closest(&plain(&given), known()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("it is one of {}", suggest::list(known())),
        });
        false
    }

    /// The alternative that fits, else the problems of the one that comes nearest.
    fn check_alternatives(&self, alternatives: &[Value], node: &Node, subject: &str) -> bool {
        let fitting = alternatives
            .iter()
            .filter(|one| types(one, self.root).is_none_or(|allowed| allows(&allowed, &node.content)));
        let mut nearest: Option<Report> = None;
        for alternative in fitting {
            let before = self.report.take();
            let kept = self.check(alternative, node, subject);
            let tried = self.report.replace(before);
            if kept && tried.problems.is_empty() {
                return true;
            }
            if nearest.as_ref().is_none_or(|best| tried.problems.len() < best.problems.len()) {
                nearest = Some(tried);
            }
        }
        let nearest = nearest.unwrap_or_default();
        let mut report = self.report.borrow_mut();
        report.problems.extend(nearest.problems);
        report.dropped.extend(nearest.dropped);
        false
    }

    fn check_text(&self, fields: &Map<String, Value>, node: &Node, subject: &str, text: &str) -> bool {
        let length = text.chars().count() as f64;
        if !self.check_length(fields, ["minLength", "maxLength"], length, "characters", node, subject) {
            return false;
        }
        let Some(pattern) = fields.get("pattern").and_then(Value::as_str) else { return true };
        if pattern == Duration::PATTERN {
            return match text.parse::<Duration>() {
                Ok(_) if matches(pattern, text) => true,
                _ => {
                    let message = format!("cannot be `{}`", shorten(text));
                    self.say(ProblemKind::BadDuration, node, subject, &message);
                    self.hint("a length of time is written like `30s`, `5m`, `1h30m` or `2d`");
                    false
                }
            };
        }
        matches(pattern, text) || {
            let message = format!("cannot be `{}`", shorten(text));
            self.say(ProblemKind::PatternMismatch, node, subject, &message);
            self.hint(match fields.get("description").and_then(Value::as_str) {
                Some(description) => format!("it must match {pattern} ({})", first_sentence(description)),
                None => format!("it must match {pattern}"),
            });
            false
        }
    }

    fn check_number(
        &self,
        fields: &Map<String, Value>,
        node: &Node,
        subject: &str,
        given: &serde_json::Number,
    ) -> bool {
        let given = given.as_f64().unwrap_or_default();
        let limit = |key: &str| fields.get(key).and_then(Value::as_f64);
        let width = match fields.get("format").and_then(Value::as_str) {
            Some("uint8") => Some(f64::from(u8::MAX)),
            Some("uint16") => Some(f64::from(u16::MAX)),
            Some("uint32") => Some(f64::from(u32::MAX)),
            _ => None,
        };
        let least = limit("minimum");
        let most = [limit("maximum"), width].into_iter().flatten().reduce(f64::min);
        let above = limit("exclusiveMinimum").is_none_or(|bound| given > bound);
        let below = limit("exclusiveMaximum").is_none_or(|bound| given < bound);
        if above && below && least.is_none_or(|least| given >= least) && most.is_none_or(|most| given <= most)
        {
            return true;
        }
        self.say(ProblemKind::OutOfRange, node, subject, &format!("cannot be {given}"));
        let least = least.or(limit("exclusiveMinimum"));
        let most = most.or(limit("exclusiveMaximum"));
        self.hint(match (least, most) {
            (Some(least), Some(most)) => format!("it lies between {least} and {most}"),
            (Some(least), None) => format!("it is at least {least}"),
            (None, most) => format!("it is at most {}", most.unwrap_or_default()),
        });
        false
    }

    fn check_list(&self, fields: &Map<String, Value>, node: &Node, subject: &str, items: &[Node]) -> bool {
        let count = items.len() as f64;
        let fits = self.check_length(fields, ["minItems", "maxItems"], count, "items", node, subject);
        if let Some(schema) = fields.get("items") {
            for (index, item) in items.iter().enumerate() {
                if !self.check(schema, item, &format!("item {} of {subject}", index + 1)) {
                    self.drop(item);
                }
            }
        }
        fits
    }

    fn check_map(&self, fields: &Map<String, Value>, node: &Node, subject: &str, entries: &[Entry]) -> bool {
        let none = Map::new();
        let properties = fields.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let names = fields.get("propertyNames");
        let mut kept: BTreeSet<&str> = BTreeSet::new();
        // A mistyped key is one problem, not an unknown key and a missing one.
        let mut meant: BTreeSet<&str> = BTreeSet::new();
        for entry in entries {
            let subject = format!("`{}`", shorten(&entry.key));
            let known = properties.get(&entry.key).or_else(|| fields.get("additionalProperties"));
            let is_kept = match known {
                Some(Value::Bool(false)) => {
                    meant.extend(self.unknown_key(entry, properties));
                    false
                }
                Some(schema) => self.check_name(names, entry) && self.check(schema, &entry.value, &subject),
                None => self.check_name(names, entry),
            };
            if is_kept {
                kept.insert(&entry.key);
            } else {
                self.drop(&entry.value);
            }
        }
        let mut complete = true;
        let required = fields.get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str).filter(|key| !kept.contains(key)) {
            complete = false;
            if node.get(key).is_none() && !meant.contains(key) {
                self.missing_key(node, subject, key, properties.get(key));
            }
        }
        complete
    }

    fn check_name(&self, names: Option<&Value>, entry: &Entry) -> bool {
        let Some(pattern) = names.and_then(|names| names.get("pattern")).and_then(Value::as_str) else {
            return true;
        };
        matches(pattern, &entry.key) || {
            let message = format!("`{}` is no name that expressions can use", shorten(&entry.key));
            self.push(ProblemKind::PatternMismatch, entry.key_span.clone(), message);
            self.hint(format!("a name matches {pattern}"));
            false
        }
    }

    /// Gives the key that was probably meant.
    fn unknown_key<'k>(&self, entry: &Entry, properties: &'k Map<String, Value>) -> Option<&'k str> {
        let known = || properties.keys().map(String::as_str);
        let message = format!("there is no key `{}` here", shorten(&entry.key));
        self.push(ProblemKind::UnknownKey, entry.key_span.clone(), message);
        let meant = suggest::closest(&entry.key, known());
        self.hint(match meant {
            Some(key) => format!("did you mean `{key}`?"),
            None if properties.is_empty() => "it takes none".to_owned(),
            None => format!("known are {}", suggest::list(known())),
        });
        meant
    }

    fn missing_key(&self, node: &Node, subject: &str, key: &str, schema: Option<&Value>) {
        self.push(ProblemKind::MissingKey, node.caret(), format!("{subject} lacks `{key}`"));
        let description = |schema: &Value| {
            let said = schema.get("description").or_else(|| resolve(schema, self.root).get("description"))?;
            said.as_str().map(|text| first_sentence(text).to_owned())
        };
        if let Some(said) = schema.and_then(description) {
            self.hint(format!("`{key}`: {said}"));
        }
    }

    fn check_length(
        &self,
        fields: &Map<String, Value>,
        keys: [&str; 2],
        given: f64,
        unit: &str,
        node: &Node,
        subject: &str,
    ) -> bool {
        let [least, most] = keys.map(|key| fields.get(key).and_then(Value::as_f64));
        let (bound, word) = match (least, most) {
            (Some(least), _) if given < least => (least, "at least"),
            (_, Some(most)) if given > most => (most, "at most"),
            _ => return true,
        };
        self.say(ProblemKind::OutOfRange, node, subject, &format!("has {given} {unit}"));
        self.hint(format!("it takes {word} {bound}"));
        false
    }

    fn say(&self, kind: ProblemKind, node: &Node, subject: &str, what: &str) -> bool {
        self.push(kind, node.caret(), format!("{subject} {what}"));
        false
    }
    fn push(&self, kind: ProblemKind, span: Range<usize>, message: String) {
        self.report.borrow_mut().problems.push(Problem { kind, span, message, hint: None });
    }
    /// What to do about the problem that was found last.
    fn hint(&self, hint: impl Into<String>) {
        if let Some(problem) = self.report.borrow_mut().problems.last_mut() {
            problem.hint = Some(hint.into());
        }
    }
    fn drop(&self, node: &Node) {
        self.report.borrow_mut().dropped.insert(node.id);
    }
}

/// Whether a pattern is found in a text. Those of our own types are compiled once: that takes
/// longer than checking a whole file with them.
fn matches(pattern: &str, text: &str) -> bool {
    static OWN: LazyLock<BTreeMap<String, Regex>> = LazyLock::new(|| {
        let mut found = BTreeMap::new();
        collect_patterns(super::runbook(), &mut found);
        found
    });
    match OWN.get(pattern) {
        Some(compiled) => compiled.is_match(text),
        // A pattern that does not compile has a finding of its own.
        None => inputs::compile(pattern).map_or(true, |compiled| compiled.is_match(text)),
    }
}

fn collect_patterns(schema: &Value, found: &mut BTreeMap<String, Regex>) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(pattern) if key == "pattern" => {
                        if let Ok(compiled) = inputs::compile(pattern) {
                            found.insert(pattern.clone(), compiled);
                        }
                    }
                    inner => collect_patterns(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_patterns(item, found)),
        _ => {}
    }
}

fn any_of(types: &BTreeSet<&'static str>) -> String {
    types.iter().map(|name| article(name)).collect::<Vec<_>>().join(" or ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn shorten(text: &str) -> String {
    const SHOWN: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn first_sentence(text: &str) -> &str {
    text.split_once(['\n', ';']).map_or(text, |(first, _)| first).trim_end_matches('.')
}

fn is_old_boolean(text: &str) -> bool {
    ["yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str())
}

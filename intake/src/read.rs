//! Reading JSON that others wrote: every value is bounded, and a refusal says where it went wrong.
//!
//! Texts that something is known by are refused when they are too long; texts for people are cut,
//! since nobody should miss an alert for its long description.

use std::collections::BTreeMap;
use std::fmt::Display;

use jiff::Timestamp;
use serde_json::{Map, Number, Value};
use url::Url;

use crate::limits::{ECHO, ENTRIES, IDENTITY, LABEL, LINE, LINK, PROSE};
use crate::refusal::Refusal;

/// Parses a body. Nesting is bounded by serde_json, at 128.
pub(crate) fn parse(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::Unprocessable(format!("the body is not JSON: {error}")))
}

/// An object, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    fields: &'a Map<String, Value>,
    at: String,
}

impl<'a> Node<'a> {
    pub(crate) fn root(value: &'a Value) -> Result<Self, Refusal> {
        let fields = value.as_object().ok_or_else(|| {
            Refusal::Unprocessable(format!("the body is {}, expected an object", kind(value)))
        })?;
        Ok(Self { fields, at: String::new() })
    }

    /// The refusal of a field.
    pub(crate) fn wrong(&self, key: &str, what: impl Display) -> Refusal {
        Refusal::Unprocessable(format!("{}: {what}", self.place(key)))
    }

    fn unexpected(&self, key: &str, expected: &str, found: &Value) -> Refusal {
        self.wrong(key, format_args!("{}, expected {expected}", kind(found)))
    }

    pub(crate) fn place(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    /// A value; null is none.
    fn field(&self, key: &str) -> Option<&'a Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.field(key).is_some()
    }

    pub(crate) fn child(&self, key: &str) -> Result<Option<Node<'a>>, Refusal> {
        match self.field(key) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Node { fields, at: self.place(key) })),
            Some(other) => Err(self.unexpected(key, "an object", other)),
        }
    }

    pub(crate) fn required_child(&self, key: &str) -> Result<Node<'a>, Refusal> {
        self.child(key)?.ok_or_else(|| self.wrong(key, "missing"))
    }

    /// The objects of a list; none where it is absent.
    pub(crate) fn children(&self, key: &str) -> Result<Vec<Node<'a>>, Refusal> {
        let place = |index: usize| format!("{}[{index}]", self.place(key));
        match self.field(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| match item {
                    Value::Object(fields) => Ok(Node { fields, at: place(index) }),
                    other => Err(Refusal::Unprocessable(format!(
                        "{}: {}, expected an object",
                        place(index),
                        kind(other)
                    ))),
                })
                .collect(),
            Some(other) => Err(self.unexpected(key, "a list", other)),
        }
    }

    /// How many things are in a list, without looking at them.
    pub(crate) fn count(&self, key: &str) -> usize {
        self.field(key).and_then(Value::as_array).map_or(0, Vec::len)
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, Refusal> {
        match self.field(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(other) => Err(self.unexpected(key, "a text", other)),
        }
    }

    /// A text that something is known by; the empty one is none. Numbers are taken as they are written.
    pub(crate) fn identity(&self, key: &str) -> Result<Option<String>, Refusal> {
        if let Some(Value::Number(number)) = self.field(key) {
            return Ok(Some(number.to_string()));
        }
        let Some(text) = self.text(key)? else { return Ok(None) };
        match over(text, IDENTITY) {
            Some(length) => Err(self.wrong(key, format_args!("{length} characters, at most {IDENTITY}"))),
            None => Ok(Some(text.to_owned())),
        }
    }

    pub(crate) fn required_identity(&self, key: &str) -> Result<String, Refusal> {
        self.identity(key)?.ok_or_else(|| self.wrong(key, "missing or empty"))
    }

    /// One line for people.
    pub(crate) fn line(&self, key: &str) -> Result<Option<String>, Refusal> {
        Ok(self.text(key)?.map(line).filter(|line| !line.is_empty()))
    }

    /// A text for people.
    pub(crate) fn prose(&self, key: &str) -> Result<Option<String>, Refusal> {
        Ok(self.text(key)?.map(|text| cut(text, PROSE)))
    }

    /// An address that people may follow: of the web, since a page makes a link of it. Others are left
    /// out, as an alert is worth more than its link.
    pub(crate) fn link(&self, key: &str) -> Result<Option<String>, Refusal> {
        Ok(self.text(key)?.filter(|text| is_link(text)).map(str::to_owned))
    }

    /// A time in RFC 3339. The zero of Go (year 1) is none.
    pub(crate) fn time(&self, key: &str) -> Result<Option<Timestamp>, Refusal> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let time: Timestamp = text
            .parse()
            .map_err(|_| self.wrong(key, format_args!("`{}` is not a time in RFC 3339", echo(text))))?;
        Ok(Some(time).filter(|time| *time > Timestamp::UNIX_EPOCH))
    }

    pub(crate) fn required_time(&self, key: &str) -> Result<Timestamp, Refusal> {
        self.time(key)?.ok_or_else(|| self.wrong(key, "missing or zero"))
    }

    /// A time in RFC 3339, or since 1970 in seconds or milliseconds, as number or text: programs write
    /// all of these.
    pub(crate) fn loose_time(&self, key: &str) -> Result<Option<Timestamp>, Refusal> {
        let number = match self.field(key) {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        let Some(number) = number else { return self.time(key) };
        // Seconds reach this number in the year 5138, milliseconds did in 1973.
        let milliseconds = if number.abs() < 1e11 { number * 1e3 } else { number };
        // A number beyond the range is cut to its ends, which are no times.
        #[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
        let time = Timestamp::from_millisecond(milliseconds as i64)
            .map_err(|_| self.wrong(key, format_args!("`{}` is not a time", echo(&number.to_string()))))?;
        Ok(Some(time).filter(|time| *time > Timestamp::UNIX_EPOCH))
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>, Refusal> {
        match self.field(key) {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| self.unexpected(key, "a whole number of at least 0", value)),
        }
    }

    /// Labels: conditions compare them, so nothing of them is cut.
    pub(crate) fn labels(&self, key: &str) -> Result<BTreeMap<String, String>, Refusal> {
        let Some(labels) = self.child(key)? else { return Ok(BTreeMap::new()) };
        labels.entries()?.map(|(name, value)| Ok((name.to_owned(), labels.label(name, value)?))).collect()
    }

    /// Annotations: for people, so they are cut where they are too long.
    pub(crate) fn annotations(&self, key: &str) -> Result<BTreeMap<String, String>, Refusal> {
        let Some(notes) = self.child(key)? else { return Ok(BTreeMap::new()) };
        notes
            .entries()?
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name.to_owned(), cut(text, PROSE))),
                other => Err(notes.unexpected(&echo(name), "a text", other)),
            })
            .collect()
    }

    /// What was measured: numbers, texts or flags by name.
    pub(crate) fn metrics(&self, key: &str) -> Result<Value, Refusal> {
        let Some(metrics) = self.child(key)? else { return Ok(Value::Null) };
        let read = metrics.entries()?.map(|(name, value)| match value {
            Value::String(_) => Ok((name.to_owned(), Value::String(metrics.label(name, value)?))),
            Value::Array(_) | Value::Object(_) => {
                Err(metrics.unexpected(&echo(name), "a number, a text or a flag", value))
            }
            plain => Ok((name.to_owned(), plain.clone())),
        });
        read.collect::<Result<Map<_, _>, _>>().map(Value::Object)
    }

    fn entries(&self) -> Result<impl Iterator<Item = (&'a str, &'a Value)>, Refusal> {
        let count = self.fields.len();
        if count > ENTRIES {
            return Err(Refusal::Unprocessable(format!("{}: {count} entries, at most {ENTRIES}", self.at)));
        }
        if let Some(name) = self.fields.keys().find(|name| over(name, IDENTITY).is_some()) {
            return Err(self.wrong(&echo(name), format_args!("a name of more than {IDENTITY} characters")));
        }
        Ok(self.fields.iter().map(|(name, value)| (name.as_str(), value)))
    }

    fn label(&self, name: &str, value: &Value) -> Result<String, Refusal> {
        match value {
            Value::String(text) => match over(text, LABEL) {
                Some(length) => {
                    Err(self.wrong(&echo(name), format_args!("{length} characters, at most {LABEL}")))
                }
                None => Ok(text.clone()),
            },
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(flag) => Ok(flag.to_string()),
            other => Err(self.unexpected(&echo(name), "a text", other)),
        }
    }

    /// A number as it is, for metrics.
    pub(crate) fn measure(&self, key: &str) -> Option<Number> {
        self.field(key).and_then(Value::as_number).cloned()
    }
}

/// One line: white space and what terminals would obey become single spaces, and the rest is cut.
pub(crate) fn line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > LINE * 4 {
            break;
        }
    }
    cut(&line, LINE)
}

/// At most so many characters; what is cut is told by an ellipsis.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// What a refusal repeats of what was sent: little, and nothing that a terminal would obey.
pub(crate) fn echo(text: &str) -> String {
    cut(&line(text), ECHO)
}

pub(crate) fn is_link(text: &str) -> bool {
    text.len() <= LINK && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// How long a text is, where that is too long.
fn over(text: &str, most: usize) -> Option<usize> {
    // No text has more characters than bytes.
    if text.len() <= most {
        return None;
    }
    Some(text.chars().count()).filter(|count| *count > most)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a flag",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

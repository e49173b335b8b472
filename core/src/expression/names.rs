//! The values that an expression sees, and the way back from minijinja's values to JSON. Only
//! what the expression refers to is copied. An unknown value is put in as a trap: touching it
//! ends the evaluation and is remembered, even where a filter swallows the error.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use minijinja::{
    Error, ErrorKind,
    value::{Enumerator, Object, ObjectRepr, Value, ValueKind},
};
use serde_json::Value as Json;

use super::{environment::MAX_TEXT, scan::Reference};
use crate::unknown;

/// How deep a result may nest.
const MAX_DEPTH: usize = 64;
/// How many values a result may hold.
const MAX_VALUES: usize = 20_000;

/// Why the first unknown value that was touched is unknown.
pub type Touched = Arc<OnceLock<String>>;

/// The values of `names` that `references` need.
pub fn context(names: &Json, references: &[Reference], touched: &Touched) -> Value {
    let mut wanted = Wanted::default();
    for reference in references {
        wanted.add(&reference.path);
    }
    let mut fields = BTreeMap::new();
    for (name, parts) in &wanted.parts {
        if let Some(value) = lookup(names, name) {
            fields.insert(name.clone(), leaf(value, parts, touched));
        }
    }
    Value::from_object(Fields { fields, touched: touched.clone() })
}

/// A top name; `now` is short for `run.now`.
pub fn lookup<'a>(names: &'a Json, name: &str) -> Option<&'a Json> {
    let found = names.get(name);
    if found.is_none() && name == "now" { names.get("run")?.get("now") } else { found }
}

/// Which parts of a value are wanted: all of it where no part is named.
#[derive(Debug, Default)]
struct Wanted {
    parts: BTreeMap<String, Wanted>,
    whole: bool,
}

impl Wanted {
    fn add(&mut self, path: &[String]) {
        match path {
            [] => self.whole = true,
            [first, rest @ ..] => self.parts.entry(first.clone()).or_default().add(rest),
        }
    }
}

/// A value, or the reason why nobody knows it.
#[derive(Debug)]
enum Leaf {
    Known(Value),
    Unknown(String),
}

impl Leaf {
    fn take(&self, touched: &Touched) -> Value {
        match self {
            Self::Known(value) => value.clone(),
            Self::Unknown(reason) => {
                // Only the first reason is told.
                let _ = touched.set(reason.clone());
                Value::from(Error::new(ErrorKind::InvalidOperation, "an unknown value"))
            }
        }
    }
}

fn leaf(value: &Json, wanted: &Wanted, touched: &Touched) -> Leaf {
    if let Some(reason) = unknown::reason(value) {
        return Leaf::Unknown(reason.to_owned());
    }
    let everything = Wanted { parts: BTreeMap::new(), whole: true };
    Leaf::Known(match value {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(n), _) => Value::from(n),
            (None, Some(n)) => Value::from(n),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => {
            let items = items.iter().map(|item| leaf(item, &everything, touched)).collect();
            Value::from_object(Items { items, touched: touched.clone() })
        }
        Json::Object(fields) => {
            let is_wanted = |key: &&String| wanted.whole || wanted.parts.contains_key(*key);
            let fields = fields
                .keys()
                .filter(is_wanted)
                .map(|key| {
                    let parts = if wanted.whole { &everything } else { &wanted.parts[key] };
                    (key.clone(), leaf(&fields[key], parts, touched))
                })
                .collect();
            Value::from_object(Fields { fields, touched: touched.clone() })
        }
    })
}

#[derive(Debug)]
struct Fields {
    fields: BTreeMap<String, Leaf>,
    touched: Touched,
}

impl Object for Fields {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }
    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.fields.get(key).map(|leaf| leaf.take(&self.touched))
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.fields.keys().map(|key| Value::from(key.as_str())).collect())
    }
}

#[derive(Debug)]
struct Items {
    items: Vec<Leaf>,
    touched: Touched,
}

impl Object for Items {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items.get(key.as_usize()?).map(|leaf| leaf.take(&self.touched))
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }
}

/// A result as JSON, within bounds.
pub fn to_json(value: &Value) -> Result<Json, Error> {
    let mut room = Room { bytes: MAX_TEXT, values: MAX_VALUES };
    room.convert(value, 0)
}

/// A result inside a text: texts as they are, everything else as JSON.
pub fn text(value: &Value) -> Result<String, Error> {
    Ok(json_text(to_json(value)?))
}

/// The same for a value that is JSON already.
pub fn json_text(value: Json) -> String {
    match value {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

struct Room {
    bytes: usize,
    values: usize,
}

impl Room {
    fn convert(&mut self, value: &Value, depth: usize) -> Result<Json, Error> {
        self.values = self.values.checked_sub(1).ok_or_else(too_large)?;
        if depth > MAX_DEPTH {
            return Err(too_large());
        }
        match value.kind() {
            ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
            ValueKind::None => Ok(Json::Null),
            ValueKind::Bool => Ok(Json::Bool(value.is_true())),
            ValueKind::Number => number(value),
            ValueKind::String => {
                let text = value.as_str().unwrap_or_default();
                self.take(text.len())?;
                Ok(Json::from(text))
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.checked();
                items.map(|item| self.convert(&item?, depth + 1)).collect()
            }
            ValueKind::Map => {
                let mut fields = serde_json::Map::new();
                for key in value.try_iter()?.checked() {
                    let key = key?;
                    let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                    self.take(name.len())?;
                    fields.insert(name, self.convert(&value.get_item(&key)?, depth + 1)?);
                }
                Ok(Json::Object(fields))
            }
            _ => Err(Error::new(ErrorKind::InvalidOperation, "the result is no value")),
        }
    }

    fn take(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(too_large)?;
        Ok(())
    }
}

fn too_large() -> Error {
    Error::new(ErrorKind::InvalidOperation, "the result is larger than 256 KiB, 20000 values or 64 levels")
}

fn number(value: &Value) -> Result<Json, Error> {
    if value.is_integer() {
        if let Some(n) = value.as_i64() {
            return Ok(Json::from(n));
        }
        if let Ok(n) = u64::try_from(value.clone()) {
            return Ok(Json::from(n));
        }
    }
    let float = f64::try_from(value.clone())?;
    serde_json::Number::from_f64(float)
        .map(Json::Number)
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the result is not a finite number"))
}

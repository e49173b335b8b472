//! A YAML document as a tree in which every node knows its place.

use std::ops::Range;

use serde_json::{Number, Value};

/// One value of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique within its tree.
    pub id: u32,
    /// Where it stands, in bytes; for an empty value, where its key stands.
    pub span: Range<usize>,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_span: Range<usize>,
    pub value: Node,
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }
    pub fn items(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }
    pub fn is_null(&self) -> bool {
        matches!(self.content, Content::Null)
    }

    /// The place of a key, else of the whole node.
    pub fn key_span(&self, key: &str) -> Range<usize> {
        self.entry(key).map_or_else(|| self.caret(), |entry| entry.key_span.clone())
    }
    /// The place of the value of a key, else of the whole node.
    pub fn value_span(&self, key: &str) -> Range<usize> {
        self.get(key).map_or_else(|| self.caret(), Self::caret)
    }
    /// A place that is worth pointing at: a value itself, the first key of a map, the first item
    /// of a list.
    pub fn caret(&self) -> Range<usize> {
        match &self.content {
            Content::Map(entries) => {
                entries.first().map_or(self.span.clone(), |first| first.key_span.clone())
            }
            Content::List(items) => items.first().map_or(self.span.clone(), Self::caret),
            _ => self.span.clone(),
        }
    }

    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(flag) => Value::Bool(*flag),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
            }
        }
    }

    /// How many nodes this one holds, itself included.
    pub fn size(&self) -> usize {
        1 + match &self.content {
            Content::List(items) => items.iter().map(Self::size).sum(),
            Content::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
            _ => 0,
        }
    }
    /// How many levels this one has, itself included.
    pub fn height(&self) -> usize {
        1 + match &self.content {
            Content::List(items) => items.iter().map(Self::height).max().unwrap_or_default(),
            Content::Map(entries) => {
                entries.iter().map(|entry| entry.value.height()).max().unwrap_or_default()
            }
            _ => 0,
        }
    }

    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "true or false",
            Content::Number(number) if number.is_f64() => "a number",
            Content::Number(_) => "an integer",
            Content::Text(_) => "a string",
            Content::List(_) => "a list",
            Content::Map(_) => "an object",
        }
    }
}

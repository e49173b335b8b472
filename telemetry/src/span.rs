//! Spans in the making: bounded, and with nothing in them that a journal would not show.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{Event, Link, SpanContext, SpanId, SpanKind, Status},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use runbook_core::{Timestamp, fault::FaultKind};

/// The longest text of an attribute or of a status, in characters.
const LONGEST_TEXT: usize = 512;
/// How many events one span keeps; the rest is counted.
const MOST_EVENTS: usize = 64;

/// What is told of a span beside its times.
#[derive(Debug)]
pub struct Draft {
    pub context: SpanContext,
    pub parent: SpanId,
    pub parent_is_remote: bool,
    pub kind: SpanKind,
    pub name: Cow<'static, str>,
    pub attributes: Vec<KeyValue>,
    pub moments: Moments,
    pub links: Vec<SpanContext>,
    pub status: Status,
}

impl Draft {
    pub fn new(context: SpanContext, parent: SpanId, name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            context,
            parent,
            parent_is_remote: false,
            kind: SpanKind::Internal,
            name: name.into(),
            attributes: Vec::new(),
            moments: Moments::default(),
            links: Vec::new(),
            status: Status::Unset,
        }
    }

    /// Marks it as failed: what kind of failure, and what people are told.
    pub fn failed(&mut self, kind: &'static str, message: &str) {
        self.attributes.push(KeyValue::new("error.type", kind));
        self.status = Status::error(short(message));
    }

    pub fn lasting(self, from: Timestamp, to: Timestamp) -> SpanData {
        let mut links = SpanLinks::default();
        links.links.extend(self.links.into_iter().map(Link::with_context));
        SpanData {
            span_context: self.context,
            parent_span_id: self.parent,
            parent_span_is_remote: self.parent_is_remote,
            span_kind: self.kind,
            name: self.name,
            start_time: time(from),
            end_time: time(to.max(from)),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: self.moments.0,
            links,
            status: self.status,
            instrumentation_scope: InstrumentationScope::builder("runbook")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }
    }
}

/// What happened at a moment within a span.
#[derive(Debug, Clone, Default)]
pub struct Moments(SpanEvents);

impl Moments {
    pub fn add(&mut self, name: &'static str, at: Timestamp, attributes: Vec<KeyValue>) {
        if self.0.events.len() < MOST_EVENTS {
            self.0.events.push(Event::new(name, time(at), attributes, 0));
        } else {
            self.0.dropped_count = self.0.dropped_count.saturating_add(1);
        }
    }
}

/// A text within its bound.
pub fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

pub fn text(key: &'static str, value: &str) -> KeyValue {
    KeyValue::new(key, short(value))
}

/// The word of a kind of fault, as the journal has it.
pub fn word(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Refused => "refused",
        FaultKind::Unreachable => "unreachable",
        FaultKind::Unknown => "unknown",
        FaultKind::Conflict => "conflict",
        FaultKind::Stale => "stale",
        FaultKind::Forbidden => "forbidden",
        FaultKind::Denied => "denied",
        FaultKind::NotFound => "not_found",
        FaultKind::Permanent => "permanent",
    }
}

fn time(at: Timestamp) -> SystemTime {
    // Before 1970 nothing was journaled.
    let nanoseconds = u64::try_from(at.as_nanosecond()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

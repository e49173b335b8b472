//! The spans of requests that a server answers.

use opentelemetry::{
    KeyValue,
    trace::{SpanId, SpanKind, TraceId},
};
use runbook_core::{Timestamp, event::RunId};
use uuid::Uuid;

use crate::{
    Exporter, TraceContext,
    ids::{context_of, sampled},
    span::{Draft, text},
};

/// A request that is being answered.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    began: Timestamp,
    caller: Option<TraceContext>,
    own: Option<TraceContext>,
}

/// What is told of a request: never its query, its body, or who asked.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    pub method: &'static str,
    /// `/runs/{run}`; nothing where there is no such route.
    pub route: Option<&'a str>,
    pub scheme: &'static str,
    pub status: u16,
    pub id: &'a str,
    /// The run that it was about, or that it began.
    pub run: Option<RunId>,
}

impl Asked {
    /// `header` is the caller's `traceparent`.
    pub fn now(exporter: Option<&Exporter>, header: Option<&str>, now: Timestamp) -> Self {
        let caller = header.and_then(TraceContext::parse);
        let own = exporter.map(|exporter| {
            let random = Uuid::new_v4().into_bytes();
            let trace = caller.map_or_else(|| TraceId::from_bytes(random), |caller| caller.trace);
            let mut span = [0; 8];
            span.copy_from_slice(Uuid::new_v4().into_bytes().get(..8).unwrap_or(&[1; 8]));
            let sampled = exporter.takes(trace, caller.as_ref());
            TraceContext { trace, span: SpanId::from_bytes(span), sampled }
        });
        Self { began: now, caller, own }
    }

    /// What a run that the request begins links to.
    pub fn cause(&self) -> Option<TraceContext> {
        self.own.filter(|own| own.sampled).or(self.caller)
    }

    pub fn answered(self, exporter: &Exporter, told: &Answered<'_>, now: Timestamp) {
        let Some(own) = self.own.filter(|own| own.sampled) else { return };
        let name = match told.route {
            Some(route) => format!("{} {route}", told.method),
            None => told.method.to_owned(),
        };
        let parent = self.caller.map_or(SpanId::INVALID, |caller| caller.span);
        let mut draft = Draft::new(sampled(own.trace, own.span), parent, name);
        draft.parent_is_remote = self.caller.is_some();
        draft.kind = SpanKind::Server;
        draft.attributes.extend([
            KeyValue::new("http.request.method", told.method),
            KeyValue::new("url.scheme", told.scheme),
            KeyValue::new("http.response.status_code", i64::from(told.status)),
            text("runbook.request.id", told.id),
        ]);
        draft.attributes.extend(told.route.map(|route| text("http.route", route)));
        if let Some(run) = told.run {
            draft.attributes.push(KeyValue::new("runbook.run.id", run.to_string()));
            draft.links.push(context_of(run));
        }
        // What a caller did wrong is no failure of the server.
        if told.status >= 500 {
            draft.attributes.push(KeyValue::new("error.type", told.status.to_string()));
            draft.status = opentelemetry::trace::Status::error("");
        }
        exporter.offer([draft.lasting(self.began, now)]);
    }
}

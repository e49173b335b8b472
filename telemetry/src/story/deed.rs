//! What a step does at a time: one thing after the other, each a span of its own.

use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::SpanData;
use runbook_core::{
    Timestamp,
    event::Event,
    fault::{Fault, FaultKind},
};

use super::{Story, length};
use crate::{
    fact::Fact,
    ids::span_of,
    span::{text, word},
};

/// Something that a step is doing.
#[derive(Debug, Clone)]
pub struct Doing {
    pub deed: Deed,
    since: Timestamp,
    /// The number of the event with which it began: it tells those of one step apart.
    seq: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Read,
    Plan,
    /// People are asked to approve.
    Gate {
        count: u32,
        granted: u32,
    },
    /// People are asked something else.
    Ask,
    Apply,
    /// Whether it was applied is looked up.
    Look,
    Verify,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub enum Came<'a> {
    Done,
    Outcome(&'static str),
    Fault(&'a Fault),
}

impl Deed {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Plan => "plan",
            Self::Gate { .. } => "approval",
            Self::Ask => "question",
            Self::Apply => "apply",
            Self::Look => "look",
            Self::Verify => "verify",
        }
    }

    fn waits_for_people(self) -> bool {
        matches!(self, Self::Gate { .. } | Self::Ask)
    }
}

impl Story {
    pub(super) fn doing(&self, path: &str) -> Option<Deed> {
        self.steps.get(path)?.doing.as_ref().map(|doing| doing.deed)
    }

    pub(super) fn start(&mut self, path: &str, deed: Deed, event: &Event) {
        self.start_at(path, deed, event.seq, event.at);
    }

    fn start_at(&mut self, path: &str, deed: Deed, seq: u64, since: Timestamp) {
        if let Some(open) = self.steps.get_mut(path) {
            open.doing = Some(Doing { deed, since, seq });
        }
    }

    /// The first thing that a step of its kind does in an attempt, which may begin later than the event.
    pub(super) fn begin_attempt(&mut self, path: &str, event: &Event, at: Timestamp) {
        let word = self.kinds.get(path).map(|sort| sort.word);
        match word {
            _ if path.ends_with("~undo") => self.start_at(path, Deed::Plan, event.seq, at),
            Some("check") => self.start_at(path, Deed::Read, event.seq, at),
            Some("action") => self.start_at(path, Deed::Plan, event.seq, at),
            _ => {}
        }
    }

    /// Ends what the step is doing, if anything.
    pub(super) fn stop(&mut self, path: &str, at: Timestamp, came: Came<'_>) -> Option<(Fact, SpanData)> {
        let open = self.steps.get_mut(path)?;
        let Doing { deed, since, seq } = open.doing.take()?;
        let (parent, attempt) = (open.span, open.attempt);
        let span = span_of(self.run, deed.word(), path, seq);
        let mut draft = self.part(span, parent, deed.word().to_owned(), path);
        draft.attributes.push(KeyValue::new("runbook.step.attempt", i64::from(attempt)));
        if let Deed::Gate { count, .. } = deed {
            draft.attributes.push(KeyValue::new("runbook.approval.count", i64::from(count)));
        }
        if deed == Deed::Apply
            && let Some(target) = self.steps.get(path).and_then(|open| open.target.as_deref())
        {
            draft.attributes.push(text("runbook.target", target));
        }
        let outcome = match came {
            Came::Done => "done",
            Came::Outcome(outcome) => outcome,
            Came::Fault(fault) if deed.waits_for_people() && fault.kind == FaultKind::Denied => "rejected",
            Came::Fault(fault) => word(fault.kind),
        };
        draft.attributes.push(KeyValue::new("runbook.outcome", outcome));
        if let Came::Fault(fault) = came
            && !deed.waits_for_people()
        {
            draft.failed(word(fault.kind), &fault.message);
        }
        let fact = match deed {
            Deed::Gate { .. } => Fact::Gate { outcome, waited: length(since, at) },
            _ => Fact::Part,
        };
        Some((fact, draft.lasting(since, at)))
    }
}

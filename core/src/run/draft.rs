//! Events in the making: each is folded into a scratch state at once, so that the next decision
//! sees it, and all of them are journaled together or not at all.

use super::{Decided, Node, Run, fold::Corrupt};
use crate::{
    Timestamp,
    event::{Actor, Body, Event, StepStatus},
    fault::Fault,
};

#[derive(Debug)]
pub(super) struct Draft {
    pub run: Run,
    pub events: Vec<Event>,
    pub now: Timestamp,
}

impl Draft {
    pub fn of(run: &Run, now: Timestamp) -> Self {
        // Time in a journal never runs backwards, also where a machine's clock does.
        Self { run: run.clone(), events: Vec::new(), now: now.max(run.updated_at) }
    }

    /// Adds what the engine itself decided.
    pub fn emit(&mut self, body: Body) -> Result<(), Corrupt> {
        self.emit_as(Actor::engine(), body)
    }

    /// Adds what someone else did.
    pub fn emit_as(&mut self, actor: Actor, body: Body) -> Result<(), Corrupt> {
        let event = Event { seq: self.run.seq + 1, at: self.now, actor, body };
        self.run.apply(&event)?;
        self.events.push(event);
        Ok(())
    }

    pub fn decided(self) -> Decided {
        Decided { events: self.events, next: self.run }
    }

    pub fn node(&self, path: &str) -> Option<&Node> {
        self.run.node(path)
    }

    /// Ends a step, keeping the outputs it has.
    pub fn end(&mut self, path: &str, end: End) -> Result<(), Corrupt> {
        self.emit(Body::StepEnded {
            step: path.to_owned(),
            status: end.status,
            passed: end.passed,
            outputs: serde_json::Value::Null,
            reason: end.reason,
            fault: end.fault,
        })
    }

    pub fn fail(&mut self, path: &str, fault: Fault) -> Result<(), Corrupt> {
        self.end(
            path,
            End { reason: Some(fault.message.clone()), fault: Some(fault), ..End::of(StepStatus::Failed) },
        )
    }
}

/// How a step ended.
#[derive(Debug)]
pub(super) struct End {
    pub status: StepStatus,
    pub passed: Option<bool>,
    pub reason: Option<String>,
    pub fault: Option<Fault>,
}

impl End {
    pub fn of(status: StepStatus) -> Self {
        Self { status, passed: None, reason: None, fault: None }
    }
    pub fn because(status: StepStatus, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(status) }
    }
    pub fn passed(mut self, passed: Option<bool>) -> Self {
        self.passed = passed;
        self
    }
}

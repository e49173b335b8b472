//! Events in the making: each is folded into a scratch state at once, so that the next decision
//! sees it, and all of them are kept together or not at all.

use super::{Body, Corrupt, Event, Incident, MOST_EVENTS, Rejected, RejectedKind};
use crate::{Timestamp, event::Actor};

/// What follows from an input.
#[derive(Debug)]
pub struct Decided {
    pub events: Vec<Event>,
    /// The state once they are applied.
    pub next: Incident,
}

#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub incident: Incident,
    pub actor: &'a Actor,
    events: Vec<Event>,
    now: Timestamp,
}

impl<'a> Draft<'a> {
    pub fn of(incident: &Incident, actor: &'a Actor, now: Timestamp) -> Self {
        // Time in a journal never runs backwards, also where a machine's clock does.
        Self { incident: incident.clone(), actor, events: Vec::new(), now: now.max(incident.updated_at) }
    }

    /// Goes on from the first event.
    pub fn begun(incident: Incident, first: Event, actor: &'a Actor) -> Self {
        Self { now: first.at, incident, actor, events: vec![first] }
    }

    /// Adds what whoever asks did.
    pub fn emit(&mut self, body: Body) -> Result<(), Rejected> {
        self.emit_as(self.actor.clone(), body)
    }

    /// Adds what follows by itself.
    pub fn follow(&mut self, body: Body) -> Result<(), Rejected> {
        self.emit_as(Actor::engine(), body)
    }

    fn emit_as(&mut self, actor: Actor, body: Body) -> Result<(), Rejected> {
        if self.incident.seq >= MOST_EVENTS {
            return Err(self.incident.full(MOST_EVENTS, "entries"));
        }
        let event = Event { seq: self.incident.seq + 1, at: self.now, actor, body };
        self.incident.apply(&event)?;
        self.events.push(event);
        Ok(())
    }

    pub fn decided(self) -> Decided {
        Decided { events: self.events, next: self.incident }
    }
}

impl From<Corrupt> for Rejected {
    fn from(corrupt: Corrupt) -> Self {
        Self::new(RejectedKind::Corrupt, corrupt.to_string())
    }
}

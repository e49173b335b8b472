//! Incidents and other incidents: links, and several that are one.

use super::{
    AlertJoined, Body, Incident, IncidentId, MOST_EVENTS, MOST_LINKS, RESERVED_EVENTS, Rejected,
    RejectedKind, draft::Draft,
};

impl Draft<'_> {
    pub(super) fn link(&mut self, other: IncidentId) -> Result<(), Rejected> {
        self.not_itself(other)?;
        if self.incident.links.contains(&other) {
            return Ok(());
        }
        if self.incident.links.len() >= MOST_LINKS {
            return Err(self.incident.full(MOST_LINKS, "links"));
        }
        self.emit(Body::Linked { other })
    }

    pub(super) fn merge(&mut self, into: IncidentId) -> Result<(), Rejected> {
        self.not_itself(into)?;
        if !self.incident.is_open() {
            let (id, hint) = (self.incident.id, "link the two instead");
            return Err(self.incident.not_now(format!("{id} is resolved: it is not merged")).hint(hint));
        }
        self.emit(Body::Merged { into })
    }

    /// Takes over what is still going on there; what has ended stays in its own timeline.
    pub(super) fn absorb(&mut self, other: &Incident) -> Result<(), Rejected> {
        self.not_itself(other.id)?;
        if self.incident.absorbed.contains(&other.id) {
            return Ok(());
        }
        if !self.incident.is_open() {
            return Err(self.incident.has_ended("no other is merged into it"));
        }
        if !other.is_open() {
            return Err(self.incident.not_now(format!("{} has ended: it is not merged", other.id)));
        }
        let brought = 2 + other.alerts_firing().count() + other.runs_active().count();
        if self.incident.seq + brought as u64 + RESERVED_EVENTS > MOST_EVENTS {
            return Err(self.incident.full(MOST_EVENTS, "entries"));
        }
        if self.incident.absorbed.len() >= MOST_LINKS {
            return Err(self.incident.full(MOST_LINKS, "incidents merged into it"));
        }
        self.emit(Body::Absorbed { other: other.id })?;
        for (key, alert) in other.alerts_firing() {
            self.join(AlertJoined {
                key: key.to_owned(),
                fingerprint: alert.fingerprint.clone(),
                name: alert.name.clone(),
                title: alert.title.clone(),
                severity: alert.severity.clone(),
                source: alert.source,
                url: alert.url.clone(),
                starts_at: alert.starts_at,
            })?;
        }
        for (run, attached) in other.runs_active() {
            let (runbook, environment) = (attached.runbook.clone(), attached.environment.clone());
            let alert = attached.alert.clone();
            self.run_started(Body::RunStarted { run, runbook, environment, alert }, run)?;
        }
        Ok(())
    }

    fn not_itself(&self, other: IncidentId) -> Result<(), Rejected> {
        if other == self.incident.id {
            return Err(Rejected::new(RejectedKind::Invalid, format!("{other} is this incident itself")));
        }
        Ok(())
    }
}

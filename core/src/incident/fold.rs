//! The fold: one event at a time makes the state. An event that the state does not allow is an
//! error, never a guess.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Acknowledgement, AlertJoined, AttachedRun, Body, Escalation, Event, HeldBack, Incident, IncidentId,
    JoinedAlert, Look, MOST_ALERTS, MOST_ESCALATIONS, MOST_EVENTS, MOST_EXPERTS, MOST_LINKS, MOST_RUNS,
    Resolution, Role, State,
};
use crate::{
    Timestamp,
    alert::AlertStatus,
    event::{EndStatus, RunId},
};

/// Events that do not fit each other: the journal is not one that this program wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} does not fit the incident: {why}")]
pub struct Corrupt {
    pub seq: u64,
    pub why: String,
}

impl Incident {
    /// The state after an incident's first event.
    pub fn begin(id: IncidentId, event: &Event) -> Result<Self, Corrupt> {
        let corrupt = |why: &str| Corrupt { seq: event.seq, why: why.to_owned() };
        let Body::Opened(opening) = &event.body else {
            return Err(corrupt("the first entry does not open the incident"));
        };
        if event.seq != 1 {
            return Err(corrupt("the first entry is missing"));
        }
        Ok(Self {
            id,
            seq: 1,
            title: opening.title.clone(),
            description: opening.description.clone(),
            severity: opening.severity.clone(),
            state: State::Investigating,
            service: opening.service.clone(),
            environment: opening.environment.clone(),
            key: opening.key.clone(),
            origin: opening.origin,
            opened_by: event.actor.clone(),
            opened_at: event.at,
            updated_at: event.at,
            acknowledged: None,
            resolution: None,
            steady: None,
            roles: BTreeMap::new(),
            alerts: BTreeMap::new(),
            runs: BTreeMap::new(),
            held_back: Vec::new(),
            escalations: Vec::new(),
            links: BTreeSet::new(),
            absorbed: BTreeSet::new(),
            merged_into: None,
        })
    }

    /// The state after all of an incident's events.
    pub fn fold<'a>(
        id: IncidentId,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Option<Self>, Corrupt> {
        let mut events = events.into_iter();
        let Some(first) = events.next() else { return Ok(None) };
        let mut incident = Self::begin(id, first)?;
        for event in events {
            incident.apply(event)?;
        }
        Ok(Some(incident))
    }

    /// Makes one more event part of the state. Where it is refused, the state is as before.
    pub fn apply(&mut self, event: &Event) -> Result<(), Corrupt> {
        let corrupt = |why: &str| Corrupt { seq: event.seq, why: why.to_owned() };
        if event.seq != self.seq + 1 {
            return Err(corrupt(&format!("it should be entry {}", self.seq + 1)));
        }
        if event.seq > MOST_EVENTS {
            return Err(corrupt("it has more entries than an incident may have"));
        }
        match self.state {
            State::Merged => return Err(corrupt("the incident had been merged")),
            State::Resolved if !is_taken_when_resolved(&event.body) => {
                return Err(corrupt("the incident had been resolved"));
            }
            _ => {}
        }
        self.take(event).map_err(corrupt)?;
        self.seq = event.seq;
        self.updated_at = event.at;
        Ok(())
    }

    fn take(&mut self, event: &Event) -> Result<(), &'static str> {
        match &event.body {
            Body::Opened(_) => Err("the incident was already opened"),
            Body::AlertJoined(alert) => self.join(alert, event.at),
            Body::AlertResolved { key, .. } => self.resolve_alert(key, event.at),
            Body::RunStarted { run, runbook, environment, alert } => {
                let run_of = AttachedRun {
                    runbook: runbook.clone(),
                    environment: environment.clone(),
                    alert: alert.clone(),
                    status: None,
                    recovered: None,
                    started_at: event.at,
                    ended_at: None,
                };
                self.attach(*run, run_of)
            }
            Body::RunEnded { run, status, recovered, .. } => {
                self.end_run(*run, *status, *recovered, event.at)
            }
            Body::NothingStarted { alert, runbook, why } => {
                let (alert, runbook, why) = (alert.clone(), runbook.clone(), why.clone());
                self.hold_back(HeldBack { alert, runbook, why, at: event.at })
            }
            Body::Escalated { runbook, to, why } => {
                require(self.escalations.len() < MOST_ESCALATIONS, "it was escalated too often")?;
                let (runbook, to, why) = (runbook.clone(), to.clone(), why.clone());
                self.escalations.push(Escalation { seq: event.seq, at: event.at, runbook, to, why });
                Ok(())
            }
            Body::RoleAssigned { role, person } => self.assign(*role, person),
            Body::RoleLeft { role, person } => self.leave(*role, person),
            Body::Linked { other } => reference(&mut self.links, self.id, *other),
            Body::Absorbed { other } => reference(&mut self.absorbed, self.id, *other),
            _ => self.take_course(event),
        }
    }

    /// What moves the incident as a whole.
    fn take_course(&mut self, event: &Event) -> Result<(), &'static str> {
        match &event.body {
            Body::Acknowledged {} => {
                require(self.acknowledged.is_none(), "it was already acknowledged")?;
                self.acknowledged = Some(Acknowledgement { by: event.actor.clone(), at: event.at });
            }
            Body::Noted { .. } => {}
            Body::SeverityChanged { from, to, .. } => {
                require(*from == self.severity && to != from, "the severity was another")?;
                self.severity.clone_from(to);
            }
            Body::StateChanged { to } => {
                let open = !matches!(to, State::Resolved | State::Merged);
                require(open && *to != self.state, "it cannot go to that state from where it was")?;
                self.state = *to;
            }
            Body::Merged { into } => {
                require(*into != self.id, "an incident cannot be merged into itself")?;
                self.merged_into = Some(*into);
                self.state = State::Merged;
            }
            Body::SteadyChecked { holds, checks } => {
                let (by, checks) = (event.actor.clone(), checks.clone());
                self.steady = Some(Look { at: event.at, by, holds: *holds, checks });
            }
            Body::Resolved { verified, reason, forced } => {
                let busy = self.alerts_firing().next().is_some() || self.runs_active().next().is_some();
                require(
                    *forced || (!busy && *verified != Some(false)),
                    "something spoke against its resolution",
                )?;
                self.state = State::Resolved;
                self.resolution = Some(Resolution {
                    by: event.actor.clone(),
                    at: event.at,
                    verified: *verified,
                    forced: *forced,
                    reason: reason.clone(),
                });
            }
            Body::Reopened { .. } => {
                require(self.state == State::Resolved, "it had not been resolved")?;
                self.state = State::Investigating;
                self.resolution = None;
            }
            _ => return Err("it is not for the incident as a whole"),
        }
        Ok(())
    }

    fn join(&mut self, alert: &AlertJoined, at: Timestamp) -> Result<(), &'static str> {
        let before = self.alerts.get(&alert.key);
        require(before.is_none_or(|known| known.status == AlertStatus::Resolved), "the alert fires already")?;
        require(before.is_some() || self.alerts.len() < MOST_ALERTS, "it has too many alerts")?;
        let joined = JoinedAlert {
            fingerprint: alert.fingerprint.clone(),
            name: alert.name.clone(),
            title: alert.title.clone(),
            severity: alert.severity.clone(),
            source: alert.source,
            url: alert.url.clone(),
            status: AlertStatus::Firing,
            starts_at: alert.starts_at,
            since: at,
        };
        self.alerts.insert(alert.key.clone(), joined);
        Ok(())
    }

    fn resolve_alert(&mut self, key: &str, at: Timestamp) -> Result<(), &'static str> {
        let firing = self.alerts.get_mut(key).filter(|alert| alert.status == AlertStatus::Firing);
        let alert = firing.ok_or("no such alert fires")?;
        alert.status = AlertStatus::Resolved;
        alert.since = at;
        Ok(())
    }

    fn attach(&mut self, id: RunId, run: AttachedRun) -> Result<(), &'static str> {
        require(!self.runs.contains_key(&id), "the run was already started")?;
        require(self.runs.len() < MOST_RUNS, "it has too many runs")?;
        self.runs.insert(id, run);
        Ok(())
    }

    fn end_run(
        &mut self,
        id: RunId,
        status: EndStatus,
        recovered: Option<bool>,
        at: Timestamp,
    ) -> Result<(), &'static str> {
        let run = self.runs.get_mut(&id).ok_or("no such run was started")?;
        require(run.status != Some(status) || run.recovered != recovered, "the run had ended so")?;
        run.status = Some(status);
        run.recovered = recovered;
        run.ended_at = Some(at);
        Ok(())
    }

    fn hold_back(&mut self, held: HeldBack) -> Result<(), &'static str> {
        let known = self
            .held_back
            .iter_mut()
            .find(|known| known.alert == held.alert && known.runbook == held.runbook);
        match known {
            Some(known) => {
                require(known.why != held.why, "it was said already why nothing was started")?;
                *known = held;
            }
            None => {
                require(self.held_back.len() < MOST_ALERTS, "too much was held back")?;
                self.held_back.push(held);
            }
        }
        Ok(())
    }

    fn assign(&mut self, role: Role, person: &str) -> Result<(), &'static str> {
        let holders = self.holders(role);
        require(!holders.iter().any(|holder| holder == person), "the person has that role already")?;
        require(!role.is_shared() || holders.len() < MOST_EXPERTS, "too many people have that role")?;
        let holders = self.roles.entry(role).or_default();
        if !role.is_shared() {
            holders.clear();
        }
        holders.push(person.to_owned());
        Ok(())
    }

    fn leave(&mut self, role: Role, person: &str) -> Result<(), &'static str> {
        let holders = self.roles.get_mut(&role).ok_or("nobody has that role")?;
        let place =
            holders.iter().position(|holder| holder == person).ok_or("the person has another role")?;
        holders.remove(place);
        if holders.is_empty() {
            self.roles.remove(&role);
        }
        Ok(())
    }
}

/// What is still told of a resolved incident: what happens to its alerts and runs all the same,
/// and what people write down about it afterwards.
fn is_taken_when_resolved(body: &Body) -> bool {
    matches!(
        body,
        Body::AlertResolved { .. }
            | Body::RunStarted { .. }
            | Body::RunEnded { .. }
            | Body::NothingStarted { .. }
            | Body::Noted { .. }
            | Body::SeverityChanged { .. }
            | Body::RoleAssigned { .. }
            | Body::RoleLeft { .. }
            | Body::Linked { .. }
            | Body::Reopened { .. }
    )
}

fn reference(
    known: &mut BTreeSet<IncidentId>,
    own: IncidentId,
    other: IncidentId,
) -> Result<(), &'static str> {
    require(other != own, "an incident cannot refer to itself")?;
    require(known.len() < MOST_LINKS, "it refers to too many others")?;
    require(known.insert(other), "it refers to that one already")
}

fn require(holds: bool, why: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(why) }
}

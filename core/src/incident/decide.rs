//! What is said to an incident and what follows from it.
//!
//! Two rules hold for all of it. What already is so (a repeated alert, a second acknowledgement, a
//! resolution of what is resolved) gives no events: detectors repeat themselves, and two people
//! press the same button. What cannot be is rejected, with the reason and a way on.

use super::{
    Body, Closing, Decided, Event, Incident, IncidentId, LONGEST_NAME, LONGEST_NOTE, LONGEST_REASON,
    LONGEST_TITLE, MOST_EVENTS, MOST_EXPERTS, Opening, Origin, RESERVED_EVENTS, Rejected, RejectedKind, Role,
    Seen, State, Steadiness,
    draft::Draft,
    facts::title_of,
    said::{cut, filled, filled_in_lines, said, said_on_a_line, said_or_not, whole},
};
use crate::{
    Timestamp,
    alert::Alert,
    event::{Actor, EndStatus, RunId},
};

/// What comes to an incident from outside the core.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// A firing alert that is correlated with the incident.
    AlertFiring(&'a Alert),
    AlertResolved {
        key: String,
        closing: Closing,
    },
    RunStarted {
        run: RunId,
        runbook: String,
        environment: String,
        /// The key of the alert that started it.
        alert: Option<String>,
    },
    RunEnded {
        run: RunId,
        status: EndStatus,
        recovered: Option<bool>,
        closing: Closing,
    },
    /// An alert started nothing, and why.
    NothingStarted {
        alert: String,
        runbook: Option<String>,
        why: String,
    },
    /// Running again has not helped: these people or groups are called instead.
    Escalate {
        runbook: String,
        to: Vec<String>,
        why: String,
    },
    Acknowledge,
    Note {
        text: String,
    },
    /// `to` is the name of a level; whoever asks has looked it up in the matrix.
    SetSeverity {
        to: String,
        reason: Option<String>,
    },
    SetState {
        to: State,
    },
    Assign {
        role: Role,
        person: String,
    },
    Leave {
        role: Role,
        person: String,
    },
    /// Whoever asks has seen that the other exists, and links it back.
    Link {
        other: IncidentId,
    },
    /// To be said to this one, and `Absorb` to the other; their events are kept together.
    Merge {
        into: IncidentId,
    },
    /// With the other as it was before it was merged.
    Absorb(&'a Incident),
    /// What was seen of the steady states of its runs just now.
    SteadyLooked {
        seen: Vec<Seen>,
    },
    Resolve {
        /// What is known of the steady state now.
        steady: Steadiness,
        /// Why it is resolved whatever speaks against it.
        force: Option<String>,
        reason: Option<String>,
    },
    Reopen {
        reason: Option<String>,
    },
}

/// What an alert that opens an incident does not say itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// What later alerts are correlated by.
    pub key: String,
    /// The name of a level of the severity matrix.
    pub severity: String,
    pub environment: Option<String>,
}

impl Incident {
    /// Opens an incident that a person declares, or one without its first alert.
    pub fn open(
        id: IncidentId,
        opening: Opening,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Decided, Rejected> {
        Ok(begun(id, opening, actor, now)?.decided())
    }

    /// Opens an incident for an alert, which is its first.
    pub fn open_for(
        id: IncidentId,
        alert: &Alert,
        correlation: Correlation,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Decided, Rejected> {
        let opening = Opening {
            title: title_of(alert),
            severity: correlation.severity,
            service: filled(alert.service.as_deref(), LONGEST_NAME),
            environment: correlation.environment,
            key: correlation.key,
            description: filled_in_lines(alert.description.as_deref(), LONGEST_NOTE),
            origin: Origin::Alert,
        };
        let mut draft = begun(id, opening, actor, now)?;
        draft.alert_firing(alert)?;
        Ok(draft.decided())
    }

    /// What follows from an input at a time. Nothing of this incident changes: whoever asks keeps
    /// the events, and goes on from the state after them.
    pub fn decide(&self, input: Input<'_>, actor: &Actor, now: Timestamp) -> Result<Decided, Rejected> {
        let mut draft = Draft::of(self, actor, now);
        if let Some(into) = self.merged_into {
            return match input {
                // They have gone over to the other one.
                Input::AlertResolved { .. } | Input::RunEnded { .. } => Ok(draft.decided()),
                Input::Merge { into: again } if again == into => Ok(draft.decided()),
                _ => Err(self
                    .not_now(format!("{} was merged into {into}", self.id))
                    .hint(format!("go on with {into}"))),
            };
        }
        let is_full = self.seq + RESERVED_EVENTS >= MOST_EVENTS && !input.brings_an_end();
        draft.take(input)?;
        let decided = draft.decided();
        // What already is so needs no entry, also where none is left.
        if is_full && !decided.events.is_empty() {
            return Err(self.full(MOST_EVENTS, "entries"));
        }
        Ok(decided)
    }

    pub(super) fn not_now(&self, message: String) -> Rejected {
        Rejected::new(RejectedKind::NotNow, message)
    }

    pub(super) fn full(&self, most: impl std::fmt::Display, of: &str) -> Rejected {
        self.not_now(format!("{} has as many {of} as one incident may have ({most})", self.id))
            .hint("resolve it, or open another incident and link the two")
    }

    pub(super) fn has_ended(&self, what: &str) -> Rejected {
        self.not_now(format!("{} is resolved: {what}", self.id))
            .hint(format!("reopen it first: `runbook incident reopen {}`", self.id))
    }
}

impl Input<'_> {
    /// Whether it is taken where only the entries that are kept for the end are left.
    fn brings_an_end(&self) -> bool {
        matches!(
            self,
            Self::AlertResolved { .. }
                | Self::RunEnded { .. }
                | Self::Acknowledge
                | Self::Merge { .. }
                | Self::SteadyLooked { .. }
                | Self::Resolve { .. }
        )
    }
}

fn begun(id: IncidentId, opening: Opening, actor: &Actor, now: Timestamp) -> Result<Draft<'_>, Rejected> {
    let name = |text: Option<String>, what: &str| {
        text.map(|text| said_on_a_line(&text, what, LONGEST_NAME)).transpose()
    };
    let opening = Opening {
        title: said_on_a_line(&opening.title, "title", LONGEST_TITLE)?,
        severity: said_on_a_line(&opening.severity, "severity", LONGEST_NAME)?,
        service: name(opening.service, "service")?,
        environment: name(opening.environment, "environment")?,
        key: if opening.key.is_empty() { id.to_string() } else { whole(&opening.key, "key")? },
        description: said_or_not(opening.description.as_deref(), "description", LONGEST_NOTE)?,
        origin: opening.origin,
    };
    let first = Event { seq: 1, at: now, actor: actor.clone(), body: Body::Opened(Box::new(opening)) };
    Ok(Draft::begun(Incident::begin(id, &first)?, first, actor))
}

impl Draft<'_> {
    fn take(&mut self, input: Input<'_>) -> Result<(), Rejected> {
        match input {
            Input::AlertFiring(alert) => self.alert_firing(alert),
            Input::AlertResolved { key, closing } => self.alert_resolved(&key, closing),
            Input::RunStarted { run, runbook, environment, alert } => {
                let (runbook, environment) = (cut(&runbook, LONGEST_NAME), cut(&environment, LONGEST_NAME));
                let alert = alert.map(|key| whole(&key, "key of the alert")).transpose()?;
                self.run_started(Body::RunStarted { run, runbook, environment, alert }, run)
            }
            Input::RunEnded { run, status, recovered, closing } => {
                self.run_ended(run, status, recovered, closing)
            }
            Input::NothingStarted { alert, runbook, why } => self.nothing_started(&alert, runbook, &why),
            Input::Escalate { runbook, to, why } => self.escalate(&runbook, &to, &why),
            Input::Acknowledge => self.acknowledge(),
            Input::Note { text } => self.emit(Body::Noted { text: said(&text, "note", LONGEST_NOTE)? }),
            Input::SetSeverity { to, reason } => self.set_severity(&to, reason.as_deref()),
            Input::SetState { to } => self.set_state(to),
            Input::Assign { role, person } => self.assign(role, &person),
            Input::Leave { role, person } => self.leave(role, person),
            Input::Link { other } => self.link(other),
            Input::Merge { into } => self.merge(into),
            Input::Absorb(other) => self.absorb(other),
            Input::SteadyLooked { seen } => self.looked(seen),
            Input::Resolve { steady, force, reason } => {
                self.resolve(steady, force.as_deref(), reason.as_deref())
            }
            Input::Reopen { reason } => self.reopen(reason.as_deref()),
        }
    }

    fn acknowledge(&mut self) -> Result<(), Rejected> {
        if self.incident.acknowledged.is_some() {
            return Ok(());
        }
        if !self.incident.is_open() {
            return Err(self.incident.has_ended("there is nothing to take on"));
        }
        self.emit(Body::Acknowledged {})
    }

    fn set_severity(&mut self, to: &str, reason: Option<&str>) -> Result<(), Rejected> {
        let to = said_on_a_line(to, "severity", LONGEST_NAME)?;
        if to == self.incident.severity {
            return Ok(());
        }
        let from = self.incident.severity.clone();
        self.emit(Body::SeverityChanged { from, to, reason: said_or_not(reason, "reason", LONGEST_REASON)? })
    }

    fn set_state(&mut self, to: State) -> Result<(), Rejected> {
        if to == self.incident.state {
            return Ok(());
        }
        let id = self.incident.id;
        match to {
            State::Resolved => Err(Rejected::new(RejectedKind::Invalid, "resolving is more than a state")
                .hint(format!("use `runbook incident resolve {id}`"))),
            State::Merged => Err(Rejected::new(RejectedKind::Invalid, "merging needs another incident")
                .hint(format!("use `runbook incident merge {id} --into ID`"))),
            _ if !self.incident.is_open() => Err(self.incident.has_ended("its state stays")),
            _ => self.emit(Body::StateChanged { to }),
        }
    }

    fn assign(&mut self, role: Role, person: &str) -> Result<(), Rejected> {
        let person = said_on_a_line(person, "name", LONGEST_NAME)?;
        let holders = self.incident.holders(role);
        if holders.contains(&person) {
            return Ok(());
        }
        if role.is_shared() && holders.len() >= MOST_EXPERTS {
            return Err(self.incident.full(MOST_EXPERTS, "people in that role"));
        }
        self.emit(Body::RoleAssigned { role, person })
    }

    fn leave(&mut self, role: Role, person: String) -> Result<(), Rejected> {
        if self.incident.holders(role).contains(&person) {
            self.emit(Body::RoleLeft { role, person })
        } else {
            Ok(())
        }
    }
}

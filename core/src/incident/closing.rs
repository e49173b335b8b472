//! How an incident comes to its end: by a person, or by itself once everything says that it is
//! over; and how it begins again.

use super::{
    Body, Incident, LONGEST_REASON, Rejected, State, Steadiness,
    draft::Draft,
    said::{said, said_or_not},
};
use crate::event::RunId;

/// Who closes an incident whose alerts are resolved and whose runs have all verified recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Closing {
    /// A person: until then it is watched.
    #[default]
    Manual,
    /// Nobody needs to, where at least one run has verified it.
    WhenRecovered,
}

/// How many of what stands in the way are named.
const NAMED: usize = 3;

impl Incident {
    /// What speaks against resolving it, for people. `steady` is what is known of the steady state.
    pub fn obstacles(&self, steady: Steadiness) -> Vec<String> {
        let mut found: Vec<String> = self.unsteady(steady).into_iter().collect();
        let alerts: Vec<&str> = self.alerts_firing().map(|(_, alert)| alert.name.as_str()).collect();
        if !alerts.is_empty() {
            let fires = if alerts.len() == 1 { "still fires" } else { "still fire" };
            found.push(format!("{} {fires}", named(&alerts, "alert")));
        }
        let runs: Vec<RunId> = self.runs_active().map(|(run, _)| run).collect();
        if !runs.is_empty() {
            let going = if runs.len() == 1 { "is still going" } else { "are still going" };
            found.push(format!("{} {going}", named(&runs, "run")));
        }
        found
    }

    /// Whether every alert is resolved, and every run has ended and verified recovery.
    fn looks_recovered(&self) -> bool {
        self.alerts_firing().next().is_none() && self.runs.values().all(|run| run.recovered == Some(true))
    }
}

fn named<T: ToString>(things: &[T], word: &str) -> String {
    let names: Vec<String> = things.iter().take(NAMED).map(T::to_string).collect();
    match things.len().saturating_sub(NAMED) {
        0 => format!("{word}{} {}", if things.len() == 1 { "" } else { "s" }, names.join(", ")),
        more => format!("{word}s {} and {more} more", names.join(", ")),
    }
}

impl Draft<'_> {
    /// Moves on by itself once an alert or a run has ended.
    pub(super) fn settle(&mut self, closing: Closing) -> Result<(), Rejected> {
        if !self.incident.is_open() || !self.incident.looks_recovered() {
            return Ok(());
        }
        if closing == Closing::WhenRecovered && !self.incident.runs.is_empty() {
            let reason = Some("every alert is resolved and every run has verified recovery".to_owned());
            return self.follow(Body::Resolved { verified: Some(true), reason, forced: false });
        }
        if self.incident.state != State::Monitoring {
            self.follow(Body::StateChanged { to: State::Monitoring })?;
        }
        Ok(())
    }

    pub(super) fn resolve(
        &mut self,
        steady: Steadiness,
        force: Option<&str>,
        reason: Option<&str>,
    ) -> Result<(), Rejected> {
        if self.incident.state == State::Resolved {
            return Ok(());
        }
        let force = force.map(|why| said(why, "reason to force it", LONGEST_REASON)).transpose()?;
        let reason = said_or_not(reason, "reason", LONGEST_REASON)?;
        let obstacles = self.incident.obstacles(steady);
        if !obstacles.is_empty() && force.is_none() {
            let id = self.incident.id;
            return Err(self.incident.not_now(format!("{id} is not over: {}", obstacles.join("; "))).hint(
                format!("wait for it, or say why not: `runbook incident resolve {id} --force REASON`"),
            ));
        }
        let forced = !obstacles.is_empty();
        // Of two reasons, the one that overrides is the one that must be kept.
        self.emit(Body::Resolved { verified: steady.verified(), reason: force.or(reason), forced })
    }

    pub(super) fn reopen(&mut self, reason: Option<&str>) -> Result<(), Rejected> {
        if self.incident.is_open() {
            return Ok(());
        }
        self.emit(Body::Reopened { reason: said_or_not(reason, "reason", LONGEST_REASON)? })
    }
}

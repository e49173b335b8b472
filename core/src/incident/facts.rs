//! What happens to an incident whether anybody wants it or not: its alerts and its runs.

use super::{
    AlertJoined, Body, Closing, LONGEST_NAME, LONGEST_REASON, LONGEST_TITLE, MOST_ALERTS, MOST_ESCALATIONS,
    MOST_RUNS, Rejected, RejectedKind, State,
    draft::Draft,
    said::{cut, filled, whole},
};
use crate::{
    alert::{Alert, AlertStatus},
    event::{EndStatus, RunId},
};

impl Draft<'_> {
    pub(super) fn alert_firing(&mut self, alert: &Alert) -> Result<(), Rejected> {
        if alert.status != AlertStatus::Firing {
            return Err(Rejected::new(RejectedKind::Invalid, "the alert does not fire"));
        }
        if !self.incident.is_open() {
            return Err(self.incident.has_ended("no alert joins it"));
        }
        self.join(AlertJoined {
            key: whole(&alert.key, "key of the alert")?,
            fingerprint: whole(&alert.fingerprint, "fingerprint of the alert")?,
            name: cut(&alert.name, LONGEST_NAME),
            title: title_of(alert),
            severity: filled(alert.severity.as_deref(), LONGEST_NAME),
            source: alert.source,
            // Half an address leads nowhere.
            url: alert.url.as_deref().and_then(|url| whole(url, "address").ok()),
            starts_at: alert.starts_at,
        })
    }

    pub(super) fn join(&mut self, alert: AlertJoined) -> Result<(), Rejected> {
        match self.incident.alerts.get(&alert.key) {
            Some(known) if known.status == AlertStatus::Firing => Ok(()),
            None if self.incident.alerts.len() >= MOST_ALERTS => {
                Err(self.incident.full(MOST_ALERTS, "alerts"))
            }
            _ => {
                self.emit(Body::AlertJoined(Box::new(alert)))?;
                // It looked recovered, and is not.
                if self.incident.state == State::Monitoring {
                    self.follow(Body::StateChanged { to: State::Investigating })?;
                }
                Ok(())
            }
        }
    }

    pub(super) fn alert_resolved(&mut self, key: &str, closing: Closing) -> Result<(), Rejected> {
        let key = whole(key, "key of the alert")?;
        let known = self.incident.alerts.get(&key);
        let Some(alert) = known.filter(|alert| alert.status == AlertStatus::Firing) else { return Ok(()) };
        let name = alert.name.clone();
        self.emit(Body::AlertResolved { key, name })?;
        self.settle(closing)
    }

    pub(super) fn run_started(&mut self, body: Body, run: RunId) -> Result<(), Rejected> {
        if self.incident.runs.contains_key(&run) {
            return Ok(());
        }
        if self.incident.runs.len() >= MOST_RUNS {
            return Err(self.incident.full(MOST_RUNS, "runs"));
        }
        self.emit(body)
    }

    pub(super) fn run_ended(
        &mut self,
        run: RunId,
        status: EndStatus,
        recovered: Option<bool>,
        closing: Closing,
    ) -> Result<(), Rejected> {
        let Some(known) = self.incident.runs.get(&run) else {
            let message = format!("{run} is no run of {}", self.incident.id);
            return Err(Rejected::new(RejectedKind::Invalid, message));
        };
        if known.status == Some(status) && known.recovered == recovered {
            return Ok(());
        }
        let runbook = known.runbook.clone();
        self.emit(Body::RunEnded { run, runbook, status, recovered })?;
        self.settle(closing)
    }

    pub(super) fn nothing_started(
        &mut self,
        alert: &str,
        runbook: Option<String>,
        why: &str,
    ) -> Result<(), Rejected> {
        let alert = whole(alert, "key of the alert")?;
        let runbook = runbook.map(|name| cut(&name, LONGEST_NAME));
        let why = cut(why, LONGEST_REASON);
        let held = &self.incident.held_back;
        match held.iter().find(|known| known.alert == alert && known.runbook == runbook) {
            Some(known) if known.why == why => Ok(()),
            None if held.len() >= MOST_ALERTS => Err(self.incident.full(MOST_ALERTS, "alerts held back")),
            _ => self.emit(Body::NothingStarted { alert, runbook, why }),
        }
    }
}

/// Whom one escalation names at most; who is called by groups needs no more.
const MOST_CALLED: usize = 50;

impl Draft<'_> {
    pub(super) fn escalate(&mut self, runbook: &str, to: &[String], why: &str) -> Result<(), Rejected> {
        if !self.incident.is_open() {
            return Err(self.incident.has_ended("nobody is called for it"));
        }
        if self.incident.escalations.len() >= MOST_ESCALATIONS {
            return Err(self.incident.full(MOST_ESCALATIONS, "escalations"));
        }
        let to = to.iter().take(MOST_CALLED).filter_map(|name| filled(Some(name), LONGEST_NAME)).collect();
        let (runbook, why) = (cut(runbook, LONGEST_NAME), cut(why, LONGEST_REASON));
        self.emit(Body::Escalated { runbook, to, why })
    }
}

/// One line for people, also where a detector sends none.
pub(super) fn title_of(alert: &Alert) -> String {
    let titles = [&alert.title, &alert.name].map(|text| cut(text, LONGEST_TITLE));
    titles.into_iter().find(|title| !title.is_empty()).unwrap_or_else(|| "an alert without a name".to_owned())
}

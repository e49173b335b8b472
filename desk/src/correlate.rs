//! Alerts and runs find their incident.

use runbook_core::{
    alert::Alert,
    event::{Actor, EndStatus, RunId},
    incident::{Correlation, Incident, IncidentId, Input},
    trigger::Why,
};

use crate::{DeskError, detector, kept::KeptAlert, start::Desktop};

/// Alerts of one service in one environment belong together; those of no service, by their name.
fn correlation(environment: &str, alert: &Alert) -> String {
    match &alert.service {
        Some(service) => key_of_service(environment, service),
        None => format!("{environment}/alert={}", alert.name),
    }
}

/// What the alerts of a service are correlated by.
pub fn key_of_service(environment: &str, service: &str) -> String {
    format!("{environment}/service={service}")
}

impl Desktop {
    /// The incident of a new alert: the one that is open, or another.
    pub(crate) async fn join(&mut self, id: &str, kept: &KeptAlert) -> Result<String, DeskError> {
        let matrix = self.desk.house.severity();
        let severity = matrix.level_for(kept.alert.severity.as_deref()).name.clone();
        let key = correlation(&kept.environment, &kept.alert);
        let actor = detector(&kept.hook);
        // In an incident the detectors of all doors meet: the alert goes by the desk's name for it.
        let alert = Alert { key: id.to_owned(), ..kept.alert.clone() };
        if let Some(open) = self.cases.open_with(&self.shelf(), &key).await? {
            match self.cases.say(open, Input::AlertFiring(&alert), &actor, self.now) {
                Ok(joined) => {
                    if matrix.compare(&severity, &joined.severity).is_some_and(|order| order.is_gt()) {
                        let raise =
                            Input::SetSeverity { to: severity, reason: Some(kept.alert.title.clone()) };
                        self.cases.say(open, raise, &actor, self.now)?;
                    }
                    return Ok(open.to_string());
                }
                // It takes no more: the next one goes on.
                Err(DeskError::Incident(why)) => tracing::warn!(incident = %open, %why, "another is opened"),
                Err(error) => return Err(error),
            }
        }
        let number = self.cases.next(&self.shelf()).await?;
        let correlation = Correlation { key, severity, environment: Some(kept.environment.clone()) };
        let decided = Incident::open_for(number, &alert, correlation, &actor, self.now)?;
        Ok(self.cases.opened(decided)?.id.to_string())
    }

    /// Tells an incident what has become of it; one that was merged goes on as another. What it does
    /// not take is logged: an alert is not lost because its incident is full.
    pub(crate) async fn tell(
        &mut self,
        incident: Option<&str>,
        actor: &Actor,
        input: Input<'static>,
    ) -> Result<(), DeskError> {
        let Some(mut id) = incident.and_then(|id| id.parse::<IncidentId>().ok()) else { return Ok(()) };
        let mut found = self.cases.get(&self.shelf(), id).await?;
        for _ in 0..8 {
            match found.as_ref().and_then(|incident| incident.merged_into) {
                Some(into) => {
                    id = into;
                    found = self.cases.get(&self.shelf(), id).await?;
                }
                None => break,
            }
        }
        if found.is_none() {
            return Ok(());
        }
        match self.cases.say(id, input, actor, self.now) {
            Err(DeskError::Incident(why)) => {
                tracing::warn!(incident = %id, %why, "the incident does not take it");
                Ok(())
            }
            other => other.map(drop),
        }
    }

    pub(crate) async fn tell_of_nothing(
        &mut self,
        kept: &KeptAlert,
        alert: &str,
        runbook: Option<String>,
        why: &Why,
    ) -> Result<(), DeskError> {
        let input = Input::NothingStarted { alert: alert.to_owned(), runbook, why: why.to_string() };
        self.tell(kept.incident.as_deref(), &detector(&kept.hook), input).await
    }

    pub(crate) async fn tell_of_end(
        &mut self,
        incident: Option<&str>,
        run: RunId,
        status: EndStatus,
        recovered: Option<bool>,
    ) -> Result<(), DeskError> {
        let closing = self.desk.house.closing();
        self.tell(incident, &Actor::engine(), Input::RunEnded { run, status, recovered, closing }).await
    }
}

//! What follows from the alerts of one delivery.

use runbook_core::{
    alert::{Alert, AlertStatus},
    incident::Input,
    trigger::{self, Wanted, Why},
};
use runbook_journal::DocumentQuery;

use crate::{
    DeskError, detector,
    kept::{self, Delivery, DeliveryState, Held, KeptAlert, Outcome, alert_id, held_id},
    start::Desktop,
};

/// How many firing alerts are looked through for those of one fingerprint.
const MOST_FIRING: usize = 1_000;

impl Desktop {
    /// Works a delivery out, whole.
    pub(crate) async fn deliver(&mut self, id: &str, mut delivery: Delivery) -> Result<(), DeskError> {
        for alert in delivery.alerts.clone() {
            let outcomes = self.alert(&delivery, alert).await?;
            delivery.outcomes.extend(outcomes);
        }
        delivery.state = DeliveryState::Done;
        self.deliveries.change(&self.shelf(), id, delivery).await?;
        Ok(())
    }

    async fn alert(&mut self, delivery: &Delivery, alert: Alert) -> Result<Vec<Outcome>, DeskError> {
        let id = alert_id(&delivery.hook, &alert.key);
        let known = self.alerts.read(&self.shelf(), &id).await?.cloned();
        match (known, alert.status) {
            (Some(known), status) if known.alert.status == status => self.repeated(&id, known, alert).await,
            (Some(known), AlertStatus::Resolved) => self.resolved(&id, known, alert).await,
            // Messages overtake each other: what is over does not begin again.
            (Some(_), AlertStatus::Firing) => Ok(vec![self.nothing(&id, None, Why::OutOfDate)]),
            (None, AlertStatus::Firing) => self.firing(&id, delivery, alert).await,
            (None, AlertStatus::Resolved) if alert.key == alert.fingerprint => {
                self.all_resolved(delivery, alert).await
            }
            (None, AlertStatus::Resolved) => {
                let mut kept = self.kept(delivery, alert);
                let outcome = self.nothing(&id, None, Why::Resolved);
                kept.note(outcome.clone());
                self.alerts.change(&self.shelf(), &id, kept).await?;
                Ok(vec![outcome])
            }
        }
    }

    /// The detector does not say which firing is over: all of this fingerprint are.
    async fn all_resolved(&mut self, delivery: &Delivery, alert: Alert) -> Result<Vec<Outcome>, DeskError> {
        let firing = DocumentQuery {
            state: Some("firing".to_owned()),
            limit: MOST_FIRING,
            ..DocumentQuery::default()
        };
        let mut outcomes = Vec::new();
        for found in kept::list::<KeptAlert>(&self.shelf(), firing).await? {
            let KeptAlert { hook, alert: known, .. } = &found.value;
            if *hook == delivery.hook && known.fingerprint == alert.fingerprint {
                let ended = Alert { key: known.key.clone(), starts_at: known.starts_at, ..alert.clone() };
                let known = self.alerts.read(&self.shelf(), &found.id).await?.cloned();
                if let Some(known) = known.filter(KeptAlert::is_firing) {
                    outcomes.extend(self.resolved(&found.id, known, ended).await?);
                }
            }
        }
        if outcomes.is_empty() {
            outcomes.push(self.nothing(&alert_id(&delivery.hook, &alert.key), None, Why::Resolved));
        }
        Ok(outcomes)
    }

    fn kept(&self, delivery: &Delivery, alert: Alert) -> KeptAlert {
        KeptAlert {
            hook: delivery.hook.clone(),
            environment: delivery.environment.clone(),
            alert,
            first_at: delivery.received_at,
            last_at: delivery.received_at,
            repeats: 0,
            trace_parent: delivery.trace_parent.clone(),
            incident: None,
            outcomes: Vec::new(),
        }
    }

    async fn repeated(
        &mut self,
        id: &str,
        mut known: KeptAlert,
        alert: Alert,
    ) -> Result<Vec<Outcome>, DeskError> {
        known.repeats = known.repeats.saturating_add(1);
        known.last_at = self.now;
        known.alert = alert;
        self.alerts.change(&self.shelf(), id, known).await?;
        Ok(vec![self.nothing(id, None, Why::Repeated)])
    }

    async fn resolved(
        &mut self,
        id: &str,
        mut known: KeptAlert,
        alert: Alert,
    ) -> Result<Vec<Outcome>, DeskError> {
        let ends_at = alert.ends_at;
        known.alert = alert;
        known.last_at = self.now;
        let mut outcomes = vec![self.nothing(id, None, Why::Resolved)];
        let held = DocumentQuery { parent: Some(id.to_owned()), ..DocumentQuery::default() };
        for held in kept::list::<Held>(&self.shelf(), held).await? {
            self.held.remove(&self.shelf(), &held.id).await?;
            outcomes.push(self.nothing(id, Some(held.value.wanted.runbook), Why::ResolvedMeanwhile));
        }
        for outcome in &outcomes {
            known.note(outcome.clone());
        }
        let over = Input::AlertResolved { key: id.to_owned(), closing: self.desk.house.closing() };
        self.tell(known.incident.as_deref(), &detector(&known.hook), over).await?;
        let runs = known.outcomes.iter().filter_map(|outcome| outcome.started);
        self.over.extend(runs.map(|run| (run, ends_at)));
        self.alerts.change(&self.shelf(), id, known).await?;
        Ok(outcomes)
    }

    async fn firing(
        &mut self,
        id: &str,
        delivery: &Delivery,
        alert: Alert,
    ) -> Result<Vec<Outcome>, DeskError> {
        let mut kept = self.kept(delivery, alert);
        kept.incident = Some(self.join(id, &kept).await?);
        let mut outcomes = Vec::new();
        for runbook in self.desk.house.runbooks() {
            match trigger::wanted(&runbook, &kept.alert) {
                Ok(None) => {}
                Ok(Some(wanted)) => outcomes.push(self.wanted(id, &kept, wanted).await?),
                Err(why) => {
                    let runbook = Some(runbook.name.clone());
                    self.tell_of_nothing(&kept, id, runbook.clone(), &why).await?;
                    outcomes.push(self.nothing(id, runbook, why));
                }
            }
        }
        if outcomes.is_empty() {
            self.tell_of_nothing(&kept, id, None, &Why::NoRunbook).await?;
            outcomes.push(self.nothing(id, None, Why::NoRunbook));
        }
        for outcome in &outcomes {
            kept.note(outcome.clone());
        }
        self.alerts.change(&self.shelf(), id, kept).await?;
        Ok(outcomes)
    }

    async fn wanted(&mut self, id: &str, kept: &KeptAlert, wanted: Wanted) -> Result<Outcome, DeskError> {
        let Some(hold) = wanted.hold else { return self.start(id, kept, &wanted).await };
        let runbook = wanted.runbook.clone();
        let due = hold.after(self.now);
        let held = Held { alert: id.to_owned(), environment: kept.environment.clone(), wanted, due };
        self.held.change(&self.shelf(), &held_id(id, &runbook), held).await?;
        let why = Why::Held { until: due };
        self.tell_of_nothing(kept, id, Some(runbook.clone()), &why).await?;
        Ok(self.nothing(id, Some(runbook), why))
    }

    /// What was held is due: it starts if the alert has lasted.
    pub(crate) async fn due(&mut self, id: &str, held: Held) -> Result<(), DeskError> {
        self.held.remove(&self.shelf(), id).await?;
        let Some(mut kept) = self.alerts.read(&self.shelf(), &held.alert).await?.cloned() else {
            return Ok(());
        };
        let outcome = if kept.is_firing() {
            self.start(&held.alert, &kept, &held.wanted).await?
        } else {
            self.nothing(&held.alert, Some(held.wanted.runbook), Why::ResolvedMeanwhile)
        };
        kept.note(outcome);
        self.alerts.change(&self.shelf(), &held.alert, kept).await?;
        Ok(())
    }

    pub(crate) fn nothing(&self, alert: &str, runbook: Option<String>, why: Why) -> Outcome {
        Outcome { alert: alert.to_owned(), at: self.now, runbook, started: None, nothing: Some(why) }
    }
}

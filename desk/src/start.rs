//! Runs that alerts start: one at a time for each group.

use std::sync::Arc;

use runbook_core::{
    Timestamp, Value,
    event::{Actor, RunId},
    incident::Input,
    trigger::{Wanted, Why},
};
use runbook_engine::scope;
use runbook_journal::{Shelf, Write};

use crate::{
    Desk, DeskError, Start,
    cases::Cases,
    detector,
    kept::{Delivery, Group, Held, KeptAlert, Outcome, Started, group_id},
    sheet::Pages,
};

/// One piece of work on the desk: what was read, what is to be written, and what is to be said once
/// that is on disk.
#[derive(Debug)]
pub(crate) struct Desktop {
    pub(crate) desk: Desk,
    pub(crate) now: Timestamp,
    pub(crate) deliveries: Pages<Delivery>,
    pub(crate) alerts: Pages<KeptAlert>,
    pub(crate) groups: Pages<Group>,
    pub(crate) held: Pages<Held>,
    pub(crate) started: Pages<Started>,
    pub(crate) cases: Cases,
    /// The first entries of the runs that begin.
    pub(crate) begun: Vec<Write>,
    /// Those runs, for the log: with the runbook, and the incident that they belong to.
    pub(crate) began: Vec<(RunId, String, Option<String>)>,
    /// Runs whose alert is over, with when that was.
    pub(crate) over: Vec<(RunId, Option<Timestamp>)>,
}

impl Desktop {
    pub(crate) fn new(desk: &Desk) -> Self {
        Self {
            desk: desk.clone(),
            now: desk.now(),
            deliveries: Pages::default(),
            alerts: Pages::default(),
            groups: Pages::default(),
            held: Pages::default(),
            started: Pages::default(),
            cases: Cases::over(&desk.memory),
            begun: Vec::new(),
            began: Vec::new(),
            over: Vec::new(),
        }
    }

    pub(crate) fn shelf(&self) -> Arc<dyn Shelf> {
        self.desk.shelf.clone()
    }

    /// All that is to be written, together.
    pub(crate) fn writes(&mut self) -> Result<Vec<Write>, DeskError> {
        let mut writes = std::mem::take(&mut self.begun);
        writes.extend(self.deliveries.writes()?);
        writes.extend(self.alerts.writes()?);
        writes.extend(self.groups.writes()?);
        writes.extend(self.held.writes()?);
        writes.extend(self.started.writes()?);
        writes.extend(self.cases.writes()?);
        Ok(writes)
    }

    /// Starts what an alert wants, or says why not.
    pub(crate) async fn start(
        &mut self,
        alert: &str,
        kept: &KeptAlert,
        wanted: &Wanted,
    ) -> Result<Outcome, DeskError> {
        let environment = &kept.environment;
        let id = group_id(environment, &wanted.runbook, &wanted.group);
        let group = self.groups.read(&self.shelf(), &id).await?.cloned();
        let mut group = group.unwrap_or_else(|| Group {
            runbook: wanted.runbook.clone(),
            environment: environment.clone(),
            group: wanted.group.clone(),
            past: Default::default(),
            changed_at: self.now,
        });
        let runbook = Some(wanted.runbook.clone());
        if let Err(why) = group.past.allows(wanted, self.now) {
            self.tell_of_nothing(kept, alert, runbook.clone(), &why).await?;
            if let Why::MaxRuns { within, .. } = &why
                && group.past.calls(*within, self.now)
            {
                self.call_people(kept, &wanted.runbook, &why).await?;
                self.groups.change(&self.shelf(), &id, group).await?;
            }
            return Ok(self.nothing(alert, runbook, why));
        }
        let start = Start {
            runbook: wanted.runbook.clone(),
            inputs: wanted.inputs.clone(),
            environment: environment.clone(),
            // An alert always serializes: it is plain data with texts as keys.
            alert: serde_json::to_value(&kept.alert).unwrap_or(Value::Null),
            incident: kept.incident.clone(),
            reason: Some(kept.alert.title.clone()),
            trace_parent: kept.trace_parent.clone(),
        };
        let begun = match self.begin(&start, detector(&kept.hook)).await {
            Ok(begun) => begun,
            Err(message) => {
                let why = Why::Unusable { message };
                self.tell_of_nothing(kept, alert, runbook.clone(), &why).await?;
                return Ok(self.nothing(alert, runbook, why));
            }
        };
        let input = Input::RunStarted {
            run: begun,
            runbook: wanted.runbook.clone(),
            environment: environment.clone(),
            alert: Some(alert.to_owned()),
        };
        self.tell(kept.incident.as_deref(), &detector(&kept.hook), input).await?;
        group.past.began(begun, self.now);
        group.changed_at = self.now;
        let started = Started {
            run: begun,
            runbook: wanted.runbook.clone(),
            environment: environment.clone(),
            at: self.now,
            group: Some(id.clone()),
            alert: Some(alert.to_owned()),
            incident: kept.incident.clone(),
            settled: false,
        };
        self.groups.change(&self.shelf(), &id, group).await?;
        self.started.change(&self.shelf(), &begun.to_string(), started).await?;
        Ok(Outcome { alert: alert.to_owned(), at: self.now, runbook, started: Some(begun), nothing: None })
    }

    /// Running again has not helped: those are called whom the runbook names for that, else its owners.
    async fn call_people(&mut self, kept: &KeptAlert, runbook: &str, why: &Why) -> Result<(), DeskError> {
        let runbooks = self.desk.house.runbooks();
        let found = runbooks.iter().find(|found| found.name == runbook);
        let to = found.map(|found| match &found.escalation {
            Some(escalation) => escalation.to.clone(),
            None => found.owners.clone(),
        });
        let input =
            Input::Escalate { runbook: runbook.to_owned(), to: to.unwrap_or_default(), why: why.to_string() };
        self.tell(kept.incident.as_deref(), &detector(&kept.hook), input).await
    }

    /// What is known of a run that a person has started.
    pub(crate) async fn begun_by_a_person(
        &mut self,
        run: RunId,
        start: &Start,
        actor: &Actor,
    ) -> Result<(), DeskError> {
        // What names an incident of another system is only a word here.
        if let Some(id) = start.incident.as_deref().and_then(|id| id.parse().ok())
            && self.cases.get(&self.shelf(), id).await?.is_none()
        {
            return Err(DeskError::UnknownIncident(id));
        }
        let started = Started {
            run,
            runbook: start.runbook.clone(),
            environment: start.environment.clone(),
            at: self.now,
            group: None,
            alert: None,
            incident: start.incident.clone(),
            settled: false,
        };
        self.started.change(&self.shelf(), &run.to_string(), started).await?;
        let input = Input::RunStarted {
            run,
            runbook: start.runbook.clone(),
            environment: start.environment.clone(),
            alert: None,
        };
        self.tell(start.incident.as_deref(), actor, input).await
    }

    pub(crate) async fn begin(&mut self, start: &Start, actor: Actor) -> Result<RunId, String> {
        let engine = self.desk.house.engine(&start.environment).await?;
        let created = self.desk.house.created(start).await?;
        let (run, batch) = engine.draft(created, actor).map_err(|error| error.to_string())?;
        self.begun.push(Write::Append(batch));
        self.began.push((run, start.runbook.clone(), start.incident.clone()));
        Ok(run)
    }

    /// Once it is on disk.
    pub(crate) fn tell_what_began(&self) {
        for (run, runbook, incident) in &self.began {
            let _scope = scope(*run, incident.as_deref()).entered();
            tracing::info!(runbook, "a run began");
        }
    }
}

//! What the pages show of incidents: lists, timelines, what their runs ask.

use std::sync::Arc;

use runbook_core::{
    incident::{Incident, Summary},
    run::Run,
};
use runbook_desk::{cases::Head, kept};
use runbook_journal::DocumentQuery;

use crate::{
    api::page::{Paging, cursor},
    gate::Caller,
    problem::Problem,
    site::Site,
};

/// Incidents, the newest first: `open`, `resolved`, `merged` or all; and where the next page begins.
pub async fn list(
    site: &Site,
    state: Option<&str>,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<Summary>, Option<String>), Problem> {
    let query = DocumentQuery {
        state: state.map(str::to_owned),
        after: Paging { limit: None, after: after.map(str::to_owned) }.place()?,
        limit,
        ..DocumentQuery::default()
    };
    let found = kept::list::<Head>(site.shelf(), query).await?;
    let next = found.last().filter(|_| found.len() == limit);
    let next = next.map(|last| cursor((last.value.summary.opened_at, &last.id)));
    Ok((found.into_iter().map(|found| found.value.summary).collect(), next))
}

/// The runs of an incident that wait for people.
pub async fn asking(site: &Site, caller: &Caller, incident: &Incident) -> Result<Vec<Arc<Run>>, Problem> {
    let mut asking = Vec::new();
    for (run, about) in incident.runs_active() {
        if caller.sees(&about.environment, &about.runbook) {
            let run = site.records.shared(run).await?;
            if run.questions().next().is_some() {
                asking.push(run);
            }
        }
    }
    Ok(asking)
}

/// The levels of severity, the gravest first.
pub fn levels(site: &Site) -> Vec<String> {
    site.project.severity().levels().iter().map(|level| level.name.clone()).collect()
}

/// The level of an incident of which nobody has said how grave it is.
pub fn default_level(site: &Site) -> String {
    site.project.severity().default_level().name.clone()
}

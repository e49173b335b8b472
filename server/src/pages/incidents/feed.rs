//! Where incidents come from: the only part of these pages that asks the desk.

use std::sync::Arc;

use runbook_core::{
    incident::{Incident, IncidentId, Input, Opening, Summary},
    run::Run,
    timeline::{self, Entry},
};
use runbook_desk::{cases::Head, kept};
use runbook_identity::{Permission, Scope};
use runbook_journal::DocumentQuery;

use super::{scope, sees};
use crate::{
    api::page::{Paging, cursor},
    gate::Caller,
    problem::Problem,
    site::Site,
};

/// Of how many runs of an incident the entries stand in its timeline; the latest ones.
const MOST_RUNS: usize = 10;

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

/// An incident that the caller may see; to others it is not there.
pub async fn load(site: &Site, caller: &Caller, id: &str) -> Result<Arc<Incident>, Problem> {
    let missing = || Problem::missing("incident", id);
    let incident = site.desk.incident(id.parse().map_err(|_| missing())?).await?;
    if sees(caller, incident.environment.as_deref()) { Ok(incident) } else { Err(missing()) }
}

/// What happened in it and in its runs, in one order.
pub async fn timeline(site: &Site, caller: &Caller, incident: &Incident) -> Result<Vec<Entry>, Problem> {
    let mut entries = site.desk.timeline(incident.id).await?;
    let seen = incident.runs.iter().filter(|(_, run)| caller.sees(&run.environment, &run.runbook));
    for (run, _) in seen.rev().take(MOST_RUNS) {
        entries.extend(timeline::entries(&site.records.history(*run).await?, *run));
    }
    Ok(timeline::in_order(entries))
}

/// The runs of an incident that wait for people.
pub async fn asking(site: &Site, caller: &Caller, incident: &Incident) -> Result<Vec<Run>, Problem> {
    let mut asking = Vec::new();
    for (run, about) in incident.runs_active().take(MOST_RUNS) {
        if caller.sees(&about.environment, &about.runbook) {
            let run = site.records.load(run).await?;
            if run.questions().next().is_some() {
                asking.push(run);
            }
        }
    }
    Ok(asking)
}

/// Says something to an incident on behalf of somebody who may.
pub async fn say(
    site: &Site,
    caller: &Caller,
    id: &str,
    permission: Permission,
    input: Input<'static>,
) -> Result<(), Problem> {
    let incident = load(site, caller, id).await?;
    caller.may(permission, scope(incident.environment.as_deref()))?;
    site.desk.say(incident.id, &caller.identity.actor(), || input.clone()).await?;
    Ok(())
}

pub async fn declare(site: &Site, caller: &Caller, opening: Opening) -> Result<IncidentId, Problem> {
    caller.may(
        Permission::Declare,
        opening.environment.as_deref().map_or(Scope::NOTHING, Scope::environment),
    )?;
    Ok(site.desk.declare(opening, &caller.identity.actor()).await?.id)
}

/// The levels of severity, the gravest first.
pub fn levels(site: &Site) -> Vec<String> {
    site.project.severity().levels().iter().map(|level| level.name.clone()).collect()
}

/// The level of an incident of which nobody has said how grave it is.
pub fn default_level(site: &Site) -> String {
    site.project.severity().default_level().name.clone()
}

//! Where incidents come from: the only part of these pages that asks the desk.

use runbook_core::{
    incident::{Incident, IncidentId, Input, Opening, Summary},
    timeline::Entry,
};
use runbook_identity::Permission;

use crate::{gate::Caller, problem::Problem, site::Site};

/// Incidents, the newest first: `open`, `resolved`, `merged` or all; and where the next page begins.
pub async fn list(
    _site: &Site,
    _state: Option<&str>,
    _after: Option<&str>,
    _limit: usize,
) -> Result<(Vec<Summary>, Option<String>), Problem> {
    Ok((Vec::new(), None))
}

/// An incident that the caller may see; to others it is not there.
pub async fn load(_site: &Site, _caller: &Caller, id: &str) -> Result<Incident, Problem> {
    Err(Problem::missing("incident", id))
}

/// What happened in it and in its runs, in one order.
pub async fn timeline(_site: &Site, _caller: &Caller, _incident: &Incident) -> Result<Vec<Entry>, Problem> {
    Ok(Vec::new())
}

/// Says something to an incident on behalf of somebody who may.
pub async fn say(
    _site: &Site,
    _caller: &Caller,
    id: &str,
    _permission: Permission,
    _input: Input<'static>,
) -> Result<(), Problem> {
    Err(Problem::missing("incident", id))
}

pub async fn declare(_site: &Site, _caller: &Caller, _opening: Opening) -> Result<IncidentId, Problem> {
    Err(Problem::unavailable("incidents are not kept here"))
}

/// The levels of severity, the gravest first.
pub fn levels(_site: &Site) -> Vec<String> {
    Vec::new()
}

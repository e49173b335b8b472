//! Incidents: listed, told, declared, worked on, resolved.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use runbook_core::{
    Value,
    incident::{AttachedRun, Incident, IncidentId, Input, Opening, Origin, Role, State as Standing},
};
use runbook_desk::{
    cases::Head,
    kept,
    latest::{Part, Place},
};
use runbook_identity::{Permission, Scope};
use runbook_journal::DocumentQuery;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    ReadProblems, WriteProblems, documents,
    page::{Asked, Page, Paging, Path, cursor, story_cursor},
    runs::bounded,
    schemas,
};
use crate::{
    gate::Caller,
    problem::{Body, Problem},
    site::Site,
};

/// Which incidents.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// `open`, `resolved` or `merged`.
    pub state: Option<String>,
    /// At most this many, 1 to 500; 50 where it is not said.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<usize>,
    /// The `next` of the page before.
    pub after: Option<String>,
}

/// List incidents, newest first.
#[utoipa::path(get, path = "/api/v1/incidents", tag = "incidents", operation_id = "list_incidents", params(Filter),
    responses((status = 200, body = documents::IncidentPage), ReadProblems))]
pub async fn list(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Asked(filter): Asked<Filter>,
) -> Result<Json<Page>, Problem> {
    let paging = Paging { limit: filter.limit, after: filter.after };
    let limit = paging.limit()?;
    let query =
        DocumentQuery { state: filter.state, after: paging.place()?, limit, ..DocumentQuery::default() };
    let found = kept::list::<Head>(site.shelf(), query).await?;
    let next = found
        .last()
        .filter(|_| found.len() == limit)
        .map(|last| cursor((last.value.summary.opened_at, &last.id)));
    let seen = found.iter().filter(|found| sees(&caller, found.value.summary.environment.as_deref()));
    let items = seen.map(|found| found.value.summary.document());
    Ok(Json(Page { items: items.collect(), next }))
}

pub fn scope(environment: Option<&str>) -> Scope<'_> {
    environment.map_or(Scope::NOTHING, Scope::environment)
}

pub fn sees(caller: &Caller, environment: Option<&str>) -> bool {
    caller.may(Permission::Read, scope(environment)).is_ok()
}

/// An incident that the caller may see; to others it is not there.
pub async fn load(site: &Site, caller: &Caller, id: &str) -> Result<Arc<Incident>, Problem> {
    let missing = || Problem::missing("incident", id);
    let number: IncidentId = id.parse().map_err(|_| missing())?;
    let incident = site.desk.incident(number).await?;
    if sees(caller, incident.environment.as_deref()) { Ok(incident) } else { Err(missing()) }
}

/// One incident.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "incidents", operation_id = "show_incident", params(("id" = String, Path)),
    responses((status = 200, body = documents::Incident), ReadProblems))]
pub async fn one(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(load(&site, &caller, &id).await?.document()))
}

/// Alerts, runs, approvals, notes: everything that happened, in one order, the newest first.
#[utoipa::path(get, path = "/api/v1/incidents/{id}/timeline", tag = "incidents", operation_id = "incident_timeline", params(("id" = String, Path), Paging),
    responses((status = 200, body = documents::TimelinePage), ReadProblems))]
pub async fn timeline(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page>, Problem> {
    let incident = load(&site, &caller, &id).await?;
    let story = told(&site, &caller, &incident, paging.story()?, paging.limit()?).await?;
    // An entry always serializes: it is plain data with texts as keys.
    let items = story.entries.iter().map(|entry| serde_json::to_value(entry).unwrap_or(Value::Null));
    Ok(Json(Page { items: items.collect(), next: story.next.map(story_cursor) }))
}

/// The entries of an incident and of those of its runs that the caller sees.
pub async fn told(
    site: &Site,
    caller: &Caller,
    incident: &Incident,
    before: Option<Place>,
    limit: usize,
) -> Result<Part, Problem> {
    let sees = |run: &AttachedRun| caller.sees(&run.environment, &run.runbook);
    Ok(site.desk.story_before(incident, sees, before, limit).await?)
}

/// An incident that a person declares.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Declare {
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    /// A level of the severity matrix, or a word that it knows; the default level, where it is not
    /// said.
    pub severity: Option<String>,
    pub service: Option<String>,
    pub environment: Option<String>,
    pub description: Option<String>,
}

/// Declare an incident.
#[utoipa::path(post, path = "/api/v1/incidents", tag = "incidents", operation_id = "declare_incident", request_body = Declare,
    responses((status = 201, body = documents::Incident), WriteProblems))]
pub async fn declare(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Body(said): Body<Declare>,
) -> Result<Response, Problem> {
    let incident = declared(&site, &caller, said).await?;
    Ok((StatusCode::CREATED, Json(incident.document())).into_response())
}

pub async fn declared(site: &Site, caller: &Caller, said: Declare) -> Result<Arc<Incident>, Problem> {
    let environment = site.environment(said.environment.as_deref())?;
    caller.may(Permission::Declare, Scope::environment(&environment))?;
    let severity = match &said.severity {
        Some(word) => level(site, word)?,
        None => site.project.severity().default_level().name.clone(),
    };
    // The key that its service's alerts have, so that they join it.
    let key = said.service.as_ref().map(|service| runbook_desk::key_of_service(&environment, service));
    let opening = Opening {
        title: said.title,
        severity,
        service: said.service,
        environment: Some(environment),
        key: key.unwrap_or_default(),
        description: said.description,
        origin: Origin::Person,
    };
    Ok(site.desk.declare(opening, &caller.identity.actor()).await?)
}

/// The level of a word of the matrix.
fn level(site: &Site, word: &str) -> Result<String, Problem> {
    let matrix = site.project.severity();
    let level = matrix.named(word).map(|level| level.name.clone());
    level.map_err(|error| Problem::invalid(error.to_string()).hint(error.hint()))
}

/// Something that is said to an incident.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(tag = "say", rename_all = "snake_case", deny_unknown_fields)]
pub enum Say {
    /// Somebody takes it on.
    Acknowledge {},
    Note {
        #[schema(min_length = 1, max_length = 10_000)]
        text: String,
    },
    Severity {
        to: String,
        reason: Option<String>,
    },
    State {
        #[schema(schema_with = schemas::open_state)]
        to: Standing,
    },
    Assign {
        #[schema(schema_with = schemas::incident_role)]
        role: String,
        person: String,
    },
    Leave {
        #[schema(schema_with = schemas::incident_role)]
        role: String,
        person: String,
    },
    Link {
        other: String,
    },
    /// It goes on as another incident.
    Merge {
        into: String,
    },
    /// The steady states of its runs are looked at first, which may take ten seconds. Refused while
    /// something speaks against it, unless `force` says why all the same.
    Resolve {
        reason: Option<String>,
        force: Option<String>,
    },
    Reopen {
        reason: Option<String>,
    },
}

/// Say something to an incident: acknowledge it, note something, change its severity or its state, assign
/// a role, link, merge, resolve, reopen.
#[utoipa::path(post, path = "/api/v1/incidents/{id}", tag = "incidents", operation_id = "say_to_incident", params(("id" = String, Path)),
    request_body = Say,
    responses((status = 200, body = documents::Incident), WriteProblems))]
pub async fn say(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(said): Body<Say>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(said_to(&site, &caller, &id, said).await?.document()))
}

pub async fn said_to(site: &Site, caller: &Caller, id: &str, said: Say) -> Result<Arc<Incident>, Problem> {
    let incident = load(site, caller, id).await?;
    let permission = match &said {
        Say::Acknowledge {} => Permission::Acknowledge,
        Say::Resolve { .. } | Say::Reopen { .. } => Permission::Resolve,
        _ => Permission::Note,
    };
    caller.may(permission, scope(incident.environment.as_deref()))?;
    let actor = caller.identity.actor();
    let other = async |other: &str| load(site, caller, other).await.map(|other| other.id);
    let input = match said {
        Say::Link { other: id } => return Ok(site.desk.link(incident.id, other(&id).await?, &actor).await?),
        Say::Merge { into } => return Ok(site.desk.merge(incident.id, other(&into).await?, &actor).await?),
        Say::Resolve { reason, force } => {
            let (reason, force) = (bounded(reason)?, bounded(force)?);
            return Ok(site.desk.resolve(incident.id, &actor, reason, force).await?);
        }
        said => input(site, said)?,
    };
    Ok(site.desk.say(incident.id, &actor, move || input.clone()).await?)
}

fn input(site: &Site, said: Say) -> Result<Input<'static>, Problem> {
    let role = |role: &str| role.parse::<Role>().map_err(|error| Problem::invalid(error.to_string()));
    Ok(match said {
        Say::Acknowledge {} => Input::Acknowledge,
        Say::Note { text } => Input::Note { text },
        Say::Severity { to, reason } => {
            Input::SetSeverity { to: level(site, &to)?, reason: bounded(reason)? }
        }
        Say::State { to } => Input::SetState { to },
        Say::Assign { role: name, person } => Input::Assign { role: role(&name)?, person },
        Say::Leave { role: name, person } => Input::Leave { role: role(&name)?, person },
        Say::Reopen { reason } => Input::Reopen { reason: bounded(reason)? },
        Say::Link { .. } | Say::Merge { .. } | Say::Resolve { .. } => {
            return Err(Problem::invalid("it takes more than this incident"));
        }
    })
}

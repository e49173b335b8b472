//! Runs: listed, told, started, cancelled, taken back.

use std::{str::FromStr as _, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use runbook_core::{
    Timestamp, Value,
    event::RunId,
    inputs, report,
    run::{Input, Run},
    timeline,
};
use runbook_desk::Start;
use runbook_identity::{Permission, Scope};
use runbook_journal::RunQuery;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    ReadProblems, WriteProblems, documents,
    page::{Asked, Page, Paging, Path},
};
use crate::{
    gate::Caller,
    ops::Mark,
    problem::{Body, Problem},
    site::Site,
};

/// Which runs.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    pub runbook: Option<String>,
    pub environment: Option<String>,
    /// `running`, `waiting`, or how it ended.
    pub status: Option<String>,
    pub incident: Option<String>,
    /// Runs that started then or later.
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// At most this many, 1 to 500; 50 where it is not said.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<usize>,
    /// The `next` of the page before.
    pub after: Option<String>,
}

/// List runs, newest first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", operation_id = "list_runs", params(Filter),
    responses((status = 200, body = documents::RunPage), ReadProblems))]
pub async fn list(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Asked(filter): Asked<Filter>,
) -> Result<Json<Page>, Problem> {
    let limit = Paging { limit: filter.limit, after: None }.limit()?;
    let before = filter.after.as_deref().map(parse).transpose()?;
    let query = RunQuery {
        runbook: filter.runbook,
        environment: filter.environment,
        status: filter.status,
        incident: filter.incident,
        since: filter.since,
        before,
        limit,
    };
    let heads = site.records.runs(&query).await?;
    let next = heads.last().filter(|_| heads.len() == limit).map(|last| last.run.to_string());
    let seen = heads.iter().filter(|head| caller.sees(&head.summary.environment, &head.summary.runbook));
    Ok(Json(Page { items: seen.map(|head| head.document()).collect(), next }))
}

/// A run that is to begin.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRun {
    pub runbook: String,
    /// The default one, where it is not said.
    pub environment: Option<String>,
    #[serde(default)]
    #[schema(value_type = Object)]
    pub inputs: Value,
    /// Foresee what it would do, and change nothing: answered with the whole plan.
    #[serde(default)]
    pub dry_run: bool,
    /// Why, for the timeline.
    pub reason: Option<String>,
    pub incident: Option<String>,
}

/// A run that has begun.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Begun {
    #[schema(value_type = String)]
    pub run: RunId,
}

/// The longest reason or comment, in characters.
const LONGEST: usize = 2_000;

/// Start a run, or foresee one.
#[utoipa::path(post, path = "/api/v1/runs", tag = "runs", operation_id = "start_run", request_body = NewRun,
    responses((status = 201, body = Begun), (status = 200, description = "the plan of a dry-run", body = documents::Run), WriteProblems))]
pub async fn start(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Body(new): Body<NewRun>,
) -> Result<Response, Problem> {
    let environment = site.environment(new.environment.as_deref())?;
    let permission = if new.dry_run { Permission::DryRun } else { Permission::Start };
    caller.may(permission, Scope::of(&environment, &new.runbook))?;
    let start = sound(&site, &environment, new.clone())?;
    if new.dry_run {
        let (run, writes) =
            site.project.dry_run(&start, &caller.identity.name).await.map_err(Problem::invalid)?;
        return Ok(Json(report::document(&run, writes)).into_response());
    }
    let run = begin(&site, &caller, &start).await?;
    Ok((StatusCode::CREATED, Json(Begun { run })).into_response())
}

/// What is to begin, with its inputs resolved.
pub fn sound(site: &Site, environment: &str, new: NewRun) -> Result<Start, Problem> {
    let catalog = site.project.catalog();
    let facts = catalog.get(&new.runbook).ok_or_else(|| Problem::missing("runbook", &new.runbook))?;
    if let Some(error) = facts.findings.iter().find(|finding| finding.is_error()) {
        return Err(Problem::invalid(format!("`{}` has an error: {}", new.runbook, error.message)));
    }
    let inputs = inputs::resolve(&facts.runbook.inputs, &new.inputs).map_err(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Problem::invalid(told.join("; "))
    })?;
    for (name, text) in [("reason", &new.reason), ("incident", &new.incident)] {
        if text.as_ref().is_some_and(|text| text.chars().count() > LONGEST) {
            return Err(Problem::invalid(format!("`{name}` has more than {LONGEST} characters")));
        }
    }
    Ok(Start {
        runbook: new.runbook,
        inputs,
        environment: environment.to_owned(),
        alert: Value::Null,
        incident: new.incident,
        reason: new.reason,
        trace_parent: None,
    })
}

pub async fn begin(site: &Site, caller: &Caller, start: &Start) -> Result<RunId, Problem> {
    let start = Start { trace_parent: caller.mark.as_ref().and_then(Mark::trace_parent), ..start.clone() };
    let run = site.desk.start(&start, &caller.identity.actor()).await?;
    if let Some(mark) = &caller.mark {
        mark.is_about(run);
    }
    Ok(run)
}

/// A run, step by step.
#[utoipa::path(get, path = "/api/v1/runs/{run}", tag = "runs", operation_id = "show_run", params(("run" = String, Path)),
    responses((status = 200, body = documents::Run), ReadProblems))]
pub async fn one(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(run): Path<String>,
) -> Result<Json<Value>, Problem> {
    let run = load(&site, &caller, &run).await?;
    Ok(Json(report::document(&run, 0)))
}

/// What happened in a run, entry by entry, from its beginning.
#[utoipa::path(get, path = "/api/v1/runs/{run}/timeline", tag = "runs", operation_id = "run_timeline", params(("run" = String, Path), Paging),
    responses((status = 200, body = documents::TimelinePage), ReadProblems))]
pub async fn timeline(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(run): Path<String>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page>, Problem> {
    let limit = paging.limit()?;
    let wrong = |_| Problem::invalid("`after` is not the `next` of a page");
    let after: u64 = paging.after.as_deref().map_or(Ok(0), str::parse).map_err(wrong)?;
    let run = load(&site, &caller, &run).await?.id;
    let part = site.records.part(run, after, limit).await?;
    let next = part.last().filter(|_| part.len() == limit).map(|(last, _)| last.seq.to_string());
    let entries = timeline::entries(&part, run);
    // An entry always serializes: it is plain data with texts as keys.
    let items = entries.iter().map(|entry| serde_json::to_value(entry).unwrap_or(Value::Null));
    Ok(Json(Page { items: items.collect(), next }))
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRun {
    /// Take its changes back.
    #[serde(default)]
    pub undo: bool,
    pub reason: Option<String>,
}

/// Cancel a run; what is under way is brought to its end.
#[utoipa::path(post, path = "/api/v1/runs/{run}/cancel", tag = "runs", operation_id = "cancel_run", params(("run" = String, Path)),
    request_body = CancelRun,
    responses((status = 200, body = documents::RunStanding), WriteProblems))]
pub async fn cancel(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(run): Path<String>,
    Body(asked): Body<CancelRun>,
) -> Result<Json<Value>, Problem> {
    let input = Input::Cancel { undo: asked.undo, reason: bounded(asked.reason)? };
    say(&site, &caller, &run, Permission::Cancel, input).await
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoRun {
    pub reason: Option<String>,
}

/// Take the changes of an ended run back, the last one first.
#[utoipa::path(post, path = "/api/v1/runs/{run}/undo", tag = "runs", operation_id = "undo_run", params(("run" = String, Path)),
    request_body = UndoRun,
    responses((status = 200, body = documents::RunStanding), WriteProblems))]
pub async fn undo(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(run): Path<String>,
    Body(asked): Body<UndoRun>,
) -> Result<Json<Value>, Problem> {
    let input = Input::Undo { reason: bounded(asked.reason)? };
    say(&site, &caller, &run, Permission::Undo, input).await
}

pub fn bounded(text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.chars().count() > LONGEST => {
            Err(Problem::invalid(format!("at most {LONGEST} characters are kept of a reason or a comment")))
        }
        other => Ok(other),
    }
}

pub fn parse(id: &str) -> Result<RunId, Problem> {
    RunId::from_str(id).map_err(|_| Problem::missing("run", id))
}

/// A run that the caller may see; to others it is not there.
pub async fn load(site: &Site, caller: &Caller, id: &str) -> Result<Run, Problem> {
    let run = site.records.load(parse(id)?).await?;
    if caller.sees(&run.created.environment, &run.created.runbook.name) {
        Ok(run)
    } else {
        Err(Problem::missing("run", id))
    }
}

/// Says something to a run on behalf of somebody who may.
pub async fn say(
    site: &Site,
    caller: &Caller,
    id: &str,
    permission: Permission,
    input: Input,
) -> Result<Json<Value>, Problem> {
    let run = load(site, caller, id).await?;
    caller.may(permission, Scope::of(&run.created.environment, &run.created.runbook.name))?;
    let said = site.records.say(run.id, &caller.identity.actor(), input).await?;
    Ok(Json(json!({ "run": said.id, "status": said.status() })))
}

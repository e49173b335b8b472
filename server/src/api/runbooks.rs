//! Environments, runbooks, and whether they would work now.

use std::sync::Arc;

use axum::{Json, extract::State};
use runbook_core::Value;
use runbook_identity::{Permission, Scope};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::{
    ReadProblems, WriteProblems, documents,
    page::{Asked, Path},
};
use crate::{
    EnvironmentFacts, Readiness, RunbookFacts, audit, gate::Caller, problem::Problem, shelf::Outcome,
    site::Site,
};

/// List the environments that the caller sees.
#[utoipa::path(get, path = "/api/v1/environments", tag = "runbooks", operation_id = "list_environments",
    responses((status = 200, body = [EnvironmentFacts]), ReadProblems))]
pub async fn environments(
    State(site): State<Arc<Site>>,
    caller: Caller,
) -> Result<Json<Vec<EnvironmentFacts>>, Problem> {
    let seen =
        |facts: &EnvironmentFacts| caller.may(Permission::Read, Scope::environment(&facts.name)).is_ok();
    Ok(Json(site.project.environments().into_iter().filter(seen).collect()))
}

/// List the runbooks that the caller sees.
#[utoipa::path(get, path = "/api/v1/runbooks", tag = "runbooks", operation_id = "list_runbooks",
    responses((status = 200, body = [documents::RunbookBrief]), ReadProblems))]
pub async fn list(State(site): State<Arc<Site>>, caller: Caller) -> Result<Json<Vec<Value>>, Problem> {
    let seen = |name: &str| caller.may(Permission::Read, Scope::runbook(name)).is_ok();
    let catalog = site.project.catalog();
    let documents = catalog.iter().filter(|(name, _)| seen(name)).map(|(_, facts)| brief(facts));
    Ok(Json(documents.collect()))
}

fn brief(facts: &RunbookFacts) -> Value {
    let runbook = &facts.runbook;
    json!({
        "name": runbook.name,
        "title": runbook.title,
        "summary": runbook.summary,
        "severity": runbook.severity,
        "triggers": runbook.triggers.len(),
        "errors": facts.findings.iter().filter(|finding| finding.is_error()).count(),
        "findings": facts.findings.len(),
    })
}

/// One runbook, as its file has it.
#[utoipa::path(get, path = "/api/v1/runbooks/{name}", tag = "runbooks", operation_id = "show_runbook", params(("name" = String, Path)),
    responses((status = 200, body = documents::Runbook), ReadProblems))]
pub async fn one(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    if caller.may(Permission::Read, Scope::runbook(&name)).is_err() {
        return Err(Problem::missing("runbook", &name));
    }
    let catalog = site.project.catalog();
    let facts = catalog.get(&name).ok_or_else(|| Problem::missing("runbook", &name))?;
    let findings: Vec<Value> = facts
        .findings
        .iter()
        .map(|finding| json!({ "code": finding.code, "line": finding.line, "message": finding.message, "hint": finding.hint }))
        .collect();
    Ok(Json(json!({ "runbook": *facts.runbook, "findings": findings })))
}

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// The default one, where it is not said.
    pub environment: Option<String>,
    /// All of them, where it is not said.
    pub runbook: Option<String>,
}

/// Whether runbooks would work now. Reads the environment, and changes nothing.
#[utoipa::path(get, path = "/api/v1/readiness", tag = "runbooks", operation_id = "readiness", params(Which),
    responses((status = 200, body = [Readiness]), ReadProblems))]
pub async fn readiness(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Asked(which): Asked<Which>,
) -> Result<Json<Vec<Readiness>>, Problem> {
    let environment = site.environment(which.environment.as_deref())?;
    let seen = |name: &str| caller.may(Permission::DryRun, Scope::of(&environment, name));
    if let Some(name) = &which.runbook {
        seen(name)?;
        if !site.project.catalog().contains_key(name) {
            return Err(Problem::missing("runbook", name));
        }
    }
    let found =
        site.project.readiness(&environment, which.runbook.as_deref()).await.map_err(Problem::unavailable)?;
    Ok(Json(found.into_iter().filter(|one| seen(&one.runbook).is_ok()).collect()))
}

/// Read the runbooks and the configuration anew. Where anything is wrong, all stays as it was. `later`
/// names what has changed and counts after a new start only.
#[utoipa::path(post, path = "/api/v1/reload", tag = "runbooks", operation_id = "reload",
    responses((status = 200, body = documents::Reloaded), WriteProblems))]
pub async fn reload(State(site): State<Arc<Site>>, caller: Caller) -> Result<Json<Value>, Problem> {
    let (findings, later) = read_anew(&site, &caller).await?;
    let count = site.project.catalog().len();
    Ok(Json(json!({ "runbooks": count, "findings": findings, "later": later })))
}

/// How many findings there are, and what counts after a new start only.
pub async fn read_anew(site: &Site, caller: &Caller) -> Result<(usize, Vec<String>), Problem> {
    caller.may(Permission::Reload, Scope::NOTHING)?;
    let reloaded = site.project.reload().map_err(Problem::invalid)?;
    let asked = audit::Asked { method: "POST".to_owned(), path: "/api/v1/reload".to_owned(), from: None };
    let detail = format!("{} runbooks", site.project.catalog().len());
    audit::write(site, Some(&caller.identity), &asked, Outcome::Done, "reloaded", &detail).await;
    Ok((reloaded.findings.len(), reloaded.later))
}

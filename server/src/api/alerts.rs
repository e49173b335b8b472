//! Alerts, and why they started nothing.

use std::sync::Arc;

use axum::{Json, extract::State};
use runbook_core::Value;
use runbook_desk::kept::{self, Found, KeptAlert};
use runbook_identity::{Permission, Scope};
use runbook_journal::DocumentQuery;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    ReadProblems, documents,
    page::{Asked, Page, Paging, Path, cursor},
};
use crate::{gate::Caller, problem::Problem, site::Site};

/// Which alerts.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// `firing` or `resolved`.
    pub status: Option<String>,
    pub incident: Option<String>,
    /// At most this many, 1 to 500; 50 where it is not said.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<usize>,
    /// The `next` of the page before.
    pub after: Option<String>,
}

/// List alerts, newest first, each with what it started and why it did not.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", operation_id = "list_alerts", params(Filter),
    responses((status = 200, body = documents::AlertPage), ReadProblems))]
pub async fn list(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Asked(filter): Asked<Filter>,
) -> Result<Json<Page>, Problem> {
    let paging = Paging { limit: filter.limit, after: filter.after };
    let limit = paging.limit()?;
    let query = DocumentQuery {
        state: filter.status,
        parent: filter.incident,
        after: paging.place()?,
        limit,
        ..DocumentQuery::default()
    };
    let alerts = kept::list::<KeptAlert>(site.shelf(), query).await?;
    let next =
        alerts.last().filter(|_| alerts.len() == limit).map(|last| cursor((last.value.first_at, &last.id)));
    let seen = alerts.iter().filter(|found| sees(&caller, &found.value));
    Ok(Json(Page { items: seen.map(Found::document).collect(), next }))
}

/// One alert.
#[utoipa::path(get, path = "/api/v1/alerts/{id}", tag = "alerts", operation_id = "show_alert", params(("id" = String, Path)),
    responses((status = 200, body = documents::Alert), ReadProblems))]
pub async fn one(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = kept::find::<KeptAlert>(site.shelf(), &id).await?;
    let found =
        found.filter(|found| sees(&caller, &found.value)).ok_or_else(|| Problem::missing("alert", &id))?;
    Ok(Json(found.document()))
}

pub fn sees(caller: &Caller, alert: &KeptAlert) -> bool {
    caller.may(Permission::Read, Scope::environment(&alert.environment)).is_ok()
}

//! Who the caller is, their tokens, and the audit log.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use runbook_core::{Timestamp, Value};
use runbook_desk::kept::{self, Found};
use runbook_identity::{
    Permission, Rights, Scope,
    tokens::{self, MintError, TokenRequest},
};
use runbook_journal::{DocumentQuery, Expect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    ReadProblems, WriteProblems, documents,
    page::{Asked, Page, Paging, Path, cursor},
    schemas,
};
use crate::{
    audit,
    gate::Caller,
    once::ShownOnce,
    problem::{Body, Problem},
    shelf::{AuditEntry, Outcome, Token},
    site::Site,
};

/// Who the caller is, and what they may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "access", operation_id = "me",
    responses((status = 200, body = documents::Me), ReadProblems))]
pub async fn me(caller: Caller) -> Json<Value> {
    let identity = &caller.identity;
    Json(json!({
        "name": identity.name,
        "groups": identity.groups,
        "rights": identity.rights,
        "via": identity.via,
    }))
}

/// List the caller's tokens; for those who manage tokens, everybody's.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", operation_id = "list_tokens", params(Paging),
    responses((status = 200, body = documents::TokenPage), ReadProblems))]
pub async fn tokens(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page>, Problem> {
    let limit = paging.limit()?;
    let all = caller.may(Permission::ManageTokens, Scope::NOTHING).is_ok();
    let query = DocumentQuery {
        parent: (!all).then(|| caller.identity.name.clone()),
        after: paging.place()?,
        limit,
        ..DocumentQuery::default()
    };
    let found = kept::list::<Token>(site.shelf(), query).await?;
    let next =
        found.last().filter(|_| found.len() == limit).map(|last| cursor((last.value.0.created_at, &last.id)));
    Ok(Json(Page { items: found.iter().map(|found| found.value.document()).collect(), next }))
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    pub name: String,
    /// For no person: the NAME of a `token:NAME` in `auth.roles`.
    pub service: Option<String>,
    /// No more than its owner is granted.
    #[schema(schema_with = schemas::rights)]
    pub rights: Rights,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// Make a token. It is shown in this answer only.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "access", operation_id = "make_token", request_body = NewToken,
    responses((status = 201, body = documents::TokenMade), WriteProblems))]
pub async fn mint(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Body(new): Body<NewToken>,
) -> Result<Response, Problem> {
    let (found, token) = make(&site, &caller, new).await?;
    let mut answer = found.value.document();
    answer["token"] = Value::from(token.expose_secret());
    Ok((StatusCode::CREATED, Extension(ShownOnce), Json(answer)).into_response())
}

/// Makes a token and keeps its record.
pub async fn make(
    site: &Site,
    caller: &Caller,
    new: NewToken,
) -> Result<(Found<Token>, SecretString), Problem> {
    let NewToken { name, service, rights, expires_at } = new;
    let request = TokenRequest { name, service, rights, expires_at };
    let minted =
        tokens::mint(&caller.identity, &site.project.directory(), request, site.now()).map_err(refused)?;
    let found = Found { id: minted.record.id.clone(), version: 1, value: Token(minted.record) };
    site.shelf().write(vec![kept::put(&found.id, &found.value, Expect::New)?]).await?;
    told(site, caller, "minted", &found).await;
    Ok((found, minted.token))
}

fn refused(error: MintError) -> Problem {
    match error {
        MintError::Refused(refusal) => refusal.into(),
        MintError::ByToken | MintError::Wider { .. } => Problem::forbidden(error.to_string()),
        MintError::Randomness(_) => Problem::inside(&error),
        error => Problem::invalid(error.to_string()),
    }
}

/// Revoke a token.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "access", operation_id = "revoke_token", params(("id" = String, Path)),
    responses((status = 200, body = documents::TokenRecord), WriteProblems))]
pub async fn revoke(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(end(&site, &caller, &id).await?.value.document()))
}

/// A token of the caller's, or anybody's where they manage tokens.
pub async fn own(site: &Site, caller: &Caller, id: &str) -> Result<Found<Token>, Problem> {
    let all = caller.may(Permission::ManageTokens, Scope::NOTHING).is_ok();
    let found = kept::find::<Token>(site.shelf(), id).await?;
    let found = found.filter(|found| all || found.value.0.owner == caller.identity.name);
    found.ok_or_else(|| Problem::missing("token", id))
}

/// Revokes a token.
pub async fn end(site: &Site, caller: &Caller, id: &str) -> Result<Found<Token>, Problem> {
    let mut found = own(site, caller, id).await?;
    found.value.0.revoke(site.now());
    site.shelf().write(vec![kept::put(&found.id, &found.value, Expect::Version(found.version))?]).await?;
    told(site, caller, "revoked", &found).await;
    Ok(found)
}

async fn told(site: &Site, caller: &Caller, code: &str, found: &Found<Token>) {
    let asked = audit::Asked { method: "POST".to_owned(), path: "/api/v1/tokens".to_owned(), from: None };
    let detail = format!("token {} ({}) of {}", found.id, found.value.0.name, found.value.0.owner);
    audit::write(site, Some(&caller.identity), &asked, Outcome::Done, code, &detail).await;
}

/// What was refused to whom, and what was done to the server; newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "access", operation_id = "list_audit", params(Paging),
    responses((status = 200, body = documents::AuditPage), ReadProblems))]
pub async fn audit(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page>, Problem> {
    caller.may(Permission::ReadAudit, Scope::NOTHING)?;
    let limit = paging.limit()?;
    let query = DocumentQuery { after: paging.place()?, limit, ..DocumentQuery::default() };
    let found = kept::list::<AuditEntry>(site.shelf(), query).await?;
    let next = found.last().filter(|_| found.len() == limit).map(|last| cursor((last.value.at, &last.id)));
    // An entry always serializes: it is plain data with texts as keys.
    let items = found.iter().map(|entry| serde_json::to_value(&entry.value).unwrap_or(Value::Null));
    Ok(Json(Page { items: items.collect(), next }))
}

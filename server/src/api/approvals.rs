//! What people are asked, and what they say.

use std::sync::Arc;

use axum::{Json, extract::State};
use runbook_core::{
    Value, report,
    run::{Input, Question, Run},
};
use runbook_identity::Permission;
use runbook_journal::RunHead;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    ReadProblems, WriteProblems, documents,
    page::{Asked, Page, Paging, Path},
    runs,
};
use crate::{
    gate::Caller,
    problem::{Body, Problem},
    site::Site,
};

/// List what is open: gates, choices, manual steps, questions in doubt; the oldest first. `limit` counts
/// runs, of which most ask one thing.
#[utoipa::path(get, path = "/api/v1/approvals", tag = "approvals", operation_id = "list_approvals", params(Paging),
    responses((status = 200, body = documents::QuestionPage), ReadProblems))]
pub async fn list(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page>, Problem> {
    let (limit, after) = (paging.limit()?, paging.after.as_deref().map(runs::parse).transpose()?);
    let mut open = open(&site, &caller).await?;
    open.retain(|run| after.is_none_or(|after| run.id > after));
    let is_last = open.len() <= limit;
    open.truncate(limit);
    let next = open.last().filter(|_| !is_last).map(|run| run.id.to_string());
    let items = open
        .iter()
        .flat_map(|run| run.questions().map(move |(node, question)| report::question(run, node, &question)));
    Ok(Json(Page { items: items.collect(), next }))
}

/// The runs that ask something and that the caller sees, oldest first.
pub async fn open(site: &Site, caller: &Caller) -> Result<Vec<Arc<Run>>, Problem> {
    let sees = |head: &RunHead| caller.sees(&head.summary.environment, &head.summary.runbook);
    Ok(site.records.asking(None, sees).await?)
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    pub step: String,
    /// Of the change that was looked at: an approval binds to exactly that.
    pub digest: String,
    pub comment: Option<String>,
    /// Alone, whatever the gate asks, in an emergency; the comment has to say why.
    #[serde(default)]
    pub break_glass: bool,
}

/// Approve exactly the change that was looked at.
#[utoipa::path(post, path = "/api/v1/runs/{run}/approve", tag = "approvals", operation_id = "approve", params(("run" = String, Path)),
    request_body = Approve,
    responses((status = 200, body = documents::RunStanding), WriteProblems))]
pub async fn approve(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(run): Path<String>,
    Body(said): Body<Approve>,
) -> Result<Json<Value>, Problem> {
    let Approve { step, digest, comment, break_glass } = said;
    let input = Input::Approve { step, digest, comment: runs::bounded(comment)?, break_glass };
    runs::say(&site, &caller, &run, Permission::Approve, input).await
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    pub step: String,
    pub comment: Option<String>,
}

/// Reject what a run asks.
#[utoipa::path(post, path = "/api/v1/runs/{run}/reject", tag = "approvals", operation_id = "reject", params(("run" = String, Path)),
    request_body = Reject,
    responses((status = 200, body = documents::RunStanding), WriteProblems))]
pub async fn reject(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(run): Path<String>,
    Body(said): Body<Reject>,
) -> Result<Json<Value>, Problem> {
    let input = Input::Reject { step: said.step, comment: runs::bounded(said.comment)? };
    runs::say(&site, &caller, &run, Permission::Approve, input).await
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Delegate {
    pub step: String,
    /// Who may decide in the caller's place.
    pub to: String,
    pub comment: Option<String>,
}

/// Let somebody else decide in one's place.
#[utoipa::path(post, path = "/api/v1/runs/{run}/delegate", tag = "approvals", operation_id = "delegate", params(("run" = String, Path)),
    request_body = Delegate,
    responses((status = 200, body = documents::RunStanding), WriteProblems))]
pub async fn delegate(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(run): Path<String>,
    Body(said): Body<Delegate>,
) -> Result<Json<Value>, Problem> {
    let input = Input::Delegate { step: said.step, to: said.to, comment: runs::bounded(said.comment)? };
    runs::say(&site, &caller, &run, Permission::Approve, input).await
}

/// An answer; another schema is called by the name that it has here.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Answer)]
pub struct Say {
    pub step: String,
    /// The id of an option; `done`, `failed` or `skipped`; `happened`, `did-not-happen`, `proceed` or
    /// `stop`.
    pub answer: String,
    /// What a manual step's form asks for.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub values: Value,
    pub comment: Option<String>,
}

/// Answer what a run asks: pick an option, report a manual step, settle a doubt.
#[utoipa::path(post, path = "/api/v1/runs/{run}/answer", tag = "approvals", operation_id = "answer", params(("run" = String, Path)),
    request_body = Say,
    responses((status = 200, body = documents::RunStanding), WriteProblems))]
pub async fn answer(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(run): Path<String>,
    Body(said): Body<Say>,
) -> Result<Json<Value>, Problem> {
    let asked = runs::load(&site, &caller, &run).await?;
    let input = fitting(&asked, said)?;
    runs::say(&site, &caller, &run, Permission::Answer, input).await
}

/// The answer that the words stand for, by what is asked.
pub fn fitting(run: &Run, said: Say) -> Result<Input, Problem> {
    let mut questions = run.questions().filter(|(node, _)| node.path == said.step);
    let Some((_, Question::Answer(asking))) = questions.next() else {
        return Err(Problem::conflict(format!("`{}` asks nothing that is answered so", said.step))
            .hint("`GET /api/v1/approvals` lists what is open"));
    };
    let comment = runs::bounded(said.comment)?;
    let answer = asking.about.answer(&said.answer, said.values, comment).ok_or_else(|| {
        Problem::invalid(format!("`{}` does not answer what `{}` asks", said.answer, said.step))
            .hint(format!("answer with {}", asking.about.words()))
    })?;
    Ok(Input::Answer { step: said.step, answer })
}

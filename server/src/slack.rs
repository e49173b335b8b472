//! Buttons in Slack: who pressed one is mapped to a person before anything counts, and what was shown
//! to them is what they decide upon.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use runbook_core::run::Input;
use runbook_identity::{Permission, Scope, Via};
use runbook_intake::Headers;
use runbook_notify::{Decision, NotTaken, Press, Pressed};
use tracing::Instrument as _;

use crate::{audit, gate::Caller, hooks, problem::Problem, shelf::Outcome, site::Site};

/// The largest press, in bytes.
const LARGEST: usize = 256 * 1024;

pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/slack/actions", post(pressed))
}

async fn pressed(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST)
        .await
        .map_err(|_| Problem::too_large(format!("a press has at most {LARGEST} bytes")))?;
    let headers = hooks::plain(&parts.headers);
    let shown = runbook_intake::Request::new(Headers::from(headers.as_slice()), &body, site.now());
    match site.outbox.press(&shown) {
        Ok(Press::Nothing) => Ok(StatusCode::OK.into_response()),
        Ok(Press::Decided(pressed)) => {
            // Slack waits for three seconds only; what came of it is told to the person.
            tokio::spawn(decide(site.clone(), *pressed).in_current_span());
            Ok(StatusCode::OK.into_response())
        }
        Err(why) => refused(&site, why).await,
    }
}

async fn refused(site: &Arc<Site>, why: NotTaken) -> Result<Response, Problem> {
    let told = why.to_string();
    let problem = match why.status() {
        200 => {
            if let NotTaken::Stranger { answer_to: Some(answer_to), .. } = why {
                answer(site, answer_to, told.clone());
            }
            write(site, None, "stranger", &told).await;
            return Ok(StatusCode::OK.into_response());
        }
        401 => Problem::unauthenticated(told),
        404 => Problem::missing("page", "/slack/actions"),
        503 => Problem::unavailable(told),
        _ => Problem::invalid(told),
    };
    Err(problem)
}

async fn decide(site: Arc<Site>, pressed: Pressed) {
    let identity = site.project.directory().person(&pressed.person, &BTreeSet::new(), Via::Chat);
    let caller = Caller { identity, csrf: None, mark: None };
    let told = match said(&site, &caller, &pressed).await {
        Ok(word) => word.to_owned(),
        Err(problem) => {
            write(&site, Some(&caller), problem.code, &problem.detail).await;
            let hint = problem.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{}{hint}", problem.detail)
        }
    };
    if let Some(answer_to) = pressed.answer_to {
        answer(&site, answer_to, told);
    }
}

async fn said(site: &Site, caller: &Caller, pressed: &Pressed) -> Result<&'static str, Problem> {
    let run = site.records.load(pressed.run).await?;
    caller.may(Permission::Approve, Scope::of(&run.created.environment, &run.created.runbook.name))?;
    let step = pressed.step.clone();
    let (input, word) = match pressed.decision {
        Decision::Approve => {
            let digest = pressed.digest.clone();
            (Input::Approve { step, digest, comment: None, break_glass: false }, "approved")
        }
        Decision::Reject => (Input::Reject { step, comment: None }, "rejected"),
    };
    tracing::Span::current().record("run", tracing::field::display(pressed.run));
    site.records.say(pressed.run, &caller.identity.actor(), input).await?;
    Ok(word)
}

/// Answers whoever pressed, on its own time.
fn answer(site: &Arc<Site>, to: runbook_notify::AnswerTo, text: String) {
    let site = site.clone();
    let answer = async move {
        if let Err(why) = site.outbox.answer(&to, &text).await {
            tracing::warn!(%why, "whoever pressed a button was not answered");
        }
    };
    tokio::spawn(answer.in_current_span());
}

async fn write(site: &Site, who: Option<&Caller>, code: &str, detail: &str) {
    let asked = audit::Asked { method: "POST".to_owned(), path: "/slack/actions".to_owned(), from: None };
    let who = who.map(|caller| &caller.identity);
    audit::write(site, who, &asked, Outcome::Refused, code, detail).await;
}

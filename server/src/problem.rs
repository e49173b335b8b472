//! What is wrong, told to programs and people alike: RFC 9457, `application/problem+json`.

use std::any::Any;

use axum::{
    Json,
    extract::{FromRequest, rejection::JsonRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use runbook_core::duration::Duration;
use runbook_core::run::RejectedKind;
use runbook_desk::DeskError;
use runbook_engine::EngineError;
use runbook_identity::Refusal;
use runbook_journal::JournalError;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A stable word for programs: `not_found`, `not_allowed`, `stale`, …
    #[serde(rename = "type")]
    pub code: &'static str,
    pub title: &'static str,
    pub status: u16,
    /// What exactly is wrong.
    pub detail: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// In how many seconds to come again, where it is said.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl Problem {
    fn of(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { code, title, status: status.as_u16(), detail: detail.into(), hint: None, retry_after: None }
    }
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "the request cannot be taken as it is", detail)
    }
    pub fn unreadable(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::BAD_REQUEST, "unreadable", "the request cannot be read", detail)
    }
    pub fn missing(what: &str, name: &str) -> Self {
        let shown: String = name.chars().take(80).collect();
        Self::of(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no such thing",
            format!("there is no {what} `{shown}`"),
        )
    }
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::UNAUTHORIZED, "unauthenticated", "who are you?", detail)
    }
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::FORBIDDEN, "not_allowed", "you may not do that", detail)
    }
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::CONFLICT, "conflict", "that cannot be done now", detail)
    }
    pub fn stale(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::CONFLICT, "stale", "what you decided upon has changed", detail)
    }
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::TOO_MANY_REQUESTS, "too_many", "too many requests", detail)
    }
    /// When to come again; whole seconds, the next one after.
    pub fn after(mut self, wait: Duration) -> Self {
        let wait = wait.as_std();
        self.retry_after = Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        self
    }
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large", detail)
    }
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "not now", detail)
    }
    /// Whatever went wrong here is for the log; nobody outside learns of it.
    pub fn inside(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        let detail = "the server could not do it; its log says why";
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong here", detail)
    }
}

/// Goes with an answer that refuses, for the audit log.
#[derive(Debug, Clone)]
pub struct Refused {
    pub code: &'static str,
    pub detail: String,
}

impl Problem {
    /// When to come again, where it may go better then.
    pub fn say_when(&self, headers: &mut HeaderMap) {
        if matches!(self.status, 429 | 503) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.retry_after.unwrap_or(1).max(1)));
        }
    }

    /// What the audit log is to know, where it was refused to somebody.
    pub fn refused(&self) -> Option<Refused> {
        matches!(self.status, 401 | 403).then(|| Refused { code: self.code, detail: self.detail.clone() })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        response.extensions_mut().insert(self.clone());
        if let Some(refused) = self.refused() {
            response.extensions_mut().insert(refused);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        self.say_when(headers);
        response
    }
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Moved { .. } | JournalError::Changed { .. } => {
                Self::conflict("somebody else was faster").hint("look again, and decide again")
            }
            JournalError::TooLarge { why } => Self::too_large(why),
            JournalError::Full { .. } | JournalError::ReadOnly { .. } => {
                tracing::error!(%error, "the store cannot be written");
                Self::unavailable("the store cannot be written; what was acknowledged before is safe")
            }
            error => Self::inside(&error),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::UnknownRun(run) => Self::missing("run", &run.to_string()),
            EngineError::Rejected(rejected) => {
                let problem = match rejected.kind {
                    RejectedKind::Invalid => Self::invalid(rejected.message),
                    RejectedKind::NotNow => Self::conflict(rejected.message),
                    RejectedKind::NotPermitted => Self::forbidden(rejected.message),
                    RejectedKind::Stale => Self::stale(rejected.message),
                    RejectedKind::Corrupt => Self::inside(&rejected),
                };
                Self { hint: rejected.hint, ..problem }
            }
            EngineError::Busy(_) => Self::conflict("others keep saying something to the same run; try again"),
            EngineError::Journal(error) => error.into(),
            error => Self::inside(&error),
        }
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Journal(error) => error.into(),
            DeskError::Engine(error) => error.into(),
            DeskError::Incident(rejected) => EngineError::Rejected(rejected).into(),
            DeskError::UnknownIncident(id) => Self::missing("incident", &id.to_string()),
            DeskError::Unusable(why) => Self::invalid(why),
            DeskError::Busy => Self::conflict("others keep changing the same thing; try again"),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::forbidden(refusal.why).hint(refusal.hint)
    }
}

/// A JSON body; what is wrong with it is told as a problem.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S, T> FromRequest<S> for Body<T>
where
    Json<T>: FromRequest<S, Rejection = JsonRejection>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(rejection.body_text()),
                StatusCode::UNPROCESSABLE_ENTITY => Problem::invalid(rejection.body_text()),
                _ => Problem::unreadable(rejection.body_text())
                    .hint("send JSON, with `content-type: application/json`"),
            }),
        }
    }
}

pub async fn not_found(uri: http::Uri) -> Problem {
    Problem::missing("page", uri.path())
}

pub async fn wrong_method() -> Problem {
    Problem::of(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        "that is not how to ask",
        "this address takes other methods; `/api/v1/openapi.json` describes them",
    )
}

/// A defect in one request ends that request only.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Problem::inside(&format!("a handler panicked: {said}")).into_response()
}

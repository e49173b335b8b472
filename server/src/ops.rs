//! What operators need: whether the server is there, whether it can work, and what it counts.

mod mark;
mod metrics;

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, header};
use runbook_identity::cookies::Transport;
use runbook_journal::DocumentQuery;
use serde_json::json;
use tracing::Instrument as _;

pub use self::{mark::Mark, metrics::Counters};
use crate::{problem::Problem, site::Site};

pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
}

/// The process is there and answers.
async fn healthz() -> &'static str {
    "ok\n"
}

/// The server can work: its store answers, and it is not about to stop.
async fn readyz(State(site): State<Arc<Site>>) -> Result<Response, Problem> {
    if *site.stopping.borrow() {
        return Err(Problem::unavailable("the server is about to stop"));
    }
    site.shelf().documents(&DocumentQuery { kind: "ready".to_owned(), ..DocumentQuery::default() }).await?;
    let runs = *site.supervised.borrow();
    Ok(Json(json!({ "ready": true, "driven": runs.driven, "waiting": runs.waiting })).into_response())
}

async fn metrics_page(State(site): State<Arc<Site>>) -> Result<Response, Problem> {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], site.counters.text(&site).await?).into_response())
}

/// Marks, logs and counts requests, and keeps what browsers are to keep from doing.
pub async fn observe(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (mut parts, body) = request.into_parts();
    let mark = Mark::of(&site, &parts);
    let span = mark.span(parts.uri.path());
    parts.extensions.insert(mark.clone());
    let answer = async {
        let response = next.run(Request::from_parts(parts, body)).await;
        let (status, took) = (response.status(), began.elapsed());
        tracing::debug!(status = status.as_u16(), milliseconds = took.as_millis(), "answered");
        response
    };
    let mut response = answer.instrument(span).await;
    site.counters.request(&mark, response.status(), began.elapsed());
    mark.answered(&site, response.status().as_u16());
    let headers = response.headers_mut();
    headers.insert(mark::REQUEST_ID, mark::header(&mark));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        (
            "content-security-policy",
            "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if site.settings.transport == Transport::Tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

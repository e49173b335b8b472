//! What operators need: whether the server is there, whether it can work, and what it counts.

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, Method, StatusCode, header};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use runbook_identity::cookies::Transport;
use runbook_journal::DocumentQuery;
use serde_json::json;

use crate::{problem::Problem, site::Site};

/// The upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// What is counted. Names and meanings are documented in docs/metrics.md.
pub struct Counters {
    /// Of this server alone: several of them may stand in one process.
    recorder: PrometheusRecorder,
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

impl Default for Counters {
    fn default() -> Self {
        // Empty bounds are the only ones that are refused.
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets(&BUCKETS).unwrap_or_else(|_| PrometheusBuilder::new());
        let counters = Self { recorder: builder.build_recorder() };
        counters.on(|| {
            describe_counter!(REQUESTS, "Requests by route and status.");
            describe_histogram!(DURATION, "How long requests took.");
            describe_counter!(DELIVERIES, "Deliveries of detectors by door and outcome.");
            describe_counter!(REFUSALS, "Requests that were refused to somebody.");
            describe_gauge!(RUNS, "Runs that have not ended, by what becomes of them.");
            describe_gauge!(BUILD, "The version of the server.");
        });
        counters
    }
}

const REQUESTS: &str = "runbook_http_requests_total";
const DURATION: &str = "runbook_http_request_duration_seconds";
const DELIVERIES: &str = "runbook_deliveries_total";
const REFUSALS: &str = "runbook_refusals_total";
const RUNS: &str = "runbook_runs";
const BUILD: &str = "runbook_build_info";

impl Counters {
    /// A delivery came through a door: `accepted`, `repeated`, `nothing`, `confirmed`, `refused` or
    /// `limited`.
    pub fn delivery(&self, hook: &str, outcome: &'static str) {
        self.on(|| counter!(DELIVERIES, "hook" => hook.to_owned(), "outcome" => outcome).increment(1));
    }

    fn request(&self, method: &Method, path: String, status: StatusCode, seconds: f64) {
        // Methods are whatever a client makes up.
        let method = match *method {
            Method::GET | Method::HEAD | Method::POST | Method::DELETE => method.to_string(),
            _ => "other".to_owned(),
        };
        self.on(|| {
            if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                counter!(REFUSALS).increment(1);
            }
            histogram!(DURATION, "path" => path.clone()).record(seconds);
            let status = status.as_u16().to_string();
            counter!(REQUESTS, "method" => method, "path" => path, "status" => status).increment(1);
        });
    }

    fn text(&self, site: &Site) -> String {
        let runs = *site.supervised.borrow();
        self.on(|| {
            gauge!(RUNS, "state" => "driven").set(runs.driven as f64);
            gauge!(RUNS, "state" => "waiting").set(runs.waiting as f64);
            gauge!(BUILD, "version" => site.settings.version).set(1.0);
        });
        self.recorder.handle().render()
    }

    fn on(&self, tell: impl FnOnce()) {
        metrics::with_local_recorder(&self.recorder, tell);
    }
}

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

async fn metrics_page(State(site): State<Arc<Site>>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], site.counters.text(&site)).into_response()
}

/// Counts requests, and keeps what browsers are to keep from doing.
pub async fn observe(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let path = request.extensions().get::<MatchedPath>().map_or("other", |path| path.as_str()).to_owned();
    let method = request.method().clone();
    let mut response = next.run(request).await;
    site.counters.request(&method, path, response.status(), began.elapsed().as_secs_f64());
    let headers = response.headers_mut();
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

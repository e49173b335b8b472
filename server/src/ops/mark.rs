//! What marks a request: its id, which goes through logs, traces and the answer; what it is about; and
//! the trace context that whatever it begins refers to.

use std::sync::{Arc, OnceLock};

use axum::extract::MatchedPath;
use http::{HeaderMap, HeaderName, HeaderValue, Method, request::Parts};
use runbook_core::event::RunId;
use runbook_telemetry::{Answered, Asked};
use tracing::{Span, field};
use uuid::Uuid;

use crate::site::Site;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id of a request that is taken over from whoever asks.
const LONGEST_ID: usize = 64;

/// The mark of one request. A cheap handle, in the request's extensions.
#[derive(Debug, Clone)]
pub struct Mark(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    route: Option<String>,
    method: &'static str,
    asked: Asked,
    /// The run that it is about, or that it began.
    run: OnceLock<RunId>,
}

impl Mark {
    pub fn of(site: &Site, parts: &Parts) -> Self {
        let route = parts.extensions.get::<MatchedPath>().map(|route| route.as_str().to_owned());
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let asked = Asked::now(site.traces.as_ref(), text("traceparent"), site.now());
        let run = OnceLock::new();
        if let Some(found) = route.as_deref().and_then(|route| filled(route, "{run}", parts.uri.path()))
            && let Ok(found) = found.parse()
        {
            // It is empty yet.
            let _ = run.set(found);
        }
        Self(Arc::new(Inner { id: id(&parts.headers), route, method: method(&parts.method), asked, run }))
    }

    pub fn id(&self) -> &str {
        &self.0.id
    }

    pub fn route(&self) -> Option<&str> {
        self.0.route.as_deref()
    }

    /// The method; what clients make up is all one.
    pub fn method(&self) -> &'static str {
        self.0.method
    }

    /// The request is about this run, which it may have begun.
    pub fn is_about(&self, run: RunId) {
        if self.0.run.set(run).is_ok() {
            Span::current().record("run", field::display(run));
        }
    }

    /// What a run that the request begins refers to.
    pub fn trace_parent(&self) -> Option<String> {
        self.0.asked.cause().map(|cause| cause.to_string())
    }

    /// In whose scope all is logged. An error's level, so that no usual filter leaves it out.
    pub fn span(&self, path: &str) -> Span {
        let Inner { id, route, method, run, .. } = self.0.as_ref();
        let span = tracing::error_span!(
            "request",
            request = %id,
            method,
            route,
            run = field::Empty,
            incident = field::Empty,
            delivery = field::Empty,
        );
        if let Some(run) = run.get() {
            span.record("run", field::display(run));
        }
        let incidents = route.as_deref().filter(|route| route.contains("/incidents/"));
        if let Some(incident) = incidents.and_then(|route| filled(route, "{id}", path))
            && let Ok(incident) = incident.parse::<runbook_core::incident::IncidentId>()
        {
            span.record("incident", field::display(incident));
        }
        span
    }

    pub fn answered(&self, site: &Site, status: u16) {
        let Some(exporter) = &site.traces else { return };
        let Inner { id, route, method, asked, run } = self.0.as_ref();
        let scheme = if site.settings.public_url.scheme() == "https" { "https" } else { "http" };
        let route = route.as_deref();
        let told = Answered { method, route, scheme, status, id, run: run.get().copied() };
        // Whoever scrapes and probes does so all day long.
        if !matches!(route, Some("/healthz" | "/readyz" | "/metrics" | "/assets/{name}")) {
            asked.answered(exporter, &told, site.now());
        }
    }
}

/// The id that whoever asks has given, if it is a sane one.
fn id(headers: &HeaderMap) -> String {
    let given = headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_sane = |id: &&str| {
        (1..=LONGEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    given.filter(is_sane).map_or_else(|| Uuid::now_v7().simple().to_string(), str::to_owned)
}

pub fn header(mark: &Mark) -> HeaderValue {
    // An id has no other characters than a header may have.
    HeaderValue::from_str(mark.id()).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// What a path has in a place of its route.
fn filled<'p>(route: &str, place: &str, path: &'p str) -> Option<&'p str> {
    let at = route.split('/').position(|part| part == place)?;
    path.split('/').nth(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_taken_over_and_no_other() {
        let with = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
            id(&headers)
        };
        assert_eq!(with(b"req_01.a-B"), "req_01.a-B");
        for strange in [&b""[..], b"a b", b"\"},{", "ä".as_bytes(), &[b'x'; 65], b"a\tb"] {
            let made = with(strange);
            assert_eq!(made.len(), 32, "{strange:?}");
        }
        assert_ne!(id(&HeaderMap::new()), id(&HeaderMap::new()));
    }

    #[test]
    fn a_path_fills_the_places_of_its_route() {
        assert_eq!(
            filled("/api/v1/runs/{run}/approve", "{run}", "/api/v1/runs/run_1/approve"),
            Some("run_1")
        );
        assert_eq!(filled("/runs", "{run}", "/runs"), None);
        assert_eq!(filled("/runs/{run}", "{run}", "/"), None);
    }
}

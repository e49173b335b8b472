//! The doors through which detectors deliver: verified over the raw bytes, stored, then acknowledged.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration as StdDuration,
};

use axum::{
    Json, Router,
    body::{Bytes, to_bytes},
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::StatusCode;
use runbook_core::Timestamp;
use runbook_desk::{Parcel, Receipt};
use runbook_intake::{ClientName, Content, Door, Headers, Need, Received, Refusal};
use serde_json::json;
use url::Url;

use crate::{ops::Mark, problem::Problem, site::Site, tls::Peer};

/// How many certificates of a notification service are kept; there are a few for each region.
const MOST_CERTIFICATES: usize = 32;
const LARGEST_CERTIFICATE: usize = 64 * 1024;
/// How long the other side may take for a certificate or a confirmation.
const PATIENCE: StdDuration = StdDuration::from_secs(5);

/// A door.
#[derive(Debug)]
pub struct Hook {
    pub door: Door,
    /// Where the runs of its alerts act.
    pub environment: String,
    /// How many deliveries a second it takes, and twice as many at once.
    rate: f64,
    tokens: Mutex<Tokens>,
    certificates: Mutex<BTreeMap<Url, Bytes>>,
}

#[derive(Debug)]
struct Tokens {
    left: f64,
    at: Timestamp,
}

impl Hook {
    pub fn new(door: Door, environment: String, rate: u32) -> Self {
        let rate = f64::from(rate.max(1));
        let tokens = Mutex::new(Tokens { left: 2.0 * rate, at: Timestamp::MIN });
        Self { door, environment, rate, tokens, certificates: Mutex::default() }
    }

    /// A token bucket.
    fn admits(&self, now: Timestamp) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.duration_since(tokens.at).as_secs_f64().clamp(0.0, 2.0);
        tokens.left = (tokens.left + passed * self.rate).min(2.0 * self.rate);
        tokens.at = now;
        if tokens.left < 1.0 {
            return false;
        }
        tokens.left -= 1.0;
        true
    }
}

pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/hooks/{name}", post(receive))
}

async fn receive(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let hook = site.ways.hook(&name).ok_or_else(|| Problem::missing("hook", &name))?;
    if !hook.admits(site.now()) {
        site.counters.delivery(&name, "limited");
        return Err(Problem::too_many(format!("the hook takes {} deliveries a second", hook.rate)));
    }
    let (parts, body) = request.into_parts();
    let limit = hook.door.limits().body;
    let body = to_bytes(body, limit)
        .await
        .map_err(|_| Problem::too_large(format!("a delivery has at most {limit} bytes")))?;
    let headers = plain(&parts.headers);
    let client = parts.extensions.get::<Peer>().and_then(|peer| peer.client.clone());
    let trace_parent = parts.extensions.get::<Mark>().and_then(Mark::trace_parent);
    let carried = Carried { headers: &headers, client: client.as_deref(), body, trace_parent };
    taken(&site, &name, &hook, carried).await
}

/// Headers as texts; what is none proves nothing.
pub fn plain(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let texts = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    texts.collect()
}

/// Takes a delivery in through the door of this name, whichever way it came. Runs that it starts refer
/// to `trace_parent`.
pub async fn deliver(
    site: &Site,
    name: &str,
    headers: &[(String, String)],
    body: Bytes,
    trace_parent: Option<String>,
) -> Result<Response, Problem> {
    let hook = site.ways.hook(name).ok_or_else(|| Problem::missing("hook", name))?;
    taken(site, name, &hook, Carried { headers, client: None, body, trace_parent }).await
}

/// A delivery, before anything of it is believed.
struct Carried<'a> {
    headers: &'a [(String, String)],
    client: Option<&'a [ClientName]>,
    body: Bytes,
    trace_parent: Option<String>,
}

async fn taken(site: &Site, name: &str, hook: &Hook, carried: Carried<'_>) -> Result<Response, Problem> {
    let received = proven(site, hook, &carried).await.inspect_err(|_| {
        site.counters.delivery(name, "refused");
    })?;
    answer(site, name, hook, received, carried.body, carried.trace_parent).await
}

async fn proven(site: &Site, hook: &Hook, carried: &Carried<'_>) -> Result<Received, Problem> {
    let Carried { headers, client, body, .. } = carried;
    let request = runbook_intake::Request::new(Headers::from(*headers), body, site.now());
    let request = runbook_intake::Request { client: *client, ..request };
    let certificate = match hook.door.need(&request).map_err(refused)? {
        Need::Nothing => None,
        Need::Certificate(url) => Some(hook.certificate(&url).await?),
    };
    hook.door.receive(&request, certificate.as_deref()).map_err(refused)
}

fn refused(refusal: Refusal) -> Problem {
    let told = refusal.to_string();
    match refusal.status() {
        401 => Problem::unauthenticated(told),
        413 => Problem::too_large(told),
        _ => Problem::invalid(told),
    }
}

async fn answer(
    site: &Site,
    name: &str,
    hook: &Hook,
    received: Received,
    body: Bytes,
    trace_parent: Option<String>,
) -> Result<Response, Problem> {
    let (outcome, answer) = match received.content {
        Content::Nothing(why) => ("nothing", (StatusCode::ACCEPTED, Json(json!({ "nothing": why })))),
        Content::Confirm(url) => {
            fetch(&url).await?;
            tracing::info!(hook = name, "a subscription was confirmed");
            ("confirmed", (StatusCode::OK, Json(json!({ "confirmed": true }))))
        }
        Content::Alerts(alerts) => {
            let parcel = Parcel {
                hook: name.to_owned(),
                source: hook.door.source(),
                environment: hook.environment.clone(),
                number: received.delivery,
                // What was parsed as JSON is UTF-8.
                body: String::from_utf8_lossy(&body).into_owned(),
                alerts,
                trace_parent,
            };
            let Receipt { delivery, alerts, repeated } = site.desk.receive(parcel).await?;
            tracing::Span::current().record("delivery", &delivery);
            tracing::info!(hook = name, alerts = alerts.len(), repeated, "a delivery was stored");
            let told = json!({ "delivery": delivery, "alerts": alerts, "repeated": repeated });
            (if repeated { "repeated" } else { "accepted" }, (StatusCode::ACCEPTED, Json(told)))
        }
    };
    site.counters.delivery(name, outcome);
    Ok(answer.into_response())
}

impl Hook {
    /// The certificate at an address that was checked to be the service's own.
    async fn certificate(&self, url: &Url) -> Result<Bytes, Problem> {
        let known = || self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificate) = known().get(url) {
            return Ok(certificate.clone());
        }
        let certificate = fetch(url).await?;
        let mut known = known();
        if known.len() >= MOST_CERTIFICATES {
            known.clear();
        }
        known.insert(url.clone(), certificate.clone());
        Ok(certificate)
    }
}

/// Fetches something small from an address that was checked. The sender is told to come again where
/// it cannot be had.
async fn fetch(url: &Url) -> Result<Bytes, Problem> {
    let unavailable = || Problem::unavailable("what the delivery refers to could not be fetched");
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .map_err(|error| Problem::inside(&error))?;
    let mut response = client.get(url.clone()).send().await.map_err(|_| unavailable())?;
    if !response.status().is_success() {
        return Err(unavailable());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| unavailable())? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST_CERTIFICATE {
            return Err(unavailable());
        }
    }
    Ok(bytes.into())
}

//! The one HTTP client of all providers here. Before each request it asks the list of servers
//! that may be reached and the guard of the run; everything that comes back is bounded.
//!
//! - Proxies from the environment (`HTTPS_PROXY` and its kin) are not used: what the list admits
//!   is where the request goes.
//! - Connections are not kept. A request on a connection that the server has meanwhile closed
//!   fails in a way that leaves a write in doubt; a fresh one fails before anything is sent.
//! - Redirects are followed for reads only, three at most, and each target must be on the list.
//!   Headers of the call do not travel to another server.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use runbook_contract::{
    Access,
    access::Intent,
    text::{bounded, clean, line},
};
use runbook_core::{Value, change, duration::Duration, fault::Fault, secret};
use url::Url;

use crate::{
    allow::{Allow, Origin},
    fault,
};

/// The most of a body that is read.
pub(crate) const LARGEST_BODY: usize = 1024 * 1024;
/// The most of a text that an output keeps.
pub(crate) const LARGEST_TEXT: usize = 64 * 1024;
const MOST_REDIRECTS: usize = 3;
/// Short enough that a write to a dead address ends as "nothing was sent" before its own time is
/// up, which would leave it in doubt.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
const LONGEST_EXCERPT: usize = 300;

/// A provider's way to the network. Cheap to make: the transport is built by the first request.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    access: Arc<Access>,
    allow: Allow,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
    pub intent: Intent,
    pub deadline: Deadline,
    /// Whether faults may show the path. Not where it comes from a runbook: it may be a secret.
    pub shows_path: bool,
}

/// When the time for an action's call is up, over all its requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    pub fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout.as_std()))
    }
    fn left(self) -> std::time::Duration {
        self.0.map_or(Duration::MAX.as_std(), |at| at.saturating_duration_since(Instant::now()))
    }
}

impl Call {
    /// A read of one of the provider's own addresses.
    pub fn get(url: Url, deadline: Deadline) -> Self {
        Self::new(Method::GET, Intent::Read, url, deadline)
    }
    pub fn new(method: Method, intent: Intent, url: Url, deadline: Deadline) -> Self {
        let headers = HeaderMap::new();
        Self { method, url, headers, body: None, intent, deadline, shows_path: true }
    }
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string().into_bytes());
        self.with(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// How faults name the place: never with user, query or fragment.
    fn place(&self) -> String {
        let origin = Origin::of(&self.url).map_or_else(String::new, |origin| origin.to_string());
        if self.shows_path { format!("{origin}{}", self.url.path()) } else { origin }
    }
}

impl Client {
    pub fn new(access: &Arc<Access>, allow: Allow) -> Self {
        Self { access: Arc::clone(access), allow }
    }

    /// Refuses a URL that may not be reached, before anything depends on it.
    pub fn admit(&self, url: &Url) -> Result<(), Fault> {
        self.allow.admit(url)
    }

    /// Sends, follows redirects of reads, and reads the answer, whatever its status.
    pub async fn send(&self, mut call: Call) -> Result<Answer, Fault> {
        let started = Instant::now();
        let mut redirects = 0;
        loop {
            let response = self.send_once(&call).await?;
            match redirected(&call, &response) {
                Some(target) if redirects < MOST_REDIRECTS => {
                    redirects += 1;
                    if Origin::of(&target) != Origin::of(&call.url) {
                        call.headers.clear();
                    }
                    call.url = target;
                }
                _ => return Answer::read(&call, response, started).await,
            }
        }
    }

    async fn send_once(&self, call: &Call) -> Result<reqwest::Response, Fault> {
        self.allow.admit(&call.url)?;
        let left = call.deadline.left();
        if left.is_zero() {
            let message = format!("no time was left to ask {}", call.place());
            return Err(match call.intent {
                Intent::Read => Fault::unreachable(message),
                Intent::Write => Fault::refused(message),
            });
        }
        let transport = transport(&call.url)?;
        self.access.admit(call.intent)?;
        let mut request = transport
            .request(call.method.clone(), self.allow.route(&call.url))
            .headers(call.headers.clone())
            .timeout(left);
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        request.send().await.map_err(|error| fault::of_transport(call.intent, &call.place(), &error))
    }
}

/// Where a read is sent on to.
fn redirected(call: &Call, response: &reqwest::Response) -> Option<Url> {
    let follows = call.intent == Intent::Read
        && matches!(call.method, Method::GET | Method::HEAD)
        && matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = follows.then(|| response.headers().get(header::LOCATION)).flatten()?;
    call.url.join(location.to_str().ok()?).ok()
}

/// Two for the process: they keep no connections, only the trusted certificates, which take time to
/// load and may be missing where nothing is asked over TLS.
fn transport(url: &Url) -> Result<&'static reqwest::Client, Fault> {
    static PLAIN: OnceLock<Result<reqwest::Client, String>> = OnceLock::new();
    static SECURE: OnceLock<Result<reqwest::Client, String>> = OnceLock::new();
    let is_plain = url.scheme() == "http";
    let build = || {
        let builder = reqwest::Client::builder();
        let builder = if is_plain { builder.tls_certs_only([]) } else { builder };
        builder
            .user_agent(concat!("runbook/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| error.to_string())
    };
    let built = if is_plain { &PLAIN } else { &SECURE };
    built.get_or_init(build).as_ref().map_err(|error| {
        Fault::permanent(format!("the HTTP client could not be set up: {error}"))
            .hint("the trusted certificates of this machine may be missing: install `ca-certificates`")
    })
}

/// What a server answered, read and bounded.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub took: std::time::Duration,
    /// Whether the body was longer than what was read of it.
    pub cut: bool,
    body: Vec<u8>,
    place: String,
    intent: Intent,
    /// Header values of the call that must not be shown, should the server repeat them.
    hidden: Vec<String>,
}

impl Answer {
    async fn read(call: &Call, mut response: reqwest::Response, started: Instant) -> Result<Self, Fault> {
        let mut body = Vec::new();
        let mut cut = false;
        loop {
            let chunk = response.chunk().await;
            match chunk.map_err(|error| fault::of_transport(call.intent, &call.place(), &error))? {
                Some(chunk) => {
                    let room = LARGEST_BODY - body.len();
                    body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        cut = true;
                        break;
                    }
                }
                None => break,
            }
        }
        Ok(Self {
            status: response.status(),
            headers: response.headers().clone(),
            took: started.elapsed(),
            cut,
            body,
            place: call.place(),
            intent: call.intent,
            hidden: call.headers.values().filter(|value| value.is_sensitive()).flat_map(hidden).collect(),
        })
    }

    /// The body as text, with a mark where it is cut.
    pub fn text(&self) -> String {
        let mark = format!("… (cut; the answer has {} bytes or more)", self.body.len());
        let text = clean(&String::from_utf8_lossy(&self.body));
        match bounded(&text, LARGEST_TEXT) {
            Some(kept) => format!("{kept}{mark}"),
            None if self.cut => format!("{text}{mark}"),
            None => text,
        }
    }

    /// The body as JSON, where it is whole and is JSON.
    pub fn json(&self) -> Option<Value> {
        if self.cut { None } else { serde_json::from_slice(&self.body).ok().map(secret::sanitize) }
    }

    /// The body as JSON, where nothing else will do.
    pub fn require_json(&self) -> Result<Value, Fault> {
        self.json().ok_or_else(|| {
            if self.cut {
                return Fault::permanent(format!("{} answered more than 1 MiB", self.place))
                    .hint("ask for less: a narrower query, a shorter range, a larger step");
            }
            Fault::permanent(format!("{} answered something that is not JSON{}", self.place, self.quoted()))
                .hint("check that the address is that of the service itself, not of a page in front of it")
        })
    }

    /// The answer if it is a success, else what its status means.
    pub fn success(self) -> Result<Self, Fault> {
        if self.status.is_success() { Ok(self) } else { Err(self.fault()) }
    }

    pub fn fault(&self) -> Fault {
        fault::of_status(self.intent, &self.place, self.status, &self.headers, &self.said())
    }

    fn quoted(&self) -> String {
        let said = self.said();
        if said.is_empty() { said } else { format!(": {said}") }
    }

    /// What the server says about a failure, on one line: the usual field of a JSON error, else
    /// the start of a plain text, and nothing of a page.
    fn said(&self) -> String {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        let text = match self.json() {
            Some(json) => error_in(&json).unwrap_or_else(|| json.to_string()),
            None if kind.contains("html") => return String::new(),
            None => {
                String::from_utf8_lossy(&self.body[..self.body.len().min(4 * LONGEST_EXCERPT)]).into_owned()
            }
        };
        let text = self.hidden.iter().fold(text, |text, value| text.replace(value, secret::MASK));
        line(&text, LONGEST_EXCERPT)
    }
}

fn error_in(json: &Value) -> Option<String> {
    let details = json.pointer("/details/0/message").or_else(|| json.pointer("/error/message"));
    let plain =
        ["message", "error", "detail", "error_description", "title"].iter().filter_map(|key| json.get(key));
    details.into_iter().chain(plain).find_map(|text| text.as_str()).map(str::to_owned)
}

/// A header's value and, of `Bearer TOKEN`, the token alone.
fn hidden(value: &HeaderValue) -> Vec<String> {
    let whole = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let token = whole.split_once(' ').map(|(_, token)| token.to_owned());
    std::iter::once(whole).chain(token).filter(|text| text.len() >= 4).collect()
}

/// A secret as a header that is not shown.
pub(crate) fn header_of(text: &str) -> Result<HeaderValue, Fault> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        Fault::permanent("a header's value holds a character that headers cannot carry")
            .hint("a line break at the end of a secret is the usual one")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The key of a try as a header: as it is, or its digest where headers cannot carry it.
pub(crate) fn key_header(key: &str) -> HeaderValue {
    let plain = HeaderValue::from_str(key).ok().filter(|value| value.to_str().is_ok());
    // A digest is hexadecimal, which a header always carries.
    plain
        .or_else(|| HeaderValue::from_str(&change::digest(&Value::String(key.to_owned()))).ok())
        .unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_fits_into_a_header() {
        assert_eq!(key_header("run_1/step/0"), "run_1/step/0");
        for odd in ["run_1/für/0", "a\nb"] {
            let header = key_header(odd);
            assert!(header.to_str().unwrap().starts_with("sha256:"), "{odd}");
            assert_eq!(header, key_header(odd));
        }
    }
}

//! The one HTTP client of all channels. It follows no redirect and uses no proxy, so that what the
//! configuration names is where a message goes; all that comes back is bounded.

use std::{
    error::Error,
    sync::{Arc, OnceLock},
    time::Duration as StdDuration,
};

use jiff::fmt::rfc2822;
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use runbook_contract::text::line;
use runbook_core::{Timestamp, duration::Duration};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Perhaps another time, not before so long from now.
    Later { why: String, after: Option<Duration> },
    /// Never, unless a person changes something.
    Never { why: String },
}

impl Trouble {
    pub(crate) fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }
    pub(crate) fn never(why: impl Into<String>) -> Self {
        Self::Never { why: why.into() }
    }
}

const NO_CLIENT: &str = "the HTTP client could not be set up";
const CONNECT_TIMEOUT: StdDuration = StdDuration::from_secs(5);
const LARGEST_ANSWER: usize = 64 * 1024;
const LONGEST_EXCERPT: usize = 200;

/// Made when it is first needed: a server without channels needs no trusted certificates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Http(Arc<OnceLock<reqwest::Client>>);

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    /// Null where it is not JSON, or is too long to be an answer.
    pub json: Value,
    wait: Option<Duration>,
    place: String,
}

impl Http {
    pub(crate) fn client(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let builder = reqwest::Client::builder()
            .user_agent(concat!("runbook/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            // A kept connection that the server has meanwhile closed would look like a message in doubt.
            .pool_max_idle_per_host(0);
        let client = builder.build()?;
        Ok(self.0.get_or_init(|| client))
    }

    /// Posts JSON. The caller bounds the time.
    pub(crate) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
        now: Timestamp,
    ) -> Result<Answer, Trouble> {
        // Of an address only the server is shown: the rest may be a secret.
        let place = url.origin().ascii_serialization();
        let client = self.client().map_err(|error| Trouble::later(format!("{NO_CLIENT}: {error}")))?;
        let request = client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .headers(headers)
            .body(body);
        let mut response = request.send().await.map_err(|error| unsent(&place, &error))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unsent(&place, &error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST_ANSWER {
                bytes.clear();
                break;
            }
        }
        let wait = wait(response.headers(), now);
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Answer { status: response.status(), json, wait, place })
    }
}

impl Answer {
    /// What a status that is no success means; `said` is what the server says of it.
    pub(crate) fn trouble(&self, said: &str) -> Trouble {
        let reason = self.status.canonical_reason().unwrap_or("an unknown status").to_lowercase();
        let colon = if said.is_empty() { "" } else { ": " };
        let why = format!("{} answered {} {reason}{colon}{said}", self.place, self.status.as_u16());
        match self.status.as_u16() {
            408 | 425 | 429 | 500..=599 => Trouble::Later { why, after: self.wait },
            300..=399 => Trouble::never(format!("{why}; redirects are not followed, give the final address")),
            _ => Trouble::never(why),
        }
    }

    /// The same for a success that says no, to be tried again.
    pub(crate) fn later(&self, why: String) -> Trouble {
        Trouble::Later { why, after: self.wait }
    }
}

/// What somebody else says, on one short line, without the secrets that it may repeat.
pub(crate) fn excerpt(text: &str, secrets: &[&SecretString]) -> String {
    let known = secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| secret.len() >= 4);
    let text = known.fold(text.to_owned(), |text, secret| text.replace(secret, "***"));
    line(&text, LONGEST_EXCERPT)
}

fn unsent(place: &str, error: &reqwest::Error) -> Trouble {
    if error.is_builder() {
        return Trouble::never(format!("the request to {place} could not be built"));
    }
    Trouble::later(if error.is_timeout() {
        format!("{place} did not answer in time")
    } else if error.is_connect() {
        format!("{place} could not be reached: {}", cause(error))
    } else {
        format!("the connection to {place} broke off: {}", cause(error))
    })
}

/// The innermost reason. An error without a source is reqwest's own, and may show its URL.
fn cause(error: &reqwest::Error) -> String {
    let mut inner = error.source();
    while let Some(next) = inner.and_then(Error::source) {
        inner = Some(next);
    }
    inner.map_or_else(|| "no reason was given".to_owned(), |inner| line(&inner.to_string(), LONGEST_EXCERPT))
}

/// Seconds, or a date.
fn wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(StdDuration::from_secs(seconds).into());
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::between(now, at))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn the_servers_wait_is_read_in_both_forms() {
        let now = Timestamp::from_second(784_111_770).unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(wait(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn every_status_says_whether_to_try_again() {
        for (status, again) in [
            (400, false),
            (401, false),
            (404, false),
            (410, false),
            (302, false),
            (408, true),
            (425, true),
            (429, true),
            (500, true),
            (503, true),
        ] {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                json: Value::Null,
                wait: Some(Duration::from_secs(3)),
                place: "https://x".to_owned(),
            };
            match answer.trouble("no") {
                Trouble::Later { after, .. } => assert!(again && after.is_some(), "{status}"),
                Trouble::Never { why } => assert!(!again && why.contains("https://x"), "{status}: {why}"),
            }
        }
    }
}

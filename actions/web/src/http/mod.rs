//! `http.get` and `http.request`: any service that the environment lists.

mod get;
mod request;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use http::{HeaderMap, HeaderName, header};
use runbook_contract::{
    Access, Action,
    text::{clean, shortened},
};
use runbook_core::{Value, fault::Fault, spec::ActionSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    allow::{Allow, Origin},
    client::{Answer, Client, LARGEST_TEXT, header_of},
    endpoint::Endpoint,
};

/// What `http.get` and `http.request` may reach: nothing that is not listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Servers: `https://api.example.com`, `https://*.example.com`, `http://127.0.0.1:8080`.
    #[serde(default)]
    pub allow: Vec<Origin>,
    /// What a URL that begins with `/` is below, so that a runbook need not know where an
    /// environment's services are. Its server may be reached without being listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Endpoint>,
}

/// The actions of one environment. Nothing is sent until one is called.
pub fn actions(config: &Config, access: &Arc<Access>) -> Vec<Arc<dyn Action>> {
    let listed = Allow::new(config.allow.iter().cloned());
    let allow = config.base_url.iter().fold(listed, |allow, base| allow.and(base.allow()));
    let (client, base) = (Client::new(access, allow), Base(config.base_url.clone()));
    vec![Arc::new(get::Get::new(client.clone(), base.clone())), Arc::new(request::Request::new(client, base))]
}

/// What the actions say of themselves.
pub fn specs() -> Vec<ActionSpec> {
    vec![get::spec(), request::spec()]
}

const LONGEST_URL: usize = 8 * 1024;
const MOST_HEADERS: usize = 32;
const LONGEST_HEADER: usize = 256;

/// Headers that would let a request mean another server or another length than it has.
const NOT_GIVEN: &[HeaderName] = &[
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
];

/// Headers of an answer that are credentials.
const NOT_SHOWN: &[HeaderName] = &[header::SET_COOKIE, header::AUTHORIZATION, header::PROXY_AUTHENTICATE];

/// What URLs without a server are below.
#[derive(Debug, Clone)]
struct Base(Option<Endpoint>);

impl Base {
    /// The whole URL, as text: it may hold marks of secrets.
    fn join<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Fault> {
        if !text.starts_with('/') || text.starts_with("//") {
            return Ok(Cow::Borrowed(text));
        }
        let base = self.0.as_ref().ok_or_else(|| {
            Fault::permanent("`url` names no server, and the environment has no `http.base_url`")
                .hint("write it like `https://api.example.com/health`, or set `http.base_url`")
        })?;
        Ok(Cow::Owned(format!("{}{text}", base.to_string().trim_end_matches('/'))))
    }

    /// Reads a URL, whole or below the base.
    fn url(&self, text: &str) -> Result<Url, Fault> {
        url_of(&self.join(text)?)
    }
}

/// Reads a URL of a runbook. The message never repeats it, for it may hold a secret.
fn url_of(text: &str) -> Result<Url, Fault> {
    let refuse = |why: String| {
        Fault::permanent(format!("`url` is not a URL: {why}"))
            .hint("write it like `https://api.example.com/health`")
    };
    if text.len() > LONGEST_URL {
        return Err(refuse("it is longer than 8 KiB".to_owned()));
    }
    let mut url = Url::parse(text).map_err(|error| refuse(error.to_string()))?;
    url.set_fragment(None);
    Ok(url)
}

fn headers_of(given: &BTreeMap<String, String>) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let refuse = |why: &str| Fault::permanent(format!("header `{}` {why}", clean(name)));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse("has no valid name"))?;
        if NOT_GIVEN.contains(&name) {
            return Err(refuse("is set by the client itself and cannot be given"));
        }
        headers.insert(name, header_of(value)?);
    }
    Ok(headers)
}

/// The headers of an answer that outputs keep.
fn shown_headers(answer: &Answer) -> BTreeMap<String, String> {
    let mut shown = BTreeMap::new();
    for name in answer.headers.keys().filter(|name| !NOT_SHOWN.contains(name)).take(MOST_HEADERS) {
        let values: Vec<_> =
            answer.headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        shown.insert(name.as_str().to_owned(), shortened(&clean(&values.join(", ")), LONGEST_HEADER));
    }
    shown
}

/// The answer's JSON where outputs can keep it.
fn shown_json(answer: &Answer) -> Value {
    answer.json().filter(fits).unwrap_or_default()
}

fn fits(value: &Value) -> bool {
    value.to_string().len() <= LARGEST_TEXT
}

fn millis(took: std::time::Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn to_outputs(output: impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(output).map_err(|error| Fault::permanent(error.to_string()))
}

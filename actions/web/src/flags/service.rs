//! The three ways in which flag services speak.

use http::{HeaderName, Method, header::AUTHORIZATION};
use runbook_contract::{access::Intent, text::clean};
use runbook_core::{
    Value,
    change::Request,
    fault::{Fault, FaultKind},
    suggest,
};
use serde_json::json;
use url::Url;

use super::{Config, FlagName, Shape};
use crate::{
    auth,
    client::{Call, Client, Deadline, key_header},
};

const MOST_NAMES: usize = 5000;

/// One environment's flag service.
#[derive(Debug)]
pub(super) struct Service {
    client: Client,
    config: Config,
}

impl Service {
    pub fn new(client: Client, config: Config) -> Self {
        Self { client, config }
    }

    /// The flag's place, the same for all who name this flag.
    pub fn target(&self, flag: &FlagName) -> String {
        let Config { url, project, environment, .. } = &self.config;
        match self.config.shape {
            Shape::Path | Shape::Body => format!("flags:{}/{flag}", url.host()),
            Shape::Unleash => format!("flags:{}/{project}/{environment}/{flag}", url.host()),
        }
    }

    /// Whether the flag is on. A flag that is not there is a `NotFound` that names its likes.
    pub async fn enabled(&self, flag: &FlagName, deadline: Deadline) -> Result<bool, Fault> {
        let looked = match self.config.shape {
            Shape::Body => {
                let flags = self.read(self.flags(), deadline).await?;
                let state = flags.get(&flag.0).ok_or_else(|| missing(flag));
                state.and_then(|state| state_of(state, &flags).map_err(|fault| at(fault, flag)))
            }
            Shape::Path => {
                let flag_json = self.read(self.flag(flag), deadline).await;
                flag_json.and_then(|json| state_of(&json, &json).map_err(|fault| at(fault, flag)))
            }
            Shape::Unleash => {
                self.read(self.flag(flag), deadline).await.and_then(|json| self.unleashed(flag, &json))
            }
        };
        match looked {
            Err(fault) if fault.kind == FaultKind::NotFound => Err(self.suggest(flag, fault, deadline).await),
            looked => looked,
        }
    }

    /// The request that switches the flag.
    pub fn switch(&self, flag: &FlagName, on: bool) -> Request {
        let (method, url, body) = match self.config.shape {
            Shape::Path => {
                let verb = if on { "enable" } else { "disable" };
                (Method::POST, self.below(self.flag(flag), &[verb]), Value::Null)
            }
            Shape::Body => (Method::PATCH, self.flags(), json!({ flag.0.as_str(): on })),
            Shape::Unleash => {
                let verb = if on { "on" } else { "off" };
                let path = ["environments", self.config.environment.as_str(), verb];
                (Method::POST, self.below(self.flag(flag), &path), Value::Null)
            }
        };
        Request { method: method.to_string(), url: url.into(), body, content_type: None }
    }

    /// Sends what `switch` made, as it was approved.
    pub async fn send(&self, request: &Request, key: &str, deadline: Deadline) -> Result<(), Fault> {
        let damaged = |what| Fault::permanent(format!("the recorded request has no valid {what}"));
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| damaged("method"))?;
        let url = Url::parse(&request.url).map_err(|_| damaged("URL"))?;
        let mut call = self.authorized(Call::new(method, Intent::Write, url, deadline))?;
        if !request.body.is_null() {
            call = call.json(&request.body);
        }
        call = call.with(HeaderName::from_static("idempotency-key"), key_header(key));
        self.client.send(call).await?.success().map(drop)
    }

    fn flags(&self) -> Url {
        match self.config.shape {
            Shape::Path | Shape::Body => self.config.url.at(["api", "flags"]),
            Shape::Unleash => {
                self.config.url.at(["api", "admin", "projects", self.config.project.as_str(), "features"])
            }
        }
    }

    fn flag(&self, flag: &FlagName) -> Url {
        self.below(self.flags(), &[&flag.0])
    }

    fn below(&self, mut url: Url, path: &[&str]) -> Url {
        // An endpoint has a host, so it has a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        url
    }

    async fn read(&self, url: Url, deadline: Deadline) -> Result<Value, Fault> {
        let call = self.authorized(Call::get(url, deadline))?;
        self.client.send(call).await?.success()?.require_json()
    }

    fn authorized(&self, call: Call) -> Result<Call, Fault> {
        let Some(token) = &self.config.token else { return Ok(call) };
        let header = match self.config.shape {
            Shape::Unleash => auth::bare(token)?,
            Shape::Path | Shape::Body => auth::bearer(token)?,
        };
        Ok(call.with(AUTHORIZATION, header))
    }

    fn unleashed(&self, flag: &FlagName, json: &Value) -> Result<bool, Fault> {
        if json.get("archived") == Some(&Value::Bool(true)) {
            return Err(Fault::permanent(format!("flag `{flag}` is archived"))
                .hint("revive it in Unleash, or name another flag"));
        }
        let wanted = &self.config.environment;
        let environments = || json.get("environments").and_then(Value::as_array).into_iter().flatten();
        let name = |environment: &Value| environment.get("name").and_then(Value::as_str).map(clean);
        match environments().find(|one| name(one).as_ref() == Some(wanted)) {
            Some(found) => state_of(found, found).map_err(|fault| at(fault, flag)),
            None => {
                let known: Vec<_> = environments().filter_map(name).take(10).collect();
                Err(Fault::permanent(format!("flag `{flag}` has no environment `{wanted}`"))
                    .hint(format!("set `flags.environment` to one of: {}", known.join(", "))))
            }
        }
    }

    /// Adds the name of the flag that looks like the one that is missing, where the service lists
    /// its flags. No list is no reason to fail in another way.
    async fn suggest(&self, flag: &FlagName, fault: Fault, deadline: Deadline) -> Fault {
        let Ok(listed) = self.read(self.flags(), deadline).await else { return fault };
        let names = names(&listed);
        let fault = Fault { message: missing(flag).message, ..fault };
        match suggest::closest(&flag.0, names.iter().map(String::as_str)) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint("no flag has a name like it; flags are made in the flag service"),
        }
    }
}

fn missing(flag: &FlagName) -> Fault {
    Fault::not_found(format!("there is no flag `{flag}`")).hint("check the name in the flag service")
}

fn at(fault: Fault, flag: &FlagName) -> Fault {
    Fault { message: format!("flag `{flag}`: {}", fault.message), ..fault }
}

/// `true`, or `{"enabled": true}`. `whole` is what the service answered, for the message.
fn state_of(state: &Value, whole: &Value) -> Result<bool, Fault> {
    state.as_bool().or_else(|| state.get("enabled")?.as_bool()).ok_or_else(|| {
        let keys: Vec<_> = whole
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.keys().take(5))
            .map(|key| clean(key))
            .collect();
        Fault::permanent(format!("the answer does not say whether it is on; it has: {}", keys.join(", ")))
            .hint("check `flags.shape` and `flags.url` of the environment")
    })
}

/// The names in a list of flags, in the forms that services give.
fn names(listed: &Value) -> Vec<String> {
    let list = ["features", "flags", "toggles", "items"].iter().find_map(|key| listed.get(key));
    let name = |item: &Value| {
        let name = item.as_str().or_else(|| item.get("name").or_else(|| item.get("key"))?.as_str());
        name.map(clean)
    };
    match list.unwrap_or(listed) {
        Value::Array(items) => items.iter().take(MOST_NAMES).filter_map(name).collect(),
        Value::Object(fields) => fields.keys().take(MOST_NAMES).map(|key| clean(key)).collect(),
        _ => Vec::new(),
    }
}

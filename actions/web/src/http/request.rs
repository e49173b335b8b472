//! `http.request`: a request that changes something, as the runbook gives it. What it changes only
//! the runbook knows: `observe` says where to look and what will be seen there, `undo` how to
//! take it back. Without `observe` nobody can tell afterwards whether a request without an answer
//! took effect.

use std::collections::BTreeMap;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, header};
use runbook_contract::{Action, Cx, Obstacle, PlanCx, access::Intent, schema};
use runbook_core::{
    Value,
    change::{self, Change, Landed, Observed, Planned, Progress, Target, Undo, brief},
    fault::Fault,
    spec::{ActionSpec, Effect, Grade, Permission, Reads, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Base, headers_of, millis, shown_json, to_outputs, url_of};
use crate::{
    client::{Call, Client, Deadline, key_header},
    endpoint::host_of,
    fault::obstacle,
    json_path::JsonPath,
};

const NAME: &str = "http.request";
const LARGEST_OBSERVED: usize = 8 * 1024;
const LARGEST_BODY: usize = 256 * 1024;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    method: Method,
    /// The address; its server must be on the environment's list.
    url: String,
    /// Headers of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    /// Sent as JSON; a text is sent as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    /// The header that carries the key by which the service recognizes a repeated request;
    /// `Idempotency-Key` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
    /// The status that means success; any of 200 to 299 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    expect_status: Option<u16>,
    /// Where to see what the request changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observe: Option<Look>,
    /// The request that takes this one back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undo: Option<Inverse>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Post,
    Put,
    Patch,
    Delete,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Look {
    /// Read with GET; where it answers 404, the value is null.
    url: String,
    /// Headers of the read; those of the request if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    /// Leads to the value: `data.mode` or `/data/mode`.
    json_path: String,
    /// The value once the request has taken effect.
    equals: Value,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Inverse {
    method: Method,
    url: String,
    /// Those of the request if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
}

/// What came of it.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Output {
    /// Whether the request was sent; not where everything was already as asked.
    sent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_ms: Option<u64>,
    /// The first 64 KiB of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The answer as JSON, where it is JSON of 64 KiB at most; else null.
    json: Value,
}

pub(super) fn spec() -> ActionSpec {
    ActionSpec {
        name: NAME.to_owned(),
        summary: "Sends a request that changes something, once".to_owned(),
        effect: Effect::Write,
        destructive_when: Some("method == 'DELETE'".to_owned()),
        input: schema::of::<Input>(),
        output: schema::of::<Output>(),
        undo: UndoSupport::Auto("by the request given as `undo`; without one, not at all".to_owned()),
        grade: Grade::Predicted,
        reads: Reads::Configuration,
        permissions: vec![Permission::Other(
            "to send the request; its server is on the list `http.allow`".to_owned(),
        )],
        example: json!({
            "method": "PUT",
            "url": "https://api.example.com/maintenance",
            "body": { "mode": "on" },
            "observe": { "url": "https://api.example.com/maintenance", "json_path": "mode", "equals": "on" },
            "undo": { "method": "PUT", "url": "https://api.example.com/maintenance", "body": { "mode": "off" } }
        }),
    }
}

impl Method {
    fn http(self) -> http::Method {
        match self {
            Self::Post => http::Method::POST,
            Self::Put => http::Method::PUT,
            Self::Patch => http::Method::PATCH,
            Self::Delete => http::Method::DELETE,
        }
    }
    fn effect(self) -> Effect {
        if self == Self::Delete { Effect::Destructive } else { Effect::Write }
    }
}

impl Input {
    /// The request as it is sent.
    fn call(&self, request: &change::Request, key: &str, deadline: Deadline) -> Result<Call, Fault> {
        let mut call = Call::new(self.method.http(), Intent::Write, url_of(&request.url)?, deadline);
        call.shows_path = false;
        call = match &request.body {
            Value::Null => call,
            Value::String(text) => Call { body: Some(text.clone().into_bytes()), ..call }
                .with(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
            body => call.json(body),
        };
        call.headers.extend(headers_of(&self.headers)?);
        let name = self.idempotency_key.as_deref().unwrap_or("Idempotency-Key");
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Fault::permanent("`idempotency_key` is not the name of a header"))?;
        Ok(call.with(name, key_header(key)))
    }

    /// The input of the request that takes this one back to `before`.
    fn inverse(&self, before: &Value) -> Option<Self> {
        let undo = self.undo.clone()?;
        let look = |look: Look| Look { equals: before.get("value").cloned().unwrap_or_default(), ..look };
        Some(Self {
            method: undo.method,
            url: undo.url,
            headers: undo.headers.unwrap_or_else(|| self.headers.clone()),
            body: undo.body,
            idempotency_key: self.idempotency_key.clone(),
            expect_status: None,
            observe: self.observe.clone().map(look),
            undo: None,
        })
    }
}

#[derive(Debug)]
pub(super) struct Request {
    spec: ActionSpec,
    client: Client,
    base: Base,
}

impl Request {
    pub fn new(client: Client, base: Base) -> Self {
        Self { spec: spec(), client, base }
    }

    /// The value that the request is about, as it is now; null where nothing is there.
    async fn look(&self, input: &Input, look: &Look, deadline: Deadline) -> Result<Value, Fault> {
        let path = JsonPath::parse(&look.json_path)?;
        let mut call = Call::get(self.base.url(&look.url)?, deadline);
        call.headers = headers_of(look.headers.as_ref().unwrap_or(&input.headers))?;
        call.headers.remove(header::CONTENT_TYPE);
        call.shows_path = false;
        let answer = self.client.send(call).await?;
        if answer.status.as_u16() == 404 {
            return Ok(Value::Null);
        }
        let json = answer.success()?.require_json()?;
        let value = path.find(&json).cloned().unwrap_or_default();
        if value.to_string().len() > LARGEST_OBSERVED {
            return Err(Fault::permanent("what `observe.json_path` leads to is larger than 8 KiB")
                .hint("lead it to the one value that the request changes"));
        }
        Ok(value)
    }

    /// The change that an input is, on what was seen.
    fn change(&self, input: &Input, before: Value, after: Value) -> Result<Change, Fault> {
        let whole = self.base.join(&input.url)?;
        let url = url_of(&whole)?;
        self.client.admit(&url)?;
        let body = input.body.clone().unwrap_or_default();
        if body.to_string().len() > LARGEST_BODY {
            return Err(Fault::permanent("`body` is larger than 256 KiB"));
        }
        let place = format!("{}{}", host_of(&url), path_in(&input.url));
        let method = input.method.http();
        let mut warnings = Vec::new();
        if input.observe.is_none() {
            warnings.push(
                "without `observe` nobody can tell whether it took effect, should the answer get lost"
                    .to_owned(),
            );
        }
        Ok(Change {
            action: NAME.to_owned(),
            input: to_outputs(input)?,
            target: Target::new(format!("http:{place}"), None),
            summary: match &input.observe {
                Some(look) => {
                    format!("{} {} -> {}", look.json_path, brief(&before["value"]), brief(&after["value"]))
                }
                None => format!("{method} {place}"),
            },
            effect: input.method.effect(),
            before,
            after,
            request: change::Request {
                method: method.to_string(),
                url: whole.into_owned(),
                body,
                content_type: None,
            },
            precondition: Value::Null,
            image: Value::Null,
            undo: match &input.undo {
                Some(_) => Undo::Auto,
                None => Undo::None("no `undo` request is given".to_owned()),
            },
            warnings,
        })
    }
}

#[async_trait]
impl Action for Request {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        let input: Input = schema::read(NAME, input)?;
        let outputs = to_outputs(Output::default())?;
        let state = match &input.observe {
            None => Value::Null,
            Some(look) => json!({ "value": self.look(&input, look, Deadline::after(cx.timeout)).await? }),
        };
        Ok(Observed { outputs, state, ..Observed::default() })
    }

    fn plan(&self, _: &PlanCx, input: &Value, seen: &Observed) -> Result<Planned, Fault> {
        let input: Input = schema::read(NAME, input)?;
        let Some(look) = &input.observe else {
            let change = self.change(&input, json!({ "sent": false }), json!({ "sent": true }))?;
            return Ok(Planned::Change(Box::new(change)));
        };
        let change = self.change(&input, seen.state.clone(), json!({ "value": look.equals }))?;
        if same(&seen.state["value"], &look.equals) {
            return Ok(already(&input, &change, seen));
        }
        Ok(Planned::Change(Box::new(change)))
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Value, Fault> {
        let input: Input = schema::read(NAME, &change.input)?;
        let deadline = Deadline::after(cx.timeout);
        if let Some(look) = &input.observe {
            let now = self.look(&input, look, deadline).await.map_err(nothing_sent)?;
            if !same(&now, &change.before["value"]) {
                return Err(Fault::conflict(format!("`{}` is now {}", look.json_path, brief(&now))));
            }
        }
        let call = input.call(&change.request, &cx.idempotency_key, deadline)?;
        let answer = self.client.send(call).await?;
        let status = answer.status.as_u16();
        match input.expect_status {
            Some(expected) if status == expected => {}
            Some(expected) if answer.status.is_success() => {
                return Err(Fault::unknown(format!("the service answered {status}, not {expected}"))
                    .hint("it may have taken effect in another way; look before it is sent again"));
            }
            None if answer.status.is_success() => {}
            _ => return Err(answer.fault()),
        }
        to_outputs(Output {
            sent: true,
            status: Some(status),
            time_ms: Some(millis(answer.took)),
            body: Some(answer.text()),
            json: shown_json(&answer),
        })
    }

    async fn verify(&self, cx: &Cx, change: &Change) -> Result<Progress, Fault> {
        let input: Input = schema::read(NAME, &change.input)?;
        let Some(look) = &input.observe else { return Ok(Progress::Done(Value::Null)) };
        let now = self.look(&input, look, Deadline::after(cx.timeout)).await?;
        if same(&now, &look.equals) {
            return Ok(Progress::Done(Value::Null));
        }
        Ok(Progress::Pending(format!(
            "`{}` is {}, not yet {}",
            look.json_path,
            brief(&now),
            brief(&look.equals)
        )))
    }

    fn landed(&self, change: &Change, seen: &Observed) -> Landed {
        match seen.state.get("value") {
            Some(now) if same(now, &change.after["value"]) => Landed::Yes,
            Some(now) if same(now, &change.before["value"]) => Landed::No,
            _ => Landed::CannotTell,
        }
    }

    fn plan_undo(&self, cx: &PlanCx, change: &Change, seen: &Observed) -> Result<Planned, Fault> {
        let input: Input = schema::read(NAME, &change.input)?;
        let Some(inverse) = input.inverse(&change.before) else {
            return Err(Fault::permanent("no `undo` request is given").hint("take it back by hand"));
        };
        let Some(look) = &inverse.observe else {
            let mut undo = self.change(&inverse, json!({ "undone": false }), json!({ "undone": true }))?;
            undo.target = change.target.clone();
            return Ok(Planned::Change(Box::new(undo)));
        };
        let now = &seen.state["value"];
        let mut undo = self.change(&inverse, seen.state.clone(), change.before.clone())?;
        undo.target = change.target.clone();
        if same(now, &look.equals) {
            return Ok(already(&inverse, &undo, seen));
        }
        if !cx.over_others && !same(now, &change.after["value"]) {
            return Err(Fault::conflict(format!(
                "`{}` is {}, not the {} that this run set",
                look.json_path,
                brief(now),
                brief(&change.after["value"])
            )));
        }
        Ok(Planned::Change(Box::new(undo)))
    }

    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let input: Input = schema::read(NAME, input)?;
        let undo = input.undo.as_ref().map(|undo| undo.url.as_str());
        for url in std::iter::once(input.url.as_str()).chain(undo) {
            if let Err(fault) = self.base.url(url).and_then(|url| self.client.admit(&url)) {
                return Ok(vec![obstacle(fault)]);
            }
        }
        let Some(look) = &input.observe else { return Ok(Vec::new()) };
        let looked = self.look(&input, look, Deadline::after(cx.timeout)).await;
        Ok(looked.err().map(obstacle).into_iter().collect())
    }
}

fn already(input: &Input, change: &Change, seen: &Observed) -> Planned {
    let path = input.observe.as_ref().map_or("", |look| look.json_path.as_str());
    Planned::Already {
        target: Some(change.target.clone()),
        summary: format!("{path} is already {}", brief(&change.after["value"])),
        outputs: seen.outputs.clone(),
    }
}

/// The path as the runbook writes it: a secret in it is found again, and masked, only as it is.
fn path_in(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or_default()
}

/// A failed look before a write leaves the write unsent, which is all that the engine asks.
fn nothing_sent(fault: Fault) -> Fault {
    use runbook_core::fault::FaultKind::{Refused, Unreachable};
    Fault { kind: if fault.kind == Unreachable { Refused } else { fault.kind }, ..fault }
}

/// Equality as people mean it: 1 and 1.0 are one number.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

//! `http.get`: an answer is an answer, whatever its status; only no answer is an error.

use std::collections::BTreeMap;

use async_trait::async_trait;
use runbook_contract::{Action, Cx, Obstacle, schema};
use runbook_core::{
    Value,
    change::Observed,
    duration::Duration,
    fault::Fault,
    spec::{ActionSpec, Effect, Grade, Permission, Reads, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Base, fits, headers_of, millis, shown_headers, shown_json, to_outputs};
use crate::{
    client::{Answer, Call, Client, Deadline},
    fault::obstacle,
    json_path::JsonPath,
};

const NAME: &str = "http.get";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The address; its server must be on the environment's list. One that begins with `/` is
    /// below the environment's `http.base_url`.
    url: String,
    /// Headers of the request.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The status that makes `ok` true; any of 200 to 299 if not given.
    #[schemars(range(min = 100, max = 599))]
    expect_status: Option<u16>,
    /// Takes `value` out of a JSON answer: `data.items[0].name` or `/data/items/0/name`.
    json_path: Option<String>,
    /// How long the answer may take.
    timeout: Option<Duration>,
}

/// What came back.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Output {
    status: u16,
    /// Whether the status is as expected.
    ok: bool,
    /// From sending to the end of the answer.
    time_ms: u64,
    headers: BTreeMap<String, String>,
    /// The first 64 KiB of the text.
    body: String,
    /// The body as JSON, where it is JSON of 64 KiB at most; else null.
    json: Value,
    /// What `json_path` leads to; absent where it leads nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

pub(super) fn spec() -> ActionSpec {
    ActionSpec {
        name: NAME.to_owned(),
        summary: "Gets a page and gives its status, timing, headers and JSON".to_owned(),
        effect: Effect::Read,
        destructive_when: None,
        input: schema::of::<Input>(),
        output: schema::of::<Output>(),
        undo: UndoSupport::None("it only reads".to_owned()),
        grade: Grade::Observed,
        reads: Reads::Behaviour,
        permissions: vec![Permission::Other(
            "to GET the address; its server is on the list `http.allow`".to_owned(),
        )],
        example: json!({ "url": "https://api.example.com/health", "json_path": "database.status" }),
    }
}

#[derive(Debug)]
pub(super) struct Get {
    spec: ActionSpec,
    client: Client,
    base: Base,
}

impl Get {
    pub fn new(client: Client, base: Base) -> Self {
        Self { spec: spec(), client, base }
    }

    async fn ask(&self, cx: &Cx, input: &Input) -> Result<Answer, Fault> {
        let timeout = input.timeout.map_or(cx.timeout, |timeout| timeout.min(cx.timeout));
        let mut call = Call::get(self.base.url(&input.url)?, Deadline::after(timeout));
        call.headers = headers_of(&input.headers)?;
        call.shows_path = false;
        self.client.send(call).await
    }
}

#[async_trait]
impl Action for Get {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        let input: Input = schema::read(NAME, input)?;
        let path = input.json_path.as_deref().map(JsonPath::parse).transpose()?;
        let answer = self.ask(cx, &input).await?;
        let mut warnings = Vec::new();
        let mut value = None;
        if let Some(path) = path {
            match answer.json() {
                None => warnings.push("the answer is not JSON, so `json_path` leads nowhere".to_owned()),
                Some(json) => match path.find(&json) {
                    None => warnings.push("`json_path` leads nowhere in this answer".to_owned()),
                    Some(found) if !fits(found) => {
                        warnings.push("what `json_path` leads to is larger than 64 KiB".to_owned())
                    }
                    Some(found) => value = Some(found.clone()),
                },
            }
        }
        let status = answer.status.as_u16();
        let outputs = to_outputs(Output {
            status,
            ok: input.expect_status.map_or(answer.status.is_success(), |expected| status == expected),
            time_ms: millis(answer.took),
            headers: shown_headers(&answer),
            body: answer.text(),
            json: shown_json(&answer),
            value,
        })?;
        Ok(Observed { outputs, warnings, ..Observed::default() })
    }

    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let input: Input = schema::read(NAME, input)?;
        Ok(self.ask(cx, &input).await.err().map(obstacle).into_iter().collect())
    }
}

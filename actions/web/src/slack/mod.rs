//! `slack.post`: a message into a channel.

mod template;

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, header::AUTHORIZATION};
use runbook_contract::{
    Access, Action, Cx, Obstacle, PlanCx, SecretSource, access::Intent, schema, text::clean,
};
use runbook_core::{
    Value,
    change::{self, Change, Landed, Observed, Planned, Request, Target, Undo, brief},
    fault::Fault,
    spec::{ActionSpec, Effect, Grade, Permission, Reads, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use self::template::Template;
use crate::{
    auth,
    client::{Answer, Call, Client, Deadline},
    endpoint::Endpoint,
    fault::obstacle,
};

/// A Slack workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address of the Web API.
    #[serde(default = "slack_api")]
    pub url: Endpoint,
    /// A bot token (`xoxb-…`) with the scope `chat:write`.
    pub token: SecretSource,
    /// The channel of messages that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

/// Slack itself.
#[expect(clippy::expect_used, reason = "the address is a constant, read by every test that makes a default")]
pub fn slack_api() -> Endpoint {
    "https://slack.com/api".parse().expect("the constant is an address")
}

/// The actions of one environment's Slack. Nothing is sent until one is called.
pub fn actions(config: &Config, access: &Arc<Access>) -> Vec<Arc<dyn Action>> {
    vec![Arc::new(Post {
        spec: spec(),
        client: Client::new(access, config.url.allow()),
        config: config.clone(),
    })]
}

/// What the actions say of themselves.
pub fn specs() -> Vec<ActionSpec> {
    vec![spec()]
}

const NAME: &str = "slack.post";
/// What Slack shows of a message before it splits or cuts it.
const LONGEST_TEXT: usize = 4000;
const MOST_BLOCKS: usize = 50;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// `#incidents` or a channel's id; the environment's own if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    /// The message, in Slack's markup; cut after 4000 characters. With `blocks`, what
    /// notifications show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-no-secrets" = true))]
    text: Option<String>,
    /// A message for a usual moment, in place of `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<Template>,
    /// What the template tells: `title` in its headline, the others a line each.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(extend("x-no-secrets" = true))]
    fields: Map<String, Value>,
    /// Layout blocks of Slack, fifty at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-no-secrets" = true))]
    blocks: Vec<Value>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Output {
    posted: bool,
    /// The channel's id, as Slack gives it.
    channel: String,
    /// The message's id in its channel.
    ts: String,
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: NAME.to_owned(),
        summary: "Posts a message into a Slack channel".to_owned(),
        effect: Effect::Write,
        destructive_when: None,
        input: schema::of::<Input>(),
        output: schema::of::<Output>(),
        undo: UndoSupport::None("people have read it; post a correction".to_owned()),
        grade: Grade::Predicted,
        reads: Reads::Configuration,
        permissions: vec![Permission::Other(
            "a Slack bot token with the scope chat:write, and the bot a member of the channel".to_owned(),
        )],
        example: json!({ "channel": "#incidents", "template": "resolved", "fields": { "title": "API latency" } }),
    }
}

#[derive(Debug)]
struct Post {
    spec: ActionSpec,
    client: Client,
    config: Config,
}

impl Post {
    fn call(&self, call: Call) -> Result<Call, Fault> {
        Ok(call.with(AUTHORIZATION, auth::bearer(&self.config.token)?))
    }

    /// The body of the request, and what a person should know of it.
    fn message(&self, input: &Input) -> Result<(String, Value, Vec<String>), Fault> {
        let channel = input
            .channel
            .clone()
            .or_else(|| self.config.channel.clone())
            .filter(|name| !name.trim().is_empty());
        let channel = channel.ok_or_else(|| {
            Fault::permanent("no channel is given")
                .hint("give `channel`, or set `slack.channel` of the environment")
        })?;
        let text = match (&input.text, input.template) {
            (Some(_), Some(_)) => {
                return Err(Fault::permanent("`text` and `template` are both given").hint("keep one of them"));
            }
            (Some(text), None) => text.clone(),
            (None, Some(template)) => template.fill(&input.fields),
            (None, None) if !input.blocks.is_empty() => String::new(),
            (None, None) => {
                return Err(
                    Fault::permanent("there is nothing to post").hint("give `text`, `template` or `blocks`")
                );
            }
        };
        if input.blocks.len() > MOST_BLOCKS {
            return Err(Fault::permanent(format!(
                "Slack takes {MOST_BLOCKS} blocks at most, not {}",
                input.blocks.len()
            )));
        }
        let mut warnings = Vec::new();
        let text = match text.char_indices().nth(LONGEST_TEXT) {
            None => text,
            Some(_) => {
                warnings.push(format!("the text is cut after {LONGEST_TEXT} characters"));
                text.chars().take(LONGEST_TEXT - 1).chain(['…']).collect()
            }
        };
        let mut body = json!({ "channel": channel, "text": text });
        if !input.blocks.is_empty() {
            body["blocks"] = Value::Array(input.blocks.clone());
        }
        Ok((channel, body, warnings))
    }
}

#[async_trait]
impl Action for Post {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    /// There is nothing to look at: a message is new whatever is in the channel.
    async fn observe(&self, _: &Cx, input: &Value) -> Result<Observed, Fault> {
        schema::read::<Input>(NAME, input)?;
        let outputs = serde_json::to_value(Output::default());
        Ok(Observed::outputs(outputs.map_err(|error| Fault::permanent(error.to_string()))?))
    }

    fn plan(&self, _: &PlanCx, input: &Value, _: &Observed) -> Result<Planned, Fault> {
        let input: Input = schema::read(NAME, input)?;
        let (channel, body, warnings) = self.message(&input)?;
        let text = body.get("text").cloned().unwrap_or_default();
        Ok(Planned::Change(Box::new(Change {
            action: NAME.to_owned(),
            input: serde_json::to_value(&input).map_err(|error| Fault::permanent(error.to_string()))?,
            target: Target::new(format!("slack:{channel}"), None),
            summary: format!("post to {channel}: {}", brief(&text).replace('\n', " ")),
            effect: Effect::Write,
            before: json!({ "message": null }),
            after: json!({ "message": text }),
            request: Request {
                method: Method::POST.to_string(),
                url: self.config.url.at(["chat.postMessage"]).into(),
                body,
                content_type: None,
            },
            precondition: Value::Null,
            image: Value::Null,
            undo: Undo::None("people have read it; post a correction".to_owned()),
            warnings,
        })))
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Value, Fault> {
        let mut body = change.request.body.clone();
        body["client_msg_id"] = json!(message_id(&cx.idempotency_key));
        let url = self.config.url.at(["chat.postMessage"]);
        let call = Call::new(Method::POST, Intent::Write, url, Deadline::after(cx.timeout)).json(&body);
        let json = accepted(self.client.send(self.call(call)?).await?)?;
        let text = |key| json.get(key).and_then(Value::as_str).map(clean).unwrap_or_default();
        let output = Output { posted: true, channel: text("channel"), ts: text("ts") };
        serde_json::to_value(output).map_err(|error| Fault::permanent(error.to_string()))
    }

    /// Nobody can tell, and nobody should be asked at night: a message that comes twice does no
    /// harm, one that never comes may. It is sent again, with the same message id, by which Slack
    /// drops most repeats but does not promise to.
    fn landed(&self, _: &Change, _: &Observed) -> Landed {
        Landed::No
    }

    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let input: Input = schema::read(NAME, input)?;
        if let Err(fault) = self.message(&input) {
            return Ok(vec![obstacle(fault)]);
        }
        // Slack takes even this question as a POST.
        let (url, deadline) = (self.config.url.at(["auth.test"]), Deadline::after(cx.timeout));
        let call = self.call(Call::new(Method::POST, Intent::Read, url, deadline))?;
        let asked = self.client.send(call).await.and_then(accepted);
        Ok(asked.err().map(obstacle).into_iter().collect())
    }
}

/// Slack's answer, which is 200 also where it says no.
fn accepted(answer: Answer) -> Result<Value, Fault> {
    let json = match answer.json() {
        Some(json) if json.get("ok") == Some(&Value::Bool(true)) => return Ok(json),
        Some(json) => json,
        None => return Err(not_slack(&answer)),
    };
    match json.get("error").and_then(Value::as_str) {
        Some(error) if answer.status.is_success() => Err(refusal(&clean(error))),
        _ if answer.status.is_success() => Err(not_slack(&answer)),
        _ => Err(answer.fault()),
    }
}

fn not_slack(answer: &Answer) -> Fault {
    if answer.status.is_success() {
        Fault::unknown("the answer is not one of Slack's")
            .hint("check `slack.url`; look into the channel before it is sent again")
    } else {
        answer.fault()
    }
}

/// What Slack's words for a refusal mean.
fn refusal(error: &str) -> Fault {
    let message = format!("Slack refuses the message: {error}");
    match error {
        "channel_not_found" => Fault::not_found(message)
            .hint("check the channel's name; a private channel is only found once the bot is in it"),
        "not_in_channel" => Fault::forbidden(message).hint("invite the bot: `/invite @NAME` in the channel"),
        "is_archived" => Fault::permanent(message).hint("the channel is archived; name another one"),
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            Fault::forbidden(message).hint("check the token in `slack.token` of the environment")
        }
        "missing_scope" | "no_permission" | "ekm_access_denied" | "restricted_action"
        | "org_login_required" => Fault::forbidden(message)
            .hint("the token needs the scope `chat:write`, and the workspace must allow it"),
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => Fault::refused(message),
        "internal_error" | "fatal_error" | "request_timeout" | "service_unavailable" => {
            Fault::unknown(message).hint("Slack failed itself; the message may have been posted")
        }
        _ => Fault::permanent(message),
    }
}

/// The key in the shape of a UUID, which is the only one that Slack takes.
fn message_id(key: &str) -> String {
    let digest = change::digest(&json!(["slack.post", key]));
    let hex = digest.trim_start_matches("sha256:");
    // Version 8 is the one for identifiers of one's own making; variant 8 to b is RFC 9562's.
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

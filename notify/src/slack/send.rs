//! Calls of Slack's Web API, and what its answers mean.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use runbook_core::{Timestamp, change};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{buttons::AnswerTo, message::Message};
use crate::{
    config::Slack,
    http::{Http, Trouble, excerpt},
};

/// A message that stands in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Posted {
    /// Slack's id of the channel.
    pub channel: String,
    pub ts: String,
}

const LONGEST_ID: usize = 255;

/// Posts a message. `id` is the same for every try of it.
pub(crate) async fn post(
    http: &Http,
    slack: &Slack,
    id: &str,
    message: &Message,
    now: Timestamp,
) -> Result<Posted, Trouble> {
    let body = json!({
        "channel": slack.channel,
        "text": message.text,
        "blocks": message.blocks,
        "client_msg_id": message_id(id),
        "unfurl_links": false,
        "unfurl_media": false,
    });
    let json = call(http, slack, "chat.postMessage", &body, now).await?;
    let text = |key: &str| {
        let text = json.get(key).and_then(Value::as_str);
        text.filter(|text| (1..=LONGEST_ID).contains(&text.len())).map(str::to_owned)
    };
    match (text("channel"), text("ts")) {
        (Some(channel), Some(ts)) => Ok(Posted { channel, ts }),
        _ => Err(Trouble::never("Slack took the message but did not say where it stands")),
    }
}

/// Changes a message that stands; one that was deleted needs no change.
pub(crate) async fn update(
    http: &Http,
    slack: &Slack,
    posted: &Posted,
    message: &Message,
    now: Timestamp,
) -> Result<(), Trouble> {
    let body = json!({
        "channel": posted.channel,
        "ts": posted.ts,
        "text": message.text,
        "blocks": message.blocks,
    });
    match call(http, slack, "chat.update", &body, now).await {
        Err(Trouble::Never { why }) if why.ends_with(": message_not_found") => Ok(()),
        other => other.map(drop),
    }
}

/// Tells whoever pressed a button something that only they see.
pub(crate) async fn answer(http: &Http, to: &AnswerTo, text: &str, now: Timestamp) -> Result<(), Trouble> {
    let body = json!({
        "response_type": "ephemeral",
        "replace_original": false,
        "text": super::mrkdwn::plain(text, 3_000),
    });
    let answer = http.post(&to.0, HeaderMap::new(), body.to_string().into_bytes(), now).await?;
    if answer.status.is_success() { Ok(()) } else { Err(answer.trouble("")) }
}

async fn call(
    http: &Http,
    slack: &Slack,
    method: &str,
    body: &Value,
    now: Timestamp,
) -> Result<Value, Trouble> {
    let token = slack.token.read().map_err(|error| Trouble::never(error.to_string()))?;
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer(&token)?)]);
    let url = slack.url.below(method);
    let answer = http.post(&url, headers, body.to_string().into_bytes(), now).await?;
    let error = answer.json.get("error").and_then(Value::as_str);
    let error = error.map(|error| excerpt(error, &[&token])).unwrap_or_default();
    if !answer.status.is_success() {
        return Err(answer.trouble(&error));
    }
    if answer.json.get("ok") == Some(&Value::Bool(true)) {
        return Ok(answer.json);
    }
    let why = format!("Slack refuses {method}: {error}");
    Err(match error.as_str() {
        "" => Trouble::later("the answer is not one of Slack's; check `url`"),
        "ratelimited"
        | "rate_limited"
        | "message_limit_exceeded"
        | "internal_error"
        | "fatal_error"
        | "request_timeout"
        | "service_unavailable"
        | "team_added_to_org" => answer.later(why),
        _ => Trouble::never(why),
    })
}

fn bearer(token: &SecretString) -> Result<HeaderValue, Trouble> {
    let text = format!("Bearer {}", token.expose_secret());
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| Trouble::never("the token holds a character that headers cannot carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A message's id in the shape of a UUID, which is the only one that Slack takes.
fn message_id(id: &str) -> String {
    let digest = change::digest(&json!(["notification", id]));
    let hex = digest.trim_start_matches("sha256:");
    // Version 8 is the one for identifiers of one's own making; variant 8 is RFC 9562's.
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

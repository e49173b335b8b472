//! A chat service: takes messages and shows what was posted.

use http::Method;
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::error::WorldError;
use crate::exchange::{Answer, Query, Request};
use crate::state::{MAX_MESSAGES, Message, State};

const MAX_TEXT: usize = 40_000;

/// Answers what comes after `/slack`.
pub(crate) fn respond(environment: &Environment, request: &Request, path: &[&str]) -> Answer {
    let answer = match (&request.method, path) {
        (&Method::GET, ["messages"]) => environment
            .look(|view| Answer::json(200, &json!({ "simulated": true, "messages": view.state.messages }))),
        (&Method::POST, ["api", "auth.test"]) => {
            if request.token().is_empty() {
                return refused("not_authed");
            }
            Ok(Answer::json(200, &json!({ "ok": true, "team": "Simulated", "user": "runbook" })))
        }
        (&Method::POST, ["api", "chat.postMessage"]) => post(environment, request),
        _ => return Answer::json(404, &json!({ "ok": false, "error": "unknown_method" })),
    };
    answer.unwrap_or_else(|error| Answer::json(500, &json!({ "ok": false, "error": error.to_string() })))
}

/// Like the real service, refuses with status 200 and a word.
fn refused(error: &str) -> Answer {
    Answer::json(200, &json!({ "ok": false, "error": error }))
}

fn post(environment: &Environment, request: &Request) -> Result<Answer, WorldError> {
    environment.count_write();
    if request.token().is_empty() {
        return Ok(refused("not_authed"));
    }
    let body: Value = match request.media_type().as_str() {
        "application/x-www-form-urlencoded" => {
            let form = Query::parse(&String::from_utf8_lossy(&request.body));
            json!({ "channel": form.get("channel"), "text": form.get("text") })
        }
        _ => serde_json::from_slice(&request.body).unwrap_or_default(),
    };
    let channel = body["channel"].as_str().unwrap_or_default();
    let text = body["text"].as_str().unwrap_or_default();
    if channel.is_empty() {
        return Ok(refused("channel_not_found"));
    }
    if text.is_empty() && body["blocks"].as_array().is_none_or(Vec::is_empty) {
        return Ok(refused("no_text"));
    }
    let text: String = text.chars().take(MAX_TEXT).collect();
    let change = |state: &mut State, now| {
        let at = state.timeline.real(now);
        // Numbered, so that two messages of the same second differ.
        let ts = format!("{}.{:06}", at.as_second(), state.stamp() % 1_000_000);
        state.messages.push(Message {
            ts: ts.clone(),
            channel: channel.to_owned(),
            text: text.clone(),
            blocks: body["blocks"].clone(),
        });
        let surplus = state.messages.len().saturating_sub(MAX_MESSAGES);
        state.messages.drain(..surplus);
        Ok::<_, WorldError>(ts)
    };
    environment.change(false, change, |_, ts| {
        let message = json!({ "type": "message", "text": text, "ts": ts });
        Answer::json(200, &json!({ "ok": true, "channel": channel, "ts": ts, "message": message }))
    })
}

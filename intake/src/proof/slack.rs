//! Slack: `X-Slack-Signature: v0=hex`, HMAC-SHA256 of `v0:timestamp:body`.
//!
//! <https://docs.slack.dev/authentication/verifying-requests-from-slack>

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::digest::{any_same, hex, hmac};
use crate::refusal::Refusal;
use crate::request::Request;

const SIGNATURE: &str = "X-Slack-Signature";
const TIMESTAMP: &str = "X-Slack-Request-Timestamp";

pub(crate) fn verify(request: &Request<'_>, secrets: &[SecretString]) -> Result<(), Refusal> {
    let given = request.headers.required(SIGNATURE)?;
    let timestamp = request.headers.required(TIMESTAMP)?;
    if !any_same([given].into_iter(), signatures(secrets, timestamp, request.body)) {
        return Err(Refusal::wrong("signature"));
    }
    super::check_seconds(TIMESTAMP, timestamp, request.now)
}

/// Slack signs with one secret, so this is signed with the first.
pub(crate) fn sign(secrets: &[SecretString], body: &[u8], now: Timestamp) -> Vec<(String, String)> {
    let timestamp = now.as_second().to_string();
    let signature = signatures(secrets, &timestamp, body).next().unwrap_or_default();
    vec![(SIGNATURE.to_owned(), signature), (TIMESTAMP.to_owned(), timestamp)]
}

fn signatures(secrets: &[SecretString], timestamp: &str, body: &[u8]) -> impl Iterator<Item = String> {
    secrets.iter().map(move |secret| {
        let key = secret.expose_secret().as_bytes();
        format!("v0={}", hex(&hmac(key, &[b"v0:", timestamp.as_bytes(), b":", body])))
    })
}

//! Grafana: HMAC-SHA256 in hex, over the body or over `timestamp:body`.
//!
//! <https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/#hmac-signature>

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::digest::{any_same, hex, hmac};
use crate::refusal::Refusal;
use crate::request::Request;

pub(crate) fn verify(
    request: &Request<'_>,
    secrets: &[SecretString],
    signature_header: &str,
    timestamp_header: Option<&str>,
) -> Result<(), Refusal> {
    let given = request.headers.required(signature_header)?;
    let timestamp = timestamp_header.map(|name| request.headers.required(name)).transpose()?;
    if !any_same([given].into_iter(), signatures(secrets, timestamp, request.body)) {
        return Err(Refusal::wrong("signature"));
    }
    match timestamp_header.zip(timestamp) {
        Some((header, text)) => super::check_seconds(header, text, request.now),
        None => Ok(()),
    }
}

/// Grafana signs with one secret, so these are signed with the first.
pub(crate) fn sign(
    secrets: &[SecretString],
    signature_header: &str,
    timestamp_header: Option<&str>,
    body: &[u8],
    now: Timestamp,
) -> Vec<(String, String)> {
    let timestamp = timestamp_header.map(|name| (name.to_owned(), now.as_second().to_string()));
    let seconds = timestamp.as_ref().map(|(_, seconds)| seconds.as_str());
    let signature = signatures(secrets, seconds, body).next().unwrap_or_default();
    [Some((signature_header.to_owned(), signature)), timestamp].into_iter().flatten().collect()
}

fn signatures(
    secrets: &[SecretString],
    timestamp: Option<&str>,
    body: &[u8],
) -> impl Iterator<Item = String> {
    secrets.iter().map(move |secret| {
        let key = secret.expose_secret().as_bytes();
        hex(&match timestamp {
            Some(timestamp) => hmac(key, &[timestamp.as_bytes(), b":", body]),
            None => hmac(key, &[body]),
        })
    })
}

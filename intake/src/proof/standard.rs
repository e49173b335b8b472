//! Standard Webhooks 1.0: `webhook-signature: v1,base64 v1,base64`, HMAC-SHA256 of `id.timestamp.body`.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::digest::{any_same, hmac};
use crate::refusal::Refusal;
use crate::request::Request;

pub(crate) const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
/// More than anybody has while secrets are replaced; each costs a comparison.
const MOST: usize = 10;
const LONGEST_ID: usize = 256;
/// Secrets are written with padding or without.
const SECRET: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(crate) fn verify(request: &Request<'_>, secrets: &[SecretString]) -> Result<(), Refusal> {
    let id = request.headers.required(ID)?;
    let timestamp = request.headers.required(TIMESTAMP)?;
    let header = request.headers.required(SIGNATURE)?;
    check_id(id)?;
    let given = header.split(' ').take(MOST).filter_map(|part| part.strip_prefix("v1,"));
    if !any_same(given, signatures(secrets, id, timestamp, request.body)) {
        return Err(Refusal::wrong("signature"));
    }
    super::check_seconds(TIMESTAMP, timestamp, request.now)
}

/// Signed with each of the secrets, so that the receiver may replace its own without a gap.
pub(crate) fn sign(secrets: &[SecretString], id: &str, body: &[u8], now: Timestamp) -> Vec<(String, String)> {
    let timestamp = now.as_second().to_string();
    let signed: Vec<String> =
        signatures(secrets, id, &timestamp, body).map(|text| format!("v1,{text}")).collect();
    vec![
        (ID.to_owned(), id.to_owned()),
        (TIMESTAMP.to_owned(), timestamp),
        (SIGNATURE.to_owned(), signed.join(" ")),
    ]
}

/// A full stop ends the id in what is signed: with one inside, another split into id, time and body
/// would have the same signature.
pub(crate) fn check_id(id: &str) -> Result<(), Refusal> {
    let fine = |b: u8| b.is_ascii_graphic() && b != b'.';
    if (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(fine) {
        return Ok(());
    }
    Err(Refusal::Unauthenticated(format!(
        "the header `{ID}` must have 1 to {LONGEST_ID} printable characters and no full stop"
    )))
}

/// The key that a secret stands for; none where it is not base64, so that it matches nothing.
pub(crate) fn key(secret: &SecretString) -> Option<SecretSlice<u8>> {
    let text = secret.expose_secret();
    let key = SECRET.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()?;
    (!key.is_empty()).then(|| key.into())
}

fn signatures(
    secrets: &[SecretString],
    id: &str,
    timestamp: &str,
    body: &[u8],
) -> impl Iterator<Item = String> {
    secrets.iter().filter_map(key).map(move |key| {
        let parts: [&[u8]; 5] = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        STANDARD.encode(hmac(key.expose_secret(), &parts))
    })
}

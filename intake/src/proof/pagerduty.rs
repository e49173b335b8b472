//! PagerDuty v3: `X-PagerDuty-Signature: v1=hex,v1=hex`, HMAC-SHA256 of the raw body with each of the
//! sender's secrets; one that matches suffices.
//!
//! <https://developer.pagerduty.com/docs/verifying-webhook-signatures>. There is no time in what is
//! signed: a replay is known by the id of its event.

use secrecy::{ExposeSecret, SecretString};

use super::digest::{any_same, hex, hmac};
use crate::refusal::Refusal;
use crate::request::Request;

const SIGNATURE: &str = "X-PagerDuty-Signature";
/// More than anybody has while secrets are replaced; each costs a comparison.
const MOST: usize = 10;

pub(crate) fn verify(request: &Request<'_>, secrets: &[SecretString]) -> Result<(), Refusal> {
    let header = request.headers.required(SIGNATURE)?;
    let given = header.split(',').take(MOST).filter_map(|part| part.trim().strip_prefix("v1="));
    if any_same(given, signatures(secrets, request.body)) { Ok(()) } else { Err(Refusal::wrong("signature")) }
}

pub(crate) fn sign(secrets: &[SecretString], body: &[u8]) -> Vec<(String, String)> {
    let signed: Vec<String> = signatures(secrets, body).map(|hex| format!("v1={hex}")).collect();
    vec![(SIGNATURE.to_owned(), signed.join(","))]
}

fn signatures(secrets: &[SecretString], body: &[u8]) -> impl Iterator<Item = String> {
    secrets.iter().map(move |secret| hex(&hmac(secret.expose_secret().as_bytes(), &[body])))
}

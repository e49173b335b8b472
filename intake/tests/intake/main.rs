//! The crate from outside: requests in, what was delivered or a refusal out.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

mod cases;
mod proofs;
mod refused;
mod robust;
mod sns;

use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use runbook_core::runbook::Source;
use runbook_intake::{Door, Headers, Proof, Received, Refusal, Request};
use secrecy::SecretString;

/// The time of all requests here, where a test does not say otherwise.
fn now() -> Timestamp {
    "2026-11-21T07:25:00Z".parse().unwrap()
}

fn file(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn secrets(texts: &[&str]) -> Vec<SecretString> {
    texts.iter().map(|text| SecretString::from(*text)).collect()
}

/// A door that opens to a token.
fn bearer(source: Source) -> Door {
    Door::new(source, Proof::Bearer { tokens: secrets(&["letmein"]) }).unwrap()
}

/// What a proven body delivers.
fn deliver(source: Source, body: &[u8]) -> Result<Received, Refusal> {
    if source == Source::Cloudwatch {
        return sns::receive(body);
    }
    let headers: Headers<'_> = [("Authorization", "Bearer letmein")].into_iter().collect();
    bearer(source).receive(&Request::new(headers, body, now()), None)
}

/// What a door says to a body with these headers.
fn knock(
    door: &Door,
    headers: &[(String, String)],
    body: &[u8],
    now: Timestamp,
) -> Result<Received, Refusal> {
    door.receive(&Request::new(headers.into(), body, now), None)
}

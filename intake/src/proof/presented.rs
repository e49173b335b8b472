//! Proofs that are simply shown: a token, a password, a secret in a header, a client certificate.
//!
//! Alertmanager, Grafana and Datadog can send the first three: `http_config.authorization` and
//! `http_config.basic_auth` of Alertmanager (<https://prometheus.io/docs/alerting/latest/configuration/#http_config>),
//! the authorization header of a Grafana contact point, the custom headers of a Datadog webhook. They
//! do not cover the body, so they are only as good as the TLS around them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use subtle::Choice;

use super::digest::same;
use crate::client::ClientName;
use crate::refusal::Refusal;
use crate::request::Request;

const AUTHORIZATION: &str = "Authorization";

/// RFC 6750.
pub(crate) fn bearer(request: &Request<'_>, tokens: &[SecretString]) -> Result<(), Refusal> {
    let given = credentials(request, "Bearer")?;
    accept(any(given.as_bytes(), tokens.iter().map(|token| token.expose_secret().as_bytes())), "bearer token")
}

/// RFC 7617.
pub(crate) fn basic(request: &Request<'_>, user: &str, passwords: &[SecretString]) -> Result<(), Refusal> {
    let given = STANDARD
        .decode(credentials(request, "Basic")?)
        .map_err(|_| Refusal::Unauthenticated("the basic credentials are not in base64".to_owned()))?;
    let expected: Vec<SecretString> = passwords
        .iter()
        .map(|password| SecretString::from(format!("{user}:{}", password.expose_secret())))
        .collect();
    accept(any(&given, expected.iter().map(|pair| pair.expose_secret().as_bytes())), "user or password")
}

pub(crate) fn header(request: &Request<'_>, name: &str, values: &[SecretString]) -> Result<(), Refusal> {
    let given = request.headers.required(name)?;
    let expected = values.iter().map(|value| value.expose_secret().as_bytes());
    accept(any(given.as_bytes(), expected), &format!("secret in the header `{name}`"))
}

pub(crate) fn client(request: &Request<'_>, names: &[ClientName]) -> Result<(), Refusal> {
    match request.client {
        Some(given) if given.iter().any(|name| names.contains(name)) => Ok(()),
        Some(_) => Err(Refusal::wrong("client certificate")),
        None => Err(Refusal::Unauthenticated("no client certificate was given".to_owned())),
    }
}

fn credentials<'a>(request: &Request<'a>, scheme: &str) -> Result<&'a str, Refusal> {
    let value = request.headers.required(AUTHORIZATION)?;
    match value.split_once(' ') {
        Some((given, rest)) if given.eq_ignore_ascii_case(scheme) => Ok(rest.trim_start_matches(' ')),
        _ => Err(Refusal::Unauthenticated(format!(
            "the header `{AUTHORIZATION}` is not of the form `{scheme} …`"
        ))),
    }
}

fn any<'a>(given: &[u8], expected: impl Iterator<Item = &'a [u8]>) -> bool {
    expected.fold(Choice::from(0), |found, expected| found | same(given, expected)).into()
}

fn accept(right: bool, what: &str) -> Result<(), Refusal> {
    if right { Ok(()) } else { Err(Refusal::wrong(what)) }
}

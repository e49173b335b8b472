//! Credentials as headers, read when they are needed and marked as not to be shown.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::HeaderValue;
use runbook_contract::SecretSource;
use runbook_core::fault::Fault;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::client::header_of;

/// A user's name and password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    pub username: String,
    pub password: SecretSource,
}

/// `Bearer TOKEN`.
pub(crate) fn bearer(token: &SecretSource) -> Result<HeaderValue, Fault> {
    header_of(&format!("Bearer {}", value(token)?))
}

/// The token and nothing else, as Unleash wants it.
pub(crate) fn bare(token: &SecretSource) -> Result<HeaderValue, Fault> {
    header_of(&value(token)?)
}

/// `Basic` and the encoded user and password.
pub(crate) fn basic(basic: &Basic) -> Result<HeaderValue, Fault> {
    if basic.username.contains(':') {
        return Err(Fault::permanent("a user name of basic authentication cannot hold a colon"));
    }
    let pair = format!("{}:{}", basic.username, value(&basic.password)?);
    header_of(&format!("Basic {}", BASE64.encode(pair)))
}

fn value(source: &SecretSource) -> Result<String, Fault> {
    let secret = source.read().map_err(|error| {
        Fault::permanent(error.to_string())
            .hint("the environment in runbook.yaml says where the secret is kept")
    })?;
    Ok(secret.expose_secret().to_owned())
}

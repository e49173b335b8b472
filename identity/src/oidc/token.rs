//! ID tokens: which are accepted (OpenID Connect Core 1.0, section 3.1.3.7). Pure.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::TokenFault;

/// What may sign an ID token. Never `none`, and no HMAC: its key would be the client's secret, or,
/// for who can be tricked, the public key.
const ACCEPTED: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];
/// How far apart the clocks may be, in seconds.
const LEEWAY: i64 = 60;
const LONGEST: usize = 64 * 1024;

/// What a token says of its own signature.
#[derive(Debug)]
pub(super) struct Header {
    pub algorithm: Algorithm,
    pub key: Option<String>,
}

/// What a token has to say.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    /// None where there was no browser to bind it to.
    pub nonce: Option<&'a SecretString>,
    pub now: Timestamp,
}

/// Of what a provider announces, what is accepted.
pub(super) fn accepted(announced: &[String]) -> Vec<Algorithm> {
    let common = ACCEPTED.iter().filter(|(name, _)| announced.iter().any(|each| each == name));
    common.map(|(_, algorithm)| *algorithm).collect()
}

/// Reads what is needed to find the key. Nothing of it is believed yet.
pub(super) fn header(token: &str, allowed: &[Algorithm]) -> Result<Header, TokenFault> {
    if token.len() > LONGEST {
        return Err(TokenFault::Unreadable);
    }
    let (encoded, _) = token.split_once('.').ok_or(TokenFault::Unreadable)?;
    let decoded = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenFault::Unreadable)?;
    let fields: Map<String, Value> = serde_json::from_slice(&decoded).map_err(|_| TokenFault::Unreadable)?;
    if fields.contains_key("crit") {
        return Err(TokenFault::Critical);
    }
    let name = fields.get("alg").and_then(Value::as_str).ok_or(TokenFault::Unreadable)?;
    let known = ACCEPTED.iter().find(|(known, algorithm)| *known == name && allowed.contains(algorithm));
    let (_, algorithm) = known.ok_or_else(|| TokenFault::Algorithm(name.chars().take(20).collect()))?;
    let key = match fields.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(_) => return Err(TokenFault::Unreadable),
    };
    Ok(Header { algorithm: *algorithm, key })
}

/// The claims of a token whose signature is right and which is meant for us, now.
pub(super) fn verify(
    token: &str,
    header: &Header,
    key: &DecodingKey,
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, TokenFault> {
    // Only the signature is left to the crate: its clock is the machine's, and it takes any of
    // several audiences where the standard asks for more.
    let mut signature = Validation::new(header.algorithm);
    signature.required_spec_claims.clear();
    signature.validate_exp = false;
    signature.validate_nbf = false;
    signature.validate_aud = false;
    let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, key, &signature);
    let claims = decoded.map(|data| data.claims).map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature => TokenFault::Signature,
        _ => TokenFault::Unreadable,
    })?;
    check(&claims, expected)?;
    Ok(claims)
}

fn check(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), TokenFault> {
    if text(claims, "iss")? != expected.issuer {
        return Err(TokenFault::Issuer);
    }
    check_audience(claims, expected.client_id)?;
    let now = expected.now.as_second();
    if now >= seconds(claims, "exp")?.saturating_add(LEEWAY) {
        return Err(TokenFault::Expired);
    }
    let starts = if claims.contains_key("nbf") { seconds(claims, "nbf")? } else { i64::MIN };
    if seconds(claims, "iat")?.max(starts) > now.saturating_add(LEEWAY) {
        return Err(TokenFault::TooEarly);
    }
    let subject = text(claims, "sub")?;
    if subject.is_empty() || subject.len() > 255 {
        return Err(TokenFault::Claim("sub"));
    }
    match expected.nonce {
        None => Ok(()),
        Some(nonce) => {
            let given = text(claims, "nonce").map_err(|_| TokenFault::Nonce)?;
            let same: bool = given.as_bytes().ct_eq(nonce.expose_secret().as_bytes()).into();
            if same { Ok(()) } else { Err(TokenFault::Nonce) }
        }
    }
}

/// One of several audiences says only that the token was made for others too: then `azp` must say
/// that it was given to us.
fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), TokenFault> {
    let (meant, alone) = match claims.get("aud") {
        Some(Value::String(one)) => (one == client_id, true),
        Some(Value::Array(several)) => {
            (several.iter().any(|one| one.as_str() == Some(client_id)), several.len() == 1)
        }
        _ => return Err(TokenFault::Claim("aud")),
    };
    if !meant {
        return Err(TokenFault::Audience);
    }
    match claims.get("azp") {
        None if alone => Ok(()),
        Some(Value::String(party)) if party == client_id => Ok(()),
        _ => Err(TokenFault::AuthorizedParty),
    }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, TokenFault> {
    claims.get(name).and_then(Value::as_str).ok_or(TokenFault::Claim(name))
}

/// Seconds since 1970, whole or not.
fn seconds(claims: &Map<String, Value>, name: &'static str) -> Result<i64, TokenFault> {
    let value = claims.get(name).ok_or(TokenFault::Claim(name))?;
    // A float's cast saturates, so that no number of seconds is too many.
    value.as_i64().or_else(|| value.as_f64().map(|number| number as i64)).ok_or(TokenFault::Claim(name))
}

#[cfg(test)]
mod tests;

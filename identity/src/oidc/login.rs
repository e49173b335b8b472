//! The login of a browser, while the person is at the provider.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use runbook_core::duration::Duration;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::OidcError;
use crate::{
    NoRandomness,
    cookies::{Cookie, Transport},
    random::Secret,
};

/// How long somebody may take at the provider.
const LIFE: Duration = Duration::from_secs(600);
const LONGEST_PATH: usize = 2048;

/// A login that was begun.
pub struct Login {
    /// Where to send the browser. It is answered to this browser only: it holds state and nonce.
    pub url: Url,
    pub attempt: Attempt,
    pub secret: LoginSecret,
}

/// What the store holds of it, under its id. It is good for one use before it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The SHA-256 of the secret.
    pub id: String,
    /// A path of this server.
    pub return_to: String,
    pub expires_at: Timestamp,
}

/// What the browser holds of it, in a cookie of its own.
#[derive(Debug)]
pub struct LoginSecret(Secret);

/// The query with which the provider sends a browser back.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Callback {
    pub code: Option<String>,
    pub state: Option<String>,
    pub iss: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address: its query is what this browser alone is to know.
        f.debug_struct("Login").field("attempt", &self.attempt).finish_non_exhaustive()
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the code nor the state is for a log.
        f.debug_struct("Callback").field("iss", &self.iss).field("error", &self.error).finish_non_exhaustive()
    }
}

impl LoginSecret {
    pub(super) fn fresh() -> Result<Self, NoRandomness> {
        Secret::fresh().map(Self)
    }

    /// From the `Cookie` header of the request with which the browser comes back.
    pub fn find(transport: Transport, header: &str) -> Option<Self> {
        Secret::parse(Cookie::Login.find(transport, header)?).map(Self)
    }

    /// The value of the `Set-Cookie` header.
    pub fn cookie(&self, transport: Transport) -> String {
        Cookie::Login.set(transport, &self.0.text(), LIFE)
    }

    /// The id of its record.
    pub fn attempt_id(&self) -> String {
        self.0.digest()
    }

    pub(super) fn attempt(&self, return_to: &str, now: Timestamp) -> Attempt {
        Attempt {
            id: self.attempt_id(),
            return_to: local_path(return_to).to_owned(),
            expires_at: LIFE.after(now),
        }
    }

    pub(super) fn state(&self) -> SecretString {
        self.0.derive("runbook login state v1")
    }

    pub(super) fn nonce(&self) -> SecretString {
        self.0.derive("runbook login nonce v1")
    }

    /// Of PKCE (RFC 7636).
    pub(super) fn verifier(&self) -> SecretString {
        self.0.derive("runbook login verifier v1")
    }

    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier().expose_secret()))
    }

    /// Whether the browser that comes back is the one that was sent, in time.
    pub(super) fn belongs(
        &self,
        attempt: &Attempt,
        callback: &Callback,
        now: Timestamp,
    ) -> Result<(), OidcError> {
        let given = callback.state.as_deref().unwrap_or_default();
        let same: bool = given.as_bytes().ct_eq(self.state().expose_secret().as_bytes()).into();
        if same && attempt.id == self.attempt_id() && now < attempt.expires_at {
            Ok(())
        } else {
            Err(OidcError::NotBegun)
        }
    }
}

/// A path of this server, or `/`. Browsers read `//host` and `/\host` as another server, and drop
/// tabs and line breaks before they do.
fn local_path(text: &str) -> &str {
    let local = text.starts_with('/') && !text.starts_with("//");
    let plain = !text.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace());
    if local && plain && text.len() <= LONGEST_PATH { text } else { "/" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn secret() -> LoginSecret {
        LoginSecret(Secret::parse("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA").unwrap())
    }

    fn callback(state: &str) -> Callback {
        Callback { state: Some(state.to_owned()), ..Callback::default() }
    }

    #[test]
    fn what_is_sent_and_stored_says_nothing_of_the_cookie() {
        let secret = secret();
        let all = [secret.state(), secret.nonce(), secret.verifier(), secret.0.text()];
        let mut different: Vec<&str> = all.iter().map(|text| text.expose_secret()).collect();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 4);
        assert!(different.iter().all(|text| text.len() == 43), "PKCE wants 43 to 128 letters");
        let stored = serde_json::to_string(&secret.attempt("/", NOON)).unwrap();
        assert!(different.iter().all(|text| !stored.contains(text)), "{stored}");
    }

    #[test]
    fn a_login_ends_where_and_while_it_was_begun() {
        let (secret, other) = (secret(), LoginSecret::fresh().unwrap());
        let attempt = secret.attempt("/", NOON);
        let state = secret.state().expose_secret().to_owned();
        let at = |seconds| Duration::from_secs(seconds).after(NOON);
        for (holder, state, now, expected) in [
            (&secret, state.as_str(), at(0), true),
            (&secret, &state, at(599), true),
            (&secret, &state, at(600), false),
            (&secret, &state[1..], at(0), false),
            (&secret, "", at(0), false),
            (&secret, other.state().expose_secret(), at(0), false),
            (&other, &state, at(0), false),
            (&other, other.state().expose_secret(), at(0), false),
        ] {
            assert_eq!(holder.belongs(&attempt, &callback(state), now).is_ok(), expected, "{state} at {now}");
        }
        assert!(secret.belongs(&attempt, &Callback::default(), NOON).is_err());
    }

    #[test]
    fn the_cookie_leads_to_the_attempt() {
        for transport in [Transport::Tls, Transport::Loopback] {
            let cookie = secret().cookie(transport);
            let found = LoginSecret::find(transport, cookie.split(';').next().unwrap()).unwrap();
            assert_eq!(found.attempt_id(), secret().attempt_id());
            assert!(cookie.contains("Max-Age=600"));
        }
    }

    #[test]
    fn nobody_is_sent_to_another_server_after_signing_in() {
        for (text, expected) in [
            ("/runs/1?tab=log#end", "/runs/1?tab=log#end"),
            ("/", "/"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("https://evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("/x\r\nSet-Cookie: a=b", "/"),
        ] {
            assert_eq!(local_path(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_path_stays_on_its_server(text in "[/\\\\a@:.\\t ?#]{0,12}") {
            let base = Url::parse("https://runbook.example.com/login").unwrap();
            let gone_to = base.join(local_path(&text)).unwrap();
            prop_assert_eq!(gone_to.host_str(), Some("runbook.example.com"));
        }
    }
}

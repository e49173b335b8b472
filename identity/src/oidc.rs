//! Signing in at an OpenID provider: the authorization code flow with PKCE for browsers, the device
//! flow for the command line.
//!
//! Built on jsonwebtoken and reqwest rather than on an OpenID crate: openidconnect brings rsa 0.9,
//! whose private-key operations leak by their timing (RUSTSEC-2023-0071), and a second provider of
//! cryptography beside aws-lc. What is needed of OpenID is small, and stands here whole.
//!
//! - Nothing is asked before the first login. The discovery document and the keys are kept for an
//!   hour; an unknown key makes the keys be fetched again, once a minute at most.
//! - Every request has a deadline, and every answer a bound. Redirects are not followed. Only https
//!   is spoken, but for a provider on loopback.
//! - The store holds no secret of a login: state, nonce and PKCE verifier are derived from the
//!   secret in the browser's cookie, so a login ends only in the browser that began it.

mod claims;
mod device;
mod discovery;
mod fault;
mod keys;
mod login;
mod token;
mod transport;

use jiff::Timestamp;
use runbook_core::{duration::Duration, host};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;

use crate::config::{ClientAuth, OidcConfig};

pub use self::{
    claims::Claimed,
    device::{DeviceLogin, DevicePoll},
    fault::{Kind, OidcError, TokenFault},
    login::{Attempt, Callback, Login, LoginSecret},
};
use self::{discovery::Provider, keys::Keys, token::Expected, transport::Transport};

/// How long a discovery document and keys are good for.
const FRESH: Duration = Duration::from_secs(3600);
/// How long an unknown key, after the keys were fetched for one, is unknown without asking again.
const REFETCH_EVERY: Duration = Duration::from_secs(60);
/// How long a provider that could not be reached is left alone, so that logins do not queue up
/// behind each other's deadlines.
const REST: Duration = Duration::from_secs(5);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

/// One OpenID provider, as a client of it.
#[derive(Debug)]
pub struct Oidc {
    config: OidcConfig,
    issuer: Url,
    transport: Transport,
    /// Held while asking, so that many logins at once ask once.
    known: Mutex<Known>,
}

/// What the provider has told of itself.
#[derive(Debug, Default)]
struct Known {
    provider: Option<(Provider, Timestamp)>,
    keys: Option<(Keys, Timestamp)>,
    refetched_at: Option<Timestamp>,
    failed: Option<(OidcError, Timestamp)>,
}

/// What the token endpoint answers with.
#[derive(Deserialize)]
struct Tokens {
    id_token: Option<SecretString>,
    access_token: Option<SecretString>,
}

/// What the token endpoint answers instead.
#[derive(Deserialize)]
struct Declined {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

/// Whether a configuration can be meant so. Asks nobody.
pub(crate) fn check(config: &OidcConfig) -> Result<(), OidcError> {
    settle(config).map(|_| ())
}

fn settle(config: &OidcConfig) -> Result<Url, OidcError> {
    let issuer = address("issuer", &config.issuer)?;
    if issuer.query().is_some() || issuer.fragment().is_some() {
        return Err(OidcError::Setup("the issuer has a query or a fragment, which none can have".to_owned()));
    }
    address("redirect_url", &config.redirect_url)?;
    if config.client_id.is_empty() {
        return Err(OidcError::Setup("client_id is empty".to_owned()));
    }
    if config.timeout.is_zero() || config.timeout > LONGEST_TIMEOUT {
        return Err(OidcError::Setup(format!(
            "the timeout must be more than 0s and at most {LONGEST_TIMEOUT}"
        )));
    }
    Ok(issuer)
}

fn address(field: &str, text: &str) -> Result<Url, OidcError> {
    let url = Url::parse(text).map_err(|error| OidcError::Setup(format!("{field} is not a URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OidcError::Setup(format!("{field} holds a user name or a password")));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => {
            Err(OidcError::Setup(format!("{field} must start with https://; http:// does for loopback only")))
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(host::is_loopback)
}

impl Oidc {
    /// Asks nobody yet: a provider that is down keeps no server from starting.
    pub fn new(config: OidcConfig) -> Result<Self, OidcError> {
        let issuer = settle(&config)?;
        let plain = issuer.scheme() == "http";
        let transport = Transport::new(config.timeout, plain)?;
        Ok(Self { config, issuer, transport, known: Mutex::default() })
    }

    /// Begins the login of a browser: where to send it, the record to store under `attempt.id`, and
    /// the secret for its cookie. `return_to` is the path where the person wanted to go; whatever is
    /// not a path of this server becomes `/`.
    pub async fn begin(&self, return_to: &str, now: Timestamp) -> Result<Login, OidcError> {
        let provider = self.provider(now).await?;
        let secret = LoginSecret::fresh()?;
        let mut url = provider.authorization;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", &self.config.redirect_url)
            .append_pair("scope", &self.scope(provider.scopes.as_deref()))
            .append_pair("state", secret.state().expose_secret())
            .append_pair("nonce", secret.nonce().expose_secret())
            .append_pair("code_challenge", &secret.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(Login { url, attempt: secret.attempt(return_to, now), secret })
    }

    /// Ends the login of a browser that the provider has sent back. `attempt` is the record of
    /// `secret.attempt_id()`, taken out of the store for good before this is called: whatever
    /// comes of it, a login is finished once.
    pub async fn finish(
        &self,
        attempt: Option<Attempt>,
        secret: &LoginSecret,
        callback: &Callback,
        now: Timestamp,
    ) -> Result<Claimed, OidcError> {
        let attempt = attempt.ok_or(OidcError::NotBegun)?;
        secret.belongs(&attempt, callback, now)?;
        let provider = self.provider(now).await?;
        match &callback.iss {
            Some(issuer) if *issuer != self.config.issuer => {
                return Err(OidcError::wrong_issuer(&self.config.issuer, issuer));
            }
            None if provider.names_itself => return Err(OidcError::NotBegun),
            _ => {}
        }
        if let Some(code) = &callback.error {
            return Err(OidcError::declined(code, callback.error_description.as_deref()));
        }
        let code = callback.code.as_deref().ok_or(OidcError::NotBegun)?;
        let verifier = secret.verifier();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.config.redirect_url),
            ("code_verifier", verifier.expose_secret()),
        ];
        let answer = self.post("its token endpoint", &provider.token, &provider, &form).await?;
        if let Some(declined) = answer.declined() {
            return Err(OidcError::declined(&declined.error, declined.error_description.as_deref()));
        }
        let tokens = answer.read::<Tokens>()?;
        self.accept(&provider, tokens, Some(&secret.nonce()), now).await
    }

    /// Somebody, from the tokens that the token endpoint gave.
    async fn accept(
        &self,
        provider: &Provider,
        tokens: Tokens,
        nonce: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Claimed, OidcError> {
        let id_token = tokens.id_token.ok_or(TokenFault::Absent)?;
        let mut claims = self.verify(provider, &id_token, nonce, now).await?;
        if let (Some(userinfo), Some(access)) = (&provider.userinfo, &tokens.access_token)
            && claims::wants_more(&self.config, &claims)
        {
            let answer = self.transport.get("its userinfo endpoint", userinfo, Some(access)).await?;
            let more = answer.success()?.read::<Map<String, Value>>()?;
            claims::add(&mut claims, more)?;
        }
        Claimed::from(&self.config, &claims)
    }

    async fn verify(
        &self,
        provider: &Provider,
        id_token: &SecretString,
        nonce: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Map<String, Value>, OidcError> {
        let header = token::header(id_token.expose_secret(), &provider.algorithms)?;
        let key = self.key(provider, &header, now).await?;
        let expected =
            Expected { issuer: &self.config.issuer, client_id: &self.config.client_id, nonce, now };
        Ok(token::verify(id_token.expose_secret(), &header, &key, &expected)?)
    }

    /// What to ask for. Of what is asked for by default, only what the provider says it knows: some
    /// refuse a request for the rest.
    fn scope(&self, known: Option<&[String]>) -> String {
        const DEFAULT: [&str; 3] = ["profile", "email", "groups"];
        let mut scopes = vec!["openid"];
        match &self.config.scopes {
            Some(chosen) => {
                scopes.extend(chosen.iter().map(String::as_str).filter(|scope| *scope != "openid"))
            }
            None => scopes.extend(
                DEFAULT
                    .into_iter()
                    .filter(|scope| known.is_none_or(|known| known.iter().any(|each| each == scope))),
            ),
        }
        scopes.join(" ")
    }

    async fn post(
        &self,
        what: &'static str,
        url: &Url,
        provider: &Provider,
        form: &[(&str, &str)],
    ) -> Result<transport::Answer, OidcError> {
        let mut form = form.to_vec();
        let id = self.config.client_id.as_str();
        let secret = self.config.client_secret.as_ref().map(|source| source.read()).transpose();
        let secret = secret.map_err(|error| OidcError::Setup(error.to_string()))?;
        match (&secret, provider.client_auth) {
            (Some(secret), ClientAuth::Basic) => {
                self.transport.post(what, url, &form, Some((id, secret))).await
            }
            (Some(secret), ClientAuth::Post) => {
                form.extend([("client_id", id), ("client_secret", secret.expose_secret())]);
                self.transport.post(what, url, &form, None).await
            }
            (None, _) => {
                form.push(("client_id", id));
                self.transport.post(what, url, &form, None).await
            }
        }
    }

    async fn provider(&self, now: Timestamp) -> Result<Provider, OidcError> {
        let mut known = self.known.lock().await;
        match &known.provider {
            Some((provider, at)) if is_fresh(*at, now) => return Ok(provider.clone()),
            _ => known.rest(now)?,
        }
        match discovery::ask(&self.transport, &self.config, &self.issuer).await {
            Ok(provider) => {
                known.provider = Some((provider.clone(), now));
                Ok(provider)
            }
            Err(error) => {
                tracing::warn!(%error, "the OpenID provider did not say how it is reached");
                known.failed = Some((error.clone(), now));
                Err(error)
            }
        }
    }

    async fn key(
        &self,
        provider: &Provider,
        header: &token::Header,
        now: Timestamp,
    ) -> Result<jsonwebtoken::DecodingKey, OidcError> {
        let mut known = self.known.lock().await;
        if let Some((keys, at)) = &known.keys
            && is_fresh(*at, now)
        {
            if let Some(key) = keys.find(header) {
                return Ok(key);
            }
            if known.refetched_at.is_some_and(|at| Duration::between(at, now) < REFETCH_EVERY) {
                return Err(TokenFault::UnknownKey.into());
            }
            known.refetched_at = Some(now);
        }
        known.rest(now)?;
        match keys::ask(&self.transport, &provider.keys).await {
            Ok(keys) => {
                let key = keys.find(header);
                known.keys = Some((keys, now));
                key.ok_or_else(|| TokenFault::UnknownKey.into())
            }
            Err(error) => {
                tracing::warn!(%error, "the OpenID provider did not give its keys");
                known.failed = Some((error.clone(), now));
                Err(error)
            }
        }
    }
}

impl Known {
    /// The last failure again, where it was just now.
    fn rest(&self, now: Timestamp) -> Result<(), OidcError> {
        match &self.failed {
            Some((error, at)) if Duration::between(*at, now) < REST => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    Duration::between(at, now) < FRESH
}

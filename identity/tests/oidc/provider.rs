//! A provider that says what a test tells it to say.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU8, Ordering},
};

use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use runbook_core::duration::Duration;
use runbook_identity::{
    config::OidcConfig,
    cookies::{Cookie, Transport},
    oidc::{Callback, Claimed, Login, LoginSecret, Oidc, OidcError},
};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use crate::signer::Signer;

pub const DISCOVERY: &str = "/.well-known/openid-configuration";
pub const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);
pub const CLIENT_SECRET: &str = "cl1ent-s3cret";
pub const CODE: &str = "the-c0de";

pub fn after(seconds: u64) -> Timestamp {
    Duration::from_secs(seconds).after(NOON)
}

pub struct Provider {
    pub server: MockServer,
    pub signer: Signer,
    lessons: AtomicU8,
}

impl Provider {
    /// One that does all as it should but give tokens.
    pub async fn start(algorithm: Algorithm) -> Self {
        let provider = Self::silent(algorithm).await;
        provider.answers(DISCOVERY, provider.document()).await;
        provider.answers("/jwks", json!({ "keys": [provider.signer.public()] })).await;
        provider
    }

    /// One that has not learned to say anything.
    pub async fn silent(algorithm: Algorithm) -> Self {
        Self {
            server: MockServer::start().await,
            signer: Signer::new(algorithm, "key-1"),
            lessons: AtomicU8::new(u8::MAX),
        }
    }

    pub fn document(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.server.uri());
        json!({
            "issuer": self.server.uri(),
            "authorization_endpoint": at("/auth"),
            "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"),
            "device_authorization_endpoint": at("/device"),
            "id_token_signing_alg_values_supported": [format!("{:?}", self.signer.algorithm), "HS256", "none"],
            "scopes_supported": ["openid", "profile", "groups"],
        })
    }

    pub async fn answers(&self, at: &str, body: Value) {
        self.does(at, ResponseTemplate::new(200).set_body_json(body)).await;
    }

    /// What it learns later goes before what it learned earlier.
    pub async fn does(&self, at: &str, response: ResponseTemplate) {
        let priority = self.lessons.fetch_sub(1, Ordering::Relaxed);
        Mock::given(path(at)).respond_with(response).with_priority(priority).mount(&self.server).await;
    }

    pub async fn gives(&self, id_token: &str) {
        self.answers(
            "/token",
            json!({ "id_token": id_token, "access_token": "acc3ss", "token_type": "Bearer" }),
        )
        .await;
    }

    pub fn config(&self) -> OidcConfig {
        let config = json!({
            "issuer": self.server.uri(), "client_id": "runbook", "timeout": "5s",
            "redirect_url": "https://runbook.example.com/login/callback"
        });
        let mut config: OidcConfig = serde_json::from_value(config).unwrap();
        config.client_secret = Some(runbook_contract::SecretSource::Given(CLIENT_SECRET.to_owned()));
        config
    }

    pub fn client(&self) -> Oidc {
        Oidc::new(self.config()).unwrap()
    }

    pub fn claims(&self, nonce: &str) -> Value {
        let now = NOON.as_second();
        json!({
            "iss": self.server.uri(), "aud": "runbook", "sub": "u-1", "nonce": nonce, "iat": now, "exp": now + 300,
            "preferred_username": "ann", "groups": ["sre-oncall"],
        })
    }

    /// A whole login whose token `make` forges, given the claims that would be right.
    pub async fn login(&self, oidc: &Oidc, make: impl Fn(Value) -> String) -> Result<Claimed, OidcError> {
        let login = oidc.begin("/", NOON).await?;
        self.gives(&make(self.claims(&asked(&login)["nonce"]))).await;
        come_back(oidc, login, NOON).await
    }

    pub async fn requests(&self, at: &str) -> usize {
        self.server
            .received_requests()
            .await
            .unwrap()
            .iter()
            .filter(|request| request.url.path() == at)
            .count()
    }
}

/// A document in which one thing is otherwise.
pub fn with(mut document: Value, name: &str, value: Value) -> Value {
    document[name] = value;
    document
}

/// What the browser was sent to the provider with.
pub fn asked(login: &Login) -> BTreeMap<String, String> {
    login.url.query_pairs().into_owned().collect()
}

pub fn callback(login: &Login) -> Callback {
    Callback { code: Some(CODE.to_owned()), state: asked(login).remove("state"), ..Callback::default() }
}

/// The browser's way back, its cookie having been sent and received.
pub async fn come_back(oidc: &Oidc, login: Login, now: Timestamp) -> Result<Claimed, OidcError> {
    let cookie = login.secret.cookie(Transport::Tls);
    let secret = LoginSecret::find(Transport::Tls, cookie.split(';').next().unwrap()).unwrap();
    assert!(cookie.starts_with(Cookie::Login.name(Transport::Tls)));
    let callback = callback(&login);
    oidc.finish(Some(login.attempt), &secret, &callback, now).await
}

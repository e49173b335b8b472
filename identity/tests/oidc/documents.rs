//! What the provider says of itself: documents that lie, are too large, come too late.

use std::time::Instant;

use jsonwebtoken::Algorithm;
use runbook_identity::oidc::{Kind, Oidc, OidcError};
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::provider::{DISCOVERY, NOON, Provider, after, come_back, with};

#[tokio::test]
async fn a_discovery_document_that_lies_or_lacks_is_refused() {
    let provider = Provider::silent(Algorithm::ES256).await;
    let document = || provider.document();
    for (body, expected) in [
        (with(document(), "issuer", json!("https://evil.example.com")), Kind::Setup),
        (with(document(), "issuer", json!(format!("{}/", provider.server.uri()))), Kind::Setup),
        (with(document(), "token_endpoint", json!("http://evil.example.com/token")), Kind::Provider),
        (with(document(), "jwks_uri", json!("file:///etc/passwd")), Kind::Provider),
        (with(document(), "authorization_endpoint", json!("javascript:alert(1)")), Kind::Provider),
        (with(document(), "token_endpoint", json!("no address")), Kind::Provider),
        (with(document(), "token_endpoint", json!(null)), Kind::Provider),
        (with(document(), "id_token_signing_alg_values_supported", json!(["HS256", "none"])), Kind::Setup),
        (with(document(), "code_challenge_methods_supported", json!(["plain"])), Kind::Setup),
        (json!([]), Kind::Provider),
    ] {
        provider.answers(DISCOVERY, body.clone()).await;
        let error = provider.client().begin("/", NOON).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error}: {body}");
        assert!(!error.hint().is_empty());
    }
}

#[tokio::test]
async fn answers_are_bounded_and_redirects_are_not_followed() {
    let provider = Provider::start(Algorithm::ES256).await;
    let huge = ResponseTemplate::new(200).set_body_bytes(vec![b' '; 300 * 1024]);
    provider.does(DISCOVERY, huge.clone()).await;
    let error = provider.client().begin("/", NOON).await.unwrap_err();
    assert!(matches!(error, OidcError::Oversized { .. }), "{error}");
    let elsewhere = ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:1/");
    provider.does(DISCOVERY, elsewhere).await;
    let error = provider.client().begin("/", NOON).await.unwrap_err();
    assert!(matches!(error, OidcError::Status { status: 302, .. }), "{error}");
    provider.answers(DISCOVERY, provider.document()).await;
    provider.does("/jwks", huge.clone()).await;
    let error = provider.login(&provider.client(), |claims| provider.signer.sign(&claims)).await.unwrap_err();
    assert!(matches!(error, OidcError::Oversized { .. }), "{error}");
    let login = provider.client().begin("/", NOON).await.unwrap();
    provider.does("/token", huge).await;
    let error = come_back(&provider.client(), login, NOON).await.unwrap_err();
    assert!(matches!(error, OidcError::Oversized { .. }), "{error}");
}

#[tokio::test]
async fn a_slow_provider_is_given_up_and_then_left_alone_for_a_while() {
    let provider = Provider::silent(Algorithm::ES256).await;
    let slow = ResponseTemplate::new(200).set_body_json(provider.document());
    provider.does(DISCOVERY, slow.set_delay(std::time::Duration::from_secs(30))).await;
    let mut config = provider.config();
    config.timeout = "200ms".parse().unwrap();
    let oidc = Oidc::new(config).unwrap();
    let started = Instant::now();
    let error = oidc.begin("/", NOON).await.unwrap_err();
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
    assert_eq!(
        error.to_string(),
        "the OpenID provider could not be asked: its discovery document gave no answer within 200ms"
    );
    assert_eq!(error.kind(), Kind::Provider);
    provider.answers(DISCOVERY, provider.document()).await;
    assert!(oidc.begin("/", after(4)).await.is_err(), "a moment ago it was down");
    assert_eq!(provider.requests(DISCOVERY).await, 1);
    assert!(oidc.begin("/", after(5)).await.is_ok());
}

#[tokio::test]
async fn many_logins_at_once_ask_once() {
    let provider = Provider::start(Algorithm::ES256).await;
    let oidc = provider.client();
    let logins = (0..20).map(|_| oidc.begin("/", NOON));
    for login in futures::future::join_all(logins).await {
        login.unwrap();
    }
    assert_eq!(provider.requests(DISCOVERY).await, 1);
    oidc.begin("/", after(3599)).await.unwrap();
    assert_eq!(provider.requests(DISCOVERY).await, 1);
    oidc.begin("/", after(3600)).await.unwrap();
    assert_eq!(provider.requests(DISCOVERY).await, 2);
}

#[test]
fn a_client_is_not_made_of_what_cannot_be_right() {
    let config = |issuer: &str, redirect: &str, timeout: &str| {
        serde_json::from_value(json!({
            "issuer": issuer, "client_id": "runbook", "redirect_url": redirect, "timeout": timeout
        }))
        .unwrap()
    };
    let (good, back) = ("https://login.example.com/tenant", "https://runbook.example.com/login/callback");
    for (issuer, redirect, timeout, expected) in [
        (good, back, "10s", true),
        ("http://127.0.0.1:9999", "http://localhost:8080/login/callback", "10s", true),
        ("http://[::1]:9999", back, "10s", true),
        ("http://login.example.com", back, "10s", false),
        ("http://127.0.0.1.example.com", back, "10s", false),
        ("login.example.com", back, "10s", false),
        ("https://user:password@login.example.com", back, "10s", false),
        ("https://login.example.com?x=1", back, "10s", false),
        (good, "http://runbook.example.com/login/callback", "10s", false),
        (good, "/login/callback", "10s", false),
        (good, back, "0s", false),
        (good, back, "61s", false),
    ] {
        assert_eq!(
            Oidc::new(config(issuer, redirect, timeout)).is_ok(),
            expected,
            "{issuer} {redirect} {timeout}"
        );
    }
}

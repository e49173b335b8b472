//! What a login asks of the browser and of the provider, and whose login it is.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use runbook_identity::{
    config::ClientAuth,
    cookies::Transport,
    oidc::{Callback, Kind, Oidc, OidcError},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wiremock::ResponseTemplate;

use crate::provider::{
    CLIENT_SECRET, CODE, DISCOVERY, NOON, Provider, after, asked, callback, come_back, with,
};

#[tokio::test]
async fn the_browser_and_the_token_endpoint_are_asked_as_the_standards_say() {
    let provider = Provider::start(Algorithm::ES256).await;
    let oidc = provider.client();
    let login = oidc.begin("/runs/7", NOON).await.unwrap();
    let query = asked(&login);
    assert!(login.url.as_str().starts_with(&format!("{}/auth?", provider.server.uri())));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "runbook"),
        ("redirect_uri", "https://runbook.example.com/login/callback"),
        ("scope", "openid profile groups"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(query[name], value, "{name}");
    }
    assert_eq!(login.attempt.return_to, "/runs/7");
    provider.gives(&provider.signer.sign(&provider.claims(&query["nonce"]))).await;
    come_back(&oidc, login, NOON).await.unwrap();

    let requests = provider.server.received_requests().await.unwrap();
    let exchange = requests.iter().find(|request| request.url.path() == "/token").unwrap();
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&exchange.body).into_owned().collect();
    assert_eq!((form["grant_type"].as_str(), form["code"].as_str()), ("authorization_code", CODE));
    assert_eq!(form["redirect_uri"], query["redirect_uri"]);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    assert_eq!(challenge, query["code_challenge"]);
    assert!(!form.contains_key("client_secret"), "it goes in the header");
    // base64 of `runbook:cl1ent-s3cret`
    assert_eq!(exchange.headers["authorization"], "Basic cnVuYm9vazpjbDFlbnQtczNjcmV0");
}

#[tokio::test]
async fn the_client_proves_itself_as_the_provider_and_the_configuration_have_it() {
    let offered =
        |ways: Value| move |document: Value| with(document, "token_endpoint_auth_methods_supported", ways);
    for (ways, chosen, secret, in_header, in_form) in [
        (json!(["client_secret_basic", "client_secret_post"]), None, true, true, false),
        (json!(["client_secret_post"]), None, true, false, true),
        (json!(["client_secret_basic", "client_secret_post"]), Some(ClientAuth::Post), true, false, true),
        (json!(["client_secret_post"]), Some(ClientAuth::Basic), true, true, false),
        (json!(["none"]), None, false, false, false),
    ] {
        let provider = Provider::start(Algorithm::ES256).await;
        provider.answers(DISCOVERY, offered(ways.clone())(provider.document())).await;
        let mut config = provider.config();
        config.client_auth = chosen;
        if !secret {
            config.client_secret = None;
        }
        let oidc = Oidc::new(config).unwrap();
        provider.login(&oidc, |claims| provider.signer.sign(&claims)).await.unwrap();
        let requests = provider.server.received_requests().await.unwrap();
        let exchange = requests.iter().find(|request| request.url.path() == "/token").unwrap();
        let form = String::from_utf8(exchange.body.clone()).unwrap();
        assert_eq!(exchange.headers.contains_key("authorization"), in_header, "{ways} {chosen:?}");
        assert_eq!(form.contains(CLIENT_SECRET), in_form, "{ways} {chosen:?}");
        assert_eq!(form.contains("client_id=runbook"), !in_header, "{ways} {chosen:?}");
    }
}

#[tokio::test]
async fn a_login_is_finished_by_its_browser_with_its_state_from_its_provider() {
    let provider = Provider::start(Algorithm::ES256).await;
    provider
        .answers(
            DISCOVERY,
            with(provider.document(), "authorization_response_iss_parameter_supported", json!(true)),
        )
        .await;
    let oidc = provider.client();
    let right = |state: Option<String>| Callback {
        iss: Some(provider.server.uri()),
        state,
        code: Some(CODE.to_owned()),
        ..Callback::default()
    };
    let login = oidc.begin("/", NOON).await.unwrap();
    let (attempt, state) = (login.attempt.clone(), asked(&login).remove("state"));
    provider.gives(&provider.signer.sign(&provider.claims(&asked(&login)["nonce"]))).await;
    let finish = |attempt, callback, at| {
        let (oidc, secret) = (&oidc, &login.secret);
        async move { oidc.finish(attempt, secret, &callback, at).await }
    };
    let not_begun = |answer: Result<_, OidcError>| matches!(answer, Err(OidcError::NotBegun));

    assert!(not_begun(finish(None, right(state.clone()), NOON).await), "its record was used before");
    assert!(not_begun(finish(Some(attempt.clone()), right(None), NOON).await));
    assert!(not_begun(finish(Some(attempt.clone()), right(Some("x".to_owned())), NOON).await));
    assert!(not_begun(finish(Some(attempt.clone()), right(state.clone()), after(600)).await));
    let unnamed = Callback { iss: None, ..right(state.clone()) };
    assert!(not_begun(finish(Some(attempt.clone()), unnamed, NOON).await), "this provider names itself");
    let codeless = Callback { code: None, ..right(state.clone()) };
    assert!(not_begun(finish(Some(attempt.clone()), codeless, NOON).await));
    let mixed_up = Callback { iss: Some("https://evil.example.com".to_owned()), ..right(state.clone()) };
    let error = finish(Some(attempt.clone()), mixed_up, NOON).await.unwrap_err();
    assert!(matches!(error, OidcError::WrongIssuer { .. }), "{error}");
    let declined = Callback {
        error: Some("access_denied".to_owned()),
        error_description: Some("no\u{1b}[2J\nway".to_owned()),
        ..right(state.clone())
    };
    let error = finish(Some(attempt.clone()), declined, NOON).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Person);
    assert!(!error.to_string().contains(char::is_control), "{error:?}");
    assert_eq!(provider.requests("/token").await, 0, "no code was given away for any of these");
    assert!(finish(Some(attempt), right(state), NOON).await.is_ok());
}

#[tokio::test]
async fn what_the_token_endpoint_says_no_with_is_told_and_no_secret_is() {
    let provider = Provider::start(Algorithm::ES256).await;
    let oidc = provider.client();
    let declined = json!({ "error": "invalid_grant", "error_description": "grant request is invalid" });
    for (response, expected) in [
        (ResponseTemplate::new(400).set_body_json(&declined), "grant request is invalid"),
        (ResponseTemplate::new(401).set_body_json(json!({ "error": "invalid_client" })), "invalid_client"),
        (ResponseTemplate::new(400).set_body_string("<html>"), "answered 400"),
        (ResponseTemplate::new(500).set_body_json(&declined), "answered 500"),
        (ResponseTemplate::new(200).set_body_json(json!({ "access_token": "acc3ss" })), "there is none"),
        (ResponseTemplate::new(200).set_body_string("{\"id_token\": \"s3cret"), "cannot be read"),
    ] {
        let login = oidc.begin("/", NOON).await.unwrap();
        let query = asked(&login);
        provider.does("/token", response).await;
        let error = come_back(&oidc, login, NOON).await.unwrap_err();
        let shown = format!("{error} {error:?} {}", error.hint());
        assert!(shown.contains(expected), "{shown}");
        for secret in [CODE, CLIENT_SECRET, "acc3ss", "s3cret", &query["state"], &query["nonce"]] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[tokio::test]
async fn nothing_that_is_printed_holds_a_secret() {
    let provider = Provider::start(Algorithm::ES256).await;
    let login = provider.client().begin("/", NOON).await.unwrap();
    let cookie = login.secret.cookie(Transport::Tls);
    let secret = cookie.split(['=', ';']).nth(1).unwrap();
    let shown = format!("{login:?} {:?} {:?}", login.secret, callback(&login));
    for hidden in [secret, CODE, &asked(&login)["state"], &asked(&login)["nonce"]] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

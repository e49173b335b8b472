//! A provider that lies, stalls or changes: what is accepted of it, and what is asked of it.

use std::time::Instant;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use runbook_identity::{
    config::ClientAuth,
    oidc::{Callback, Kind, Oidc, OidcError, TokenFault},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wiremock::ResponseTemplate;

use crate::{
    provider::{CLIENT_SECRET, CODE, NOON, Provider, after, asked, callback, come_back},
    signer::{Signer, forged, hmac_signed},
};

const DISCOVERY: &str = "/.well-known/openid-configuration";

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn fault(answer: Result<runbook_identity::oidc::Claimed, OidcError>) -> TokenFault {
    match answer.unwrap_err() {
        OidcError::Token(fault) => fault,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_honest_provider_is_believed_whatever_it_signs_with() {
    use Algorithm::{ES256, ES384, EdDSA, PS256, RS256, RS512};

    for algorithm in [RS256, RS512, PS256, ES256, ES384, EdDSA] {
        let provider = Provider::start(algorithm).await;
        let oidc = provider.client();
        let claimed = provider.login(&oidc, |claims| provider.signer.sign(&claims)).await.unwrap();
        assert_eq!((claimed.name.as_str(), claimed.subject.as_str()), ("ann", "u-1"), "{algorithm:?}");
        assert_eq!(claimed.issuer, provider.server.uri());
        assert!(claimed.groups.contains("sre-oncall"));
    }
}

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
    let form: std::collections::BTreeMap<String, String> =
        url::form_urlencoded::parse(&exchange.body).into_owned().collect();
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
async fn forged_tokens_are_refused() {
    let provider = Provider::start(Algorithm::RS256).await;
    let oidc = provider.client();
    let (signer, stranger) = (&provider.signer, Signer::new(Algorithm::RS256, "key-1"));
    let public = signer.public();
    let modulus = URL_SAFE_NO_PAD.decode(public["n"].as_str().unwrap()).unwrap();
    let now = NOON.as_second();
    let sign =
        |name: &'static str, value: Value| move |claims| signer.sign(&with(claims, name, value.clone()));

    let judged = |answer| fault(answer);
    let answer = provider.login(&oidc, sign("iss", json!("https://evil.example.com"))).await;
    assert_eq!(judged(answer), TokenFault::Issuer);
    let answer = provider.login(&oidc, sign("aud", json!("another-client"))).await;
    assert_eq!(judged(answer), TokenFault::Audience);
    let answer = provider.login(&oidc, sign("aud", json!(["runbook", "another-client"]))).await;
    assert_eq!(judged(answer), TokenFault::AuthorizedParty);
    let answer = provider.login(&oidc, sign("azp", json!("another-client"))).await;
    assert_eq!(judged(answer), TokenFault::AuthorizedParty);
    let answer = provider.login(&oidc, sign("nonce", json!("of-another-login"))).await;
    assert_eq!(judged(answer), TokenFault::Nonce);
    let answer = provider.login(&oidc, sign("exp", json!(now - 61))).await;
    assert_eq!(judged(answer), TokenFault::Expired);
    let answer = provider.login(&oidc, sign("nbf", json!(now + 120))).await;
    assert_eq!(judged(answer), TokenFault::TooEarly);
    let answer = provider.login(&oidc, |claims| stranger.sign(&claims)).await;
    assert_eq!(judged(answer), TokenFault::Signature, "the name of a key is not the key");
    let none = json!({ "alg": "none" });
    let answer = provider.login(&oidc, |claims| forged(&none, &claims, b"")).await;
    assert_eq!(
        judged(answer),
        TokenFault::Algorithm("none".to_owned()),
        "although the provider announces it"
    );
    let answer = provider.login(&oidc, |claims| hmac_signed("key-1", &modulus, &claims)).await;
    assert_eq!(
        judged(answer),
        TokenFault::Algorithm("HS256".to_owned()),
        "although the provider announces it"
    );
    let secret = CLIENT_SECRET.as_bytes();
    let answer = provider.login(&oidc, |claims| hmac_signed("key-1", secret, &claims)).await;
    assert_eq!(judged(answer), TokenFault::Algorithm("HS256".to_owned()));
    let unannounced = json!({ "alg": "RS512", "kid": "key-1" });
    let answer = provider.login(&oidc, |claims| forged(&unannounced, &claims, b"x")).await;
    assert_eq!(judged(answer), TokenFault::Algorithm("RS512".to_owned()));
    let answer = provider
        .login(&oidc, |claims| {
            let honest = signer.sign(&claims);
            let (head, rest) = honest.split_once('.').unwrap();
            let (_, signature) = rest.split_once('.').unwrap();
            let body = URL_SAFE_NO_PAD.encode(with(claims, "preferred_username", json!("root")).to_string());
            format!("{head}.{body}.{signature}")
        })
        .await;
    assert_eq!(judged(answer), TokenFault::Signature);
    for text in ["", "a", "a.b", "a.b.c", "a.b.c.d", "e30.e30.", "....", "\u{0}"] {
        let answer = provider.login(&oidc, |_| text.to_owned()).await;
        assert_eq!(judged(answer), TokenFault::Unreadable, "{text:?}");
    }
}

#[tokio::test]
async fn keys_are_fetched_again_for_an_unknown_one_but_once_a_minute() {
    let provider = Provider::start(Algorithm::ES256).await;
    let oidc = provider.client();
    let next = Signer::new(Algorithm::ES256, "key-2");
    let attempt = async |at| {
        let login = oidc.begin("/", at).await.unwrap();
        let mut claims = provider.claims(&asked(&login)["nonce"]);
        claims["exp"] = json!(at.as_second() + 300);
        provider.gives(&next.sign(&claims)).await;
        come_back(&oidc, login, at).await
    };
    provider.login(&oidc, |claims| provider.signer.sign(&claims)).await.unwrap();
    assert_eq!(provider.requests("/jwks").await, 1);
    assert_eq!(fault(attempt(after(1)).await), TokenFault::UnknownKey);
    assert_eq!(provider.requests("/jwks").await, 2);
    for second in [2, 30, 60] {
        assert_eq!(fault(attempt(after(second)).await), TokenFault::UnknownKey);
    }
    assert_eq!(provider.requests("/jwks").await, 2, "not again within the minute");
    provider.answers("/jwks", json!({ "keys": [provider.signer.public(), next.public()] })).await;
    assert_eq!(attempt(after(61)).await.unwrap().name, "ann", "the provider has a new key");
    assert_eq!(provider.requests("/jwks").await, 3);
    provider.answers("/jwks", json!({ "keys": [provider.signer.public()] })).await;
    assert!(attempt(after(62)).await.is_ok());
    assert_eq!(fault(attempt(after(62 + 3600)).await), TokenFault::UnknownKey, "it was withdrawn");
}

#[tokio::test]
async fn keys_that_are_not_for_this_are_not_used() {
    let provider = Provider::start(Algorithm::ES256).await;
    let public = provider.signer.public();
    let odd = json!({ "kty": "AKP", "kid": "odd", "alg": "ML-DSA-44" });
    for (keys, expected) in [
        (json!([odd, 7, public]), true),
        (json!([with(public.clone(), "use", json!("enc"))]), false),
        (json!([with(public.clone(), "alg", json!("ES384"))]), false),
        (json!([with(public.clone(), "kid", json!("other"))]), false),
        (json!([Signer::new(Algorithm::RS256, "key-1").public()]), false),
        (json!([]), false),
    ] {
        provider.answers("/jwks", json!({ "keys": keys })).await;
        let oidc = provider.client();
        let answer = provider.login(&oidc, |claims| provider.signer.sign(&claims)).await;
        assert_eq!(answer.is_ok(), expected, "{keys}");
    }
}

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
async fn userinfo_is_asked_where_the_token_says_too_little_and_must_speak_of_the_same_person() {
    let provider = Provider::start(Algorithm::ES256).await;
    let userinfo = format!("{}/me", provider.server.uri());
    provider.answers(DISCOVERY, with(provider.document(), "userinfo_endpoint", json!(userinfo))).await;
    let oidc = provider.client();
    let thin = |mut claims: Value| {
        claims.as_object_mut().unwrap().retain(|name, _| name != "preferred_username" && name != "groups");
        provider.signer.sign(&claims)
    };
    provider.answers("/me", json!({ "sub": "u-1", "preferred_username": "ann", "groups": ["leads"] })).await;
    let claimed = provider.login(&oidc, thin).await.unwrap();
    assert_eq!(claimed.name, "ann");
    assert!(claimed.groups.contains("leads"));
    let requests = provider.server.received_requests().await.unwrap();
    let asked = requests.iter().find(|request| request.url.path() == "/me").unwrap();
    assert_eq!(asked.headers["authorization"], "Bearer acc3ss");

    provider.login(&oidc, |claims| provider.signer.sign(&claims)).await.unwrap();
    assert_eq!(provider.requests("/me").await, 1, "the token said it all");
    provider.answers("/me", json!({ "sub": "u-2", "preferred_username": "root" })).await;
    assert_eq!(fault(provider.login(&oidc, thin).await), TokenFault::Subject);
    provider.does("/me", ResponseTemplate::new(403)).await;
    assert!(provider.login(&oidc, thin).await.is_err());
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

#[tokio::test]
async fn nothing_that_is_printed_holds_a_secret() {
    let provider = Provider::start(Algorithm::ES256).await;
    let login = provider.client().begin("/", NOON).await.unwrap();
    let cookie = login.secret.cookie(runbook_identity::cookies::Transport::Tls);
    let secret = cookie.split(['=', ';']).nth(1).unwrap();
    let shown = format!("{:?} {:?} {:?}", login.secret, login.attempt, callback(&login));
    for hidden in [secret, CODE, &asked(&login)["state"]] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

//! Which ID tokens are accepted, and which keys.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use runbook_identity::oidc::{Claimed, OidcError, TokenFault};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::{
    provider::{CLIENT_SECRET, DISCOVERY, NOON, Provider, after, asked, come_back, with},
    signer::{Signer, forged, hmac_signed},
};

fn fault(answer: Result<Claimed, OidcError>) -> TokenFault {
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
        let refused = (!expected).then_some(TokenFault::UnknownKey);
        assert_eq!(answer.map_err(|error| fault(Err(error))).err(), refused, "{keys}");
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

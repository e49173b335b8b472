//! The device flow against a provider that says what it is told to say.

use jsonwebtoken::Algorithm;
use runbook_core::duration::Duration;
use runbook_identity::oidc::{DeviceLogin, DevicePoll, OidcError};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::provider::{NOON, Provider, after};

async fn begun(changes: &[(&str, Value)]) -> (Provider, DeviceLogin) {
    let provider = Provider::start(Algorithm::ES256).await;
    let mut body = json!({
        "device_code": "d3vice-code", "user_code": "BCDF-GHJK", "expires_in": 600, "interval": 5,
        "verification_uri": "https://login.example.com/device",
        "verification_uri_complete": "https://login.example.com/device?user_code=BCDF-GHJK",
    });
    for (name, value) in changes {
        body[*name] = value.clone();
    }
    provider.answers("/device", body).await;
    let login = provider.client().device_begin(NOON).await.unwrap();
    (provider, login)
}

async fn says(provider: &Provider, error: &str) {
    provider.does("/token", ResponseTemplate::new(400).set_body_json(json!({ "error": error }))).await;
}

fn wait(answer: Result<DevicePoll, OidcError>) -> u64 {
    match answer.unwrap() {
        DevicePoll::Pending { wait } => wait.as_std().as_secs(),
        DevicePoll::Done(claimed) => panic!("{claimed:?}"),
    }
}

#[tokio::test]
async fn a_person_confirms_and_is_known() {
    let (provider, mut login) = begun(&[]).await;
    let oidc = provider.client();
    assert_eq!(login.user_code, "BCDF-GHJK");
    assert_eq!(login.verification_uri.as_str(), "https://login.example.com/device");
    assert_eq!((login.expires_at, login.wait(NOON)), (after(600), Duration::from_secs(5)));
    assert!(!format!("{login:?}").contains("d3vice-code"));

    assert_eq!(wait(oidc.device_poll(&mut login, after(2)).await), 3);
    assert_eq!(provider.requests("/token").await, 0, "asked too early, the provider is not");
    says(&provider, "authorization_pending").await;
    assert_eq!(wait(oidc.device_poll(&mut login, after(5)).await), 5);
    says(&provider, "slow_down").await;
    assert_eq!(wait(oidc.device_poll(&mut login, after(10)).await), 10);
    assert_eq!(wait(oidc.device_poll(&mut login, after(19)).await), 1);
    assert_eq!(provider.requests("/token").await, 2);
    let mut claims = provider.claims("none was asked for");
    claims.as_object_mut().unwrap().shift_remove("nonce");
    provider.gives(&provider.signer.sign(&claims)).await;
    match oidc.device_poll(&mut login, after(20)).await.unwrap() {
        DevicePoll::Done(claimed) => assert_eq!(claimed.name, "ann"),
        DevicePoll::Pending { .. } => panic!("it was confirmed"),
    }
    let requests = provider.server.received_requests().await.unwrap();
    let last = String::from_utf8(
        requests.iter().rfind(|request| request.url.path() == "/token").unwrap().body.clone(),
    );
    assert_eq!(
        last.unwrap(),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=d3vice-code"
    );
}

#[tokio::test]
async fn it_ends_when_it_is_declined_or_its_time_is_up() {
    let (provider, mut login) = begun(&[]).await;
    let oidc = provider.client();
    says(&provider, "access_denied").await;
    assert!(matches!(oidc.device_poll(&mut login, after(5)).await, Err(OidcError::Declined(_))));
    says(&provider, "expired_token").await;
    assert!(matches!(oidc.device_poll(&mut login, after(6)).await, Err(OidcError::DeviceExpired)));
    let asked = provider.requests("/token").await;
    assert!(matches!(oidc.device_poll(&mut login, after(600)).await, Err(OidcError::DeviceExpired)));
    assert_eq!(provider.requests("/token").await, asked);
}

#[tokio::test]
async fn a_provider_that_stalls_is_asked_less_often() {
    let (provider, mut login) = begun(&[]).await;
    let mut config = provider.config();
    config.timeout = "200ms".parse().unwrap();
    let oidc = runbook_identity::oidc::Oidc::new(config).unwrap();
    provider.does("/token", ResponseTemplate::new(200).set_delay(std::time::Duration::from_secs(30))).await;
    assert_eq!(wait(oidc.device_poll(&mut login, after(5)).await), 10);
    assert_eq!(wait(oidc.device_poll(&mut login, after(15)).await), 20);
}

#[tokio::test]
async fn what_the_provider_says_of_itself_is_bounded() {
    for (field, value) in [
        ("expires_in", json!(u64::MAX)),
        ("interval", json!(u64::MAX)),
        ("interval", json!(0)),
        ("user_code", json!("\u{1b}[2J")),
        ("user_code", json!("x".repeat(10_000))),
    ] {
        let (_, login) = begun(&[(field, value.clone())]).await;
        assert!(login.expires_at <= after(1800), "{field} {value}");
        assert!((1..=60).contains(&login.wait(NOON).as_std().as_secs()), "{field} {value}");
        assert!(
            login.user_code.len() < 100 && !login.user_code.contains(char::is_control),
            "{field} {value}"
        );
    }
    let provider = Provider::start(Algorithm::ES256).await;
    let body = json!({
        "device_code": "x", "user_code": "x", "expires_in": 600, "verification_uri": "javascript:alert(1)"
    });
    provider.answers("/device", body).await;
    assert!(provider.client().device_begin(NOON).await.is_err());
}

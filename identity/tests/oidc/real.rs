//! A real OpenID provider, the one of `tests/provider`, whose issuer `RUNBOOK_TEST_OIDC` names.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::collections::BTreeSet;

use indexmap::IndexMap;
use jiff::Timestamp;
use runbook_contract::SecretSource;
use runbook_core::duration::Duration;
use runbook_identity::{
    Auth, Directory, Permission, Scope,
    config::ClientAuth,
    cookies::Transport,
    may,
    oidc::{Callback, DevicePoll, Login, LoginSecret, Oidc, OidcError},
    sessions::{self, SessionSecret},
};
use serde_json::json;

use crate::browser::{Arrived, Browser};

const HOME: &str = "http://127.0.0.1:1/login/callback";

/// The provider as a client that it knows, or none where there is no provider.
fn provider(client: &str) -> Option<Oidc> {
    let Ok(issuer) = std::env::var("RUNBOOK_TEST_OIDC") else {
        eprintln!("skipped: RUNBOOK_TEST_OIDC is not set");
        return None;
    };
    let config = json!({ "issuer": issuer, "client_id": client, "redirect_url": HOME });
    let mut config: runbook_identity::config::OidcConfig = serde_json::from_value(config).unwrap();
    (config.client_secret, config.client_auth) = match client {
        "runbook" => (Some(SecretSource::Given("p/ss:w+rd%20&=x".to_owned())), None),
        "runbook-post" => (Some(SecretSource::Given("a-secret".to_owned())), Some(ClientAuth::Post)),
        _ => (None, None),
    };
    Some(Oidc::new(config).unwrap())
}

/// Goes to the provider with a browser and comes back.
async fn signed_in(login: &Login, person: &str) -> Callback {
    match Browser::new().walk(&login.url, person, &[], HOME).await {
        Arrived::Back(url) => {
            let mut query: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
            let mut take = |name: &str| query.remove(name);
            Callback {
                code: take("code"),
                state: take("state"),
                iss: take("iss"),
                error: take("error"),
                error_description: None,
            }
        }
        Arrived::Page(page) => panic!("the provider stopped: {page}"),
    }
}

#[tokio::test]
async fn somebody_signs_in_and_may_do_what_their_group_may() {
    let Some(oidc) = provider("runbook") else { return };
    let now = Timestamp::now();
    let login = oidc.begin("/runs/7", now).await.unwrap();
    let callback = signed_in(&login, "oncall").await;
    let cookie = login.secret.cookie(Transport::Loopback);
    let secret = LoginSecret::find(Transport::Loopback, cookie.split(';').next().unwrap()).unwrap();
    let claimed =
        oidc.finish(Some(login.attempt.clone()), &secret, &callback, Timestamp::now()).await.unwrap();
    assert_eq!((claimed.name.as_str(), claimed.subject.as_str()), ("oncall", "oncall"));
    assert_eq!(claimed.groups, BTreeSet::from(["everyone".to_owned(), "sre-oncall".to_owned()]));

    let auth: Auth =
        serde_json::from_value(json!({ "roles": [{ "role": "responder", "to": ["sre-oncall"] }] })).unwrap();
    let directory = Directory::new(&auth, &IndexMap::new());
    directory.admit(&claimed).unwrap();
    let (record, secret) = sessions::open(&claimed, now).unwrap();
    let cookie = secret.cookie(Transport::Tls, directory.lifetimes());
    assert_eq!(SessionSecret::find(Transport::Tls, &cookie).unwrap().id(), record.id);
    let identity = directory.of_session(&record);
    assert!(may(&identity, Permission::Start, Scope::of("production", "high-latency")).is_ok());
    assert!(may(&identity, Permission::Approve, Scope::of("production", "high-latency")).is_err());

    let again = oidc.finish(Some(login.attempt), &login.secret, &callback, Timestamp::now()).await;
    assert!(matches!(again, Err(OidcError::Declined(_))), "the provider takes a code once: {again:?}");
}

#[tokio::test]
async fn every_way_of_proving_the_client_is_taken() {
    for client in ["runbook", "runbook-post", "runbook-public"] {
        let Some(oidc) = provider(client) else { return };
        let login = oidc.begin("/", Timestamp::now()).await.unwrap();
        let callback = signed_in(&login, "bob").await;
        let claimed =
            oidc.finish(Some(login.attempt), &login.secret, &callback, Timestamp::now()).await.unwrap();
        assert_eq!((claimed.name.as_str(), claimed.groups.len()), ("bob", 0), "{client}");
    }
}

#[tokio::test]
async fn the_code_of_one_browser_is_of_no_use_to_another() {
    let Some(oidc) = provider("runbook-public") else { return };
    let victim = oidc.begin("/", Timestamp::now()).await.unwrap();
    let own = oidc.begin("/", Timestamp::now()).await.unwrap();
    let stolen = signed_in(&victim, "oncall").await;
    let state = signed_in(&own, "eve").await.state;
    let callback = Callback { state, ..stolen };
    let answer = oidc.finish(Some(own.attempt), &own.secret, &callback, Timestamp::now()).await;
    assert!(matches!(answer, Err(OidcError::Declined(_))), "PKCE binds the code: {answer:?}");
}

#[tokio::test]
async fn a_terminal_signs_in_through_a_browser_elsewhere() {
    for client in ["runbook", "runbook-post", "runbook-public"] {
        let Some(oidc) = provider(client) else { return };
        let mut login = oidc.device_begin(Timestamp::now()).await.unwrap();
        // The provider has no interval to keep; its clock need not be waited for.
        let later = |seconds: u64| Duration::from_secs(seconds).after(Timestamp::now());
        let first = oidc.device_poll(&mut login, later(6)).await.unwrap();
        assert!(matches!(first, DevicePoll::Pending { .. }), "{first:?}");
        let answers = [("user_code", login.user_code.as_str())];
        match Browser::new().walk(&login.verification_uri, "oncall", &answers, HOME).await {
            Arrived::Page(page) => assert!(page.contains("Sign-in Success"), "{page}"),
            Arrived::Back(url) => panic!("sent to {url}"),
        }
        match oidc.device_poll(&mut login, later(30)).await.unwrap() {
            DevicePoll::Done(claimed) => assert_eq!(claimed.name, "oncall", "{client}"),
            DevicePoll::Pending { .. } => panic!("{client}: it was confirmed"),
        }
    }
}

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Auth, Grant, Role};

const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn directory(roles: serde_json::Value) -> Directory {
    let auth: Auth = serde_json::from_value(json!({ "roles": roles })).unwrap();
    Directory::new(&auth, &indexmap::IndexMap::new())
}

fn usual() -> Directory {
    directory(json!([
        { "role": "responder", "to": ["alice"], "environments": ["staging", "prod-*"] },
        { "role": "approver", "to": ["leads"], "environments": ["prod-*"] },
        { "role": "admin", "to": ["root"] },
        { "role": "responder", "to": ["token:ci"], "environments": ["staging"] },
    ]))
}

fn session(directory: &Directory, name: &str, groups: &[&str]) -> Identity {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    directory.person(name, &groups, Via::Session { id: "s".to_owned() })
}

fn grant(role: Role, environment: &str) -> Grant {
    Grant { environments: vec![environment.parse().unwrap()], ..Grant::everywhere(role) }
}

fn request(rights: Vec<Grant>) -> TokenRequest {
    let expires_at = Duration::from_secs(3600).after(NOON);
    TokenRequest { name: "laptop".to_owned(), service: None, rights: Rights(rights), expires_at }
}

fn minted(directory: &Directory) -> Minted {
    let alice = session(directory, "alice", &[]);
    mint(&alice, directory, request(vec![grant(Role::Responder, "prod-eu")]), NOON).unwrap()
}

#[test]
fn a_token_leads_to_its_owner_with_its_own_rights() {
    let directory = usual();
    let Minted { record, token } = minted(&directory);
    let header = format!("Bearer {}", token.expose_secret());
    let presented = Presented::bearer(&header).unwrap();
    let identity = authenticate(&presented, Some(&record), &directory, NOON).unwrap();
    assert_eq!((identity.name.as_str(), &identity.via), ("alice", &Via::Token { id: record.id.clone() }));
    assert!(may(&identity, Permission::Start, Scope::of("prod-eu", "x")).is_ok());
    assert!(
        may(&identity, Permission::Start, Scope::of("prod-us", "x")).is_err(),
        "the owner may, it may not"
    );
    assert!(may(&identity, Permission::Start, Scope::of("staging", "x")).is_err());
}

#[test]
fn neither_the_record_nor_any_print_holds_the_secret() {
    let minted = minted(&usual());
    let secret =
        minted.token.expose_secret().rsplit_once(&minted.record.id).unwrap().1.trim_start_matches('_');
    let presented = Presented::parse(minted.token.expose_secret()).unwrap();
    for shown in
        [serde_json::to_string(&minted.record).unwrap(), format!("{minted:?}"), format!("{presented:?}")]
    {
        assert!(!shown.contains(secret), "{shown}");
    }
    let again: TokenRecord = serde_json::from_str(&serde_json::to_string(&minted.record).unwrap()).unwrap();
    assert_eq!(again, minted.record);
}

#[test]
fn a_token_is_known_by_a_vector_that_stays() {
    // SHA-256 of the bytes 1 to 32.
    let text = "rbk_00112233aabbccdd_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";
    let record = TokenRecord {
        id: "00112233aabbccdd".to_owned(),
        digest: "ae216c2ef5247a3782c135efa279a3e4cdc61094270f5d2be58c6204b7a612c9".to_owned(),
        ..minted(&usual()).record
    };
    let presented = Presented::parse(text).unwrap();
    assert!(authenticate(&presented, Some(&record), &usual(), NOON).is_ok());
}

#[test]
fn what_is_no_token_is_not_read() {
    let secret = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";
    for text in [
        String::new(),
        "rbk_".to_owned(),
        "rbk__".to_owned(),
        format!("rbk_{secret}"),
        format!("rbk_00112233aabbccdd{secret}"),
        format!("rbk_00112233AABBCCDD_{secret}"),
        format!("rbk_00112233aabbccd_{secret}"),
        format!("rbk_../../etc/passwd_{secret}"),
        format!("RBK_00112233aabbccdd_{secret}"),
        format!("rbk_00112233aabbccdd_{secret}="),
        format!("rbk_00112233aabbccdd__{secret}"),
        format!(" rbk_00112233aabbccdd_{secret}"),
    ] {
        assert!(Presented::parse(&text).is_none(), "{text:?} was read");
    }
    let text = format!("rbk_00112233aabbccdd_{secret}");
    for (header, expected) in [
        (format!("Bearer {text}"), true),
        (format!("bearer  {text}"), true),
        (format!("Basic {text}"), false),
        (format!("Bearer{text}"), false),
        (text.clone(), false),
    ] {
        assert_eq!(Presented::bearer(&header).is_some(), expected, "{header}");
    }
}

#[test]
fn tampering_with_any_letter_makes_it_unknown() {
    let directory = usual();
    let Minted { record, token } = minted(&directory);
    for at in 0..token.expose_secret().len() {
        let mut text = token.expose_secret().to_owned().into_bytes();
        text[at] = if text[at] == b'0' { b'1' } else { b'0' };
        let Some(presented) = Presented::parse(std::str::from_utf8(&text).unwrap()) else { continue };
        let answer = authenticate(&presented, Some(&record), &directory, NOON);
        assert_eq!(answer.unwrap_err(), TokenError::Unknown, "changed at {at}");
    }
    let presented = Presented::parse(token.expose_secret()).unwrap();
    assert_eq!(authenticate(&presented, None, &directory, NOON).unwrap_err(), TokenError::Unknown);
    let other = TokenRecord { id: "0000000000000000".to_owned(), ..record };
    assert_eq!(authenticate(&presented, Some(&other), &directory, NOON).unwrap_err(), TokenError::Unknown);
}

#[test]
fn a_token_ends_when_it_expires_or_is_revoked() {
    let directory = usual();
    let Minted { mut record, token } = minted(&directory);
    let presented = Presented::parse(token.expose_secret()).unwrap();
    let after = |seconds: u64| Duration::from_secs(seconds).after(NOON);
    assert!(authenticate(&presented, Some(&record), &directory, after(3599)).is_ok());
    let expired = authenticate(&presented, Some(&record), &directory, after(3600));
    assert_eq!(expired.unwrap_err(), TokenError::Expired(after(3600)));
    record.revoke(after(5));
    record.revoke(after(9));
    let revoked = authenticate(&presented, Some(&record), &directory, NOON);
    assert_eq!(revoked.unwrap_err(), TokenError::Revoked(after(5)));
}

#[test]
fn uses_are_written_once_a_minute() {
    let mut record = minted(&usual()).record;
    let after = |seconds: u64| Duration::from_secs(seconds).after(NOON);
    let written = [0, 1, 59, 60, 119, 120].map(|second| record.used(after(second)));
    assert_eq!(written, [true, false, false, true, false, true]);
}

#[test]
fn what_is_taken_from_the_owner_is_taken_from_the_token() {
    let Minted { record, token } = minted(&usual());
    let presented = Presented::parse(token.expose_secret()).unwrap();
    for (roles, expected) in [
        (json!([{ "role": "viewer", "to": ["alice"] }]), false),
        (json!([]), false),
        (json!([{ "role": "responder", "to": ["alice"], "runbooks": ["other"] }]), false),
        (json!([{ "role": "admin", "to": ["alice"] }]), true),
    ] {
        let directory = directory(roles.clone());
        let identity = authenticate(&presented, Some(&record), &directory, NOON).unwrap();
        let answer = may(&identity, Permission::Start, Scope::of("prod-eu", "x"));
        assert_eq!(answer.is_ok(), expected, "{roles}");
    }
}

#[test]
fn groups_of_the_provider_go_with_the_token() {
    let directory = usual();
    let dora = session(&directory, "dora", &["leads"]);
    let minted = mint(&dora, &directory, request(vec![grant(Role::Approver, "prod-eu")]), NOON);
    assert!(minted.unwrap().record.groups.contains("leads"));
}

#[test]
fn no_token_is_made_that_gives_what_its_owner_has_not() {
    let directory = usual();
    let alice = session(&directory, "alice", &[]);
    for (rights, expected) in [
        (vec![grant(Role::Responder, "prod-*")], true),
        (vec![grant(Role::Viewer, "staging"), grant(Role::Responder, "prod-eu")], true),
        (vec![grant(Role::Approver, "prod-eu")], false),
        (vec![grant(Role::Responder, "*")], false),
        (vec![grant(Role::Responder, "prod*")], false),
        (vec![grant(Role::Viewer, "staging"), grant(Role::Admin, "staging")], false),
        (vec![], false),
        (vec![Grant { runbooks: vec![], ..grant(Role::Viewer, "staging") }], false),
        (vec![grant(Role::Viewer, "staging"); 33], false),
    ] {
        let answer = mint(&alice, &directory, request(rights.clone()), NOON);
        assert_eq!(answer.is_ok(), expected, "{rights:?}");
    }
}

#[test]
fn a_token_is_bounded_named_and_made_by_people() {
    let directory = usual();
    let alice = session(&directory, "alice", &[]);
    let usual = || request(vec![grant(Role::Viewer, "staging")]);
    let at = |seconds: u64| TokenRequest { expires_at: Duration::from_secs(seconds).after(NOON), ..usual() };
    assert!(matches!(mint(&alice, &directory, at(0), NOON), Err(MintError::Life)));
    assert!(mint(&alice, &directory, at(366 * 86400), NOON).is_ok());
    let later = Duration::from_secs(1).after(NOON);
    assert!(mint(&alice, &directory, at(366 * 86400), later).is_ok());
    let far = TokenRequest { expires_at: Duration::from_secs(1).after(LONGEST_LIFE.after(NOON)), ..usual() };
    assert!(matches!(mint(&alice, &directory, far, NOON), Err(MintError::Life)));
    let nameless = TokenRequest { name: "a b".to_owned(), ..usual() };
    assert!(matches!(mint(&alice, &directory, nameless, NOON), Err(MintError::Name(_))));
    let token = Identity { via: Via::Token { id: "1".to_owned() }, ..alice };
    assert!(matches!(mint(&token, &directory, usual(), NOON), Err(MintError::ByToken)));
}

#[test]
fn tokens_of_no_person_are_made_by_admins_within_what_the_file_grants() {
    let directory = usual();
    let service = |name: &str, environment: &str| TokenRequest {
        service: Some(name.to_owned()),
        ..request(vec![grant(Role::Responder, environment)])
    };
    let (alice, root) = (session(&directory, "alice", &[]), session(&directory, "root", &[]));
    assert!(matches!(mint(&alice, &directory, service("ci", "staging"), NOON), Err(MintError::Refused(_))));
    let record = mint(&root, &directory, service("ci", "staging"), NOON).unwrap().record;
    assert_eq!((record.owner.as_str(), record.created_by.as_str()), ("token:ci", "root"));
    assert!(matches!(mint(&root, &directory, service("ci", "prod-eu"), NOON), Err(MintError::Wider { .. })));
    assert!(matches!(
        mint(&root, &directory, service("other", "staging"), NOON),
        Err(MintError::Wider { .. })
    ));
    let local = Identity::terminal("operator");
    assert!(mint(&local, &directory, service("ci", "staging"), NOON).is_ok());
}

proptest! {
    #[test]
    fn no_text_makes_parsing_panic(text in ".*", tail in "[A-Za-z0-9_-]{0,50}") {
        let _ = Presented::parse(&text);
        let _ = Presented::bearer(&text);
        let _ = Presented::parse(&format!("rbk_{tail}"));
        let _ = Presented::parse(&format!("rbk_00112233aabbccdd_{tail}"));
    }

    #[test]
    fn a_token_for_one_environment_gives_nothing_in_another(
        granted in "[a-z]{1,8}", asked in "[a-z]{1,8}", runbook in "[a-z]{1,8}",
        permission in prop::sample::select(Permission::ALL.to_vec()),
    ) {
        prop_assume!(granted != asked);
        let directory = directory(json!([{ "role": "admin", "to": ["alice"] }]));
        let alice = session(&directory, "alice", &[]);
        let made = mint(&alice, &directory, request(vec![grant(Role::Admin, &granted)]), NOON).unwrap();
        let presented = Presented::parse(made.token.expose_secret()).unwrap();
        let identity = authenticate(&presented, Some(&made.record), &directory, NOON).unwrap();
        prop_assert!(may(&identity, permission, Scope::of(&asked, &runbook)).is_err());
        prop_assert!(may(&identity, permission, Scope::environment(&asked)).is_err());
    }
}

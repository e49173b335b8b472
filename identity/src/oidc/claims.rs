//! From a provider's claims to a person.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{OidcError, TokenFault};
use crate::config::OidcConfig;

const MOST_GROUPS: usize = 500;
const LONGEST_GROUP: usize = 256;
const DEFAULT_NAME: &str = "preferred_username";

/// Somebody, as a provider knows them. Whether they are let in under this name, the
/// [`Directory`](crate::Directory) says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    pub issuer: String,
    /// Never given to another person; names may be.
    pub subject: String,
    pub name: String,
    pub groups: BTreeSet<String>,
}

impl Claimed {
    pub(super) fn from(config: &OidcConfig, claims: &Map<String, Value>) -> Result<Self, OidcError> {
        let subject = text(claims, "sub").ok_or(TokenFault::Claim("sub"))?;
        Ok(Self {
            issuer: config.issuer.clone(),
            subject: subject.to_owned(),
            name: name(config, claims)?.to_owned(),
            groups: groups(claims.get(&config.groups_claim)),
        })
    }

    #[cfg(test)]
    pub(crate) fn named(name: &str, groups: BTreeSet<String>) -> Self {
        let issuer = "https://login.example.com".to_owned();
        Self { issuer, subject: format!("sub-{name}"), name: name.to_owned(), groups }
    }
}

/// Whether an ID token leaves out what the userinfo endpoint may tell. Many providers put only the
/// subject into it.
pub(super) fn wants_more(config: &OidcConfig, claims: &Map<String, Value>) -> bool {
    let name = config.name_claim.as_deref().unwrap_or(DEFAULT_NAME);
    !claims.contains_key(name) || !claims.contains_key(&config.groups_claim)
}

/// Adds what the userinfo endpoint told, where it speaks of the same person. What the signed token
/// says stands.
pub(super) fn add(claims: &mut Map<String, Value>, more: Map<String, Value>) -> Result<(), TokenFault> {
    if more.get("sub") != claims.get("sub") {
        return Err(TokenFault::Subject);
    }
    for (name, value) in more {
        claims.entry(name).or_insert(value);
    }
    Ok(())
}

fn name<'a>(config: &OidcConfig, claims: &'a Map<String, Value>) -> Result<&'a str, OidcError> {
    if let Some(claim) = &config.name_claim {
        // No other claim will do: a name of another kind could be somebody else's.
        return text(claims, claim)
            .ok_or_else(|| OidcError::Nameless(format!("the claim `{claim}` is not sent")));
    }
    let verified = claims.get("email_verified") == Some(&Value::Bool(true));
    text(claims, DEFAULT_NAME)
        .or_else(|| text(claims, "email").filter(|_| verified))
        .or_else(|| text(claims, "sub"))
        .ok_or_else(|| OidcError::Nameless("no claim holds a name".to_owned()))
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A list, or the one group of who is in one only.
fn groups(claim: Option<&Value>) -> BTreeSet<String> {
    let listed = match claim {
        Some(Value::Array(groups)) => groups.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let plain = |name: &&str| {
        !name.is_empty() && name.len() <= LONGEST_GROUP && !name.chars().any(char::is_control) && *name != "*"
    };
    let names = listed.iter().filter_map(Value::as_str).filter(plain);
    names.take(MOST_GROUPS).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claimed(name_claim: Option<&str>, claims: &Value) -> Result<Claimed, OidcError> {
        let config = serde_json::from_value(json!({
            "issuer": "https://login.example.com", "client_id": "x",
            "redirect_url": "https://x/login/callback", "name_claim": name_claim
        }));
        Claimed::from(&config.unwrap(), claims.as_object().unwrap())
    }

    #[test]
    fn a_person_is_named_by_the_first_claim_that_will_do() {
        for (name_claim, claims, expected) in [
            (None, json!({ "sub": "1", "preferred_username": "ann", "email": "a@x" }), Some("ann")),
            (None, json!({ "sub": "1", "email": "a@x", "email_verified": true }), Some("a@x")),
            (None, json!({ "sub": "1", "email": "a@x", "email_verified": false }), Some("1")),
            (None, json!({ "sub": "1", "email": "a@x", "email_verified": "true" }), Some("1")),
            (None, json!({ "sub": "1", "email": "a@x" }), Some("1")),
            (None, json!({ "sub": "1", "preferred_username": 7 }), Some("1")),
            (None, json!({ "sub": "1", "preferred_username": "" }), Some("1")),
            (None, json!({ "preferred_username": "ann" }), None),
            (Some("upn"), json!({ "sub": "1", "upn": "ann@x" }), Some("ann@x")),
            (Some("upn"), json!({ "sub": "1", "preferred_username": "ann" }), None),
        ] {
            let name = claimed(name_claim, &claims).ok().map(|claimed| claimed.name);
            assert_eq!(name.as_deref(), expected, "{name_claim:?} {claims}");
        }
    }

    #[test]
    fn groups_are_names_and_nothing_else() {
        for (claim, expected) in [
            (json!(["b", "a", "a"]), &["a", "b"] as &[&str]),
            (json!("leads"), &["leads"]),
            (json!(["a", 7, null, ["b"], "", "*", "x\ny"]), &["a"]),
            (json!({ "a": 1 }), &[]),
            (json!(null), &[]),
        ] {
            let claims = json!({ "sub": "1", "groups": claim });
            let groups = claimed(None, &claims).unwrap().groups;
            assert_eq!(groups.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{claims}");
        }
        let many: Vec<String> = (0..1000).map(|index| format!("g{index}")).collect();
        assert_eq!(claimed(None, &json!({ "sub": "1", "groups": many })).unwrap().groups.len(), 500);
    }

    #[test]
    fn userinfo_adds_to_the_token_and_replaces_nothing() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let mut claims = object(json!({ "sub": "1", "preferred_username": "ann" }));
        let more = object(json!({ "sub": "1", "preferred_username": "eve", "groups": ["a"] }));
        add(&mut claims, more).unwrap();
        assert_eq!(
            Value::from(claims.clone()),
            json!({ "sub": "1", "preferred_username": "ann", "groups": ["a"] })
        );
        for other in [json!({ "sub": "2" }), json!({}), json!({ "sub": "" })] {
            assert_eq!(add(&mut claims, object(other)), Err(TokenFault::Subject));
        }
    }
}

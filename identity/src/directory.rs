//! What `runbook.yaml` says of people: their groups, and what is granted to whom.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use runbook_core::event::Actor;

use crate::{
    Auth, Identity, Rights, Via,
    config::{RoleGrant, SessionLifetimes},
    oidc::Claimed,
    sessions::SessionRecord,
};

/// What stands before the name of a token that belongs to no person.
pub(crate) const SERVICE: &str = "token:";

/// Groups and grants. Cheap to make anew when the configuration is read again.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    roles: Vec<RoleGrant>,
    members: BTreeMap<String, BTreeSet<String>>,
    lifetimes: SessionLifetimes,
}

/// Why a name cannot be anybody's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAName {
    #[error("a name must have 1 to 128 letters, digits or any of `._-@+|/=#~`")]
    Shape,
    #[error("a grant must name people, groups, `token:NAME` or `*`, in 1 to 256 letters of one line")]
    Grantee,
    #[error("`{0}` is the name under which the engine writes the journal; nobody else may have it")]
    Engine(String),
    #[error("`{0}` is a group in runbook.yaml; a person of that name would be taken for its members")]
    Group(String),
}

impl Directory {
    /// `groups` are those under `people:`.
    pub fn new(auth: &Auth, groups: &IndexMap<String, Vec<String>>) -> Self {
        let members = groups.iter().map(|(name, people)| (name.clone(), people.iter().cloned().collect()));
        Self { roles: auth.roles.clone(), members: members.collect(), lifetimes: auth.sessions }
    }

    pub fn lifetimes(&self) -> &SessionLifetimes {
        &self.lifetimes
    }

    /// Whether somebody who signed in at the provider can be let in under the name that it gave:
    /// not where the name would be taken for something else.
    pub fn admit(&self, claimed: &Claimed) -> Result<(), NotAName> {
        check_name(&claimed.name)?;
        if self.members.contains_key(&claimed.name) || claimed.groups.contains(&claimed.name) {
            return Err(NotAName::Group(claimed.name.clone()));
        }
        Ok(())
    }

    /// A person, with the groups that the provider named.
    pub fn person(&self, name: &str, claimed: &BTreeSet<String>, via: Via) -> Identity {
        let mut groups = self.groups_of(name);
        groups.extend(claimed.iter().cloned());
        let rights = self.rights_of(name, claimed);
        Identity { name: name.to_owned(), groups, claimed: claimed.clone(), rights, within: None, via }
    }

    /// The person of a session whose standing was checked.
    pub fn of_session(&self, record: &SessionRecord) -> Identity {
        self.person(&record.name, &record.groups, Via::Session { id: record.id.clone() })
    }

    /// The groups of `people:` that list somebody.
    pub fn groups_of(&self, name: &str) -> BTreeSet<String> {
        let of = self.members.iter().filter(|(_, members)| members.contains(name));
        of.map(|(group, _)| group.clone()).collect()
    }

    /// What is granted to a name, to one of its groups, or to everybody. A token that belongs to
    /// no person is nobody of everybody: it has what is granted to its own name, and nobody else
    /// has, whatever a provider calls its groups.
    pub fn rights_of(&self, name: &str, claimed: &BTreeSet<String>) -> Rights {
        let is_service = name.starts_with(SERVICE);
        let own = if is_service { BTreeSet::new() } else { self.groups_of(name) };
        let meant = |to: &String| {
            let shared = !is_service && !to.starts_with(SERVICE);
            to == name || (shared && (to == "*" || own.contains(to) || claimed.contains(to)))
        };
        let given = self.roles.iter().filter(|given| given.to.iter().any(meant));
        Rights(given.map(RoleGrant::grant).collect())
    }
}

/// Whether a text can be what `to:` of a grant names. Providers call groups what they like.
pub(crate) fn check_grantee(to: &str) -> Result<(), NotAName> {
    match to.strip_prefix(SERVICE) {
        Some(name) => check_name(name),
        None if to == Actor::engine().name => Err(NotAName::Engine(to.to_owned())),
        None if to.is_empty() || to.len() > 256 || to.contains(char::is_control) => Err(NotAName::Grantee),
        None => Ok(()),
    }
}

/// Whether a text can be the name of a person or a token.
pub(crate) fn check_name(name: &str) -> Result<(), NotAName> {
    let plain = |c: char| c.is_alphanumeric() || "._-@+|/=#~".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(plain) {
        return Err(NotAName::Shape);
    }
    if name == Actor::engine().name {
        return Err(NotAName::Engine(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Permission, Scope, may};

    fn directory() -> Directory {
        let auth = serde_json::from_value(json!({ "roles": [
            { "role": "viewer", "to": ["*"] },
            { "role": "responder", "to": ["sre-oncall"], "environments": ["staging", "production"] },
            { "role": "approver", "to": ["leads", "carol"], "environments": ["production"], "runbooks": ["db-*"] },
            { "role": "responder", "to": ["token:ci"], "environments": ["staging"] },
        ] }))
        .unwrap();
        let groups = [("sre-oncall".to_owned(), vec!["alice".to_owned(), "token:ci".to_owned()])];
        Directory::new(&auth, &groups.into_iter().collect())
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn people_have_what_is_granted_to_them_their_groups_and_everybody() {
        let database = Scope::of("production", "db-failover");
        let cache = Scope::of("production", "cache-flush");
        for (name, claimed, permission, scope, expected) in [
            ("alice", &[] as &[&str], Permission::Start, cache, true),
            ("alice", &[], Permission::Approve, database, false),
            ("bob", &[], Permission::Read, cache, true),
            ("bob", &[], Permission::Start, cache, false),
            ("bob", &["sre-oncall"], Permission::Start, cache, true),
            ("bob", &["leads"], Permission::Approve, database, true),
            ("bob", &["leads"], Permission::Approve, cache, false),
            ("carol", &[], Permission::Approve, database, true),
            ("carol", &[], Permission::Start, cache, false),
            ("token:ci", &[], Permission::Start, Scope::of("staging", "cache-flush"), true),
            ("token:ci", &[], Permission::Start, cache, false),
            ("bob", &["token:ci"], Permission::Start, Scope::of("staging", "cache-flush"), false),
            ("token:other", &[], Permission::Read, cache, false),
        ] {
            let somebody = directory().person(name, &set(claimed), Via::Chat);
            let answer = may(&somebody, permission, scope);
            assert_eq!(answer.is_ok(), expected, "{name} {claimed:?} {permission} {scope:?}: {answer:?}");
        }
    }

    #[test]
    fn groups_of_both_kinds_are_kept_apart() {
        let alice = directory().person("alice", &set(&["leads"]), Via::Chat);
        assert_eq!(alice.groups, set(&["leads", "sre-oncall"]));
        assert_eq!(alice.claimed, set(&["leads"]));
    }

    #[test]
    fn nobody_signs_in_under_a_name_that_means_something_else() {
        for (name, groups, expected) in [
            ("alice", &["leads"] as &[&str], true),
            ("alice@example.com", &[], true),
            ("auth0|5f7c", &[], true),
            ("sre-oncall", &[], false),
            ("leads", &["leads"], false),
            ("runbook", &[], false),
            ("token:ci", &[], false),
            ("*", &[], false),
            ("", &[], false),
            ("al\u{1b}[31mice", &[], false),
            ("alice \u{202e}", &[], false),
            ("\u{e0fe}token\u{e0ff}", &[], false),
        ] {
            let claimed = Claimed::named(name, set(groups));
            assert_eq!(directory().admit(&claimed).is_ok(), expected, "{name:?}");
        }
    }
}

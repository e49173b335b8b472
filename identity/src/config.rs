//! `auth:` of `runbook.yaml`: who is granted what, where people sign in, how long it lasts.

use runbook_contract::SecretSource;
use runbook_core::duration::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Pattern, Role, directory, oidc,
    roles::{Grant, everything},
};

/// Who may do what, and how they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Who is granted which role where. Nobody may do anything that is not granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleGrant>,
    /// The OpenID provider where people sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcConfig>,
    /// How long people stay signed in.
    #[serde(default)]
    pub sessions: SessionLifetimes,
}

/// A role, given to some people in some environments for some runbooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleGrant {
    pub role: Role,
    /// Names of people or groups; `token:NAME` for a token that belongs to no person; `*` for
    /// everybody who is signed in.
    #[schemars(length(min = 1))]
    pub to: Vec<String>,
    /// In which environments; in all of them, where it is not said.
    #[serde(default = "everything")]
    pub environments: Vec<Pattern>,
    /// For which runbooks; for all of them, where it is not said.
    #[serde(default = "everything")]
    pub runbooks: Vec<Pattern>,
}

/// Something in `auth:` that cannot be meant so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct Problem {
    /// Where: `auth.roles[0].to`.
    pub at: String,
    pub why: String,
}

impl Auth {
    /// All that its shape alone does not tell to be wrong.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, given) in self.roles.iter().enumerate() {
            let at = |field: &str| format!("auth.roles[{index}].{field}");
            for (field, empty) in [
                ("to", given.to.is_empty()),
                ("environments", given.environments.is_empty()),
                ("runbooks", given.runbooks.is_empty()),
            ] {
                if empty {
                    problems.push(Problem {
                        at: at(field),
                        why: "names nothing, so it grants nothing".to_owned(),
                    });
                }
            }
            let unfit = given.to.iter().filter_map(|to| directory::check_grantee(to).err());
            problems.extend(unfit.map(|why| Problem { at: at("to"), why: why.to_string() }));
        }
        let SessionLifetimes { idle, absolute } = self.sessions;
        if idle.is_zero() || idle > absolute {
            let why = format!(
                "a session cannot be idle for {idle} and last {absolute}: write 0s < idle <= absolute"
            );
            problems.push(Problem { at: "auth.sessions".to_owned(), why });
        }
        if let Some(Err(error)) = self.oidc.as_ref().map(oidc::check) {
            problems.push(Problem { at: "auth.oidc".to_owned(), why: error.to_string() });
        }
        problems
    }
}

impl RoleGrant {
    pub(crate) fn grant(&self) -> Grant {
        Grant { role: self.role, environments: self.environments.clone(), runbooks: self.runbooks.clone() }
    }
}

/// An OpenID provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// Its address, to the letter as its discovery document says it.
    pub issuer: String,
    pub client_id: String,
    /// None for a public client, which PKCE alone protects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretSource>,
    /// How the client proves itself, as the provider has it; where it is not said, `basic` if the
    /// provider does that at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<ClientAuth>,
    /// What to ask for beside `openid`. Where it is not said: `profile`, `email` and `groups`, as
    /// far as the provider says that it knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The claim that names a person. It must be one that people cannot choose for themselves.
    /// Where it is not said: `preferred_username`, else a verified `email`, else `sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_claim: Option<String>,
    /// The claim that lists a person's groups. It must be one where people cannot name groups as
    /// they like, for a grant to a group is to whoever is in it.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// Where the provider sends people back to: this server's own address, and `/login/callback`.
    pub redirect_url: String,
    /// How long the provider may take for one answer, at most a minute.
    #[serde(default = "provider_timeout")]
    pub timeout: Duration,
}

/// How the client's secret is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In a header: `client_secret_basic`.
    Basic,
    /// In the form: `client_secret_post`.
    Post,
}

/// How long a session lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionLifetimes {
    /// After the last request.
    #[serde(default = "idle")]
    pub idle: Duration,
    /// After signing in, whatever is asked meanwhile.
    #[serde(default = "absolute")]
    pub absolute: Duration,
}

impl Default for SessionLifetimes {
    fn default() -> Self {
        Self { idle: idle(), absolute: absolute() }
    }
}

fn groups_claim() -> String {
    "groups".to_owned()
}
const fn provider_timeout() -> Duration {
    Duration::from_secs(10)
}
const fn idle() -> Duration {
    Duration::from_secs(12 * 3600)
}
const fn absolute() -> Duration {
    Duration::from_secs(7 * 24 * 3600)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_has_the_documented_meaning() {
        let auth: Auth = serde_json::from_value(json!({
            "roles": [{ "role": "approver", "to": ["sre-oncall", "SRE On-Call"], "environments": ["production"] }],
            "oidc": {
                "issuer": "https://login.example.com", "client_id": "runbook",
                "client_secret": { "env": "OIDC_SECRET" },
                "redirect_url": "https://runbook.example.com/login/callback"
            }
        }))
        .unwrap();
        assert_eq!(auth.problems(), []);
        assert_eq!(auth.roles[0].runbooks, [Pattern::any()]);
        let oidc = auth.oidc.unwrap();
        assert_eq!((oidc.groups_claim.as_str(), oidc.name_claim, oidc.scopes), ("groups", None, None));
        assert_eq!(auth.sessions.idle.to_string(), "12h");
        assert_eq!(auth.sessions.absolute.to_string(), "7d");
    }

    #[test]
    fn what_cannot_be_meant_is_pointed_at() {
        for (auth, at) in [
            (json!({ "roles": [{ "role": "viewer", "to": [] }] }), "auth.roles[0].to"),
            (json!({ "roles": [{ "role": "viewer", "to": ["a\nb"] }] }), "auth.roles[0].to"),
            (json!({ "roles": [{ "role": "viewer", "to": ["runbook"] }] }), "auth.roles[0].to"),
            (json!({ "roles": [{ "role": "viewer", "to": ["token:"] }] }), "auth.roles[0].to"),
            (
                json!({ "roles": [{ "role": "viewer", "to": ["*"], "runbooks": [] }] }),
                "auth.roles[0].runbooks",
            ),
            (json!({ "sessions": { "idle": "8d" } }), "auth.sessions"),
            (json!({ "sessions": { "idle": "0s" } }), "auth.sessions"),
            (
                json!({ "oidc": { "issuer": "http://login.example.com", "client_id": "x", "redirect_url": "https://x/y" } }),
                "auth.oidc",
            ),
        ] {
            let problems = serde_json::from_value::<Auth>(auth.clone()).unwrap().problems();
            assert_eq!(
                problems.iter().map(|problem| problem.at.as_str()).collect::<Vec<_>>(),
                [at],
                "{auth}"
            );
        }
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        for auth in [
            json!({ "role": [] }),
            json!({ "roles": [{ "role": "owner", "to": ["x"] }] }),
            json!({ "roles": [{ "role": "viewer", "to": ["x"], "environment": ["x"] }] }),
            json!({ "sessions": { "idle": "12 hours" } }),
        ] {
            assert!(serde_json::from_value::<Auth>(auth.clone()).is_err(), "{auth} was taken");
        }
    }
}

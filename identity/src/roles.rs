//! Roles, what each may do, and where: one table, and one function that reads it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Identity, Pattern};

/// What somebody is trusted with; each role may do all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks, and changes nothing.
    Viewer,
    /// Works on incidents and runs runbooks.
    Responder,
    /// Says yes where a runbook asks; which gates, the runbook's and the environment's groups say.
    Approver,
    /// Looks after the server.
    Admin,
}

/// Something that the server can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    Read,
    OwnTokens,
    Declare,
    Acknowledge,
    Note,
    Resolve,
    DryRun,
    Start,
    Answer,
    Cancel,
    Undo,
    Approve,
    Override,
    ReadAudit,
    ManageTokens,
    Reload,
}

/// How much of the world a permission is about, and so how wide a grant must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Any grant will do where the request names neither an environment nor a runbook; what it
    /// names must be within the grant.
    Open,
    /// The request must name its environment and its runbook, and one grant must hold both.
    Named,
    /// The whole server: a grant for every environment and every runbook.
    Whole,
}

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub permission: Permission,
    /// The least role that has it.
    pub role: Role,
    pub reach: Reach,
    /// What somebody without it may not do.
    pub doing: &'static str,
}

const fn rule(permission: Permission, role: Role, reach: Reach, doing: &'static str) -> Rule {
    Rule { permission, role, reach, doing }
}

/// Who may do what: the only place that says so.
///
/// A dry-run changes nothing, but it reads production with the server's credentials and inputs of
/// the asker's choice, so it takes a responder. `Approve` opens the door to the gates: whether
/// somebody is among those whom a gate asks, the engine says.
pub const POLICY: [Rule; 16] = [
    rule(Permission::Read, Role::Viewer, Reach::Open, "look at anything"),
    rule(Permission::OwnTokens, Role::Viewer, Reach::Open, "make or revoke tokens of their own"),
    rule(Permission::Declare, Role::Responder, Reach::Open, "declare incidents"),
    rule(Permission::Acknowledge, Role::Responder, Reach::Open, "acknowledge incidents"),
    rule(Permission::Note, Role::Responder, Reach::Open, "write notes"),
    rule(Permission::Resolve, Role::Responder, Reach::Open, "resolve incidents"),
    rule(Permission::DryRun, Role::Responder, Reach::Named, "dry-run"),
    rule(Permission::Start, Role::Responder, Reach::Named, "start"),
    rule(Permission::Answer, Role::Responder, Reach::Named, "answer what is asked by"),
    rule(Permission::Cancel, Role::Responder, Reach::Named, "cancel"),
    rule(Permission::Undo, Role::Responder, Reach::Named, "undo"),
    rule(Permission::Approve, Role::Approver, Reach::Named, "approve or reject what is asked by"),
    rule(Permission::Override, Role::Approver, Reach::Named, "override freezes and cool-downs for"),
    rule(Permission::ReadAudit, Role::Admin, Reach::Whole, "read the audit log"),
    rule(Permission::ManageTokens, Role::Admin, Reach::Whole, "manage the tokens of others"),
    rule(Permission::Reload, Role::Admin, Reach::Whole, "reload the configuration"),
];

impl Permission {
    pub const ALL: [Self; 16] = [
        Self::Read,
        Self::OwnTokens,
        Self::Declare,
        Self::Acknowledge,
        Self::Note,
        Self::Resolve,
        Self::DryRun,
        Self::Start,
        Self::Answer,
        Self::Cancel,
        Self::Undo,
        Self::Approve,
        Self::Override,
        Self::ReadAudit,
        Self::ManageTokens,
        Self::Reload,
    ];

    /// Its line of the table, which is in the order of the enum; a test holds it so.
    pub fn rule(self) -> &'static Rule {
        &POLICY[self as usize]
    }
}

impl fmt::Display for Permission {
    /// The word under which it is stored and shown: `dry_run`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scope<'a> {
    pub environment: Option<&'a str>,
    pub runbook: Option<&'a str>,
}

impl<'a> Scope<'a> {
    /// Nothing in particular: a list that is filtered afterwards, the server as a whole.
    pub const NOTHING: Self = Self { environment: None, runbook: None };

    pub const fn of(environment: &'a str, runbook: &'a str) -> Self {
        Self { environment: Some(environment), runbook: Some(runbook) }
    }
    pub const fn environment(name: &'a str) -> Self {
        Self { environment: Some(name), runbook: None }
    }
    pub const fn runbook(name: &'a str) -> Self {
        Self { environment: None, runbook: Some(name) }
    }
}

/// A role in some environments, for some runbooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    pub role: Role,
    /// All of them, where it is not said.
    #[serde(default = "everything")]
    pub environments: Vec<Pattern>,
    /// All of them, where it is not said.
    #[serde(default = "everything")]
    pub runbooks: Vec<Pattern>,
}

pub(crate) fn everything() -> Vec<Pattern> {
    vec![Pattern::any()]
}

impl Grant {
    /// The role everywhere, for everything.
    pub fn everywhere(role: Role) -> Self {
        Self { role, environments: everything(), runbooks: everything() }
    }

    fn gives(&self, rule: &Rule, scope: Scope<'_>) -> bool {
        let within = |patterns: &[Pattern], name: Option<&str>| match (name, rule.reach) {
            (_, Reach::Whole) => patterns.iter().any(Pattern::is_any),
            (Some(name), _) => patterns.iter().any(|pattern| pattern.matches(name)),
            (None, Reach::Open) => !patterns.is_empty(),
            (None, Reach::Named) => false,
        };
        self.role >= rule.role
            && within(&self.environments, scope.environment)
            && within(&self.runbooks, scope.runbook)
    }

    fn covers(&self, role: Role, environment: &Pattern, runbook: &Pattern) -> bool {
        self.role >= role
            && self.environments.iter().any(|held| held.covers(environment))
            && self.runbooks.iter().any(|held| held.covers(runbook))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |patterns: &[Pattern]| {
            patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(", ")
        };
        write!(f, "{} in {} for {}", self.role, list(&self.environments), list(&self.runbooks))
    }
}

/// All that somebody was granted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Rights(pub Vec<Grant>);

impl Rights {
    /// Everything, everywhere.
    pub fn all() -> Self {
        Self(vec![Grant::everywhere(Role::Admin)])
    }

    /// Whether one of the grants gives a permission. Grants do not add up: one must hold the
    /// environment and the runbook both.
    pub fn allow(&self, permission: Permission, scope: Scope<'_>) -> bool {
        self.0.iter().any(|grant| grant.gives(permission.rule(), scope))
    }

    /// Whether all of these rights are among the other ones.
    pub fn within(&self, others: &Self) -> bool {
        self.0.iter().all(|grant| {
            grant.environments.iter().all(|environment| {
                grant
                    .runbooks
                    .iter()
                    .all(|runbook| others.0.iter().any(|held| held.covers(grant.role, environment, runbook)))
            })
        })
    }
}

/// Why somebody may not do something: for the answer, and for the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{why}")]
pub struct Refusal {
    pub permission: Permission,
    /// The least role that would do.
    pub needs: Role,
    pub why: String,
    /// What to do next.
    pub hint: String,
}

/// Whether somebody may do something to something.
pub fn may(identity: &Identity, permission: Permission, scope: Scope<'_>) -> Result<(), Refusal> {
    let rule = permission.rule();
    let own = identity.rights.allow(permission, scope);
    let owners = identity.within.as_ref().is_none_or(|within| within.allow(permission, scope));
    if own && owners {
        return Ok(());
    }
    let why = format!("{} may not {}{}", identity.name, rule.doing, told(scope, rule.reach));
    Err(Refusal { permission, needs: rule.role, why, hint: hint(identity, rule, scope, own) })
}

fn told(scope: Scope<'_>, reach: Reach) -> String {
    match (reach, scope.runbook, scope.environment) {
        (Reach::Whole, ..) | (Reach::Open, None, None) => String::new(),
        (Reach::Named, None, None) => " a runbook".to_owned(),
        (Reach::Named, None, Some(environment)) => format!(" a runbook in `{environment}`"),
        (Reach::Named, Some(runbook), None) => format!(" `{runbook}`"),
        (Reach::Named, Some(runbook), Some(environment)) => format!(" `{runbook}` in `{environment}`"),
        (Reach::Open, None, Some(environment)) => format!(" in `{environment}`"),
        (Reach::Open, Some(runbook), None) => format!(" of `{runbook}`"),
        (Reach::Open, Some(runbook), Some(environment)) => format!(" of `{runbook}` in `{environment}`"),
    }
}

fn hint(identity: &Identity, rule: &Rule, scope: Scope<'_>, own: bool) -> String {
    if rule.reach == Reach::Named && (scope.environment.is_none() || scope.runbook.is_none()) {
        return "name the environment and the runbook".to_owned();
    }
    if own {
        return format!(
            "the token says so, but its owner may not: `auth.roles` in runbook.yaml must grant them the role {}",
            rule.role
        );
    }
    let everywhere = if rule.reach == Reach::Whole { " everywhere and for all runbooks" } else { "" };
    let held: Vec<String> = identity.rights.0.iter().take(6).map(Grant::to_string).collect();
    let held = if held.is_empty() { "no role".to_owned() } else { held.join("; ") };
    let token = if identity.within.is_some() { ", or use a token that holds it" } else { "" };
    format!(
        "it takes the role {}{everywhere}; granted is {held}; ask whoever keeps `auth.roles` in runbook.yaml{token}",
        rule.role
    )
}

#[cfg(test)]
mod tests;

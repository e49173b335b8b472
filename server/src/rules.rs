//! Which route takes which permission: one table. A route that is not in it is refused, and a test
//! fails.

use http::Method;
use runbook_identity::Permission::{
    self, Acknowledge, Answer, Approve, Cancel, Declare, DryRun, Note, OwnTokens, Read, ReadAudit, Reload,
    Resolve, Start, Undo,
};

use self::Needs::{May, Open, Proof, SignIn, SignedIn};

/// What a route takes before its handler is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: health, the way in, what pages are made of.
    Open,
    /// Nothing but patience: ways to sign in, of which an address may try so many.
    SignIn,
    /// A proof of its own: hooks.
    Proof,
    /// Somebody, whoever it is.
    SignedIn,
    /// Somebody who has this permission somewhere. Whether they have it for the environment and the
    /// runbook in question, the handler asks again.
    May(Permission),
}

#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub method: &'static str,
    pub path: &'static str,
    pub needs: Needs,
}

const fn rule(method: &'static str, path: &'static str, needs: Needs) -> Rule {
    Rule { method, path, needs }
}

/// All routes.
pub const RULES: &[Rule] = &[
    rule("GET", "/healthz", Open),
    rule("GET", "/readyz", Open),
    rule("GET", "/metrics", Open),
    rule("POST", "/hooks/{name}", Proof),
    rule("POST", "/slack/actions", Proof),
    rule("GET", "/login", Open),
    rule("GET", "/login/begin", SignIn),
    rule("GET", "/login/callback", SignIn),
    rule("GET", "/login/ticket", SignIn),
    rule("POST", "/login/device", SignIn),
    // Known by an id that only whoever has begun knows.
    rule("POST", "/login/device/{id}", Open),
    rule("POST", "/logout", SignedIn),
    rule("GET", "/assets/{name}", Open),
    rule("GET", "/", May(Read)),
    rule("GET", "/incidents", May(Read)),
    rule("GET", "/incidents/declare", May(Declare)),
    rule("POST", "/incidents/declare", May(Declare)),
    rule("GET", "/incidents/{id}", May(Read)),
    rule("POST", "/incidents/{id}/acknowledge", May(Acknowledge)),
    rule("POST", "/incidents/{id}/note", May(Note)),
    rule("POST", "/incidents/{id}/severity", May(Note)),
    rule("POST", "/incidents/{id}/state", May(Note)),
    rule("POST", "/incidents/{id}/role", May(Note)),
    rule("POST", "/incidents/{id}/relate", May(Note)),
    rule("POST", "/incidents/{id}/resolve", May(Resolve)),
    rule("POST", "/incidents/{id}/reopen", May(Resolve)),
    rule("GET", "/runs", May(Read)),
    rule("GET", "/runs/{run}", May(Read)),
    rule("GET", "/runs/{run}/steps/{step}", May(Read)),
    rule("GET", "/runs/{run}/cancel", May(Cancel)),
    rule("POST", "/runs/{run}/cancel", May(Cancel)),
    rule("GET", "/runs/{run}/undo", May(Undo)),
    rule("POST", "/runs/{run}/undo", May(Undo)),
    rule("GET", "/approvals", May(Read)),
    rule("GET", "/runs/{run}/approve", May(Read)),
    rule("POST", "/runs/{run}/approve", May(Approve)),
    rule("POST", "/runs/{run}/reject", May(Approve)),
    rule("POST", "/runs/{run}/delegate", May(Approve)),
    rule("GET", "/runs/{run}/answer", May(Read)),
    rule("POST", "/runs/{run}/answer", May(Answer)),
    rule("GET", "/runbooks", May(Read)),
    rule("POST", "/runbooks/reload", May(Reload)),
    rule("GET", "/runbooks/{name}", May(Read)),
    rule("GET", "/runbooks/{name}/readiness", May(DryRun)),
    rule("GET", "/runbooks/{name}/start", May(DryRun)),
    rule("POST", "/runbooks/{name}/plan", May(DryRun)),
    rule("POST", "/runbooks/{name}/start", May(Start)),
    rule("GET", "/alerts", May(Read)),
    rule("GET", "/alerts/{id}", May(Read)),
    rule("GET", "/access", May(OwnTokens)),
    rule("POST", "/access/tokens", May(OwnTokens)),
    rule("GET", "/access/tokens/{id}/revoke", May(OwnTokens)),
    rule("POST", "/access/tokens/{id}/revoke", May(OwnTokens)),
    rule("GET", "/audit", May(ReadAudit)),
    rule("GET", "/api/v1/openapi.json", Open),
    rule("GET", "/api/v1/me", SignedIn),
    rule("GET", "/api/v1/environments", May(Read)),
    rule("GET", "/api/v1/runbooks", May(Read)),
    rule("GET", "/api/v1/runbooks/{name}", May(Read)),
    rule("GET", "/api/v1/readiness", May(DryRun)),
    rule("POST", "/api/v1/reload", May(Reload)),
    rule("GET", "/api/v1/runs", May(Read)),
    rule("POST", "/api/v1/runs", May(DryRun)),
    rule("GET", "/api/v1/runs/{run}", May(Read)),
    rule("GET", "/api/v1/runs/{run}/timeline", May(Read)),
    rule("GET", "/api/v1/runs/{run}/events", May(Read)),
    rule("POST", "/api/v1/runs/{run}/cancel", May(Cancel)),
    rule("POST", "/api/v1/runs/{run}/undo", May(Undo)),
    rule("GET", "/api/v1/approvals", May(Read)),
    rule("POST", "/api/v1/runs/{run}/approve", May(Approve)),
    rule("POST", "/api/v1/runs/{run}/reject", May(Approve)),
    rule("POST", "/api/v1/runs/{run}/delegate", May(Approve)),
    rule("POST", "/api/v1/runs/{run}/answer", May(Answer)),
    rule("GET", "/api/v1/alerts", May(Read)),
    rule("GET", "/api/v1/alerts/{id}", May(Read)),
    rule("GET", "/api/v1/incidents", May(Read)),
    rule("POST", "/api/v1/incidents", May(Declare)),
    rule("GET", "/api/v1/incidents/{id}", May(Read)),
    rule("POST", "/api/v1/incidents/{id}", May(Acknowledge)),
    rule("GET", "/api/v1/incidents/{id}/timeline", May(Read)),
    rule("GET", "/api/v1/events", May(Read)),
    rule("GET", "/api/v1/tokens", May(OwnTokens)),
    rule("POST", "/api/v1/tokens", May(OwnTokens)),
    rule("DELETE", "/api/v1/tokens/{id}", May(OwnTokens)),
    rule("GET", "/api/v1/audit", May(ReadAudit)),
];

/// What a route takes; `None` for one that nobody has thought of.
pub fn needs(method: &Method, path: &str) -> Option<Needs> {
    // HEAD is GET without a body.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    RULES.iter().find(|rule| rule.method == method && rule.path == path).map(|rule| rule.needs)
}

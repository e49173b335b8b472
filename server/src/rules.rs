//! Which route takes which permission: one table. A route that is not in it is refused, and a test
//! fails.

use http::Method;
use runbook_identity::Permission::{
    self, Acknowledge, Answer, Approve, Cancel, Declare, DryRun, OwnTokens, Read, ReadAudit, Reload, Undo,
};

use self::Needs::{May, Open, Proof, SignedIn};

/// What a route takes before its handler is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: health, the way in, what pages are made of.
    Open,
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
    rule("GET", "/login/begin", Open),
    rule("GET", "/login/callback", Open),
    rule("GET", "/login/ticket", Open),
    rule("POST", "/logout", SignedIn),
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

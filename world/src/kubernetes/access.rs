//! Who may do what: two users, one of whom only looks, and what the scenario forbids.

use serde_json::{Value, json};

use crate::kubernetes::failure::Failure;
use crate::kubernetes::resources::{self, Resource};
use crate::scenario::Scenario;
use crate::state::text;

/// The token of the kubeconfig's main user.
pub(crate) const ONCALL_TOKEN: &str = "simulated-oncall";
/// The token of the user who may only look.
pub(crate) const VIEWER_TOKEN: &str = "simulated-viewer";
/// Below this path everybody is the viewer.
pub(crate) const VIEWER_PATH: &str = "/as/viewer";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Oncall,
    Viewer,
}

impl User {
    /// No token is the on-call user: kubectl sends none over plain HTTP.
    pub fn of_token(token: &str) -> Option<Self> {
        match token {
            "" | ONCALL_TOKEN => Some(Self::Oncall),
            VIEWER_TOKEN => Some(Self::Viewer),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Oncall => ONCALL_TOKEN,
            Self::Viewer => VIEWER_TOKEN,
        }
    }

    /// `resource` is a plural, with the subresource after a slash.
    pub fn may(self, scenario: &Scenario, verb: &str, resource: &str) -> bool {
        match self {
            Self::Oncall => {
                let names = |pattern: &str, name: &str| pattern == "*" || pattern == name;
                !scenario.deny.iter().any(|d| names(&d.verb, verb) && names(&d.resource, resource))
            }
            Self::Viewer => {
                matches!(verb, "get" | "list" | "watch") && resource != "pods/exec"
                    || resource.starts_with("selfsubject")
            }
        }
    }
}

/// Refuses what the user may not do.
pub(crate) fn check(
    scenario: &Scenario,
    user: User,
    verb: &str,
    resource: &Resource,
    subresource: &str,
    namespace: &str,
    name: &str,
) -> Result<(), Failure> {
    let full = with_subresource(resource.plural, subresource);
    if user.may(scenario, verb, &full) {
        return Ok(());
    }
    let scope = if resource.namespaced && !namespace.is_empty() {
        format!("in the namespace \"{namespace}\"")
    } else {
        "at the cluster scope".to_owned()
    };
    let why = format!(
        "User \"{}\" cannot {verb} resource \"{full}\" in API group \"{}\" {scope}",
        user.name(),
        resource.group
    );
    Err(Failure::forbidden(resource, name, &why))
}

fn with_subresource(plural: &str, subresource: &str) -> String {
    if subresource.is_empty() { plural.to_owned() } else { format!("{plural}/{subresource}") }
}

/// Answers a `SelfSubjectAccessReview` or a `SelfSubjectRulesReview`.
pub(crate) fn review(scenario: &Scenario, user: User, resource: &Resource, body: &Value) -> Value {
    let mut answer = json!({
        "kind": resource.kind, "apiVersion": resource.api_version(), "metadata": {}, "spec": body["spec"],
    });
    answer["status"] = match resource.plural {
        "selfsubjectrulesreviews" => rules(scenario, user),
        _ => {
            let asked = &body["spec"]["resourceAttributes"];
            let full = with_subresource(text(asked, "/resource"), text(asked, "/subresource"));
            // Paths such as /healthz are open to everybody.
            let allowed = asked.is_null() || user.may(scenario, text(asked, "/verb"), &full);
            json!({ "allowed": allowed, "reason": if allowed { "simulated: allowed" } else { "simulated: denied" } })
        }
    };
    answer
}

fn rules(scenario: &Scenario, user: User) -> Value {
    let mut rules = Vec::new();
    for resource in resources::RESOURCES {
        let mut add = |name: String, verbs: &[&str]| {
            let allowed: Vec<&&str> = verbs.iter().filter(|verb| user.may(scenario, verb, &name)).collect();
            if !allowed.is_empty() {
                rules.push(json!({ "verbs": allowed, "apiGroups": [resource.group], "resources": [name] }));
            }
        };
        add(resource.plural.to_owned(), resource.verbs);
        for (name, _, verbs) in resource.subresources {
            add(with_subresource(resource.plural, name), verbs);
        }
    }
    json!({ "resourceRules": rules, "nonResourceRules": [{ "verbs": ["get"], "nonResourceURLs": ["*"] }], "incomplete": false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Denial, load};

    #[test]
    fn the_viewer_looks_and_a_scenario_may_forbid() {
        let mut scenario = load("high-latency").unwrap();
        scenario.deny = vec![Denial { verb: "patch".into(), resource: "deployments".into() }];
        for (user, verb, resource, allowed) in [
            (User::Oncall, "patch", "deployments", false),
            (User::Oncall, "patch", "deployments/scale", true),
            (User::Oncall, "delete", "pods", true),
            (User::Viewer, "list", "pods", true),
            (User::Viewer, "get", "pods/exec", false),
            (User::Viewer, "patch", "deployments/scale", false),
            (User::Viewer, "create", "selfsubjectaccessreviews", true),
        ] {
            assert_eq!(user.may(&scenario, verb, resource), allowed, "{user:?} {verb} {resource}");
        }
    }
}

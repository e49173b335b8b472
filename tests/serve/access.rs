//! Who may do what: every route that the server describes, asked by each role.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    project::Project,
    server::{Server, token},
};

const CONFIG: &str = "
version: 1
playbooks: playbooks
store: sqlite:.runbook/runbook.db
environments: { empty: {} }
people: { groups: { ops: [ada] } }
auth:
  roles:
    - { role: viewer, to: [\"token:viewer\"] }
    - { role: responder, to: [\"token:responder\"] }
    - { role: approver, to: [\"token:approver\"] }
    - { role: admin, to: [\"token:admin\"] }
";

const RUNBOOK: &str = "
apiVersion: runbook/v1
name: idle
steps:
  - { id: go, approval: { prompt: 'go?', from: [ops] } }
";

/// The least role for each route, as people would say it; what takes nobody in particular is left out.
const LEAST: &[(&str, &str, &str)] = &[
    ("get", "/api/v1/me", "viewer"),
    ("get", "/api/v1/environments", "viewer"),
    ("get", "/api/v1/runbooks", "viewer"),
    ("get", "/api/v1/runbooks/{name}", "viewer"),
    ("get", "/api/v1/readiness", "responder"),
    ("post", "/api/v1/reload", "admin"),
    ("get", "/api/v1/runs", "viewer"),
    ("post", "/api/v1/runs", "responder"),
    ("get", "/api/v1/runs/{run}", "viewer"),
    ("get", "/api/v1/runs/{run}/timeline", "viewer"),
    ("get", "/api/v1/runs/{run}/events", "viewer"),
    ("post", "/api/v1/runs/{run}/cancel", "responder"),
    ("post", "/api/v1/runs/{run}/undo", "responder"),
    ("get", "/api/v1/approvals", "viewer"),
    ("post", "/api/v1/runs/{run}/approve", "approver"),
    ("post", "/api/v1/runs/{run}/reject", "approver"),
    ("post", "/api/v1/runs/{run}/delegate", "approver"),
    ("post", "/api/v1/runs/{run}/answer", "responder"),
    ("get", "/api/v1/incidents", "viewer"),
    ("post", "/api/v1/incidents", "responder"),
    ("get", "/api/v1/incidents/{id}", "viewer"),
    ("post", "/api/v1/incidents/{id}", "responder"),
    ("get", "/api/v1/incidents/{id}/timeline", "viewer"),
    ("get", "/api/v1/alerts", "viewer"),
    ("get", "/api/v1/alerts/{id}", "viewer"),
    ("get", "/api/v1/events", "viewer"),
    ("get", "/api/v1/tokens", "viewer"),
    ("post", "/api/v1/tokens", "viewer"),
    ("delete", "/api/v1/tokens/{id}", "viewer"),
    ("get", "/api/v1/audit", "admin"),
];

const ROLES: [&str; 4] = ["viewer", "responder", "approver", "admin"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_takes_the_role_that_the_table_says() {
    let project = Project::empty();
    project.write("runbook.yaml", CONFIG);
    project.write("playbooks/idle.yaml", RUNBOOK);
    let server = Server::start(&project, &[]);
    let tokens: BTreeMap<&str, String> =
        ROLES.map(|role| (role, token(&project, &["--role", role, "--service", role]))).into();
    let client = reqwest::Client::new();
    let described: Value =
        client.get(format!("{}/api/v1/openapi.json", server.url)).send().await.unwrap().json().await.unwrap();

    let mut routes = Vec::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|method| *method != "parameters") {
            let least = LEAST.iter().find(|(m, p, _)| m == method && p == path);
            let (_, _, least) = least.unwrap_or_else(|| panic!("{method} {path} is not in the table"));
            routes.push((method.clone(), path.clone(), *least));
        }
    }
    assert_eq!(routes.len(), LEAST.len(), "the table names a route that is not there");

    let ask = async |method: &str, path: &str, token: Option<&str>| {
        let path = path
            .replace("{run}", "run_00000000000000000000000000")
            .replace("{id}", "INC-1")
            .replace("{name}", "idle");
        let method = method.to_uppercase().parse::<reqwest::Method>().unwrap();
        let mut request =
            client.request(method, format!("{}{path}", server.url)).json(&serde_json::json!({}));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap()
    };
    for (method, path, least) in &routes {
        assert_eq!(ask(method, path, None).await.status(), 401, "{method} {path} without a token");
        let wrong = "rbk_0123456789abcdef_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(ask(method, path, Some(wrong)).await.status(), 401, "{method} {path} with a wrong token");
        for role in ROLES {
            let enough = ROLES.iter().position(|it| it == &role) >= ROLES.iter().position(|it| it == least);
            let response = ask(method, path, Some(&tokens[role])).await;
            let status = response.status().as_u16();
            let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
            if enough {
                assert!(
                    status != 401 && status != 403 && status < 500,
                    "{method} {path} as {role}: {status}"
                );
            } else {
                assert_eq!(status, 403, "{method} {path} as {role}");
            }
            if status >= 400 {
                assert_eq!(kind, "application/problem+json", "{method} {path} as {role}");
            }
        }
    }
    // Each refusal stands in the audit log, with who it was.
    let audit: Value = client
        .get(format!("{}/api/v1/audit?limit=500", server.url))
        .bearer_auth(&tokens["admin"])
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let entries = audit["items"].as_array().unwrap();
    for role in ["viewer", "responder", "approver"] {
        let who = format!("token:{role}");
        assert!(
            entries.iter().any(|entry| entry["who"] == who.as_str() && entry["code"] == "not_allowed"),
            "{role}"
        );
    }
    assert!(entries.iter().any(|entry| entry["who"].is_null() && entry["code"] == "unauthenticated"));
}

//! What is read anew while the server runs: all of it or nothing.

use serde_json::{Value, json};

use crate::{
    project::Project,
    server::{Server, token},
};

const ALERT: &str = include_str!("../../intake/tests/cases/alertmanager/one-fires.json");
const RUNBOOK: &str = "apiVersion: runbook/v1\nname: NAME\nsteps: [{ id: wait, wait: 1s }]\n";

fn config(more: &str) -> String {
    format!(
        "
version: 1
playbooks: playbooks
store: sqlite:.runbook/runbook.db
environments: {{ empty: {{}} }}
hooks: {{ am: {{ source: alertmanager, bearer: {{ file: secret }} }} }}
{more}"
    )
}

const AUTH: &str =
    "auth: { roles: [{ role: admin, to: [\"token:ops\"] }, { role: viewer, to: [\"token:eve\"] }] }\n";

struct Asking<'a> {
    server: &'a Server,
    client: reqwest::Client,
}

impl Asking<'_> {
    async fn delivered(&self, hook: &str, secret: &str) -> u16 {
        let sent =
            self.client.post(format!("{}/hooks/{hook}", self.server.url)).bearer_auth(secret).body(ALERT);
        sent.send().await.unwrap().status().as_u16()
    }

    async fn sees(&self, token: &str) -> u16 {
        let asked = self.client.get(format!("{}/api/v1/runbooks", self.server.url)).bearer_auth(token);
        asked.send().await.unwrap().status().as_u16()
    }

    async fn reload(&self, token: &str) -> (u16, Value) {
        let asked = self.client.post(format!("{}/api/v1/reload", self.server.url)).bearer_auth(token);
        let response = asked.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_secrets_people_and_channels_are_read_anew_or_nothing_is() {
    let project = Project::empty();
    project.write("runbook.yaml", &config(AUTH));
    project.write("secret", "first-secret");
    project.write("playbooks/idle.yaml", &RUNBOOK.replace("NAME", "idle"));
    let server = Server::start(&project, &[]);
    let [ops, eve] = ["ops", "eve"].map(|name| {
        let role = if name == "ops" { "admin" } else { "viewer" };
        token(&project, &["--role", role, "--service", name])
    });
    let asking = Asking { server: &server, client: reqwest::Client::new() };
    assert_eq!(asking.delivered("am", "first-secret").await, 202);
    assert_eq!((asking.sees(&eve).await, asking.reload(&eve).await.0), (200, 403));

    // A key is replaced: the file alone changes nothing, reading it does.
    project.write("secret", "second-secret");
    assert_eq!(asking.delivered("am", "second-secret").await, 401);
    let (status, said) = asking.reload(&ops).await;
    assert_eq!((status, &said), (200, &json!({ "runbooks": 1, "findings": 0, "later": [] })));
    assert_eq!(asking.delivered("am", "first-secret").await, 401);
    assert_eq!(asking.delivered("am", "second-secret").await, 202);

    // Any one thing that is wrong keeps all as it was, with the change that was right beside it.
    let new_hook = "auth: { roles: [{ role: admin, to: [\"token:ops\"] }] }\n";
    let wrong_channel =
        "notifications: [{ name: a, kind: webhook, on: [], url: \"https://x.example.com/\" }]\n";
    for (more, secret, expected) in [
        (format!("{new_hook}hoks: 1\n"), Some("third-secret"), "hoks"),
        (format!("{new_hook}{wrong_channel}"), Some("third-secret"), "notifications"),
        (format!("{new_hook}severity: s9\n"), Some("third-secret"), "s9"),
        (new_hook.to_owned(), None, "secret"),
        (new_hook.to_owned(), Some(""), "empty"),
    ] {
        project.write("runbook.yaml", &config(&more));
        match secret {
            Some(secret) => project.write("secret", secret),
            None => std::fs::remove_file(project.path("secret")).unwrap(),
        }
        let (status, said) = asking.reload(&ops).await;
        let detail = said["detail"].as_str().unwrap();
        assert_eq!(status, 422, "{more}: {said}");
        assert!(detail.contains("everything stays as it was") && detail.contains(expected), "{more}: {said}");
        assert_eq!(asking.delivered("am", "second-secret").await, 202, "{more}");
        assert_eq!(asking.delivered("am", "third-secret").await, 401, "{more}");
        assert_eq!(asking.sees(&eve).await, 200, "{more}");
    }
    project.write("secret", "third-secret");
    project.write("playbooks/broken.yaml", "apiVersion: runbook/v1\nname: broken\nsteps: []\n");
    let said = server.signalled("-HUP", "everything stays as it was");
    assert!(said.contains("broken.yaml:3"), "{said}");
    assert_eq!(asking.delivered("am", "third-secret").await, 401);

    // All that is right is taken at once; what only a new start can change is named.
    project.write("playbooks/broken.yaml", &RUNBOOK.replace("NAME", "broken"));
    let more = "server: { listen: \"127.0.0.1:1\" }\nseverity: s1\n";
    project.write("runbook.yaml", &config(&format!("{new_hook}{more}")).replace("am:", "elsewhere:"));
    let said = server.signalled("-HUP", "after a new start only: server.listen");
    assert!(said.contains("read anew: 2 runbooks, 0 findings"), "{said}");
    assert_eq!(asking.delivered("am", "third-secret").await, 404);
    assert_eq!(asking.delivered("elsewhere", "third-secret").await, 202);
    assert_eq!(asking.sees(&eve).await, 403, "what was granted is taken away");
    assert_eq!(asking.sees(&ops).await, 200);
}

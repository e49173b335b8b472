//! A cluster that does not answer, and one that nobody has told how to reach.

use crate::project::{Project, SPEED, step};

const PLAYBOOK: &str = "apiVersion: runbook/v1
name: back
steps:
  - id: history
    check: kubernetes.rollout_history
    with: { namespace: production, deployment: api }
  - id: rollback
    action: kubernetes.rollout_undo
    with: { namespace: production, deployment: api }
";

/// An address at which nobody listens: the port is given out, and given back.
fn away() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().to_string()
}

fn project(address: &str) -> Project {
    let project = Project::of("high-latency", SPEED);
    let config = "version: 1
store: sqlite:state/runbook.db
default_environment: away
environments:
  away: { kubernetes: { kubeconfig: away.yaml } }
  lost: { kubernetes: { kubeconfig: none.yaml } }
  torn: { kubernetes: { kubeconfig: torn.yaml } }
";
    project.write("runbook.yaml", config);
    project.write("playbooks/back.yaml", PLAYBOOK);
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: away\n\
         clusters: [{{ name: away, cluster: {{ server: 'https://{address}' }} }}]\n\
         contexts: [{{ name: away, context: {{ cluster: away, user: away }} }}]\n\
         users: [{{ name: away, user: {{ token: very-secret }} }}]\n"
    );
    project.write("away.yaml", &kubeconfig);
    project.write("torn.yaml", "clusters: [");
    project
}

#[test]
fn a_dry_run_tells_what_it_cannot_know_and_goes_on() {
    let address = away();
    let project = project(&address);
    for (environment, reason, verdict) in [
        ("away", address.as_str(), ["may_run", "could not be looked at: "]),
        ("lost", "none.yaml could not be read: there is no such file", ["would_run", "would fail: "]),
        ("torn", "torn.yaml", ["would_run", "would fail: "]),
    ] {
        let plan = project.json(&["--env", environment, "run", "back", "--dry-run"], 0);
        assert_eq!((&plan["status"], &plan["writes_sent"]), (&"complete".into(), &0.into()), "{plan:#}");
        let history = step(&plan, "history");
        assert_eq!(history["grade"], "unknown", "{history:#}");
        assert!(history["error"].to_string().contains(reason), "{history:#}");
        let rollback = step(&plan, "rollback");
        assert_eq!(rollback["verdict"], verdict[0], "{plan:#}");
        assert!(rollback["reason"].as_str().unwrap().starts_with(verdict[1]), "{plan:#}");
        let told = project.runbook(["--env", environment, "run", "back", "--dry-run"]).ends_with_code(0);
        assert!(told.stdout.contains(reason) && told.stdout.contains("hint: "), "{}", told.stdout);
        assert!(!told.stdout.contains("very-secret"));
    }
    assert!(!project.path("state").exists(), "a dry-run keeps no journal");
}

#[test]
fn a_run_fails_cleanly_and_says_what_to_look_at() {
    let address = away();
    let project = project(&address);
    for (environment, reason, hint) in [
        ("away", address.as_str(), "hint: check the network, the VPN and the address in the kubeconfig"),
        ("lost", "none.yaml", "hint: set `kubeconfig` for this environment, or KUBECONFIG"),
        ("torn", "torn.yaml", "hint: "),
    ] {
        let said = project.runbook(["--env", environment, "run", "back"]).ends_with_code(1);
        assert!(said.stdout.contains("failed in ") && said.stdout.contains(reason), "{said:#?}");
        assert!(said.stdout.contains("nothing was changed"), "{said:#?}");
        assert!(said.stderr.contains(hint), "{said:#?}");
        let document = project.json(&["show", "latest"], 0);
        assert_eq!((&document["status"], &document["writes_sent"]), (&"failed".into(), &0.into()));
        project.runbook(["timeline", "latest", "--verify"]).ends_with_code(0);
    }
}

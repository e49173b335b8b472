//! Manual steps and choices, answered from a shell of one's own.

use serde_json::json;

use crate::project::{Project, SPEED, step};

const FAILOVER: &str = "apiVersion: runbook/v1
name: failover
steps:
  - id: promote
    manual:
      prompt: Promote the replica.
      form:
        replica: { type: string }
        lag: { type: integer, default: 0 }
  - id: pick
    choose: operator
    options:
      - id: some
        action: kubernetes.scale
        with: { namespace: production, deployment: api, replicas: 4 }
      - id: more
        action: kubernetes.scale
        with: { namespace: production, deployment: api, replicas: 5 }
";

fn project() -> (Project, String) {
    let project = Project::of("high-latency", SPEED).with_playbooks(&[("failover", FAILOVER)]);
    let document = project.json(&["run", "failover", "--detach"], 3);
    (project, document["run"].as_str().unwrap().to_owned())
}

#[test]
fn a_form_is_filled_in_and_an_option_picked() {
    let (project, run) = project();
    let open = project.json(&["approvals"], 0);
    assert_eq!((&open[0]["kind"], &open[0]["step"]), (&json!("manual"), &json!("promote")));
    let answered =
        project.ended(&["answer", &run, "promote", "done", "replica=db-2", "--comment", "slow"], 0);
    assert_eq!(answered.stdout, format!("answered: promote of run {run}\n"));
    let document = project.json(&["resume", &run, "--detach"], 3);
    assert_eq!(step(&document, "promote")["outputs"], json!({ "replica": "db-2", "lag": 0 }));
    let open = project.json(&["approvals"], 0);
    assert_eq!((&open[0]["kind"], &open[0]["options"]), (&json!("choice"), &json!(["some", "more"])));
    project.ended(&["answer", &run, "pick", "more"], 0);
    let document = project.json(&["resume", &run, "--detach"], 0);
    assert_eq!(step(&document, "pick")["outputs"]["chosen"], "more", "{document:#}");
}

#[test]
fn what_does_not_answer_is_told_with_what_would() {
    let (project, run) = project();
    for (words, told) in [
        (&[][..], "`promote` asks: Promote the replica."),
        (&["perhaps"], "`perhaps` does not answer what `promote` asks"),
        (&["failed", "db-2"], "`db-2` is one word too many"),
        (&["done", "db-2"], "`db-2` is no value of the form"),
        (&["done", "replica=db-2", "lag=some"], "input `lag` must be an integer, not `some`"),
        (&["done"], "replica"),
        (&["done", "replica=db-2", "lagg=1"], "lagg"),
    ] {
        let said = project.ended(&[&["answer", &run, "promote"], words].concat(), 2);
        assert!(said.stderr.starts_with("error: ") && said.stderr.contains(told), "{words:?}: {said:#?}");
    }
    let said = project.ended(&["approve", &run], 2);
    assert!(said.stderr.contains("does not wait for an approval"), "{said:#?}");
    let said = project.ended(&["answer", &run, "nothing", "done"], 2);
    assert!(said.stderr.contains("hint: these do: promote"), "{said:#?}");
    // A step that a person could not do fails the run as any other.
    project.ended(&["answer", &run, "promote", "failed", "--comment", "no quorum"], 0);
    let document = project.json(&["show", &run], 0);
    assert_eq!(document["status"], "failed", "{document:#}");
    assert!(step(&document, "promote")["reason"].as_str().unwrap().contains("no quorum"), "{document:#}");
}

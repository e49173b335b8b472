//! The one JSON document that `run --output json` prints, dry and for real: its keys are an API.

use serde_json::Value;

use crate::project::{GATE, Project, SPEED, step};

/// Keys that every document of a run has.
const RUN: [&str; 9] =
    ["run", "runbook", "environment", "simulated", "dry_run", "status", "recovered", "inputs", "writes_sent"];

#[track_caller]
fn has(object: &Value, keys: &[&str]) {
    for key in keys {
        assert!(object.get(key).is_some(), "`{key}` is missing in {object:#}");
    }
}

#[test]
fn a_plan_has_the_keys_that_are_promised() {
    let project = Project::of("high-latency", SPEED);
    let said = project.ended(&["run", "high-latency", "--dry-run", "--output", "json"], 0);
    assert_eq!(said.stderr, "", "a dry-run that nobody watches says nothing");
    let plan = said.json();
    has(&plan, &RUN);
    assert_eq!((&plan["dry_run"], &plan["writes_sent"]), (&true.into(), &0.into()));
    assert_eq!((&plan["simulated"], &plan["status"]), (&true.into(), &"complete".into()));
    let rollback = step(&plan, GATE);
    has(
        rollback,
        &["id", "kind", "action", "effect", "verdict", "grade", "reason", "target", "approval", "change"],
    );
    has(&rollback["approval"], &["from", "count"]);
    has(&rollback["change"], &["summary", "before", "after", "diff", "request", "digest"]);
    has(&rollback["change"]["request"], &["method", "url", "body"]);
    assert!(step(&plan, "mitigate.scale")["warnings"][0].as_str().unwrap().contains("autoscaler"));
    for one in plan["steps"].as_array().unwrap() {
        let verdict = one["verdict"].as_str().unwrap();
        assert!(["would_run", "may_run", "would_skip", "would_wait"].contains(&verdict), "{one:#}");
        let grade = one["grade"].as_str().unwrap();
        assert!(["observed", "validated", "predicted", "unknown"].contains(&grade), "{one:#}");
    }
}

/// Many an office names a proxy in every shell, and many a container trusts nobody; the simulated
/// world is inside the process.
#[test]
fn what_the_machine_is_like_changes_nothing() {
    let dead = "http://127.0.0.1:1";
    let machines = [
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"].map(|name| (name, dead)),
        ["SSL_CERT_FILE", "SSL_CERT_DIR", "KUBECONFIG", "AWS_CONFIG_FILE", "HOME"]
            .map(|name| (name, "/not/there")),
    ];
    for runbook in ["high-latency", "region-failover"] {
        let project = Project::of(runbook, SPEED);
        let plan = project.json(&["run", runbook, "--dry-run"], 0);
        for machine in machines {
            let mut command = project.command(["run", runbook, "--dry-run", "--output", "json"]);
            let output =
                command.env_remove("NO_PROXY").env_remove("no_proxy").envs(machine).output().unwrap();
            let there: Value = serde_json::from_slice(&output.stdout).unwrap();
            let verdicts = |plan: &Value| {
                let steps = plan["steps"].as_array().unwrap().iter();
                steps.map(|step| (step["verdict"].clone(), step["grade"].clone())).collect::<Vec<_>>()
            };
            assert_eq!(verdicts(&there), verdicts(&plan), "{machine:?}: {there:#}");
        }
    }
}

#[test]
fn a_run_has_the_keys_that_are_promised() {
    let (project, run) = Project::waiting();
    let waiting = project.json(&["show", &run], 0);
    assert_eq!((&waiting["status"], &waiting["recovered"]), (&"waiting".into(), &false.into()));
    project.ended(&["approve", &run], 0);
    let document = project.json(&["resume", &run], 0);
    has(&document, &RUN);
    assert_eq!((&document["dry_run"], &document["run"]), (&false.into(), &run.as_str().into()));
    for id in ["latency", GATE] {
        has(step(&document, id), &["status", "attempts", "started_at", "ended_at"]);
    }
    has(step(&document, "latency"), &["passed", "outputs"]);
    assert!(document["writes_sent"].as_u64().unwrap() >= 2, "the rollback and the message");
    assert_eq!(project.json(&["show", &run], 0)["steps"], document["steps"]);
}

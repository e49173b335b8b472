//! What is seen of a run from elsewhere: what is open, which runs there are, what happened.

use serde_json::{Value, json};

use crate::project::{GATE, Project, step};

#[test]
fn an_approval_is_shown_with_all_that_it_takes_to_decide() {
    let (project, run) = Project::waiting();
    let told = project.ended(&["approvals", "--verbose"], 0).stdout;
    for part in [
        "high-latency in demo (simulated)",
        "-       image: registry.simulated/api:1.42.0",
        "+       image: registry.simulated/api:1.41.0",
        "kubernetes:production/deployment/api",
        "risk medium",
        "about 5m",
        "sre-oncall (alice, bob) to approve",
        &format!("runbook approve {run} {GATE}"),
        &format!("runbook reject {run} {GATE}"),
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let open = project.json(&["approvals"], 0);
    let [asked] = open.as_array().unwrap().as_slice() else { panic!("{open:#}") };
    for (pointer, expected) in [
        ("/run", json!(run)),
        ("/runbook", json!("high-latency")),
        ("/environment", json!("demo")),
        ("/simulated", json!(true)),
        ("/step", json!(GATE)),
        ("/kind", json!("approval")),
        ("/from", json!(["sre-oncall"])),
        ("/approval/count", json!(1)),
        ("/approval/granted", json!([])),
        ("/approval/escalate_to", json!(["incident-commander"])),
        ("/effect", json!("write")),
        ("/risk", json!("medium")),
        ("/eta", json!("5m")),
        ("/change/target", json!("kubernetes:production/deployment/api")),
    ] {
        assert_eq!(asked.pointer(pointer), Some(&expected), "{pointer}");
    }
    let shown = project.json(&["show", &run], 0);
    assert_eq!(asked["approval"]["digest"], step(&shown, GATE)["approval"]["digest"]);
    assert!(asked["change"]["diff"].as_str().unwrap().contains("api:1.41.0"));
    // An approval of another change than the one that was looked at is none.
    let stale = project.ended(&["approve", &run, GATE, "--digest", "sha256:00"], 6);
    assert!(stale.stderr.contains("asks about another change by now"), "{stale:#?}");
}

#[test]
fn runs_are_found_by_what_they_are() {
    let (project, run) = Project::waiting();
    let other = project.json(
        &["run", "service-health-check", "--detach", "--incident", "OPS-7", "--reason", "a look around"],
        1,
    );
    for (filter, expected) in [
        (&["--status", "waiting"][..], &[run.as_str()][..]),
        (&["--runbook", "service-health-check"], &[other["run"].as_str().unwrap()]),
        (&["--incident", "OPS-7"], &[other["run"].as_str().unwrap()]),
        (&["--env", "demo", "--since", "1h"], &[other["run"].as_str().unwrap(), run.as_str()]),
        (&["--status", "stuck"], &[]),
    ] {
        let listed = project.json(&[&["runs"], filter].concat(), 0);
        let found: Vec<&str> =
            listed.as_array().unwrap().iter().map(|one| one["run"].as_str().unwrap()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    let table = project.ended(&["runs"], 0).stdout;
    assert!(table.starts_with("RUN ") && table.contains("demo (simulated)"), "{table}");
    let shown = project.ended(&["show", &run], 0).stdout;
    for part in ["high-latency in demo (simulated: high-latency", "waiting", "mitigate", "sre-oncall"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn a_timeline_tells_the_same_in_every_form() {
    let (project, run) = Project::waiting();
    project.ended(&["reject", &run], 0);
    project.ended(&["cancel", &run], 0);
    let entries = project.json(&["timeline", &run], 0);
    let entries = entries.as_array().unwrap();
    let text = project.ended(&["timeline", &run], 0).stdout;
    assert_eq!(text.lines().count(), entries.len() + 1, "a line an entry, below the day");
    let table = project.ended(&["timeline", &run, "--format", "markdown"], 0).stdout;
    assert!(table.lines().filter(|line| line.starts_with("| ")).count() > 2, "{table}");
    // The run has ended, and so has what follows it.
    let followed = project.ended(&["timeline", &run, "--follow", "--format", "json"], 0).stdout;
    let followed: Vec<Value> = followed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&followed, entries);
    for (kind, actor) in [("run_created", "cli"), ("approval_rejected", "cli"), ("run_ended", "engine")] {
        let entry = entries.iter().find(|one| one["type"] == kind);
        assert!(entry.is_some_and(|entry| entry["actor"]["how"] == actor), "{kind}: {entries:#?}");
    }
    let proof = project.ended(&["timeline", &run, "--verify"], 0).stdout;
    assert_eq!(proof, format!("{run}  intact: {} entries, none changed, none missing\n", entries.len()));
}

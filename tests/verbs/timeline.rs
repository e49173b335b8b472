//! `runbook timeline`: what happened, and the proof that nothing of it was changed.

use serde_json::Value;

use crate::runs::{project, start};

#[test]
fn a_run_is_told_line_by_line() {
    let project = project();
    let run = start(&project, "ends", 0);
    let said = project.runbook(["timeline", run.as_str()]).ends_with_code(0);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert!(lines[0].ends_with("(UTC)"), "{said:#?}");
    assert!(lines[1].contains("#1") && lines[1].contains("started ends in demo (simulated)"), "{said:#?}");
    assert!(lines[lines.len() - 1].contains("succeeded"), "{said:#?}");

    let entries = project.runbook(["timeline", "--format", "json"]).ends_with_code(0).json();
    let entries = entries.as_array().unwrap();
    assert_eq!(entries.len(), lines.len() - 1);
    for (seq, entry) in (1..).zip(entries) {
        let fields: Vec<&str> = entry.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["seq", "at", "type", "run", "step", "actor", "summary", "data", "hash"]);
        assert_eq!((&entry["seq"], &entry["run"]), (&Value::from(seq), &Value::from(run.as_str())));
    }
    let table = project.runbook(["timeline", "--format", "markdown"]).ends_with_code(0).stdout;
    assert!(table.starts_with("| Time (UTC) | Step | Event | Who |\n| --- |"), "{table}");
}

#[test]
fn following_ends_with_the_run() {
    let project = project();
    start(&project, "ends", 0);
    let told = project.runbook(["timeline"]).stdout;
    assert_eq!(project.runbook(["timeline", "--follow"]).ends_with_code(0).stdout, told);
    let entries = project.runbook(["timeline", "--follow", "--format", "json"]).ends_with_code(0).stdout;
    let kinds: Vec<Value> =
        entries.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone()).collect();
    assert_eq!((kinds.first().unwrap(), kinds.last().unwrap()), (&"run_created".into(), &"run_ended".into()));
    let said = project.runbook(["timeline", "--follow", "--format", "markdown"]).ends_with_code(2);
    assert!(said.stderr.contains("a table cannot be followed"), "{said:#?}");
    project.runbook(["timeline", "--follow", "--verify"]).ends_with_code(2);
}

#[test]
fn an_incident_is_all_of_its_runs() {
    let project = project();
    let (first, second) = (start(&project, "ends", 0), start(&project, "asks", 3));
    let entries = project.runbook(["timeline", "OPS-1", "--output", "json"]).ends_with_code(0).json();
    let runs: Vec<&str> = entries.as_array().unwrap().iter().map(|it| it["run"].as_str().unwrap()).collect();
    assert_eq!((runs[0], runs[runs.len() - 1]), (first.as_str(), second.as_str()));
    let told = project.runbook(["timeline", "OPS-1"]).ends_with_code(0).stdout;
    assert!(told.contains(&format!("{first}  20")) && told.contains(&format!("{second}  20")), "{told}");
    let proofs =
        project.runbook(["timeline", "OPS-1", "--verify", "--output", "json"]).ends_with_code(0).json();
    assert_eq!(proofs.as_array().unwrap().len(), 2);
    let said = project.runbook(["timeline", "OPS-1", "--follow"]).ends_with_code(2);
    assert!(said.stderr.contains("`OPS-1` has 2 runs"), "{said:#?}");
    let said = project.runbook(["timeline", "OPS-2"]).ends_with_code(2);
    assert!(said.stderr.contains("no run begins with `OPS-2`"), "{said:#?}");
}

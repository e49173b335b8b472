//! `runbook incident` and `runbook alerts`, from the declaration to the end, and bound runs.

use serde_json::Value;

use crate::project::Project;

const ENDS: &str = "steps:\n  - { id: pause, wait: 1s }\n";
/// Recovered means what the world, which nobody has mended, does not show.
const UNWELL: &str = "inputs: {}
steady_state:
  - { id: p95, check: prometheus.query, with: { query: 'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{service=\"api\"}[5m])))' }, expect: value < 0.5 }
steps:
  - { id: pause, wait: 1s }
";

fn project() -> Project {
    Project::with(&[("ends", ENDS), ("unwell", UNWELL)])
}

fn declared(project: &Project) {
    let said = project.runbook([
        "incident",
        "declare",
        "checkout answers 503",
        "--severity",
        "sev1",
        "--service",
        "api",
    ]);
    assert_eq!(
        said.ends_with_code(0).stdout,
        "declared: INC-1 (SEV-1, investigating) checkout answers 503\n"
    );
}

#[test]
fn looking_makes_no_store_and_says_what_to_do() {
    let project = project();
    let said = project.runbook(["incident", "list"]).ends_with_code(0);
    assert!(said.stderr.contains("`runbook incident declare TITLE`"), "{said:#?}");
    assert_eq!(project.runbook(["incident", "list", "--output", "json"]).stdout, "[]\n");
    let said = project.runbook(["alerts", "list"]).ends_with_code(0);
    assert!(said.stderr.contains("no alert has come yet"), "{said:#?}");
    for what in [["incident", "show", "latest"], ["incident", "show", "INC-1"], ["alerts", "show", "latest"]]
    {
        project.runbook(what).ends_with_code(2);
    }
    assert!(!project.path(".runbook").exists());
}

#[test]
fn an_incident_is_worked_on_from_a_shell() {
    let project = project();
    declared(&project);
    for (said, word) in [
        (&["acknowledge", "latest"][..], "taken on"),
        (&["note", "1", "the deploy of 14:20"], "noted"),
        (&["severity", "INC-1", "SEV-2", "--reason", "one region"], "severity changed"),
        (&["state", "inc-1", "identified"], "state changed"),
        (&["assign", "INC-1", "ic", "carol"], "assigned"),
        (&["assign", "INC-1", "scribe", "bob"], "assigned"),
        (&["leave", "INC-1", "scribe", "bob"], "taken from them"),
        (&["resolve", "INC-1", "--reason", "rolled back"], "resolved"),
        (&["reopen", "INC-1", "--reason", "it is back"], "reopened"),
    ] {
        let said = project.runbook([&["incident"], said].concat()).ends_with_code(0);
        assert!(said.stdout.starts_with(&format!("{word}: INC-1 (")), "{said:#?}");
    }
    let incident = project.runbook(["incident", "show", "1", "--output", "json"]).ends_with_code(0).json();
    assert_eq!((&incident["severity"], &incident["state"]), (&"SEV-2".into(), &"investigating".into()));
    assert_eq!(incident["roles"], serde_json::json!({ "incident_commander": ["carol"] }));
    let listed = project.runbook(["incident", "list", "--state", "open", "--output", "json"]).json();
    assert_eq!((&listed[0]["id"], &listed[0]["commander"]), (&"INC-1".into(), &"carol".into()));
    let entries = project.runbook(["timeline", "INC-1", "--output", "json"]).ends_with_code(0).json();
    let kinds: Vec<&str> =
        entries.as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "opened",
            "acknowledged",
            "noted",
            "severity_changed",
            "state_changed",
            "role_assigned",
            "role_assigned",
            "role_left",
            "resolved",
            "reopened"
        ]
    );
}

#[test]
fn what_cannot_be_is_refused_with_a_way_on() {
    let project = project();
    declared(&project);
    for (said, told) in [
        (&["note", "INC-7", "x"][..], "there is no incident INC-7"),
        (&["note", "INC-1", " "], "the note is empty"),
        (&["note", "seven", "x"], "`seven` is not the id of an incident"),
        (&["severity", "INC-1", "SEV-9"], "known are SEV-1, SEV-2"),
        (&["assign", "INC-1", "boss", "carol"], "there is no role `boss`"),
        (&["merge", "INC-1", "--into", "INC-1"], "INC-1 is this incident itself"),
    ] {
        let said = project.runbook([&["incident"], said].concat()).ends_with_code(2);
        assert!(said.stderr.contains(told), "{told}: {said:#?}");
    }
    let said = project.runbook(["run", "ends", "--incident", "inc-9"]).ends_with_code(2);
    assert!(said.stderr.contains("there is no incident INC-9"), "{said:#?}");
    assert_eq!(project.runbook(["runs", "--output", "json"]).stdout, "[]\n", "nothing has begun");
}

#[test]
fn a_bound_run_stands_in_the_incident_from_its_beginning_to_its_end() {
    let project = project();
    declared(&project);
    let other = project.runbook(["run", "ends", "--incident", "OPS-1", "--output", "json"]);
    // Another system's word binds to nothing here.
    assert_eq!(other.ends_with_code(0).json()["status"], "succeeded");
    let run =
        project.runbook(["run", "ends", "--incident", "1", "--output", "json"]).ends_with_code(0).json();
    let incident = project.runbook(["incident", "show", "INC-1", "--output", "json"]).json();
    let runs = incident["runs"].as_object().unwrap();
    assert_eq!(runs.keys().collect::<Vec<_>>(), [run["run"].as_str().unwrap()]);
    assert_eq!(runs[run["run"].as_str().unwrap()]["status"], "succeeded");
    let told = project.runbook(["timeline", "INC-1"]).ends_with_code(0).stdout;
    for line in
        ["declared SEV-1", "ends started in demo", "started ends in demo (simulated)", "ends succeeded"]
    {
        assert!(told.contains(line), "{line}: {told}");
    }
    let proofs =
        project.runbook(["timeline", "INC-1", "--verify", "--output", "json"]).ends_with_code(0).json();
    assert_eq!((&proofs[0]["incident"], &proofs[0]["intact"]), (&"INC-1".into(), &Value::from(true)));
    assert_eq!((&proofs[1]["run"], proofs.as_array().unwrap().len()), (&run["run"], 2));
}

#[test]
fn a_resolve_looks_first_and_takes_a_reason_where_it_is_not_well() {
    let project = project();
    declared(&project);
    // The run ends, and what it looks at at its end is not well.
    project.runbook(["run", "unwell", "--incident", "INC-1", "-q"]);
    let refused = project.runbook(["incident", "resolve", "INC-1"]).ends_with_code(2);
    assert!(
        refused.stderr.contains("INC-1 is not over: the steady state does not hold (p95 value="),
        "{refused:#?}"
    );
    assert!(refused.stderr.contains("--force REASON"), "{refused:#?}");
    let forced =
        project.runbook(["incident", "resolve", "INC-1", "--force", "wrong metric", "--output", "json"]);
    let resolution = &forced.ends_with_code(0).json()["resolution"];
    assert_eq!((&resolution["forced"], &resolution["verified"]), (&true.into(), &false.into()));
    assert_eq!(resolution["reason"], "wrong metric");
    let told =
        project.runbook(["timeline", "INC-1", "--follow", "--format", "json"]).ends_with_code(0).stdout;
    let looks = told.lines().filter(|line| line.contains("\"type\":\"steady_checked\",\"run\":null"));
    assert_eq!(looks.count(), 2, "{told}");
    assert!(
        told.trim_end().lines().last().unwrap().contains("\"type\":\"resolved\""),
        "it ends with the incident"
    );
}

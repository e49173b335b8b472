//! `runbook runs`, `show` and `approvals`, over runs that were made by `runbook run`.

use serde_json::Value;
use snapbox::{assert_data_eq, str};

use crate::project::{Project, Said};

/// Asks before anything else.
pub const ASKS: &str = "steps:
  - { id: gate, approval: { prompt: 'Go on?', from: [oncall], timeout: 30m } }
  - { id: look, manual: { prompt: 'What do you see?' } }
";
/// Ends by itself.
pub const ENDS: &str = "steps:\n  - { id: pause, wait: 1s }\n";

pub fn project() -> Project {
    Project::with(&[("asks", ASKS), ("ends", ENDS)])
}

/// Starts a run and gives its id.
pub fn start(project: &Project, runbook: &str, code: i32) -> String {
    let run = ["run", runbook, "--detach", "--output", "json", "--incident", "OPS-1"];
    let document = project.runbook(run).ends_with_code(code).json();
    document["run"].as_str().unwrap().to_owned()
}

fn lines(said: &Said) -> Vec<Vec<&str>> {
    said.stdout.lines().map(|line| line.split("  ").filter(|cell| !cell.is_empty()).collect()).collect()
}

#[test]
fn a_project_without_runs_says_so_and_makes_no_store() {
    let project = project();
    let said = project.runbook(["runs"]).ends_with_code(0);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("", "no runs yet; `runbook run NAME` starts one\n")
    );
    assert_eq!(project.runbook(["runs", "--output", "json"]).stdout, "[]\n");
    let said = project.runbook(["approvals"]).ends_with_code(0);
    assert_eq!(said.stderr, "nothing is open: nobody is asked anything\n");
    for verb in ["show", "timeline"] {
        let said = project.runbook([verb]).ends_with_code(2);
        assert!(said.stderr.starts_with("error: there are no runs yet\nhint: "), "{said:#?}");
    }
    assert!(!project.path(".runbook").exists());
}

#[test]
fn runs_are_listed_newest_first() {
    let project = project();
    let (first, second) = (start(&project, "ends", 0), start(&project, "asks", 3));
    let said = project.runbook(["runs"]).ends_with_code(0);
    let rows = lines(&said);
    assert_eq!((rows[1][0], rows[2][0]), (second.as_str(), first.as_str()));
    assert_eq!(rows[1][2].trim(), "demo (simulated)");
    let listed = project.runbook(["runs", "--output", "json"]).json();
    let told: Vec<(&Value, &Value)> =
        listed.as_array().unwrap().iter().map(|run| (&run["runbook"], &run["status"])).collect();
    assert_eq!(
        told,
        [(&"asks".into(), &"waiting".into()), (&"ends".into(), &"succeeded".into())] as [(&Value, &Value); 2]
    );
    assert_eq!(listed[0]["incident"], "OPS-1");
    for (flag, value, expected) in [
        ("--status", "waiting", 1),
        ("--status", "stuck", 0),
        ("--runbook", "ends", 1),
        ("--incident", "OPS-1", 2),
        ("--incident", "INC-2", 0),
        ("--since", "1h", 2),
        ("--since", "2099-01-01T00:00:00Z", 0),
        ("--env", "demo", 2),
        ("--limit", "1", 1),
    ] {
        let listed = project.runbook(["runs", "--output", "json", flag, value]).ends_with_code(0).json();
        assert_eq!(listed.as_array().unwrap().len(), expected, "{flag} {value}");
    }
    let said = project.runbook(["runs", "--limit", "1"]);
    assert_eq!(said.stderr, "these are the newest 1; `--limit` shows more\n");
}

#[test]
fn a_run_is_shown_with_what_it_waits_for() {
    let project = project();
    let run = start(&project, "asks", 3);
    let whole = project.runbook(["show", run.as_str()]).ends_with_code(0);
    for text in [run.as_str(), "latest", &run[..20], &run["run_".len()..20]] {
        let said = project.runbook(["show", text]).ends_with_code(0);
        assert_eq!(said.stdout, whole.stdout, "{text}");
    }
    assert!(whole.stdout.contains("(simulated: high-latency"), "{whole:#?}");
    assert_eq!(
        whole.stderr,
        format!(
            "\nnobody drives this run; answer, then go on:\n  runbook approve {run} gate\n  runbook reject {run} \
             gate\n  runbook resume {run}\n"
        )
    );
    let document = project.runbook(["show", "--output", "json"]).json();
    assert_eq!((&document["status"], &document["writes_sent"]), (&"waiting".into(), &0.into()));
    assert_eq!(document["steps"][0]["approval"]["prompt"], "Go on?");
}

#[test]
fn a_run_that_is_not_there_is_told_apart_from_one_that_is_not_meant() {
    let project = project();
    let run = start(&project, "ends", 0);
    start(&project, "ends", 0);
    for (text, message) in [
        ("run_00000000000000000000000000", "there is no run run_00000000000000000000000000"),
        ("run_zz", "no run begins with `run_zz`"),
        (&run[..8], "fits 2 runs: run_"),
    ] {
        let said = project.runbook(["show", text]).ends_with_code(2);
        assert!(said.stderr.contains(message) && said.stderr.contains("\nhint: "), "{said:#?}");
    }
}

#[test]
fn what_is_open_is_listed_everywhere() {
    let project = project();
    let run = start(&project, "asks", 3);
    let said = project.runbook(["approvals"]).ends_with_code(0);
    assert_data_eq!(
        said.stdout.replace(&run, "RUN"),
        str![[r#"
RUN  asks in demo (simulated), started [..] by [..]
  gate  approval: Go on?
    who       oncall (0 so far)
    until     in 29m ([..] UTC), then it is a no
    answer    runbook approve RUN gate
    answer    runbook reject RUN gate

"#]]
    );
    let open = project.runbook(["approvals", "latest", "--output", "json"]).ends_with_code(0).json();
    assert_eq!((&open[0]["kind"], &open[0]["from"]), (&"approval".into(), &serde_json::json!(["oncall"])));
    let told = project.runbook(["approvals", "--verbose"]).ends_with_code(0);
    assert!(told.stdout.contains("oncall (alice, bob) to approve"), "{told:#?}");

    project.runbook(["approve", run.as_str(), "gate"]).ends_with_code(0);
    project.runbook(["resume", run.as_str(), "--detach"]);
    let open = project.runbook(["approvals", "--output", "json"]).ends_with_code(0).json();
    assert_eq!((&open[0]["kind"], &open[0]["step"]), (&"manual".into(), &"look".into()), "{open:#}");
}

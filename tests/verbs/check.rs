//! `runbook check`.

use snapbox::{assert_data_eq, str};

use crate::project::Project;

const CLEAN: &str = "steps:\n  - { id: pause, wait: 1s }\n";
const BROKEN: &str = "steps:\n  - { id: pods, check: kubernetes.pod, with: {} }\n";
const RISKY: &str = "steps:\n  - { id: pause, wait: 1s, when: true }\n";

#[test]
fn clean_runbooks_pass() {
    let project = Project::with(&[("one", CLEAN), ("two", CLEAN)]);
    let said = project.runbook(["check"]).ends_with_code(0);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", "2 files checked: nothing found\n"));
    let said = project.runbook(["check", "--output", "json", "--quiet"]).ends_with_code(0);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("[]\n", ""));
}

#[test]
fn findings_show_the_place_and_what_to_do() {
    let project = Project::with(&[("one", BROKEN), ("two", CLEAN)]);
    let said = project.runbook(["check"]).ends_with_code(2);
    assert_data_eq!(
        said.stdout,
        str![[r#"
RB501 unknown-action

  × there is no action `kubernetes.pod`
   ╭─[playbooks/one.yaml:4:24]
 3 │ steps:
 4 │   - { id: pods, check: kubernetes.pod, with: {} }
   ·                        ──────────────
   ╰────
  help: did you mean `kubernetes.pods`?


"#]]
    );
    assert_eq!(said.stderr, "2 files checked: 1 error\n");
}

#[test]
fn findings_are_data_too() {
    let project = Project::with(&[("one", BROKEN)]);
    for args in [["check", "--output", "json"], ["check", "--format", "json"]] {
        let found = project.runbook(args).ends_with_code(2).json();
        assert_eq!(
            found,
            serde_json::json!([{
                "code": "RB501", "severity": "error", "file": "playbooks/one.yaml", "line": 4, "column": 24,
                "message": "there is no action `kubernetes.pod`", "hint": "did you mean `kubernetes.pods`?"
            }])
        );
    }
    let log = project.runbook(["check", "--format", "sarif"]).ends_with_code(2).json();
    assert_eq!(log["version"], "2.1.0");
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "RB501");
}

#[test]
fn warnings_fail_only_where_they_are_denied() {
    let project = Project::with(&[("one", RISKY)]);
    let said = project.runbook(["check"]).ends_with_code(0);
    assert_eq!(said.stderr, "1 file checked: 1 warning\n");
    project.runbook(["check", "--deny-warnings"]).ends_with_code(2);
}

#[test]
fn no_configuration_is_needed() {
    let project = Project::empty();
    project.write("books/one.yaml", &format!("apiVersion: runbook/v1\nname: one\n{CLEAN}"));
    project.write("books/cases/one.yaml", "not a runbook");
    let said = project.runbook(["check", "books"]).ends_with_code(0);
    assert_eq!(said.stderr, "1 file checked: nothing found\n");
    // Without a path there is a folder to look in, or the hint to make one.
    let said = project.runbook(["check"]).ends_with_code(2);
    assert!(said.stderr.contains("playbooks") && said.stderr.contains("runbook init"), "{said:#?}");
}

#[test]
fn a_file_is_checked_with_those_that_it_runs() {
    let runs = "steps:\n  - { id: next, run: two }\n";
    let project = Project::with(&[("one", runs), ("two", BROKEN)]);
    // What is wrong with the other file is not asked about.
    let said = project.runbook(["check", "playbooks/one.yaml"]).ends_with_code(0);
    assert_eq!(said.stderr, "1 file checked: nothing found\n");
    // The same without a configuration.
    std::fs::remove_file(project.path("runbook.yaml")).unwrap();
    project.runbook(["check", "./playbooks/one.yaml"]).ends_with_code(0);
    let said = project.runbook(["check", "playbooks/none.yaml"]).ends_with_code(2);
    assert!(said.stderr.starts_with("error: playbooks/none.yaml could not be read"), "{said:#?}");
}

#[test]
fn what_is_wrong_with_the_configuration_stands_among_the_findings() {
    let project = Project::with(&[("one", BROKEN)]);
    project.write("runbook.yaml", "version: 1\nenvironment: {}\n");
    let found = project.runbook(["check", "--output", "json"]).ends_with_code(2).json();
    let files: Vec<&str> = found.as_array().unwrap().iter().map(|it| it["file"].as_str().unwrap()).collect();
    assert!(files.contains(&"runbook.yaml") && files.contains(&"playbooks/one.yaml"), "{found:#}");
    // A configuration that was asked for must be there.
    let said = project.runbook(["check", "--config", "other.yaml"]).ends_with_code(2);
    assert!(said.stderr.contains("other.yaml could not be read"), "{said:#?}");
}

#[test]
fn a_folder_without_runbooks_is_an_error() {
    let project = Project::with(&[]);
    project.write("empty/notes.md", "");
    let said = project.runbook(["check", "empty"]).ends_with_code(2);
    assert_data_eq!(
        said.stderr,
        str![[r#"
error: there are no YAML files to check
hint: name a file or a folder with some

"#]]
    );
}

#[test]
fn the_runbooks_that_ship_are_clean() {
    let project = Project::empty();
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/runbook.yaml");
    let said = project.runbook(["check", "--deny-warnings", "--config", ours]).ends_with_code(0);
    assert!(said.stderr.ends_with("files checked: nothing found\n"), "{said:#?}");
}

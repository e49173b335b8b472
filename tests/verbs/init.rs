//! `runbook init`.

use snapbox::{assert_data_eq, str};

use crate::project::Project;

#[test]
fn a_new_project_is_sound_and_says_what_comes_next() {
    let project = Project::empty();
    let said = project.runbook(["init", "ops"]).ends_with_code(0);
    assert_data_eq!(
        said.stdout,
        str![[r#"
created   ops/runbook.yaml
created   ops/playbooks/high-latency.yaml
created   ops/.gitignore

"#]]
    );
    assert_data_eq!(
        said.stderr,
        str![[r#"

next:
  cd ops
  runbook check                       is everything sound?
  runbook run high-latency --dry-run  what would happen, with nothing changed
  runbook run high-latency            in a simulated environment: asks, acts, verifies

"#]]
    );
    let said =
        project.runbook(["check", "--deny-warnings", "--config", "ops/runbook.yaml"]).ends_with_code(0);
    assert_eq!(said.stderr, "1 file checked: nothing found\n");
    let run = ["run", "high-latency", "--dry-run", "--output", "json", "--config", "ops/runbook.yaml"];
    let plan = project.runbook(run).ends_with_code(0).json();
    assert_eq!((&plan["simulated"], &plan["writes_sent"]), (&true.into(), &0.into()));
}

#[test]
fn what_is_there_is_kept_unless_it_is_to_be_replaced() {
    let project = Project::empty();
    project.write("runbook.yaml", "mine");
    project.write(".gitignore", "/target");
    let said = project.runbook(["init"]).ends_with_code(0);
    assert_data_eq!(
        said.stdout,
        str![[r#"
kept      runbook.yaml
created   playbooks/high-latency.yaml
extended  .gitignore

"#]]
    );
    assert_eq!(project.read("runbook.yaml"), "mine");
    assert_eq!(project.read(".gitignore"), "/target\n.runbook/\n");
    let done = project.runbook(["init", "--force", "--output", "json"]).ends_with_code(0).json();
    assert_eq!(done[0], serde_json::json!({ "file": "runbook.yaml", "done": "replaced" }));
    assert_eq!(done[2], serde_json::json!({ "file": ".gitignore", "done": "kept" }));
    assert_ne!(project.read("runbook.yaml"), "mine");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let project = Project::empty();
    project.write("file", "");
    let said = project.runbook(["init", "file/below"]).ends_with_code(1);
    assert!(said.stderr.starts_with("error: file/below/playbooks could not be written"), "{said:#?}");
    assert!(said.stderr.contains("\nhint: "), "{said:#?}");
}

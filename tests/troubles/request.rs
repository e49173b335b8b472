//! What is asked for cannot be done: the runbook, its inputs, or where it is to run.

use snapbox::{assert_data_eq, str};

use crate::project::{Project, SPEED};

const TAKES: &str = "apiVersion: runbook/v1
name: takes
inputs:
  service: { type: string, pattern: '[a-z-]+' }
  replicas: { type: integer, default: 3, minimum: 1, maximum: 20 }
  careful: { type: boolean, default: true }
steps:
  - { id: pause, wait: 1s }
";

const BROKEN: &str = "apiVersion: runbook/v1
name: broken
steps:
  - id: rollback
    needs: [histroy]
    action: kubernetes.rolout_undo
    with: { namespace: production, deployment: api }
  - { id: history, check: kubernetes.rollout_history, with: { namespace: production, deployment: api } }
";

const NO_YAML: &str = "apiVersion: runbook/v1\nname: no-yaml\nsteps:\n  - { id: pause, wait: 1s\n";

fn project() -> Project {
    let playbooks = [("takes", TAKES), ("broken", BROKEN), ("no-yaml", NO_YAML)];
    Project::of("high-latency", SPEED).with_playbooks(&playbooks)
}

#[test]
fn a_broken_runbook_shows_all_that_is_wrong_where_it_is() {
    let project = project();
    for more in ["--detach", "--dry-run"] {
        assert_data_eq!(
            project.refused(&["run", "broken", more], 2),
            str![[r#"
RB401 unknown-need

  × there is no step `histroy`
   ╭─[playbooks/broken.yaml:5:13]
 4 │   - id: rollback
 5 │     needs: [histroy]
   ·             ───────
 6 │     action: kubernetes.rolout_undo
   ╰────
  help: did you mean `history`?

RB501 unknown-action

  × there is no action `kubernetes.rolout_undo`
   ╭─[playbooks/broken.yaml:6:13]
 5 │     needs: [histroy]
 6 │     action: kubernetes.rolout_undo
   ·             ──────────────────────
 7 │     with: { namespace: production, deployment: api }
   ╰────
  help: did you mean `kubernetes.rollout_undo`?

error: playbooks/broken.yaml has 2 errors
hint: `runbook check` shows everything that is wrong

"#]]
        );
    }
    let told = project.refused(&["run", "no-yaml", "--detach"], 2);
    assert!(told.contains("playbooks/no-yaml.yaml:4:"), "{told}");
    assert!(!project.path("state").exists(), "nothing was begun");
}

#[test]
fn inputs_that_do_not_fit_are_named_with_what_would() {
    let project = project();
    let hint = "hint: `runbook describe takes` shows its inputs\n";
    for (inputs, told) in [
        (&[][..], "input `service` must be given (give it with -i service=VALUE)"),
        (&["service=api", "replicas=21"], "input `replicas` must be at most 20, and is 21"),
        (&["service=api", "replicas=0"], "input `replicas` must be at least 1, and is 0"),
        (&["service=api", "replicas=many"], "input `replicas` must be an integer, not `many`"),
        (&["service=api", "careful=perhaps"], "input `careful` must be true or false, not `perhaps`"),
        (&["service=API"], "input `service` must match [a-z-]+, and `API` does not"),
        (
            &["service=api", "replica=3"],
            "input `replica` is not an input of this runbook (did you mean `replicas`?)",
        ),
    ] {
        let given: Vec<&str> = inputs.iter().flat_map(|input| ["-i", *input]).collect();
        for more in ["--detach", "--dry-run"] {
            let said = project.refused(&[&["run", "takes", more], given.as_slice()].concat(), 2);
            assert_eq!(said, format!("error: {told}\n{hint}"), "{inputs:?}");
        }
    }
    assert_data_eq!(
        project.refused(&["run", "takes", "-i", "service", "-i", "replicas=21"], 2),
        str![[r#"
error: 3 inputs cannot be taken:
  - `service` is no input: write it like -i KEY=VALUE
  - input `replicas` must be at most 20, and is 21
  - input `service` must be given (give it with -i service=VALUE)
hint: `runbook describe takes` shows its inputs

"#]]
    );
    let said = project.refused(&["run", "takes", "--inputs", "none.yaml"], 2);
    assert_data_eq!(
        said,
        str![[r#"
error: none.yaml could not be read: No such file or directory (os error 2)
hint: --inputs names a YAML or JSON file of names and values

"#]]
    );
    assert!(!project.path("state").exists(), "nothing was begun");
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let project = project();
    for (args, told) in [
        (
            &["run", "take"][..],
            "error: there is no runbook `take`\nhint: did you mean `takes`? `runbook list` lists them\n",
        ),
        (
            &["describe", "takse"],
            "error: there is no runbook `takse`\nhint: did you mean `takes`? `runbook list` lists them\n",
        ),
        (
            &["--env", "prod", "run", "takes", "-i", "service=api"],
            "error: there is no environment `prod`\nhint: PROJECT/runbook.yaml has `demo`\n",
        ),
    ] {
        assert_eq!(project.refused(args, 2), told, "{args:?}");
    }
    std::fs::remove_file(project.path("runbook.yaml")).unwrap();
    let told = project.refused(&["run", "takes"], 2);
    assert!(
        told.starts_with("error: ") && told.contains("hint: ") && told.contains("runbook init"),
        "{told}"
    );
    let told = project.refused(&["--config", "other.yaml", "run", "takes"], 2);
    assert!(told.contains("other.yaml could not be read"), "{told}");
}

#[test]
fn an_environment_that_is_told_wrongly_is_shown_where_it_is() {
    let project = project();
    project.write("runbook.yaml", "version: 1\nenvironments:\n  demo: { simulatd: high-latency }\n");
    let told = project.refused(&["run", "takes", "-i", "service=api"], 2);
    assert!(told.contains("runbook.yaml:3:") && told.contains("did you mean `simulated`?"), "{told}");
    project.write("runbook.yaml", "version: 1\nenvironments:\n  demo: { simulated: high-latncy }\n");
    let told = project.refused(&["run", "takes", "-i", "service=api"], 2);
    assert!(told.contains("high-latncy") && told.contains("high-latency"), "{told}");
}

//! `runbook list`, `describe` and `schema`.

use snapbox::{assert_data_eq, str};

use crate::project::Project;

const SCALE: &str = r#"title: Too little room
summary: Add pods.
severity: SEV2
owners: [oncall]
labels: { team: web }
inputs:
  count: { type: integer, minimum: 1, maximum: 9, description: how many }
triggers:
  - { source: generic, when: alert.name == "Full", inputs: { count: 3 }, once_within: 5m }
steps:
  - { id: pods, check: kubernetes.pods, with: { namespace: production }, expect: ready == desired }
  - id: scale
    action: kubernetes.scale
    with: { namespace: production, deployment: api, replicas: "${{ inputs.count }}" }
    risk: low
    eta: 2m
    approval: { from: [oncall], count: 2, timeout: 10m }
  - { id: then, run: stop, when: not steps.pods.passed }
"#;
const STOP: &str = r#"steps:
  - id: zero
    action: kubernetes.scale
    with: { namespace: production, deployment: api, replicas: 0 }
    approval: { from: [lead] }
"#;

fn project() -> Project {
    Project::with(&[("scale", SCALE), ("stop", STOP)])
}

#[test]
fn runbooks_are_listed_with_what_they_may_do() {
    let said = project().runbook(["list"]).ends_with_code(0);
    assert_data_eq!(
        said.stdout,
        str![[r#"
NAME   TITLE            SEVERITY  OWNERS  TRIGGERS  STEPS  GATES  EFFECT
scale  Too little room  SEV2      oncall  generic   3      1      destructive
stop   -                -         -       -         1      1      destructive

"#]]
    );
    let listed = project().runbook(["list", "--output", "json"]).ends_with_code(0).json();
    assert_eq!(listed[0]["labels"], serde_json::json!({ "team": "web" }));
    assert_eq!(listed[0]["runnable"], true);
}

#[test]
fn lists_can_be_narrowed() {
    for (args, expected) in [
        (["--severity", "sev2"], 1),
        (["--severity", "SEV1"], 0),
        (["--label", "team=web"], 1),
        (["--label", "team=data"], 0),
    ] {
        let listed =
            project().runbook(["list", "--output", "json", args[0], args[1]]).ends_with_code(0).json();
        assert_eq!(listed.as_array().unwrap().len(), expected, "{args:?}");
    }
    let said = project().runbook(["list", "--severity", "SEV1"]).ends_with_code(0);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", "no runbook fits\n"));
    project().runbook(["list", "--label", "team"]).ends_with_code(2);
}

#[test]
fn a_list_says_that_files_have_errors() {
    let project = Project::with(&[("good", STOP), ("bad", "steps: 5\n"), ("wrong", "steps: [{ id: x }]\n")]);
    let said = project.runbook(["list"]).ends_with_code(0);
    assert_eq!(said.stderr, "2 files have errors: `runbook check` shows them\n");
    let listed = project.runbook(["list", "--output", "json"]).json();
    let runnable: Vec<_> =
        listed.as_array().unwrap().iter().map(|it| (&it["name"], &it["runnable"])).collect();
    assert!(runnable.contains(&(&"good".into(), &true.into())), "{listed:#}");
    assert!(!runnable.contains(&(&"wrong".into(), &true.into())), "{listed:#}");
}

#[test]
fn a_runbook_is_described() {
    let said = project().runbook(["describe", "scale", "--verbose"]).ends_with_code(0);
    assert_data_eq!(
        said.stdout,
        str![[r#"
scale  Too little room
Add pods.

severity    SEV2
owners      oncall
effect      destructive
labels      team=web
file        playbooks/scale.yaml

inputs
  INPUT  TYPE            DEFAULT   MEANING
  count  integer 1 to 9  required  how many

steps
  STEP   KIND    DOES              EFFECT       APPROVAL                RISK  ETA  UNDO  WHEN
  pods   check   kubernetes.pods   read         -                       -     -    -     -
  scale  action  kubernetes.scale  write        2 of oncall within 10m  low   2m   auto  -
  then   run     stop              destructive  -                       -     -    -     if not steps.pods.passed

triggers
  generic; when alert.name == "Full"; once within 5m

permissions
  rules:
...
try it
  runbook run scale -i count=… --dry-run

"#]]
    );
    let described = project().runbook(["describe", "scale", "--output", "json"]).ends_with_code(0).json();
    assert_eq!(described["outline"][1]["gate"], "2 of oncall within 10m");
    assert_eq!(described["inputs"]["count"]["maximum"], 9.0);
    assert_eq!(described["gates"], 1);
}

#[test]
fn a_runbook_is_drawn() {
    for (format, start) in
        [("text", "scale"), ("mermaid", "flowchart"), ("dot", "digraph"), ("svg", "<svg xmlns=")]
    {
        let said = project().runbook(["describe", "scale", "--graph", format]).ends_with_code(0);
        assert!(said.stdout.starts_with(start) && said.stdout.ends_with('\n'), "{said:#?}");
        assert!(said.stdout.contains("pods"), "{said:#?}");
    }
}

#[test]
fn an_unknown_runbook_is_told_with_what_was_meant() {
    let said = project().runbook(["describe", "scael"]).ends_with_code(2);
    assert_data_eq!(
        said.stderr,
        str![[r#"
error: there is no runbook `scael`
hint: did you mean `scale`? `runbook list` lists them

"#]]
    );
    let broken = Project::with(&[("bad", "steps: 5\n")]).runbook(["describe", "bad"]).ends_with_code(2);
    assert!(broken.stderr.contains("RB105 wrong-type") && broken.stderr.contains("bad.yaml has an error"));
}

#[test]
fn outside_a_project_the_hint_says_how_to_make_one() {
    let said = Project::empty().runbook(["list"]).ends_with_code(2);
    assert!(said.stderr.contains("`runbook init` makes one"), "{said:#?}");
}

#[test]
fn schemas_are_printed() {
    let project = Project::empty();
    let runbook = project.runbook(["schema", "runbook"]).ends_with_code(0).json();
    assert_eq!(runbook["properties"]["apiVersion"]["$ref"], "#/$defs/ApiVersion");
    let config = project.runbook(["schema", "config"]).ends_with_code(0).json();
    assert!(config["properties"]["environments"].is_object(), "{config:#}");
    project.runbook(["schema", "world"]).ends_with_code(2);
}

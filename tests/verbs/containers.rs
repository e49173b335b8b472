//! What runs inside containers, against the simulated cluster's own remote command protocol.

use crate::project::Project;

const LOOKS: &str = r#"steps:
  - id: ask
    action: kubernetes.exec
    with: { namespace: production, selector: app=api, command: [printenv, HOSTNAME] }
    approval: { from: [oncall] }
  - id: logs
    check: kubernetes.logs
    with: { namespace: production, selector: app=api, tail: 20, since: 10m }
    expect: count > 0
"#;

#[test]
fn a_command_runs_in_a_pod_once_somebody_has_approved_it() {
    let project = Project::with(&[("looks", LOOKS)]);
    let plan = project.runbook(["run", "looks", "--dry-run", "--output", "json"]).ends_with_code(0).json();
    assert_eq!(
        (&plan["steps"][0]["verdict"], &plan["steps"][0]["grade"]),
        (&"would_run".into(), &"unknown".into())
    );
    assert_eq!(plan["writes_sent"], 0);
    let waiting = project.runbook(["run", "looks", "--detach", "--output", "json"]).ends_with_code(3).json();
    let run = waiting["run"].as_str().unwrap();
    let target = waiting["steps"][0]["target"].as_str().unwrap();
    assert!(target.starts_with("kubernetes:production/pod/api-"), "{target}");
    let pod = target.rsplit('/').next().unwrap();
    project.runbook(["approve", run, "ask", "--confirm", pod]).ends_with_code(0);
    let done = project.runbook(["resume", run, "--output", "json"]).ends_with_code(0).json();
    let outputs = &done["steps"][0]["outputs"];
    assert_eq!((&outputs["exit_code"], outputs["stdout"].as_str().unwrap().trim()), (&0.into(), pod));
    assert_eq!(done["steps"][1]["passed"], true, "{done:#}");
}

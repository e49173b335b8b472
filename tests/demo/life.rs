//! The life of a run that people answer from shells of their own: approved, rejected, resumed,
//! cancelled, taken back.

use serde_json::json;

use crate::project::{GATE, Project, SPEED, step};

#[test]
fn approved_from_elsewhere_it_recovers_and_can_be_taken_back() {
    let (project, run) = Project::waiting();
    let told = project.ended(&["approve", &run, GATE, "--comment", "seen in staging"], 0);
    assert_eq!(told.stdout, format!("approved: {GATE} of run {run}\n"));
    assert!(told.stderr.contains("+       image: registry.simulated/api:1.41.0"), "{}", told.stderr);
    assert!(told.stderr.ends_with(&format!("go on with `runbook resume {run}`\n")), "{}", told.stderr);
    project.ended(&["approve", &run, GATE], 2);

    let said = project.ended(&["resume"], 0);
    assert!(said.stdout.starts_with("\nsucceeded, recovery verified in "), "{said:#?}");
    assert!(said.stderr.contains("resumed by") && !said.stderr.contains("#1  run"), "{said:#?}");
    let document = project.json(&["show"], 0);
    assert_eq!((&document["status"], &document["recovered"]), (&json!("succeeded"), &json!(true)));
    assert_eq!(project.world(), (43, 3));
    let nothing = project.ended(&["resume"], 0);
    assert_eq!(nothing.stderr, "every run has ended: there is nothing to resume\n");

    let plan = project.json(&["undo", &run, "--dry-run"], 0);
    assert_eq!((&plan["writes_sent"], &plan["undo"][0]["verdict"]), (&json!(0), &json!("would_run")));
    project.ended(&["undo", &run, "--detach"], 3);
    project.ended(&["approve", &run], 0);
    let document = project.json(&["resume", &run], 0);
    assert_eq!(document["status"], "undone", "{document:#}");
    // Back to the template of revision 42, which Kubernetes counts as a new one.
    assert_eq!(project.world(), (44, 3));
    project.ended(&["timeline", &run, "--verify"], 0);
}

#[test]
fn rejected_it_goes_on_to_the_next_option() {
    let (project, run) = Project::waiting();
    let told = project.ended(&["reject", &run, "rollback", "--comment", "it is the load"], 0);
    assert_eq!(told.stdout, format!("rejected: {GATE} of run {run}\n"));
    let document = project.json(&["resume", &run, "--detach"], 3);
    let (rollback, scale) = (step(&document, GATE), step(&document, "mitigate.scale"));
    assert_eq!((&rollback["status"], &scale["status"]), (&json!("failed"), &json!("succeeded")));
    assert!(rollback["reason"].as_str().unwrap().contains("it is the load"), "{rollback:#}");
    assert_eq!(project.world(), (42, 10));

    // More replicas do not cure it: the next option asks. Cancelled, what was done is taken back.
    let open = project.json(&["approvals"], 0);
    assert_eq!(open[0]["step"], "mitigate.shed_feature");
    let document = project.json(&["cancel", &run, "--undo", "--reason", "enough"], 0);
    assert_eq!(step(&document, "mitigate.scale")["status"], "undone", "{document:#}");
    assert_eq!(project.world(), (42, 3));
}

#[test]
fn cancelled_it_changes_nothing_more() {
    let (project, run) = Project::waiting();
    let document = project.json(&["cancel", &run, "--reason", "it was the load balancer"], 0);
    assert_eq!(document["status"], "cancelled", "{document:#}");
    assert_eq!(project.world(), (42, 3));
    let told = project.ended(&["timeline", &run], 0).stdout;
    assert!(told.contains("it was the load balancer"), "{told}");
    for args in [&["resume", &run][..], &["cancel", &run], &["approve", &run]] {
        let told = project.ended(args, 2).stderr;
        assert!(told.starts_with("error: ") && told.contains("\nhint: "), "{args:?}: {told}");
    }
}

#[test]
fn one_ends_as_the_table_of_codes_says() {
    let project = Project::of("high-latency", SPEED).with_playbooks(&[]);
    let config = std::fs::read_to_string(project.path("runbook.yaml")).unwrap();
    let speed = format!("speed: {SPEED}");
    let limited = format!("{speed}, limits: {{ kubernetes.scale: {{ max_replicas: 5 }} }}");
    project.write("runbook.yaml", &config.replace(&speed, &limited));
    let scale = "{ id: scale, action: kubernetes.scale, with: { namespace: production, deployment: api, replicas: 4 } }";
    let fails = "{ id: fails, check: kubernetes.pods, with: { namespace: production, selector: app=api }, expect: ready > 90, required: true }";
    for (name, rest, code, status) in [
        ("ends", "steps: [{ id: pause, wait: 1s }]".to_owned(), 0, "succeeded"),
        ("fails", format!("steps: [{fails}]"), 1, "failed"),
        ("asks", "steps: [{ id: look, manual: { prompt: Look. } }]".to_owned(), 3, "waiting"),
        ("undoes", format!("on_failure: undo\nsteps: [{scale}, {fails}]"), 4, "undone"),
        ("too-many", format!("steps: [{}]", scale.replace('4', "6")), 7, "failed"),
    ] {
        let text = format!("apiVersion: runbook/v1\nname: {name}\n{rest}\n");
        project.write(&format!("playbooks/{name}.yaml"), &text);
        let document = project.json(&["run", name, "--detach"], code);
        assert_eq!(document["status"], status, "{name}: {document:#}");
    }
    project.ended(&["run", "nothing-like-it"], 2);
    // A plan that the world has left behind.
    let text = format!("apiVersion: runbook/v1\nname: scales\nsteps: [{scale}]\n");
    project.write("playbooks/scales.yaml", &text);
    project.json(&["run", "scales", "--dry-run", "--plan-out", "plan.json"], 0);
    project.json(&["run", "scales", "--detach"], 0);
    let said = project.ended(&["apply", "plan.json"], 6);
    assert!(said.stdout.contains("already so: replicas 4 -> 4"), "what has moved is shown: {said:#?}");
}

/// No simulated world: programs are real ones.
#[test]
fn one_that_cannot_be_taken_back_ends_stuck() {
    let project = Project::of("high-latency", SPEED).with_playbooks(&[]);
    let config = "\
version: 1
environments:
  here:
    command: { allow: [{ program: /bin/true, effect: write }, { program: /opt/not-there, effect: write }] }
";
    let sticks = "\
apiVersion: runbook/v1
name: sticks
on_failure: undo
steps:
  - { id: switch, action: command.run, with: { apply: [/bin/true], undo: [/opt/not-there], target: switch } }
  - { id: fails, action: command.run, with: { apply: [/opt/not-there], target: other } }
";
    project.write("runbook.yaml", config);
    project.write("playbooks/sticks.yaml", sticks);
    let document = project.json(&["run", "sticks", "--env", "here", "--detach"], 5);
    assert_eq!(document["status"], "stuck", "{document:#}");
    let said = project.ended(&["show"], 0).stdout;
    assert!(said.contains("/opt/not-there` could not be started"), "{said}");
}

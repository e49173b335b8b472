//! `runbook actions`.

use snapbox::{assert_data_eq, str};

use crate::project::Project;

#[test]
fn actions_are_listed_without_a_project() {
    let project = Project::empty();
    let said = project.runbook(["actions"]).ends_with_code(0);
    assert!(said.stdout.starts_with("ACTION "), "{said:#?}");
    let all = project.runbook(["actions", "--output", "json"]).ends_with_code(0).json();
    let names: Vec<&str> =
        all.as_array().unwrap().iter().map(|spec| spec["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted() && names.contains(&"kubernetes.scale"), "{names:?}");
    let some = project.runbook(["actions", "flags", "--output", "json"]).ends_with_code(0).json();
    assert!(some.as_array().unwrap().iter().all(|spec| spec["name"].as_str().unwrap().starts_with("flags.")));
}

#[test]
fn one_action_is_told_whole() {
    let said = Project::empty().runbook(["actions", "kubernetes.scale"]).ends_with_code(0);
    assert_data_eq!(
        said.stdout,
        str![[r#"
kubernetes.scale
[..]

effect    write; destructive when `replicas == 0`
undo      auto: to the number of replicas before
dry-run   validated at best

with
  FIELD        TYPE                DEFAULT   MEANING
  namespace    string              required  The namespace it is in.
...
outputs
  OUTPUT             TYPE [..]
...
permissions
  rules:
...
    - apiGroups: ["apps"]
      resources: ["deployments"]
      verbs: ["get"]
    - apiGroups: ["apps"]
      resources: ["deployments/scale"]
      verbs: ["patch"]

example
  - id: scale
    action: kubernetes.scale
    with:
      namespace: production
      deployment: api
      replicas: 10

"#]]
    );
    let spec = Project::empty().runbook(["actions", "kubernetes.scale", "--output", "json"]).json();
    assert_eq!((&spec["effect"], &spec["destructive_when"]), (&"write".into(), &"replicas == 0".into()));
}

#[test]
fn an_unknown_action_is_told_with_what_was_meant() {
    for (name, meant) in [("kubernetes.scael", "kubernetes.scale"), ("kubernets", "kubernetes")] {
        let said = Project::empty().runbook(["actions", name]).ends_with_code(2);
        assert!(said.stderr.contains(&format!("did you mean `{meant}`?")), "{said:#?}");
    }
    let said = Project::empty().runbook(["actions", "teleport"]).ends_with_code(2);
    assert_eq!(said.stderr, "error: there is no action `teleport`\nhint: `runbook actions` lists them\n");
}

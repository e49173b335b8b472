//! What is wrong with detectors in `runbook.yaml`.

use crate::project::Project;

#[track_caller]
fn finds(detectors: &str, expected: &[&str]) {
    let project = Project::empty();
    let text = format!(
        "version: 1\nenvironments:\n  demo: {{ simulated: high-latency }}\n  bare: {{}}\ndefault_environment: demo\nhooks: {{ taken: {{ source: generic, bearer: {{ env: NOBODY }} }} }}\ndetectors:\n{detectors}"
    );
    project.write("runbook.yaml", &text);
    let said = project.runbook(["detect", "--rules"]);
    assert_eq!(said.code, if expected.is_empty() { 0 } else { 2 }, "{said:?}");
    let words = said.stderr.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    for one in expected {
        assert!(words.contains(one), "{one}\n{}", said.stderr);
    }
}

#[test]
fn a_sound_detector_is_taken() {
    finds("  - { name: own, preset: golden-signals }\n", &[]);
    finds(
        "  - name: own
    every: 1m
    repeat: 1h
    timeout: 5s
    rules:
      - name: QueueGrows
        title: The queue grows
        query: queue_length
        as: length
        when: value > 10 and labels.queue != 'dead'
        for: 5m
        keep_firing_for: 10m
        absent: firing
        severity: SEV-2
        service: queue
        labels: { team: shop }
        annotations: { summary: look at the workers }
        also: { age: { query: queue_age_seconds } }
        url: https://grafana.example.com/d/queue
",
        &[],
    );
}

#[test]
fn the_example_of_the_documentation_is_sound() {
    let page = include_str!("../../docs/detection/README.md");
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let project = Project::empty();
    let environment = "{ prometheus: { url: 'http://127.0.0.1:9' }, aws: { region: eu-west-1 } }";
    project
        .write("runbook.yaml", &format!("version: 1\nenvironments:\n  production: {environment}\n{example}"));
    let said = project.runbook(["detect", "--rules"]).ends_with_code(0);
    for rule in ["TrafficDrop", "QueueGrows", "HalfOfTheOrders", "TooManyConnections"] {
        assert!(said.stdout.contains(rule), "{}", said.stdout);
    }
    // Nobody listens there: every rule says so, and none is calm.
    let said = project.runbook(["detect", "shop"]).ends_with_code(1);
    assert_eq!(said.stdout.matches("cannot be read").count(), 5, "{}", said.stdout);
}

#[test]
fn what_makes_no_sense_is_told_all_at_once() {
    finds(
        "  - { name: own, environment: dmeo, preset: golden-signals }
  - { name: own, environment: bare, every: 100ms, repeat: 50ms, preset: golden-signals }
  - { name: cloud, source: cloudwatch, preset: golden-signals }
  - { name: empty }
  - { name: taken, preset: golden-signals }
  - name: rules
    rules:
      - { name: NoThreshold, query: up }
      - { name: Twice, query: up, above: 1 }
      - { name: Twice, query: up, above: 1, below: 2 }
      - { name: Odd, query: up, when: latency > 1 }
      - { name: Cloud, cloudwatch: { namespace: A, metric: B }, above: 1 }
",
        &[
            "there is no environment `dmeo`",
            "did you mean `demo`?",
            "there are two detectors `own`",
            "`bare` has no `prometheus`",
            "`every` is 100ms",
            "`repeat` is shorter",
            "are of Prometheus",
            "`empty` has no rules",
            "there is a hook `taken` already",
            "rule `NoThreshold`: it has no threshold",
            "there are two rules `Twice`",
            "several thresholds",
            "there is no `latency` here",
            "`cloudwatch` in a detector whose source is another",
        ],
    );
}

#[test]
fn keys_and_words_are_those_of_the_schema() {
    finds("  - { name: own, preset: golden }\n", &["golden-signals"]);
    finds("  - { name: own, rules: [{ name: A, query: up, abov: 1 }] }\n", &["did you mean `above`?"]);
    finds("  - { name: own, rules: [{ name: A, query: up, above: 1, for: ever }] }\n", &["5m"]);
}

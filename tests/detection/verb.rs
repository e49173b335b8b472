//! `runbook detect` in simulated environments.

use serde_json::Value;

use crate::project::Project;

const CONFIGURATION: &str = "\
version: 1
default_environment: slow
environments:
  slow: { simulated: high-latency }
  failing: { simulated: high-error-rate }
  quiet: { simulated: traffic-drop }
  healthy: { simulated: service-health-check }
  database: { simulated: database-unavailable }
";

fn project(detectors: &str) -> Project {
    let project = Project::empty();
    project.write("runbook.yaml", &format!("{CONFIGURATION}{detectors}"));
    project
}

/// Which rules are beyond their threshold, of which services.
fn beyond(document: &Value) -> Vec<String> {
    let rules = document["detectors"][0]["rules"].as_array().unwrap();
    let series =
        rules.iter().flat_map(|rule| rule["series"].as_array().unwrap().iter().map(move |one| (rule, one)));
    let beyond = series.filter(|(_, one)| one["breached"] == true);
    beyond
        .map(|(rule, one)| {
            format!("{} {}", rule["name"].as_str().unwrap(), one["labels"]["service"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn the_rules_that_ship_see_the_incidents_of_the_simulated_environments() {
    let project = project("");
    for (environment, expected, code) in [
        ("slow", &["HighErrorRate api", "HighLatency api"][..], 1),
        ("failing", &["HighErrorRate api"], 1),
        ("quiet", &["TrafficDrop api"], 1),
        ("healthy", &[], 0),
    ] {
        let said = project.runbook(["detect", "--env", environment, "--output", "json"]).ends_with_code(code);
        let document = said.json();
        assert_eq!(beyond(&document), expected, "{environment}: {document:#}");
        assert_eq!(document["detectors"][0]["environment"], environment);
        assert_eq!(document["detectors"][0]["simulated"], true);
    }
}

#[test]
fn numbers_go_along_with_what_is_beyond() {
    let said = project("").runbook(["detect", "--env", "slow", "--output", "json"]).ends_with_code(1).json();
    let latency = &said["detectors"][0]["rules"][1];
    assert_eq!((&latency["title"], &latency["severity"]), (&"High Latency Detected".into(), &"SEV-2".into()));
    let metrics = &latency["series"][0]["metrics"];
    let (p99, p95) = (metrics["latencyP99"].as_f64().unwrap(), metrics["latencyP95"].as_f64().unwrap());
    assert!(p99 > 5000.0 && p95 < p99 && p95 > 1000.0, "{metrics}");
}

#[test]
fn people_see_a_table() {
    let said = project("").runbook(["detect", "--env", "quiet"]).ends_with_code(1);
    let mut lines = said.stdout.lines();
    assert_eq!(lines.next(), Some("golden-signals in quiet (simulated: traffic-drop)"));
    let header: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["RULE", "SEVERITY", "SERIES", "VALUE", "THRESHOLD", "STATE"]);
    let drop = lines.find(|line| line.contains("TrafficDrop") && line.contains("service=api")).unwrap();
    assert!(
        drop.contains("SEV-1") && drop.contains("of 7200") && drop.contains("< 50 % of expected"),
        "{drop}"
    );
    assert!(drop.ends_with("beyond"), "{drop}");
}

#[test]
fn a_metric_of_cloudwatch_is_read_with_its_dimensions_as_labels() {
    let project = project(
        "detectors:
  - name: database
    environment: database
    source: cloudwatch
    rules:
      - name: ManyConnections
        cloudwatch: { namespace: AWS/RDS, metric: DatabaseConnections, dimensions: { DBClusterIdentifier: orders }, statistic: maximum }
        above: 1
      - name: NoSuchMetric
        cloudwatch: { namespace: AWS/RDS, metric: NoSuchMetric }
        above: 1
",
    );
    let said = project.runbook(["detect", "database", "--output", "json"]).json();
    let rules = &said["detectors"][0]["rules"];
    assert_eq!(rules[1]["state"], "no_data", "{said:#}");
    let one = &rules[0]["series"][0];
    assert_eq!(one["labels"]["DBClusterIdentifier"], "orders", "{said:#}");
    assert!(one["value"].as_f64().unwrap() >= 0.0);
}

#[test]
fn what_cannot_be_read_is_told_and_is_not_calm() {
    let project = project(
        "detectors:
  - name: own
    environment: healthy
    rules:
      - { name: Broken, query: 'rate(', above: 1 }
      - { name: Nothing, query: no_such_metric, above: 1 }
      - { name: Missing, query: no_such_metric, above: 1, absent: firing }
",
    );
    let said = project.runbook(["detect"]).ends_with_code(1);
    let line = |name: &str| said.stdout.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("Broken").contains("cannot be read"), "{said:?}");
    assert!(line("Nothing").ends_with("no data"), "{said:?}");
    assert!(line("Missing").ends_with("no data, which counts"), "{said:?}");
}

#[test]
fn a_detector_that_is_not_there_is_suggested() {
    let said = project("").runbook(["detect", "golden-signal"]).ends_with_code(2);
    assert!(said.stderr.contains("did you mean `golden-signals`?"), "{}", said.stderr);
}

#[test]
fn the_rules_that_ship_are_printed_without_a_project_too() {
    let said = Project::empty().runbook(["detect", "--rules"]).ends_with_code(0);
    assert!(said.stdout.contains("- alert: TrafficDrop"), "{}", said.stdout);
    let both = project(
        "detectors:
  - { name: one, preset: golden-signals, rules: [{ name: HighLatency, query: slow, above: 1 }] }
  - { name: other, rules: [{ name: Odd, query: odd, when: value > 1 }] }
",
    );
    let said = both.runbook(["detect", "--rules"]).ends_with_code(0);
    assert_eq!(said.stdout.matches("groups:").count(), 1);
    assert_eq!(
        said.stdout.matches("alert: HighLatency").count(),
        1,
        "one's own is there instead: {}",
        said.stdout
    );
    assert!(said.stdout.contains("expr: '(slow) > 1'") && said.stdout.contains("# Odd is not here"));
}

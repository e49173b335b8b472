//! Prometheus itself evaluates the same rules over the same series, and fires when we do: its
//! `promtool test rules` runs its own evaluation over made-up time.

use std::{collections::BTreeMap, fmt::Write as _, fs, io, process::Command};

use runbook_core::{
    Timestamp,
    detection::{Absent, Measure, NAME_LABEL, Preset, Rule, Sample, Watch, rule_file},
    duration::Duration,
};

const TICK: u64 = 10;
const TICKS: usize = 60;
const SERVICES: [&str; 3] = ["api", "web", "it's \"odd\""];

/// The values of a series, tick by tick; nothing where it is gone.
type Values = Vec<Option<f64>>;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Whether there is a promtool; it must like what it is given.
    fn promtool(&self, arguments: &[&str]) -> bool {
        match Command::new("promtool").args(arguments).current_dir(self.0.path()).output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                eprintln!("skipped: promtool is not on the PATH");
                false
            }
            output => {
                let output = output.unwrap();
                let said =
                    |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(4000).collect::<String>();
                assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
                true
            }
        }
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    /// Mostly runs of the same: `low`, `high`, or gone.
    fn values(&mut self, low: f64, high: f64) -> Values {
        let mut values = Vec::new();
        while values.len() < TICKS {
            let value = [Some(high), Some(high), Some(low), None][usize::try_from(self.roll(4)).unwrap()];
            let length = usize::try_from(self.roll(9)).unwrap() + 1;
            values.extend(std::iter::repeat_n(value, length));
        }
        values.truncate(TICKS);
        values
    }
}

fn rules() -> Vec<Rule> {
    let lengths = (0..5).flat_map(|hold| (0..5).map(move |keep| (hold, keep)));
    let mut rules: Vec<Rule> = lengths
        .map(|(hold, keep)| Rule {
            name: format!("For{hold}Keep{keep}"),
            title: Some("{{ not a template }}".to_owned()),
            query: Some(format!("load{hold}{keep}")),
            above: Some(0.5),
            hold: Duration::from_secs(hold * TICK),
            keep_firing_for: Duration::from_secs(keep * TICK),
            severity: Some("SEV-2".to_owned()),
            labels: [("team".to_owned(), "shop".to_owned())].into(),
            ..Rule::default()
        })
        .collect();
    rules.push(Rule {
        name: "Absent".to_owned(),
        query: Some("lonely".to_owned()),
        above: Some(0.5),
        absent: Absent::Firing,
        hold: Duration::from_secs(2 * TICK),
        ..Rule::default()
    });
    rules.push(Rule {
        name: "Share".to_owned(),
        query: Some("current".to_owned()),
        expected: Some(Measure { query: Some("should".to_owned()), cloudwatch: None }),
        below: Some(0.5),
        hold: Duration::from_secs(2 * TICK),
        keep_firing_for: Duration::from_secs(TICK),
        ..Rule::default()
    });
    rules
}

/// All series, by metric and service.
fn series(rules: &[Rule]) -> BTreeMap<(String, &'static str), Values> {
    let mut dice = Dice(20_261_121);
    let mut series = BTreeMap::new();
    for rule in rules {
        let services = if rule.name == "Absent" { &SERVICES[..1] } else { &SERVICES[..] };
        for service in services {
            let query = rule.query.clone().unwrap();
            series.insert((query, *service), dice.values(0.0, 1.0));
            if rule.expected.is_some() {
                series.insert(("should".to_owned(), *service), dice.values(1.0, 3.0));
            }
        }
    }
    series
}

fn at(tick: usize) -> Timestamp {
    Duration::from_secs(TICK * tick as u64).after(Timestamp::UNIX_EPOCH)
}

fn samples(series: &BTreeMap<(String, &'static str), Values>, metric: &str, tick: usize) -> Vec<Sample> {
    let of_metric = series.iter().filter(|((name, _), _)| name == metric);
    let sample = |((_, service), values): (&(String, &'static str), &Values)| {
        let labels = BTreeMap::from([("service".to_owned(), (*service).to_owned())]);
        Some(Sample { labels, value: values[tick]? })
    };
    of_metric.filter_map(sample).collect()
}

/// What is to be found firing after each tick, in the words of promtool.
fn expectations(rule: &Rule, series: &BTreeMap<(String, &'static str), Values>) -> String {
    let mut watch = Watch::default();
    let mut text = String::new();
    // Prometheus gives the number of the last time that it was beyond the threshold.
    let mut numbers: BTreeMap<String, String> = BTreeMap::new();
    for tick in 0..TICKS {
        let expected = if rule.expected.is_some() { samples(series, "should", tick) } else { Vec::new() };
        let reading = rule.read(samples(series, rule.query.as_ref().unwrap(), tick), &expected).unwrap();
        watch.take(rule, &reading, at(tick));
        for one in reading.series.iter().filter(|one| one.breached) {
            numbers.insert(format!("{:?}", one.labels), one.value.unwrap_or(1.0).to_string());
        }
        let _ =
            write!(text, "      - eval_time: {}s\n        alertname: {}\n", tick as u64 * TICK, rule.name);
        let firing = watch.series.values().filter(|active| active.fired_at.is_some());
        for (place, active) in firing.enumerate() {
            if place == 0 {
                text.push_str("        exp_alerts:\n");
            }
            let mut labels = active.labels.clone();
            labels.remove(NAME_LABEL);
            labels.extend(rule.severity.clone().map(|severity| ("severity".to_owned(), severity)));
            let number = &numbers[&format!("{:?}", active.labels)];
            let notes = BTreeMap::from([("title", rule.title()), ("value", number)]);
            let (labels, notes) = (serde_json::json!(labels), serde_json::json!(notes));
            let _ = writeln!(text, "          - {{ exp_labels: {labels}, exp_annotations: {notes} }}");
        }
    }
    text
}

#[test]
fn prometheus_fires_when_we_do() {
    let folder = Folder::new();
    let rules = rules();
    let series = series(&rules);
    folder.write("rules.yaml", &rule_file("own", Duration::from_secs(TICK), &rules));
    let mut test = format!(
        "rule_files: [rules.yaml]\nevaluation_interval: {TICK}s\ntests:\n  - interval: {TICK}s\n    input_series:\n"
    );
    for ((metric, service), values) in &series {
        let name = format!("{metric}{{service={}}}", serde_json::json!(service));
        let values: Vec<String> =
            values.iter().map(|value| value.map_or("stale".to_owned(), |value| value.to_string())).collect();
        let (name, values) = (serde_json::json!(name), values.join(" "));
        let _ = writeln!(test, "      - {{ series: {name}, values: '{values}' }}");
    }
    test.push_str("    alert_rule_test:\n");
    for rule in &rules {
        test.push_str(&expectations(rule, &series));
    }
    let fires = test.matches("exp_alerts").count();
    assert!((500..1500).contains(&fires), "{fires} of {} looks fire", rules.len() * TICKS);
    folder.write("test.yaml", &test);
    folder.promtool(&["test", "rules", "test.yaml"]);
}

#[test]
fn the_rules_that_ship_hold_what_they_promise() {
    let folder = Folder::new();
    for preset in Preset::ALL {
        folder.write("rules.yaml", &rule_file(preset.name(), Duration::from_secs(30), &preset.rules()));
        folder.write("test.yaml", SHIPPED);
        if folder.promtool(&["check", "rules", "--lint-fatal", "rules.yaml"]) {
            folder.promtool(&["test", "rules", "test.yaml"]);
        }
    }
}

/// Of three services, each has one of the three incidents from the tenth minute on; a fourth vanishes.
const SHIPPED: &str = r#"
rule_files: [rules.yaml]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - { series: 'http_requests_total{namespace="shop",service="errors",code="200"}', values: '0+300x20 6270+270x20' }
      - { series: 'http_requests_total{namespace="shop",service="errors",code="503"}', values: '0x20 30+30x20' }
      - { series: 'http_requests_total{namespace="shop",service="traffic",code="200"}', values: '0+300x20 6140+140x20' }
      - { series: 'http_requests_expected{namespace="shop",service="traffic"}', values: '10x40' }
      - { series: 'http_requests_total{namespace="shop",service="vanished",code="200"}', values: '0+300x20 stale' }
      - { series: 'http_requests_expected{namespace="shop",service="vanished"}', values: '10x40' }
      - { series: 'http_request_duration_seconds_bucket{namespace="shop",service="latency",le="1"}', values: '0+300x20 6000+0x20' }
      - { series: 'http_request_duration_seconds_bucket{namespace="shop",service="latency",le="5"}', values: '0+300x20 6000+0x20' }
      - { series: 'http_request_duration_seconds_bucket{namespace="shop",service="latency",le="10"}', values: '0+300x20 6300+300x20' }
      - { series: 'http_request_duration_seconds_bucket{namespace="shop",service="latency",le="+Inf"}', values: '0+300x20 6300+300x20' }
    alert_rule_test:
      - { eval_time: 9m, alertname: HighErrorRate }
      - { eval_time: 9m, alertname: HighLatency }
      - { eval_time: 9m, alertname: TrafficDrop }
      - eval_time: 15m
        alertname: HighErrorRate
        exp_alerts:
          - exp_labels: { namespace: shop, service: errors, severity: SEV-2 }
            exp_annotations:
              title: High Error Rate Detected
              summary: more than 5 % of the requests fail
              errorRate: "0.1"
      - eval_time: 15m
        alertname: HighLatency
        exp_alerts:
          - exp_labels: { namespace: shop, service: latency, severity: SEV-2 }
            exp_annotations:
              title: High Latency Detected
              summary: one of a hundred requests takes longer than 5 s
              latencyP99: "9950"
      - eval_time: 20m
        alertname: TrafficDrop
        exp_alerts:
          - exp_labels: { namespace: shop, service: traffic, severity: SEV-1 }
            exp_annotations:
              title: Significant Traffic Drop
              summary: less than half of the requests that are expected
              current: "280"
          - exp_labels: { namespace: shop, service: vanished, severity: SEV-1 }
            exp_annotations:
              title: Significant Traffic Drop
              summary: less than half of the requests that are expected
              current: "0"
"#;

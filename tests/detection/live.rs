//! Against a real Prometheus: what is beyond a threshold for us is so for it. Reads
//! `RUNBOOK_TEST_PROMETHEUS` and `RUNBOOK_TEST_METRICS_PAGE`, which Prometheus scrapes.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use runbook_core::detection::{Absent, Measure, Rule};
use serde_json::{Value, json};

use crate::project::Project;

/// However slow the machine, a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lines of our own on a page that others write to as well.
struct Page {
    prometheus: String,
    file: String,
    /// A prefix of metrics that only this test has.
    own: String,
}

impl Page {
    fn new() -> Option<Self> {
        let read = |name: &str| {
            let value = env::var(name).ok();
            if value.is_none() {
                eprintln!("skipped: {name} is not set");
            }
            value
        };
        let (prometheus, file) = (read("RUNBOOK_TEST_PROMETHEUS")?, read("RUNBOOK_TEST_METRICS_PAGE")?);
        let own = format!("runbook_detect_{}", std::process::id());
        Some(Self { prometheus, file, own })
    }

    fn rewrite(&self, lines: &[String]) {
        let old = fs::read_to_string(&self.file).unwrap();
        let others = old.lines().filter(|line| !line.starts_with(&self.own));
        let text: String =
            others.chain(lines.iter().map(String::as_str)).map(|line| format!("{line}\n")).collect();
        let beside = Path::new(&self.file).with_extension(format!("{}.tmp", self.own));
        fs::write(&beside, text).unwrap();
        fs::rename(beside, &self.file).unwrap();
    }

    /// Shows these numbers, by metric (without the prefix) and service, until Prometheus has them all.
    fn show(&self, numbers: &[(&str, &str, f64)]) {
        let line = |(metric, service, value): &(&str, &str, f64)| {
            format!("{}_{metric}{{service=\"{service}\"}} {value}", self.own)
        };
        let lines: Vec<String> = numbers.iter().map(line).collect();
        let expected: BTreeSet<(String, String)> = numbers
            .iter()
            .map(|(metric, service, value)| (format!("{metric} {service}"), value.to_string()))
            .collect();
        let began = Instant::now();
        loop {
            // Somebody else may have written over it meanwhile.
            self.rewrite(&lines);
            let series = self.ask(&format!("{{__name__=~\"{}_.*\"}}", self.own));
            let seen = series.iter().map(|one| {
                let metric = one["metric"]["__name__"].as_str().unwrap().trim_start_matches(&self.own);
                let name = format!("{} {}", &metric[1..], one["metric"]["service"].as_str().unwrap());
                (name, one["value"][1].as_str().unwrap().to_owned())
            });
            if seen.collect::<BTreeSet<_>>() == expected {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "Prometheus does not see {expected:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn ask(&self, query: &str) -> Vec<Value> {
        let url = format!("{}/api/v1/query", self.prometheus);
        let output = Command::new("curl")
            .args(["-sfG", &url, "--data-urlencode", &format!("query={query}")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{query}: {output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// The services for which a rule's own query in PromQL has an answer: those it fires for.
    fn fires(&self, rule: &Rule) -> Vec<String> {
        let service = |one: &Value| one["metric"]["service"].as_str().unwrap_or("").to_owned();
        let mut services: Vec<String> = self.ask(&rule.promql().unwrap()).iter().map(service).collect();
        services.sort();
        services
    }

    fn rules(&self) -> Vec<Rule> {
        let query = |metric: &str| Some(format!("{}_{metric}", self.own));
        let measure = |metric: &str| Measure { query: query(metric), cloudwatch: None };
        let rule = |name: &str, metric: &str| Rule {
            name: name.to_owned(),
            query: query(metric),
            ..Rule::default()
        };
        vec![
            Rule { above: Some(0.05), called: Some("errorRate".to_owned()), ..rule("Errors", "ratio") },
            Rule { below: Some(0.5), expected: Some(measure("should")), ..rule("Traffic", "current") },
            Rule { above: Some(0.0), absent: Absent::Firing, ..rule("Gone", "gone") },
            // A number that is none (0/0) is compared with nothing.
            Rule {
                above: Some(-1.0),
                query: Some(format!("{own}_zero / {own}_zero", own = self.own)),
                ..rule("Nothing", "")
            },
        ]
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.rewrite(&[]);
    }
}

fn detected(project: &Project, code: i32) -> BTreeMap<String, Vec<String>> {
    let document = project.runbook(["detect", "--output", "json"]).ends_with_code(code).json();
    let rules = document["detectors"][0]["rules"].as_array().unwrap().clone();
    let services = |rule: &Value| {
        let breached = rule["series"].as_array().unwrap().iter().filter(|one| one["breached"] == true);
        let mut services: Vec<String> =
            breached.map(|one| one["labels"]["service"].as_str().unwrap_or("").to_owned()).collect();
        services.sort();
        services
    };
    rules.iter().map(|rule| (rule["name"].as_str().unwrap().to_owned(), services(rule))).collect()
}

#[test]
fn a_real_prometheus_says_the_same() {
    let Some(page) = Page::new() else { return };
    let rules = page.rules();
    let project = Project::empty();
    let configuration = json!({
        "version": 1,
        "environments": { "real": { "prometheus": { "url": page.prometheus } } },
        "detectors": [{ "name": "own", "rules": rules }],
    });
    // JSON is YAML.
    project.write("runbook.yaml", &configuration.to_string());
    let calm = [
        ("ratio", "a", 0.05),
        ("ratio", "b", 0.01),
        ("current", "a", 50.0),
        ("should", "a", 100.0),
        ("should", "b", 100.0),
        ("gone", "a", 0.0),
        ("zero", "a", 0.0),
    ];
    let bad = [
        ("ratio", "a", 0.051),
        ("ratio", "b", 0.01),
        ("ratio", "c", 1.0),
        ("current", "a", 49.0),
        ("current", "b", 90.0),
        ("current", "c", 0.0),
        ("should", "a", 100.0),
        ("should", "b", 100.0),
    ];
    let nobody = Vec::<&str>::new();
    for (numbers, code, expected) in [
        (&calm[..], 0, [nobody.clone(), nobody.clone(), nobody.clone(), nobody.clone()]),
        (&bad[..], 1, [vec!["a", "c"], vec!["a"], vec![""], nobody]),
    ] {
        page.show(numbers);
        let found = detected(&project, code);
        for (rule, expected) in rules.iter().zip(expected) {
            assert_eq!(page.fires(rule), expected, "Prometheus of {}", rule.name);
            assert_eq!(found[&rule.name], expected, "ours of {}", rule.name);
        }
    }
}

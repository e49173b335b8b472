//! Every file in `tests/cases/<source>` is a delivery; beside it, as a snapshot, what is read from it.

use std::fs;
use std::path::Path;

use runbook_core::runbook::Source;
use runbook_intake::{Content, DATADOG_TEMPLATE};

use super::{deliver, file};

fn check(source: Source, folder: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
    let mut cases: Vec<String> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no cases of {folder}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&path);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for case in cases {
            let received = deliver(source, &file(&format!("cases/{folder}/{case}.json")))
                .unwrap_or_else(|refusal| panic!("{folder}/{case}: {refusal}"));
            insta::assert_json_snapshot!(case.as_str(), received);
        }
    });
}

#[test]
fn alertmanager() {
    check(Source::Alertmanager, "alertmanager");
}

#[test]
fn grafana() {
    check(Source::Grafana, "grafana");
}

#[test]
fn pagerduty() {
    check(Source::Pagerduty, "pagerduty");
}

#[test]
fn cloudwatch() {
    check(Source::Cloudwatch, "cloudwatch");
}

#[test]
fn datadog() {
    check(Source::Datadog, "datadog");
}

#[test]
fn generic() {
    check(Source::Generic, "generic");
}

/// The cases of Datadog have the fields of the template, and each of its fields is a variable.
#[test]
fn the_template_for_datadog_is_what_the_cases_were_made_with() {
    let template: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(DATADOG_TEMPLATE).unwrap();
    let case: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&file("cases/datadog/triggered.json")).unwrap();
    assert!(template.keys().eq(case.keys()));
    for (field, variable) in &template {
        let name = variable.as_str().unwrap().strip_prefix('$').unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{field}: {name}");
    }
    let unfilled = deliver(Source::Datadog, DATADOG_TEMPLATE.as_bytes()).unwrap();
    assert!(matches!(unfilled.content, Content::Nothing(_)), "{unfilled:?}");
}

use proptest::prelude::*;
use runbook_contract::SecretSource;

use super::*;
use crate::{
    config::Channel,
    notice::{Outcome, samples},
};

fn config() -> PagerDuty {
    let value = json!({
        "kind": "pagerduty", "name": "oncall", "on": ["run_stuck"], "routing_key": {"env": "UNSET"},
        "levels": {"Kaputt": "critical"},
    });
    match serde_json::from_value(value).unwrap() {
        Channel::PagerDuty(config) => {
            PagerDuty { routing_key: SecretSource::Given("r".to_owned()), ..config }
        }
        other => panic!("{other:?}"),
    }
}

fn site() -> Site {
    Site::new("https://runbook.example.com").unwrap()
}

#[test]
fn every_notice_has_its_event() {
    for (i, notice) in samples::all().iter().enumerate() {
        let name = format!("pagerduty-{i:02}-{}", notice.moment().word());
        insta::assert_json_snapshot!(name, event(&config(), notice, Some(&site())));
    }
}

#[test]
fn what_begins_and_what_ends_have_one_key() {
    let key = |notice: &Notice| event(&config(), notice, None)["dedup_key"].clone();
    let action = |notice: &Notice| event(&config(), notice, None)["event_action"].clone();
    let all = samples::all();
    assert_eq!((key(&all[0]), action(&all[0])), (key(&all[3]), json!("trigger")));
    assert_eq!(action(&all[2]), "acknowledge");
    assert_eq!(action(&all[3]), "resolve");
    let (asked, answered) = (samples::approval_requested(), samples::approval_answered(Outcome::Expired));
    assert_eq!((key(&asked), action(&asked)), (key(&answered), json!("trigger")));
    assert_eq!(action(&answered), "resolve");
    assert_eq!(action(&samples::run_ended(EndStatus::Failed)), "trigger");
    assert_ne!(key(&asked), key(&samples::run_ended(EndStatus::Failed)));
}

#[test]
fn severities_are_understood_by_number_word_and_configuration() {
    let mut notice = samples::alert_unmatched();
    for (severity, expected) in [
        ("SEV-1", "critical"),
        ("P0", "critical"),
        ("S2", "error"),
        ("sev3", "warning"),
        ("P5", "info"),
        ("Critical", "critical"),
        ("High", "error"),
        ("moderate", "warning"),
        ("low", "info"),
        ("kaputt", "critical"),
        ("whatever", "error"),
        ("", "error"),
    ] {
        if let News::AlertUnmatched { severity: of_alert, .. } = &mut notice.news {
            *of_alert = Some(severity.to_owned());
        }
        assert_eq!(event(&config(), &notice, None)["payload"]["severity"], expected, "{severity}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_breaks_an_event(notice in samples::any_notice()) {
        let event = event(&config(), &notice, Some(&site()));
        prop_assert!((1..=255).contains(&length(event["dedup_key"].as_str().unwrap())));
        if event["event_action"] == "trigger" {
            let payload = &event["payload"];
            prop_assert!((1..=1_024).contains(&length(payload["summary"].as_str().unwrap())));
            prop_assert!(length(payload["source"].as_str().unwrap()) <= 255);
        }
        prop_assert!(event.to_string().len() <= 512 * 1024);
    }
}

use proptest::prelude::*;

use super::*;
use crate::notice::samples;

fn site() -> Site {
    Site::new("https://runbook.example.com/base/").unwrap()
}

fn people() -> BTreeMap<String, String> {
    BTreeMap::from([("U024BE7LH".to_owned(), "alice".to_owned()), ("U1".to_owned(), "zoe".to_owned())])
}

fn rendered(notice: &Notice) -> Value {
    let (site, people) = (site(), people());
    let message = message(notice, Look { site: Some(&site), people: Some(&people), buttons: true });
    json!({ "text": message.text, "blocks": message.blocks })
}

#[test]
fn every_notice_has_its_message() {
    for (i, notice) in samples::all().iter().enumerate() {
        let name = format!("slack-{i:02}-{}", notice.moment().word());
        insta::assert_json_snapshot!(name, rendered(notice));
    }
}

#[test]
fn buttons_stand_as_long_as_somebody_may_press_them() {
    let ids = |notice: &Notice, look| -> Vec<String> {
        let blocks = message(notice, look).blocks;
        let actions = blocks.iter().filter(|block| block["type"] == "actions");
        let elements = actions.flat_map(|block| block["elements"].as_array().unwrap().clone());
        elements.map(|element| element["action_id"].as_str().unwrap().to_owned()).collect()
    };
    let site = site();
    let with = Look { site: Some(&site), people: None, buttons: true };
    let asked = samples::approval_requested();
    assert_eq!(ids(&asked, with), [APPROVE, REJECT, "runbook_open"]);
    assert_eq!(ids(&asked, Look { buttons: false, ..with }), ["runbook_open"]);
    assert_eq!(ids(&asked, Look::default()), Vec::<String>::new());
    assert_eq!(ids(&samples::approval_answered(Outcome::Open), with), [APPROVE, REJECT, "runbook_open"]);
    for outcome in [Outcome::Approved, Outcome::Rejected, Outcome::Expired, Outcome::Void] {
        assert_eq!(ids(&samples::approval_answered(outcome), with), Vec::<String>::new(), "{outcome:?}");
    }
    let mut long = asked;
    if let News::ApprovalRequested(approval) = &mut long.news {
        approval.step = "s".repeat(2_500);
    }
    assert_eq!(ids(&long, Look { site: None, ..with }), Vec::<String>::new(), "half a step is none");
}

/// What Slack documents of a block, wherever it stands.
fn check(value: &Value) {
    let most = |key: &str, most: usize| {
        if let Some(text) = value.get(key).and_then(Value::as_str) {
            assert!(length(text) <= most, "`{key}` has {} of {most}: {value}", length(text));
        }
    };
    most("value", 2_000);
    most("url", 3_000);
    most("action_id", 255);
    let inner = |key: &str| value.get(key).and_then(|inner| inner.get("text")).and_then(Value::as_str);
    assert!(inner("text").is_none_or(|text| !text.trim().is_empty()), "{value}");
    let text = inner("text").map_or(0, length);
    match value.get("type").and_then(Value::as_str) {
        Some("header") => assert!(text <= 150),
        Some("section") => assert!(text <= 3_000),
        Some("button") => assert!(text <= 75),
        Some("actions") => assert!(value["elements"].as_array().unwrap().len() <= 25),
        Some("context") => assert!(value["elements"].as_array().unwrap().len() <= 10),
        _ => {}
    }
    if value["type"] == "context" {
        for element in value["elements"].as_array().unwrap() {
            assert!(length(element["text"].as_str().unwrap()) <= 2_000);
        }
    }
    if let Some(fields) = value.get("fields").and_then(Value::as_array) {
        assert!((1..=10).contains(&fields.len()));
        assert!(fields.iter().all(|field| (1..=2_000).contains(&length(field["text"].as_str().unwrap()))));
    }
    if let Some(confirm) = value.get("confirm").filter(|_| value["type"] == "button") {
        for (key, most) in [("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)] {
            assert!((1..=most).contains(&length(confirm[key]["text"].as_str().unwrap())), "{confirm}");
        }
    }
    match value {
        Value::Array(items) => items.iter().for_each(check),
        Value::Object(fields) => fields.values().for_each(check),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_text_breaks_a_message(notice in samples::any_notice()) {
        let rendered = rendered(&notice);
        let blocks = rendered["blocks"].as_array().unwrap();
        prop_assert!((1..=50).contains(&blocks.len()));
        prop_assert!(length(rendered["text"].as_str().unwrap()) <= 4_000);
        prop_assert!(rendered.to_string().len() <= 100_000);
        blocks.iter().for_each(check);
    }
}

use runbook_contract::{Access, Action, Mode, laws};
use runbook_core::spec::Effect;
use std::sync::Arc;

fn all() -> Vec<Arc<dyn Action>> {
    let access = Access::new(Mode::ReadOnly);
    let prometheus =
        serde_json::from_value(serde_json::json!({"url": "https://prometheus.example.com"})).unwrap();
    let flags =
        serde_json::from_value(serde_json::json!({"url": "https://flags.example.com", "shape": "path"}))
            .unwrap();
    let slack = serde_json::from_value(serde_json::json!({"token": {"env": "SLACK_TOKEN"}})).unwrap();
    let http = runbook_web::http::Config::default();
    let mut actions = runbook_web::prometheus::actions(&prometheus, &access);
    actions.extend(runbook_web::http::actions(&http, &access));
    actions.extend(runbook_web::flags::actions(&flags, &access));
    actions.extend(runbook_web::slack::actions(&slack, &access));
    actions
}

#[test]
fn every_action_obeys_the_laws_of_its_spec() {
    let broken: Vec<String> = all().iter().flat_map(|action| laws::of_spec(action.as_ref())).collect();
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn the_offline_specs_are_those_of_the_actions() {
    let specs: Vec<_> = all().iter().map(|action| action.spec().clone()).collect();
    assert_eq!(runbook_web::specs(), specs);
}

#[test]
fn examples_are_accepted_and_outputs_are_closed() {
    for spec in runbook_web::specs() {
        assert!(!spec.has_open_outputs(), "{}", spec.name);
        assert!(!spec.permissions.is_empty(), "{}", spec.name);
        assert_eq!(
            spec.effect == Effect::Read,
            !matches!(spec.name.as_str(), "http.request" | "flags.disable" | "flags.enable" | "slack.post"),
            "{}",
            spec.name
        );
        let text = format!("{}{}", *spec.input, *spec.output);
        assert!(!text.contains("$ref"), "{} hides its schema behind references", spec.name);
    }
}

#[test]
fn configurations_take_no_unknown_keys_and_are_written_as_they_are_read() {
    use serde_json::json;
    let flags = json!({"url": "https://flags.example.com/", "shape": "unleash", "environment": "production",
                       "project": "default"});
    let read: runbook_web::flags::Config = serde_json::from_value(flags.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), flags);
    for wrong in [
        json!({"url": "https://flags.example.com", "shape": "paths"}),
        json!({"url": "https://flags.example.com", "shape": "path", "tokn": {"env": "X"}}),
        json!({"url": "flags.example.com", "shape": "path"}),
        json!({"shape": "path"}),
    ] {
        assert!(serde_json::from_value::<runbook_web::flags::Config>(wrong.clone()).is_err(), "{wrong}");
    }
    let slack: runbook_web::slack::Config = serde_json::from_value(json!({"token": {"env": "T"}})).unwrap();
    assert_eq!(slack.url.to_string(), "https://slack.com/api");
    for schema in [
        serde_json::to_value(schemars::schema_for!(runbook_web::http::Config)).unwrap(),
        serde_json::to_value(schemars::schema_for!(runbook_web::prometheus::Config)).unwrap(),
        serde_json::to_value(schemars::schema_for!(runbook_web::slack::Config)).unwrap(),
    ] {
        assert_eq!(schema["additionalProperties"], false, "{schema}");
    }
}

//! What holds of every action without an account.

use runbook_aws::{Config, Keys, actions, specs};
use runbook_contract::{Access, Mode, Registry, laws};
use runbook_core::{
    fault::FaultKind,
    spec::{Effect, Grade, UndoSupport},
};
use serde_json::json;

use crate::place::{config, cx, named};

/// Nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn every_spec_keeps_the_laws() {
    let registry = Registry::default().with(actions(&Config::default(), &Access::new(Mode::ReadOnly)));
    assert_eq!(laws::of_registry(&registry), Vec::<String>::new());
    let names: Vec<_> = specs().into_iter().map(|spec| spec.name).collect();
    assert_eq!(
        names,
        [
            "aws.rds_instance",
            "aws.rds_cluster",
            "aws.route53_records",
            "aws.cloudwatch_metric",
            "aws.rds_failover_cluster",
            "aws.rds_reboot",
            "aws.rds_snapshot",
            "aws.route53_change",
        ]
    );
}

#[test]
fn effects_and_undo_are_those_that_people_rely_on() {
    for (name, effect, undoable) in [
        ("rds_failover_cluster", Effect::Destructive, true),
        ("rds_reboot", Effect::Destructive, false),
        ("rds_snapshot", Effect::Write, false),
        ("route53_change", Effect::Destructive, true),
    ] {
        let spec = specs().into_iter().find(|spec| spec.name == format!("aws.{name}")).unwrap();
        assert_eq!(spec.effect, effect, "{name}");
        assert_eq!(matches!(spec.undo, UndoSupport::Auto(_)), undoable, "{name}");
        // No call of these can be asked without being made.
        assert_eq!(spec.grade, Grade::Predicted, "{name}");
    }
}

#[test]
fn every_field_is_described_and_no_output_is_open() {
    for spec in specs() {
        assert!(!spec.has_open_outputs(), "{}", spec.name);
        for (side, schema) in [("input", &spec.input), ("output", &spec.output)] {
            for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
                assert!(
                    schema.get("description").is_some(),
                    "{}: {side} {field} is not described",
                    spec.name
                );
            }
        }
    }
}

#[tokio::test]
async fn every_example_is_understood_and_an_unreachable_account_is_not_a_crash() {
    for action in actions(&config(NOWHERE), &Access::new(Mode::ReadOnly)) {
        let spec = action.spec();
        let fault = action.observe(&cx(), &spec.example).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unreachable, "{}: {fault:?}", spec.name);
        assert!(fault.message.contains("could not connect to AWS STS"), "{}: {fault:?}", spec.name);
        assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
    }
}

#[tokio::test]
async fn without_credentials_or_region_it_says_what_to_do() {
    if ["AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_DEFAULT_REGION"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
    {
        // Those of the environment come before what is not there.
        return;
    }
    let profile = Some("no-such-profile".to_owned());
    let keyless = Config { profile: profile.clone(), keys: None, ..config(NOWHERE) };
    let placeless = Config { profile, region: None, ..config(NOWHERE) };
    let pathless = Config { endpoint_url: Some("127.0.0.1:1".to_owned()), ..config(NOWHERE) };
    for (config, kind, word) in [
        (keyless, FaultKind::Forbidden, "no credentials"),
        (placeless, FaultKind::Permanent, "no region"),
        (pathless, FaultKind::Permanent, "`aws.endpoint_url`"),
    ] {
        let action = named(&config, &Access::new(Mode::ReadOnly), "rds_cluster");
        let fault = action.observe(&cx(), &json!({"cluster": "orders"})).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{fault:?}");
        assert!(fault.message.contains(word) && fault.hint.is_some(), "{fault:?}");
    }
}

#[tokio::test]
async fn an_input_that_is_wrong_is_told_before_anything_is_asked() {
    let access = Access::new(Mode::ReadOnly);
    for action in actions(&config(NOWHERE), &access) {
        let fault = action.observe(&cx(), &json!({"no_such_field": 1})).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permanent, "{}: {fault:?}", action.spec().name);
        assert!(fault.message.contains("no_such_field"), "{fault:?}");
    }
    assert_eq!(access.reads_sent(), 0);
}

#[test]
fn keys_are_never_shown() {
    let keys = Keys { access_key_id: "AKIAHUNTER".to_owned(), secret_access_key: "hunter2".to_owned() };
    let config = Config { keys: Some(keys), ..Config::default() };
    let shown = format!("{config:?} {:?}", actions(&config, &Access::new(Mode::ReadOnly)));
    assert!(!shown.contains("hunter2") && !shown.contains("AKIAHUNTER"), "{shown}");
    assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
}

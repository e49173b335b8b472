//! What holds of every action without a cluster.

use runbook_contract::{Access, Mode, Registry, laws};
use runbook_core::fault::FaultKind;
use runbook_kubernetes::{Config, actions, specs};

use crate::fixture::cx;

/// Nothing listens there.
const NOWHERE: &str = "
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {token: hunter2}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
";

#[test]
fn every_spec_keeps_the_laws() {
    let registry = Registry::default().with(actions(&Config::default(), &Access::new(Mode::ReadOnly)));
    assert_eq!(laws::of_registry(&registry), Vec::<String>::new());
    let names: Vec<_> = specs().into_iter().map(|spec| spec.name).collect();
    assert_eq!(names.len(), registry.iter().count(), "two actions have one name: {names:?}");
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
async fn every_example_is_understood_and_an_unreachable_cluster_is_not_a_crash() {
    let config =
        Config { inline: Some(NOWHERE.to_owned()), files: Some(std::env::temp_dir()), ..Config::default() };
    for action in actions(&config, &Access::new(Mode::ReadOnly)) {
        let spec = action.spec();
        if spec.name == "kubernetes.apply" {
            // Its example is a file that is not there; an object in the step is.
            continue;
        }
        let fault = action.observe(&cx(), &spec.example).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unreachable, "{}: {fault:?}", spec.name);
        assert!(fault.message.contains("http://127.0.0.1:1"), "{}: {fault:?}", spec.name);
        assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
    }
}

#[tokio::test]
async fn an_input_that_is_wrong_is_told_before_anything_is_asked() {
    let access = Access::new(Mode::ReadOnly);
    let config = Config { inline: Some(NOWHERE.to_owned()), ..Config::default() };
    for action in actions(&config, &access) {
        let fault = action.observe(&cx(), &serde_json::json!({"no_such_field": 1})).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permanent, "{}: {fault:?}", action.spec().name);
        assert!(fault.message.contains("no_such_field"), "{fault:?}");
    }
    assert_eq!(access.reads_sent(), 0);
}

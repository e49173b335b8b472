use runbook_contract::{Access, Mode, laws};
use runbook_core::secret;
use serde_json::json;

#[test]
fn every_action_obeys_the_laws_of_its_spec() {
    let actions = runbook_command::actions(&runbook_command::Config::default(), &Access::new(Mode::ReadOnly));
    let broken: Vec<String> = actions.iter().flat_map(|action| laws::of_spec(action.as_ref())).collect();
    assert_eq!(broken, Vec::<String>::new());
    let specs: Vec<_> = actions.iter().map(|action| action.spec().clone()).collect();
    assert_eq!(runbook_command::specs(), specs);
    assert!(specs.iter().all(|spec| !spec.has_open_outputs()));
}

#[test]
fn secrets_do_not_belong_into_arguments() {
    let token = secret::mark("token");
    for spec in runbook_command::specs() {
        for field in ["argv", "apply", "observe", "verify", "undo", "target"] {
            let known = spec.inputs().any(|name| name == field);
            let input = json!({ field: ["x", format!("--token={token}")] });
            assert_eq!(spec.misplaced_secret(&input), known.then_some(field), "{} {field}", spec.name);
        }
        assert_eq!(spec.misplaced_secret(&json!({ "stdin": token })), None);
    }
}

#[test]
fn a_configuration_is_checked_when_it_is_read() {
    let good = json!({
        "allow": [{ "program": "/usr/bin/git", "args": ["log", "*"], "effect": "read" }],
        "env": { "PATH": "/usr/bin", "TOKEN": { "env": "GIT_TOKEN" }, "KEY": { "file": "/run/secrets/key" } },
        "cwd": "/srv"
    });
    let config: runbook_command::Config = serde_json::from_value(good.clone()).unwrap();
    assert_eq!(serde_json::to_value(&config).unwrap(), good);
    for wrong in [
        json!({ "alow": [] }),
        json!({ "cwd": "relative" }),
        json!({ "env": { "A=B": "x" } }),
        json!({ "env": { "": "x" } }),
        json!({ "env": { "A": 3 } }),
        json!({ "env": { "A": { "environment": "x" } } }),
    ] {
        assert!(serde_json::from_value::<runbook_command::Config>(wrong.clone()).is_err(), "{wrong}");
    }
    let schema = serde_json::to_value(schemars::schema_for!(runbook_command::Config)).unwrap();
    assert_eq!(schema["additionalProperties"], false);
}

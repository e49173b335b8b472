//! `command.run` with a switch that is a file.

use runbook_contract::{Mode, PlanCx, laws};
use runbook_core::{
    Value,
    change::{Change, Landed, Planned, Progress, Undo},
    fault::FaultKind,
    spec::{Effect, Grade},
    unknown,
};
use serde_json::json;

use crate::scenario::{Scene, cx, cx_within, plan_cx, planned};

const SWITCH: &str = r#"
case "$1" in
  status) /bin/cat state ;;
  is-on) read -r state < state; [ "$state" = '{"mode":"on"}' ] || { echo not yet >&2; exit 1; } ;;
  on|off|half) echo "{\"mode\":\"$1\"}" > state; echo "$RUNBOOK_IDEMPOTENCY_KEY" > key; echo '{"switched":true}' ;;
  keep) /bin/cat > kept ;;
  busy) echo try later >&2; exit 75 ;;
  break) echo '{"mode":"half"}' > state; echo broken >&2; exit 1 ;;
esac
"#;

fn switch(state: &str) -> Scene {
    let words = [
        ("status", "read"),
        ("is-on", "read"),
        ("on", "write"),
        ("off", "destructive"),
        ("half", "write"),
        ("keep", "write"),
        ("busy", "write"),
        ("break", "write"),
    ];
    let scene = Scene::new(SWITCH, &words);
    set(&scene, state);
    scene
}

fn set(scene: &Scene, state: &str) {
    std::fs::write(scene.folder.path().join("state"), format!("{{\"mode\":\"{state}\"}}\n")).unwrap();
}

/// Switches on, seen and undone by the same script.
fn on(scene: &Scene) -> Value {
    json!({
        "apply": scene.argv(&["on"]), "observe": scene.argv(&["status"]), "after": { "mode": "on" },
        "undo": scene.argv(&["off"]), "target": "maintenance mode",
    })
}

#[tokio::test]
async fn a_change_is_planned_applied_verified_and_undone() {
    let scene = switch("off");
    let (action, access) = scene.action("command.run", Mode::ReadWrite);
    let input = on(&scene);
    assert_eq!(laws::of_change(action.as_ref(), &access, &cx(), &input).await, Vec::<String>::new());
    let change = planned(action.as_ref(), &input).await;
    assert_eq!(
        (&change.before, &change.after),
        (&json!({ "state": { "mode": "off" } }), &json!({ "state": { "mode": "on" } }))
    );
    assert_eq!(change.summary, r#"maintenance mode: {"mode":"off"} -> {"mode":"on"}"#);
    assert_eq!(
        (change.target.name.as_str(), change.effect, &change.undo),
        ("command:maintenance mode", Effect::Write, &Undo::Auto)
    );
    assert_eq!((change.request.method.as_str(), change.request.url.as_str()), ("RUN", "/bin/sh"));
    assert_eq!(change.digest(), planned(action.as_ref(), &input).await.digest());
    assert_eq!(action.validate(&cx(), &change).await.unwrap().grade, Grade::Predicted);
    assert_eq!(access.writes_sent(), 0);

    let still = action.verify(&cx(), &change).await.unwrap();
    assert_eq!(still, Progress::Pending(r#"the state is {"mode":"off"}, not yet {"mode":"on"}"#.to_owned()));
    let outputs = action.apply(&cx(), &change).await.unwrap();
    assert_eq!((&outputs["ran"], &outputs["json"]), (&json!(true), &json!({ "switched": true })));
    assert_eq!(scene.file("key").unwrap(), "run_1/step/0\n");
    assert_eq!(access.writes_sent(), 1);
    assert_eq!(action.verify(&cx(), &change).await.unwrap(), Progress::Done(Value::Null));

    let seen = action.observe(&cx(), &input).await.unwrap();
    assert!(matches!(action.plan(&plan_cx(), &input, &seen).unwrap(), Planned::Already { .. }));
    let Planned::Change(undo) = action.plan_undo(&plan_cx(), &change, &seen).unwrap() else { panic!() };
    assert_eq!((&undo.before, &undo.after, &undo.target), (&change.after, &change.before, &change.target));
    assert_eq!(undo.effect, Effect::Destructive, "the rule of the undo program says so");
    action.apply(&cx(), &undo).await.unwrap();
    assert_eq!(action.verify(&cx(), &undo).await.unwrap(), Progress::Done(Value::Null));
    assert_eq!(scene.file("state").unwrap(), "{\"mode\":\"off\"}\n");
}

#[tokio::test]
async fn doubt_is_settled_only_by_what_can_be_seen() {
    let scene = switch("off");
    let (action, _) = scene.action("command.run", Mode::ReadWrite);
    let seen_in = async |input: &Value, state: &str| {
        set(&scene, state);
        action.observe(&cx(), input).await.unwrap()
    };
    let blind = json!({ "argv": scene.argv(&["on"]) });
    let with = |mut input: Value, key: &str, value: Value| {
        input[key] = value;
        input
    };
    let mut no_after = on(&scene);
    no_after.as_object_mut().unwrap().remove("after");
    for (name, input, state, landed) in [
        ("it is as it was to be", on(&scene), "on", Landed::Yes),
        ("the program may still run", on(&scene), "off", Landed::CannotTell),
        ("it can be repeated", with(on(&scene), "repeatable", json!(true)), "off", Landed::No),
        ("something else", with(on(&scene), "repeatable", json!(true)), "half", Landed::CannotTell),
        ("nothing is known of after", no_after.clone(), "on", Landed::CannotTell),
        ("nothing is seen", blind.clone(), "on", Landed::CannotTell),
        ("nothing is seen, it can be repeated", with(blind, "repeatable", json!(true)), "on", Landed::No),
    ] {
        set(&scene, "off");
        let change = planned(action.as_ref(), &input).await;
        assert_eq!(action.landed(&change, &seen_in(&input, state).await), landed, "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_known_is_not_claimed() {
    let scene = switch("off");
    let (action, _) = scene.action("command.run", Mode::ReadWrite);
    let blind = json!({ "argv": scene.argv(&["on"]) });
    let change = planned(action.as_ref(), &blind).await;
    assert_eq!((&change.before, &change.after), (&json!({ "ran": false }), &json!({ "ran": true })));
    assert_eq!(change.target.name, "command:script");
    assert!(change.warnings[0].contains("without `observe` and `after`"), "{:?}", change.warnings);
    assert!(matches!(change.undo, Undo::None(_)));
    let seen = action.observe(&cx(), &blind).await.unwrap();
    assert_eq!(action.plan_undo(&plan_cx(), &change, &seen).unwrap_err().kind, FaultKind::Permanent);
    let mut no_after = on(&scene);
    no_after.as_object_mut().unwrap().remove("after");
    let change = planned(action.as_ref(), &no_after).await;
    assert!(unknown::within(&change.after));
    assert_eq!(action.validate(&cx(), &change).await.unwrap().grade, Grade::Unknown);
    action.apply(&cx(), &change).await.unwrap();
    let seen = action.observe(&cx(), &no_after).await.unwrap();
    assert!(matches!(action.plan_undo(&plan_cx(), &change, &seen).unwrap(), Planned::Change(_)));
}

#[tokio::test]
async fn what_someone_else_changed_is_not_overwritten() {
    let scene = switch("off");
    let (action, _) = scene.action("command.run", Mode::ReadWrite);
    let input = on(&scene);
    let change = planned(action.as_ref(), &input).await;
    set(&scene, "half");
    assert_eq!(action.apply(&cx(), &change).await.unwrap_err().kind, FaultKind::Conflict);
    let seen = action.observe(&cx(), &input).await.unwrap();
    assert_eq!(action.plan_undo(&plan_cx(), &change, &seen).unwrap_err().kind, FaultKind::Conflict);
    let insisting = PlanCx { over_others: true, ..plan_cx() };
    assert!(matches!(action.plan_undo(&insisting, &change, &seen).unwrap(), Planned::Change(_)));
    set(&scene, "off");
    let seen = action.observe(&cx(), &input).await.unwrap();
    assert!(matches!(action.plan_undo(&plan_cx(), &change, &seen).unwrap(), Planned::Already { .. }));
}

#[tokio::test]
async fn an_exit_code_says_what_may_be_done_next() {
    let scene = switch("off");
    let (action, _) = scene.action("command.run", Mode::ReadWrite);
    for (word, not_applied, kind, said) in [
        ("busy", json!([75]), FaultKind::Refused, "the program ended with 75: try later"),
        ("busy", json!([74]), FaultKind::Unknown, "the program ended with 75: try later"),
        ("break", json!([]), FaultKind::Unknown, "the program ended with 1: broken"),
    ] {
        let input = json!({ "argv": scene.argv(&[word]), "not_applied": not_applied });
        let change = planned(action.as_ref(), &input).await;
        let fault = action.apply(&cx(), &change).await.unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, said), "{word}");
    }
    let input = json!({ "apply": scene.argv(&["on"]), "verify": scene.argv(&["is-on"]) });
    set(&scene, "off");
    let change = planned(action.as_ref(), &input).await;
    assert_eq!(
        action.verify(&cx(), &change).await.unwrap(),
        Progress::Pending("`verify` ended with 1: not yet".to_owned())
    );
    action.apply(&cx(), &change).await.unwrap();
    assert_eq!(action.verify(&cx(), &change).await.unwrap(), Progress::Done(Value::Null));
    let late = action.apply(&cx_within("0s"), &change).await.unwrap_err();
    assert_eq!(late.kind, FaultKind::Refused, "{late}");
}

#[tokio::test]
async fn a_program_killed_in_the_middle_is_in_doubt() {
    let mut scene = Scene::new("echo halfway; exec /usr/bin/sleep 300", &[]);
    scene.config["allow"][0]["effect"] = json!("write");
    let (action, _) = scene.action("command.run", Mode::ReadWrite);
    let change = planned(action.as_ref(), &json!({ "argv": scene.argv(&[]) })).await;
    let fault = action.apply(&cx_within("2s"), &change).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unknown);
    assert!(fault.message.ends_with("was killed; it last said: halfway"), "{fault}");
}

#[tokio::test]
async fn a_dry_run_starts_only_what_reads() {
    let scene = switch("off");
    let (action, access) = scene.action("command.run", Mode::ReadOnly);
    let change = planned(action.as_ref(), &on(&scene)).await;
    assert_eq!(action.apply(&cx(), &change).await.unwrap_err().kind, FaultKind::Denied);
    assert_eq!((access.writes_sent(), access.writes_refused()), (0, 1));
    assert_eq!(scene.file("state").unwrap(), "{\"mode\":\"off\"}\n");
    let sneaky = json!({ "apply": scene.argv(&["on"]), "observe": scene.argv(&["half"]) });
    assert_eq!(action.observe(&cx(), &sneaky).await.unwrap_err().kind, FaultKind::Denied);
    assert_eq!(scene.file("state").unwrap(), "{\"mode\":\"off\"}\n");
}

#[tokio::test]
async fn every_program_of_a_change_must_be_allowed_before_it_is_made() {
    let scene = switch("off");
    let (action, _) = scene.action("command.run", Mode::ReadWrite);
    let seen = action.observe(&cx(), &on(&scene)).await.unwrap();
    for (key, argv, kind) in [
        ("apply", json!(["/bin/rm", "-rf", "/"]), FaultKind::Denied),
        ("apply", scene.argv(&["on", "extra"]), FaultKind::Denied),
        ("undo", scene.argv(&["unknown"]), FaultKind::Denied),
        ("verify", scene.argv(&["on"]), FaultKind::Denied),
        ("argv", scene.argv(&["on"]), FaultKind::Permanent),
        ("apply", json!([]), FaultKind::Permanent),
        ("observe", json!([]), FaultKind::Permanent),
    ] {
        let mut input = on(&scene);
        input[key] = argv;
        let fault = action.plan(&plan_cx(), &input, &seen).unwrap_err();
        assert_eq!(fault.kind, kind, "{key}: {fault}");
        assert!(!action.preflight(&cx(), &input).await.is_ok_and(|found| found.is_empty()), "{key}");
    }
    assert_eq!(action.preflight(&cx(), &on(&scene)).await.unwrap(), []);
    let destructive = planned(action.as_ref(), &json!({ "argv": scene.argv(&["off"]) })).await;
    assert_eq!(destructive.effect, Effect::Destructive);
}

#[tokio::test]
async fn a_tampered_record_is_still_checked_against_the_rules() {
    let scene = switch("off");
    let (action, access) = scene.action("command.run", Mode::ReadWrite);
    let change = planned(action.as_ref(), &on(&scene)).await;
    let mut input = change.input.clone();
    input["apply"] = json!(["/bin/sh", "-c", "echo pwned > pwned"]);
    let tampered = Change { input, ..change };
    assert_eq!(action.apply(&cx(), &tampered).await.unwrap_err().kind, FaultKind::Denied);
    assert_eq!((scene.file("pwned"), access.writes_sent()), (None, 0));
}

#[tokio::test]
async fn a_secret_goes_through_stdin() {
    let scene = switch("off");
    let (action, _) = scene.action("command.run", Mode::ReadWrite);
    let change = planned(action.as_ref(), &json!({ "argv": scene.argv(&["keep"]), "stdin": "s3cret" })).await;
    assert!(!change.summary.contains("s3cret"));
    action.apply(&cx(), &change).await.unwrap();
    assert_eq!(scene.file("kept").unwrap(), "s3cret");
}

#[tokio::test]
async fn a_state_is_json_or_an_exit_code() {
    for (script, before) in [
        ("echo '{\"a\":1}'", Some(json!({ "state": { "a": 1 } }))),
        ("echo text; exit 0", Some(json!({ "state": { "exit_code": 0 } }))),
        ("exit 3", Some(json!({ "state": { "exit_code": 3 } }))),
        ("echo '{\"a\":1}'; exit 1", None),
        ("printf '\"'; /usr/bin/head -c 9000 /dev/zero | /usr/bin/tr '\\0' x; printf '\"'", None),
        ("/usr/bin/head -c 90000 /dev/zero", None),
    ] {
        let scene = Scene::new(script, &[]);
        let (action, _) = scene.action("command.run", Mode::ReadWrite);
        let input = json!({ "apply": scene.argv(&[]), "observe": scene.argv(&[]) });
        match (action.observe(&cx(), &input).await, before) {
            (Ok(seen), Some(before)) => assert_eq!(seen.state, before, "{script}"),
            (Err(_), None) => {}
            (other, _) => panic!("{script}: {other:?}"),
        }
    }
}

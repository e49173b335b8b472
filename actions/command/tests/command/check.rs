//! `command.check`, and what holds for every program that is started.

use std::time::{Duration, Instant};

use runbook_contract::Mode;
use runbook_core::{
    Value,
    change::Observed,
    fault::{Fault, FaultKind},
};
use serde_json::json;

use crate::scenario::{Scene, cx, cx_within, gone};

async fn check(scene: &Scene, input: Value, timeout: &str) -> Result<Observed, Fault> {
    let (action, _) = scene.action("command.check", Mode::ReadOnly);
    action.observe(&cx_within(timeout), &input).await
}

async fn outputs(script: &str, stdin: Option<&str>) -> Value {
    let scene = Scene::new(script, &[]);
    let mut input = json!({ "argv": scene.argv(&[]) });
    if let Some(stdin) = stdin {
        input["stdin"] = json!(stdin);
    }
    check(&scene, input, "20s").await.unwrap().outputs
}

#[tokio::test]
async fn an_end_is_an_answer() {
    for (script, expected) in [
        (
            "echo hello",
            json!({ "ok": true, "exit_code": 0, "stdout": "hello\n", "stderr": "", "json": null }),
        ),
        ("echo no >&2; exit 3", json!({ "ok": false, "exit_code": 3, "stderr": "no\n" })),
        ("echo '{\"lag\": 2}'", json!({ "ok": true, "json": { "lag": 2 } })),
        ("echo '[1]'; exit 1", json!({ "ok": false, "exit_code": 1, "json": [1] })),
        ("kill -9 $$", json!({ "ok": false, "exit_code": 137 })),
        ("printf 'a\\033[31mb'", json!({ "stdout": "a\u{FFFD}[31mb" })),
        ("printf '\\356\\203\\276token\\356\\203\\277'", json!({ "stdout": "\u{FFFD}token\u{FFFD}" })),
    ] {
        let seen = outputs(script, None).await;
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&seen[key], value, "{script}: {key}");
        }
    }
}

#[tokio::test]
async fn stdin_is_what_is_given_or_closed() {
    assert_eq!(outputs("/bin/cat", Some("given")).await["stdout"], "given");
    assert_eq!(outputs("/bin/cat", None).await["stdout"], "");
    assert_eq!(outputs("exit 0", Some(&"x".repeat(1_000_000))).await["ok"], true, "a program need not read");
}

#[tokio::test]
async fn the_environment_is_what_the_configuration_gives() {
    // Every variable of this process, PATH and HOME among them, would show.
    assert!(std::env::var("PATH").is_ok());
    let mut scene = Scene::new("", &[]);
    scene.config["allow"] = json!([{ "name": "env", "program": "/usr/bin/env", "effect": "read" }]);
    let secret = scene.folder.path().join("secret");
    std::fs::write(&secret, "s3cret-value\n").unwrap();
    scene.config["env"] = json!({ "MODE": "on-call", "TOKEN": { "file": secret } });
    let seen = check(&scene, json!({ "argv": ["env"] }), "20s").await.unwrap().outputs;
    let mut lines: Vec<&str> = seen["stdout"].as_str().unwrap().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["MODE=on-call", "RUNBOOK_IDEMPOTENCY_KEY=run_1/step/0", "TOKEN=***"]);

    scene.config["env"] = json!({ "TOKEN": { "env": "RUNBOOK_COMMAND_TEST_NOT_SET" } });
    let fault = check(&scene, json!({ "argv": ["env"] }), "20s").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent);
    assert!(fault.message.contains("RUNBOOK_COMMAND_TEST_NOT_SET"), "{fault}");
}

#[tokio::test]
async fn secrets_of_the_environment_do_not_come_back() {
    let mut scene = Scene::new("printf '{\"echo\": \"%s\"}' \"$TOKEN\"; echo \"$TOKEN\" >&2; exit 1", &[]);
    let secret = scene.folder.path().join("secret");
    std::fs::write(&secret, "s3cret-value").unwrap();
    scene.config["env"] = json!({ "TOKEN": { "file": secret } });
    let argv = scene.argv(&[]);
    let seen = check(&scene, json!({ "argv": argv }), "20s").await.unwrap().outputs;
    assert_eq!((&seen["json"], &seen["stderr"]), (&json!({ "echo": "***" }), &json!("***\n")));
    let (run, _) = scene.action("command.run", Mode::ReadWrite);
    let fault = run.observe(&cx(), &json!({ "apply": argv, "observe": argv })).await.unwrap_err();
    assert_eq!(fault.message, "`observe` ended with 1: ***");
}

#[tokio::test]
async fn outputs_are_bounded_and_the_program_is_not_held_up() {
    let script = "/usr/bin/head -c 3000000 /dev/zero | /usr/bin/tr '\\0' x; echo end >&2";
    let scene = Scene::new(script, &[]);
    let seen = check(&scene, json!({ "argv": scene.argv(&[]) }), "20s").await.unwrap();
    let stdout = seen.outputs["stdout"].as_str().unwrap();
    assert!(stdout.len() < 66_000 && stdout.ends_with("… (cut, 3000000 bytes in all)"), "{}", stdout.len());
    assert_eq!((&seen.outputs["stderr"], &seen.outputs["ok"]), (&json!("end\n"), &json!(true)));
    assert_eq!(seen.warnings, ["the program printed more than is kept"]);
}

#[tokio::test]
async fn time_that_is_up_ends_the_whole_group() {
    // One child that would live on, and one that does not heed the polite signal.
    let script = "sleep 300 & echo $! > child
        sh -c 'trap \"\" TERM; echo $$ > stubborn; while :; do sleep 1; done' &
        echo waiting; wait";
    let mut scene = Scene::new(script, &[]);
    scene.config["env"] = json!({ "PATH": "/usr/bin:/bin" });
    let began = Instant::now();
    let fault = check(&scene, json!({ "argv": scene.argv(&[]), "timeout": "2s" }), "20s").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
    assert!(fault.message.contains("did not end in time; it last said: waiting"), "{fault}");
    assert!(began.elapsed() < Duration::from_secs(15));
    gone(&scene.file("child").unwrap()).await;
    gone(&scene.file("stubborn").unwrap()).await;
}

#[tokio::test]
async fn a_call_that_is_cut_off_ends_the_whole_group() {
    let mut scene = Scene::new("sleep 300 & echo $! > child; wait", &[]);
    scene.config["env"] = json!({ "PATH": "/usr/bin:/bin" });
    let (action, _) = scene.action("command.check", Mode::ReadOnly);
    let (input, cx) = (json!({ "argv": scene.argv(&[]) }), cx());
    let call = action.observe(&cx, &input);
    let started = async {
        while scene.file("child").is_none_or(|pid| !pid.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        ended = call => panic!("{ended:?}"),
        () = started => {}
    }
    gone(&scene.file("child").unwrap()).await;
}

#[tokio::test]
async fn what_a_program_leaves_behind_does_not_hold_up_its_answer() {
    let mut scene = Scene::new("sleep 300 & echo $! > child; echo done", &[]);
    scene.config["env"] = json!({ "PATH": "/usr/bin:/bin" });
    let began = Instant::now();
    let seen = check(&scene, json!({ "argv": scene.argv(&[]) }), "60s").await.unwrap();
    assert_eq!(seen.outputs["stdout"], "done\n");
    assert!(began.elapsed() < Duration::from_secs(30));
    gone(&scene.file("child").unwrap()).await;
}

#[tokio::test]
async fn only_what_is_listed_as_reading_is_checked() {
    let scene = Scene::new("echo ran > ran", &[("write", "write"), ("destroy", "destructive")]);
    for argv in [
        scene.argv(&["write"]),
        scene.argv(&["destroy"]),
        scene.argv(&["other"]),
        json!(["/bin/sh", "-c", "echo ran > ran"]),
        json!(["/bin/ls"]),
        json!(["sh"]),
        json!([]),
    ] {
        let fault = check(&scene, json!({ "argv": argv }), "20s").await.unwrap_err();
        assert!(matches!(fault.kind, FaultKind::Denied | FaultKind::Permanent), "{argv}: {fault}");
        assert!(fault.hint.is_some(), "{argv}");
    }
    assert_eq!(scene.file("ran"), None);
    let (action, access) = scene.action("command.check", Mode::ReadOnly);
    let obstacles = async |argv: Value| action.preflight(&cx(), &json!({ "argv": argv })).await.unwrap();
    assert_eq!(obstacles(scene.argv(&[])).await, []);
    assert_eq!(obstacles(scene.argv(&["write"])).await[0].code, "limit");
    assert_eq!(access.reads_sent(), 0, "preflight starts nothing");
}

#[tokio::test]
async fn a_program_that_cannot_start_is_told_so() {
    let mut scene = Scene::new("a file that may not be executed", &[]);
    let script = scene.folder.path().join("script");
    let programs = [json!("/no/such/program"), json!(script)];
    let rules = programs.iter().map(|program| json!({ "program": program, "effect": "read" }));
    scene.config["allow"] = rules.collect();
    for program in programs {
        let fault = check(&scene, json!({ "argv": [program] }), "20s").await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permanent, "{fault}");
        assert!(fault.message.contains("could not be started"), "{fault}");
        let (action, _) = scene.action("command.check", Mode::ReadOnly);
        assert_eq!(action.preflight(&cx(), &json!({ "argv": [program] })).await.unwrap()[0].code, "missing");
    }
}

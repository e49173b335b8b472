//! Flags in the three shapes, against a service that keeps what it is told, and against Unleash.

use std::sync::{Arc, Mutex};

use runbook_contract::{Access, Action, Cx, SecretSource, laws};
use runbook_core::{
    Value,
    change::{Change, Landed, Planned, Progress, Undo},
    fault::FaultKind,
};
use serde_json::json;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::scenario::{
    answers, counterpart, cx, json as ok, named, plan_cx, planned, reading, seconds, status, writing,
};

const SHAPES: [&str; 3] = ["path", "body", "unleash"];

/// A flag service of one shape under the path `/base`, with the flag `search`.
async fn service(shape: &'static str, on: bool) -> (MockServer, Arc<Mutex<bool>>) {
    let (server, state) = (MockServer::start().await, Arc::new(Mutex::new(on)));
    let kept = Arc::clone(&state);
    let respond = move |request: &Request| {
        let mut enabled = kept.lock().unwrap();
        let features = "/base/api/admin/projects/default/features";
        match (shape, request.method.as_str(), request.url.path()) {
            ("path", "GET", "/base/api/flags/search") => {
                return ok(json!({"name": "search", "enabled": *enabled}));
            }
            ("path", "GET", "/base/api/flags") => {
                return ok(json!([{"name": "search"}, {"name": "checkout"}]));
            }
            ("path", "POST", "/base/api/flags/search/enable") => *enabled = true,
            ("path", "POST", "/base/api/flags/search/disable") => *enabled = false,
            ("body", "GET", "/base/api/flags") => return ok(json!({"search": *enabled, "checkout": true})),
            ("body", "PATCH", "/base/api/flags") => {
                *enabled = request.body_json::<Value>().unwrap()["search"] == true
            }
            ("unleash", "GET", path) if path == features => {
                return ok(json!({"features": [{"name": "search"}]}));
            }
            ("unleash", "GET", path) if path == format!("{features}/search") => {
                return ok(json!({"name": "search", "environments": [
                    {"name": "development", "enabled": true}, {"name": "production", "enabled": *enabled}]}));
            }
            ("unleash", "POST", path) if path == format!("{features}/search/environments/production/on") => {
                *enabled = true
            }
            ("unleash", "POST", path) if path == format!("{features}/search/environments/production/off") => {
                *enabled = false
            }
            _ => return status(404),
        }
        ResponseTemplate::new(200)
    };
    Mock::given(matchers::any()).respond_with(respond).mount(&server).await;
    (server, state)
}

fn actions(server: &MockServer, shape: &str, access: &Arc<Access>) -> Vec<Arc<dyn Action>> {
    let config = json!({"url": format!("{}/base", server.uri()), "shape": shape});
    runbook_web::flags::actions(&serde_json::from_value(config).unwrap(), access)
}

fn search() -> Value {
    json!({"flag": "search"})
}

#[tokio::test]
async fn a_flag_is_switched_off_and_back_in_every_shape() {
    for shape in SHAPES {
        let (server, state) = service(shape, true).await;
        let access = writing();
        let disable = named(actions(&server, shape, &access), "flags.disable");
        assert_eq!(
            laws::of_change(disable.as_ref(), &access, &cx(), &search()).await,
            Vec::<String>::new(),
            "{shape}"
        );

        let change = planned(disable.as_ref(), &search()).await;
        assert_eq!(
            (&change.before, &change.after),
            (&json!({"enabled": true}), &json!({"enabled": false})),
            "{shape}"
        );
        assert_eq!((change.summary.as_str(), &change.undo), ("flag search on -> off", &Undo::Auto));
        assert_eq!(change.target.short(), "search");
        assert_eq!(access.writes_sent(), 0);

        assert_eq!(
            disable.apply(&cx(), &change).await.unwrap(),
            json!({"flag": "search", "enabled": false}),
            "{shape}"
        );
        assert!(!*state.lock().unwrap(), "{shape}");
        assert_eq!(access.writes_sent(), 1);
        let done = disable.verify(&cx(), &change).await.unwrap();
        assert_eq!(done, Progress::Done(json!({"flag": "search", "enabled": false})));

        let seen = disable.observe(&cx(), &search()).await.unwrap();
        assert!(
            matches!(disable.plan(&plan_cx(), &search(), &seen).unwrap(), Planned::Already { .. }),
            "{shape}"
        );
        let Planned::Change(undo) = disable.plan_undo(&plan_cx(), &change, &seen).unwrap() else {
            panic!("{shape}")
        };
        assert_eq!((undo.action.as_str(), &undo.target), ("flags.enable", &change.target));
        // The engine may hand it to either of the two.
        disable.apply(&cx(), &undo).await.unwrap();
        assert!(*state.lock().unwrap(), "{shape}");
        let enable = named(actions(&server, shape, &access), "flags.enable");
        assert!(matches!(enable.verify(&cx(), &undo).await.unwrap(), Progress::Done(_)), "{shape}");
        let seen = enable.observe(&cx(), &search()).await.unwrap();
        assert_eq!((disable.landed(&undo, &seen), enable.landed(&undo, &seen)), (Landed::Yes, Landed::Yes));
        assert!(
            matches!(disable.plan_undo(&plan_cx(), &change, &seen).unwrap(), Planned::Already { .. }),
            "{shape}"
        );
    }
}

#[tokio::test]
async fn doubt_is_settled_and_a_meanwhile_switched_flag_is_a_conflict() {
    for shape in SHAPES {
        let (server, state) = service(shape, true).await;
        let disable = named(actions(&server, shape, &writing()), "flags.disable");
        let change = planned(disable.as_ref(), &search()).await;
        for (enabled, landed) in [(false, Landed::Yes), (true, Landed::No)] {
            *state.lock().unwrap() = enabled;
            let seen = disable.observe(&cx(), &search()).await.unwrap();
            assert_eq!(disable.landed(&change, &seen), landed, "{shape}");
        }
        *state.lock().unwrap() = false;
        assert_eq!(disable.apply(&cx(), &change).await.unwrap_err().kind, FaultKind::Conflict, "{shape}");
        *state.lock().unwrap() = true;
        let pending = disable.verify(&cx(), &change).await.unwrap();
        assert_eq!(pending, Progress::Pending("flag search is still on".to_owned()));
    }
}

#[tokio::test]
async fn a_dry_run_reads_and_lays_the_prediction_over_later_reads() {
    for shape in SHAPES {
        let (server, state) = service(shape, true).await;
        let access = reading();
        let disable = named(actions(&server, shape, &access), "flags.disable");
        let get = named(actions(&server, shape, &access), "flags.get");
        let change = planned(disable.as_ref(), &search()).await;
        assert_eq!(disable.apply(&cx(), &change).await.unwrap_err().kind, FaultKind::Denied, "{shape}");
        assert!(*state.lock().unwrap());
        assert_eq!((access.writes_sent(), access.writes_refused()), (0, 1));
        let (seen, touched) = get.overlay(get.observe(&cx(), &search()).await.unwrap(), &[change]);
        assert_eq!((touched, &seen.outputs["enabled"]), (true, &json!(false)), "{shape}");
    }
}

#[tokio::test]
async fn a_flag_that_is_not_there_is_named_with_its_likes() {
    for shape in SHAPES {
        let (server, _) = service(shape, true).await;
        let get = named(actions(&server, shape, &reading()), "flags.get");
        let fault = get.observe(&cx(), &json!({"flag": "serach"})).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotFound, "{shape}: {fault}");
        assert_eq!(fault.message, "there is no flag `serach`", "{shape}");
        assert_eq!(fault.hint.as_deref(), Some("did you mean `search`?"), "{shape}");
        let fault = get.observe(&cx(), &json!({"flag": "completely-different"})).await.unwrap_err();
        assert!(fault.hint.unwrap().starts_with("no flag has a name like it"), "{shape}");
        let found = get.preflight(&cx(), &json!({"flag": "serach"})).await.unwrap();
        assert_eq!(found[0].code, "missing");
        assert_eq!(get.preflight(&cx(), &search()).await.unwrap(), []);
    }
    let lost = MockServer::start().await;
    let get = named(actions(&lost, "path", &reading()), "flags.get");
    let fault = get.observe(&cx(), &search()).await.unwrap_err();
    assert!(
        fault.message.contains("/base/api/flags/search answered 404"),
        "a wrong address is not a missing flag: {fault}"
    );
}

#[tokio::test]
async fn names_cannot_lead_elsewhere() {
    let (server, _) = service("path", true).await;
    let get = named(actions(&server, "path", &reading()), "flags.get");
    let long = "x".repeat(201);
    for flag in ["", ".", "..", "../admin", "a/b", "a b", "a?b", "a#b", "a%2fb", "-a", long.as_str()] {
        let fault = get.observe(&cx(), &json!({ "flag": flag })).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permanent, "{flag:?}");
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn answers_that_make_no_sense_are_said_to() {
    let server = MockServer::start().await;
    let path = "/base/api/admin/projects/default/features";
    let elsewhere = json!({"name": "a", "environments": [{"name": "development", "enabled": true}]});
    let archived = json!({"name": "b", "archived": true, "environments": []});
    answers(&server, "GET", &format!("{path}/a"), ok(elsewhere)).await;
    answers(&server, "GET", &format!("{path}/b"), ok(archived)).await;
    answers(&server, "GET", "/base/api/flags/c", ok(json!({"state": "on"}))).await;
    answers(&server, "GET", "/base/api/flags/d", status(403)).await;
    answers(&server, "GET", "/base/api/flags/e", ok(json!(true))).await;
    for (shape, flag, kind, text) in [
        ("unleash", "a", FaultKind::Permanent, "no environment `production`"),
        ("unleash", "b", FaultKind::Permanent, "archived"),
        ("path", "c", FaultKind::Permanent, "it has: state"),
        ("path", "d", FaultKind::Forbidden, "403"),
    ] {
        let get = named(actions(&server, shape, &reading()), "flags.get");
        let fault = get.observe(&cx(), &json!({ "flag": flag })).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.contains(text), "{fault}");
    }
    let get = named(actions(&server, "path", &reading()), "flags.get");
    assert_eq!(get.observe(&cx(), &json!({"flag": "e"})).await.unwrap().outputs["enabled"], true);
}

#[tokio::test]
async fn a_switch_without_an_answer_is_in_doubt_and_its_failed_look_is_not() {
    let (server, _) = service("path", true).await;
    let disable = named(actions(&server, "path", &writing()), "flags.disable");
    let change = planned(disable.as_ref(), &search()).await;
    server.reset().await;
    answers(&server, "GET", "/base/api/flags/search", status(502)).await;
    assert_eq!(disable.apply(&cx(), &change).await.unwrap_err().kind, FaultKind::Refused);
    server.reset().await;
    answers(&server, "GET", "/base/api/flags/search", ok(json!({"enabled": true}))).await;
    answers(&server, "POST", "/base/api/flags/search/disable", status(502)).await;
    assert_eq!(disable.apply(&cx(), &change).await.unwrap_err().kind, FaultKind::Unknown);
}

#[tokio::test]
async fn tokens_go_as_each_service_wants_them() {
    for (shape, expected) in [("path", "Bearer t0ken"), ("body", "Bearer t0ken"), ("unleash", "t0ken")] {
        let (server, _) = service(shape, true).await;
        let mut config: runbook_web::flags::Config =
            serde_json::from_value(json!({"url": format!("{}/base", server.uri()), "shape": shape})).unwrap();
        config.token = Some(SecretSource::Given("t0ken".to_owned()));
        let disable = named(runbook_web::flags::actions(&config, &writing()), "flags.disable");
        let change: Change = planned(disable.as_ref(), &search()).await;
        disable.apply(&cx(), &change).await.unwrap();
        let requests = server.received_requests().await.unwrap();
        assert!(requests.iter().all(|request| request.headers["authorization"] == expected), "{shape}");
        assert_eq!(requests.last().unwrap().headers["idempotency-key"], "key-1");
    }
}

#[tokio::test]
async fn the_real_unleash_is_switched_off_and_back() {
    let Some(url) = counterpart("RUNBOOK_TEST_UNLEASH") else { return };
    let token = "*:*.admin-token";
    let flag = format!("runbook-web-{}-{}", std::process::id(), jiff::Timestamp::now().as_millisecond());
    let features = format!("{url}/api/admin/projects/default/features");
    let made = reqwest::Client::new()
        .post(&features)
        .header("authorization", token)
        .json(&json!({"name": flag, "type": "release"}))
        .send()
        .await
        .unwrap();
    assert!(made.status().is_success(), "{made:?}");

    let mut config: runbook_web::flags::Config =
        serde_json::from_value(json!({"url": url, "shape": "unleash"})).unwrap();
    config.token = Some(SecretSource::Given(token.to_owned()));
    let access = writing();
    let cx = Cx { timeout: seconds(20), ..cx() };
    let (enable, disable) = (
        named(runbook_web::flags::actions(&config, &access), "flags.enable"),
        named(runbook_web::flags::actions(&config, &access), "flags.disable"),
    );
    let input = json!({ "flag": flag });
    assert_eq!(laws::of_change(enable.as_ref(), &access, &cx, &input).await, Vec::<String>::new());
    let change = planned(enable.as_ref(), &input).await;
    enable.apply(&cx, &change).await.unwrap();
    assert!(matches!(enable.verify(&cx, &change).await.unwrap(), Progress::Done(_)));

    let off = planned(disable.as_ref(), &input).await;
    disable.apply(&cx, &off).await.unwrap();
    let seen = disable.observe(&cx, &input).await.unwrap();
    assert_eq!((&seen.outputs["enabled"], disable.landed(&off, &seen)), (&json!(false), Landed::Yes));
    let Planned::Change(undo) = disable.plan_undo(&plan_cx(), &off, &seen).unwrap() else { panic!() };
    disable.apply(&cx, &undo).await.unwrap();
    assert!(matches!(disable.verify(&cx, &undo).await.unwrap(), Progress::Done(_)));

    let near = json!({"flag": format!("{flag}x")});
    let fault = disable.observe(&cx, &near).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
    assert!(fault.hint.clone().unwrap().contains(&format!("`{flag}`")), "{fault:?}");
    config.token = Some(SecretSource::Given("*:*.wrong-token".to_owned()));
    let stranger = named(runbook_web::flags::actions(&config, &access), "flags.get");
    let fault = stranger.observe(&cx, &input).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Forbidden, "{fault}");
    assert!(!fault.message.contains("wrong-token"), "{fault}");

    let gone = reqwest::Client::new()
        .delete(format!("{features}/{flag}"))
        .header("authorization", token)
        .send()
        .await;
    assert!(gone.unwrap().status().is_success());
}

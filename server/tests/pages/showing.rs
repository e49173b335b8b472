//! What pages show, and to whom.

use std::io::Read as _;

use axum::body::Body;
use http::{Request, header};
use runbook_core::{alert::AlertStatus, run::Input};
use serde_json::json;

use super::{
    browser::{Room, between},
    html,
};

#[tokio::test]
async fn every_page_is_there_and_well_made() {
    let room = Room::new();
    let run = room.asking().await;
    let demo = room.fixture.run("high-latency", "demo", json!({}), "rob").await;
    let close = room.fixture.run("drain-shop", "production", json!({}), "rob").await;
    let hand = room.fixture.run("by-hand", "production", json!({ "reason_code": "r1" }), "rob").await;
    let pick = room.fixture.run("pick-one", "production", json!({}), "rob").await;
    let alert = room.fixture.alert("HighLatency", "api", AlertStatus::Firing).await;
    let by_alert = room.fixture.engine.runs(&Default::default()).await.unwrap()[0].run;
    room.fixture.drive(by_alert).await;
    room.fixture.alert("DiskFull", "db", AlertStatus::Firing).await;
    let max = room.sign_in("max").await;
    let pages = [
        ("/".to_owned(), "Waits for you"),
        ("/runs".to_owned(), "high-latency"),
        ("/runs?status=succeeded".to_owned(), "No run is like that"),
        (format!("/runs/{run}"), "<title>mitigate: running. Bring latency down</title>"),
        (format!("/runs/{run}?before=2"), "rob started high-latency in production"),
        (format!("/runs/{run}/cancel?undo=yes"), "Nothing so far"),
        (format!("/runs/{run}/approve?step=mitigate.scale"), "an HPA governs this deployment"),
        (format!("/runs/{run}/approve?step=after"), "Nothing is asked here any more"),
        (format!("/runs/{demo}"), "Simulated."),
        (format!("/runs/{close}/approve?step=close"), "This is destructive. Type"),
        (format!("/runs/{hand}/answer?step=call"), "name=\"input.minutes\" value=\"15\""),
        (format!("/runs/{pick}/answer?step=choose"), "Take “Fewer pods”"),
        ("/approvals".to_owned(), "Scale api to 10 pods?"),
        ("/runbooks".to_owned(), "High API latency"),
        ("/runbooks/high-latency".to_owned(), "Users report slow pages"),
        ("/runbooks/high-latency/start".to_owned(), "min=\"2\" max=\"20\""),
        ("/runbooks/by-hand/start".to_owned(), "<option value=\"eu\" selected>eu</option>"),
        ("/runbooks/high-latency/readiness".to_owned(), "pods cannot be listed"),
        ("/alerts".to_owned(), "Started nothing: no trigger of any runbook is for it"),
        ("/alerts?status=resolved".to_owned(), "No alert is like that"),
        (format!("/alerts/{alert}"), "Started high-latency"),
        ("/incidents".to_owned(), "INC-1</span> HighLatency on api"),
        ("/incidents/INC-1".to_owned(), "Scale api to 10 pods?"),
        ("/incidents/declare".to_owned(), "What is wrong, in a line"),
        ("/access".to_owned(), "You are <strong>max</strong>"),
        ("/audit".to_owned(), "<span>ticket</span>"),
    ];
    for (path, text) in &pages {
        let page = max.get(path).await;
        page.is(200).shows(text);
        assert_eq!(html::faults(&page.text), Vec::<String>::new(), "{path}");
    }
}

#[tokio::test]
async fn an_empty_server_says_what_to_do_next() {
    let room = Room::new();
    let ada = room.sign_in("ada").await;
    for (path, text) in [
        ("/", "Start a runbook"),
        ("/runs", "Choose a runbook"),
        ("/approvals", "Nothing waits for anybody"),
        ("/alerts", "No alert has come yet"),
        ("/incidents", "There was no incident so far"),
        ("/access", "There is none. A token lets"),
    ] {
        let page = ada.get(path).await;
        page.is(200).shows(text);
        assert_eq!(html::faults(&page.text), Vec::<String>::new(), "{path}");
    }
}

#[tokio::test]
async fn who_is_not_signed_in_is_sent_to_sign_in() {
    let room = Room::new();
    for path in
        ["/", "/runs", "/approvals", "/runbooks/high-latency", "/alerts", "/incidents/INC-1", "/audit"]
    {
        let (answer, _) = room.send(Request::get(path).body(Body::empty()).unwrap()).await;
        answer.is(303);
        assert!(answer.location.starts_with("/login?next=%2F"), "{path} {}", answer.location);
    }
    let (page, _) = room.send(Request::get("/login").body(Body::empty()).unwrap()).await;
    page.is(200).hides("aria-label=\"Main\"");
    assert_eq!(html::faults(&page.text), Vec::<String>::new());
}

#[tokio::test]
async fn what_somebody_may_not_do_is_not_offered() {
    let room = Room::new();
    let run = room.asking().await;
    room.fixture.alert("DiskFull", "db", AlertStatus::Firing).await;
    let approve = format!("/runs/{run}/approve?step=mitigate.scale");
    let vic = room.sign_in("vic").await;
    vic.get(&approve).await.is(200).shows("You cannot decide this").hides("<button class=\"large");
    vic.get("/approvals").await.shows("Nothing waits for you").shows("1 question for others");
    vic.get(&format!("/runs/{run}")).await.hides("Cancel…").shows("may not cancel");
    vic.get("/runbooks/high-latency").await.hides("dry-run first…").shows("takes the role responder");
    vic.get("/incidents/INC-1")
        .await
        .hides("<form method=\"post\" action=\"/incidents")
        .shows("You may look");
    vic.get("/").await.hides("/incidents/declare").hides("/audit");
    for path in ["/audit", "/incidents/declare", "/runbooks/high-latency/start"] {
        let page = vic.get(path).await;
        page.is(403).shows("You may not do that").shows("aria-label=\"Main\"");
        assert_eq!(html::faults(&page.text), Vec::<String>::new(), "{path}");
    }
    // Who asked for the run does not approve it, and a responder is no approver.
    room.sign_in("rob").await.get(&approve).await.shows("You cannot decide this");
    let ada = room.sign_in("ada").await;
    ada.get(&approve).await.shows("<button class=\"large good\">").hides("Break the glass");
    room.sign_in("max").await.get("/audit").await.is(200).shows("/incidents/declare").shows("vic");
}

#[tokio::test]
async fn what_is_simulated_is_never_taken_for_the_real_thing() {
    let room = Room::new();
    let run = room.fixture.run("high-latency", "demo", json!({}), "rob").await;
    let hand = room.fixture.run("by-hand", "demo", json!({ "reason_code": "r1" }), "rob").await;
    let ada = room.sign_in("ada").await;
    for path in [
        format!("/runs/{run}"),
        format!("/runs/{run}/approve?step=mitigate.scale"),
        format!("/runs/{run}/cancel"),
        format!("/runs/{hand}/answer?step=call"),
    ] {
        ada.get(&path).await.is(200).shows("<strong>Simulated.</strong>").shows("bad-deploy");
    }
    ada.get("/runs").await.shows(">simulated<");
    ada.get("/").await.shows(">simulated<");
    let fields = [("environment", "demo"), ("input.service", "api"), ("input.pods", "10")];
    let plan = ada.post("/runbooks/high-latency/plan", &fields).await;
    plan.is(200).shows("<strong>Simulated.</strong>").shows("in demo (simulated)");
}

#[tokio::test]
async fn a_graph_says_in_words_where_each_step_stands() {
    let room = Room::new();
    let run = room.asking().await;
    let ada = room.sign_in("ada").await;
    let page = ada.get(&format!("/runs/{run}")).await;
    for text in [
        "<title>preflight: succeeded. Can we act on it?</title>",
        "<title>latency: not as expected. p95, in seconds</title>",
        "<title>mitigate: running. Bring latency down</title>",
        "<title>after: pending. Is it over?</title>",
        "– 1. rollback",
        "? 2. scale",
    ] {
        page.shows(text);
    }
    let digest = between(
        &ada.get(&format!("/runs/{run}/approve?step=mitigate.scale")).await.text,
        "name=\"digest\" value=\"",
        "\"",
    )
    .to_owned();
    let input =
        Input::Approve { step: "mitigate.scale".to_owned(), digest, comment: None, break_glass: false };
    let actor = runbook_core::event::Actor::cli("ada");
    room.fixture.engine.say(run, &actor, input).await.unwrap();
    room.fixture.drive(run).await;
    ada.get(&format!("/runs/{run}")).await.shows("<title>mitigate: succeeded.").shows("✓ recovered");
}

#[tokio::test]
async fn a_message_leads_to_what_is_asked() {
    let room = Room::new();
    let run = room.asking().await;
    let hand = room.fixture.run("by-hand", "production", json!({ "reason_code": "r1" }), "rob").await;
    let ada = room.sign_in("ada").await;
    for (path, place) in [
        (format!("/runs/{run}/steps/mitigate.scale"), format!("/runs/{run}/approve?step=mitigate.scale")),
        (format!("/runs/{hand}/steps/call"), format!("/runs/{hand}/answer?step=call")),
        (format!("/runs/{run}/steps/preflight"), format!("/runs/{run}#step-preflight")),
    ] {
        let answer = ada.get(&path).await;
        answer.is(303);
        assert_eq!(answer.location, place);
    }
    ada.get(&format!("/runs/{run}/steps/none")).await.is(404);
}

#[tokio::test]
async fn assets_are_kept_for_good_and_nothing_stands_inline() {
    let room = Room::new();
    let (login, headers) = room.send(Request::get("/login").body(Body::empty()).unwrap()).await;
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
    for (start, kind) in [
        ("<link rel=\"stylesheet\" href=\"", "text/css; charset=utf-8"),
        ("<script src=\"", "text/javascript; charset=utf-8"),
        ("<link rel=\"icon\" href=\"", "image/svg+xml"),
    ] {
        let path = between(&login.text, start, "\"");
        let (asset, headers) = room.send(Request::get(path).body(Body::empty()).unwrap()).await;
        asset.is(200);
        assert_eq!(headers[header::CONTENT_TYPE], kind);
        assert!(headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    }
    let old = Request::get("/assets/page-000000000000.css").body(Body::empty()).unwrap();
    room.send(old).await.0.is(404);
}

#[tokio::test]
async fn pages_go_packed_to_whoever_reads_that() {
    let room = Room::new();
    let ada = room.sign_in("ada").await;
    let asked = |accepted: &str| {
        let request = Request::get("/runbooks/high-latency").header(header::COOKIE, ada.cookie());
        request.header(header::ACCEPT_ENCODING, accepted).body(Body::empty()).unwrap()
    };
    let (plain, headers) = room.sent(asked("br")).await;
    assert!(!headers.contains_key(header::CONTENT_ENCODING));
    assert_eq!(headers[header::VARY], "accept-encoding");
    let (packed, headers) = room.sent(asked("gzip, br")).await;
    assert_eq!(
        (&headers[header::CONTENT_ENCODING], &headers[header::VARY]),
        (&"gzip".parse().unwrap(), &"accept-encoding".parse().unwrap())
    );
    assert!(packed.len() * 2 < plain.len(), "{} of {}", packed.len(), plain.len());
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut unpacked).unwrap();
    // All but the texts that stand for the token of this session's forms.
    assert_eq!(unpacked.len(), plain.len());
    let own = between(&unpacked, "name=\"csrf\" value=\"", "\"");
    assert!(!String::from_utf8(plain).unwrap().contains(own), "each page has its own");
}

#[tokio::test]
async fn what_is_asked_comes_in_pages() {
    let room = Room::new();
    let mut runs = Vec::new();
    for _ in 0..53 {
        runs.push(room.fixture.run("pick-one", "production", json!({}), "rob").await.to_string());
    }
    let ada = room.sign_in("ada").await;
    let page = ada.get("/approvals").await;
    page.shows("3 more questions").shows(&runs[49]).hides(&format!("/runs/{}/answer", runs[50]));
    let next = between(&page.text, "/approvals?after=", "\"").to_owned();
    assert_eq!(next, runs[49]);
    let rest = ada.get(&format!("/approvals?after={next}")).await;
    rest.shows(&runs[50]).shows(&runs[52]).hides("more question").hides(&format!("/runs/{}/answer", runs[0]));
    ada.get("/").await.shows("43 more questions");
    let (mut told, mut after) = (Vec::new(), String::new());
    loop {
        let page = ada.get(&format!("/api/v1/approvals?limit=20{after}")).await;
        let page: serde_json::Value = serde_json::from_str(&page.text).unwrap();
        let items = page["items"].as_array().unwrap();
        told.extend(items.iter().map(|one| one["run"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(told, runs, "each once, the oldest first");
}

#[tokio::test]
async fn the_timeline_of_an_incident_comes_in_pages() {
    let room = Room::new();
    let ada = room.sign_in("ada").await;
    ada.post("/incidents/declare", &[("title", "slow"), ("environment", "production")]).await;
    for number in 0..130 {
        ada.post("/incidents/INC-1/note", &[("note", &format!("note {number:03}"))]).await;
    }
    let page = ada.get("/incidents/INC-1").await;
    page.shows("note 129").shows("note 030").hides("note 029").shows("Show earlier entries");
    let before = between(&page.text, "?before=", "#").to_owned();
    let earlier = ada.get(&format!("/incidents/INC-1?before={before}")).await;
    earlier
        .shows("note 029")
        .shows("note 000")
        .hides("note 030")
        .hides("Show earlier")
        .shows("Show the latest");
    assert_eq!(html::faults(&earlier.text), Vec::<String>::new());
    ada.get("/incidents/INC-1?before=nowhere").await.is(422);
}

#[tokio::test]
async fn programs_are_told_in_json_and_people_in_words() {
    let room = Room::new();
    let ada = room.sign_in("ada").await;
    ada.get("/api/v1/runs/nothing").await.is(404).shows("\"type\":\"not_found\"");
    ada.get("/runs/nothing")
        .await
        .is(404)
        .shows("<h1>There is no such thing</h1>")
        .shows("aria-label=\"Main\"");
    ada.get("/nowhere").await.is(404).shows("There is no page <code>/nowhere</code>");
    ada.get("/runs/nothing/approve").await.is(422).shows("<h1>");
    // A path that is no text.
    ada.get("/runbooks/%FF").await.is(400).shows("<h1>The request cannot be read</h1>");
    ada.get("/api/v1/runbooks/%FF").await.is(400).shows("\"type\":\"unreadable\"");
}

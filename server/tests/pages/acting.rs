//! What the forms of the pages do.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::{Request, header};
use http_body_util::BodyExt as _;
use runbook_core::{alert::AlertStatus, event::RunId};
use serde_json::json;

use super::{
    browser::{Browser, Room, between},
    html,
};

async fn digest(browser: &Browser<'_>, run: RunId, step: &str) -> String {
    let page = browser.get(&format!("/runs/{run}/approve?step={step}")).await;
    between(&page.text, "name=\"digest\" value=\"", "\"").to_owned()
}

async fn status(room: &Room, run: RunId) -> &'static str {
    room.fixture.engine.load(run).await.unwrap().status()
}

#[tokio::test]
async fn an_approval_is_given_and_the_run_goes_on() {
    let room = Room::new();
    let run = room.asking().await;
    let ada = room.sign_in("ada").await;
    let digest = digest(&ada, run, "mitigate.scale").await;
    let fields = [("step", "mitigate.scale"), ("digest", digest.as_str()), ("comment", "go\r\non")];
    let answer = ada.post(&format!("/runs/{run}/approve"), &fields).await;
    answer.is(303);
    assert_eq!(answer.location, format!("/runs/{run}"));
    room.fixture.drive(run).await;
    assert_eq!((status(&room, run).await, room.fixture.shop.pods.load(Ordering::SeqCst)), ("succeeded", 10));
    ada.get(&answer.location).await.shows("approved by ada: go\non").shows("Undo its changes…");
    // Nothing is asked any more: said in words, and nothing happens.
    ada.post(&format!("/runs/{run}/approve"), &fields).await.is(409).shows("Nothing is asked here any more");
    let undo = ada.get(&format!("/runs/{run}/undo")).await;
    undo.is(200).shows("replicas 10 -&gt; 3").shows("kubernetes:production/deployment/api");
    assert_eq!(html::faults(&undo.text), Vec::<String>::new());
    ada.post(&format!("/runs/{run}/undo"), &[("reason", "it was the cache")]).await.is(303);
    ada.get(&format!("/runs/{run}")).await.shows("it was the cache");
}

/// What the script listens to: a sign of every change, after which the page shows it.
#[tokio::test]
async fn a_page_that_is_told_of_a_change_shows_it() {
    let room = Room::new();
    let run = room.asking().await;
    let ada = room.sign_in("ada").await;
    let digest = digest(&ada, run, "mitigate.scale").await;
    let mut signs = ada.listen("/api/v1/events").await;
    let supervisor = room.fixture.supervise();
    let fields = [("step", "mitigate.scale"), ("digest", digest.as_str())];
    ada.post(&format!("/runs/{run}/approve"), &fields).await.is(303);
    loop {
        let sign = signs.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(sign.starts_with(b"event: changed\n"), "{sign:?}");
        if ada.get(&format!("/runs/{run}")).await.text.contains("<title>succeeded: High API latency") {
            break;
        }
    }
    supervisor.abort();
}

#[tokio::test]
async fn a_form_counts_only_from_a_page_of_the_session() {
    let room = Room::new();
    let run = room.asking().await;
    let (ada, max) = (room.sign_in("ada").await, room.sign_in("max").await);
    let digest = digest(&ada, run, "mitigate.scale").await;
    let fields = [("step", "mitigate.scale"), ("digest", digest.as_str())];
    let path = format!("/runs/{run}/approve");
    let others = between(&max.get("/access").await.text, "name=\"csrf\" value=\"", "\"").to_owned();
    for token in ["", "x", others.as_str()] {
        let with = [&[("csrf", token)], fields.as_slice()].concat();
        ada.send(&path, &with, None).await.is(403).shows("does not come from a page of this session");
    }
    let own = between(&ada.get("/access").await.text, "name=\"csrf\" value=\"", "\"").to_owned();
    let with = [&[("csrf", own.as_str())], fields.as_slice()].concat();
    ada.send(&path, &with, Some("https://evil.example")).await.is(403).shows("another site");
    assert!(
        room.fixture.engine.load(run).await.unwrap().node("mitigate.scale").unwrap().decisions.is_empty()
    );
    ada.send(&path, &with, Some("http://runbook.example")).await.is(303);
}

#[tokio::test]
async fn who_may_not_decide_is_refused_and_written_down() {
    let room = Room::new();
    let run = room.asking().await;
    let ada = room.sign_in("ada").await;
    let digest = digest(&ada, run, "mitigate.scale").await;
    let fields = [("step", "mitigate.scale"), ("digest", digest.as_str()), ("comment", "please")];
    for name in ["vic", "rob"] {
        let page = room.sign_in(name).await.post(&format!("/runs/{run}/approve"), &fields).await;
        page.is(403);
        assert_eq!(html::faults(&page.text), Vec::<String>::new());
        let audit = room.sign_in("max").await.get("/audit").await;
        audit.shows(&format!("<strong>{name}</strong> <code>POST /runs/{run}/approve</code>"));
    }
    assert_eq!(status(&room, run).await, "waiting");
    for (path, fields) in [
        (format!("/runs/{run}/cancel"), vec![]),
        (format!("/runs/{run}/reject"), vec![("step", "mitigate.scale")]),
        ("/runbooks/high-latency/plan".to_owned(), vec![]),
        ("/runbooks/high-latency/start".to_owned(), vec![]),
        ("/incidents/declare".to_owned(), vec![("title", "x")]),
    ] {
        room.sign_in("vic").await.post(&path, &fields).await.is(403);
    }
}

#[tokio::test]
async fn a_plan_that_has_moved_is_shown_anew() {
    let room = Room::new();
    let run = room.asking().await;
    let ada = room.sign_in("ada").await;
    let old = digest(&ada, run, "mitigate.scale").await;
    let path = format!("/runs/{run}/approve");
    let decide = async |digest: &str| {
        let fields = [("step", "mitigate.scale"), ("digest", digest), ("comment", "as discussed")];
        ada.post(&path, &fields).await
    };
    // Somebody changes the target between the look and the yes.
    room.fixture.shop.pods.store(5, Ordering::SeqCst);
    decide(&old).await.is(303);
    room.fixture.drive(run).await;
    let page = ada.get(&format!("{path}?step=mitigate.scale")).await;
    page.shows("The target has changed since it was first planned").shows("replicas: 3 -&gt; 5");
    page.shows("replicas 5 -&gt; 10");
    // An approval of the old plan binds to the old plan.
    let stale = decide(&old).await;
    stale
        .is(409)
        .shows("What you decided upon has changed")
        .shows("replicas 5 -&gt; 10")
        .shows(">as discussed</textarea>");
    assert_eq!(html::faults(&stale.text), Vec::<String>::new());
    let new = digest(&ada, run, "mitigate.scale").await;
    assert_ne!(old, new);
    decide(&new).await.is(303);
    room.fixture.drive(run).await;
    assert_eq!(room.fixture.shop.pods.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn something_destructive_takes_its_name_and_two_people() {
    let room = Room::new();
    let run = room.fixture.run("drain-shop", "production", json!({}), "rob").await;
    let (ada, max) = (room.sign_in("ada").await, room.sign_in("max").await);
    let digest = digest(&ada, run, "close").await;
    let path = format!("/runs/{run}/approve");
    let fields = |typed: &'static str| [("step", "close"), ("digest", digest.as_str()), ("confirm", typed)];
    for typed in ["", "Checkout", "api"] {
        ada.post(&path, &fields(typed)).await.is(422).shows("is not <code>checkout</code>");
    }
    ada.post(&path, &fields("checkout")).await.is(303);
    ada.get(&format!("{path}?step=close")).await.shows("1 of 2 needed").shows("has approved this already");
    assert_eq!(status(&room, run).await, "waiting");
    ada.post(&path, &fields("checkout")).await.is(403);
    max.post(&path, &fields("checkout")).await.is(303);
    room.fixture.drive(run).await;
    assert_eq!(room.fixture.shop.pods.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_glass_is_broken_with_a_reason_by_those_who_may() {
    let room = Room::new();
    let run = room.fixture.run("drain-shop", "production", json!({}), "rob").await;
    let (ada, max) = (room.sign_in("ada").await, room.sign_in("max").await);
    let digest = digest(&max, run, "close").await;
    let path = format!("/runs/{run}/approve");
    let fields = |why: &'static str| {
        [
            ("step", "close"),
            ("digest", digest.as_str()),
            ("confirm", "checkout"),
            ("break_glass", "yes"),
            ("comment", why),
        ]
    };
    max.get(&format!("{path}?step=close")).await.shows("Break the glass…");
    ada.get(&format!("{path}?step=close")).await.hides("Break the glass…");
    ada.post(&path, &fields("fire")).await.is(403);
    max.post(&path, &fields("  ")).await.is(422).shows("needs a reason");
    max.post(&path, &fields("money is lost")).await.is(303);
    room.fixture.drive(run).await;
    max.get(&format!("/runs/{run}")).await.shows("BREAK-GLASS: approved by max alone: money is lost");
}

#[tokio::test]
async fn a_gate_is_rejected_or_handed_on() {
    let room = Room::new();
    let (one, two) =
        (room.asking().await, room.fixture.run("drain-shop", "production", json!({}), "rob").await);
    let (ada, max) = (room.sign_in("ada").await, room.sign_in("max").await);
    max.post(&format!("/runs/{two}/delegate"), &[("step", "close"), ("to", "")])
        .await
        .is(422)
        .shows("<code>to</code> is missing");
    max.post(&format!("/runs/{two}/delegate"), &[("step", "close"), ("to", "rita")]).await.is(303);
    max.get(&format!("/runs/{two}/approve?step=close")).await.shows("max lets <strong>rita</strong> decide");
    let fields = [("step", "mitigate.scale"), ("comment", "not now")];
    ada.post(&format!("/runs/{one}/reject"), &fields).await.is(303);
    ada.get(&format!("/runs/{one}")).await.shows("rejected by ada: not now");
}

#[tokio::test]
async fn what_is_done_by_hand_is_reported_with_its_form() {
    let room = Room::new();
    let run = room.fixture.run("by-hand", "production", json!({ "reason_code": "r1" }), "rob").await;
    let path = format!("/runs/{run}/answer");
    let fields = |ticket, minutes| {
        [("step", "call"), ("answer", "done"), ("input.ticket", ticket), ("input.minutes", minutes)]
    };
    let ada = room.sign_in("ada").await;
    let wrong = ada.post(&path, &fields("T-4711", "9000")).await;
    wrong.is(422).shows("must be at most 600").shows("value=\"T-4711\"").shows("value=\"9000\"");
    room.sign_in("rob").await.post(&path, &fields("T-4711", "9")).await.is(403).shows("rob is not in sre");
    ada.post(&path, &[("step", "call"), ("answer", "perhaps")]).await.is(422).shows("does not answer");
    ada.post(&path, &fields("T-4711", "9")).await.is(303);
    room.fixture.drive(run).await;
    assert_eq!(room.fixture.engine.load(run).await.unwrap().node("call").unwrap().outputs["minutes"], 9);
    ada.post(&path, &fields("T-4711", "9")).await.is(409).shows("Nothing is asked here any more");
    let pick = room.fixture.run("pick-one", "production", json!({}), "rob").await;
    ada.post(&format!("/runs/{pick}/answer"), &[("step", "choose"), ("answer", "more")]).await.is(303);
    ada.get(&format!("/runs/{pick}")).await.shows("ada answered: more");
}

#[tokio::test]
async fn a_runbook_is_looked_at_before_it_is_run() {
    let room = Room::new();
    let rob = room.sign_in("rob").await;
    let fields = |pods: &'static str| {
        [
            ("environment", "production"),
            ("input.service", "api"),
            ("input.pods", pods),
            ("reason", "it is slow"),
            ("incident", ""),
        ]
    };
    let wrong = rob.post("/runbooks/high-latency/plan", &fields("99")).await;
    wrong.is(422).shows("must be at most 20").shows("value=\"99\"").shows(">it is slow</textarea>");
    let plan = rob.post("/runbooks/high-latency/plan", &fields("12")).await;
    plan.is(200).shows("0 writes were sent").shows("replicas 3 -&gt; 12").shows("would change");
    plan.shows("Run high-latency in production")
        .shows("<input type=\"hidden\" name=\"input.pods\" value=\"12\">");
    assert_eq!(html::faults(&plan.text), Vec::<String>::new());
    assert!(room.fixture.engine.runs(&Default::default()).await.unwrap().is_empty(), "nothing has begun");
    let started = rob.post("/runbooks/high-latency/start", &fields("12")).await;
    started.is(303);
    let run: RunId = started.location.trim_start_matches("/runs/").parse().unwrap();
    let run = room.fixture.engine.load(run).await.unwrap();
    assert_eq!((run.created.inputs["pods"].clone(), run.requested_by.name.as_str()), (json!(12), "rob"));
    assert_eq!(run.created.reason.as_deref(), Some("it is slow"));
}

#[tokio::test]
async fn a_dry_run_that_cannot_be_made_keeps_nobody_from_acting() {
    let room = Room::new();
    let rob = room.sign_in("rob").await;
    let fields = [("environment", "production"), ("input.service", "api"), ("reason", "unreachable")];
    let page = rob.post("/runbooks/high-latency/plan", &fields).await;
    page.is(503).shows("The dry-run could not be made: the cluster does not answer");
    page.shows("Run it without having seen a plan…");
    assert_eq!(html::faults(&page.text), Vec::<String>::new());
}

#[tokio::test]
async fn a_run_is_cancelled_after_a_second_question() {
    let room = Room::new();
    let run = room.asking().await;
    let rob = room.sign_in("rob").await;
    rob.get(&format!("/runs/{run}")).await.shows(&format!("/runs/{run}/cancel?undo=yes"));
    let long = "x".repeat(3_000);
    rob.post(&format!("/runs/{run}/cancel"), &[("reason", &long)])
        .await
        .is(422)
        .shows("At most 2000 characters");
    rob.post(&format!("/runs/{run}/cancel"), &[("undo", "no"), ("reason", "a mistake")]).await.is(303);
    room.fixture.drive(run).await;
    rob.get(&format!("/runs/{run}"))
        .await
        .shows("rob cancelled the run: a mistake")
        .hides("Undo its changes");
    rob.post(&format!("/runs/{run}/cancel"), &[]).await.is(409);
}

#[tokio::test]
async fn an_incident_is_worked_on_to_its_end() {
    let room = Room::new();
    let rob = room.sign_in("rob").await;
    let bad = rob.post("/incidents/declare", &[("severity", "SEV1"), ("environment", "production")]).await;
    bad.is(422).shows("<code>title</code> is missing");
    let fields = [
        ("title", "Nobody can pay"),
        ("severity", "SEV2"),
        ("environment", "production"),
        ("service", "checkout"),
    ];
    let declared = rob.post("/incidents/declare", &fields).await;
    declared.is(303);
    let path = declared.location;
    rob.get(&path).await.shows("Nobody can pay").shows("nobody has taken it on").shows("I take it on");
    let say = async |verb: &str, fields: &[(&str, &str)]| rob.post(&format!("{path}/{verb}"), fields).await;
    say("acknowledge", &[]).await.is(303);
    say("note", &[("note", "It is the provider.")]).await.is(303);
    say("note", &[("note", " ")]).await.is(422).shows("<code>note</code> is missing");
    say("severity", &[("severity", "SEV1"), ("reason", "all regions")]).await.is(303);
    say("severity", &[("severity", "SEV9")]).await.is(422).shows("There is no severity <code>SEV9</code>");
    say("state", &[("state", "identified")]).await.is(303);
    say("role", &[("role", "incident_commander"), ("person", "ada"), ("what", "assign")]).await.is(303);
    let page = rob.get(&path).await;
    for text in [
        "taken on by <strong>rob</strong>",
        "It is the provider.",
        "from SEV2 to SEV1: all regions",
        "identified",
        "ada is incident commander",
    ] {
        page.shows(text);
    }
    assert_eq!(html::faults(&page.text), Vec::<String>::new());
    rob.get("/").await.shows("INC-1</span> Nobody can pay");
    say("relate", &[("other", "INC-9"), ("what", "link")]).await.is(404);
    rob.post("/incidents/declare", &[("title", "Slow"), ("environment", "production")]).await.is(303);
    say("relate", &[("other", "INC-2"), ("what", "link")]).await.is(303);
    rob.get(&path).await.shows("linked to INC-2");
    rob.post("/incidents/INC-2/relate", &[("other", "INC-1"), ("what", "merge")]).await.is(303);
    rob.get("/incidents/INC-2").await.shows("It goes on as <a href=\"/incidents/INC-1\">");
    say("resolve", &[("reason", "they fixed it")]).await.is(303);
    rob.get(&path).await.shows("~ not verified").shows("they fixed it").shows("Open it again…");
    say("reopen", &[("reason", "it is back")]).await.is(303);
    rob.get(&path).await.hides("Open it again…");
    rob.get("/incidents/INC-7").await.is(404);
}

#[tokio::test]
async fn an_incident_that_still_burns_is_not_resolved_by_mistake() {
    let room = Room::new();
    room.fixture.alert("HighLatency", "api", AlertStatus::Firing).await;
    let rob = room.sign_in("rob").await;
    rob.get("/incidents/INC-1").await.shows("Against it speaks that alert HighLatency still fires");
    let refused = rob.post("/incidents/INC-1/resolve", &[("reason", "asleep"), ("force", "")]).await;
    refused.shows("value=\"asleep\"");
    assert!(refused.status.is_client_error(), "{}", refused.status);
    let forced = [("force", "the alert is wrong")];
    rob.post("/incidents/INC-1/resolve", &forced).await.is(303);
    rob.get("/incidents/INC-1").await.shows("✕ the steady state did not hold").shows("! forced");
}

#[tokio::test]
async fn runbooks_are_read_anew_by_those_who_look_after_the_server() {
    let room = Room::new();
    let (max, ada) = (room.sign_in("max").await, room.sign_in("ada").await);
    ada.get("/runbooks").await.hides("Read the files anew");
    ada.post("/runbooks/reload", &[]).await.is(403);
    max.get("/runbooks").await.shows("Read the files anew");
    max.post("/runbooks/reload", &[]).await.is(303);
    max.get("/audit").await.shows("/api/v1/reload");
}

#[tokio::test]
async fn a_token_is_shown_once_and_revoked_for_good() {
    let room = Room::new();
    let rob = room.sign_in("rob").await;
    let fields =
        [("name", "ci"), ("role", "responder"), ("environments", "demo"), ("runbooks", "*"), ("days", "7")];
    let made = rob.post("/access/tokens", &fields).await;
    made.is(200).shows("shown now and never again");
    let token = between(&made.text, "<code class=\"token\">", "<").to_owned();
    let list = rob.get("/access").await;
    list.hides(&token).shows("<strong>responder</strong> in <code>demo</code>, for all runbooks");
    let ask = async || {
        let bearer = Request::get("/api/v1/me").header(header::AUTHORIZATION, format!("Bearer {token}"));
        room.send(bearer.body(Body::empty()).unwrap()).await.0.status.as_u16()
    };
    assert_eq!(ask().await, 200);
    let id = between(&list.text, "/access/tokens/", "/revoke").to_owned();
    room.sign_in("vic").await.post(&format!("/access/tokens/{id}/revoke"), &[]).await.is(404);
    rob.get(&format!("/access/tokens/{id}/revoke")).await.is(200).shows("Revoke the token “ci”?");
    rob.post(&format!("/access/tokens/{id}/revoke"), &[]).await.is(303);
    assert_eq!(ask().await, 401);
    let wider = [("name", "ci"), ("role", "admin"), ("days", "7")];
    rob.post("/access/tokens", &wider).await.is(403);
    rob.post("/access/tokens", &[("name", "ci"), ("role", "responder"), ("days", "9999")]).await.is(422);
    room.pass(60);
}

//! Something of everything: what a server looks like at the end of a bad night.

#![expect(clippy::expect_used, reason = "a fixture that does not stand says enough by panicking")]

use std::{collections::BTreeMap, sync::atomic::Ordering};

use runbook_core::{
    alert::AlertStatus,
    event::{Actor, Answer, Channel, RunId},
    incident::{IncidentId, Input, Opening, Origin, Role, Steadiness},
    run,
};
use serde_json::json;

use super::fixture::Fixture;

/// Where what can be found, by what it is.
pub type Places = BTreeMap<&'static str, String>;

fn rob() -> Actor {
    Actor { name: "rob".to_owned(), how: Channel::Web }
}

/// Fills a server. Nothing drives its runs meanwhile.
pub async fn fill(fixture: &Fixture) -> Places {
    let mut places = Places::new();
    ended(fixture, &mut places).await;
    asking(fixture, &mut places).await;
    incidents(fixture, &mut places).await;
    places
}

async fn said(fixture: &Fixture, run: RunId, input: run::Input) {
    fixture.engine.say(run, &rob(), input).await.expect("it can be said");
    fixture.drive(run).await;
}

/// Runs that are over, each in its own way.
async fn ended(fixture: &Fixture, places: &mut Places) {
    let cancelled = fixture.run("drain-shop", "demo", json!({}), "rob").await;
    said(fixture, cancelled, run::Input::Cancel { undo: false, reason: Some("a mistake".to_owned()) }).await;
    places.insert("cancelled", format!("/runs/{cancelled}"));
    let failed = fixture.run("denied", "production", json!({}), "rob").await;
    places.insert("failed", format!("/runs/{failed}"));
    let undone = fixture.run("grow", "production", json!({}), "rob").await;
    said(fixture, undone, run::Input::Undo { reason: None }).await;
    places.insert("undone", format!("/runs/{undone}"));
    let vague = fixture.run("in-doubt", "production", json!({}), "rob").await;
    let stop = run::Input::Answer { step: "restart".to_owned(), answer: Answer::Stop };
    said(fixture, vague, stop).await;
    places.insert("stuck", format!("/runs/{vague}"));
    fixture.shop.pods.store(3, Ordering::SeqCst);
    let done = fixture.run("grow", "production", json!({}), "rob").await;
    places.insert("succeeded", format!("/runs/{done}"));
    places.insert("undo", format!("/runs/{done}/undo"));
    fixture.shop.pods.store(3, Ordering::SeqCst);
}

/// Runs that wait for people, each for something else.
async fn asking(fixture: &Fixture, places: &mut Places) {
    let conflict = fixture.run("grow", "production", json!({}), "rob").await;
    fixture.shop.pods.store(7, Ordering::SeqCst);
    said(fixture, conflict, run::Input::Undo { reason: None }).await;
    let path = fixture.engine.load(conflict).await.expect("it is there");
    let (node, _) = path.questions().next().expect("the undo meets a conflict");
    let step: String = url::form_urlencoded::byte_serialize(node.path.as_bytes()).collect();
    places.insert("conflict", format!("/runs/{conflict}/answer?step={step}"));
    places.insert("conflicting run", format!("/runs/{conflict}"));
    let vague = fixture.run("in-doubt", "production", json!({}), "rob").await;
    places.insert("doubt", format!("/runs/{vague}/answer?step=restart"));
    fixture.shop.pods.store(3, Ordering::SeqCst);
    let run = fixture.run("high-latency", "production", json!({}), "rob").await;
    places.insert("run", format!("/runs/{run}"));
    places.insert("approval", format!("/runs/{run}/approve?step=mitigate.scale"));
    places.insert("answered", format!("/runs/{run}/approve?step=after"));
    places.insert("cancel", format!("/runs/{run}/cancel"));
    let demo = fixture.run("high-latency", "demo", json!({ "pods": 12 }), "rob").await;
    places.insert("simulated", format!("/runs/{demo}"));
    let close = fixture.run("drain-shop", "production", json!({}), "rob").await;
    places.insert("destructive", format!("/runs/{close}/approve?step=close"));
    let hand = fixture.run("by-hand", "production", json!({ "reason_code": "r1" }), "rob").await;
    places.insert("by hand", format!("/runs/{hand}/answer?step=call"));
    let pick = fixture.run("pick-one", "production", json!({}), "rob").await;
    places.insert("choice", format!("/runs/{pick}/answer?step=choose"));
    let name = "rotate-the-credentials-of-every-payment-provider-in-all-regions";
    let long = fixture.run(name, "production", json!({}), "rob").await;
    places.insert("long run", format!("/runs/{long}"));
    let step = "rewrite-the-settings-of-the-payment-providers";
    places.insert("long approval", format!("/runs/{long}/approve?step={step}"));
    places.insert("long runbook", format!("/runbooks/{name}"));
}

async fn incidents(fixture: &Fixture, places: &mut Places) {
    let started = fixture.alert("HighLatency", "api", AlertStatus::Firing).await;
    fixture.alert("DiskFull", "db", AlertStatus::Firing).await;
    places.insert("alert", format!("/alerts/{started}"));
    let (first, second) = (IncidentId::new(1), IncidentId::new(2));
    for input in [
        Input::Acknowledge,
        Input::Assign { role: Role::IncidentCommander, person: "rob".to_owned() },
        Input::Note { text: "Looks like the deployment of 02:50.\nRolling back.".to_owned() },
    ] {
        fixture.site.desk.say(first, &rob(), || input.clone()).await.expect("it is open");
    }
    places.insert("incident", format!("/incidents/{first}"));
    places.insert("incident that nobody has", format!("/incidents/{second}"));
    let declared = async |title: &str| {
        let opening = Opening {
            title: title.to_owned(),
            severity: "SEV2".to_owned(),
            service: Some("checkout".to_owned()),
            environment: Some("production".to_owned()),
            key: String::new(),
            description: Some("People cannot pay.".to_owned()),
            origin: Origin::Person,
        };
        fixture.site.desk.declare(opening, &rob()).await.expect("it is sound").id
    };
    let resolved = declared("Checkout is slow").await;
    let resolve = || Input::Resolve {
        steady: Steadiness::Undeclared,
        force: Some("seen by hand".to_owned()),
        reason: Some("a slow disk".to_owned()),
    };
    fixture.site.desk.say(resolved, &rob(), resolve).await.expect("it can be resolved");
    places.insert("resolved incident", format!("/incidents/{resolved}"));
    let merged = declared("Nobody can pay, neither by card nor by transfer, in any of the shops of any country where there is one").await;
    fixture.site.desk.merge(merged, first, &rob()).await.expect("both are open");
    places.insert("merged incident", format!("/incidents/{merged}"));
    let linked = declared("Refunds fail").await;
    fixture.site.desk.link(linked, second, &rob()).await.expect("both are there");
    places.insert("linked incident", format!("/incidents/{linked}"));
}

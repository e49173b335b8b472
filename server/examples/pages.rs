//! Serves a small made-up project, to look at the pages: `cargo run -p runbook-server --example pages`.
//! An address can be given: `… --example pages 127.0.0.1:8700`; and the name of who looks.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "it is started by hand, to look at it")]

#[path = "../tests/pages/fixture.rs"]
mod fixture;
#[path = "../tests/pages/shop.rs"]
mod shop;

use std::sync::{Arc, atomic::Ordering};

use fixture::Fixture;
use runbook_core::{
    alert::AlertStatus,
    event::{Actor, Channel},
    incident::{Input, Role},
    run,
};
use runbook_engine::clock::System;
use serde_json::json;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8700".to_owned());
    let name = arguments.next().unwrap_or_else(|| "ada".to_owned());
    let fixture = Fixture::new(Arc::new(System), Some(&name), &format!("http://{address}"));
    fill(&fixture).await;
    for (person, role) in fixture::PEOPLE {
        println!("{role}: http://{address}{}", fixture.ticket(person).await);
    }
    fixture.supervise();
    let listener = tokio::net::TcpListener::bind(&address).await.expect("the address is free");
    println!("http://{address}");
    axum::serve(listener, runbook_server::router(fixture.site.clone())).await.expect("it serves");
}

/// Something of everything.
async fn fill(fixture: &Fixture) {
    let broken = fixture.run("high-latency", "production", json!({}), "rob").await;
    println!("waits for an approval: /runs/{broken}/approve?step=mitigate.scale");
    let demo = fixture.run("high-latency", "demo", json!({ "pods": 12 }), "rob").await;
    println!("simulated: /runs/{demo}");
    let close = fixture.run("drain-shop", "production", json!({}), "rob").await;
    println!("destructive: /runs/{close}/approve?step=close");
    let hand = fixture.run("by-hand", "production", json!({ "reason_code": "r1" }), "rob").await;
    println!("by hand: /runs/{hand}/answer?step=call");
    let pick = fixture.run("pick-one", "production", json!({}), "rob").await;
    println!("a choice: /runs/{pick}/answer?step=choose");
    let cancelled = fixture.run("drain-shop", "demo", json!({}), "rob").await;
    let rob = Actor { name: "rob".to_owned(), how: Channel::Web };
    let cancel = run::Input::Cancel { undo: false, reason: Some("a mistake".to_owned()) };
    fixture.engine.say(cancelled, &rob, cancel).await.expect("it can be cancelled");
    fixture.drive(cancelled).await;
    let started = fixture.alert("HighLatency", "api", AlertStatus::Firing).await;
    fixture.alert("DiskFull", "db", AlertStatus::Firing).await;
    println!("alert: /alerts/{started}");
    let incident = runbook_core::incident::IncidentId::new(1);
    for input in [
        Input::Acknowledge,
        Input::Assign { role: Role::IncidentCommander, person: "rob".to_owned() },
        Input::Note { text: "Looks like the deployment of 02:50.\nRolling back.".to_owned() },
    ] {
        fixture.site.desk.say(incident, &rob, || input.clone()).await.expect("it is open");
    }
    println!("incident: /incidents/{incident}");
    println!("the shop has {} pods", fixture.shop.pods.load(Ordering::SeqCst));
}

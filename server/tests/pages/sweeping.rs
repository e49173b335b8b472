//! What the server forgets, and what it never does.

use std::{collections::BTreeSet, sync::Arc};

use runbook_core::{Timestamp, alert::AlertStatus, duration::Duration, incident::IncidentId};
use runbook_engine::{Clock as _, clock::Manual};
use runbook_journal::{Document, DocumentQuery, Expect, Shelf, Write};
use runbook_server::{Retention, Sweeper};
use serde_json::{Value, json};

use crate::fixture::Fixture;

const DAY: u64 = 24 * 3_600;

fn fixture(clock: &Manual) -> Fixture {
    Fixture::new(Arc::new(clock.clone()), None, "http://127.0.0.1:8080/")
}

async fn put(shelf: &Arc<dyn Shelf>, kind: &str, id: &str, at: Timestamp, state: Option<&str>, body: Value) {
    let document = Document {
        kind: kind.to_owned(),
        id: id.to_owned(),
        version: 0,
        at,
        state: state.map(str::to_owned),
        parent: None,
        body: body.to_string().into_bytes(),
    };
    shelf.write(vec![Write::Put { document, expect: Expect::New }]).await.unwrap();
}

async fn left(shelf: &Arc<dyn Shelf>, kind: &str) -> BTreeSet<String> {
    let query = DocumentQuery { kind: kind.to_owned(), limit: 1_000, ..DocumentQuery::default() };
    shelf.documents(&query).await.unwrap().into_iter().map(|document| document.id).collect()
}

fn delivery(at: Timestamp, state: &str) -> Value {
    json!({ "hook": "am", "source": "alertmanager", "environment": "production", "received_at": at,
            "body": "{}", "alerts": [], "state": state })
}

#[tokio::test]
async fn each_kind_of_document_has_its_end() {
    let clock = Manual::at("2026-11-21T03:00:00Z".parse().unwrap());
    let fixture = fixture(&clock);
    let shelf = fixture.site.shelf();
    let ago = |seconds: u64| clock.now().checked_sub(std::time::Duration::from_secs(seconds)).unwrap();
    // More than are looked through at once.
    for number in 0..450 {
        let at = ago(31 * DAY + number);
        put(shelf, "delivery", &format!("old-{number}"), at, Some("done"), delivery(at, "done")).await;
    }
    let (old, young) = (ago(40 * DAY), ago(29 * DAY));
    put(shelf, "delivery", "waits", old, Some("new"), delivery(old, "new")).await;
    put(shelf, "delivery", "young", young, Some("done"), delivery(young, "done")).await;
    let answered =
        |at: Timestamp| json!({ "at": at, "digest": "d", "status": 200, "content_type": null, "body": "" });
    let ticket = |at: Timestamp| json!({ "name": "ada", "expires_at": at, "taken": true });
    let told = |at: Timestamp| json!({ "seq": 3, "at": at });
    let login = |at: Timestamp| json!({ "attempt": { "id": "a", "return_to": "/", "expires_at": at }, "begun_at": at, "taken": false });
    let audit = |at: Timestamp| {
        json!({ "at": at, "who": "vic", "via": null, "from": null, "method": "GET", "path": "/audit",
                "outcome": "refused", "code": "not_allowed", "detail": "" })
    };
    let group = |at: Timestamp, past: Value| json!({ "runbook": "a", "environment": "demo", "group": "g", "past": past, "changed_at": at });
    for (kind, id, age, body) in [
        ("answered", "gone", DAY, answered(ago(DAY))),
        ("answered", "kept", DAY - 1, answered(ago(DAY - 1))),
        ("ticket", "gone", DAY, ticket(ago(DAY))),
        ("ticket", "kept", 60, ticket(ago(60))),
        ("told", "gone", 31 * DAY, told(ago(31 * DAY))),
        ("told", "kept", 29 * DAY, told(ago(29 * DAY))),
        ("login", "gone", DAY, login(ago(DAY))),
        ("login", "kept", 60, login(ago(60))),
        ("audit", "gone", 365 * DAY, audit(ago(365 * DAY))),
        ("audit", "kept", 364 * DAY, audit(ago(364 * DAY))),
        ("group", "gone", 365 * DAY, group(ago(365 * DAY), json!({}))),
        ("group", "kept", 364 * DAY, group(ago(364 * DAY), json!({}))),
        (
            "group",
            "active",
            365 * DAY,
            group(ago(365 * DAY), json!({ "active": "run_00000000000000000000000001" })),
        ),
    ] {
        put(shelf, kind, id, ago(age), None, body).await;
    }
    let sweeper = Sweeper::new(fixture.site.clone(), Retention::default());
    let swept = sweeper.sweep().await.unwrap();
    let only = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(left(shelf, "delivery").await, only(&["waits", "young"]));
    assert_eq!(left(shelf, "group").await, only(&["active", "kept"]));
    for kind in ["answered", "ticket", "told", "login", "audit"] {
        assert_eq!(left(shelf, kind).await, only(&["kept"]), "{kind}");
    }
    assert_eq!(swept, 450 + 6);
    assert_eq!(sweeper.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn what_fires_and_the_journals_stay_however_old_they_are() {
    let clock = Manual::at("2026-11-21T03:00:00Z".parse().unwrap());
    let fixture = fixture(&clock);
    let run = fixture.run("drain-shop", "production", json!({}), "rob").await;
    let over = fixture.alert("Strange", "api", AlertStatus::Firing).await;
    fixture.alert("Strange", "api", AlertStatus::Resolved).await;
    let fires = fixture.alert("Other", "api", AlertStatus::Firing).await;
    let desk = &fixture.site.desk;
    let incident = desk.incident(IncidentId::new(1)).await.unwrap();
    let entries = desk.story(&incident, |_| false).await.unwrap();
    assert!(!entries.is_empty());
    clock.advance(Duration::from_secs(500 * DAY));
    let sweeper = Sweeper::new(fixture.site.clone(), Retention::default());
    assert!(sweeper.sweep().await.unwrap() >= 4, "three deliveries and an alert");
    assert_eq!(left(fixture.site.shelf(), "alert").await, BTreeSet::from([fires]), "{over} is over");
    assert_eq!(desk.story(&incident, |_| false).await.unwrap(), entries);
    assert!(fixture.site.desk.verify_incident(IncidentId::new(1)).await.unwrap().is_ok());
    assert!(fixture.engine.verify(run).await.unwrap().is_ok());
}

//! A storm of deliveries, with a kill in the middle: nothing that was accepted is lost, and no group
//! has two runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use runbook_desk::kept::{self, Delivery, DeliveryState};
use runbook_journal::{DocumentQuery, Order, RunQuery, Shelf, Sqlite};
use serde_json::{Value, json};

use crate::{
    project::Project,
    server::{PATIENCE, Server},
};

const DELIVERIES: usize = 20_000;
const GROUPS: usize = 40;
/// How many are sent at once.
const SENDERS: usize = 32;
/// The most memory that the server may come to hold, in KiB.
const MOST_MEMORY: u64 = 512 * 1024;

const CONFIG: &str = "
version: 1
playbooks: playbooks
store: sqlite:.runbook/runbook.db
environments: { empty: {} }
people: { groups: { ops: [ada] } }
hooks:
  am: { source: alertmanager, bearer: { env: RUNBOOK_TEST_SECRET }, rate: 1000000 }
";

const RUNBOOK: &str = r#"
apiVersion: runbook/v1
name: slow
inputs: { service: { type: string } }
triggers:
  - source: alertmanager
    when: alert.labels.alertname == "Slow"
    inputs: { service: "${{ alert.labels.service }}" }
    group_by: [service]
steps:
  - { id: go, approval: { prompt: "go?", from: [ops] } }
"#;

/// What is sent, and what has to be answered.
#[derive(Clone)]
struct Sent {
    body: String,
    token: &'static str,
    status: u16,
}

/// Numbers that are the same in every run of the test.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

fn alert(service: usize, number: usize, firing: bool) -> Value {
    let status = if firing { "firing" } else { "resolved" };
    let ends = if firing {
        "0001-01-01T00:00:00Z".to_owned()
    } else {
        format!("2026-11-21T09:{:02}:59Z", number % 60)
    };
    json!({
        "status": status,
        "labels": { "alertname": "Slow", "service": format!("service-{service}"), "severity": "critical" },
        "annotations": { "summary": format!("service-{service} is slow") },
        "startsAt": format!("2026-11-21T{:02}:{:02}:00Z", number / 60 % 24, number % 60),
        "endsAt": ends,
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": format!("{service:016x}"),
    })
}

fn body(alerts: Vec<Value>) -> String {
    let firing = alerts.iter().any(|alert| alert["status"] == "firing");
    json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "receiver": "runbook",
        "status": if firing { "firing" } else { "resolved" },
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am.example",
        "alerts": alerts,
    })
    .to_string()
}

/// Of a hundred: eighty that were sent before, one forged, one malformed; the rest are new, a third of
/// them with alerts of mixed states.
fn storm() -> Vec<Sent> {
    let mut dice = Dice(2_026);
    let mut fresh: Vec<Sent> = Vec::new();
    let mut all = Vec::with_capacity(DELIVERIES);
    let mut number = 0;
    for _ in 0..DELIVERIES {
        let sent = match dice.roll(100) {
            0 => Sent { body: body(vec![alert(0, 9_999, true)]), token: "forged", status: 401 },
            1 => Sent { body: "{\"version\":\"4\",\"alerts\":[{".to_owned(), token: "sekret", status: 422 },
            2..82 if !fresh.is_empty() => fresh[dice.roll(fresh.len())].clone(),
            _ => {
                number += 1;
                let service = dice.roll(GROUPS);
                let mut alerts = vec![alert(service, number, true)];
                if dice.roll(3) == 0 {
                    alerts.push(alert((service + 1) % GROUPS, number, dice.roll(2) == 0));
                    alerts.push(alert((service + 2) % GROUPS, number.saturating_sub(3), false));
                }
                let sent = Sent { body: body(alerts), token: "sekret", status: 202 };
                fresh.push(sent.clone());
                sent
            }
        };
        all.push(sent);
    }
    all
}

/// What came of a part of the storm.
#[derive(Default)]
struct Told {
    /// The ids of what was accepted.
    accepted: BTreeSet<String>,
    answers: BTreeMap<u16, usize>,
    /// Which were not answered.
    unanswered: Vec<usize>,
    took: Vec<Duration>,
}

/// Sends as fast as the server answers; one that is not answered is told.
async fn send(
    url: &str,
    storm: &Arc<Vec<Sent>>,
    which: Vec<usize>,
    stop_after: Option<usize>,
    stop: impl FnOnce(),
) -> Told {
    let client = reqwest::Client::builder().pool_max_idle_per_host(SENDERS).build().unwrap();
    let (next, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let told = Arc::new(Mutex::new(Told::default()));
    let which = Arc::new(which);
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (client, storm, which, next, answered, told) =
                (client.clone(), storm.clone(), which.clone(), next.clone(), answered.clone(), told.clone());
            let address = format!("{url}/hooks/am");
            tokio::spawn(async move {
                while let Some(index) = which.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let sent = &storm[*index];
                    let began = Instant::now();
                    let request = client.post(&address).bearer_auth(sent.token).body(sent.body.clone());
                    let answer = async {
                        let response = request.send().await?;
                        let status = response.status().as_u16();
                        Ok::<_, reqwest::Error>((status, response.bytes().await?))
                    };
                    match answer.await {
                        Err(_) => told.lock().unwrap().unanswered.push(*index),
                        Ok((status, bytes)) => {
                            let took = began.elapsed();
                            assert_eq!(status, sent.status, "{}", String::from_utf8_lossy(&bytes));
                            let mut told = told.lock().unwrap();
                            *told.answers.entry(status).or_default() += 1;
                            told.took.push(took);
                            if status == 202 {
                                let receipt: Value = serde_json::from_slice(&bytes).unwrap();
                                told.accepted.insert(receipt["delivery"].as_str().unwrap().to_owned());
                            }
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            })
        })
        .collect();
    let began = Instant::now();
    if let Some(count) = stop_after {
        while answered.load(Ordering::Relaxed) < count {
            assert!(began.elapsed() < PATIENCE, "the server answers no more");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop();
    }
    for sender in senders {
        sender.await.unwrap();
    }
    Arc::into_inner(told).unwrap().into_inner().unwrap()
}

/// Every delivery, once all of them are worked off.
async fn worked_off(shelf: &Arc<dyn Shelf>) -> BTreeMap<String, Delivery> {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "deliveries are left");
        let new = DocumentQuery { state: Some("new".to_owned()), limit: 1, ..DocumentQuery::default() };
        if kept::list::<Delivery>(shelf, new).await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut all = BTreeMap::new();
    let mut query = DocumentQuery { order: Order::OldestFirst, limit: 1_000, ..DocumentQuery::default() };
    loop {
        let page = kept::list::<Delivery>(shelf, query.clone()).await.unwrap();
        let Some(last) = page.last() else { return all };
        query.after = Some((last.value.received_at, last.id.clone()));
        all.extend(page.into_iter().map(|found| (found.id, found.value)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_accepted_is_lost_in_a_storm_with_a_kill_in_its_middle() {
    let project = Project::empty();
    project.write("runbook.yaml", CONFIG);
    project.write("playbooks/slow.yaml", RUNBOOK);
    let storm = Arc::new(storm());
    let server = Server::start(&project, &[]);
    let (url, mut peak) = (server.url.clone(), 0);
    let began = Instant::now();
    let first = send(&url, &storm, (0..DELIVERIES).collect(), Some(DELIVERIES / 2), || {
        peak = server.peak();
        server.kill();
    })
    .await;
    assert!(!first.unanswered.is_empty(), "the kill came in the middle");
    // A detector that is not answered sends again.
    let server = Server::start(&project, &[]);
    let rest = send(&server.url.clone(), &storm, first.unanswered.clone(), None, || ()).await;
    let sent = began.elapsed();
    assert!(rest.unanswered.is_empty());

    let shelf: Arc<dyn Shelf> = Arc::new(Sqlite::open(&project.path(".runbook/runbook.db")).await.unwrap());
    let deliveries = worked_off(&shelf).await;
    let lost: Vec<_> =
        first.accepted.union(&rest.accepted).filter(|id| !deliveries.contains_key(*id)).collect();
    assert!(lost.is_empty(), "accepted, and not there: {lost:?}");
    assert!(deliveries.values().all(|delivery| delivery.state == DeliveryState::Done));

    let runs = shelf.runs(&RunQuery { limit: 1_000, ..RunQuery::default() }).await.unwrap();
    assert_eq!(runs.len(), GROUPS, "one run for each group");
    let started: BTreeSet<_> =
        deliveries.values().flat_map(|it| &it.outcomes).filter_map(|it| it.started).collect();
    assert_eq!(started, runs.iter().map(|head| head.run).collect(), "each run follows from one delivery");

    let answered = |status| {
        first.answers.get(&status).copied().unwrap_or(0) + rest.answers.get(&status).copied().unwrap_or(0)
    };
    let expected = |status| storm.iter().filter(|sent| sent.status == status).count();
    for status in [202, 401, 422] {
        assert_eq!(answered(status), expected(status), "{status}");
    }
    peak = peak.max(server.peak());
    assert!(peak < MOST_MEMORY, "the server came to hold {peak} KiB");
    let mut took: Vec<Duration> = first.took.into_iter().chain(rest.took).collect();
    took.sort();
    eprintln!(
        "{DELIVERIES} deliveries in {:.1} s; acknowledged in {:?} (median), {:?} (p99); {} MiB at the most",
        sent.as_secs_f64(),
        took[took.len() / 2],
        took[took.len() * 99 / 100],
        peak / 1024,
    );
}

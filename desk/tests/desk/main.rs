//! The desk over a journal in memory: what alerts start, and what they do not.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

mod blinking;

use std::{collections::BTreeMap, sync::Arc};

use runbook_core::{
    Timestamp, Value,
    alert::{Alert, AlertStatus},
    duration::Duration,
    event::{Actor, Channel, Created, Hands, RunId},
    incident::{Closing, IncidentId, State},
    parse,
    policy::Policy,
    run::Input,
    runbook::{Runbook, Source},
    severity::Matrix,
    trigger::Why,
};
use runbook_desk::{
    Desk, House, Parcel, Start, Supervised,
    kept::{self, Group, KeptAlert, Outcome},
};
use runbook_engine::{Engine, NoSecrets, Setup, clock::Manual};
use runbook_journal::{DocumentQuery, Memory, RunQuery, Shelf};
use serde_json::json;
use tokio::sync::watch;

use crate::blinking::Blinking;

const RUNBOOKS: &str = r#"
apiVersion: runbook/v1
name: high-latency
inputs: { service: { type: string } }
triggers:
  - source: alertmanager
    when: alert.labels.alertname == "HighLatency"
    inputs: { service: "${{ alert.labels.service }}" }
    group_by: [service]
    once_within: 15m
    max_runs: { count: 2, within: 1h }
steps:
  - { id: go, approval: { prompt: "go?", from: [ops] } }
---
apiVersion: runbook/v1
name: traffic-drop
inputs: { service: { type: string } }
triggers:
  - source: alertmanager
    when: alert.labels.alertname == "TrafficDrop"
    inputs: { service: "${{ alert.labels.service }}" }
    hold: 1m
steps:
  - { id: over, wait: 'alert.status == "resolved"', timeout: 1h }
"#;

#[derive(Debug)]
struct Fixed {
    runbooks: Vec<Arc<Runbook>>,
    engine: Engine,
}

#[async_trait::async_trait]
impl House for Fixed {
    fn runbooks(&self) -> Vec<Arc<Runbook>> {
        self.runbooks.clone()
    }
    async fn engine(&self, environment: &str) -> Result<Engine, String> {
        if environment == "demo" { Ok(self.engine.clone()) } else { Err(format!("no {environment}")) }
    }
    async fn reader(&self, environment: &str) -> Result<Engine, String> {
        self.engine(environment).await
    }
    fn severity(&self) -> Arc<Matrix> {
        Arc::default()
    }
    fn closing(&self) -> Closing {
        Closing::WhenRecovered
    }
    async fn created(&self, start: &Start) -> Result<Created, String> {
        let runbook = self.runbooks.iter().find(|runbook| runbook.name == start.runbook).unwrap();
        Ok(Created {
            runbook: runbook.clone(),
            library: BTreeMap::new(),
            inputs: start.inputs.clone(),
            environment: start.environment.clone(),
            simulated: None,
            speed: 1,
            hands: Hands::Live,
            policy: Policy {
                groups: [("ops".to_owned(), vec!["ada".to_owned()])].into(),
                ..Policy::default()
            },
            reason: start.reason.clone(),
            overriding: false,
            incident: start.incident.clone(),
            alert: start.alert.clone(),
            trace_parent: None,
            bound_to: None,
            planned_at: None,
        })
    }
}

struct Room {
    desk: Desk,
    clock: Manual,
    engine: Engine,
    shelf: Arc<dyn Shelf>,
}

impl Room {
    fn new() -> Self {
        Self::over(Arc::new(Memory::new()))
    }

    fn over(shelf: Arc<dyn Shelf>) -> Self {
        let clock = Manual::at("2026-11-21T03:00:00Z".parse().unwrap());
        let engine = Engine::new(Setup {
            journal: shelf.clone(),
            registry: Default::default(),
            secrets: Arc::new(NoSecrets),
            limits: BTreeMap::new(),
            clock: Arc::new(clock.clone()),
            owner: "test".to_owned(),
        });
        let runbooks =
            RUNBOOKS.split("---\n").map(|text| Arc::new(parse::parse("a.yaml", text).runbook.unwrap()));
        let house = Fixed { runbooks: runbooks.collect(), engine: engine.clone() };
        Self {
            desk: Desk::new(shelf.clone(), Arc::new(house), Arc::new(clock.clone())),
            clock,
            engine,
            shelf,
        }
    }

    /// The same place after a crash: only the shelf is left.
    fn crash(&mut self) {
        let house = Fixed {
            runbooks: RUNBOOKS
                .split("---\n")
                .map(|text| Arc::new(parse::parse("a.yaml", text).runbook.unwrap()))
                .collect(),
            engine: self.engine.clone(),
        };
        self.desk = Desk::new(self.shelf.clone(), Arc::new(house), Arc::new(self.clock.clone()));
    }

    async fn deliver(&self, number: Option<&str>, alerts: Vec<Alert>) -> String {
        self.deliver_to("demo", number, alerts).await
    }

    async fn deliver_to(&self, environment: &str, number: Option<&str>, alerts: Vec<Alert>) -> String {
        let parcel = Parcel {
            hook: "am".to_owned(),
            source: Source::Alertmanager,
            environment: environment.to_owned(),
            number: number.map(str::to_owned),
            body: "{}".to_owned(),
            alerts,
            trace_parent: None,
        };
        let receipt = self.desk.receive(parcel).await.unwrap();
        if !receipt.repeated {
            self.desk.work_once().await.unwrap();
        }
        receipt.delivery
    }

    async fn outcomes(&self, delivery: &str) -> Vec<Outcome> {
        kept::find::<kept::Delivery>(&self.shelf, delivery).await.unwrap().unwrap().value.outcomes
    }

    async fn runs(&self) -> Vec<(RunId, String)> {
        let heads = self.engine.runs(&RunQuery::default()).await.unwrap();
        heads.into_iter().map(|head| (head.run, head.summary.status)).collect()
    }

    /// Lets the supervisor work until it has nothing to do.
    async fn supervise_until(&self, done: impl AsyncFn() -> bool) {
        let (stop, stopped) = watch::channel(false);
        let counts = watch::Sender::new(Supervised::default());
        let watching = async {
            while !done().await {
                tokio::task::yield_now().await;
            }
            stop.send_replace(true);
        };
        tokio::join!(self.desk.supervise(stopped, &counts), watching);
    }

    fn pass(&self, minutes: u64) {
        self.clock.advance(Duration::from_secs(60 * minutes));
    }
}

fn alert(name: &str, service: &str, number: u32, status: AlertStatus) -> Alert {
    let labels = [("alertname", name), ("service", service)];
    Alert {
        source: Source::Alertmanager,
        status,
        fingerprint: format!("{name}-{service}"),
        key: format!("{name}-{service}/{number}"),
        name: name.to_owned(),
        title: format!("{name} on {service}"),
        description: None,
        severity: Some("critical".to_owned()),
        service: Some(service.to_owned()),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        annotations: BTreeMap::new(),
        metrics: Value::Null,
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: None,
        url: None,
    }
}

fn firing(name: &str, service: &str, number: u32) -> Alert {
    alert(name, service, number, AlertStatus::Firing)
}

fn over(name: &str, service: &str, number: u32) -> Alert {
    alert(name, service, number, AlertStatus::Resolved)
}

fn whys(outcomes: &[Outcome]) -> Vec<&'static str> {
    outcomes.iter().map(|outcome| outcome.nothing.as_ref().map_or("started", Why::code)).collect()
}

#[tokio::test]
async fn an_alert_starts_its_runbook_once() {
    let room = Room::new();
    let first = room.deliver(None, vec![firing("HighLatency", "api", 1)]).await;
    assert_eq!(whys(&room.outcomes(&first).await), ["started"]);
    let again = room.deliver(None, vec![firing("HighLatency", "api", 1)]).await;
    assert_eq!(whys(&room.outcomes(&again).await), ["repeated"]);
    let other =
        room.deliver(None, vec![firing("HighLatency", "api", 2), firing("HighLatency", "web", 1)]).await;
    assert_eq!(whys(&room.outcomes(&other).await), ["active", "started"]);
    let unknown = room.deliver(None, vec![firing("Other", "api", 1)]).await;
    assert_eq!(whys(&room.outcomes(&unknown).await), ["no_runbook"]);
    assert_eq!(room.runs().await.len(), 2);
    let id = kept::alert_id("am", "HighLatency-api/1");
    let kept = kept::find::<KeptAlert>(&room.shelf, &id).await.unwrap().unwrap().value;
    assert_eq!((kept.repeats, kept.outcomes.len()), (1, 1));
    let run = room.engine.load(kept.outcomes[0].started.unwrap()).await.unwrap();
    assert_eq!(run.created.inputs, json!({ "service": "api" }));
    assert_eq!(run.alert["labels"]["alertname"], "HighLatency");
    assert_eq!(run.requested_by, Actor { name: "am".to_owned(), how: Channel::Alert });
    room.deliver(None, vec![over("HighLatency", "api", 1)]).await;
    let kept = kept::find::<KeptAlert>(&room.shelf, &id).await.unwrap().unwrap().value;
    assert_eq!(kept.outcomes.len(), 2);
    assert!(kept.came_of_it().unwrap().started.is_some(), "its end does not say what it did");
}

#[tokio::test]
async fn alerts_of_a_service_are_one_incident() {
    let room = Room::new();
    let minor = Alert { severity: Some("minor".to_owned()), ..firing("Other", "api", 1) };
    room.deliver(None, vec![minor]).await;
    room.deliver(None, vec![firing("HighLatency", "api", 1), firing("HighLatency", "web", 1)]).await;
    let (api, web) = (IncidentId::new(1), IncidentId::new(2));
    let incident = room.desk.incident(api).await.unwrap();
    assert_eq!((incident.alerts.len(), incident.runs.len(), incident.state), (2, 1, State::Investigating));
    assert_eq!(room.desk.incident(web).await.unwrap().service.as_deref(), Some("web"));
    let told = |entries: Vec<runbook_core::timeline::Entry>| -> Vec<String> {
        entries.into_iter().map(|entry| entry.kind).collect()
    };
    assert_eq!(
        told(room.desk.story(&incident, |_| false).await.unwrap()),
        ["opened", "alert_joined", "nothing_started", "alert_joined", "severity_changed", "run_started"]
    );
    room.deliver(None, vec![over("HighLatency", "api", 1), over("Other", "api", 1)]).await;
    let run = room.runs().await.into_iter().map(|(run, _)| run).min().unwrap();
    room.engine.say(run, &Actor::cli("ada"), Input::Cancel { undo: false, reason: None }).await.unwrap();
    let settled = async || room.desk.incident(api).await.unwrap().runs_active().count() == 0;
    room.supervise_until(settled).await;
    assert_eq!(room.desk.incident(api).await.unwrap().state, State::Investigating, "nothing has verified it");
    assert!(room.desk.verify_incident(api).await.unwrap().unwrap() >= 9);
    // What comes later is another incident only once this one is over.
    room.deliver(None, vec![firing("Third", "api", 1)]).await;
    assert_eq!(room.desk.incident(api).await.unwrap().alerts.len(), 3);
}

#[tokio::test]
async fn a_numbered_delivery_counts_once() {
    let room = Room::new();
    let first = room.deliver(Some("msg_1"), vec![firing("HighLatency", "api", 1)]).await;
    let again = room.deliver(Some("msg_1"), vec![firing("HighLatency", "web", 1)]).await;
    assert_eq!(first, again);
    assert_eq!(room.runs().await.len(), 1);
}

#[tokio::test]
async fn an_end_starts_nothing_and_what_is_over_does_not_begin_again() {
    let room = Room::new();
    let end = room.deliver(None, vec![over("HighLatency", "api", 1)]).await;
    assert_eq!(whys(&room.outcomes(&end).await), ["resolved"]);
    let late = room.deliver(None, vec![firing("HighLatency", "api", 1)]).await;
    assert_eq!(whys(&room.outcomes(&late).await), ["out_of_date"]);
    assert!(room.runs().await.is_empty());
}

#[tokio::test]
async fn what_is_held_starts_only_if_it_lasts() {
    let room = Room::new();
    let held =
        room.deliver(None, vec![firing("TrafficDrop", "api", 1), firing("TrafficDrop", "web", 1)]).await;
    assert_eq!(whys(&room.outcomes(&held).await), ["held", "held"]);
    room.clock.advance(Duration::from_secs(30));
    let end = room.deliver(None, vec![over("TrafficDrop", "api", 1)]).await;
    assert_eq!(whys(&room.outcomes(&end).await), ["resolved", "resolved_meanwhile"]);
    let before = room.desk.work_once().await.unwrap();
    assert_eq!((before.held, before.due), (0, Some("2026-11-21T03:01:00Z".parse().unwrap())));
    assert!(room.runs().await.is_empty());
    room.clock.advance(Duration::from_secs(30));
    assert_eq!(room.desk.work_once().await.unwrap().held, 1);
    assert_eq!(room.runs().await.len(), 1);
    assert_eq!(room.desk.work_once().await.unwrap().held, 0);
}

#[tokio::test]
async fn a_group_rests_and_is_not_run_too_often() {
    let room = Room::new();
    for (number, expected) in [(1, "started"), (2, "once_within"), (3, "started"), (4, "max_runs")] {
        let told = room.deliver(None, vec![firing("HighLatency", "api", number)]).await;
        assert_eq!(whys(&room.outcomes(&told).await), [expected], "{number}");
        for (run, status) in room.runs().await {
            if status == "running" || status == "waiting" {
                let cancel = Input::Cancel { undo: false, reason: None };
                room.engine.say(run, &Actor::cli("ada"), cancel).await.unwrap();
            }
        }
        let ended = async || room.runs().await.iter().all(|(_, status)| status == "cancelled");
        let free = async || {
            let active = DocumentQuery { state: Some("active".to_owned()), ..DocumentQuery::default() };
            ended().await && kept::list::<Group>(&room.shelf, active).await.unwrap().is_empty()
        };
        room.supervise_until(free).await;
        room.pass(if number == 1 { 5 } else { 15 });
    }
}

#[tokio::test]
async fn a_run_is_told_that_its_alert_is_over() {
    let room = Room::new();
    room.deliver(None, vec![firing("TrafficDrop", "api", 1)]).await;
    room.pass(1);
    room.desk.work_once().await.unwrap();
    room.deliver(None, vec![over("TrafficDrop", "api", 1)]).await;
    room.supervise_until(async || room.runs().await.iter().all(|(_, status)| status == "succeeded")).await;
    assert_eq!(room.runs().await.len(), 1);
}

#[tokio::test]
async fn a_run_is_driven_to_its_question_and_on_after_the_answer() {
    let room = Room::new();
    room.deliver(None, vec![firing("HighLatency", "api", 1)]).await;
    let is = async |wanted: &str| room.runs().await.iter().all(|(_, status)| status == wanted);
    room.supervise_until(async || is("waiting").await).await;
    let run = room.runs().await[0].0;
    let digest = room.engine.load(run).await.unwrap().node("go").unwrap().gate.clone().unwrap().digest;
    let approve = Input::Approve { step: "go".to_owned(), digest, comment: None, break_glass: false };
    room.engine.say(run, &Actor { name: "ada".to_owned(), how: Channel::Web }, approve).await.unwrap();
    room.supervise_until(async || is("succeeded").await).await;
}

/// A run that no list shows for a moment has not ended: its group stays its own.
#[tokio::test]
async fn a_group_is_free_only_when_its_run_says_that_it_has_ended() {
    let shelf = Arc::new(Blinking::default());
    let room = Room::over(shelf.clone());
    room.deliver(None, vec![firing("HighLatency", "api", 1)]).await;
    let (stop, stopped) = watch::channel(false);
    let counts = watch::Sender::new(Supervised::default());
    let mut counted = counts.subscribe();
    // A run that began after the lists were made, and before those were looked for that have ended.
    shelf.blink(2);
    let watching = async {
        counted.wait_for(|counts| counts.waiting == 1).await.unwrap();
        // A run that changed its state between the lists, while a delivery stirred the shelf.
        shelf.blink(2);
        room.deliver(None, vec![firing("Other", "api", 1)]).await;
        counted.wait_for(|counts| counts.waiting == 0).await.unwrap();
        assert!(shelf.is_open());
        stop.send_replace(true);
    };
    tokio::join!(room.desk.supervise(stopped, &counts), watching);
    room.pass(20);
    let again = room.deliver(None, vec![firing("HighLatency", "api", 2)]).await;
    assert_eq!(whys(&room.outcomes(&again).await), ["active"]);
}

#[tokio::test]
async fn an_environment_that_cannot_be_used_is_told() {
    let room = Room::new();
    let told = room.deliver_to("nowhere", None, vec![firing("HighLatency", "api", 1)]).await;
    assert_eq!(whys(&room.outcomes(&told).await), ["unusable"]);
}

/// Whatever happens between the deliveries, every delivery is worked off once, and a group never has
/// two active runs.
#[tokio::test]
async fn nothing_is_lost_or_done_twice_after_a_crash() {
    let mut room = Room::new();
    for number in 0..20 {
        for service in ["api", "web", "db"] {
            let parcel = Parcel {
                hook: "am".to_owned(),
                source: Source::Alertmanager,
                environment: "demo".to_owned(),
                number: None,
                body: "{}".to_owned(),
                alerts: vec![firing("HighLatency", service, number / 2)],
                trace_parent: None,
            };
            room.desk.receive(parcel).await.unwrap();
        }
        room.crash();
        if number % 3 == 0 {
            // Two desks at work on the same shelf.
            let (one, other) = tokio::join!(room.desk.work_once(), room.desk.work_once());
            one.unwrap();
            other.unwrap();
        }
    }
    while room.desk.work_once().await.unwrap().deliveries > 0 {}
    assert_eq!(room.runs().await.len(), 3);
    let all = DocumentQuery { limit: 1_000, ..DocumentQuery::default() };
    let deliveries = kept::list::<kept::Delivery>(&room.shelf, all).await.unwrap();
    assert_eq!(deliveries.len(), 60);
    let started = deliveries.iter().flat_map(|found| &found.value.outcomes).filter(|it| it.started.is_some());
    assert_eq!(started.count(), 3);
    assert!(deliveries.iter().all(|found| found.value.outcomes.len() == 1));
}

//! Incidents on the desk: looked at before they are resolved, told as one story, and people called
//! once running again has not helped.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use runbook_contract::{Action, Cx, Registry};
use runbook_core::{
    Timestamp, Value,
    alert::{Alert, AlertStatus},
    change::Observed,
    duration::Duration,
    event::{Actor, Body, Channel, Created, Event, Hands, Record, RunId},
    fault::Fault,
    incident::{Closing, Incident, IncidentId, Input, Opening, Origin, State},
    parse,
    policy::Policy,
    runbook::{Runbook, Source},
    severity::Matrix,
    spec::{ActionSpec, Effect, Grade, Reads, UndoSupport},
    timeline::Entry,
};
use runbook_desk::{Desk, DeskError, House, Parcel, Start, latest::Place, story::Heard};
use runbook_engine::{Clock as _, Engine, NoSecrets, Setup, Until, clock::Manual};
use runbook_journal::{Batch, Memory, RunQuery, Shelf};
use serde_json::json;

const RUNBOOK: &str = r#"
apiVersion: runbook/v1
name: high-latency
owners: [platform-oncall]
inputs: { service: { type: string } }
triggers:
  - source: alertmanager
    inputs: { service: "${{ alert.service }}" }
    group_by: [service]
    max_runs: { count: 2, within: 1h }
steady_state:
  - { id: p95, check: gauge.read, expect: value < 0.5 }
steps:
  - { id: look, check: gauge.read }
"#;

/// What is measured: a number, nothing, or no answer.
#[derive(Debug, Clone, Copy)]
enum Needle {
    At(f64),
    Broken,
    Stuck,
}

#[derive(Debug)]
struct Gauge {
    spec: ActionSpec,
    needle: Arc<Mutex<Needle>>,
    asked: tokio::sync::Notify,
}

#[async_trait]
impl Action for Gauge {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }
    async fn observe(&self, _: &Cx, _: &Value) -> Result<Observed, Fault> {
        let needle = *self.needle.lock().unwrap();
        self.asked.notify_one();
        match needle {
            Needle::At(value) => Ok(Observed::outputs(json!({ "value": value }))),
            Needle::Broken => Err(Fault::unreachable("connection refused")),
            Needle::Stuck => std::future::pending().await,
        }
    }
}

#[derive(Debug)]
struct Fixed {
    runbook: Arc<Runbook>,
    engine: Engine,
}

#[async_trait]
impl House for Fixed {
    fn runbooks(&self) -> Vec<Arc<Runbook>> {
        vec![self.runbook.clone()]
    }
    async fn engine(&self, _: &str) -> Result<Engine, String> {
        Ok(self.engine.clone())
    }
    async fn reader(&self, environment: &str) -> Result<Engine, String> {
        self.engine(environment).await
    }
    fn severity(&self) -> Arc<Matrix> {
        Arc::default()
    }
    fn closing(&self) -> Closing {
        Closing::Manual
    }
    async fn created(&self, start: &Start) -> Result<Created, String> {
        Ok(created(&self.runbook, start))
    }
}

fn created(runbook: &Arc<Runbook>, start: &Start) -> Created {
    Created {
        trace_parent: None,
        runbook: runbook.clone(),
        library: BTreeMap::new(),
        inputs: start.inputs.clone(),
        environment: start.environment.clone(),
        simulated: None,
        speed: 1,
        hands: Hands::Live,
        policy: Policy::default(),
        reason: None,
        overriding: false,
        incident: start.incident.clone(),
        alert: start.alert.clone(),
        bound_to: None,
        planned_at: None,
    }
}

struct Room {
    desk: Desk,
    engine: Engine,
    clock: Manual,
    needle: Arc<Mutex<Needle>>,
    gauge: Arc<Gauge>,
    runbook: Arc<Runbook>,
}

fn ada() -> Actor {
    Actor { name: "ada".to_owned(), how: Channel::Web }
}

impl Room {
    fn new(runbook: &str) -> Self {
        let clock = Manual::at("2026-11-21T03:00:00Z".parse().unwrap());
        let shelf: Arc<dyn Shelf> = Arc::new(Memory::new());
        let needle = Arc::new(Mutex::new(Needle::At(0.1)));
        let spec = ActionSpec {
            name: "gauge.read".to_owned(),
            summary: "A gauge for tests".to_owned(),
            effect: Effect::Read,
            destructive_when: None,
            input: json!({ "type": "object" }).into(),
            output: json!({ "type": "object" }).into(),
            undo: UndoSupport::None("a test".to_owned()),
            grade: Grade::Validated,
            reads: Reads::Behaviour,
            permissions: vec![],
            example: json!({}),
        };
        let gauge = Arc::new(Gauge { spec, needle: needle.clone(), asked: Default::default() });
        let engine = Engine::new(Setup {
            journal: shelf.clone(),
            registry: Registry::default().with(vec![gauge.clone() as Arc<dyn Action>]),
            secrets: Arc::new(NoSecrets),
            limits: BTreeMap::new(),
            clock: Arc::new(clock.clone()),
            owner: "test".to_owned(),
        });
        let runbook = Arc::new(parse::parse("high-latency.yaml", runbook).runbook.unwrap());
        let house = Fixed { runbook: runbook.clone(), engine: engine.clone() };
        let desk = Desk::new(shelf, Arc::new(house), Arc::new(clock.clone()));
        Self { desk, engine, clock, needle, gauge, runbook }
    }

    fn measure(&self, needle: Needle) {
        *self.needle.lock().unwrap() = needle;
    }

    async fn declared(&self) -> IncidentId {
        let opening = Opening {
            title: "checkout is slow".to_owned(),
            severity: "SEV-2".to_owned(),
            service: None,
            environment: Some("demo".to_owned()),
            key: String::new(),
            description: None,
            origin: Origin::Person,
        };
        self.desk.declare(opening, &ada()).await.unwrap().id
    }

    fn start(&self, incident: IncidentId) -> Start {
        Start {
            trace_parent: None,
            runbook: "high-latency".to_owned(),
            inputs: json!({ "service": "api" }),
            environment: "demo".to_owned(),
            alert: Value::Null,
            incident: Some(incident.to_string()),
            reason: None,
        }
    }

    /// A run from its beginning to its end, as a command line drives it.
    async fn run(&self, incident: IncidentId) -> RunId {
        let start = self.start(incident);
        let keep = async |run, first| self.desk.enter(run, first, &start, &ada()).await;
        let drive = self.engine.launch_with(created(&self.runbook, &start), ada(), Until::Ended, keep).await;
        let run = drive.unwrap().finished().await.unwrap().id;
        self.desk.settle(run).await.unwrap();
        run
    }

    async fn resolve(&self, id: IncidentId, force: Option<&str>) -> Result<Arc<Incident>, DeskError> {
        self.desk.resolve(id, &ada(), None, force.map(str::to_owned)).await
    }

    async fn kinds(&self, id: IncidentId) -> Vec<String> {
        let incident = self.desk.incident(id).await.unwrap();
        self.desk.story(&incident, |_| false).await.unwrap().into_iter().map(|entry| entry.kind).collect()
    }

    /// An alert of the service that fires for the first time; what it started.
    async fn fires(&self, number: u32) -> Vec<&'static str> {
        let alert = Alert {
            source: Source::Alertmanager,
            status: AlertStatus::Firing,
            fingerprint: "latency".to_owned(),
            key: format!("latency/{number}"),
            name: "HighLatency".to_owned(),
            title: "slow".to_owned(),
            description: None,
            severity: Some("critical".to_owned()),
            service: Some("api".to_owned()),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            metrics: Value::Null,
            starts_at: Timestamp::UNIX_EPOCH,
            ends_at: None,
            url: None,
        };
        let parcel = Parcel {
            trace_parent: None,
            hook: "am".to_owned(),
            source: Source::Alertmanager,
            environment: "demo".to_owned(),
            number: None,
            body: "{}".to_owned(),
            alerts: vec![alert],
        };
        let delivery = self.desk.receive(parcel).await.unwrap().delivery;
        self.desk.work_once().await.unwrap();
        let found = runbook_desk::kept::find::<runbook_desk::kept::Delivery>(self.desk.shelf(), &delivery);
        let outcomes = found.await.unwrap().unwrap().value.outcomes;
        for run in outcomes.iter().filter_map(|outcome| outcome.started) {
            self.engine.drive(run, Until::Ended).await.unwrap().finished().await.unwrap();
            self.desk.settle(run).await.unwrap();
        }
        outcomes.iter().map(|outcome| outcome.nothing.as_ref().map_or("started", |why| why.code())).collect()
    }
}

#[tokio::test]
async fn what_has_come_back_since_the_run_keeps_an_incident_open() {
    let room = Room::new(RUNBOOK);
    let id = room.declared().await;
    room.run(id).await;
    assert_eq!(room.desk.incident(id).await.unwrap().runs.values().next().unwrap().recovered, Some(true));
    room.measure(Needle::At(0.9));
    let refused = room.resolve(id, None).await.unwrap_err().to_string();
    assert_eq!(refused, "INC-1 is not over: the steady state does not hold (p95 value=0.9)");
    let incident = room.desk.incident(id).await.unwrap();
    assert!(incident.is_open());
    assert_eq!(incident.steady.as_ref().unwrap().holds, Some(false), "what was seen is kept all the same");
    room.measure(Needle::At(0.2));
    let resolution = room.resolve(id, None).await.unwrap().resolution.clone().unwrap();
    assert_eq!((resolution.verified, resolution.forced), (Some(true), false));
    assert_eq!(room.kinds(id).await[4..], ["steady_checked", "steady_checked", "resolved"]);
    // Again changes nothing, and nobody looks.
    room.resolve(id, None).await.unwrap();
    assert_eq!(room.kinds(id).await.len(), 7);
}

#[tokio::test]
async fn what_nobody_can_read_takes_a_reason() {
    let room = Room::new(RUNBOOK);
    let id = room.declared().await;
    room.run(id).await;
    room.measure(Needle::Broken);
    let refused = room.resolve(id, None).await.unwrap_err().to_string();
    assert!(refused.contains("the steady state cannot be read (p95 could not be read"), "{refused}");
    let forced = room.resolve(id, Some("the dashboard says so")).await.unwrap();
    let resolution = forced.resolution.clone().unwrap();
    assert_eq!((resolution.verified, resolution.forced), (None, true));
    assert_eq!(resolution.reason.as_deref(), Some("the dashboard says so"));
}

#[tokio::test]
async fn nobody_waits_without_end_for_a_look() {
    let room = Room::new(RUNBOOK);
    let id = room.declared().await;
    room.run(id).await;
    // Those who asked before had their answer.
    while let Some(()) = futures::FutureExt::now_or_never(room.gauge.asked.notified()) {}
    room.measure(Needle::Stuck);
    let late = async {
        room.gauge.asked.notified().await;
        room.clock.advance(Duration::from_secs(11));
    };
    let (refused, ()) = tokio::join!(room.resolve(id, None), late);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("there was no answer within 10s"), "{refused}");
}

#[tokio::test]
async fn without_a_steady_state_nothing_is_verified_and_nothing_in_the_way() {
    let room = Room::new(
        &RUNBOOK.replace("steady_state:\n  - { id: p95, check: gauge.read, expect: value < 0.5 }\n", ""),
    );
    let id = room.declared().await;
    room.run(id).await;
    room.measure(Needle::Broken);
    assert_eq!(room.resolve(id, None).await.unwrap().resolution.clone().unwrap().verified, None);
    assert_eq!(room.desk.incident(id).await.unwrap().state, State::Resolved);
}

#[tokio::test]
async fn an_incident_is_one_story_with_its_runs_and_goes_on_where_it_was_heard() {
    let room = Room::new(RUNBOOK);
    let id = room.declared().await;
    let run = room.run(id).await;
    let incident = room.desk.incident(id).await.unwrap();
    let mut heard = Heard::default();
    let story = room.desk.story_since(&incident, &mut heard, |_| true).await.unwrap();
    let place = |story: &[Entry], kind: &str| story.iter().position(|entry| entry.kind == kind).unwrap();
    assert!(place(&story, "run_started") < place(&story, "run_created"));
    assert_eq!(story.iter().filter(|entry| entry.run == Some(run)).count() + 4, story.len());
    assert_eq!(room.desk.story(&incident, |_| true).await.unwrap(), story);
    assert!(room.desk.story_since(&incident, &mut heard, |_| true).await.unwrap().is_empty());
    room.desk.say(id, &ada(), || Input::Note { text: "it was the deploy".to_owned() }).await.unwrap();
    let news = room.desk.story_since(&incident, &mut heard, |_| true).await.unwrap();
    assert_eq!(news.iter().map(|entry| entry.kind.as_str()).collect::<Vec<_>>(), ["noted"]);
    let own = room.desk.story(&incident, |_| false).await.unwrap();
    assert!(own.iter().all(|entry| entry.run.is_none()), "others see no runs of which they may know nothing");
}

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

impl Room {
    /// One more entry in a run, as whoever takes it over makes.
    async fn resumed(&self, run: RunId) {
        let shelf = self.desk.shelf();
        let last = shelf.read(run, 0).await.unwrap().pop().unwrap();
        let (seq, at) = (last.seq + 1, self.clock.now());
        let body = Body::RunResumed { owner: format!("host-{seq}") };
        let record = Record::seal(&Event { seq, at, actor: Actor::engine(), body }, &last.hash).unwrap();
        let runs = shelf.runs(&RunQuery { limit: 1_000, ..RunQuery::default() }).await.unwrap();
        let summary = runs.into_iter().find(|head| head.run == run).unwrap().summary;
        shelf.append(Batch { run, after: last.seq, records: vec![record], summary }).await.unwrap();
    }

    /// Something that happens to the incident or to one of its runs, now and then at the same moment as
    /// what was before.
    async fn happens(&self, id: IncidentId, runs: &[RunId], dice: &mut Dice) {
        self.clock.advance(Duration::from_secs(dice.roll(3)));
        match dice.roll(runs.len() as u64 + 2) as usize {
            number if number < runs.len() => self.resumed(runs[number]).await,
            number => {
                let note = || Input::Note { text: format!("note {number}") };
                self.desk.say(id, &ada(), note).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_story_is_read_from_its_end_in_pages_whatever_happens_meanwhile() {
    let room = Room::new(RUNBOOK);
    let id = room.declared().await;
    let mut dice = Dice(7);
    let mut runs = Vec::new();
    for _ in 0..8 {
        runs.push(room.run(id).await);
        // Some runs are over before others begin; the first goes on through all of it.
        let from = if dice.roll(2) == 0 { 0 } else { runs.len() - 1 };
        for _ in 0..40 {
            room.happens(id, &runs[from..], &mut dice).await;
        }
    }
    let incident = room.desk.incident(id).await.unwrap();
    let whole = room.desk.story(&incident, |_| true).await.unwrap();
    assert!(whole.len() > 300);
    for limit in [3, 50, 1_000] {
        let (mut told, mut before) = (Vec::new(), None);
        loop {
            let part = room.desk.story_before(&incident, |_| true, before, limit).await.unwrap();
            assert!(part.entries.len() == limit || part.next.is_none());
            told.extend(part.entries);
            before = part.next;
            if before.is_none() {
                break;
            }
            // What is new is no part of what was before.
            room.clock.advance(Duration::from_secs(1));
            room.happens(id, &runs, &mut dice).await;
        }
        told.reverse();
        // The last page began where the story ended at that moment.
        let whole = room.desk.story(&incident, |_| true).await.unwrap();
        assert!(whole.starts_with(&told), "pages of {limit}");
        assert!(told.len() > 300);
    }
    let own = room.desk.story_before(&incident, |_| false, None, 1_000).await.unwrap();
    assert!(own.entries.iter().all(|entry| entry.run.is_none()) && own.next.is_none());
    let none = Incident::clone(&incident);
    let beginning = Place { at: Timestamp::UNIX_EPOCH, run: None, seq: 1 };
    let nothing = room.desk.story_before(&none, |_| true, Some(beginning), 10).await.unwrap();
    assert_eq!((nothing.entries, nothing.next), (vec![], None));
}

#[tokio::test]
async fn a_run_is_not_bound_to_an_incident_that_is_not_there() {
    let room = Room::new(RUNBOOK);
    let start = room.start(IncidentId::new(7));
    let refused = room.desk.start(&start, &ada()).await.unwrap_err();
    assert!(matches!(refused, DeskError::UnknownIncident(_)), "{refused}");
    // Another system's word for an incident is only a word.
    let start = Start { incident: Some("JIRA-7".to_owned()), ..start };
    room.desk.start(&start, &ada()).await.unwrap();
}

#[tokio::test]
async fn people_are_called_once_a_window_when_running_again_has_not_helped() {
    for (named, called) in
        [("", "platform-oncall"), ("escalation: { after: 30m, to: [sre-lead] }\n", "sre-lead")]
    {
        let room = Room::new(&format!("{RUNBOOK}{named}"));
        room.measure(Needle::At(0.9));
        let calls = async || {
            let incident = room.desk.incident(IncidentId::new(1)).await.unwrap();
            incident.escalations.iter().map(|call| call.to.clone()).collect::<Vec<_>>()
        };
        for number in 1..=2 {
            assert_eq!(room.fires(number).await, ["started"]);
        }
        assert!(calls().await.is_empty());
        for number in 3..=5 {
            assert_eq!(room.fires(number).await, ["max_runs"]);
            assert_eq!(calls().await, [[called]], "once");
            room.clock.advance(Duration::from_secs(60));
        }
        // An hour after the first runs it may run again; that this does not help calls them again.
        room.clock.advance(Duration::from_secs(3_600));
        assert_eq!(room.fires(6).await, ["started"]);
        assert_eq!(room.fires(7).await, ["started"]);
        assert_eq!(room.fires(8).await, ["max_runs"]);
        assert_eq!(calls().await, [[called], [called]]);
        let incident = room.desk.incident(IncidentId::new(1)).await.unwrap();
        let told = room.desk.story(&incident, |_| false).await.unwrap();
        let told = told.iter().find(|entry| entry.kind == "escalated").unwrap();
        assert!(
            told.summary.starts_with(&format!("high-latency is not run again, {called} called")),
            "{}",
            told.summary
        );
    }
}

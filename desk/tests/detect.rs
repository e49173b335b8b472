//! The embedded detector over a journal in memory, with a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use runbook_core::{
    detection::{Measure, Message, Rule, Sample},
    duration::Duration,
    fault::Fault,
};
use runbook_desk::{
    detect::{self, Detection, Detector, Gauge, Round, Sink, Watched},
    kept,
};
use runbook_engine::{Clock as _, clock::Manual};
use runbook_journal::{DocumentQuery, Memory, Shelf};
use serde_json::Value;
use tokio::sync::{Notify, watch};

/// What each query measures: a number, nothing, an error, or an answer that never comes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Needle {
    At(f64),
    Gone,
    Broken,
    Stuck,
}

#[derive(Debug, Default)]
struct Panel {
    needles: Mutex<BTreeMap<String, Needle>>,
    asked: Mutex<Vec<String>>,
    stuck: Notify,
}

impl Panel {
    fn set(&self, query: &str, needle: Needle) {
        self.needles.lock().unwrap().insert(query.to_owned(), needle);
    }
}

#[async_trait]
impl Gauge for Panel {
    async fn read(&self, measure: &Measure) -> Result<Vec<Sample>, Fault> {
        let query = measure.query.clone().unwrap();
        self.asked.lock().unwrap().push(query.clone());
        let needle = self.needles.lock().unwrap().get(&query).copied();
        let labels = BTreeMap::from([("service".to_owned(), "api".to_owned())]);
        match needle.unwrap_or(Needle::Gone) {
            Needle::At(value) => Ok(vec![Sample { labels, value }]),
            Needle::Gone => Ok(Vec::new()),
            Needle::Broken => Err(Fault::unreachable("connection refused").hint("is it up?")),
            Needle::Stuck => {
                self.stuck.notify_one();
                std::future::pending().await
            }
        }
    }
}

#[derive(Debug, Default)]
struct Door {
    shut: Mutex<bool>,
    /// Messages of this rule are never taken.
    refuses: Mutex<Option<&'static str>>,
    came: Mutex<Vec<(String, Value)>>,
}

impl Door {
    /// What came since the last time, in short.
    fn came(&self) -> Vec<String> {
        let came = std::mem::take(&mut *self.came.lock().unwrap());
        let short = |body: &Value| {
            let text = |key: &str| body[key].as_str().unwrap().to_owned();
            format!("{} {} {}", text("name"), text("status"), body["metrics"])
        };
        came.iter().map(|(_, body)| short(body)).collect()
    }
}

#[async_trait]
impl Sink for Door {
    async fn deliver(&self, message: &Message) -> Result<(), String> {
        if *self.shut.lock().unwrap() {
            return Err("the door is shut".to_owned());
        }
        if self.refuses.lock().unwrap().is_some_and(|rule| message.id.starts_with(rule)) {
            return Err("it is not what it should be".to_owned());
        }
        self.came.lock().unwrap().push((message.id.clone(), message.body.clone()));
        Ok(())
    }
}

struct Room {
    panel: Arc<Panel>,
    door: Arc<Door>,
    shelf: Arc<dyn Shelf>,
    clock: Manual,
    rules: Vec<Rule>,
}

impl Room {
    fn new(rules: Vec<Rule>) -> Self {
        Self {
            panel: Arc::default(),
            door: Arc::default(),
            shelf: Arc::new(Memory::new()),
            clock: Manual::at("2026-11-21T03:00:00Z".parse().unwrap()),
            rules,
        }
    }

    /// A detector that knows nothing but what is on the shelf, as after a restart.
    fn detection(&self) -> Detection {
        let detector = Detector {
            name: "own".to_owned(),
            rules: self.rules.clone(),
            every: Detector::EVERY,
            repeat: Detector::REPEAT,
            timeout: Detector::TIMEOUT,
        };
        let (gauge, sink) = (self.panel.clone(), self.door.clone());
        Detection::new(detector, gauge, sink, self.shelf.clone(), Arc::new(self.clock.clone()))
    }

    /// Half a minute later.
    async fn round(&self) -> Round {
        self.clock.advance(Detector::EVERY);
        self.detection().round().await
    }

    async fn kept(&self, rule: &str) -> Option<Watched> {
        let found = kept::find::<Watched>(&self.shelf, &Watched::id("own", rule)).await.unwrap();
        found.map(|found| found.value)
    }
}

fn rule(name: &str, hold: u64) -> Rule {
    Rule {
        name: name.to_owned(),
        query: Some(name.to_lowercase()),
        above: Some(10.0),
        hold: Duration::from_secs(hold),
        ..Rule::default()
    }
}

#[tokio::test]
async fn what_lasts_is_told_once_then_told_to_be_over_also_across_restarts() {
    let room = Room::new(vec![rule("Errors", 60)]);
    room.panel.set("errors", Needle::At(20.0));
    let round = room.round().await;
    assert_eq!((round.rules, round.pending, round.firing), (1, 1, 0));
    room.round().await;
    assert_eq!(room.door.came(), Vec::<String>::new());
    let round = room.round().await;
    assert_eq!((round.firing, round.delivered), (1, 1));
    assert_eq!(room.door.came(), [r#"Errors firing {"value":20.0}"#]);
    room.panel.set("errors", Needle::At(30.0));
    room.round().await;
    assert_eq!(room.door.came(), Vec::<String>::new());
    room.panel.set("errors", Needle::At(1.0));
    room.round().await;
    assert_eq!(room.door.came(), [r#"Errors resolved {"value":1.0}"#]);
    assert!(room.kept("Errors").await.unwrap().watch.is_settled());
}

#[tokio::test]
async fn a_look_that_fails_changes_nothing_but_is_told() {
    let room = Room::new(vec![rule("Errors", 0), rule("Latency", 0)]);
    room.panel.set("errors", Needle::At(20.0));
    room.round().await;
    assert_eq!(room.door.came().len(), 1);
    room.panel.set("errors", Needle::Broken);
    room.panel.set("latency", Needle::Broken);
    let first = room.round().await;
    let second = room.round().await;
    assert_eq!((second.firing, second.failing.len()), (1, 2));
    assert_eq!(second.failing["Errors"].since, first.at);
    assert_eq!(second.failing["Errors"].message, "connection refused");
    assert_eq!(room.door.came(), Vec::<String>::new());
    room.panel.set("errors", Needle::Gone);
    let third = room.round().await;
    assert_eq!(third.failing.keys().collect::<Vec<_>>(), ["Latency"]);
    assert_eq!(room.door.came(), [r#"Errors resolved {"value":20.0}"#]);
}

#[tokio::test]
async fn what_does_not_arrive_is_told_again_under_the_same_number() {
    let room = Room::new(vec![rule("Errors", 0)]);
    room.panel.set("errors", Needle::At(20.0));
    *room.door.shut.lock().unwrap() = true;
    let round = room.round().await;
    assert_eq!((round.delivered, round.undelivered.as_deref()), (0, Some("the door is shut")));
    let before =
        room.kept("Errors").await.unwrap().watch.due(&room.rules[0], Detector::REPEAT, room.clock.now());
    // It is over before anybody could be told that it began; the end is told.
    room.panel.set("errors", Needle::At(1.0));
    room.round().await;
    *room.door.shut.lock().unwrap() = false;
    room.round().await;
    let came = room.door.came.lock().unwrap().clone();
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].1["id"], before[0].body["id"]);
    assert_eq!(came[0].1["status"], "resolved");
}

#[tokio::test]
async fn a_message_that_is_never_taken_does_not_keep_the_others_back() {
    let room = Room::new(vec![rule("Errors", 0), rule("Latency", 0)]);
    *room.door.refuses.lock().unwrap() = Some("Errors");
    room.panel.set("errors", Needle::At(20.0));
    room.panel.set("latency", Needle::At(20.0));
    let round = room.round().await;
    assert_eq!((round.delivered, round.refused), (1, 1));
    assert_eq!(room.door.came(), [r#"Latency firing {"value":20.0}"#]);
    assert_eq!(room.round().await.delivered, 0);
}

#[tokio::test]
async fn what_still_fires_is_told_again_every_few_hours() {
    let room = Room::new(vec![rule("Errors", 0)]);
    room.panel.set("errors", Needle::At(20.0));
    for _ in 0..(2 * 3600 * 4 / 30 + 1) {
        room.round().await;
    }
    let came = room.door.came.lock().unwrap().clone();
    assert_eq!(came.len(), 3);
    assert!(came.iter().all(|(id, _)| *id == came[0].0));
}

#[tokio::test]
async fn numbers_that_only_move_are_not_written() {
    let room = Room::new(vec![rule("Errors", 0)]);
    let version = async || {
        let id = Watched::id("own", "Errors");
        kept::find::<Watched>(&room.shelf, &id).await.unwrap().unwrap().version
    };
    room.panel.set("errors", Needle::At(1.0));
    room.round().await;
    let calm = version().await;
    room.panel.set("errors", Needle::At(2.0));
    room.round().await;
    assert_eq!(version().await, calm);
    room.panel.set("errors", Needle::At(20.0));
    room.round().await;
    let firing = version().await;
    room.panel.set("errors", Needle::At(21.0));
    room.round().await;
    assert_eq!(version().await, firing);
}

#[tokio::test]
async fn a_rule_that_is_taken_away_ends_what_it_had_begun() {
    let mut room = Room::new(vec![rule("Errors", 0), rule("Latency", 0)]);
    room.panel.set("errors", Needle::At(20.0));
    room.round().await;
    room.door.came();
    room.rules.remove(0);
    room.round().await;
    assert_eq!(room.door.came(), [r#"Errors resolved {"value":20.0}"#]);
    room.round().await;
    assert_eq!(room.kept("Errors").await, None);
    let all = kept::list::<Watched>(&room.shelf, DocumentQuery::default()).await.unwrap();
    assert_eq!(all.len(), 1);
}

#[tokio::test]
async fn what_is_told_along_is_only_asked_for_where_it_is_needed_and_may_be_missing() {
    let query = |text: &str| Measure { query: Some(text.to_owned()), cloudwatch: None };
    let mut traffic = Rule { above: None, below: Some(0.5), ..rule("Traffic", 0) };
    traffic.expected = Some(query("should"));
    traffic.also.extend([("users".to_owned(), query("users")), ("p95".to_owned(), query("p95"))]);
    let room = Room::new(vec![traffic]);
    for (name, needle) in [("traffic", 90.0), ("should", 100.0), ("users", 7.0)] {
        room.panel.set(name, Needle::At(needle));
    }
    room.panel.set("p95", Needle::Broken);
    room.round().await;
    assert_eq!(*room.panel.asked.lock().unwrap(), ["traffic", "should"]);
    room.panel.set("traffic", Needle::At(40.0));
    room.round().await;
    assert_eq!(room.door.came(), [r#"Traffic firing {"expected":100.0,"users":7.0,"value":40.0}"#]);
    // What is expected is part of the condition: without it nothing is known.
    room.panel.set("should", Needle::Broken);
    assert_eq!(room.round().await.failing.len(), 1);
    assert_eq!(room.door.came(), Vec::<String>::new());
}

#[tokio::test]
async fn one_rule_without_an_answer_does_not_hold_the_others_up() {
    let room = Room::new(vec![rule("Stuck", 0), rule("Errors", 0)]);
    room.panel.set("stuck", Needle::Stuck);
    room.panel.set("errors", Needle::At(20.0));
    let (clock, panel) = (room.clock.clone(), room.panel.clone());
    let patience = async {
        panel.stuck.notified().await;
        clock.advance(Detector::TIMEOUT);
    };
    let detection = room.detection();
    let (round, ()) = tokio::join!(detection.round(), patience);
    assert_eq!(round.failing["Stuck"].message, "there was no answer within 10s");
    assert_eq!(room.door.came().len(), 1);
}

#[tokio::test]
async fn rounds_that_are_missed_are_not_made_up_for() {
    let room = Room::new(vec![rule("Errors", 0)]);
    let detection = room.detection();
    let (stop, stopped) = watch::channel(false);
    let mut rounds = detection.rounds();
    let watching = tokio::spawn(async move { detection.watch(stopped).await });
    let mut times = Vec::new();
    for pause in [30, 30, 95, 25] {
        rounds.changed().await.unwrap();
        times.push(rounds.borrow_and_update().as_ref().unwrap().at);
        // The detector may not sleep yet; a clock that has moved already wakes it at once.
        room.clock.advance(Duration::from_secs(pause));
    }
    rounds.changed().await.unwrap();
    times.push(rounds.borrow_and_update().as_ref().unwrap().at);
    let start = times[0];
    let offsets: Vec<f64> = times.iter().map(|at| Duration::between(start, *at).as_secs_f64()).collect();
    assert_eq!(offsets, [0.0, 30.0, 60.0, 155.0, 180.0]);
    stop.send(true).unwrap();
    watching.await.unwrap();
}

#[tokio::test]
async fn two_detectors_of_the_same_rules_tell_the_same() {
    let room = Room::new(vec![rule("Errors", 30)]);
    let (one, other) = (room.detection(), room.detection());
    room.panel.set("errors", Needle::At(20.0));
    for value in [20.0, 20.0, 20.0, 1.0] {
        room.panel.set("errors", Needle::At(value));
        room.clock.advance(Detector::EVERY);
        tokio::join!(one.round(), other.round());
    }
    let came = room.door.came.lock().unwrap().clone();
    let ids: std::collections::BTreeSet<&str> = came.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids.len(), 2, "one firing and its end: {came:?}");
}

/// So many half minutes later.
async fn rounds(room: &Room, count: u32) -> Round {
    let mut round = Round::default();
    for _ in 0..count {
        round = room.round().await;
    }
    round
}

#[tokio::test]
async fn a_detector_that_cannot_see_says_so_and_when_it_can_again() {
    let room = Room::new(vec![rule("Errors", 0), rule("Latency", 0)]);
    room.panel.set("errors", Needle::Broken);
    room.panel.set("latency", Needle::At(1.0));
    rounds(&room, 10).await;
    assert_eq!(room.door.came(), Vec::<String>::new(), "four and a half minutes may be a restart");
    assert_eq!(room.kept("DetectorBlind").await, None);
    let round = room.round().await;
    assert_eq!((round.blind_for(), round.firing), (Duration::from_secs(300), 1));
    let (_, body) = room.door.came.lock().unwrap()[0].clone();
    assert_eq!(body["title"], "detector own is blind since 2026-11-21 03:00:30 UTC");
    assert_eq!(body["annotations"]["cannot be read"], "Errors: connection refused");
    assert_eq!(room.door.came(), [r#"DetectorBlind firing {"blindSeconds":300.0}"#]);
    rounds(&room, 5).await;
    assert_eq!(room.door.came(), Vec::<String>::new(), "once");
    room.panel.set("errors", Needle::At(1.0));
    let round = room.round().await;
    assert_eq!((round.blind_for(), round.firing), (Duration::ZERO, 0));
    assert_eq!(room.door.came(), [r#"DetectorBlind resolved {"blindSeconds":0.0}"#]);
    room.round().await;
    assert_eq!(room.kept("DetectorBlind").await, None, "nothing need be kept of it");
}

#[tokio::test]
async fn a_rule_of_the_same_name_is_there_instead() {
    let room = Room::new(vec![rule("DetectorBlind", 0)]);
    room.panel.set("detectorblind", Needle::Broken);
    rounds(&room, 20).await;
    assert_eq!(room.door.came(), Vec::<String>::new());
    room.panel.set("detectorblind", Needle::At(20.0));
    room.round().await;
    assert_eq!(room.door.came(), [r#"DetectorBlind firing {"value":20.0}"#]);
}

#[tokio::test]
async fn a_detector_that_is_taken_away_ends_what_it_had_begun() {
    let mut room = Room::new(vec![rule("Errors", 0), rule("Latency", 0)]);
    room.panel.set("errors", Needle::At(20.0));
    room.panel.set("latency", Needle::Broken);
    rounds(&room, 12).await;
    let mut began = room.door.came();
    began.sort();
    assert_eq!(began, [r#"DetectorBlind firing {"blindSeconds":300.0}"#, r#"Errors firing {"value":20.0}"#]);
    assert_eq!(detect::names(&room.shelf).await.unwrap(), ["own".to_owned()].into());
    room.rules.clear();
    *room.door.shut.lock().unwrap() = true;
    let (stop, stopped) = watch::channel(false);
    let detection = room.detection();
    let retiring = tokio::spawn(async move { detection.retire(stopped).await });
    // Whoever is not there yet is told later.
    while room.kept("Errors").await.is_some_and(|kept| !kept.watch.series.is_empty()) {
        tokio::task::yield_now().await;
    }
    *room.door.shut.lock().unwrap() = false;
    while !retiring.is_finished() {
        room.clock.advance(Detector::EVERY);
        tokio::task::yield_now().await;
    }
    let mut over = room.door.came();
    over.sort();
    assert_eq!(over.len(), 2, "{over:?}");
    assert!(
        over[0].starts_with("DetectorBlind resolved") && over[1].starts_with("Errors resolved"),
        "{over:?}"
    );
    assert!(detect::names(&room.shelf).await.unwrap().is_empty());
    drop(stop);
}

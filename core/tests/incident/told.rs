//! The timeline of an incident.

use std::sync::Arc;

use runbook_core::{
    Value,
    event::{self, Actor, Created, Hands, Record},
    incident::{self, Closing, Input, Role, Seen, State},
    policy::Policy,
    runbook::Runbook,
    timeline::{self, Entry},
};
use serde_json::json;

use crate::story::{Story, alert, alice, at, door, run};

fn told(story: &Story) -> Vec<Entry> {
    incident::timeline::entries(&incident::history(&story.records).unwrap(), story.incident.id)
}

/// With an event of every kind.
fn eventful() -> Story {
    let mut story = Story::of_alert(42, "a");
    story.say(Input::Acknowledge).unwrap();
    story.say(Input::Assign { role: Role::IncidentCommander, person: "bob".into() }).unwrap();
    story.start(1);
    let why = "an active run has the same target".to_owned();
    story.say(Input::NothingStarted { alert: "a".into(), runbook: Some("scale-up".into()), why }).unwrap();
    story.say(Input::NothingStarted { alert: "a".into(), runbook: None, why: "no runbook".into() }).unwrap();
    let (runbook, to) = ("high-latency".to_owned(), vec!["platform-oncall".to_owned()]);
    let why = "it has run 3 times within 1h".to_owned();
    story.say(Input::Escalate { runbook, to, why }).unwrap();
    story.say(Input::Note { text: "the deploy of 14:20".into() }).unwrap();
    story.say(Input::SetState { to: State::Identified }).unwrap();
    let reason = Some("only one region".to_owned());
    story.say(Input::SetSeverity { to: "SEV-2".into(), reason }).unwrap();
    story.end(1, Some(true), Closing::Manual);
    story.resolve_alert("a", Closing::Manual);
    story.say(Input::Leave { role: Role::IncidentCommander, person: "bob".into() }).unwrap();
    story.say(Input::Link { other: "INC-7".parse().unwrap() }).unwrap();
    story.resolve(Some(true), None).unwrap();
    story.say(Input::Reopen { reason: Some("it is back".into()) }).unwrap();
    let part = |check: &str, passed: Option<bool>, seen: &str| Seen {
        runbook: "high-latency".into(),
        check: Some(check.into()),
        passed,
        seen: seen.into(),
    };
    let seen = vec![part("errors", Some(true), "value = 0"), part("p95", Some(false), "value = 0.9")];
    story.say(Input::SteadyLooked { seen }).unwrap();
    story.resolve(Some(false), Some("the metric is wrong")).unwrap();
    story.say(Input::Reopen { reason: None }).unwrap();
    story.say(Input::Absorb(&Story::declared(8).incident)).unwrap();
    story.say(Input::Merge { into: "INC-9".parse().unwrap() }).unwrap();
    story.check();
    story
}

#[test]
fn each_event_is_a_line_for_people() {
    let lines: Vec<String> = told(&eventful()).iter().map(timeline::line).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// Journals are kept for years: what is written today is read by every later version.
#[test]
fn the_form_in_which_events_are_kept_does_not_change() {
    let texts: Vec<String> =
        eventful().records.iter().map(|record| String::from_utf8(record.bytes.clone()).unwrap()).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn an_entry_has_the_keys_of_a_run_and_its_own() {
    let story = Story::of_alert(42, "a");
    let entry = serde_json::to_value(&told(&story)[0]).unwrap();
    let keys: Vec<&String> = entry.as_object().unwrap().keys().collect();
    let expected = ["seq", "at", "type", "run", "incident", "step", "actor", "summary", "data", "hash"];
    assert_eq!(keys, expected);
    assert_eq!((&entry["run"], &entry["incident"]), (&Value::Null, &json!("INC-42")));
    let read: Entry = serde_json::from_value(entry).unwrap();
    assert_eq!((read.whose(), read.place()), ("INC-42".to_owned(), "incident"));
}

fn history_of_a_run(second: i64) -> Vec<(event::Event, String)> {
    let created = Created {
        runbook: Arc::new(
            serde_json::from_value::<Runbook>(json!({
                "apiVersion": "runbook/v1", "name": "high-latency", "title": "High latency",
                "steps": [{ "id": "wait", "wait": "1s" }],
            }))
            .unwrap(),
        ),
        library: Default::default(),
        inputs: json!({}),
        environment: "prod".into(),
        simulated: None,
        speed: 1,
        hands: Hands::Live,
        policy: Policy::default(),
        reason: None,
        overriding: false,
        incident: Some("INC-42".into()),
        alert: Value::Null,
        trace_parent: None,
        bound_to: None,
        planned_at: None,
    };
    let body = event::Body::RunCreated(Box::new(created));
    let first = event::Event { seq: 1, at: at(second), actor: alice(), body };
    let body = event::Body::RunResumed { owner: "host".into() };
    let second = event::Event { seq: 2, at: at(second + 10), actor: Actor::engine(), body };
    let records = Record::seal_all(&[first.clone(), second.clone()], &event::genesis(run(1))).unwrap();
    [first, second].into_iter().zip(records.into_iter().map(|record| record.hash)).collect()
}

#[test]
fn the_incident_and_its_runs_are_one_list() {
    let mut story = Story::of_alert(42, "a");
    story.start(1);
    let started = story.now;
    story.now += 4;
    story.say_as(&door(), Input::AlertFiring(&alert("b"))).unwrap();
    story.now += 20;
    story.say(Input::Note { text: "better".into() }).unwrap();
    let mut entries = timeline::entries(&history_of_a_run(started), run(1));
    entries.extend(told(&story));
    let entries = timeline::in_order(entries);
    let order: Vec<(&str, &str)> = entries.iter().map(|entry| (entry.place(), entry.kind.as_str())).collect();
    assert_eq!(
        order,
        [
            ("incident", "opened"),
            ("incident", "alert_joined"),
            ("incident", "run_started"),
            ("run", "run_created"),
            ("incident", "alert_joined"),
            ("run", "run_resumed"),
            ("incident", "noted"),
        ]
    );
    let keys: Vec<String> =
        serde_json::to_value(&entries[3]).unwrap().as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["seq", "at", "type", "run", "step", "actor", "summary", "data", "hash"]);
}

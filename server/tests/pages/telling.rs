//! What people are told of an incident, and that those who were called learn when they are not needed
//! any more.

use std::{collections::BTreeMap, sync::Arc};

use runbook_core::{
    alert::AlertStatus,
    event::{Actor, Channel as How, EndStatus, RunId},
    incident::{Closing, IncidentId, Input},
};
use runbook_engine::clock::Manual;
use runbook_journal::Mark;
use runbook_notify::{Channel, pagerduty};
use runbook_server::Herald;
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use crate::fixture::Fixture;

fn oncall(on: &[&str]) -> Channel {
    let channel =
        json!({ "kind": "pagerduty", "name": "oncall", "on": on, "routing_key": { "env": "UNSET" } });
    serde_json::from_value(channel).unwrap()
}

/// What PagerDuty is sent: what is done about each subject, in the order in which it happened.
async fn events(fixture: &Fixture) -> BTreeMap<String, Vec<String>> {
    let Channel::PagerDuty(config) = oncall(&[]) else { unreachable!() };
    let mut listed = fixture.site.outbox.list(Some("oncall"), None, None, 1_000).await.unwrap();
    listed.sort_by_key(|one| one.dispatch.notice.at);
    let mut events: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in listed {
        let event = pagerduty::event(&config, &one.dispatch.notice, None);
        let text = |key: &str| event[key].as_str().unwrap().to_owned();
        events.entry(text("dedup_key")).or_default().push(text("event_action"));
    }
    events
}

/// Lets the herald tell until so many notices wait.
async fn tell(fixture: &Fixture, count: usize) {
    let (stop, stopping) = watch::channel(false);
    let herald = Herald::new(fixture.site.clone(), fixture.site.outbox.clone());
    let watching = async {
        let mut mark = Mark::default();
        while events(fixture).await.values().map(Vec::len).sum::<usize>() < count {
            mark = fixture.site.shelf().stirred(mark).await.unwrap();
        }
        stop.send_replace(true);
        // Whatever it waits for: it looks whether it is to stop.
        fixture.site.desk.say(IncidentId::new(1), &rob(), note).await.unwrap();
    };
    tokio::join!(herald.follow(stopping), watching);
}

fn rob() -> Actor {
    Actor { name: "rob".to_owned(), how: How::Web }
}

fn note() -> Input<'static> {
    Input::Note { text: "told".to_owned() }
}

#[tokio::test]
async fn whoever_was_called_learns_that_it_was_taken_on_and_that_it_is_over() {
    let clock = Manual::at("2026-11-21T03:00:00Z".parse().unwrap());
    let on = ["incident_opened", "incident_escalated", "run_stuck", "run_escalated", "alert_unmatched"];
    let url = "http://127.0.0.1:8080/";
    let fixture = Fixture::telling(Arc::new(clock.clone()), None, url, vec![oncall(&on)]);
    let minute = || clock.advance(runbook_core::duration::Duration::from_secs(60));
    let alert = fixture.alert("Strange", "api", AlertStatus::Firing).await;
    let id = IncidentId::new(1);
    let (stuck, well) = (RunId::new(Uuid::from_u128(1)), RunId::new(Uuid::from_u128(2)));
    let say = async |input: Input<'static>| {
        minute();
        fixture.site.desk.say(id, &rob(), move || input.clone()).await.unwrap()
    };
    for (run, status) in [(stuck, EndStatus::Stuck), (well, EndStatus::Succeeded)] {
        let (runbook, environment) = ("high-latency".to_owned(), "production".to_owned());
        say(Input::RunStarted { run, runbook, environment, alert: None }).await;
        say(Input::RunEnded { run, status, recovered: None, closing: Closing::Manual }).await;
    }
    let (runbook, to) = ("high-latency".to_owned(), vec!["sre".to_owned()]);
    let called = say(Input::Escalate { runbook, to, why: "it has run twice".to_owned() }).await.seq;
    say(Input::Acknowledge).await;
    minute();
    fixture.site.desk.resolve(id, &rob(), None, Some("it is over".to_owned())).await.unwrap();
    tell(&fixture, 11).await;
    let all = |actions: &[&str]| actions.iter().map(|action| (*action).to_owned()).collect::<Vec<_>>();
    let told = events(&fixture).await;
    let expected = BTreeMap::from([
        ("runbook/incident/INC-1".to_owned(), all(&["trigger", "acknowledge", "resolve"])),
        (format!("runbook/alert/{alert}"), all(&["trigger", "acknowledge", "resolve"])),
        (format!("runbook/escalation/INC-1/{called}"), all(&["trigger", "acknowledge", "resolve"])),
        // It is no run of the journal, which would have triggered it.
        (format!("runbook/run/{stuck}"), all(&["acknowledge", "resolve"])),
    ]);
    assert_eq!(told, expected, "nobody is called, or called off, for the run that ended well");
}

#[tokio::test]
async fn an_alert_that_started_nothing_needs_nobody_once_it_is_resolved_or_goes_on_elsewhere() {
    let clock = Manual::at("2026-11-21T03:00:00Z".parse().unwrap());
    let channel = oncall(&["alert_unmatched", "incident_opened"]);
    let fixture = Fixture::telling(Arc::new(clock.clone()), None, "http://127.0.0.1:8080/", vec![channel]);
    let alert = fixture.alert("Strange", "api", AlertStatus::Firing).await;
    fixture.alert("Other", "web", AlertStatus::Firing).await;
    clock.advance(runbook_core::duration::Duration::from_secs(60));
    fixture.alert("Strange", "api", AlertStatus::Resolved).await;
    fixture.site.desk.merge(IncidentId::new(2), IncidentId::new(1), &rob()).await.unwrap();
    tell(&fixture, 7).await;
    let told = events(&fixture).await;
    assert_eq!(told[&format!("runbook/alert/{alert}")], ["trigger", "resolve"]);
    assert_eq!(told["runbook/incident/INC-2"], ["trigger", "resolve"]);
    assert_eq!(told["runbook/incident/INC-1"], ["trigger"]);
}

#[test]
fn those_who_asked_for_no_calls_are_not_called_off() {
    let notice = json!({
        "at": "2026-11-21T03:00:00Z", "incident": { "id": "INC-1", "title": "slow" },
        "news": { "type": "follow_up", "data": { "about": { "type": "escalation", "data": { "entry": 4 } },
            "over": true, "by": "rob", "why": "the incident is resolved" } },
    });
    let notice = serde_json::from_value::<runbook_notify::Notice>(notice).unwrap();
    for (on, wanted) in [(&["incident_escalated"][..], true), (&["run_stuck", "incident_opened"], false)] {
        assert_eq!(oncall(on).wants(&notice), wanted, "{on:?}");
    }
}

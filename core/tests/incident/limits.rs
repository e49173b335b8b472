//! However much comes, an incident stays of a size that can be kept and shown, and comes to an end.

use runbook_core::incident::{
    Closing, Input, MOST_ALERTS, MOST_EVENTS, MOST_RUNS, RESERVED_EVENTS, RejectedKind, State,
};

use crate::story::{Story, alert, door, run};

#[test]
fn a_full_incident_takes_no_more_and_can_still_be_ended() {
    let mut story = Story::of_alert(1, "alert-0");
    for number in 1..MOST_ALERTS {
        story.say_as(&door(), Input::AlertFiring(&alert(&format!("alert-{number}")))).unwrap();
    }
    let rejected = story.say_as(&door(), Input::AlertFiring(&alert("one more"))).unwrap_err();
    assert_eq!(rejected.message, "INC-1 has as many alerts as one incident may have (1000)");
    for number in 0..MOST_RUNS as u128 {
        story.start(number);
    }
    let started = |number| Input::RunStarted {
        run: run(number),
        runbook: "high-latency".into(),
        environment: "prod".into(),
        alert: None,
    };
    assert_eq!(story.say(started(9_999)).unwrap_err().kind, RejectedKind::NotNow);
    while story.incident.seq + RESERVED_EVENTS < MOST_EVENTS {
        story.say(Input::Note { text: "still looking".into() }).unwrap();
    }
    let rejected = story.say(Input::Note { text: "one more".into() }).unwrap_err();
    assert_eq!(rejected.message, "INC-1 has as many entries as one incident may have (10000)");
    assert!(rejected.hint.is_some());
    assert!(story.say_as(&door(), Input::AlertFiring(&alert("alert-0"))).unwrap().is_empty(), "a repeat");

    story.say(Input::Acknowledge).unwrap();
    for number in 0..MOST_RUNS as u128 {
        story.end(number, Some(true), Closing::WhenRecovered);
    }
    for number in 0..MOST_ALERTS {
        story.resolve_alert(&format!("alert-{number}"), Closing::WhenRecovered);
    }
    assert_eq!(story.incident.state, State::Resolved);
    assert!(story.incident.seq <= MOST_EVENTS);
    story.check();
}

//! Two incidents that are one.

use runbook_core::incident::{Closing, IncidentId, Input, RejectedKind, State};

use crate::story::{Story, alert, door, run};

const NOTHING: [&str; 0] = [];

#[test]
fn what_goes_on_in_one_goes_on_in_the_other() {
    let (mut one, mut other) = (Story::of_alert(1, "a"), Story::of_alert(2, "b"));
    other.say_as(&door(), Input::AlertFiring(&alert("c"))).unwrap();
    other.resolve_alert("c", Closing::Manual);
    other.start(1);
    other.start(2);
    other.end(2, Some(true), Closing::Manual);
    one.say(Input::SetState { to: State::Monitoring }).unwrap();

    let before = other.incident.clone();
    let kinds = one.say(Input::Absorb(&before)).unwrap();
    assert_eq!(kinds, ["absorbed", "alert_joined", "state_changed", "run_started"]);
    assert_eq!(one.say(Input::Absorb(&before)).unwrap(), NOTHING);
    assert_eq!(one.incident.alerts_firing().map(|(key, _)| key).collect::<Vec<_>>(), ["a", "b"]);
    assert!(one.incident.runs_active().map(|(id, _)| id).eq([run(1)]));

    let into = IncidentId::new(1);
    assert_eq!(other.say(Input::Merge { into }).unwrap(), ["merged"]);
    assert_eq!(other.say(Input::Merge { into }).unwrap(), NOTHING);
    assert_eq!((other.incident.state, other.incident.is_open()), (State::Merged, false));
    assert_eq!(other.incident.summary().merged_into, Some(into));
    // Late news of what went over is no error, and anything else is.
    assert_eq!(other.resolve_alert("b", Closing::Manual), NOTHING);
    assert_eq!(other.end(1, Some(true), Closing::Manual), NOTHING);
    let rejected = other.say(Input::Acknowledge).unwrap_err();
    assert_eq!(rejected.message, "INC-2 was merged into INC-1");
    assert_eq!(rejected.hint.as_deref(), Some("go on with INC-1"));
    one.check();
    other.check();
}

#[test]
fn what_cannot_be_one_is_not_merged() {
    let mut story = Story::declared(1);
    let itself = story.incident.clone();
    let id = itself.id;
    for input in [Input::Merge { into: id }, Input::Link { other: id }, Input::Absorb(&itself)] {
        let rejected = story.say(input).unwrap_err();
        assert_eq!(rejected.kind, RejectedKind::Invalid);
        assert_eq!(rejected.message, "INC-1 is this incident itself");
    }
    let mut over = Story::declared(2);
    over.resolve(None, None).unwrap();
    let over = over.incident;
    assert_eq!(story.say(Input::Absorb(&over)).unwrap_err().message, "INC-2 has ended: it is not merged");
    story.resolve(None, None).unwrap();
    let rejected = story.say(Input::Merge { into: over.id }).unwrap_err();
    assert_eq!(rejected.hint.as_deref(), Some("link the two instead"));
    assert_eq!(story.say(Input::Link { other: over.id }).unwrap(), ["linked"]);
    assert_eq!(story.say(Input::Link { other: over.id }).unwrap(), NOTHING);
    story.check();
}

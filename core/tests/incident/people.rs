//! What people do in an incident.

use runbook_core::incident::{
    Incident, IncidentId, Input, LONGEST_NOTE, LONGEST_TITLE, RejectedKind, Role, State,
};

use crate::story::{Story, alice, at, declared};

const NOTHING: [&str; 0] = [];

#[test]
fn the_first_to_acknowledge_counts() {
    let mut story = Story::of_alert(1, "a");
    assert_eq!(story.say(Input::Acknowledge).unwrap(), ["acknowledged"]);
    assert_eq!(story.say(Input::Acknowledge).unwrap(), NOTHING);
    assert_eq!(story.incident.acknowledged.as_ref().unwrap().by.name, "alice");
    assert_eq!(story.incident.summary().acknowledged_by.as_deref(), Some("alice"));
    let mut over = Story::declared(2);
    over.resolve(None, None).unwrap();
    assert_eq!(over.say(Input::Acknowledge).unwrap_err().kind, RejectedKind::NotNow);
}

#[test]
fn a_role_passes_on_and_experts_share_theirs() {
    let mut story = Story::declared(1);
    let assign = |role, person: &str| Input::Assign { role, person: person.to_owned() };
    let leave = |role, person: &str| Input::Leave { role, person: person.to_owned() };
    assert_eq!(story.say(assign(Role::IncidentCommander, "alice")).unwrap(), ["role_assigned"]);
    assert_eq!(story.say(assign(Role::IncidentCommander, "alice")).unwrap(), NOTHING);
    story.say(assign(Role::IncidentCommander, "bob")).unwrap();
    assert_eq!(story.incident.commander(), Some("bob"));
    story.say(assign(Role::SubjectMatterExpert, "carol")).unwrap();
    story.say(assign(Role::SubjectMatterExpert, "dave")).unwrap();
    assert_eq!(story.incident.holders(Role::SubjectMatterExpert), ["carol", "dave"]);
    assert_eq!(story.say(leave(Role::SubjectMatterExpert, "carol")).unwrap(), ["role_left"]);
    assert_eq!(story.say(leave(Role::SubjectMatterExpert, "carol")).unwrap(), NOTHING);
    assert_eq!(story.say(leave(Role::IncidentCommander, "bob")).unwrap(), ["role_left"]);
    assert_eq!(story.incident.summary().commander, None);
    story.check();
}

#[test]
fn states_and_severities_change_between_what_they_may_be() {
    let mut story = Story::declared(3);
    let set = |to| Input::SetState { to };
    assert_eq!(story.say(set(State::Identified)).unwrap(), ["state_changed"]);
    assert_eq!(story.say(set(State::Identified)).unwrap(), NOTHING);
    assert_eq!(story.say(set(State::Monitoring)).unwrap(), ["state_changed"]);
    for (to, hint) in [(State::Resolved, "resolve INC-3"), (State::Merged, "merge INC-3 --into ID")] {
        let rejected = story.say(set(to)).unwrap_err();
        assert_eq!(rejected.kind, RejectedKind::Invalid);
        assert!(rejected.hint.unwrap().contains(hint));
    }
    let severity = |to: &str| Input::SetSeverity { to: to.to_owned(), reason: None };
    assert_eq!(story.say(severity("SEV-1")).unwrap(), ["severity_changed"]);
    assert_eq!(story.say(severity("SEV-1")).unwrap(), NOTHING);
    story.resolve(None, None).unwrap();
    assert_eq!(story.say(set(State::Identified)).unwrap_err().kind, RejectedKind::NotNow);
    // It is graded anew in the postmortem.
    assert_eq!(story.say(severity("SEV-3")).unwrap(), ["severity_changed"]);
    assert_eq!(story.say(Input::Note { text: "cause: a missing index".into() }).unwrap(), ["noted"]);
    story.check();
}

#[test]
fn texts_have_their_bounds() {
    let mut story = Story::declared(1);
    let note = |length: usize| Input::Note { text: "x".repeat(length) };
    assert!(story.say(note(LONGEST_NOTE)).is_ok());
    for (input, message) in [
        (note(LONGEST_NOTE + 1), "the note has 10001 characters; at most 10000 are taken"),
        (note(0), "the note is empty"),
        (
            Input::SetSeverity { to: "SEV-1".into(), reason: Some("y".repeat(2_001)) },
            "the reason has 2001 characters; at most 2000 are taken",
        ),
        (Input::Assign { role: Role::Scribe, person: " ".into() }, "the name is empty"),
    ] {
        let rejected = story.say(input).unwrap_err();
        assert_eq!((rejected.kind, rejected.message.as_str()), (RejectedKind::Invalid, message));
    }
    let open = |title: &str| Incident::open(IncidentId::new(1), declared(title), &alice(), at(0));
    assert_eq!(open(&"t".repeat(LONGEST_TITLE + 1)).unwrap_err().kind, RejectedKind::Invalid);
    assert_eq!(open("\n").unwrap_err().message, "the title is empty");
    assert_eq!(open("two\nlines").unwrap().next.title, "two lines");
}

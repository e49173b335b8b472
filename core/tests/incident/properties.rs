//! Whatever is said to an incident, in whatever order.

use proptest::prelude::*;
use runbook_core::{
    alert::AlertStatus,
    event::EndStatus,
    incident::{self, Closing, Event, Incident, IncidentId, Input, RejectedKind, Role, State},
};

use crate::story::{Story, alert, at, door, kind, run};

/// An input without what it borrows.
#[derive(Debug, Clone)]
enum Said {
    Fires(u8),
    Calms(u8, bool),
    Starts(u8),
    Ends(u8, Option<bool>, bool),
    HeldBack(u8, u8),
    Acknowledge,
    Note(String),
    Severity(u8),
    State(u8),
    Assign(u8, u8),
    Leave(u8, u8),
    Link(u8),
    Merge(u8),
    Absorb(u8),
    Resolve(Option<bool>, Option<String>),
    Reopen,
}

fn said() -> impl Strategy<Value = Said> {
    let few = || 0..4_u8;
    let maybe = || prop::option::of(any::<bool>());
    prop_oneof![
        4 => few().prop_map(Said::Fires),
        4 => (few(), any::<bool>()).prop_map(|(key, auto)| Said::Calms(key, auto)),
        3 => few().prop_map(Said::Starts),
        4 => (few(), maybe(), any::<bool>()).prop_map(|(run, holds, auto)| Said::Ends(run, holds, auto)),
        1 => (few(), few()).prop_map(|(key, why)| Said::HeldBack(key, why)),
        1 => Just(Said::Acknowledge),
        1 => ".{0,12}".prop_map(Said::Note),
        1 => few().prop_map(Said::Severity),
        2 => (0..5_u8).prop_map(Said::State),
        1 => (0..6_u8, few()).prop_map(|(role, who)| Said::Assign(role, who)),
        1 => (0..6_u8, few()).prop_map(|(role, who)| Said::Leave(role, who)),
        1 => few().prop_map(Said::Link),
        1 => few().prop_map(Said::Merge),
        1 => few().prop_map(Said::Absorb),
        3 => (maybe(), prop::option::of(".{0,6}")).prop_map(|(steady, force)| Said::Resolve(steady, force)),
        2 => Just(Said::Reopen),
    ]
}

fn closing(auto: bool) -> Closing {
    if auto { Closing::WhenRecovered } else { Closing::Manual }
}

fn say(story: &mut Story, said: &Said) -> Result<Vec<String>, incident::Rejected> {
    const STATES: [State; 5] =
        [State::Investigating, State::Identified, State::Monitoring, State::Resolved, State::Merged];
    let key = |key: &u8| format!("alert-{key}");
    let person = |who: &u8| format!("person-{who}");
    let id = |number: &u8| IncidentId::new(u64::from(*number) + 1);
    match said {
        Said::Fires(number) => story.say_as(&door(), Input::AlertFiring(&alert(&key(number)))),
        Said::Calms(number, auto) => {
            story.say_as(&door(), Input::AlertResolved { key: key(number), closing: closing(*auto) })
        }
        Said::Starts(number) => story.say(Input::RunStarted {
            run: run(u128::from(*number)),
            runbook: "high-latency".to_owned(),
            environment: "prod".to_owned(),
            alert: None,
        }),
        Said::Ends(number, recovered, auto) => story.say(Input::RunEnded {
            run: run(u128::from(*number)),
            status: if *recovered == Some(false) { EndStatus::Failed } else { EndStatus::Succeeded },
            recovered: *recovered,
            closing: closing(*auto),
        }),
        Said::HeldBack(number, why) => {
            story.say(Input::NothingStarted { alert: key(number), runbook: None, why: format!("why {why}") })
        }
        Said::Acknowledge => story.say(Input::Acknowledge),
        Said::Note(text) => story.say(Input::Note { text: text.clone() }),
        Said::Severity(level) => story.say(Input::SetSeverity { to: format!("SEV-{level}"), reason: None }),
        Said::State(state) => story.say(Input::SetState { to: STATES[usize::from(*state)] }),
        Said::Assign(role, who) => {
            story.say(Input::Assign { role: Role::ALL[usize::from(*role)], person: person(who) })
        }
        Said::Leave(role, who) => {
            story.say(Input::Leave { role: Role::ALL[usize::from(*role)], person: person(who) })
        }
        Said::Link(number) => story.say(Input::Link { other: id(number) }),
        Said::Merge(number) => story.say(Input::Merge { into: id(number) }),
        Said::Absorb(number) => {
            let other = Story::of_alert(u64::from(*number) + 1, &key(number)).incident;
            story.say(Input::Absorb(&other))
        }
        Said::Resolve(steady, force) => story.resolve(*steady, force.as_deref()),
        Said::Reopen => story.say(Input::Reopen { reason: None }),
    }
}

/// What must be so, whatever was said.
fn hold_together(incident: &Incident, last: &[Event]) {
    assert_eq!(incident.state == State::Merged, incident.merged_into.is_some());
    assert_eq!(incident.state == State::Resolved, incident.resolution.is_some());
    assert!(last.windows(2).all(|pair| pair[0].at <= pair[1].at && pair[0].seq + 1 == pair[1].seq));
    for role in Role::ALL.into_iter().filter(|role| !role.is_shared()) {
        assert!(incident.holders(role).len() <= 1, "{role} is one person's");
    }
    let summary = incident.summary();
    let firing = incident.alerts.values().filter(|alert| alert.status == AlertStatus::Firing).count();
    assert_eq!(summary.alerts_firing, firing);
    assert_eq!(summary.runs_active, incident.runs.values().filter(|run| run.status.is_none()).count());
    assert!(incident.runs.values().all(|run| run.status.is_some() == run.ended_at.is_some()));
}

fn told(all: &[Said]) -> Story {
    let mut story = Story::of_alert(10, "alert-0");
    for said in all {
        let before = story.incident.clone();
        match say(&mut story, said) {
            Ok(kinds) if kinds.iter().any(|kind| kind == "resolved") => {
                let after = &story.incident;
                let calm = after.obstacles(incident::Steadiness::Undeclared).is_empty();
                assert!(calm || after.resolution.as_ref().unwrap().forced, "{said:?}");
            }
            Ok(_) => {}
            Err(rejected) => {
                assert_ne!(rejected.kind, RejectedKind::Corrupt, "{said:?}: {rejected}");
                assert_eq!(story.incident, before, "what is rejected changes nothing");
            }
        }
        hold_together(&story.incident, &story.events);
    }
    story
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_fold_agrees_with_what_was_decided(all in prop::collection::vec(said(), 0..60)) {
        told(&all).check();
    }

    #[test]
    fn saying_it_again_at_once_changes_nothing(all in prop::collection::vec(said(), 0..30), last in said()) {
        let mut story = told(&all);
        // A note is something new each time it is said.
        if !matches!(last, Said::Note(_)) && say(&mut story, &last).is_ok() {
            let again = say(&mut story, &last);
            prop_assert!(again.as_ref().map_or(true, Vec::is_empty), "{last:?} gave {again:?}");
        }
    }

    #[test]
    fn an_event_out_of_its_place_is_refused(
        all in prop::collection::vec(said(), 1..40),
        place in any::<prop::sample::Index>(),
    ) {
        let story = told(&all);
        let event = &story.events[place.index(story.events.len())];
        let mut incident = story.incident.clone();
        prop_assert!(incident.apply(event).is_err(), "its number was taken before");
        prop_assert_eq!(&incident, &story.incident, "what is refused changes nothing");
        let dropped = story.events.iter().filter(|other| other.seq != event.seq);
        let folded = Incident::fold(story.incident.id, dropped);
        let is_last = event.seq == story.incident.seq;
        prop_assert!(folded.is_err() || is_last, "{} is missing and nobody saw", kind(event));
    }

    /// Renumbered, an event is taken or refused by the state alone, and never breaks it.
    #[test]
    fn an_event_of_another_incident_is_refused_or_fits(
        one in prop::collection::vec(said(), 0..30),
        other in prop::collection::vec(said(), 1..30),
    ) {
        let mut incident = told(&one).incident;
        for event in told(&other).events {
            let before = incident.clone();
            let renumbered = Event { seq: incident.seq + 1, at: at(9_999), ..event };
            match incident.apply(&renumbered) {
                Ok(()) => hold_together(&incident, &[]),
                Err(_) => prop_assert_eq!(&incident, &before),
            }
        }
    }

    #[test]
    fn one_changed_byte_is_found(
        all in prop::collection::vec(said(), 0..20),
        place in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let story = told(&all);
        let (id, head) = (story.incident.id, story.incident.seq);
        let mut records = story.records.clone();
        let touched = place.index(records.len());
        let length = records[touched].bytes.len();
        records[touched].bytes[byte.index(length)] ^= 1 << bit;
        let found = incident::verify(id, &records, head).unwrap_err();
        prop_assert_eq!(found.seq(), touched as u64 + 1);
        prop_assert!(incident::verify(IncidentId::new(11), &story.records, head).is_err());
    }
}

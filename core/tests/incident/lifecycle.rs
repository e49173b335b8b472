//! From the first alert to the end.

use runbook_core::{
    event::EndStatus,
    incident::{Closing, Input, RejectedKind, Seen, State, Steadiness},
};

use crate::story::{Story, alert, at, door, known, run};

use Closing::{Manual, WhenRecovered};

const NOTHING: [&str; 0] = [];

#[test]
fn an_alert_opens_it_and_is_its_first() {
    let story = Story::of_alert(42, "a");
    let incident = &story.incident;
    assert_eq!(incident.id.to_string(), "INC-42");
    assert_eq!((incident.title.as_str(), incident.severity.as_str()), ("p99 above 5 s", "SEV-1"));
    assert_eq!((incident.state, incident.is_open()), (State::Investigating, true));
    assert_eq!(incident.service.as_deref(), Some("checkout"));
    assert_eq!(incident.alerts["a"].starts_at, at(-60));
    let kinds: Vec<String> = story.events.iter().map(crate::story::kind).collect();
    assert_eq!(kinds, ["opened", "alert_joined"]);
}

#[test]
fn what_was_declared_without_a_key_is_correlated_with_nothing() {
    assert_eq!(Story::declared(7).incident.key, "INC-7");
}

#[test]
fn a_repeated_alert_gives_no_events() {
    let mut story = Story::of_alert(1, "a");
    assert_eq!(story.say_as(&door(), Input::AlertFiring(&alert("a"))).unwrap(), NOTHING);
    assert_eq!(story.say_as(&door(), Input::AlertFiring(&alert("b"))).unwrap(), ["alert_joined"]);
    assert_eq!(story.resolve_alert("a", Manual), ["alert_resolved"]);
    assert_eq!(story.resolve_alert("a", Manual), NOTHING);
    assert_eq!(story.resolve_alert("unheard of", Manual), NOTHING);
    assert_eq!(story.say_as(&door(), Input::AlertFiring(&alert("a"))).unwrap(), ["alert_joined"]);
    story.check();
}

/// Whether the run of the incident (if any) recovered, who closes it, and what the last end brings.
type Over = (Option<Option<bool>>, Closing, &'static [&'static str]);

#[test]
fn once_all_is_over_it_is_watched_or_closed() {
    let cases: [Over; 8] = [
        (None, Manual, &["alert_resolved", "state_changed"]),
        // Nobody has verified anything, so a person looks at it.
        (None, WhenRecovered, &["alert_resolved", "state_changed"]),
        (Some(Some(true)), Manual, &["alert_resolved", "state_changed"]),
        (Some(Some(true)), WhenRecovered, &["alert_resolved", "resolved"]),
        (Some(Some(false)), Manual, &["alert_resolved"]),
        (Some(Some(false)), WhenRecovered, &["alert_resolved"]),
        (Some(None), Manual, &["alert_resolved"]),
        (Some(None), WhenRecovered, &["alert_resolved"]),
    ];
    for (recovered, closing, expected) in cases {
        let mut story = Story::of_alert(1, "a");
        if let Some(recovered) = recovered {
            story.start(1);
            assert_eq!(story.end(1, recovered, closing), ["run_ended"], "an alert still fires");
        }
        assert_eq!(story.resolve_alert("a", closing), expected, "{recovered:?} {closing:?}");
        story.check();
    }
}

#[test]
fn the_end_of_the_last_run_closes_it_too() {
    let mut story = Story::of_alert(1, "a");
    story.start(1);
    story.start(2);
    assert_eq!(story.resolve_alert("a", WhenRecovered), ["alert_resolved"]);
    assert_eq!(story.end(1, Some(true), WhenRecovered), ["run_ended"]);
    assert_eq!(story.end(2, Some(true), WhenRecovered), ["run_ended", "resolved"]);
    let resolution = story.incident.resolution.clone().unwrap();
    assert_eq!((resolution.verified, resolution.forced), (Some(true), false));
    assert_eq!(resolution.by.name, "runbook");
    assert_eq!(story.incident.summary().resolved_at, Some(at(story.now)));
}

#[test]
fn an_alert_takes_it_back_from_monitoring() {
    let mut story = Story::of_alert(1, "a");
    story.resolve_alert("a", Manual);
    assert_eq!(story.incident.state, State::Monitoring);
    let kinds = story.say_as(&door(), Input::AlertFiring(&alert("b"))).unwrap();
    assert_eq!(kinds, ["alert_joined", "state_changed"]);
    assert_eq!(story.incident.state, State::Investigating);
}

#[test]
fn it_is_not_resolved_while_something_speaks_against_it() {
    let mut story = Story::of_alert(42, "a");
    story.start(1);
    let rejected = story.resolve(Some(false), None).unwrap_err();
    assert_eq!(rejected.kind, RejectedKind::NotNow);
    assert_eq!(
        rejected.message,
        format!(
            "INC-42 is not over: the steady state does not hold; alert HighLatency still fires; run {} is still going",
            run(1)
        )
    );
    let hint = rejected.hint.unwrap();
    assert!(hint.contains("`runbook incident resolve INC-42 --force REASON`"), "{hint}");
    let rejected = story.resolve(None, Some("  ")).unwrap_err();
    assert_eq!(rejected.message, "the reason to force it is empty");

    assert_eq!(story.resolve(Some(false), Some("the region is gone for good")).unwrap(), ["resolved"]);
    let resolution = story.incident.resolution.clone().unwrap();
    assert_eq!((resolution.verified, resolution.forced), (Some(false), true));
    assert_eq!(resolution.reason.as_deref(), Some("the region is gone for good"));
    // What was still going on is still told, and changes nothing any more.
    assert_eq!(story.end(1, Some(true), WhenRecovered), ["run_ended"]);
    assert_eq!(story.resolve_alert("a", WhenRecovered), ["alert_resolved"]);
    assert_eq!(story.incident.state, State::Resolved);
    story.check();
}

#[test]
fn each_obstacle_alone_is_enough() {
    let mut firing = Story::of_alert(1, "a");
    let mut going = Story::declared(1);
    going.start(1);
    let mut unsteady = Story::declared(1);
    for (story, steady) in [(&mut firing, Some(true)), (&mut going, None), (&mut unsteady, Some(false))] {
        assert_eq!(story.incident.obstacles(known(steady)).len(), 1);
        assert!(story.resolve(steady, None).is_err());
        assert_eq!(story.resolve(steady, Some("it is")).unwrap(), ["resolved"]);
        assert!(story.incident.resolution.as_ref().unwrap().forced);
    }
    for steady in [None, Some(true)] {
        let mut calm = Story::declared(1);
        assert_eq!(calm.resolve(steady, Some("not needed")).unwrap(), ["resolved"]);
        let resolution = calm.incident.resolution.unwrap();
        assert_eq!((resolution.verified, resolution.forced), (steady, false));
    }
}

#[test]
fn resolved_it_takes_no_alert_until_it_is_reopened() {
    let mut story = Story::declared(9);
    assert_eq!(story.say(Input::Reopen { reason: None }).unwrap(), NOTHING);
    story.resolve(Some(true), None).unwrap();
    assert_eq!(story.resolve(Some(true), None).unwrap(), NOTHING);
    let rejected = story.say_as(&door(), Input::AlertFiring(&alert("a"))).unwrap_err();
    assert_eq!(rejected.message, "INC-9 is resolved: no alert joins it");
    assert!(rejected.hint.unwrap().contains("runbook incident reopen INC-9"));
    assert_eq!(story.say(Input::Reopen { reason: Some("it is back".into()) }).unwrap(), ["reopened"]);
    assert_eq!((story.incident.state, story.incident.resolved_at()), (State::Investigating, None));
    assert_eq!(story.say_as(&door(), Input::AlertFiring(&alert("a"))).unwrap(), ["alert_joined"]);
    story.check();
}

#[test]
fn a_run_that_is_undone_after_its_end_ends_again() {
    let mut story = Story::declared(1);
    assert_eq!(story.start(1), ["run_started"]);
    assert_eq!(story.start(1), NOTHING);
    assert_eq!(story.end(1, Some(false), Manual), ["run_ended"]);
    assert_eq!(story.end(1, Some(false), Manual), NOTHING);
    let undone = Input::RunEnded { run: run(1), status: EndStatus::Undone, recovered: None, closing: Manual };
    assert_eq!(story.say(undone).unwrap(), ["run_ended"]);
    assert_eq!(story.incident.runs[&run(1)].status, Some(EndStatus::Undone));
    let unknown =
        Input::RunEnded { run: run(2), status: EndStatus::Succeeded, recovered: None, closing: Manual };
    assert_eq!(story.say(unknown).unwrap_err().kind, RejectedKind::Invalid);
}

#[test]
fn why_an_alert_started_nothing_is_said_once() {
    let mut story = Story::of_alert(1, "a");
    let held = |why: &str| Input::NothingStarted {
        alert: "a".into(),
        runbook: Some("high-latency".into()),
        why: why.to_owned(),
    };
    assert_eq!(story.say(held("cooling down")).unwrap(), ["nothing_started"]);
    assert_eq!(story.say(held("cooling down")).unwrap(), NOTHING);
    assert_eq!(story.say(held("a run is active")).unwrap(), ["nothing_started"]);
    assert_eq!(story.incident.held_back.len(), 1);
    assert_eq!(story.incident.held_back[0].why, "a run is active");
}

#[test]
fn time_never_runs_backwards() {
    let mut story = Story::declared(1);
    story.say(Input::Acknowledge).unwrap();
    story.now = -500;
    story.say(Input::Note { text: "the clock was set".into() }).unwrap();
    let times: Vec<_> = story.events.iter().map(|event| event.at).collect();
    assert!(times.is_sorted(), "{times:?}");
}

fn part(check: &str, passed: Option<bool>) -> Seen {
    Seen { runbook: "high-latency".into(), check: Some(check.into()), passed, seen: "value = 9".into() }
}

#[test]
fn what_was_seen_of_the_steady_state_stands_in_the_timeline_and_in_the_refusal() {
    for (passed, verified, told) in [
        (Some(false), Some(false), "the steady state does not hold (p95 value = 9)"),
        (None, None, "the steady state cannot be read (p95 value = 9)"),
    ] {
        let mut story = Story::declared(42);
        let seen = vec![part("errors", Some(true)), part("p95", passed)];
        let steady = Steadiness::of(&seen);
        assert_eq!(steady.verified(), verified);
        assert_eq!(story.say(Input::SteadyLooked { seen }).unwrap(), ["steady_checked"]);
        let look = story.incident.steady.clone().unwrap();
        assert_eq!((look.holds, look.checks[0].check.as_deref()), (verified, Some("p95")), "the worst first");
        assert_eq!(story.incident.last_seen(), steady);
        let resolve =
            |force: Option<&str>| Input::Resolve { steady, force: force.map(str::to_owned), reason: None };
        assert_eq!(story.say(resolve(None)).unwrap_err().message, format!("INC-42 is not over: {told}"));
        assert_eq!(story.say(resolve(Some("it is"))).unwrap(), ["resolved"]);
        assert_eq!(story.incident.resolution.as_ref().unwrap().verified, verified);
        story.check();
    }
}

#[test]
fn a_run_that_ended_later_knows_better_than_an_older_look() {
    let mut story = Story::declared(42);
    assert_eq!(story.incident.last_seen(), Steadiness::Undeclared);
    story.start(1);
    story.say(Input::SteadyLooked { seen: vec![part("p95", Some(false))] }).unwrap();
    assert_eq!(story.incident.last_seen(), Steadiness::Broken);
    story.end(1, Some(true), Manual);
    assert_eq!(story.incident.last_seen(), Steadiness::Holds);
    assert_eq!(story.say(Input::SteadyLooked { seen: Vec::new() }).unwrap(), NOTHING, "nothing was seen");
}

//! Approvals: what they bind to, and the wrong ways to give them, all of which must fail closed.

use runbook_core::{
    duration::Duration,
    event::{Actor, Created, Policy},
    run::{Input, RejectedKind},
    spec::Effect,
};

use crate::world::{Sim, alice, created};

const GATED: &str = "
steps:
  - { id: a, action: test.change, with: { name: x, value: 1 }, approval: { from: [ops], timeout: 10m } }
  - { id: b, action: test.change, with: { name: y, value: 1 }, approval: { from: [ops] } }
";

fn policy() -> Policy {
    let groups = [
        ("ops".to_owned(), vec!["bob".to_owned(), "carol".to_owned()]),
        ("leads".to_owned(), vec!["dora".to_owned()]),
    ];
    Policy { groups: groups.into(), ..Policy::default() }
}

fn gated(yaml: &str) -> Sim {
    let mut sim = Sim::of(Created { policy: policy(), ..created(yaml) });
    sim.go();
    assert_eq!(sim.status(), "waiting");
    sim
}

fn bob() -> Actor {
    Actor::cli("bob")
}

#[test]
fn an_approved_change_is_made_once() {
    let mut sim = gated(GATED);
    sim.approve_as(&bob(), "a").unwrap();
    sim.go();
    sim.approve_as(&bob(), "b").unwrap();
    sim.go();
    assert_eq!((sim.status(), sim.world.writes["x"], sim.world.writes["y"]), ("succeeded", 1, 1));
}

#[test]
fn outsiders_and_the_requester_are_refused() {
    let mut sim = gated(&GATED.replace("[ops]", "[ops, alice]"));
    for who in ["mallory", "dora", "alice"] {
        let refused = sim.approve_as(&Actor::cli(who), "a").unwrap_err();
        assert_eq!(refused.kind, RejectedKind::NotPermitted, "{who}");
    }
    assert!(sim.world.writes.is_empty());
}

#[test]
fn an_approval_of_another_gate_or_another_change_is_refused() {
    let mut sim = gated(GATED);
    let other = Input::Approve { step: "a".to_owned(), digest: "sha256:other".to_owned(), comment: None };
    assert_eq!(sim.take(other, &bob()).unwrap_err().kind, RejectedKind::Stale);
    assert_eq!(sim.approve_as(&bob(), "b").unwrap_err().kind, RejectedKind::NotNow, "b is not asked yet");
    sim.approve_as(&bob(), "a").unwrap();
    assert!(sim.approve_as(&bob(), "a").is_err(), "an approval is single-use");
}

#[test]
fn two_people_are_two_people() {
    let yaml = "
steps:
  - { id: a, action: test.change, with: { name: x, value: 1 }, approval: { from: [ops], count: 2 } }
";
    let mut sim = gated(yaml);
    sim.approve_as(&bob(), "a").unwrap();
    assert_eq!(sim.approve_as(&bob(), "a").unwrap_err().kind, RejectedKind::NotPermitted);
    sim.go();
    assert_eq!(sim.status(), "waiting");
    sim.approve_as(&Actor::cli("carol"), "a").unwrap();
    sim.go();
    assert_eq!(sim.status(), "succeeded");
}

#[test]
fn drift_voids_the_plan_and_its_approval_and_shows_what_moved() {
    let mut sim = gated(GATED);
    sim.world.values.insert("x".to_owned(), 7);
    sim.approve_as(&bob(), "a").unwrap();
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x")), ("waiting", 7), "asked again");
    assert!(sim.summaries().iter().any(|line| line.contains("value: 0 -> 7")), "{:#?}", sim.summaries());
    sim.approve_as(&bob(), "a").unwrap();
    sim.go();
    assert_eq!(sim.world.value("x"), 1);
}

#[test]
fn a_time_out_means_no() {
    let mut sim = gated(GATED);
    sim.now = Duration::from_secs(600).after(sim.now);
    assert_eq!(sim.approve_as(&bob(), "a").unwrap_err().kind, RejectedKind::NotNow, "too late");
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x")), ("failed", 0));
}

#[test]
fn a_time_out_may_ask_others_first() {
    let yaml = GATED.replace("timeout: 10m", "timeout: 10m, on_timeout: escalate, escalate_to: [leads]");
    let mut sim = gated(&yaml);
    sim.now = Duration::from_secs(601).after(sim.now);
    sim.go();
    assert_eq!(sim.status(), "waiting");
    sim.approve_as(&Actor::cli("dora"), "a").unwrap();
    sim.go();
    assert_eq!(sim.world.value("x"), 1);
}

#[test]
fn a_cancelled_run_takes_no_approval() {
    let mut sim = gated(GATED);
    sim.say(Input::Cancel { undo: false, reason: None }).unwrap();
    assert!(sim.approve_as(&bob(), "a").is_err());
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x")), ("cancelled", 0));
    assert!(sim.approve_as(&bob(), "a").is_err());
}

#[test]
fn resuming_approves_nothing() {
    let mut sim = gated(GATED);
    sim.crash();
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x")), ("waiting", 0));
}

#[test]
fn a_destructive_change_asks_even_where_the_runbook_does_not() {
    let yaml = "
steps:
  - { id: a, action: test.set, with: { name: x, value: 0 } }
  - { id: b, action: test.change, with: { name: y, value: 1 }, effect: destructive }
";
    let mut sim = Sim::live(yaml).with(&[("x", 3)]);
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x")), ("waiting", 3));
    sim.approve("a").unwrap();
    sim.go();
    assert_eq!(sim.status(), "waiting", "a runbook may raise the effect");
    sim.approve("b").unwrap();
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x"), sim.world.value("y")), ("succeeded", 0, 1));
}

#[test]
fn each_item_has_its_own_gate() {
    let yaml = "
steps:
  - { id: all, for_each: [p, q], max_parallel: 2, action: test.change, with: { name: '${{ item }}', value: 1 }, approval: { from: [ops] } }
";
    let mut sim = gated(yaml);
    let first = sim.run.node("all[0]").unwrap().gate.clone().unwrap().digest;
    let reuse = Input::Approve { step: "all[1]".to_owned(), digest: first, comment: None };
    assert_eq!(sim.take(reuse, &bob()).unwrap_err().kind, RejectedKind::Stale);
    sim.approve_as(&bob(), "all[0]").unwrap();
    sim.go();
    assert_eq!((sim.world.value("p"), sim.world.value("q")), (1, 0));
}

#[test]
fn a_floor_of_the_environment_cannot_be_lowered() {
    let floor = runbook_core::event::Floor { from: vec!["leads".to_owned()], count: 1 };
    let policy = Policy { floors: [(Effect::Write, floor)].into(), ..policy() };
    let yaml = "
steps:
  - { id: a, action: test.change, with: { name: x, value: 1 } }
";
    let mut sim = Sim::of(Created { policy, ..created(yaml) });
    sim.go();
    assert_eq!(sim.status(), "waiting");
    assert!(sim.approve_as(&bob(), "a").is_err());
    sim.approve_as(&Actor::cli("dora"), "a").unwrap();
    sim.go();
    assert_eq!(sim.status(), "succeeded");
}

#[test]
fn a_gate_may_be_a_step_of_its_own() {
    let yaml = "
steps:
  - { id: ask, approval: { prompt: 'go on?', from: [alice] } }
  - { id: a, action: test.change, with: { name: x, value: 1 } }
";
    let mut sim = Sim::live(yaml);
    sim.go();
    assert_eq!(sim.status(), "waiting");
    sim.take(Input::Reject { step: "ask".to_owned(), comment: None }, &alice()).unwrap();
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x")), ("failed", 0));
}

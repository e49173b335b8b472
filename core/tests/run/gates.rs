//! Approvals: what they bind to, and the wrong ways to give them, all of which must fail closed.

use runbook_core::{
    duration::Duration,
    event::{Actor, Created, Hands},
    policy::{Freeze, Policy},
    run::{Input, Rejected, RejectedKind},
    spec::Effect,
};

use crate::world::{Sim, alice, at, created, runbook};

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
    let other = Input::Approve {
        step: "a".to_owned(),
        digest: "sha256:other".to_owned(),
        comment: None,
        break_glass: false,
    };
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
    let digest = sim.run.node("a").unwrap().gate.clone().unwrap().digest;
    sim.world.values.insert("x".to_owned(), 7);
    sim.approve_as(&bob(), "a").unwrap();
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x")), ("waiting", 7), "asked again");
    let old = Input::Approve { step: "a".to_owned(), digest, comment: None, break_glass: false };
    assert_eq!(sim.take(old, &Actor::cli("carol")).unwrap_err().kind, RejectedKind::Stale);
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
fn a_chain_is_asked_one_after_the_other() {
    let chain = "timeout: 10m, on_timeout: escalate, escalate_to: [leads, erin]";
    let mut sim = gated(&GATED.replace("timeout: 10m", chain));
    let (dora, erin) = (Actor::cli("dora"), Actor::cli("erin"));
    for (who, until) in [(&dora, 600), (&erin, 1200)] {
        assert!(sim.approve_as(who, "a").is_err(), "{} is not asked before its time", who.name);
        sim.now = Duration::from_secs(until).after(at(0));
        sim.go();
    }
    assert_eq!(sim.status(), "waiting");
    let mut approved = sim.clone();
    approved.approve_as(&erin, "a").unwrap();
    approved.go();
    assert_eq!(approved.world.value("x"), 1);
    sim.now = Duration::from_secs(1800).after(at(0));
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x")), ("failed", 0), "nobody is left to ask");
}

#[test]
fn whoever_may_approve_may_let_someone_else_decide() {
    let mut sim = gated(&GATED.replace("from: [ops], timeout", "from: [ops], count: 2, timeout"));
    let (erin, carol) = (Actor::cli("erin"), Actor::cli("carol"));
    let hand = |to: &str| Input::Delegate { step: "a".to_owned(), to: to.to_owned(), comment: None };
    let refused = |result: Result<usize, Rejected>| result.unwrap_err().kind == RejectedKind::NotPermitted;
    assert!(refused(sim.approve_as(&erin, "a")));
    assert!(refused(sim.take(hand("erin"), &Actor::cli("mallory"))), "only who may approve hands it on");
    assert!(refused(sim.take(hand("alice"), &bob())), "not to who asked for the run");
    assert!(refused(sim.take(hand("bob"), &bob())), "not to oneself");
    sim.take(hand("erin"), &bob()).unwrap();
    assert!(refused(sim.approve_as(&bob(), "a")), "handed over is handed over");
    assert!(refused(sim.take(hand("mallory"), &erin)), "and not handed on");
    sim.approve_as(&erin, "a").unwrap();
    assert!(refused(sim.approve_as(&erin, "a")), "one voice");
    sim.go();
    assert_eq!(sim.world.value("x"), 0);
    sim.approve_as(&carol, "a").unwrap();
    sim.go();
    assert_eq!(sim.world.value("x"), 1);
    assert!(refused(sim.approve_as(&erin, "b")), "it ended with its gate");
    assert!(
        sim.summaries().iter().any(|line| line.contains("bob lets erin decide")),
        "{:#?}",
        sim.summaries()
    );
}

#[test]
fn the_glass_is_broken_by_few_and_with_a_reason() {
    let yaml = GATED.replace("from: [ops], timeout", "from: [ops], count: 2, timeout");
    let policy = Policy { break_glass: vec!["leads".to_owned(), "alice".to_owned()], ..policy() };
    let mut sim = Sim::of(Created { policy, ..created(&yaml) });
    sim.go();
    let digest = sim.run.node("a").unwrap().gate.clone().unwrap().digest;
    let breaking = |reason: Option<&str>, digest: &str| Input::Approve {
        step: "a".to_owned(),
        digest: digest.to_owned(),
        comment: reason.map(str::to_owned),
        break_glass: true,
    };
    let kind = |result: Result<usize, Rejected>| result.unwrap_err().kind;
    let why = Some("nobody can be reached");
    assert_eq!(kind(sim.take(breaking(why, &digest), &bob())), RejectedKind::NotPermitted);
    assert_eq!(kind(sim.take(breaking(None, &digest), &alice())), RejectedKind::Invalid);
    assert_eq!(kind(sim.take(breaking(Some("  "), &digest), &alice())), RejectedKind::Invalid);
    assert_eq!(kind(sim.take(breaking(why, "sha256:other"), &alice())), RejectedKind::Stale);
    let mut late = sim.clone();
    late.now = Duration::from_secs(600).after(late.now);
    assert_eq!(
        kind(late.take(breaking(why, &digest), &alice())),
        RejectedKind::NotNow,
        "a time-out means no"
    );
    sim.take(breaking(why, &digest), &alice()).unwrap();
    sim.go();
    assert_eq!(sim.world.value("x"), 1, "alone, and although it is their own run");
    let told = sim.summaries();
    assert!(
        told.iter().any(|line| line.contains("BREAK-GLASS: approved by alice alone: nobody can be reached"))
    );
    assert!(!gated(&yaml).run.created.policy.is_among("alice", &[]), "nobody may where nobody is named");
}

#[test]
fn nothing_is_changed_in_a_freeze_but_with_a_reason_by_those_who_may() {
    let freeze = Freeze { from: at(0), until: at(7200), reason: "end of the year".to_owned() };
    let frozen = Policy { freezes: vec![freeze.clone()], overriders: vec!["alice".to_owned()], ..policy() };
    let yaml = "steps: [{ id: a, action: test.change, with: { name: x, value: 1 } }]";
    let run = |policy: &Policy, overriding: bool, reason: Option<&str>| {
        let reason = reason.map(str::to_owned);
        let mut sim = Sim::of(Created { policy: policy.clone(), overriding, reason, ..created(yaml) });
        sim.go();
        (sim.status().to_owned(), sim.world.value("x"))
    };
    let why = Some("the shop is down");
    assert_eq!(run(&frozen, false, why), ("failed".to_owned(), 0));
    assert_eq!(run(&frozen, true, None), ("failed".to_owned(), 0), "an override has a reason");
    assert_eq!(run(&frozen, true, why), ("succeeded".to_owned(), 1));
    let others = Policy { overriders: vec!["leads".to_owned()], ..frozen.clone() };
    assert_eq!(run(&others, true, why), ("failed".to_owned(), 0));
    let past = Policy { freezes: vec![Freeze { until: at(0), ..freeze.clone() }], ..policy() };
    assert_eq!(run(&past, false, None), ("succeeded".to_owned(), 1));
    let dry = Created { policy: frozen, hands: Hands::DryRun, ..created(yaml) };
    let mut sim = Sim::of(dry);
    sim.go();
    let foreseen = sim.run.node("a").unwrap();
    assert!(
        foreseen.reason.as_deref().unwrap().contains("frozen until 2027-01-15 10:00 UTC: end of the year")
    );
}

#[test]
fn a_freeze_that_begins_while_people_think_holds() {
    let freeze = Freeze { from: at(300), until: at(7200), reason: "weekend".to_owned() };
    let policy = Policy { freezes: vec![freeze], ..policy() };
    let mut sim = Sim::of(Created { policy, ..created(GATED) });
    sim.go();
    sim.now = at(301);
    sim.approve_as(&bob(), "a").unwrap();
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x")), ("failed", 0));
}

#[test]
fn a_gate_inside_a_sub_runbook_asks_for_itself() {
    let inner = runbook(GATED);
    let yaml = "
steps:
  - { id: ask, approval: { from: [ops] } }
  - { id: enter, run: inner }
";
    let library = [("inner".to_owned(), inner.into())].into();
    let mut sim = Sim::of(Created { policy: policy(), library, ..created(yaml) });
    sim.go();
    sim.approve_as(&bob(), "ask").unwrap();
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x")), ("waiting", 0), "the gate before it does not count");
    for who in ["alice", "mallory"] {
        let refused = sim.approve_as(&Actor::cli(who), "enter.a").unwrap_err();
        assert_eq!(refused.kind, RejectedKind::NotPermitted, "{who}");
    }
    let outer = sim.run.node("ask").unwrap().gate.clone().unwrap().digest;
    let reuse =
        Input::Approve { step: "enter.a".to_owned(), digest: outer, comment: None, break_glass: false };
    assert_eq!(sim.take(reuse, &bob()).unwrap_err().kind, RejectedKind::Stale);
    sim.approve_as(&bob(), "enter.a").unwrap();
    sim.go();
    assert_eq!((sim.world.value("x"), sim.world.value("y")), (1, 0), "one gate, one change");
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
    let reuse =
        Input::Approve { step: "all[1]".to_owned(), digest: first, comment: None, break_glass: false };
    assert_eq!(sim.take(reuse, &bob()).unwrap_err().kind, RejectedKind::Stale);
    sim.approve_as(&bob(), "all[0]").unwrap();
    sim.go();
    assert_eq!((sim.world.value("p"), sim.world.value("q")), (1, 0));
}

#[test]
fn a_floor_of_the_environment_cannot_be_lowered() {
    let floor = runbook_core::policy::Floor { from: vec!["leads".to_owned()], count: 1 };
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

//! Ladders of mitigations.

use runbook_core::{event::Answer, fault::Fault, run::Input};

use crate::world::Sim;

const LADDER: &str = "
steady_state: [ { id: up, check: test.get, with: { name: health }, expect: value == 1 } ]
steps:
  - id: mitigate
    until: steady_state
    settle: 1m
    options:
      - { id: first, action: test.change, with: { name: x, value: 1 } }
      - { id: second, action: test.change, with: { name: y, value: 1 } }
  - { id: after, action: test.change, with: { name: z, value: 1 } }
";

#[test]
fn nothing_is_tried_where_it_holds_already() {
    let mut sim = Sim::live(LADDER).with(&[("health", 1)]);
    sim.go();
    assert_eq!(
        sim.steps(),
        ["mitigate succeeded", "mitigate.first skipped", "mitigate.second skipped", "after succeeded"]
    );
    assert!(!sim.world.writes.contains_key("x"));
}

#[test]
fn the_first_option_that_helps_ends_it() {
    let mut sim = Sim::live(LADDER);
    while sim.world.value("x") == 0 {
        assert!(sim.step());
    }
    sim.world.values.insert("health".to_owned(), 1);
    sim.go();
    assert_eq!(
        sim.steps(),
        ["mitigate succeeded", "mitigate.first succeeded", "mitigate.second skipped", "after succeeded"]
    );
    assert_eq!(sim.run.node("mitigate").unwrap().outputs["chosen"], "first");
    assert_eq!(sim.run.recovered(), Some(true));
}

#[test]
fn the_next_option_comes_when_one_does_not_help_or_fails() {
    for fault in [None, Some(Fault::permanent("no"))] {
        let mut sim = Sim::live(LADDER);
        sim.world.faults.insert("plan x".to_owned(), fault.into_iter().collect());
        while sim.world.value("y") == 0 {
            assert!(sim.step());
        }
        sim.world.values.insert("health".to_owned(), 1);
        sim.go();
        assert_eq!(sim.run.node("mitigate").unwrap().outputs["chosen"], "second");
        assert_eq!(sim.status(), "succeeded");
    }
}

#[test]
fn none_that_helps_is_a_failure_or_what_otherwise_says() {
    for (otherwise, status, after) in
        [("stop", "failed", 0), ("continue", "succeeded", 1), ("undo", "undone", 0)]
    {
        let yaml =
            LADDER.replace("    settle: 1m\n", &format!("    settle: 1m\n    otherwise: {otherwise}\n"));
        let mut sim = Sim::live(&yaml);
        sim.go();
        assert_eq!((sim.status(), sim.world.value("z")), (status, after), "{:#?}", sim.summaries());
        let undone = if otherwise == "undo" { 0 } else { 1 };
        assert_eq!((sim.world.value("x"), sim.world.value("y")), (undone, undone));
    }
}

#[test]
fn an_option_whose_condition_does_not_hold_is_passed_over() {
    let yaml = LADDER.replace("{ id: first,", "{ id: first, when: 1 == 2,");
    let mut sim = Sim::live(&yaml);
    sim.go();
    assert_eq!(sim.steps()[1], "mitigate.first skipped");
    assert_eq!((sim.world.value("x"), sim.world.value("y")), (0, 1));
}

#[test]
fn a_rejected_option_gives_way_to_the_next() {
    let yaml = LADDER.replace("{ id: first,", "{ id: first, approval: { from: [ops] },");
    let mut sim = Sim::live(&yaml.replace("[ops]", "[alice]"));
    sim.go();
    assert_eq!(sim.status(), "waiting");
    sim.say(Input::Reject { step: "mitigate.first".to_owned(), comment: Some("not now".to_owned()) })
        .unwrap();
    sim.go();
    assert_eq!((sim.world.value("x"), sim.world.value("y")), (0, 1));
}

#[test]
fn a_person_picks_the_option() {
    let yaml = LADDER.replace("    settle: 1m\n", "    settle: 1m\n    choose: operator\n");
    let mut sim = Sim::live(&yaml);
    sim.go();
    assert_eq!(sim.status(), "waiting");
    let wrong =
        sim.say(Input::Answer { step: "mitigate".to_owned(), answer: Answer::Option("third".to_owned()) });
    assert!(wrong.unwrap_err().hint.unwrap().contains("first, second"));
    sim.say(Input::Answer { step: "mitigate".to_owned(), answer: Answer::Option("second".to_owned()) })
        .unwrap();
    while sim.world.value("y") == 0 {
        assert!(sim.step());
    }
    sim.world.values.insert("health".to_owned(), 1);
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x")), ("succeeded", 0));
}

#[test]
fn a_dry_run_shows_the_whole_ladder() {
    let mut sim = Sim::dry(LADDER);
    sim.go();
    assert_eq!(
        sim.steps(),
        ["mitigate would_run", "mitigate.first would_run", "mitigate.second may_run", "after would_run"],
    );
    let mut steady = Sim::dry(LADDER).with(&[("health", 1)]);
    steady.go();
    assert_eq!(steady.steps()[1..3], ["mitigate.first would_skip", "mitigate.second would_skip"]);
}

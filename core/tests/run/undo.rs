//! Taking changes back.

use runbook_core::{event::Answer, fault::Fault, run::Input};

use crate::world::Sim;

const THREE: &str = "
on_failure: undo
steps:
  - { id: a, action: test.change, with: { name: x, value: 1 } }
  - { id: b, action: test.change, with: { name: y, value: 2 } }
  - { id: c, action: test.change, with: { name: z, value: 3 } }
finally:
  - { id: tell, action: test.change, with: { name: told, value: 1 } }
";

#[test]
fn a_failure_takes_back_what_was_done_in_reverse_order() {
    let mut sim =
        Sim::live(THREE).with(&[("x", 10), ("y", 20)]).failing("plan z", vec![Fault::permanent("no")]);
    sim.go();
    assert_eq!(sim.status(), "undone");
    assert_eq!((sim.world.value("x"), sim.world.value("y"), sim.world.value("told")), (10, 20, 1));
    let order: Vec<_> = sim.summaries().into_iter().filter(|line| line.contains("applying")).collect();
    assert!(order[2].starts_with("b~undo") && order[3].starts_with("a~undo"), "{order:#?}");
    assert_eq!(sim.steps()[..3], ["a undone", "b undone", "c failed"]);
}

#[test]
fn a_change_that_cannot_be_verified_is_taken_back_too() {
    let mut sim = Sim::live(THREE).failing("verify z", vec![Fault::permanent("never ready")]);
    sim.go();
    assert_eq!((sim.status(), sim.world.value("z")), ("undone", 0));
}

#[test]
fn of_a_for_each_only_what_was_done_is_taken_back() {
    let yaml = "
on_failure: undo
steps:
  - { id: all, for_each: [p, q, r, s], action: test.change, with: { name: '${{ item }}', value: 9 } }
";
    let mut sim = Sim::live(yaml)
        .with(&[("p", 1), ("q", 2), ("r", 3), ("s", 4)])
        .failing("plan r", vec![Fault::permanent("no")]);
    sim.go();
    assert_eq!(sim.status(), "undone");
    let values = ["p", "q", "r", "s"].map(|name| sim.world.value(name));
    assert_eq!(values, [1, 2, 3, 4]);
    let writes = ["p", "q", "r", "s"].map(|name| sim.world.writes.get(name).copied().unwrap_or(0));
    assert_eq!(writes, [2, 2, 0, 0], "there and back, and nothing that was not done");
}

#[test]
fn a_failed_undo_is_stuck() {
    let mut sim = Sim::live(THREE)
        .failing("plan z", vec![Fault::permanent("no")])
        .failing("undo y", vec![Fault::permanent("gone")]);
    sim.go();
    assert_eq!(sim.status(), "stuck");
    assert_eq!((sim.world.value("x"), sim.world.value("y")), (1, 2), "nothing after the one that is stuck");
    assert_eq!(sim.world.value("told"), 1);
}

#[test]
fn what_someone_else_changed_since_is_asked_about() {
    for (answer, status, x, y) in [(Answer::Proceed, "undone", 0, 0), (Answer::Stop, "stuck", 1, 99)] {
        let mut sim = Sim::live(THREE).failing("plan z", vec![Fault::permanent("no")]);
        while sim.run.node("c").unwrap().status().is_none() {
            assert!(sim.step());
            if sim.world.value("y") == 2 {
                sim.world.values.insert("y".to_owned(), 99);
            }
        }
        sim.go();
        assert_eq!(sim.status(), "waiting");
        // A cancel would stop nothing: whoever wants that answers the question.
        let rejected = sim.say(Input::Cancel { undo: false, reason: None }).unwrap_err();
        assert_eq!(rejected.message, "the run is taking its changes back");
        sim.say(Input::Answer { step: "b~undo".to_owned(), answer }).unwrap();
        sim.go();
        assert_eq!((sim.status(), sim.world.value("x"), sim.world.value("y")), (status, x, y));
    }
}

#[test]
fn the_changes_of_an_ended_run_can_be_taken_back_once() {
    let mut sim = Sim::live(THREE);
    sim.go();
    assert_eq!(sim.status(), "succeeded");
    sim.say(Input::Undo { reason: None }).unwrap();
    sim.go();
    assert_eq!(sim.status(), "undone", "{:#?}", sim.summaries());
    assert_eq!((sim.world.value("x"), sim.world.value("y"), sim.world.value("z")), (0, 0, 0));
    assert!(sim.say(Input::Undo { reason: None }).unwrap_err().message.contains("nothing to undo"));
}

#[test]
fn an_undo_that_a_person_asks_for_is_approved_again() {
    let yaml =
        THREE.replace("value: 1 } }\n  - { id: b", "value: 1 }, approval: { from: [alice] } }\n  - { id: b");
    let mut sim = Sim::live(&yaml);
    sim.go();
    sim.approve("a").unwrap();
    sim.go();
    assert_eq!(sim.status(), "succeeded");
    sim.say(Input::Undo { reason: None }).unwrap();
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x"), sim.world.value("y")), ("waiting", 1, 0));
    sim.approve("a~undo").unwrap();
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x")), ("undone", 0));
}

#[test]
fn cancelling_may_take_back() {
    for (undo, x) in [(false, 1), (true, 0)] {
        let mut sim = Sim::live(&THREE.replace("value: 2 }", "value: 2 }, approval: {}"));
        sim.go();
        sim.say(Input::Cancel { undo, reason: None }).unwrap();
        sim.go();
        assert_eq!((sim.status(), sim.world.value("x"), sim.world.value("told")), ("cancelled", x, 1));
    }
}

#[test]
fn what_may_not_be_undone_is_left_and_said() {
    let yaml = THREE.replace("value: 1 } }\n  - { id: b", "value: 1 }, undo: never }\n  - { id: b");
    let mut sim = Sim::live(&yaml);
    sim.go();
    sim.say(Input::Undo { reason: None }).unwrap();
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x"), sim.world.value("y")), ("undone", 1, 0));
    assert!(sim.run.ended.as_ref().unwrap().reason.as_ref().unwrap().contains("undo: never"));
}

#[test]
fn a_runbook_may_name_its_own_undo() {
    let yaml = THREE
        .replace("value: 2 } }", "value: 2 }, undo: { action: test.change, with: { name: y, value: 77 } } }");
    let mut sim = Sim::live(&yaml).failing("plan z", vec![Fault::permanent("no")]);
    sim.go();
    assert_eq!((sim.status(), sim.world.value("x"), sim.world.value("y")), ("undone", 0, 77));
}

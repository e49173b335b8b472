//! The driver dies: between any two events, and between a change and its record.

use runbook_core::{
    event::Answer,
    fault::Fault,
    run::{Input, Run, Task},
};

use crate::world::Sim;

const WORK: &str = "
on_failure: undo
steady_state: [ { id: up, check: test.get, with: { name: y }, expect: value == 2 } ]
steps:
  - { id: look, check: test.get, with: { name: x } }
  - id: mitigate
    until: steady_state
    settle: 1m
    options:
      - { id: one, action: test.change, with: { name: x, value: 1 } }
      - { id: two, action: test.change, with: { name: y, value: 2 } }
  - { id: all, for_each: [p, q], max_parallel: 2, action: test.change, with: { name: '${{ item }}', value: 3 } }
finally:
  - { id: tell, action: test.change, with: { name: told, value: 1 } }
";

fn done_once(sim: &Sim) {
    assert_eq!(sim.status(), "succeeded", "{:#?}", sim.summaries());
    for name in ["x", "y", "p", "q", "told"] {
        assert_eq!(sim.world.writes.get(name), Some(&1), "{name} was written once: {:#?}", sim.summaries());
    }
}

#[test]
fn a_crash_after_every_event_changes_nothing_twice() {
    let mut whole = Sim::live(WORK);
    whole.go();
    done_once(&whole);
    let steps = whole.events.len();
    for cut in 1..steps {
        let mut sim = Sim::live(WORK);
        while sim.events.len() < cut && sim.step() {}
        sim.crash();
        sim.go();
        done_once(&sim);
    }
}

#[test]
fn a_crash_between_a_change_and_its_record_is_looked_up() {
    // For every apply: it happened and the record was lost, or it did not happen at all.
    for happened in [true, false] {
        for nth in 0..5 {
            let mut sim = Sim::live(WORK);
            let mut seen = 0;
            loop {
                let apply = sim
                    .run
                    .pending(sim.now)
                    .effects
                    .into_iter()
                    .find(|effect| matches!(effect.task, Task::Apply { .. }));
                if let Some(effect) = apply {
                    if seen == nth {
                        if happened {
                            sim.perform(effect);
                        }
                        sim.crash();
                        break;
                    }
                    seen += 1;
                    let input = sim.perform(effect);
                    sim.say(input).unwrap();
                    continue;
                }
                assert!(sim.step(), "there are five changes");
            }
            sim.go();
            done_once(&sim);
        }
    }
}

#[test]
fn an_answer_that_is_lost_is_looked_up_too() {
    let lost = || vec![Fault::unknown("no answer within 60s")];
    let mut landed = Sim::live(WORK).failing("answer x", lost());
    landed.go();
    done_once(&landed);
    let mut missed = Sim::live(WORK).failing("apply x", lost());
    missed.go();
    done_once(&missed);
}

#[test]
fn a_refusal_is_tried_again_without_looking() {
    let mut sim = Sim::live(WORK).failing("apply x", vec![Fault::refused("busy"), Fault::refused("busy")]);
    sim.go();
    done_once(&sim);
    assert!(!sim.summaries().iter().any(|line| line.contains("it had")), "{:#?}", sim.summaries());
}

#[test]
fn a_conflict_at_the_last_moment_plans_anew() {
    let mut sim = Sim::live(WORK).failing("apply x", vec![Fault::conflict("moved")]);
    sim.go();
    done_once(&sim);
    assert!(sim.summaries().iter().any(|line| line.contains("void")));
}

#[test]
fn a_person_is_asked_only_where_nobody_could_tell() {
    for (answer, status, writes) in [
        (Answer::Happened, "succeeded", 1),
        (Answer::DidNotHappen, "succeeded", 1),
        (Answer::Stop, "stuck", 0),
    ] {
        let happened = answer == Answer::Happened;
        let call = if happened { "answer x" } else { "apply x" };
        let mut sim = Sim::live(WORK)
            .failing(call, vec![Fault::unknown("no answer")])
            .failing("probe x", vec![Fault::permanent("cannot tell")]);
        sim.go();
        assert_eq!(sim.status(), "waiting");
        sim.say(Input::Answer { step: "mitigate.one".to_owned(), answer }).unwrap();
        sim.go();
        assert_eq!(
            (sim.status(), sim.world.writes.get("x").copied().unwrap_or(0)),
            (status, writes),
            "{:#?}",
            sim.summaries()
        );
    }
}

#[test]
fn every_cut_of_a_journal_folds() {
    let mut sim = Sim::live(WORK).failing("plan p", vec![Fault::permanent("no")]);
    sim.go();
    assert_eq!(sim.status(), "undone", "{:#?}", sim.summaries());
    for cut in 1..=sim.events.len() {
        let run = Run::fold(sim.run.id, &sim.events[..cut]).unwrap().unwrap();
        assert_eq!(run.seq, cut as u64);
    }
}

#[test]
fn events_out_of_place_are_corrupt_never_guessed() {
    let mut sim = Sim::live(WORK);
    sim.go();
    let mut swapped = sim.events.clone();
    for i in 1..swapped.len() - 1 {
        let mut body = swapped[i].body.clone();
        std::mem::swap(&mut body, &mut swapped[i + 1].body);
        swapped[i].body = body;
        let fold = Run::fold(sim.run.id, &swapped);
        if let Ok(Some(run)) = fold {
            assert_eq!(run.seq, swapped.len() as u64, "what folds, folds whole");
        }
        swapped.clone_from(&sim.events);
    }
    assert!(Run::fold(sim.run.id, &sim.events[1..]).is_err(), "the first entry is missing");
    let mut twice = sim.events.clone();
    twice.push(sim.events.last().unwrap().clone());
    assert!(Run::fold(sim.run.id, &twice).is_err(), "nothing comes after the end");
}

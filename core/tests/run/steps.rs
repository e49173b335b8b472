//! Steps, one after the other and beside each other.

use runbook_core::{
    event::{Actor, Channel, Created},
    fault::Fault,
    run::Input,
};
use serde_json::json;

use crate::world::{Sim, at, created};

fn check(yaml: &str, values: &[(&str, i64)], status: &str, steps: &[&str]) -> Sim {
    let mut sim = Sim::live(yaml).with(values);
    sim.go();
    assert_eq!(sim.status(), status, "{:#?}", sim.summaries());
    assert_eq!(sim.steps(), steps, "{:#?}", sim.summaries());
    sim
}

#[test]
fn steps_follow_each_other_and_a_check_only_answers() {
    let yaml = "
steps:
  - { id: a, check: test.get, with: { name: x }, expect: value == 1 }
  - { id: b, action: test.change, with: { name: y, value: '${{ steps.a.outputs.value + 5 }}' } }
";
    let sim = check(yaml, &[("x", 2)], "succeeded", &["a succeeded", "b succeeded"]);
    assert_eq!(sim.run.node("a").unwrap().passed, Some(false));
    assert_eq!(sim.world.value("y"), 7);
    assert_eq!(sim.world.writes["y"], 1);
}

#[test]
fn a_required_check_that_fails_stops_the_run() {
    let yaml = "
steps:
  - { id: a, check: test.get, with: { name: x }, expect: value == 1, required: true }
  - { id: b, action: test.change, with: { name: y, value: 1 } }
";
    let sim = check(yaml, &[("x", 2)], "failed", &["a failed", "b skipped"]);
    assert!(sim.world.writes.is_empty());
}

#[test]
fn when_skips_and_a_skipped_step_does_not_block() {
    let yaml = "
steps:
  - { id: a, check: test.get, with: { name: x }, expect: value == 1 }
  - { id: b, when: steps.a.passed, action: test.change, with: { name: y, value: 1 } }
  - { id: c, action: test.change, with: { name: z, value: 1 } }
";
    check(yaml, &[], "succeeded", &["a succeeded", "b skipped", "c succeeded"]);
}

#[test]
fn a_failed_step_stops_unless_it_may_fail() {
    let yaml = |on_failure: &str| {
        format!(
            "
steps:
  - {{ id: a, action: test.change, with: {{ name: x, value: 1 }}, on_failure: {on_failure} }}
  - {{ id: b, action: test.change, with: {{ name: y, value: 1 }} }}
"
        )
    };
    for (word, status, b) in [("stop", "failed", "b skipped"), ("continue", "succeeded", "b succeeded")] {
        let mut sim = Sim::live(&yaml(word)).failing("plan x", vec![Fault::permanent("no")]);
        sim.go();
        assert_eq!((sim.status(), sim.steps()), (status, vec!["a failed".to_owned(), b.to_owned()]));
    }
}

#[test]
fn branches_run_beside_each_other() {
    let yaml = "
steps:
  - { id: a, needs: [], wait: 1m }
  - { id: b, needs: [], wait: 1m }
  - { id: c, needs: [a, b], check: test.get, with: { name: x } }
";
    let sim = check(yaml, &[], "succeeded", &["a succeeded", "b succeeded", "c succeeded"]);
    assert_eq!(sim.now, at(60), "both waited at the same time");
}

#[test]
fn a_transient_fault_is_tried_again_with_growing_waits_that_a_replay_repeats() {
    let yaml = "
steps:
  - { id: a, check: test.get, with: { name: x }, retry: { limit: 3, backoff: { initial: 2s, factor: 2 } } }
";
    let faults = || vec![Fault::unreachable("gone"), Fault::unreachable("gone"), Fault::unreachable("gone")];
    let ends: Vec<_> = (0..2)
        .map(|_| {
            let mut sim = Sim::live(yaml).failing("read x", faults());
            sim.go();
            assert_eq!(sim.run.node("a").unwrap().attempt, 4);
            assert_eq!(sim.run.node("a").unwrap().passed, Some(true));
            sim.now
        })
        .collect();
    assert_eq!(ends[0], ends[1]);
    let waited = ends[0].duration_since(at(0)).as_secs_f64();
    assert!((11.2..=14.0).contains(&waited), "2 + 4 + 8 seconds less at most a fifth, not {waited}");
}

#[test]
fn retries_are_bounded() {
    let yaml = "
steps:
  - { id: a, check: test.get, with: { name: x }, required: true, retry: { limit: 1 } }
";
    let mut sim = Sim::live(yaml).failing("read x", vec![Fault::unreachable("gone"); 5]);
    sim.go();
    assert_eq!((sim.status(), sim.run.node("a").unwrap().attempt), ("failed", 2));
}

#[test]
fn a_check_is_polled_until_it_holds_for_a_while() {
    let yaml = "
steps:
  - { id: a, check: test.get, with: { name: x }, until: value > 0, every: 10s, for: 25s, timeout: 5m, required: true }
";
    let mut sim = Sim::live(yaml).with(&[("x", 0)]);
    sim.step();
    sim.world.values.insert("x".to_owned(), 1);
    sim.go();
    assert_eq!(sim.status(), "succeeded");
    assert_eq!(sim.now, at(35), "first seen after 10 s, held for 25 s");

    let mut never = Sim::live(yaml).with(&[("x", 0)]);
    never.go();
    assert_eq!((never.status(), never.now), ("failed", at(300)));
}

#[test]
fn a_steady_state_must_hold_without_a_break() {
    let yaml = "
steady_state: [ { id: up, check: test.get, with: { name: x }, expect: value == 1 } ]
steps:
  - { id: soak, wait: steady_state, for: 1m, every: 15s, timeout: 5m }
";
    let mut sim = Sim::live(yaml).with(&[("x", 1)]);
    while sim.now < at(30) {
        assert!(sim.step());
    }
    sim.world.values.insert("x".to_owned(), 0);
    while sim.now < at(50) {
        assert!(sim.step());
    }
    sim.world.values.insert("x".to_owned(), 1);
    sim.go();
    assert_eq!((sim.status(), sim.run.recovered()), ("succeeded", Some(true)));
    assert!(sim.now >= at(105), "the minute began anew after the break, but it ended at {}", sim.now);
}

#[test]
fn recovery_is_verified_at_the_end_where_no_step_did() {
    let yaml = "
steady_state: [ { id: up, check: test.get, with: { name: x }, expect: value == 1 } ]
steps:
  - { id: a, action: test.change, with: { name: y, value: 1 } }
";
    for (value, recovered) in [(1, Some(true)), (0, Some(false))] {
        let mut sim = Sim::live(yaml).with(&[("x", value)]);
        sim.go();
        assert_eq!((sim.status(), sim.run.recovered()), ("succeeded", recovered));
    }
    let mut sim = Sim::live(yaml).failing("read x", vec![Fault::unreachable("gone"); 9]);
    sim.go();
    assert_eq!((sim.status(), sim.run.recovered()), ("succeeded", None), "nobody could look");
}

#[test]
fn telling_people_in_the_end_is_no_change_to_recover_from() {
    let yaml = "
limits: { max_mutations: 1 }
steady_state: [ { id: up, check: test.get, with: { name: x }, expect: value == 1 } ]
steps:
  - { id: a, action: test.change, with: { name: x, value: 1 } }
  - { id: soak, wait: steady_state }
finally:
  - { id: tell, action: test.change, with: { name: told, value: 1 } }
";
    let sim = check(yaml, &[], "succeeded", &["a succeeded", "soak succeeded", "tell succeeded"]);
    assert_eq!((sim.run.recovered(), sim.run.mutations), (Some(true), 1));
}

#[test]
fn for_each_runs_its_items_with_a_bound_and_stops_at_a_failure() {
    let yaml = "
steps:
  - { id: all, for_each: [a, b, c], max_parallel: 2, action: test.change, with: { name: '${{ item }}', value: 9 } }
";
    let sim = check(
        yaml,
        &[],
        "succeeded",
        &["all succeeded", "all[0] succeeded", "all[1] succeeded", "all[2] succeeded"],
    );
    assert_eq!(sim.run.node("all").unwrap().outputs["items"].as_array().unwrap().len(), 3);

    let mut sim = Sim::live(&yaml.replace("max_parallel: 2", "max_parallel: 1"))
        .failing("plan b", vec![Fault::permanent("no")]);
    sim.go();
    assert_eq!(sim.steps(), ["all failed", "all[0] succeeded", "all[1] failed", "all[2] skipped"]);
    assert_eq!((sim.world.value("a"), sim.world.value("c")), (9, 0));
}

#[test]
fn another_runbook_runs_as_a_step_with_its_own_inputs() {
    let inner = crate::world::runbook(
        "
inputs: { name: { type: string }, value: { type: integer, default: 3 } }
steps:
  - { id: set, action: test.change, with: { name: '${{ inputs.name }}', value: '${{ inputs.value }}' } }
finally:
  - { id: note, action: test.change, with: { name: note, value: 1 } }
",
    );
    let mut outer = created(
        "
steps:
  - { id: sub, run: inner, with: { name: x } }
  - { id: after, when: steps.sub.passed, action: test.change, with: { name: y, value: 1 } }
",
    );
    outer.library.insert("inner".to_owned(), inner.into());
    let mut sim = Sim::of(outer);
    sim.go();
    assert_eq!(sim.status(), "succeeded", "{:#?}", sim.summaries());
    assert_eq!(sim.steps(), ["sub succeeded", "sub.set succeeded", "sub.note succeeded", "after succeeded"]);
    assert_eq!((sim.world.value("x"), sim.world.value("note")), (3, 1));
}

#[test]
fn finally_runs_after_success_and_after_failure() {
    let yaml = "
steps:
  - { id: a, action: test.change, with: { name: x, value: 1 } }
finally:
  - { id: one, action: test.change, with: { name: one, value: 1 } }
  - { id: two, action: test.change, with: { name: two, value: 1 } }
";
    check(yaml, &[], "succeeded", &["a succeeded", "one succeeded", "two succeeded"]);
    let mut sim = Sim::live(yaml)
        .failing("plan x", vec![Fault::permanent("no")])
        .failing("plan one", vec![Fault::permanent("no")]);
    sim.go();
    assert_eq!(
        (sim.status(), sim.steps()),
        ("failed", vec!["a failed".into(), "one failed".into(), "two succeeded".into()])
    );
}

#[test]
fn finally_may_speak_of_steps_that_were_never_reached() {
    let yaml = "
steps:
  - { id: a, check: test.get, with: { name: x }, expect: value == 1, required: true }
  - { id: b, check: test.get, with: { name: y } }
finally:
  - id: tell
    when: steps.b.status == 'skipped' and not steps.b.passed
    action: test.change
    with: { name: told, value: '${{ steps.b.outputs.value | default(7) }}' }
";
    let sim = check(yaml, &[], "failed", &["a failed", "b skipped", "tell succeeded"]);
    assert_eq!(sim.world.value("told"), 7);
}

#[test]
fn a_limit_on_changes_is_kept() {
    let yaml = "
limits: { max_mutations: 1 }
steps:
  - { id: a, action: test.change, with: { name: x, value: 1 } }
  - { id: b, action: test.change, with: { name: y, value: 1 } }
";
    let sim = check(yaml, &[], "failed", &["a succeeded", "b failed"]);
    assert_eq!(sim.world.value("y"), 0);
}

#[test]
fn a_run_that_takes_too_long_fails() {
    let yaml = "
timeout: 1m
steps:
  - { id: a, wait: 2m }
";
    let sim = check(yaml, &[], "failed", &["a cancelled"]);
    assert_eq!(sim.now, at(60));
}

#[test]
fn what_is_already_so_is_not_written() {
    let yaml = "
steps:
  - { id: a, action: test.change, with: { name: x, value: 5 } }
";
    let sim = check(yaml, &[("x", 5)], "succeeded", &["a succeeded"]);
    assert!(sim.world.writes.is_empty());
    assert_eq!(*sim.run.node("a").unwrap().outputs, json!({ "value": 5 }));
}

#[test]
fn a_dry_run_foresees_and_changes_nothing() {
    let yaml = "
steps:
  - { id: a, check: test.get, with: { name: x }, expect: value == 1 }
  - { id: b, when: steps.a.passed, action: test.change, with: { name: y, value: 1 } }
  - { id: c, action: test.set, with: { name: z, value: 0 }, approval: { from: [ops] } }
  - { id: d, check: test.get, with: { name: x }, expect: value == 2 }
  - { id: e, when: steps.d.passed, action: test.change, with: { name: y, value: 2 } }
  - { id: f, wait: 10m }
  - { id: g, action: test.change, with: { name: '${{ steps.c.outputs.name }}', value: 2 } }
";
    let mut sim = Sim::dry(yaml).with(&[("z", 4)]);
    sim.go();
    assert_eq!(sim.status(), "complete");
    assert_eq!(
        sim.steps(),
        [
            "a would_run",
            "b would_skip",
            "c would_run",
            "d would_run",
            "e may_run",
            "f would_wait",
            "g would_run"
        ],
    );
    assert!(sim.world.writes.is_empty());
    assert_eq!(sim.now, at(0), "a dry-run waits for nothing");
    let document = runbook_core::report::document(&sim.run, 0);
    assert_eq!(document["steps"][2]["change"]["summary"], "z 4 -> 0");
    assert_eq!(document["steps"][2]["approval"]["from"], json!(["ops"]));
    assert_eq!(document["steps"][2]["grade"], "validated");
    assert_eq!(document["steps"][3]["grade"], "unknown", "behaviour after a foreseen change");
}

#[test]
fn a_dry_run_survives_a_source_that_is_away() {
    let yaml = "
steps:
  - { id: a, check: test.get, with: { name: x }, expect: value == 1 }
  - { id: b, when: steps.a.passed, action: test.change, with: { name: y, value: 1 } }
";
    let mut sim = Sim::dry(yaml).failing("read x", vec![Fault::unreachable("gone")]);
    sim.go();
    assert_eq!((sim.status(), sim.steps()), ("complete", vec!["a would_run".into(), "b may_run".into()]));
}

#[test]
fn a_run_waits_for_its_alert_to_be_over() {
    let yaml = "
steps:
  - { id: quiet, wait: 'alert.status == \"resolved\"', timeout: 20m }
  - { id: a, action: test.change, with: { name: x, value: 1 } }
";
    let started = |alert| Sim::of(Created { alert, ..created(yaml) });
    let firing = || json!({ "status": "firing", "labels": { "service": "api" } });
    let over = || Input::AlertResolved { ends_at: Some(at(65)) };
    let detector = Actor { name: "alertmanager".to_owned(), how: Channel::Alert };

    let mut sim = started(firing());
    sim.step();
    assert_eq!(sim.status(), "running");
    assert!(sim.take(over(), &detector).unwrap() > 0);
    assert_eq!(sim.take(over(), &detector).unwrap(), 0, "only the first time counts");
    sim.go();
    assert_eq!(sim.steps(), ["quiet succeeded", "a succeeded"], "{:#?}", sim.summaries());
    assert_eq!(sim.run.alert["ends_at"], json!(at(65).to_string()));

    let mut sim = started(firing());
    sim.go();
    assert_eq!(sim.steps(), ["quiet failed", "a skipped"], "{:#?}", sim.summaries());
    assert_eq!(sim.now, at(20 * 60));

    let mut by_a_person = started(serde_json::Value::Null);
    by_a_person.take(over(), &detector).unwrap();
    assert!(by_a_person.run.alert.is_null(), "it has no alert");
}

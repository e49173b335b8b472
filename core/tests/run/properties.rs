//! Whatever the runbook, the faults and the moments of the crashes: a run ends or waits for people,
//! its journal folds to the very state that it was left in, and no change is made twice.

use proptest::{prelude::*, sample::select};
use runbook_core::{
    event::Answer,
    fault::Fault,
    report::document,
    run::{About, Input, Question, Run},
};

use crate::world::Sim;

/// A step that changes a value of its own, on its own or as part of a whole.
#[derive(Debug, Clone)]
enum Shape {
    Action { on_failure: &'static str, gated: bool },
    Check { required: bool },
    Items(u8),
    Ladder { options: u8, until: bool, otherwise: &'static str },
    Wait,
}

fn shape() -> impl Strategy<Value = Shape> {
    let on_failure = select(vec!["stop", "continue", "undo"]);
    prop_oneof![
        (on_failure.clone(), any::<bool>())
            .prop_map(|(on_failure, gated)| Shape::Action { on_failure, gated }),
        any::<bool>().prop_map(|required| Shape::Check { required }),
        (1..4_u8).prop_map(Shape::Items),
        (1..3_u8, any::<bool>(), on_failure).prop_map(|(options, until, otherwise)| Shape::Ladder {
            options,
            until,
            otherwise
        }),
        Just(Shape::Wait),
    ]
}

fn yaml(shapes: &[Shape], on_failure: &str, beside: bool) -> String {
    let mut text = format!("on_failure: {on_failure}\n");
    text.push_str(
        "steady_state: [ { id: up, check: test.get, with: { name: health }, expect: value == 1 } ]\nsteps:\n",
    );
    let needs = if beside { ", needs: []" } else { "" };
    for (i, shape) in shapes.iter().enumerate() {
        let action = |name: String| format!("action: test.change, with: {{ name: {name}, value: 1 }}");
        text.push_str(&match shape {
            Shape::Action { on_failure, gated } => {
                let gate = if *gated { ", approval: { from: [alice] }" } else { "" };
                format!("  - {{ id: s{i}{needs}, {}, on_failure: {on_failure}{gate} }}\n", action(format!("v{i}")))
            }
            Shape::Check { required } => {
                format!("  - {{ id: s{i}{needs}, check: test.get, with: {{ name: v{i} }}, expect: value == 0, required: {required} }}\n")
            }
            Shape::Items(count) => {
                let items: Vec<String> = (0..*count).map(|n| format!("v{i}x{n}")).collect();
                let list = items.join(", ");
                format!("  - {{ id: s{i}{needs}, for_each: [{list}], max_parallel: 2, {} }}\n", action("'${{ item }}'".to_owned()))
            }
            Shape::Ladder { options, until, otherwise } => {
                let until = if *until { "    until: steady_state\n    settle: 30s\n" } else { "" };
                let list: Vec<String> =
                    (0..*options).map(|n| format!("      - {{ id: o{i}x{n}, {} }}\n", action(format!("v{i}x{n}")))).collect();
                let needs = if beside { "    needs: []\n" } else { "" };
                format!("  - id: s{i}\n{needs}{until}    otherwise: {otherwise}\n    options:\n{}", list.concat())
            }
            Shape::Wait => format!("  - {{ id: s{i}{needs}, wait: 10s }}\n"),
        });
    }
    text
}

fn faults() -> impl Strategy<Value = Vec<(String, Fault)>> {
    let call = select(vec!["read", "plan", "apply", "answer", "verify", "undo", "probe"]);
    let name = prop_oneof![
        (0..4_u8).prop_map(|i| format!("v{i}")),
        (0..4_u8, 0..3_u8).prop_map(|(i, n)| format!("v{i}x{n}"))
    ];
    let fault = select(vec![
        Fault::permanent("no"),
        Fault::refused("busy"),
        Fault::unknown("no answer"),
        Fault::unreachable("gone"),
        Fault::conflict("moved"),
    ]);
    let one = (call, name, fault).prop_map(|(call, name, fault)| (format!("{call} {name}"), fault));
    prop::collection::vec(one, 0..5)
}

/// Answers whatever people are asked; `false` when nothing is.
fn answer(sim: &mut Sim, yes: bool) -> bool {
    let open = sim.run.questions().next().map(|(node, question)| {
        let about = match question {
            Question::Approval(_) => None,
            Question::Answer(asking) => Some(asking.about),
        };
        (node.path.clone(), about)
    });
    let Some((step, about)) = open else { return false };
    match about {
        None if yes => sim.approve(&step).unwrap(),
        None => sim.say(Input::Reject { step, comment: None }).unwrap(),
        Some(About::Doubt) => {
            // The person looks at the world, as the engine could not.
            let change = sim.run.node(&step).unwrap().change.clone().unwrap();
            let name = change.input["name"].as_str().unwrap();
            let happened = Some(sim.world.value(name)) == change.after["value"].as_i64();
            sim.say(Input::Answer {
                step,
                answer: if happened { Answer::Happened } else { Answer::DidNotHappen },
            })
            .unwrap()
        }
        Some(_) => sim.say(Input::Answer { step, answer: Answer::Stop }).unwrap(),
    };
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn a_run_comes_to_an_end_and_changes_nothing_twice(
        shapes in prop::collection::vec(shape(), 1..5),
        on_failure in select(vec!["stop", "undo"]),
        beside in any::<bool>(),
        faults in faults(),
        crashes in prop::collection::vec(1..60_usize, 0..3),
        yes in any::<bool>(),
    ) {
        let mut sim = Sim::live(&yaml(&shapes, on_failure, beside));
        for (call, fault) in faults {
            sim.world.faults.entry(call).or_default().push(fault);
        }
        let mut steps = 0;
        loop {
            steps += 1;
            prop_assert!(steps < 3_000, "no end: {:#?}", sim.summaries());
            if crashes.contains(&steps) && sim.run.ended.is_none() {
                sim.crash();
            }
            if !sim.step() && !answer(&mut sim, yes) {
                break;
            }
        }
        prop_assert!(sim.run.ended.is_some(), "left as {}: {:#?}", sim.status(), sim.summaries());
        // Once there, and at most once back again.
        for (name, writes) in &sim.world.writes {
            prop_assert!(*writes <= 2, "{name} was written {writes} times: {:#?}", sim.summaries());
            let odd = writes % 2;
            prop_assert_eq!(sim.world.value(name), i64::from(odd), "{} after {} writes", name, writes);
        }
        if sim.status() == "succeeded" {
            let failed = sim.run.nodes().filter(|node| node.failed && node.role == runbook_core::run::Role::Step);
            let hard: Vec<_> = failed.filter(|node| node.step().on_failure != Some(runbook_core::runbook::OnFailure::Continue) && node.step().otherwise != Some(runbook_core::runbook::OnFailure::Continue)).map(|node| node.path.clone()).collect();
            prop_assert!(hard.is_empty(), "succeeded although {hard:?} failed");
        }
        let folded = Run::fold(sim.run.id, &sim.events).unwrap().unwrap();
        prop_assert_eq!(document(&folded, 0), document(&sim.run, 0));
    }

    #[test]
    fn a_dry_run_writes_nothing_and_ends_at_once(
        shapes in prop::collection::vec(shape(), 1..5),
        faults in faults(),
    ) {
        let mut sim = Sim::dry(&yaml(&shapes, "undo", false));
        for (call, fault) in faults {
            sim.world.faults.entry(call).or_default().push(fault);
        }
        let began = sim.now;
        sim.go();
        prop_assert_eq!(sim.status(), "complete");
        prop_assert!(sim.world.writes.is_empty());
        prop_assert_eq!(sim.now, began);
        for step in document(&sim.run, 0)["steps"].as_array().unwrap() {
            prop_assert!(step["verdict"].is_string(), "{step} has no verdict");
        }
    }
}

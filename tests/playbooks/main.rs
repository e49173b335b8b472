//! The runbooks that ship, held to their cases through the built binary: what an alert starts, what
//! a dry-run foresees, how the incident ends. Each case has a simulated world of its own.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

mod case;
mod project;

use std::{collections::BTreeMap, thread};

use case::Case;
use project::{Project, step};
use serde_json::{Value, json};

/// Simulated seconds per real one. Faster, and the milliseconds that a read takes on a busy machine
/// become minutes of the simulated incident.
const SPEED: u32 = 120;
/// Incidents spend most of their time waiting, so more of them run at once than there are cores.
const AT_ONCE: usize = 5;

/// Runs something for every case, several at once; every case that fails is told.
fn for_every_case(what: fn(&Case)) {
    let cases = Case::all();
    let failed: Vec<String> = cases
        .chunks(AT_ONCE)
        .flat_map(|some| {
            thread::scope(|scope| {
                let threads: Vec<_> =
                    some.iter().map(|case| (case, scope.spawn(move || what(case)))).collect();
                let failed = threads.into_iter().filter_map(|(case, thread)| {
                    let panic = thread.join().err()?;
                    let told = panic.downcast_ref::<String>().cloned();
                    Some(format!("{}: {}", case.scenario, told.unwrap_or_default()))
                });
                failed.collect::<Vec<_>>()
            })
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn the_checker_finds_nothing() {
    let project = Project::of("high-latency", SPEED);
    let told = project.ended(&["check"], 0);
    assert_eq!(told.stdout, "", "{}", told.stderr);
    assert!(told.stderr.contains("10 files checked: nothing found"), "{}", told.stderr);
}

#[test]
fn every_scenario_has_a_case_and_every_runbook_a_scenario_of_its_own_and_a_harder_one() {
    let cases = Case::all();
    let mut tested: Vec<&str> = cases.iter().map(|case| case.scenario.as_str()).collect();
    let scenarios = runbook_world::scenarios();
    let mut shipped: Vec<&str> = scenarios.iter().map(|info| info.name.as_str()).collect();
    tested.sort_unstable();
    shipped.sort_unstable();
    assert_eq!(tested, shipped);
    let mut counted: BTreeMap<&str, u32> = BTreeMap::new();
    for case in &cases {
        let told = scenarios.iter().find(|info| info.name == case.scenario).unwrap();
        assert_eq!(told.playbook, case.runbook, "{}", case.scenario);
        *counted.entry(&case.runbook).or_default() += 1;
    }
    for name in case::runbooks().keys() {
        let own = cases.iter().any(|case| case.scenario == *name && case.runbook == *name);
        assert!(own && counted[name.as_str()] >= 2, "{name}");
    }
}

#[test]
fn an_alert_starts_one_runbook_with_its_inputs() {
    for case in Case::all() {
        let Some(alert) = &case.alert else { continue };
        let matching = case::triggered(alert);
        let names: Vec<&str> = matching.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, [case.runbook.as_str()], "{}", case.scenario);
        assert_eq!(matching[0].1, case.inputs, "{}", case.scenario);
    }
}

#[test]
fn a_dry_run_tells_every_option_and_sends_no_write() {
    for_every_case(|case| {
        let project = Project::of(&case.scenario, SPEED);
        let plan = project.json(&case.arguments(&["--dry-run"]), 0);
        assert_eq!(
            (&plan["status"], &plan["writes_sent"], &plan["simulated"], &plan["dry_run"]),
            (&json!("complete"), &json!(0), &json!(true), &json!(true)),
        );
        let verdicts: BTreeMap<String, String> = steps(&plan)
            .filter(|one| case.dry_run.contains_key(id(one)) || one["kind"] == "action")
            .map(|one| (id(one).to_owned(), one["verdict"].as_str().unwrap_or_default().to_owned()))
            .collect();
        assert_eq!(verdicts, case.dry_run);
        for one in steps(&plan) {
            assert!(one["error"].is_null() || one["passed"] == false, "{one:#}");
            assert!(!one["grade"].is_null() && !one["reason"].is_null(), "{one:#}");
            assert!(!one["warnings"].to_string().contains("could not be looked at"), "{one:#}");
        }
    });
}

#[test]
fn an_incident_ends_as_its_case_tells() {
    for_every_case(|case| {
        let project = Project::of(&case.scenario, SPEED);
        let run = project.start(&case.arguments(&["--output", "json"]));
        let document = project.answer_all(run, case.live.exit, |question| case.answer(question));
        assert_eq!(document["status"], json!(case.live.status), "{document:#}");
        assert_eq!(document["recovered"], json!(case.live.recovered), "{document:#}");
        for (ladder, chosen) in &case.live.chosen {
            assert_eq!(step(&document, ladder)["outputs"]["chosen"], json!(chosen), "{document:#}");
        }
        assert_eq!(changes(&document), case.live.changes, "{document:#}");
        let failed: Vec<&str> = steps(&document)
            .filter(|one| one["status"] == "failed" && !id(one).contains('.'))
            .map(id)
            .collect();
        assert_eq!(failed, case.live.failed, "{document:#}");
    });
}

#[test]
fn an_option_that_is_rejected_gives_way_to_the_next() {
    let project = Project::of("high-latency-load", SPEED);
    let run = project.start(&["run", "high-latency", "--output", "json"]);
    let document = project.answer_all(run, 0, |question| {
        assert_eq!(question["step"], "mitigate.rollback", "scaling up asks nobody");
        vec!["reject".to_owned(), "--comment".to_owned(), "it is the load".to_owned()]
    });
    let rollback = step(&document, "mitigate.rollback");
    assert_eq!(rollback["status"], "failed");
    assert!(rollback["reason"].as_str().unwrap().contains("it is the load"), "{rollback:#}");
    assert_eq!(changes(&document), ["mitigate.scale", "tell"]);
    assert_eq!((&document["status"], &document["recovered"]), (&json!("succeeded"), &json!(true)));
}

#[test]
fn when_nothing_is_allowed_nothing_changes_but_the_channel_is_told() {
    let project = Project::of("bad-deploy-rollback", SPEED);
    let run = project.start(&["run", "bad-deploy-rollback", "--output", "json"]);
    let document = project.answer_all(run, 1, |_| vec!["reject".to_owned()]);
    assert_eq!((&document["status"], &document["recovered"]), (&json!("failed"), &json!(false)));
    assert_eq!(changes(&document), ["tell"]);
    let told = step(&document, "tell")["change"]["after"]["message"].to_string();
    assert!(told.contains("Runbook failed"), "{told}");
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_without_repeating_a_change() {
    let project = Project::of("high-latency", SPEED);
    let mut run = project.start(&["run", "high-latency", "--output", "json"]);
    project.await_status("mitigate.rollback", "waiting");
    project.kill(run);
    // Whoever approves needs nobody who waits for it.
    project.ended(&["approve", "latest", "mitigate.rollback"], 0);
    for (step, event) in [("mitigate.rollback", "apply_started"), ("soak", "step_started")] {
        run = project.start(&["resume", "latest", "--output", "json"]);
        project.await_event(step, event);
        project.kill(run);
    }
    // The last kill may have come too late for this run, which has nothing left to do then.
    let said = project.runbook(["resume", "latest"]);
    assert!(said.code == 0 || said.stderr.contains("has ended: succeeded"), "{said:#?}");
    let document = project.json(&["show", "latest"], 0);
    assert_eq!((&document["status"], &document["recovered"]), (&json!("succeeded"), &json!(true)));
    assert_eq!(changes(&document), ["mitigate.rollback", "tell"]);
    assert!(project.ended(&["timeline", "latest", "--verify"], 0).stderr.is_empty());
    let after = project.json(&["run", "high-latency", "--dry-run"], 0);
    assert_eq!(step(&after, "history")["outputs"]["revision"], 43, "rolled back once");
    assert_eq!(step(&after, "mitigate.rollback")["verdict"], "would_skip", "it is well again");
}

fn steps(document: &Value) -> impl Iterator<Item = &Value> {
    document["steps"].as_array().unwrap().iter()
}

fn id(step: &Value) -> &str {
    step["id"].as_str().unwrap()
}

/// The changes that were made, whether or not they helped, in the order in which they were.
fn changes(document: &Value) -> Vec<&str> {
    let mut made: Vec<&Value> =
        steps(document).filter(|one| !one["change"].is_null() && !one["outputs"].is_null()).collect();
    made.sort_by_key(|one| one["started_at"].as_str());
    made.into_iter().map(id).collect()
}

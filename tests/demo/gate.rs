//! The gate that is asked inline, on a terminal.

use serde_json::json;

use crate::{
    project::{GATE, Project, SPEED, step},
    terminal::Terminal,
};

const WIDE: (u16, u16) = (60, 200);
const NARROW: (u16, u16) = (24, 80);
const INTERRUPT: &str = "\u{3}";
const QUESTION: &str = "approve? [y/N]";

#[track_caller]
fn once(lines: &[String], text: &str) {
    let found = lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(found, 1, "{text}\n{}", lines.join("\n"));
}

#[test]
fn yes_rolls_back_and_the_screen_tells_the_whole_story_once() {
    for size in [WIDE, NARROW] {
        let project = Project::of("high-latency", SPEED);
        let mut terminal = Terminal::run(&project, size, &["run", "high-latency"], false);
        terminal.expect(QUESTION);
        assert!(!terminal.is_cooked() && terminal.is_coloured());
        let asked = terminal.shown();
        for part in [
            "? mitigate.rollback  Roll back the last deployment",
            "-       image: registry.simulated/api:1.42.0",
            "+       image: registry.simulated/api:1.41.0",
            "sre-oncall (alice, bob) to approve",
            "write · risk medium · about 5m · validated · can be undone",
            "in every group of a simulated environment",
            "high-latency in demo (simulated: high-latency, time x240)",
            "?   rollback",
        ] {
            once(&asked, part);
        }
        terminal.press("what\r");
        terminal.expect("please answer y or n");
        terminal.press("y seen in staging\r");
        terminal.expect("runbook world high-latency");
        assert!(terminal.is_cooked());
        let (code, lines) = terminal.end();
        assert_eq!(code, 0, "{}", lines.join("\n"));
        for part in [
            "? mitigate.rollback  Roll back the last deployment",
            "approve? [y/N] y seen in staging",
            "✓ preflight",
            "✓ mitigate ",
            "✓   rollback",
            "✓ soak",
            "✓ tell",
            "succeeded, recovery verified in",
            "timeline: runbook timeline run_",
            "take it back: runbook undo run_",
        ] {
            once(&lines, part);
        }
        assert!(lines.iter().all(|line| !line.contains("⋮") && !line.contains("⠋")), "{}", lines.join("\n"));
        let document = project.json(&["show"], 0);
        assert_eq!(step(&document, GATE)["status"], "succeeded");
        let told = project.ended(&["timeline", "latest"], 0).stdout;
        assert!(told.contains("seen in staging"), "{told}");
    }
}

#[test]
fn no_goes_on_to_the_next_option() {
    let project = Project::of("high-latency-load", SPEED);
    let mut terminal = Terminal::run(&project, NARROW, &["run", "high-latency"], false);
    terminal.expect(QUESTION);
    terminal.press("n it is the load\r");
    let (code, lines) = terminal.end();
    assert_eq!(code, 0, "{}", lines.join("\n"));
    once(&lines, "approve? [y/N] n it is the load");
    let document = project.json(&["show"], 0);
    let status = |id: &str| step(&document, id)["status"].clone();
    assert_eq!((status(GATE), status("mitigate.scale")), (json!("failed"), json!("succeeded")));
}

#[test]
fn an_interrupt_at_the_question_leaves_the_run_to_be_resumed() {
    let project = Project::of("high-latency", SPEED);
    let mut terminal = Terminal::run(&project, WIDE, &["run", "high-latency"], false);
    terminal.expect(QUESTION);
    terminal.press(INTERRUPT);
    terminal.expect("left as it is");
    assert!(terminal.is_cooked());
    let (code, lines) = terminal.end();
    assert_eq!(code, 130, "{}", lines.join("\n"));
    let run = project.json(&["show"], 0);
    assert_eq!((&run["status"], &run["writes_sent"]), (&json!("waiting"), &json!(0)), "{run:#}");
    once(&lines, &format!("runbook resume {}", run["run"].as_str().unwrap()));
    // No leftovers of the tree below the question.
    assert!(lines.iter().all(|line| !line.contains(QUESTION)), "{}", lines.join("\n"));

    let mut terminal = Terminal::run(&project, WIDE, &["resume"], false);
    terminal.expect(QUESTION);
    terminal.press("y\r");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn an_interrupt_later_cancels_the_run() {
    let project = Project::of("high-latency", 60);
    let mut terminal = Terminal::run(&project, WIDE, &["run", "high-latency"], false);
    terminal.expect(QUESTION);
    terminal.press("y\r");
    terminal.expect("steady for");
    assert!(terminal.is_cooked(), "keys are taken only while a question is open");
    terminal.press(INTERRUPT);
    let (code, lines) = terminal.end();
    assert_eq!(code, 130, "{}", lines.join("\n"));
    once(&lines, "the run was cancelled");
    assert_eq!(project.json(&["show"], 0)["status"], "cancelled");
}

#[test]
fn an_answer_from_elsewhere_takes_the_question_away() {
    let project = Project::of("high-latency", SPEED);
    let mut terminal = Terminal::run(&project, NARROW, &["run", "high-latency"], true);
    terminal.expect(QUESTION);
    assert!(!terminal.is_coloured(), "NO_COLOR is honoured");
    project.ended(&["approve", "latest", "--yes"], 0);
    let (code, lines) = terminal.end();
    assert_eq!(code, 0, "{}", lines.join("\n"));
    assert!(lines.iter().all(|line| !line.contains(QUESTION)), "{}", lines.join("\n"));
}

#[test]
fn the_verbs_that_answer_ask_before_they_do() {
    let (project, run) = Project::waiting();
    let mut terminal = Terminal::run(&project, NARROW, &["approve", &run], false);
    terminal.expect(QUESTION);
    terminal.press("\u{4}");
    terminal.expect("left open");
    assert_eq!(terminal.end().0, 3);
    let mut terminal = Terminal::run(&project, NARROW, &["approve", &run], false);
    terminal.expect(QUESTION);
    terminal.press("y\n");
    terminal.expect("approved: mitigate.rollback");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn a_dry_run_leaves_its_plan_and_nothing_of_its_tree() {
    let project = Project::of("high-latency", SPEED);
    let (code, lines) = Terminal::run(&project, NARROW, &["run", "high-latency", "--dry-run"], false).end();
    assert_eq!(code, 0, "{}", lines.join("\n"));
    once(&lines, "dry-run of high-latency in demo (simulated: high-latency");
    once(&lines, "+       image: registry.simulated/api:1.41.0");
    let tree = |line: &&String| line.contains(": not known") || line.ends_with("  dry-run");
    assert_eq!(lines.iter().find(tree), None, "{}", lines.join("\n"));
}

//! How much is said, where, and in which colours; nobody is asked where nobody can answer.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
};

use crate::project::{GATE, Project, SPEED};

#[test]
fn talk_goes_to_stderr_as_much_as_is_wanted() {
    let said = |flags: &[&str]| {
        let project = Project::of("high-latency", SPEED);
        project.ended(&[&["run", "high-latency", "--detach"], flags].concat(), 3)
    };
    let (plain, quiet, verbose) = (said(&[]), said(&["-q"]), said(&["-v"]));
    for one in [&plain, &quiet, &verbose] {
        assert_eq!(one.stdout, "", "{one:#?}");
        // Without an answer nothing would go on: that is said even to those who want silence, once.
        assert_eq!(one.stderr.matches(&format!("? {GATE}")).count(), 1, "{one:#?}");
        assert_eq!(one.stderr.matches("runbook approve run_").count(), 1, "{one:#?}");
    }
    assert!(quiet.stderr.starts_with(&format!("? {GATE}")), "{quiet:#?}");
    assert!(plain.stderr.contains("started high-latency in demo (simulated)"), "{plain:#?}");
    assert!(verbose.stderr.lines().count() >= plain.stderr.lines().count(), "{verbose:#?}");
}

#[test]
fn what_no_terminal_reads_has_no_colours() {
    let (project, run) = Project::waiting();
    for args in [
        &["show", &run][..],
        &["timeline", &run],
        &["approvals"],
        &["runs"],
        &["run", "high-latency", "--dry-run"],
        &["approve", &run],
    ] {
        for plain in [true, false] {
            let mut command = project.command(args);
            if plain {
                command.env("NO_COLOR", "1");
            }
            let output = command.output().unwrap();
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!text.contains('\u{1b}'), "{args:?}: {text}");
        }
    }
}

#[test]
fn where_nobody_can_be_asked_the_run_waits_for_an_answer_from_elsewhere() {
    let project = Project::of("high-latency", SPEED);
    let mut command = project.command(["run", "high-latency"]);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told: Vec<String> = lines.by_ref().take_while(|line| !line.contains("runbook approve")).collect();
    assert!(told.iter().any(|line| line == "answer from any shell:"), "{told:#?}");
    assert!(!told.iter().any(|line| line.contains("[y/N]")), "{told:#?}");

    let driven = project.ended(&["resume", "latest"], 1).stderr;
    assert!(driven.contains("driven by another process") && driven.contains("--follow"), "{driven}");
    let said = project.ended(&["approve", "latest", GATE, "--yes"], 0);
    assert!(said.stderr.ends_with("its process goes on from here\n"), "{said:#?}");
    let rest: Vec<String> = lines.collect();
    assert!(run.wait().unwrap().success(), "{rest:#?}");
    let mut ending = String::new();
    run.stdout.take().unwrap().read_to_string(&mut ending).unwrap();
    assert!(ending.contains("succeeded, recovery verified"), "{ending}");
}

#[test]
fn what_happens_is_followed_from_elsewhere() {
    let (project, run) = Project::waiting();
    let mut command = project.command(["timeline", &run, "--follow"]);
    let mut follows = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follows.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line.contains("waiting for sre-oncall to approve")));
    project.ended(&["reject", &run, "--comment", "not now"], 0);
    assert!(lines.by_ref().any(|line| line.contains("rejected by") && line.contains("not now")));
    project.ended(&["cancel", &run], 0);
    assert!(lines.last().unwrap().contains("cancelled"));
    assert!(follows.wait().unwrap().success());
}

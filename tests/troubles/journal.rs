//! A database that is not what it was: of a newer version, damaged, or not a database at all.

use std::fs;

use rusqlite::Connection;

use crate::project::{Project, SPEED};

fn open(project: &Project) -> Connection {
    Connection::open(project.path("state/runbook.db")).unwrap()
}

/// Puts all entries into the main file, wherever the last process left them.
pub fn fold(project: &Project) {
    let busy: i64 = open(project).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 0, "nobody else uses it");
}

/// A run that waits for its approval.
fn waiting() -> Project {
    let project = Project::of("high-latency", SPEED);
    project.runbook(["run", "high-latency", "--detach"]).ends_with_code(3);
    fold(&project);
    project
}

/// Flips one bit of the first byte of a text within a stored entry, in the file itself; the text has to
/// be there once.
fn flip(project: &Project, text: &str) {
    let path = project.path("state/runbook.db");
    let mut bytes = fs::read(&path).unwrap();
    let places: Vec<usize> = bytes
        .windows(text.len())
        .enumerate()
        .filter(|(_, window)| *window == text.as_bytes())
        .map(|(at, _)| at)
        .collect();
    let [place] = places[..] else { panic!("{text} is there {} times", places.len()) };
    bytes[place] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The number of the first entry of a kind.
fn entry(project: &Project, kind: &str) -> u64 {
    let entries = project.json(&["timeline", "latest"], 0);
    let found = entries.as_array().unwrap().iter().find(|one| one["type"] == kind).unwrap();
    found["seq"].as_u64().unwrap()
}

#[test]
fn one_flipped_byte_is_found_at_its_entry_and_nobody_acts_upon_it() {
    // The one is within a text, which can still be read; the other breaks the JSON.
    for (kind, text) in [
        ("steady_checked", r#"8.063"},{"id":"p99""#),
        ("approval_requested", r#"{"type":"approval_requested""#),
    ] {
        let project = waiting();
        let (run, seq) =
            (project.json(&["show"], 0)["run"].as_str().unwrap().to_owned(), entry(&project, kind));
        flip(&project, text);
        let proof = project.runbook(["timeline", "latest", "--verify"]).ends_with_code(1);
        assert_eq!(
            proof.stdout,
            format!(
                "{run}  broken: entry {seq} was changed: its hash does not fit its content and the entry \
                 before it\n"
            )
        );
        let proofs = project.json(&["timeline", &run, "--verify"], 1);
        assert_eq!((&proofs[0]["intact"], &proofs[0]["entry"]), (&false.into(), &seq.into()));
        for args in [
            &["resume", "latest", "--detach"][..],
            &["approve", "latest", "mitigate.rollback"],
            &["reject", "latest", "mitigate.rollback"],
            &["cancel", "latest"],
            &["cancel", "latest", "--undo"],
            &["undo", "latest"],
        ] {
            let told = project.refused(args, 1);
            let expected = format!("error: run {run} cannot be trusted: entry {seq} was changed");
            assert!(told.starts_with(&expected) && told.contains("\nhint: keep a copy"), "{args:?}: {told}");
        }
        for args in [&["timeline", "latest"][..], &["show", "latest"], &["approvals"], &["runs"]] {
            let said = project.runbook(args);
            let unreadable = format!("error: entry {seq} cannot be read: ");
            assert!(said.code == 0 || said.stderr.starts_with(&unreadable), "{args:?}: {said:#?}");
        }
        // The world is as it was.
        let plan = project.json(&["run", "high-latency", "--dry-run"], 0);
        let history = plan["steps"].as_array().unwrap().iter().find(|one| one["id"] == "history").unwrap();
        assert_eq!(history["outputs"]["revision"], 42);
    }
}

#[test]
fn an_entry_that_is_gone_is_missed() {
    let project = waiting();
    let last = open(&project).execute("DELETE FROM records WHERE seq = 5", []).unwrap();
    assert_eq!(last, 1);
    let proof = project.runbook(["timeline", "latest", "--verify"]).ends_with_code(1);
    assert!(proof.stdout.contains("broken: entry 5 is missing"), "{proof:#?}");
    let told = project.refused(&["resume", "latest", "--detach"], 1);
    assert!(told.contains("entry 5 is missing"), "{told}");
}

#[test]
fn a_database_of_a_newer_version_stays_as_it_is() {
    let project = waiting();
    open(&project).pragma_update(None, "user_version", 99).unwrap();
    fold(&project);
    let before = fs::read(project.path("state/runbook.db")).unwrap();
    for args in [
        &["run", "high-latency", "--detach"][..],
        &["resume", "latest", "--detach"],
        &["approve", "latest"],
        &["runs"],
        &["show"],
        &["timeline", "latest"],
        &["approvals"],
    ] {
        assert_eq!(
            project.refused(args, 2),
            "error: database PROJECT/state/runbook.db was written by a newer version of runbook (schema 99, this \
             one knows 2)\nhint: use the newer version, or point `store` at another database\n",
            "{args:?}"
        );
    }
    assert_eq!(fs::read(project.path("state/runbook.db")).unwrap(), before);
}

#[test]
fn what_is_no_journal_is_left_alone() {
    let project = Project::of("high-latency", SPEED);
    project.write("state/runbook.db", "these are notes, and they are nobody's database\n");
    let told = project.refused(&["run", "high-latency", "--detach"], 2);
    assert!(told.contains("it is not a SQLite database") && told.contains("hint: "), "{told}");
    fs::remove_file(project.path("state/runbook.db")).unwrap();
    open(&project).execute_batch("CREATE TABLE theirs (id INTEGER)").unwrap();
    for args in [&["run", "high-latency", "--detach"][..], &["runs"]] {
        let told = project.refused(args, 2);
        assert!(told.contains("it belongs to another program"), "{told}");
    }
}

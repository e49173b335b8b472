//! A disk that is full, and one that may only be read. Both need a file system of one's own, which
//! only root may mount; elsewhere these tests say that they are skipped.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    journal::fold,
    project::{Project, SPEED},
};

/// A small file system, for as long as this lives.
struct Mounted(PathBuf);

impl Mounted {
    fn new(at: PathBuf, bytes: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"], &at).then(|| Self(at))
    }
    fn read_only(&self, yes: bool) {
        let mode = if yes { "remount,ro" } else { "remount,rw" };
        assert!(mount(&["-o", mode], &self.0));
    }
    fn room(&self, bytes: &str) {
        assert!(mount(&["-o", &format!("remount,size={bytes}")], &self.0));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg("--lazy").arg(&self.0).status().unwrap().success());
    }
}

fn mount(how: &[&str], at: &Path) -> bool {
    match Command::new("mount").args(how).arg(at).output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            eprintln!("skipped: no file system can be mounted here: {}", why.trim());
            false
        }
        Err(error) => {
            eprintln!("skipped: there is no `mount`: {error}");
            false
        }
    }
}

#[test]
fn a_full_disk_ends_the_run_and_loses_nothing_that_was_acknowledged() {
    let project = Project::of("high-latency", SPEED);
    let Some(disk) = Mounted::new(project.path("state"), "220k") else { return };
    let told = project.refused(&["run", "high-latency", "--detach"], 1);
    assert!(
        told.ends_with(
            "error: no space is left for database PROJECT/state/runbook.db\n\
             hint: free some space; every entry that was acknowledged is safe\n"
        ),
        "{told}"
    );
    // Every entry that was told to people is there, and the chain holds.
    let entries = project.json(&["timeline", "latest"], 0);
    let kept: Vec<u64> = entries.as_array().unwrap().iter().map(|one| one["seq"].as_u64().unwrap()).collect();
    let said = told.lines().filter(|line| line.contains("  #")).count();
    assert!(said > 0 && kept.len() >= said, "{said} of {}\n{told}", kept.len());
    project.runbook(["timeline", "latest", "--verify"]).ends_with_code(0);
    // With room again the run goes on from there.
    disk.room("4m");
    let resumed = project.json(&["resume", "latest", "--detach"], 3);
    assert_eq!(resumed["status"], "waiting", "{resumed:#}");
    project.runbook(["timeline", "latest", "--verify"]).ends_with_code(0);
}

#[test]
fn a_full_disk_keeps_a_run_from_starting() {
    let project = Project::of("high-latency", SPEED);
    let Some(_disk) = Mounted::new(project.path("state"), "48k") else { return };
    let told = project.refused(&["run", "high-latency", "--detach"], 1);
    assert!(told.contains("error: ") && told.contains("o space"), "{told}");
}

#[test]
fn what_ran_can_be_looked_at_where_nothing_can_be_written() {
    let project = Project::of("high-latency", SPEED);
    let Some(disk) = Mounted::new(project.path("state"), "4m") else { return };
    project.runbook(["run", "high-latency", "--detach"]).ends_with_code(3);
    fold(&project);
    let before = project.runbook(["timeline", "latest"]).ends_with_code(0).stdout;
    disk.read_only(true);
    let refusal = "error: database PROJECT/state/runbook.db is read-only\n\
                   hint: give this user the right to write it, or point `store` elsewhere\n";
    for args in [
        &["run", "high-latency", "--detach"][..],
        &["resume", "latest", "--detach"],
        &["cancel", "latest"],
        &["approve", "latest", "mitigate.rollback"],
        &["reject", "latest", "mitigate.rollback"],
    ] {
        let told = project.refused(args, 7);
        assert!(told.ends_with(refusal), "{args:?}: {told}");
    }
    for args in [&["runs"][..], &["show"], &["approvals"], &["timeline", "latest", "--verify"]] {
        project.runbook(args).ends_with_code(0);
    }
    assert_eq!(project.runbook(["timeline", "latest"]).ends_with_code(0).stdout, before);
    assert_eq!(project.json(&["run", "high-latency", "--dry-run"], 0)["writes_sent"], 0);
    disk.read_only(false);
    project.runbook(["resume", "latest", "--detach"]).ends_with_code(3);
}

//! The program itself: help, completions, manual pages, readers that go away.

use std::{
    io::Read as _,
    process::{Command, Stdio},
};

use assert_cmd::cargo::cargo_bin;

use crate::project::Project;

const VERBS: [&str; 13] = [
    "init",
    "check",
    "list",
    "describe",
    "actions",
    "schema",
    "runs",
    "show",
    "timeline",
    "approvals",
    "completions",
    "man",
    "run",
];

#[test]
fn every_command_has_help_with_an_example() {
    let project = Project::empty();
    for verb in VERBS {
        let said = project.runbook([verb, "--help"]).ends_with_code(0);
        assert!(said.stdout.contains("Example"), "{verb}: {}", said.stdout);
        assert!(said.stdout.contains(&format!("runbook {verb}")), "{verb}: {}", said.stdout);
    }
}

#[test]
fn the_bench_measures_the_engine_and_the_program() {
    let project = Project::empty();
    let said = project
        .runbook(["bench", "--runs", "3", "--at-once", "2", "--steps", "2", "--output", "json"])
        .ends_with_code(0);
    let told: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    for name in
        ["step_ms", "disk_sync_ms", "engine_batches_per_s", "sqlite_batches_per_s", "ratio", "start_ms"]
    {
        assert!(told[name].as_f64().is_some_and(|figure| figure > 0.0), "{name}: {told}");
    }
    if cfg!(target_os = "linux") {
        let [resident, private] =
            ["waiting_resident_kib", "waiting_private_kib"].map(|name| told[name].as_u64());
        assert!(private > Some(0) && private < resident, "{told}");
    }
    let left = std::fs::read_dir(project.path("")).unwrap().flatten();
    assert!(left.map(|entry| entry.file_name()).all(|name| !name.to_string_lossy().contains("bench")));
}

#[test]
fn misuse_is_told_with_its_code() {
    let project = Project::empty();
    for args in [["frobnicate", ""], ["list", "--no-such"], ["runs", "--limit=0"], ["runs", "--since=soon"]] {
        let args = args.map(|arg| if arg.is_empty() { "--quiet" } else { arg });
        project.runbook(args).ends_with_code(2);
    }
}

#[test]
fn every_shell_gets_a_script_that_asks_this_program() {
    let project = Project::empty();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = project.runbook(["completions", shell]).ends_with_code(0);
        assert!(said.stdout.contains("RUNBOOK_COMPLETE"), "{shell}: {}", said.stdout);
    }
    project.runbook(["completions", "tcsh"]).ends_with_code(2);
}

#[test]
fn completions_know_the_project() {
    let project = Project::with(&[("restart-web", "steps: []\n"), ("restart-db", "steps: []\n")]);
    let candidates = |words: &[&str]| {
        let mut command = Command::new(cargo_bin!("runbook"));
        command
            .env("RUNBOOK_COMPLETE", "fish")
            .env_remove("RUNBOOK_CONFIG")
            .args(["--", "runbook"])
            .args(words);
        let output = command.current_dir(project.path("")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(candidates(&["describe", "restart"]), ["restart-db", "restart-web"]);
    assert_eq!(candidates(&["run", "restart-w"]), ["restart-web"]);
    assert_eq!(candidates(&["list", "--env", "d"]), ["demo"]);
    assert_eq!(candidates(&["show", "l"]), ["latest"]);
    assert_eq!(candidates(&["actions", "kubernetes.sca"]), ["kubernetes.scale"]);
}

#[test]
fn manual_pages_are_written() {
    let project = Project::empty();
    let said = project.runbook(["man", "pages/man1"]).ends_with_code(0);
    assert_eq!(said.stderr, "manual pages are in pages/man1\n");
    for verb in VERBS {
        let page = project.read(&format!("pages/man1/runbook-{verb}.1"));
        assert!(page.contains(".SH SYNOPSIS"), "{verb}: {page}");
    }
    project.write("file", "");
    let said = project.runbook(["man", "file/below"]).ends_with_code(1);
    assert!(said.stderr.contains("manual pages could not be written to file/below"), "{said:#?}");
    project.runbook(["man"]).ends_with_code(2);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(cargo_bin!("runbook"))
        .args(["actions", "--markdown"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((status.code(), complaint.as_str()), (Some(0), ""));
}

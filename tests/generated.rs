//! Documentation that is made from the code is current. To make it anew:
//! `RUNBOOK_UPDATE_DOCS=1 cargo test --test generated`.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

use std::{fs, path::Path};

use assert_cmd::cargo::cargo_bin_cmd;
use runbook_core::finding::Code;

const UPDATE: &str = "RUNBOOK_UPDATE_DOCS";

/// Compares a file under `docs/` with what it is made from, or writes it.
#[track_caller]
fn is_current(file: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file);
    if std::env::var_os(UPDATE).is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    snapbox::assert_data_eq!(found, snapbox::Data::text(expected.to_owned()).raw());
}

fn printed<const COUNT: usize>(args: [&str; COUNT]) -> String {
    let mut command = cargo_bin_cmd!("runbook");
    let output = command.env_remove("RUNBOOK_CONFIG").env_remove("RUNBOOK_ENV").args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_reference_of_actions_is_current() {
    is_current("actions.md", &printed(["actions", "--markdown"]));
}

#[test]
fn the_reference_of_the_command_line_is_current() {
    is_current("cli.md", &printed(["man", "--markdown"]));
}

#[test]
fn the_rules_for_prometheus_are_current() {
    is_current("detection/rules.yaml", &printed(["detect", "golden-signals", "--rules"]));
}

#[test]
fn the_schemas_are_current() {
    is_current("schema/runbook.json", &printed(["schema", "runbook"]));
    is_current("schema/config.json", &printed(["schema", "config"]));
    is_current("schema/api.json", &printed(["schema", "api"]));
}

#[test]
fn the_reference_of_findings_is_current() {
    let mut page = String::from(
        "# Findings\n\nWhat `runbook check` finds, by code. Errors keep a runbook from being run; warnings only \
         with `--deny-warnings`.\nThis page is generated: `RUNBOOK_UPDATE_DOCS=1 cargo test --test generated`.\n\n\
         | code | | severity | what it is |\n| --- | --- | --- | --- |\n",
    );
    for code in Code::ALL {
        let severity = format!("{:?}", code.severity()).to_lowercase();
        let row = format!("| {} | {} | {severity} | {} |\n", code.number(), code.words(), code.explanation());
        page.push_str(&row);
    }
    is_current("findings.md", &page);
}

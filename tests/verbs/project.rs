//! A project in a folder of its own, and the program run inside it.

use std::{fs, path::PathBuf};

use assert_cmd::cargo::cargo_bin_cmd;
use serde_json::Value;

/// A configuration with one simulated environment.
pub const CONFIGURATION: &str = "\
version: 1
default_environment: demo
environments:
  demo: { simulated: high-latency }
people:
  groups: { oncall: [alice, bob], lead: [carol] }
";

pub struct Project {
    folder: tempfile::TempDir,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// The document on stdout; nothing else may stand there.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
    #[track_caller]
    pub fn ends_with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

impl Project {
    /// A folder with nothing in it.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
    /// A configured project with these runbooks, by name.
    pub fn with(runbooks: &[(&str, &str)]) -> Self {
        let project = Self::empty();
        project.write("runbook.yaml", CONFIGURATION);
        for (name, rest) in runbooks {
            let text = format!("apiVersion: runbook/v1\nname: {name}\n{rest}");
            project.write(&format!("playbooks/{name}.yaml"), &text);
        }
        project
    }
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }
    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }
    /// Runs the program in the project's folder, away from the settings of whoever tests.
    pub fn runbook<const COUNT: usize>(&self, args: [&str; COUNT]) -> Said {
        let mut command = cargo_bin_cmd!("runbook");
        for name in ["RUNBOOK_CONFIG", "RUNBOOK_ENV", "RUNBOOK_COMPLETE", "NO_COLOR"] {
            command.env_remove(name);
        }
        let output = command.args(args).current_dir(self.folder.path()).output().unwrap();
        Said {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

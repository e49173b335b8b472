//! A project in a folder of its own, and the built program run inside it. One piece for every test
//! of the command line.

use std::{ffi::OsStr, fs, path::PathBuf, process::Command};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

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
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }
}

impl Project {
    /// A folder with nothing in it.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }
    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    /// The program, about to be run in the project's folder, away from the settings and the keyboard
    /// of whoever tests.
    pub fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        // Another build of the same program, for figures of a release build.
        let program = std::env::var_os("RUNBOOK_TEST_PROGRAM").map(PathBuf::from);
        let mut command = Command::new(program.unwrap_or_else(|| cargo_bin!("runbook").to_path_buf()));
        for name in ["RUNBOOK_CONFIG", "RUNBOOK_ENV", "RUNBOOK_COMPLETE", "NO_COLOR", "TRACEPARENT"] {
            command.env_remove(name);
        }
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name);
        }
        command.args(args).current_dir(self.folder.path()).stdin(std::process::Stdio::null());
        command
    }
    /// Runs the program to its end.
    pub fn runbook(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Said {
        let output = self.command(args).output().unwrap();
        Said {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

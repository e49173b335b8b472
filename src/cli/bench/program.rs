//! The program as a whole: how soon it is there, and what it keeps while people are waited for.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{
    process::Process,
    scratch::{Lengths, milliseconds, unusable},
};
use crate::{config::FILE, exit::CliError};

/// How often it is started.
const STARTS: usize = 20;
/// After this long a run that waits has come to rest.
const REST: Duration = Duration::from_secs(2);

/// An environment that reaches nothing, so that what waits is the engine alone.
const CONFIG: &str = "
version: 1
playbooks: .
environments: { nothing: {} }
people: { groups: { oncall: [alice] } }
";
const GATE: &str = "
apiVersion: runbook/v1
name: gate
steps:
  - { id: go, approval: { prompt: go?, from: [oncall], timeout: 1m, on_timeout: reject } }
";

#[derive(Debug)]
pub struct Program {
    /// Of `runbook --version`, from the start of the process to its end.
    pub start: Lengths,
    /// Of a run that waits, in KiB, where the system says it.
    pub resident: Option<u64>,
    pub private: Option<u64>,
}

impl Program {
    pub fn text(&self) -> String {
        let start = milliseconds(self.start.percentile(50));
        let mut text = format!("start        {start:.1} ms, the whole process of `--version`\n");
        if let (Some(resident), Some(private)) = (self.resident, self.private) {
            let [resident, private] = [resident, private].map(|kib| kib as f64 / 1024.0);
            text.push_str(&format!(
                "waiting      {resident:.1} MiB resident while a run waits for people, {private:.1} of them its own\n"
            ));
        }
        text
    }
}

pub fn measure(folder: &Path) -> Result<Program, CliError> {
    let mut start = Lengths::default();
    for _ in 0..STARTS {
        let mut command = Process::command(folder, &["--version"])?;
        let began = Instant::now();
        command.status().map_err(|error| unusable(&error))?;
        start.push(began.elapsed());
    }
    let project = folder.join("program");
    fs::create_dir_all(&project).map_err(|error| unusable(&error))?;
    for (name, text) in [(FILE, CONFIG), ("gate.yaml", GATE)] {
        fs::write(project.join(name), text).map_err(|error| unusable(&error))?;
    }
    let command = Process::command(&project, &["run", "gate", "--env", "nothing"])?;
    let (waiting, ()) = Process::start(command, |line| line.starts_with("answer from").then_some(()))?;
    thread::sleep(REST);
    Ok(Program { start, resident: waiting.resident(), private: waiting.private() })
}

//! A project in a folder of its own: the runbooks that ship, one simulated environment, a journal
//! and a world that nobody else uses.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// However slow the machine, a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(80);
/// Between two looks at what another process does.
const PAUSE: Duration = Duration::from_millis(250);

pub struct Project {
    folder: tempfile::TempDir,
}

/// What a command that has ended said.
pub struct Told {
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    pub fn new(scenario: &str, speed: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let playbooks = concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks");
        let config = format!(
            "version: 1
playbooks: {playbooks}
store: sqlite:state/runbook.db
environments:
  demo: {{ simulated: {scenario}, speed: {speed} }}
people:
  groups: {{ sre-oncall: [alice, bob], platform-oncall: [dan], incident-commander: [carol] }}
"
        );
        fs::write(folder.path().join("runbook.yaml"), config).unwrap();
        Self { folder }
    }

    fn runbook(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runbook"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_remove("RUNBOOK_CONFIG")
            .env_remove("RUNBOOK_ENV");
        command
    }

    /// Runs a command to its end, which has to be with this code.
    pub fn ended(&self, arguments: &[&str], code: i32) -> Told {
        let output = self.runbook(arguments).output().unwrap();
        let told = Told {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        let ended = output.status.code();
        assert_eq!(ended, Some(code), "{arguments:?}\n{}\n{}", told.stdout, told.stderr);
        told
    }

    pub fn json(&self, arguments: &[&str], code: i32) -> Value {
        let told = self.ended(&[arguments, &["--output", "json"]].concat(), code);
        serde_json::from_str(&told.stdout).unwrap()
    }

    /// Starts a command that goes on by itself.
    pub fn start(&self, arguments: &[&str]) -> Child {
        // What it says would fill a pipe that nobody reads.
        let [told, said] =
            ["stdout", "stderr"].map(|name| fs::File::create(self.folder.path().join(name)).unwrap());
        self.runbook(arguments).stdout(told).stderr(said).spawn().unwrap()
    }

    /// Answers what a run asks, from a process of its own each time, until the run ends with this
    /// code; gives its document. `answer` gives a verb and what comes after the run and the step.
    pub fn answer_all(&self, mut run: Child, code: i32, answer: impl Fn(&Value) -> Vec<String>) -> Value {
        let began = Instant::now();
        while run.try_wait().unwrap().is_none() {
            if began.elapsed() > PATIENCE {
                let shown = self.ended(&["show", "latest"], 0).stdout;
                self.kill(run);
                panic!("the run does not end\n{shown}");
            }
            // Before the run has made its journal there is nothing to list.
            let asked = self.runbook(&["approvals", "--output", "json"]).output().unwrap();
            let questions: Vec<Value> = serde_json::from_slice(&asked.stdout).unwrap_or_default();
            for question in questions {
                let given = answer(&question);
                let (verb, rest) = given.split_first().unwrap();
                let about = [&question["run"], &question["step"]].map(|value| value.as_str().unwrap());
                let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
                self.ended(&[&[verb.as_str()], about.as_slice(), rest.as_slice()].concat(), 0);
            }
            std::thread::sleep(PAUSE);
        }
        let ended = run.wait().unwrap();
        let [told, said] =
            ["stdout", "stderr"].map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap());
        assert_eq!(ended.code(), Some(code), "{told}\n{said}");
        serde_json::from_str(&told).unwrap()
    }

    /// As the power does when it goes.
    pub fn kill(&self, mut run: Child) {
        run.kill().unwrap();
        run.wait().unwrap();
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> Option<bool>) {
        let began = Instant::now();
        while holds() != Some(true) {
            assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until a step of the latest run has come so far.
    pub fn await_status(&self, id: &str, status: &str) {
        self.until(&format!("{id} to be {status}"), || {
            let output = self.runbook(&["show", "latest", "--output", "json"]).output().unwrap();
            let document: Value = serde_json::from_slice(&output.stdout).ok()?;
            Some(find(&document, id)?["status"] == status)
        });
    }

    /// Waits until the timeline of the latest run has an entry.
    pub fn await_event(&self, step: &str, kind: &str) {
        self.until(&format!("{kind} of {step}"), || {
            let output = self.runbook(&["timeline", "latest", "--output", "json"]).output().unwrap();
            let entries: Vec<Value> = serde_json::from_slice(&output.stdout).ok()?;
            Some(entries.iter().any(|entry| entry["step"] == step && entry["type"] == kind))
        });
    }
}

fn find<'a>(document: &'a Value, id: &str) -> Option<&'a Value> {
    document["steps"].as_array()?.iter().find(|one| one["id"] == id)
}

/// One step of a run's document.
pub fn step<'a>(document: &'a Value, id: &str) -> &'a Value {
    find(document, id).unwrap_or_else(|| panic!("there is no step {id} in {document:#}"))
}

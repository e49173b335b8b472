//! The project that the runbooks that ship are tried in, and people who answer what runs ask.

use std::{
    fs,
    process::Child,
    time::{Duration, Instant},
};

use serde_json::Value;

#[path = "../project/folder.rs"]
mod folder;
#[path = "../project/shipped.rs"]
mod shipped;

pub use folder::{Project, Said};

/// However slow the machine, a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(80);
/// Between two looks at what another process does.
const PAUSE: Duration = Duration::from_millis(250);

impl Project {
    /// Runs a command to its end, which has to be with this code.
    #[track_caller]
    pub fn ended(&self, arguments: &[&str], code: i32) -> Said {
        self.runbook(arguments).ends_with_code(code)
    }

    pub fn json(&self, arguments: &[&str], code: i32) -> Value {
        self.ended(&[arguments, &["--output", "json"]].concat(), code).json()
    }

    /// Starts a command that goes on by itself.
    pub fn start(&self, arguments: &[&str]) -> Child {
        // What it says would fill a pipe that nobody reads.
        let [told, said] = ["stdout", "stderr"].map(|name| fs::File::create(self.path(name)).unwrap());
        self.command(arguments).stdout(told).stderr(said).spawn().unwrap()
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
            let asked = self.runbook(["approvals", "--output", "json"]);
            let questions: Vec<Value> = serde_json::from_str(&asked.stdout).unwrap_or_default();
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
        let [told, said] = ["stdout", "stderr"].map(|name| fs::read_to_string(self.path(name)).unwrap());
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
            let said = self.runbook(["show", "latest", "--output", "json"]);
            let document: Value = serde_json::from_str(&said.stdout).ok()?;
            Some(find(&document, id)?["status"] == status)
        });
    }

    /// Waits until the timeline of the latest run has an entry.
    pub fn await_event(&self, step: &str, kind: &str) {
        self.until(&format!("{kind} of {step}"), || {
            let said = self.runbook(["timeline", "latest", "--output", "json"]);
            let entries: Vec<Value> = serde_json::from_str(&said.stdout).ok()?;
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

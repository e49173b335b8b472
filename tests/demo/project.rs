//! The project of the demo.

use serde_json::Value;

#[path = "../project/folder.rs"]
mod folder;
#[path = "../project/own.rs"]
mod own;
#[path = "../project/shipped.rs"]
mod shipped;

pub use folder::{Project, Said};

/// Simulated seconds per real one. Faster, and the milliseconds that a read takes on a busy machine
/// become minutes of the simulated incident.
pub const SPEED: u32 = 240;

pub const GATE: &str = "mitigate.rollback";

impl Project {
    #[track_caller]
    pub fn ended(&self, args: &[&str], code: i32) -> Said {
        self.runbook(args).ends_with_code(code)
    }

    #[track_caller]
    pub fn json(&self, args: &[&str], code: i32) -> Value {
        self.ended(&[args, &["--output", "json"]].concat(), code).json()
    }

    /// A run of high-latency that waits for its first approval and that nobody drives.
    #[track_caller]
    pub fn waiting() -> (Self, String) {
        let project = Self::of("high-latency", SPEED);
        let run = project.json(&["run", "high-latency", "--detach"], 3)["run"].as_str().unwrap().to_owned();
        (project, run)
    }

    /// The revision of `api` in the world, and how many replicas it is to have.
    pub fn world(&self) -> (i64, i64) {
        let plan = self.json(&["run", "high-latency", "--dry-run"], 0);
        let read = |id: &str, output: &str| step(&plan, id)["outputs"][output].as_i64().unwrap();
        (read("history", "revision"), read("pods", "desired"))
    }
}

/// One step of a run's document.
#[track_caller]
pub fn step<'a>(document: &'a Value, id: &str) -> &'a Value {
    let found = document["steps"].as_array().unwrap().iter().find(|one| one["id"] == id);
    found.unwrap_or_else(|| panic!("there is no step {id} in {document:#}"))
}

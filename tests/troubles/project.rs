//! The project that the troubles happen to.

use serde_json::Value;

#[path = "../project/folder.rs"]
mod folder;
#[path = "../project/own.rs"]
mod own;
#[path = "../project/shipped.rs"]
mod shipped;

pub use folder::{Project, Said};

/// The speed of a world whose time matters to no test here.
pub const SPEED: u32 = 240;

impl Project {
    /// Runs a command that has to end with an error: what is told, to people and to nobody else.
    #[track_caller]
    pub fn refused(&self, args: &[&str], code: i32) -> String {
        let Said { stdout, stderr, .. } = self.runbook(args).ends_with_code(code);
        assert_eq!(stdout, "", "an error is not data");
        // Where the project is differs from test to test.
        stderr.replace(&self.path("").to_string_lossy().into_owned(), "PROJECT/")
    }

    #[track_caller]
    pub fn json(&self, args: &[&str], code: i32) -> Value {
        self.runbook([args, &["--output", "json"]].concat()).ends_with_code(code).json()
    }
}

/// One step of a run's document.
pub fn step<'a>(document: &'a Value, id: &str) -> &'a Value {
    let found = document["steps"].as_array().unwrap().iter().find(|one| one["id"] == id);
    found.unwrap_or_else(|| panic!("there is no step {id} in {document:#}"))
}

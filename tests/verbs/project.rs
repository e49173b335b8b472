//! The project that the verbs are tried in.

use std::fs;

#[path = "../project/folder.rs"]
mod folder;

pub use folder::{Project, Said};

/// A configuration with one simulated environment.
pub const CONFIGURATION: &str = "\
version: 1
default_environment: demo
environments:
  demo: { simulated: high-latency }
people:
  groups: { oncall: [alice, bob], lead: [carol] }
";

impl Project {
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
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }
}

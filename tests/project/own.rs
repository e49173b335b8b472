//! Runbooks of a project's own, in place of those that ship.

use std::fs;

use crate::project::Project;

impl Project {
    /// Keeps its runbooks, by name and text, in its own folder from now on.
    pub fn with_playbooks(self, playbooks: &[(&str, &str)]) -> Self {
        let config = fs::read_to_string(self.path("runbook.yaml")).unwrap();
        let ours = config.lines().find(|line| line.starts_with("playbooks:")).unwrap();
        self.write("runbook.yaml", &config.replace(ours, "playbooks: playbooks"));
        for (name, text) in playbooks {
            self.write(&format!("playbooks/{name}.yaml"), text);
        }
        self
    }
}

//! A project with the runbooks that ship and one simulated environment, whose journal and world
//! nobody else uses.

use crate::project::Project;

impl Project {
    /// The world of a scenario, so many times faster than real time.
    pub fn of(scenario: &str, speed: u32) -> Self {
        let project = Self::empty();
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
        project.write("runbook.yaml", &config);
        project
    }
}

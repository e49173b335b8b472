//! What the server needs to know of the project that it serves, which whoever starts it tells.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use runbook_core::{finding, run::Run, runbook::Runbook};
use runbook_desk::{House, Start};
use runbook_identity::Directory;
use serde::Serialize;
use utoipa::ToSchema;

/// A project: its runbooks, its environments, who may do what.
#[async_trait]
pub trait Project: House {
    fn environments(&self) -> Vec<EnvironmentFacts>;
    /// All runbooks by name, also those with errors.
    fn catalog(&self) -> BTreeMap<String, RunbookFacts>;
    /// Groups and grants.
    fn directory(&self) -> Arc<Directory>;
    /// Foresees a run, over transports that cannot write, and how many writes were sent all the same.
    async fn dry_run(&self, start: &Start, by: &str) -> Result<(Run, u64), String>;
    /// Whether the runbooks of an environment would work now.
    async fn readiness(&self, environment: &str, runbook: Option<&str>) -> Result<Vec<Readiness>, String>;
    /// Reads the runbooks and the configuration anew. Where anything is wrong, all stays as it was.
    fn reload(&self) -> Result<Reloaded, String>;
}

/// What came of reading everything anew.
#[derive(Debug, Clone, Default)]
pub struct Reloaded {
    /// What the checker says of the runbooks.
    pub findings: Vec<finding::Finding>,
    /// The keys of the configuration that have changed and count after a new start only.
    pub later: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EnvironmentFacts {
    pub name: String,
    /// The scenario, where it is a simulated one.
    pub simulated: Option<String>,
    /// Whether it is used where none is named.
    pub default: bool,
}

#[derive(Debug, Clone)]
pub struct RunbookFacts {
    pub runbook: Arc<Runbook>,
    /// What the checker says of its file.
    pub findings: Vec<finding::Finding>,
}

/// Whether a runbook would work now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    pub runbook: String,
    pub ready: bool,
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    pub step: Option<String>,
    pub action: Option<String>,
    /// `ready`, `unknown`, `warning` or `blocked`.
    pub state: String,
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
}

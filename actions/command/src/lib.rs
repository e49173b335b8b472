//! Actions by programs of the user's own: argv from an allow-list, no shell.
//!
//! What is held to, whatever a runbook says:
//! - A program is started by its absolute path, with arguments that a rule of the environment
//!   names one by one. There is no shell and no search path.
//! - Its environment holds what the configuration gives, and `RUNBOOK_IDEMPOTENCY_KEY` (the same
//!   for every try of one change), nothing else. Secrets go there, or into `stdin`; an argument is
//!   seen by everyone on the machine, so the schema refuses them in `argv`.
//! - Its outputs are kept up to 64 KiB each.
//! - When its time is up, or the call is cut off, its whole process group is killed.

mod allow;
mod check;
mod environment;
mod program;
mod programs;
mod run;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use runbook_contract::{Access, Action};
use runbook_core::spec::ActionSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::{
    allow::{Argument, Program, Rule},
    environment::{Name, Variable},
};

/// The programs that an environment lets runbooks start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The commands. The first that fits a command line decides what it may do.
    #[serde(default)]
    pub allow: Vec<Rule>,
    /// All environment variables of the programs: texts, or secrets as `{ env: NAME }` or
    /// `{ file: PATH }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<Name, Variable>,
    /// Where the programs run; `/` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Directory>,
}

/// The absolute path of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "PathBuf", into = "PathBuf")]
#[schemars(with = "String", extend("pattern" = "^/"))]
pub struct Directory(PathBuf);

impl TryFrom<PathBuf> for Directory {
    type Error = &'static str;

    fn try_from(path: PathBuf) -> Result<Self, Self::Error> {
        if path.is_absolute() { Ok(Self(path)) } else { Err("`cwd` is an absolute path") }
    }
}

impl From<Directory> for PathBuf {
    fn from(directory: Directory) -> Self {
        directory.0
    }
}

/// The actions of one environment. Nothing is started until one is called.
pub fn actions(config: &Config, access: &Arc<Access>) -> Vec<Arc<dyn Action>> {
    let programs = Arc::new(programs::Programs::new(config, access));
    vec![Arc::new(check::Check::new(Arc::clone(&programs))), Arc::new(run::Run::new(programs))]
}

/// What the actions say of themselves, configured or not.
pub fn specs() -> Vec<ActionSpec> {
    vec![check::spec(), run::spec()]
}

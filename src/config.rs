//! `runbook.yaml`, the environment and the flags, read once into one value.

mod detectors;
mod freezes;
mod hooks;
mod limits;
mod meaning;
mod paths;
mod read;
mod server;
mod store;

use std::path::PathBuf;

use indexmap::IndexMap;
use runbook_contract::SecretSource;
use runbook_core::suggest;
use runbook_identity::Auth;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exit::CliError;

pub use self::{
    detectors::Detector,
    freezes::Freeze,
    hooks::Hook,
    limits::Limits,
    read::{FILE, shown},
    server::{Server, Tls},
    store::{Kind, Store},
};

/// A project's configuration: where its runbooks and its journal are, which environments they may
/// touch, who may say yes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// The folder of the runbooks.
    #[serde(default = "playbooks")]
    pub playbooks: PathBuf,
    /// Where runs are kept: `sqlite:PATH`, or `postgres://…` where several replicas share them.
    #[serde(default)]
    pub store: Store,
    /// The environment where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_environment: Option<String>,
    pub environments: IndexMap<String, Environment>,
    /// Where the values of secrets are, by name, for all environments.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub secrets: IndexMap<String, SecretSource>,
    #[serde(default)]
    pub people: People,
    /// The severity matrix: the name of a preset, or one of one's own.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(with = "Option<runbook_core::severity::Setting>")]
    pub severity: Value,
    /// The doors through which alerts come, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub hooks: IndexMap<String, Hook>,
    /// How `runbook serve` is reached.
    #[serde(default)]
    pub server: Server,
    /// Who may do what there. Where it is not said, the person who starts it may do everything, and
    /// nobody else anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Who is told what, and where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub notifications: Vec<runbook_notify::Channel>,
    /// What the embedded detector watches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub detectors: Vec<Detector>,
    /// Where it was read from.
    #[serde(skip)]
    pub file: PathBuf,
    /// The folder that relative paths start from.
    #[serde(skip)]
    pub root: PathBuf,
}

/// One place that runbooks can act upon, and how far they may go there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// A built-in scenario: a simulated environment inside this process, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<String>,
    /// How much faster than real time a simulated environment runs; 60 where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub speed: Option<u32>,
    #[cfg(feature = "kubernetes")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<runbook_kubernetes::Config>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<runbook_web::prometheus::Config>,
    #[cfg(feature = "aws")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<runbook_aws::Config>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<runbook_web::flags::Config>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<runbook_web::http::Config>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<runbook_web::slack::Config>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<runbook_command::Config>,
    /// How many changes a run may make, and what each action may be asked for.
    #[serde(default)]
    pub limits: Limits,
    /// Whether the person who asked for a run may approve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_self: Option<bool>,
    /// What each effect needs at the least, whatever the runbook says.
    #[serde(default)]
    pub approvals: Floors,
    /// Groups or people, any of whom may approve alone in an emergency, with a reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub break_glass: Vec<String>,
    /// When nothing is to be changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
    /// Groups or people who may override freezes and cool-downs, with a reason; whoever may run,
    /// where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overriders: Vec<String>,
    /// Where the values of secrets are in this environment, before those of all.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub secrets: IndexMap<String, SecretSource>,
}

/// The least approval by effect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<ApprovalFloor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive: Option<ApprovalFloor>,
}

/// The least approval for an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalFloor {
    /// Groups or people, any of whom may approve; whom the runbook names, where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// How many distinct people.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10))]
    pub count: u32,
}

/// Who there is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// Groups and the names of their members: on a terminal, names of the operating system.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub groups: IndexMap<String, Vec<String>>,
}

impl Config {
    /// The environment of that name; else the default one; else the only one.
    pub fn environment(&self, name: Option<&str>) -> Result<(&str, &Environment), CliError> {
        let known = || self.environments.keys().map(String::as_str);
        let name = match (name.or(self.default_environment.as_deref()), self.environments.len()) {
            (Some(name), _) => name,
            (None, 1) => known().next().unwrap_or_default(),
            (None, _) => {
                return Err(CliError::invalid("which environment? the configuration names no default")
                    .hint(format!("name one with --env: {}", suggest::list(known()))));
            }
        };
        let found = self.environments.get_key_value(name);
        found.map(|(name, environment)| (name.as_str(), environment)).ok_or_else(|| {
            let hint = match suggest::closest(name, known()) {
                Some(meant) => format!("did you mean `{meant}`? known are {}", suggest::list(known())),
                None => format!("{} has {}", self.file.display(), suggest::list(known())),
            };
            CliError::invalid(format!("there is no environment `{name}`")).hint(hint)
        })
    }
}

fn playbooks() -> PathBuf {
    PathBuf::from("playbooks")
}
const fn one() -> u32 {
    1
}

//! Actions by programs of the user's own: argv from an allow-list, no shell.
use runbook_contract::{Access, Action};
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Config {}
pub fn actions(_: &Config, _: &std::sync::Arc<Access>) -> Vec<std::sync::Arc<dyn Action>> {
    Vec::new()
}
pub fn specs() -> Vec<runbook_core::spec::ActionSpec> {
    Vec::new()
}

//! Actions over HTTP: Prometheus, requests, feature flags, chat.
//!
//! Each provider has a `Config`, as the environment in `runbook.yaml` gives it, and `actions`,
//! which makes its actions without any I/O. All requests go through one guarded client: it
//! reaches only the servers that the configuration names and asks the run's guard before each
//! request, so that a dry-run cannot write.

pub mod allow;
pub mod auth;
mod client;
pub mod endpoint;
mod fault;
pub mod flags;
pub mod http;
mod json_path;
pub mod prometheus;
pub mod slack;

use runbook_core::spec::ActionSpec;

/// What all actions of this crate say of themselves, configured or not.
pub fn specs() -> Vec<ActionSpec> {
    [prometheus::specs(), http::specs(), flags::specs(), slack::specs()].into_iter().flatten().collect()
}

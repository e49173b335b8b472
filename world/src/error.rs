//! What can go wrong when a world is started, loaded or reset.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Every message ends with what to do next, where there is something to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorldError {
    #[error("no simulated scenario is named `{name}`; {hint}")]
    UnknownScenario { name: String, hint: String },

    #[error("the built-in scenario `{name}` is not valid: {reason}")]
    Scenario { name: String, reason: String },

    #[error("cannot listen on {address}: {source}")]
    Listen { address: std::net::SocketAddr, source: io::Error },

    #[error("cannot {what} the state of the simulated world at {path}: {source}")]
    State { what: &'static str, path: PathBuf, source: io::Error },

    #[error(
        "the state of the simulated world at {path} cannot be read ({reason}); \
         `runbook world {scenario} --reset` starts it anew"
    )]
    Corrupt { path: PathBuf, scenario: String, reason: String },

    #[error(
        "the state of the simulated world at {path} was made by another version of runbook; \
         `runbook world {scenario} --reset` starts it anew"
    )]
    Version { path: PathBuf, scenario: String },

    #[error(
        "the state of the simulated world at {path} is locked by another process; \
         wait for it to end, or stop it"
    )]
    Locked { path: PathBuf },
}

//! `runbook preflight`: would a runbook work now: permissions, targets, approvers.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Would a runbook work now: permissions, targets, approvers.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`preflight` is not there yet"))
}

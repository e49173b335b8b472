//! `runbook reject`: reject what a run asks.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Reject what a run asks.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`reject` is not there yet"))
}

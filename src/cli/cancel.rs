//! `runbook cancel`: cancel a run.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Cancel a run.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`cancel` is not there yet"))
}

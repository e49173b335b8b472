//! `runbook approve`: approve what a run asks.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Approve what a run asks.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`approve` is not there yet"))
}

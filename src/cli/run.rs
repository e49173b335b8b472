//! `runbook run`: run a runbook, for real or dry.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Run a runbook, for real or dry.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`run` is not there yet"))
}

//! `runbook man`: write the manual pages into a folder.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Write the manual pages into a folder.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`man` is not there yet"))
}

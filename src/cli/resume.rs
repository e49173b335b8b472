//! `runbook resume`: go on with a run that nobody drives.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Go on with a run that nobody drives.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`resume` is not there yet"))
}

//! `runbook world`: start a simulated environment.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Start a simulated environment.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`world` is not there yet"))
}

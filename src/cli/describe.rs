//! `runbook describe`: show one runbook: inputs, steps, gates, risk.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Show one runbook: inputs, steps, gates, risk.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`describe` is not there yet"))
}

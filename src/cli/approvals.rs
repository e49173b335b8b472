//! `runbook approvals`: list what people are asked.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// List what people are asked.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`approvals` is not there yet"))
}

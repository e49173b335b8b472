//! `runbook actions`: list the actions, or describe one.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// List the actions, or describe one.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`actions` is not there yet"))
}

//! `runbook completions`: print a completion script for a shell.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`completions` is not there yet"))
}

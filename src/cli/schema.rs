//! `runbook schema`: print the JSON Schema of runbooks or of the configuration.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Print the JSON Schema of runbooks or of the configuration.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`schema` is not there yet"))
}

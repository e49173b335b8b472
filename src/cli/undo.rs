//! `runbook undo`: take the changes of an ended run back.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Take the changes of an ended run back.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`undo` is not there yet"))
}

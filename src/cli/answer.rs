//! `runbook answer`: answer a choice, a manual step or a question in doubt.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Answer a choice, a manual step or a question in doubt.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`answer` is not there yet"))
}

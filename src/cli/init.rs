//! `runbook init`: create a runbook.yaml, a first playbook and a .gitignore.

use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Create a runbook.yaml, a first playbook and a .gitignore.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _app: &App) -> Result<Exit, CliError> {
    Err(CliError::failed("`init` is not there yet"))
}

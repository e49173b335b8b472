//! `runbook schema`: print the JSON Schema of runbooks or of the configuration, or the description of
//! the API.

use clap::ValueEnum;
use runbook_core::schema;

use crate::{
    cli::App,
    config::Config,
    exit::{CliError, Exit},
};

/// Print the JSON Schema of runbooks or of the configuration, for editors; or the OpenAPI description of
/// the server.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  runbook schema runbook > .runbook/runbook.schema.json

and as the first line of a runbook, for editors with the YAML language server:
  # yaml-language-server: $schema=../.runbook/runbook.schema.json")]
pub struct Args {
    /// Of what
    #[arg(value_enum)]
    what: What,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// Files in playbooks/
    Runbook,
    /// runbook.yaml
    Config,
    /// The API of `runbook serve`
    Api,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let schema = match args.what {
        What::Runbook => schema::runbook().clone(),
        What::Config => schema::of::<Config>(),
        What::Api => serde_json::to_value(runbook_server::description())
            .map_err(|error| CliError::failed(format!("the description cannot be written: {error}")))?,
    };
    app.print(&format!("{schema:#}\n"));
    Ok(Exit::Success)
}

//! `runbook reject`: reject what a run asks.

use runbook_core::run::Input;
use url::Url;

use crate::{
    cli::{
        App, elsewhere,
        said::{Speaker, Wanted},
    },
    exit::{CliError, Exit},
    remote,
};

/// Reject what a run asks.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook reject latest --comment 'not during the sale'
  runbook reject run_01k9f3 mitigate.rollback

A rejected option of a ladder makes way for the next one; any other step fails, and the run goes on as
the runbook says.")]
pub struct Args {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    run: String,
    /// The step; the only one that asks, where it is left out
    #[arg(value_name = "STEP")]
    step: Option<String>,
    /// Why, for the timeline
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// At a server on another machine, as whoever has signed in there
    #[arg(long, value_name = "URL", value_parser = remote::address)]
    server: Option<Url>,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    if let Some(server) = &args.server {
        return elsewhere::reject(server, &args.run, args.step.as_deref(), args.comment, app).await;
    }
    let speaker = Speaker::of(app, &args.run).await?;
    let (node, question) = speaker.question(args.step.as_deref(), Wanted::Approval)?;
    app.say(&format!("{}\n", speaker.describe(app, node, &question)));
    let input = Input::Reject { step: node.path.clone(), comment: args.comment };
    speaker.say(app, Some(node.path.as_str()), input, "rejected").await
}

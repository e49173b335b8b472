//! `runbook cancel`: cancel a run.

use runbook_contract::Mode;
use runbook_core::run::Input;

use crate::{
    cli::{App, again, desk, ending, ending::Purpose, live, said::Speaker},
    config::Config,
    exit::{CliError, Exit},
    wire::Traced,
};

/// Cancel a run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook cancel latest --reason 'it was the load balancer'
  runbook cancel run_01k9f3 --undo

What is being applied is brought to its end first; the steps under `finally` run. With --undo the
changes are taken back, whatever the runbook says under `on_cancel`.")]
pub struct Args {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    run: String,
    /// Take its changes back
    #[arg(long)]
    undo: bool,
    /// Why, for the timeline
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let speaker = Speaker::of(app, &args.run).await?;
    let id = speaker.run.id;
    if speaker.run.ended.is_some() {
        return Err(CliError::invalid(format!("run {id} has ended: {}", speaker.run.status()))
            .hint(format!("`runbook undo {id}` takes its changes back")));
    }
    let input = Input::Cancel { undo: args.undo, reason: args.reason };
    if speaker.engine.is_driven(id).await? {
        return speaker.say(app, None, input, "cancelled").await;
    }
    // Nobody is there to bring it to its end, so that is done here.
    let config = Config::load(&app.global)?;
    let wired = again::environment(app, &config, &speaker.run, Mode::ReadWrite).await?;
    let traced = Traced::open(&config, app).await?;
    let engine = wired.engine(traced.shelf.clone());
    engine.say(id, &speaker.me, input).await?;
    let watched = live::drive(app, &engine, id, &speaker.me, live::Mode::Attended).await;
    traced.finish().await;
    let watched = watched?;
    desk::settled(app, &config, &watched.run).await;
    Ok(ending::tell(app, &watched, wired.access.writes_sent(), Purpose::Cancel))
}

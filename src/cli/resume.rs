//! `runbook resume`: go on with a run that nobody drives.

use runbook_contract::Mode;
use runbook_core::{Timestamp, event::RunId};
use runbook_engine::Engine;
use runbook_journal::{RunHead, RunQuery};

use crate::{
    cli::{App, again, desk, ending, ending::Purpose, live, moment, paint::Paint, run_id, table::Table},
    config::Config,
    exit::{CliError, Exit},
    person,
    wire::{self, Traced},
};

/// Go on with a run that nobody drives.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook resume
  runbook resume run_01k9f3 --detach

Whatever was being applied when its process ended is looked at first; nothing is done twice.")]
pub struct Args {
    /// The run: its id, the beginning of it, or `latest`; the only unfinished one where it is left out
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Return where it waits for people, with code 3
    #[arg(long)]
    detach: bool,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let config = Config::load(&app.global)?;
    let records = wire::records(&config, true).await?;
    let id = match &args.run {
        Some(text) => run_id::resolve(&records, text).await?,
        None => match only_one(app, &records).await? {
            Some(id) => id,
            None => return Ok(Exit::Success),
        },
    };
    let run = again::load(&records, id).await?;
    if run.ended.is_some() {
        return Err(CliError::invalid(format!("run {id} has ended: {}", run.status()))
            .hint(format!("`runbook show {id}` shows it")));
    }
    let wired = again::environment(app, &config, &run, Mode::ReadWrite).await?;
    let traced = Traced::open(&config, app).await?;
    let engine = wired.engine(traced.shelf.clone());
    let mode = if args.detach { live::Mode::Detached } else { live::Mode::Attended };
    let watched = live::drive(app, &engine, id, &person::at_the_terminal(), mode).await;
    traced.finish().await;
    let watched = watched?;
    desk::settled(app, &config, &watched.run).await;
    // Whoever asked for the undo before gets what they asked for.
    let purpose = if watched.run.undo_requested_by.is_some() { Purpose::Undo } else { Purpose::Run };
    Ok(ending::tell(app, &watched, wired.access.writes_sent(), purpose))
}

/// The only run that is unfinished and that no other process drives; nothing to do where there is none.
async fn only_one(app: &App, engine: &Engine) -> Result<Option<RunId>, CliError> {
    let unfinished = unfinished(engine).await?;
    let mut left = Vec::new();
    for head in &unfinished {
        if !engine.is_driven(head.run).await? {
            left.push(head);
        }
    }
    match left.as_slice() {
        [one] => Ok(Some(one.run)),
        [] if unfinished.is_empty() => {
            app.say("every run has ended: there is nothing to resume");
            Ok(None)
        }
        [] => Err(CliError::invalid("every unfinished run is being driven by another process")
            .hint("follow one with `runbook timeline RUN --follow`")),
        several => {
            let mut table = Table::new(["run", "runbook", "environment", "status", "started"]);
            for head in several {
                let started = moment::ago(head.summary.started_at, Timestamp::now());
                let summary = &head.summary;
                table.row([
                    head.run.to_string().into(),
                    summary.runbook.as_str().into(),
                    summary.environment.as_str().into(),
                    summary.status.as_str().into(),
                    started.into(),
                ]);
            }
            app.insist(&table.render(Paint::new(app.terminal.colour && app.terminal.stderr)));
            Err(CliError::invalid(format!("{} runs are unfinished", several.len()))
                .hint("name one: `runbook resume RUN`"))
        }
    }
}

/// Runs that have not ended, newest first.
pub async fn unfinished(engine: &Engine) -> Result<Vec<RunHead>, CliError> {
    let mut heads = Vec::new();
    for status in ["running", "waiting"] {
        heads
            .extend(engine.runs(&RunQuery { status: Some(status.to_owned()), ..RunQuery::default() }).await?);
    }
    heads.sort_by_key(|head| std::cmp::Reverse(head.summary.started_at));
    Ok(heads)
}

//! `runbook timeline`: tell what happened, and prove that nothing of it was changed.

mod follow;
mod proof;

use clap::ValueEnum;
use runbook_core::{
    event::RunId,
    incident::IncidentId,
    timeline::{self, Entry},
};
use runbook_desk::Desk;
use runbook_engine::Engine;
use runbook_journal::RunQuery;
use serde_json::Value;

use crate::{
    cli::{App, desk, run_id},
    config::Config,
    exit::{CliError, Exit},
    wire,
};

/// Tell what happened in a run or an incident, and prove that nothing of it was changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook timeline latest
  runbook timeline run_01k9f3 --follow
  runbook timeline run_01k9f3 --verify
  runbook timeline INC-42 --follow
  runbook timeline INC-42 --format markdown >> postmortem.md")]
pub struct Args {
    /// A run (its id, the beginning of its id, or `latest`), or an incident
    #[arg(value_name = "RUN_OR_INCIDENT", default_value = "latest")]
    what: String,
    /// Go on as things happen, until the run has ended or the incident is resolved
    #[arg(short, long, conflicts_with = "verify")]
    follow: bool,
    /// Prove by the chain of hashes that no entry was changed or dropped; 1 where one was
    #[arg(long)]
    verify: bool,
    /// How it is told; `--output json` is the same as `--format json`
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    /// An array of entries; with `--follow`, one entry a line
    Json,
    /// A table for postmortems and tickets
    Markdown,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let format = args.format.unwrap_or(if app.is_json() { Format::Json } else { Format::Text });
    let config = Config::load(&app.global)?;
    let desk = desk::to_read(&config).await?;
    let engine = wire::records_in(desk.shelf().clone());
    if let Some(id) = desk::has_incident(desk.shelf(), &args.what).await? {
        return incident(&args, app, &desk, &engine, id, format).await;
    }
    let runs = runs(&engine, &args.what).await?;
    match (args.verify, args.follow, runs.as_slice()) {
        (true, ..) => proof::verify(&desk, &engine, None, &runs, format == Format::Json, app).await,
        (_, true, [run]) => follow::follow(&engine, *run, format, app).await,
        (_, true, _) => Err(CliError::invalid(format!("`{}` has {} runs", args.what, runs.len()))
            .hint("follow one of them: `runbook runs --incident ID` lists them")),
        _ => {
            app.print(&told(&collect(&engine, &runs).await?, format, runs.len() > 1));
            Ok(Exit::Success)
        }
    }
}

/// An incident with all that belongs to it, in the one order that the server's page shows.
async fn incident(
    args: &Args,
    app: &App,
    desk: &Desk,
    engine: &Engine,
    id: IncidentId,
    format: Format,
) -> Result<Exit, CliError> {
    if args.verify {
        // The runs, as they say themselves: the incident's own word is what is in question.
        let runs = runs(engine, &id.to_string()).await.unwrap_or_default();
        return proof::verify(desk, engine, Some(id), &runs, format == Format::Json, app).await;
    }
    if args.follow {
        return follow::incident(desk, id, format, app).await;
    }
    let incident = desk.incident(id).await?;
    app.print(&told(&desk.story(&incident, |_| true).await?, format, true));
    Ok(Exit::Success)
}

/// The runs that are meant: one, or all that say that they belong to an incident, oldest first.
async fn runs(engine: &Engine, what: &str) -> Result<Vec<RunId>, CliError> {
    let not_a_run = match run_id::resolve(engine, what).await {
        Ok(run) => return Ok(vec![run]),
        Err(error) => error,
    };
    let query = RunQuery { incident: Some(what.to_owned()), limit: 1000, ..RunQuery::default() };
    let mut runs: Vec<RunId> = engine.runs(&query).await?.iter().map(|head| head.run).collect();
    runs.sort_unstable();
    if runs.is_empty() { Err(not_a_run) } else { Ok(runs) }
}

async fn collect(engine: &Engine, runs: &[RunId]) -> Result<Vec<Entry>, CliError> {
    let mut entries = Vec::new();
    for run in runs {
        entries.extend(timeline::entries(&engine.history(*run).await?, *run));
    }
    Ok(timeline::in_order(entries))
}

fn told(entries: &[Entry], format: Format, several: bool) -> String {
    match format {
        Format::Json => format!("{:#}\n", entries.iter().map(document).collect::<Value>()),
        Format::Markdown => timeline::markdown(entries),
        Format::Text => {
            let mut lines = Lines::new(several);
            entries.iter().map(|entry| lines.next(entry)).collect()
        }
    }
}

/// An entry always serializes: it is plain data with texts as keys.
fn document(entry: &Entry) -> Value {
    serde_json::to_value(entry).unwrap_or(Value::Null)
}

/// Entries as lines, under the day they fell on and, where there are several, the run.
#[derive(Debug)]
struct Lines {
    several: bool,
    above: Option<(String, String)>,
}

impl Lines {
    fn new(several: bool) -> Self {
        Self { several, above: None }
    }

    fn next(&mut self, entry: &Entry) -> String {
        let place = (entry.whose(), entry.at.strftime("%Y-%m-%d").to_string());
        let heading = match &self.above {
            Some(above) if *above == place || (!self.several && above.1 == place.1) => String::new(),
            _ if self.several => format!("{}  {} (UTC)\n", place.0, place.1),
            _ => format!("{} (UTC)\n", place.1),
        };
        self.above = Some(place);
        format!("{heading}{}\n", timeline::line(entry))
    }
}

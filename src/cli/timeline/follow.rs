//! Entries as they come.

use std::{io::Write, pin::pin};

use futures::StreamExt;
use runbook_core::{event::RunId, timeline};
use runbook_engine::Engine;

use super::{Format, Lines, document};
use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// Prints a run's entries until it has ended, or until nobody reads them any more.
pub async fn follow(engine: &Engine, run: RunId, format: Format, app: &App) -> Result<Exit, CliError> {
    if format == Format::Markdown {
        return Err(CliError::invalid("a table cannot be followed")
            .hint("leave `--follow` out, or use `--format text` or `json`"));
    }
    // An unknown run would be waited for without end.
    let state = engine.load(run).await?;
    if state.ended.is_none() {
        app.say(&format!("following {run}; it goes on without this command"));
    }
    let mut lines = Lines::new(false);
    let mut events = pin!(engine.follow(run, 0));
    while let Some(next) = events.next().await {
        let (event, hash) = next?;
        let entry = timeline::entry(&event, &hash, run);
        let text = match format {
            Format::Json => format!("{}\n", document(&entry)),
            _ => lines.next(&entry),
        };
        let mut stdout = std::io::stdout().lock();
        if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
            break;
        }
    }
    Ok(Exit::Success)
}

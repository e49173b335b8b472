//! Entries as they come.

use std::{io::Write, pin::pin, time::Duration};

use futures::StreamExt;
use runbook_core::{
    event::RunId,
    incident::IncidentId,
    timeline::{self, Entry},
};
use runbook_desk::{Desk, story::Heard};
use runbook_engine::Engine;
use runbook_journal::Mark;

use super::{Format, Lines, document};
use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// However much is written, an incident is looked at no more often than this.
const PACE: Duration = Duration::from_millis(100);

/// Prints a run's entries until it has ended, or until nobody reads them any more.
pub async fn follow(engine: &Engine, run: RunId, format: Format, app: &App) -> Result<Exit, CliError> {
    let mut printed = Printed::of(format, false)?;
    // An unknown run would be waited for without end.
    let state = engine.load(run).await?;
    if state.ended.is_none() {
        app.say(&format!("following {run}; it goes on without this command"));
    }
    let mut events = pin!(engine.follow(run, 0));
    while let Some(next) = events.next().await {
        let (event, hash) = next?;
        if !printed.next(&timeline::entry(&event, &hash, run)) {
            break;
        }
    }
    Ok(Exit::Success)
}

/// Prints what happens in an incident and its runs until all of it has ended, or until nobody reads it
/// any more.
pub async fn incident(desk: &Desk, id: IncidentId, format: Format, app: &App) -> Result<Exit, CliError> {
    let mut printed = Printed::of(format, true)?;
    let (mut heard, mut mark) = (Heard::default(), None);
    loop {
        let incident = desk.incident(id).await?;
        for entry in desk.story_since(&incident, &mut heard, |_| true).await? {
            if !printed.next(&entry) {
                return Ok(Exit::Success);
            }
        }
        if !incident.is_open() && incident.runs_active().next().is_none() {
            return Ok(Exit::Success);
        }
        if mark.is_none() {
            app.say(&format!("following {id}; it goes on without this command"));
        }
        mark = Some(desk.shelf().stirred(mark.unwrap_or(Mark::default())).await?);
        tokio::time::sleep(PACE).await;
    }
}

/// What has been printed so far.
struct Printed {
    format: Format,
    lines: Lines,
}

impl Printed {
    fn of(format: Format, several: bool) -> Result<Self, CliError> {
        if format == Format::Markdown {
            return Err(CliError::invalid("a table cannot be followed")
                .hint("leave `--follow` out, or use `--format text` or `json`"));
        }
        Ok(Self { format, lines: Lines::new(several) })
    }

    /// Prints an entry; whether anybody still reads.
    fn next(&mut self, entry: &Entry) -> bool {
        let text = match self.format {
            Format::Json => format!("{}\n", document(entry)),
            _ => self.lines.next(entry),
        };
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_ok()
    }
}

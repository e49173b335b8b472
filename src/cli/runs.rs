//! `runbook runs`: list runs.

use clap::builder::PossibleValuesParser;
use runbook_core::{Timestamp, duration::Duration};
use runbook_journal::{RunHead, RunQuery};
use serde_json::Value;

use crate::{
    cli::{
        App, desk, moment,
        paint::{Paint, of_status},
        reading,
        table::{Cell, Table},
    },
    exit::{CliError, Exit},
};

/// The most runs that are listed at once.
const MOST: u16 = 1000;
const STATUSES: [&str; 9] =
    ["running", "waiting", "succeeded", "failed", "undone", "stuck", "cancelled", "superseded", "complete"];

/// List runs, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook runs --status waiting
  runbook runs --runbook high-latency --since 24h
  runbook runs --output json | jq -r '.[].run'")]
pub struct Args {
    /// Only runs of this runbook
    #[arg(long, value_name = "NAME")]
    runbook: Option<String>,
    /// Only runs that stand so; a dry-run ends as `complete`
    #[arg(long, value_parser = PossibleValuesParser::new(STATUSES))]
    status: Option<String>,
    /// Only runs of this incident
    #[arg(long, value_name = "INCIDENT")]
    incident: Option<String>,
    /// Only runs that started since: `24h` ago, or `2026-11-21T03:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST)))]
    limit: u16,
}

/// From when on.
#[derive(Debug, Clone, Copy)]
enum Since {
    Ago(Duration),
    At(Timestamp),
}

fn since(text: &str) -> Result<Since, String> {
    let ago = text.parse().map(Since::Ago);
    ago.or_else(|_| text.parse().map(Since::At))
        .map_err(|_| "write how long ago (`24h`, `7d`) or a time (`2026-11-21T03:00:00Z`)".to_owned())
}

impl Since {
    fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(length) => now.checked_sub(length.as_std()).unwrap_or(Timestamp::MIN),
        }
    }
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let now = Timestamp::now();
    let limit = usize::from(args.limit);
    let query = RunQuery {
        runbook: args.runbook,
        environment: app.global.env.clone(),
        status: args.status,
        incident: args.incident.as_deref().map(desk::spelled),
        since: args.since.map(|since| since.moment(now)),
        limit,
        ..RunQuery::default()
    };
    let runs = reading::engine(app).await?.runs(&query).await?;
    if app.is_json() {
        let documents: Vec<Value> = runs.iter().map(RunHead::document).collect();
        app.print(&format!("{:#}\n", Value::Array(documents)));
        return Ok(Exit::Success);
    }
    if runs.is_empty() {
        let narrowed = query != RunQuery { limit, ..RunQuery::default() };
        app.say(if narrowed { "no run fits" } else { "no runs yet; `runbook run NAME` starts one" });
        return Ok(Exit::Success);
    }
    app.print(&table(&runs, now).render(Paint::stdout(app)));
    if runs.len() == limit {
        app.say(&format!("these are the newest {limit}; `--limit` shows more"));
    }
    Ok(Exit::Success)
}

fn table(runs: &[RunHead], now: Timestamp) -> Table {
    let mut table = Table::new([
        "run",
        "runbook",
        "environment",
        "status",
        "recovered",
        "by",
        "started",
        "took",
        "incident",
    ]);
    for head in runs {
        let summary = &head.summary;
        let took = Duration::between(summary.started_at, summary.ended_at.unwrap_or(now));
        let took = match summary.ended_at {
            Some(_) => moment::coarse(took),
            None => format!("{} so far", moment::coarse(took)),
        };
        let recovered = summary.recovered.map_or("", |recovered| if recovered { "yes" } else { "no" });
        table.row([
            head.run.to_string().into(),
            summary.runbook.as_str().into(),
            environment(&summary.environment, summary.simulated).into(),
            Cell::new(of_status(&summary.status), &summary.status),
            recovered.into(),
            summary.requested_by.as_str().into(),
            moment::ago(summary.started_at, now).into(),
            took.into(),
            summary.incident.as_deref().unwrap_or_default().into(),
        ]);
    }
    table
}

/// The name of an environment, never without saying that it is a simulated one.
pub fn environment(name: &str, simulated: bool) -> String {
    if simulated { format!("{name} (simulated)") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_a_length_or_a_moment() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("24h", "2026-11-20T12:00:00Z"),
            ("90s", "2026-11-21T11:58:30Z"),
            ("2026-11-21T03:00:00Z", "2026-11-21T03:00:00Z"),
        ] {
            assert_eq!(since(text).unwrap().moment(now), expected.parse().unwrap(), "{text}");
        }
        assert!(since("yesterday").is_err());
    }
}

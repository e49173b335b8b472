//! `runbook alerts`: what detectors told, what it started, and why it started nothing.

use clap::builder::PossibleValuesParser;
use runbook_core::Timestamp;
use runbook_desk::{
    Desk,
    kept::{self, Found, KeptAlert},
};
use runbook_journal::DocumentQuery;
use serde_json::Value;

use crate::{
    cli::{
        App, desk, moment,
        paint::{Paint, Tone, one_line},
        table::{Cell, Table},
    },
    config::Config,
    exit::{CliError, Exit},
};

/// The most alerts that are listed at once.
const MOST: u16 = 1000;
/// The newest alerts among which the beginning of an id is looked for.
const LOOKED_THROUGH: usize = 1000;

/// What detectors told, what it started, and why it started nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook alerts list --status firing
  runbook alerts list --incident INC-42 --output json
  runbook alerts show latest")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List alerts, newest first, each with the last that came of it
    List {
        /// Only those that stand so
        #[arg(long, value_parser = PossibleValuesParser::new(["firing", "resolved"]))]
        status: Option<String>,
        /// Only those of an incident
        #[arg(long, value_name = "INCIDENT")]
        incident: Option<String>,
        /// How many at most
        #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST)))]
        limit: u16,
    },
    /// Show one, with everything that came of it
    Show {
        /// The alert: its id, the beginning of it, or `latest`
        #[arg(value_name = "ALERT")]
        id: String,
    },
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let desk = desk::to_read(&Config::load(&app.global)?).await?;
    match args.what {
        What::List { status, incident, limit } => {
            let parent = match incident {
                Some(text) => Some(desk::incident(&desk, &text).await?.to_string()),
                None => None,
            };
            let limit = usize::from(limit);
            let query = DocumentQuery { state: status, parent, limit, ..DocumentQuery::default() };
            list(&desk, app, query).await
        }
        What::Show { id } => {
            let found = find(&desk, &id).await?;
            if app.is_json() {
                app.print(&format!("{:#}\n", found.document()));
            } else {
                app.print(&app.fitted(&told(&found, Paint::stdout(app)), app.terminal.stdout));
            }
            Ok(Exit::Success)
        }
    }
}

async fn list(desk: &Desk, app: &App, query: DocumentQuery) -> Result<Exit, CliError> {
    let (limit, narrowed) = (query.limit, query.state.is_some() || query.parent.is_some());
    let mut found = kept::list::<KeptAlert>(desk.shelf(), query).await?;
    let is_full = found.len() == limit;
    found.retain(|found| app.global.env.as_ref().is_none_or(|env| *env == found.value.environment));
    if app.is_json() {
        let documents: Value = found.iter().map(Found::document).collect();
        app.print(&format!("{documents:#}\n"));
        return Ok(Exit::Success);
    }
    if found.is_empty() {
        let none = "no alert has come yet; detectors post to `/hooks/NAME` of the server";
        app.say(if narrowed || app.global.env.is_some() { "no alert is like that" } else { none });
        return Ok(Exit::Success);
    }
    let now = Timestamp::now();
    let mut table = Table::new([
        "alert",
        "status",
        "severity",
        "title",
        "environment",
        "first",
        "incident",
        "what came of it",
    ]);
    for found in &found {
        let KeptAlert { alert, environment, first_at, incident, .. } = &found.value;
        table.row([
            found.id.as_str().into(),
            status(&found.value),
            alert.severity.as_deref().unwrap_or_default().into(),
            title(&found.value).into(),
            environment.as_str().into(),
            moment::ago(*first_at, now).into(),
            incident.as_deref().unwrap_or_default().into(),
            found.value.came_of_it().map(ToString::to_string).unwrap_or_default().into(),
        ]);
    }
    app.print(&table.render(Paint::stdout(app)));
    if is_full {
        app.say(&format!("these are of the newest {limit}; `--limit` shows more"));
    }
    Ok(Exit::Success)
}

fn status(kept: &KeptAlert) -> Cell {
    if kept.is_firing() { Cell::new(Tone::Bad, "firing") } else { Cell::new(Tone::Good, "resolved") }
}

fn title(kept: &KeptAlert) -> &str {
    if kept.alert.title.is_empty() { &kept.alert.name } else { &kept.alert.title }
}

async fn find(desk: &Desk, text: &str) -> Result<Found<KeptAlert>, CliError> {
    if let Some(found) = kept::find::<KeptAlert>(desk.shelf(), text).await? {
        return Ok(found);
    }
    let newest = DocumentQuery { limit: LOOKED_THROUGH, ..DocumentQuery::default() };
    let mut newest = kept::list::<KeptAlert>(desk.shelf(), newest).await?;
    if text == "latest" && !newest.is_empty() {
        return Ok(newest.remove(0));
    }
    let beginning = text.strip_prefix("alert_").unwrap_or(text);
    let fits = |id: &str| {
        !beginning.is_empty() && id.strip_prefix("alert_").is_some_and(|id| id.starts_with(beginning))
    };
    newest.retain(|found| fits(&found.id));
    let shown: String = text.chars().take(60).collect();
    match newest.len() {
        1 => Ok(newest.remove(0)),
        0 => Err(CliError::invalid(format!("no alert begins with `{shown}`"))
            .hint("`runbook alerts list` lists them")),
        several => {
            Err(CliError::invalid(format!("`{shown}` fits {several} alerts")).hint("give more of the id"))
        }
    }
}

fn told(found: &Found<KeptAlert>, paint: Paint) -> String {
    let KeptAlert { hook, environment, alert, first_at, last_at, repeats, incident, outcomes, .. } =
        &found.value;
    let now = Timestamp::now();
    let mut text = format!("{}  {}\n", paint.heading(&found.id), one_line(title(&found.value)));
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text.push_str(&format!("  {name:<14}{}\n", one_line(&value)));
        }
    };
    fact("name", Some(alert.name.clone()));
    fact("status", Some(if found.value.is_firing() { "firing" } else { "resolved" }.to_owned()));
    fact("severity", alert.severity.clone());
    fact("description", alert.description.clone());
    fact("environment", Some(environment.clone()));
    fact("service", alert.service.clone());
    fact("came through", Some(format!("/hooks/{hook}")));
    fact("since", Some(moment::ago(alert.starts_at, now)));
    fact("over", alert.ends_at.map(|at| moment::ago(at, now)));
    fact("first told", Some(moment::ago(*first_at, now)));
    fact(
        "told again",
        (*repeats > 0).then(|| format!("{repeats} times, last {}", moment::ago(*last_at, now))),
    );
    fact("incident", incident.clone());
    fact("look at it", alert.url.clone());
    for (name, value) in &alert.labels {
        fact("label", Some(format!("{name}={value}")));
    }
    text.push_str("\nWhat came of it\n");
    if outcomes.is_empty() {
        text.push_str("  it has not been worked on yet; `runbook serve` does that\n");
    }
    for outcome in outcomes {
        let run = outcome.started.map(|run| format!(" ({run})")).unwrap_or_default();
        let at = outcome.at.strftime("%Y-%m-%d %H:%M:%S");
        text.push_str(&format!("  {at}  {}{run}\n", one_line(&outcome.to_string())));
    }
    text
}

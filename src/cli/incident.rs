//! `runbook incident`: declare, work on and resolve incidents, on the store that the server uses too.

mod told;

use std::{io::Read as _, sync::Arc};

use clap::builder::PossibleValuesParser;
use runbook_core::incident::{Incident, Input, LONGEST_NOTE, NotARole, Opening, Origin, Role, State};
use runbook_desk::{Desk, cases::Head, kept};
use runbook_journal::DocumentQuery;
use serde_json::Value;

use crate::{
    cli::{App, desk},
    config::Config,
    exit::{CliError, Exit},
    person,
};

/// The most incidents that are listed at once.
const MOST: u16 = 1000;

/// Declare, work on and resolve incidents.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook incident declare 'checkout answers 503' --severity SEV-1 --service checkout
  runbook incident acknowledge INC-42
  runbook run service-unavailable --incident INC-42
  runbook incident note INC-42 'the deploy of 14:20 changed the pool size'
  runbook timeline INC-42 --follow
  runbook incident resolve INC-42 --reason 'rolled back'

Everywhere `latest` stands for the newest incident. Exit codes: 0 done, 2 invalid, unknown or refused.")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List incidents, newest first
    #[command(after_help = "Examples:
  runbook incident list --state open
  runbook incident list --output json | jq -r '.[].id'")]
    List {
        /// Only those that stand so
        #[arg(long, value_parser = PossibleValuesParser::new(["open", "resolved", "merged"]))]
        state: Option<String>,
        /// How many at most
        #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST)))]
        limit: u16,
    },
    /// Show one: where it stands, who does what, its alerts and runs, and what started nothing
    #[command(after_help = "Example:
  runbook incident show latest")]
    Show {
        /// The incident: `INC-42`, `42`, or `latest`
        #[arg(value_name = "INCIDENT")]
        id: String,
    },
    /// Open an incident
    #[command(after_help = "Example:
  runbook incident declare 'checkout answers 503' --severity SEV-1 --service checkout --env production")]
    Declare {
        /// What is wrong, in a line
        #[arg(value_name = "TITLE")]
        title: String,
        /// A level of the severity matrix; the default level, where it is not said
        #[arg(long, value_name = "LEVEL")]
        severity: Option<String>,
        /// The service; its later alerts join the incident
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
        /// What people notice
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Take it on
    #[command(
        visible_alias = "ack",
        after_help = "Example:
  runbook incident acknowledge latest"
    )]
    Acknowledge {
        #[arg(value_name = "INCIDENT")]
        id: String,
    },
    /// Write something into its timeline
    #[command(after_help = "Examples:
  runbook incident note INC-42 'customers in the EU only'
  runbook incident note INC-42 - < findings.txt")]
    Note {
        #[arg(value_name = "INCIDENT")]
        id: String,
        /// What to note; `-` reads it from stdin
        #[arg(value_name = "TEXT")]
        text: String,
    },
    /// Change its severity
    #[command(after_help = "Example:
  runbook incident severity INC-42 SEV-1 --reason 'checkout is affected too'")]
    Severity {
        #[arg(value_name = "INCIDENT")]
        id: String,
        /// A level of the severity matrix
        #[arg(value_name = "LEVEL")]
        to: String,
        /// Why, for the timeline
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Say how far it is
    #[command(after_help = "Example:
  runbook incident state INC-42 identified")]
    State {
        #[arg(value_name = "INCIDENT")]
        id: String,
        #[arg(value_name = "STATE", value_parser = PossibleValuesParser::new(["investigating", "identified", "monitoring"]))]
        to: String,
    },
    /// Give somebody a role
    #[command(after_help = "Examples:
  runbook incident assign INC-42 incident-commander carol
  runbook incident assign INC-42 sme bob        # ic, lead, sme, comms, scribe, liaison for short")]
    Assign {
        #[arg(value_name = "INCIDENT")]
        id: String,
        #[arg(value_name = "ROLE")]
        role: String,
        #[arg(value_name = "PERSON")]
        person: String,
    },
    /// Take a role from somebody
    #[command(after_help = "Example:
  runbook incident leave INC-42 scribe bob")]
    Leave {
        #[arg(value_name = "INCIDENT")]
        id: String,
        #[arg(value_name = "ROLE")]
        role: String,
        #[arg(value_name = "PERSON")]
        person: String,
    },
    /// Link two incidents to each other
    #[command(after_help = "Example:
  runbook incident link INC-42 INC-40")]
    Link {
        #[arg(value_name = "INCIDENT")]
        id: String,
        #[arg(value_name = "INCIDENT")]
        other: String,
    },
    /// Go on with it as another incident, which takes over its firing alerts and active runs
    #[command(after_help = "Example:
  runbook incident merge INC-43 --into INC-42")]
    Merge {
        #[arg(value_name = "INCIDENT")]
        id: String,
        /// The one that goes on
        #[arg(long, value_name = "INCIDENT")]
        into: String,
    },
    /// Resolve it, after a look whether what broke is well again
    #[command(after_help = "Examples:
  runbook incident resolve INC-42 --reason 'rolled back'
  runbook incident resolve INC-42 --force 'the metric is wrong: see the dashboard'

The steady states of its latest runs are read first; what was seen stands in the timeline. Refused, with
code 2, while one of them does not hold, an alert fires or a run is going, unless --force says why.")]
    Resolve {
        #[arg(value_name = "INCIDENT")]
        id: String,
        /// What it was, for the timeline
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Why it is resolved whatever speaks against it
        #[arg(long, value_name = "REASON")]
        force: Option<String>,
    },
    /// Open a resolved one again
    #[command(after_help = "Example:
  runbook incident reopen INC-42 --reason 'it is back'")]
    Reopen {
        #[arg(value_name = "INCIDENT")]
        id: String,
        /// Why, for the timeline
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let config = Config::load(&app.global)?;
    match args.what {
        What::List { state, limit } => list(&desk::to_read(&config).await?, app, state, limit).await,
        What::Show { id } => {
            let desk = desk::to_read(&config).await?;
            let id = desk::incident(&desk, &id).await?;
            told::show(app, &*desk.incident(id).await?);
            Ok(Exit::Success)
        }
        said => {
            let desk = desk::open(&config).await?;
            let (incident, word) = say(&config, &desk, app, said).await?;
            told::said(app, &incident, word);
            Ok(Exit::Success)
        }
    }
}

async fn list(desk: &Desk, app: &App, state: Option<String>, limit: u16) -> Result<Exit, CliError> {
    let limit = usize::from(limit);
    let narrowed = state.is_some();
    let query = DocumentQuery { state, limit, ..DocumentQuery::default() };
    let found = kept::list::<Head>(desk.shelf(), query).await?;
    let of_here = |head: &Head| app.global.env.is_none() || head.summary.environment == app.global.env;
    let found: Vec<_> = found.into_iter().map(|found| found.value).filter(of_here).collect();
    if app.is_json() {
        let documents: Value = found.iter().map(|head| head.summary.document()).collect();
        app.print(&format!("{documents:#}\n"));
    } else if found.is_empty() {
        let none = "no incidents yet; alerts open them, and so does `runbook incident declare TITLE`";
        app.say(if narrowed || app.global.env.is_some() { "no incident is like that" } else { none });
    } else {
        told::list(app, &found);
        if found.len() == limit {
            app.say(&format!("these are the newest {limit}; `--limit` shows more"));
        }
    }
    Ok(Exit::Success)
}

/// Says it; the incident as it is then, and what was done in a word.
async fn say(
    config: &Config,
    desk: &Desk,
    app: &App,
    said: What,
) -> Result<(Arc<Incident>, &'static str), CliError> {
    let me = person::at_the_terminal();
    let (id, input, word) = match said {
        What::Declare { title, severity, service, description } => {
            let opening = opening(config, desk, app, title, severity, service, description)?;
            return Ok((desk.declare(opening, &me).await?, "declared"));
        }
        What::Link { id, other } => {
            let (id, other) = (desk::incident(desk, &id).await?, desk::incident(desk, &other).await?);
            return Ok((desk.link(id, other, &me).await?, "linked"));
        }
        What::Merge { id, into } => {
            let (id, into) = (desk::incident(desk, &id).await?, desk::incident(desk, &into).await?);
            return Ok((desk.merge(id, into, &me).await?, "merged: this goes on"));
        }
        What::Resolve { id, reason, force } => {
            let id = desk::incident(desk, &id).await?;
            app.say("looking whether it is well again");
            return Ok((desk.resolve(id, &me, reason, force).await?, "resolved"));
        }
        What::Acknowledge { id } => (id, Input::Acknowledge, "taken on"),
        What::Note { id, text } => (id, Input::Note { text: whole(text)? }, "noted"),
        What::Severity { id, to, reason } => {
            (id, Input::SetSeverity { to: level(desk, &to)?, reason }, "severity changed")
        }
        What::State { id, to } => (id, Input::SetState { to: state(&to) }, "state changed"),
        What::Assign { id, role, person } => {
            (id, Input::Assign { role: self::role(&role)?, person }, "assigned")
        }
        What::Leave { id, role, person } => {
            (id, Input::Leave { role: self::role(&role)?, person }, "taken from them")
        }
        What::Reopen { id, reason } => (id, Input::Reopen { reason }, "reopened"),
        What::List { .. } | What::Show { .. } => {
            return Err(CliError::failed("that says nothing to an incident"));
        }
    };
    let id = desk::incident(desk, &id).await?;
    Ok((desk.say(id, &me, move || input.clone()).await?, word))
}

fn opening(
    config: &Config,
    desk: &Desk,
    app: &App,
    title: String,
    severity: Option<String>,
    service: Option<String>,
    description: Option<String>,
) -> Result<Opening, CliError> {
    let environment = config.environment(app.global.env.as_deref())?.0.to_owned();
    let severity = match severity {
        Some(word) => level(desk, &word)?,
        None => desk.severity().default_level().name.clone(),
    };
    // The key that its service's alerts have, so that they join it.
    let key = service.as_ref().map(|service| runbook_desk::key_of_service(&environment, service));
    Ok(Opening {
        title,
        severity,
        service,
        environment: Some(environment),
        key: key.unwrap_or_default(),
        description,
        origin: Origin::Person,
    })
}

fn level(desk: &Desk, word: &str) -> Result<String, CliError> {
    let matrix = desk.severity();
    let level = matrix.named(word).map(|level| level.name.clone());
    level.map_err(|error| CliError::invalid(error.to_string()).hint(error.hint()))
}

fn role(word: &str) -> Result<Role, CliError> {
    word.parse().map_err(|error: NotARole| CliError::invalid(error.to_string()))
}

/// The words are those that the argument takes.
fn state(word: &str) -> State {
    match word {
        "identified" => State::Identified,
        "monitoring" => State::Monitoring,
        _ => State::Investigating,
    }
}

/// The text itself, or all of stdin, as far as a note may be long.
fn whole(text: String) -> Result<String, CliError> {
    if text != "-" {
        return Ok(text);
    }
    // A character has four bytes at most; what is longer is refused with its length.
    let most = (LONGEST_NOTE as u64 + 1) * 4;
    let mut read = String::new();
    let done = std::io::stdin().lock().take(most).read_to_string(&mut read);
    done.map_err(|error| CliError::invalid(format!("stdin cannot be read as text: {error}")))?;
    Ok(read)
}

//! `runbook preflight`: would a runbook work now: permissions, targets, approvers.

mod look;

use runbook_contract::Mode;
use serde::Serialize;
use serde_json::json;

use crate::{
    cli::{
        App,
        paint::{Paint, Tone},
        start,
        table::{Cell, Table},
    },
    config::Config,
    exit::{CliError, Exit},
    library::Library,
    wire::{self, Wired},
};

use self::look::Looker;

/// Would a runbook work now: permissions, targets, capacity, approvers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook preflight                           # all runbooks: are we ready?
  runbook preflight high-latency -i service=api
  runbook preflight --env production --output json

Nothing is changed. Exit codes: 0 ready, 7 a permission or a limit is in the way, 1 something else is.")]
pub struct Args {
    /// The runbook; all where it is left out
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// An input of the runbook; may be repeated
    #[arg(short = 'i', long = "input", value_name = "KEY=VALUE", requires = "name")]
    inputs: Vec<String>,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ready,
    /// It can only be told while the runbook runs.
    Unknown,
    /// It would work, but surprise.
    Warning,
    Blocked,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    pub state: State,
    /// A stable word, such as `rbac` or `missing`.
    pub code: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One runbook and what was found.
#[derive(Debug, Serialize)]
pub struct Readiness {
    pub runbook: String,
    pub ready: bool,
    pub findings: Vec<Finding>,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let config = Config::load(&app.global)?;
    let environment = app.global.env.as_deref();
    let library = Library::of(&config, &wire::catalog(&config, environment))?;
    let wired = wire::environment(&config, environment, Mode::ReadOnly).await?;
    let names: Vec<String> = match &args.name {
        Some(name) => vec![library.checked(name)?.name.clone()],
        None => library.runbooks.keys().cloned().collect(),
    };
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        if args.name.is_some() {
            // Inputs that were given have to fit.
            start::inputs(library.checked(&name)?, &args.inputs, None)?;
        }
        all.push(readiness(&wired, &library, name, &args.inputs).await);
    }
    tell(app, &wired, &all);
    Ok(code(&all))
}

/// How one runbook stands in an environment.
pub async fn readiness(wired: &Wired, library: &Library, name: String, inputs: &[String]) -> Readiness {
    let findings = match library.checked(&name) {
        Err(error) => vec![finding(State::Blocked, "invalid", error.message, error.hint)],
        Ok(runbook) => match start::inputs(runbook, inputs, None) {
            Ok(inputs) => Looker::new(wired, library).runbook(runbook, inputs).await,
            // Without its inputs nothing more can be said, and nothing is wrong with that.
            Err(error) => vec![finding(State::Unknown, "inputs", error.message, error.hint)],
        },
    };
    let ready = findings.iter().all(|finding| finding.state != State::Blocked);
    Readiness { runbook: name, ready, findings }
}

fn finding(state: State, code: &str, message: String, hint: Option<String>) -> Finding {
    Finding { step: None, action: None, state, code: code.to_owned(), message, hint }
}

fn code(all: &[Readiness]) -> Exit {
    let blocked: Vec<&Finding> =
        all.iter().flat_map(|one| &one.findings).filter(|finding| finding.state == State::Blocked).collect();
    let not_permitted =
        |finding: &&Finding| matches!(finding.code.as_str(), "rbac" | "forbidden" | "limit" | "iam");
    match blocked.as_slice() {
        [] => Exit::Success,
        blocked if blocked.iter().all(not_permitted) => Exit::NotPermitted,
        _ => Exit::Failed,
    }
}

fn tell(app: &App, wired: &Wired, all: &[Readiness]) {
    if app.is_json() {
        let document = json!({
            "environment": wired.name,
            "simulated": wired.simulated.is_some(),
            "ready": all.iter().all(|one| one.ready),
            "writes_sent": wired.access.writes_sent(),
            "runbooks": all,
        });
        app.print(&format!("{document:#}\n"));
        return;
    }
    let paint = Paint::stdout(app);
    let simulated =
        wired.simulated.as_ref().map(|scenario| format!(" (simulated: {scenario})")).unwrap_or_default();
    let mut text = format!("preflight in {}{simulated}\n", paint.heading(&wired.name));
    for one in all {
        let word =
            if one.ready { paint.tone(Tone::Good, "ready") } else { paint.tone(Tone::Bad, "not ready") };
        text.push_str(&format!("\n{}  {word}\n", paint.heading(&one.runbook)));
        let mut table = Table::new(["step", "action", "state", "what"]);
        for finding in &one.findings {
            table.row([
                finding.step.as_deref().unwrap_or("").into(),
                finding.action.as_deref().unwrap_or("").into(),
                state_cell(finding.state),
                what(finding).into(),
            ]);
        }
        text.push_str(&table.indented("  ", paint));
    }
    app.print(&text);
}

fn what(finding: &Finding) -> String {
    match &finding.hint {
        Some(hint) => format!("{} ({hint})", finding.message),
        None => finding.message.clone(),
    }
}

fn state_cell(state: State) -> Cell {
    match state {
        State::Ready => Cell::new(Tone::Good, "ready"),
        State::Unknown => Cell::new(Tone::Faint, "not known yet"),
        State::Warning => Cell::new(Tone::Attention, "warning"),
        State::Blocked => Cell::new(Tone::Bad, "blocked"),
    }
}

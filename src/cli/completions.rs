//! `runbook completions`: print a completion script for a shell.
//!
//! The script asks this program for candidates, so that it knows the project's runbooks, runs and
//! environments too.

use std::{ffi::OsString, path::PathBuf, sync::Arc};

use clap::{Arg, Command, CommandFactory as _, ValueEnum};
use clap_complete::{
    engine::{ArgValueCandidates, CompletionCandidate},
    env::{CompleteEnv, Shells},
};
use runbook_core::{Timestamp, incident::Role, parse::file_stem, severity::Matrix};
use runbook_desk::{
    cases::Head,
    kept::{self, Found, Kept, KeptAlert},
};
use runbook_journal::{DocumentQuery, RunQuery, Shelf};

use crate::{
    cli::{App, Cli, Global, Output, moment, paint::one_line},
    config::Config,
    exit::{CliError, Exit},
    library::files,
    wire,
};

/// Set by the scripts when they ask for candidates.
const ASKING: &str = "RUNBOOK_COMPLETE";
/// The newest runs, incidents and alerts that are offered.
const NEWEST: usize = 30;

/// Print a completion script for a shell; it also completes names of runbooks, runs and environments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook completions bash >> ~/.bashrc
  runbook completions zsh >> ~/.zshrc
  runbook completions fish > ~/.config/fish/completions/runbook.fish")]
pub struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let failed = |why: String| CliError::failed(format!("the completion script could not be made: {why}"));
    let name = args.shell.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let shells = Shells::builtins();
    let shell = shells.completer(&name).ok_or_else(|| failed(format!("{name} is not known")))?;
    let mut script = Vec::new();
    shell
        .write_registration(ASKING, "runbook", "runbook", &this_program(), &mut script)
        .map_err(|error| failed(error.to_string()))?;
    app.print(&String::from_utf8_lossy(&script));
    Ok(Exit::Success)
}

/// The program as it was called, with its whole path where it was not found by its name.
fn this_program() -> String {
    let called = PathBuf::from(std::env::args_os().next().unwrap_or_else(|| OsString::from("runbook")));
    let is_name = called.components().count() == 1;
    let whole = if is_name { called } else { std::path::absolute(&called).unwrap_or(called) };
    whole.to_string_lossy().into_owned()
}

/// Answers a shell that asks for candidates; whether one did.
pub fn answered() -> bool {
    let here = std::env::current_dir().ok();
    let complete = CompleteEnv::with_factory(with_candidates).var(ASKING);
    complete.try_complete(std::env::args_os(), here.as_deref()).unwrap_or_else(|error| error.exit())
}

/// The command line with what its arguments may name in this project.
fn with_candidates() -> Command {
    Cli::command().mut_args(|arg| offer("", arg)).mut_subcommands(|verb| {
        let name = verb.get_name().to_owned();
        let verb = verb.mut_args(|arg| offer(&name, arg));
        verb.mut_subcommands(|verb| verb.mut_args(|arg| offer("", arg)))
    })
}

fn offer(verb: &str, arg: Arg) -> Arg {
    let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let value = value.unwrap_or_else(|| arg.get_id().as_str().to_uppercase());
    let candidates = match (verb, arg.get_long(), value.as_str()) {
        (_, Some("env"), _) => ArgValueCandidates::new(environments),
        (_, Some("runbook"), _) | ("run" | "describe" | "preflight", None, "NAME") => {
            ArgValueCandidates::new(runbooks)
        }
        ("actions", None, "NAME") => ArgValueCandidates::new(actions),
        (_, None, "RUN") => ArgValueCandidates::new(runs),
        (_, None, "RUN_OR_INCIDENT") => ArgValueCandidates::new(runs_and_incidents),
        (_, _, "INCIDENT") => ArgValueCandidates::new(incidents),
        (_, None, "ALERT") => ArgValueCandidates::new(alerts),
        (_, _, "LEVEL") => ArgValueCandidates::new(levels),
        (_, None, "ROLE") => ArgValueCandidates::new(roles),
        _ => return arg,
    };
    arg.add(candidates)
}

/// The configuration as it is found from here; without one there is nothing to offer.
fn configuration() -> Option<Config> {
    let config = std::env::var_os("RUNBOOK_CONFIG").map(PathBuf::from);
    Config::load(&Global { config, env: None, output: Output::Text, quiet: true, verbose: 0 }).ok()
}

fn environments() -> Vec<CompletionCandidate> {
    let names = configuration().map(|config| config.environments.into_keys().collect::<Vec<_>>());
    names.unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
}

/// Runbooks are named after their files, so none has to be read.
fn runbooks() -> Vec<CompletionCandidate> {
    let found = configuration().and_then(|config| files::find(&[config.playbooks]).ok());
    let name = |path: &PathBuf| CompletionCandidate::new(file_stem(&path.to_string_lossy()));
    found.unwrap_or_default().iter().map(name).collect()
}

fn actions() -> Vec<CompletionCandidate> {
    let candidate = |(name, spec): (String, runbook_core::spec::ActionSpec)| {
        CompletionCandidate::new(name).help(Some(spec.summary.into()))
    };
    wire::specs().into_iter().map(candidate).collect()
}

/// What the store of the project answers; nothing where there is none.
fn stored<T>(ask: impl AsyncFnOnce(Arc<dyn Shelf>) -> Option<T>) -> Option<T> {
    let config = configuration()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async { ask(wire::shelf_to_read(&config).await.ok()?).await })
}

fn documents<T: Kept>() -> Vec<Found<T>> {
    let newest = DocumentQuery { limit: NEWEST, ..DocumentQuery::default() };
    stored(async |shelf| kept::list::<T>(&shelf, newest).await.ok()).unwrap_or_default()
}

fn incidents() -> Vec<CompletionCandidate> {
    let told = documents::<Head>().into_iter().map(|found| {
        let summary = found.value.summary;
        let help = format!("{}, {}: {}", summary.severity, summary.state.word(), one_line(&summary.title));
        CompletionCandidate::new(summary.id.to_string()).help(Some(help.into()))
    });
    std::iter::once(CompletionCandidate::new("latest")).chain(told).collect()
}

fn runs_and_incidents() -> Vec<CompletionCandidate> {
    let latest = CompletionCandidate::new("latest");
    runs()
        .into_iter()
        .chain(incidents().into_iter().filter(|one| one.get_value() != latest.get_value()))
        .collect()
}

fn alerts() -> Vec<CompletionCandidate> {
    let told = documents::<KeptAlert>().into_iter().map(|found| {
        let status = if found.value.is_firing() { "firing" } else { "resolved" };
        let help = format!("{status}: {}", one_line(&found.value.alert.title));
        CompletionCandidate::new(found.id).help(Some(help.into()))
    });
    std::iter::once(CompletionCandidate::new("latest")).chain(told).collect()
}

fn levels() -> Vec<CompletionCandidate> {
    let matrix = configuration().and_then(|config| Matrix::from_config(&config.severity).ok());
    let levels = matrix.map(|matrix| matrix.levels().to_vec()).unwrap_or_default();
    levels.into_iter().map(|level| CompletionCandidate::new(level.name)).collect()
}

fn roles() -> Vec<CompletionCandidate> {
    let role = |role: Role| CompletionCandidate::new(role.word()).help(Some(role.short().into()));
    Role::ALL.into_iter().map(role).collect()
}

fn runs() -> Vec<CompletionCandidate> {
    let newest = RunQuery { limit: NEWEST, ..RunQuery::default() };
    let heads = stored(async |shelf| shelf.runs(&newest).await.ok());
    let now = Timestamp::now();
    let told = heads.unwrap_or_default().into_iter().map(|head| {
        let summary = head.summary;
        let help =
            format!("{}, {}, {}", summary.runbook, summary.status, moment::ago(summary.started_at, now));
        CompletionCandidate::new(head.run.to_string()).help(Some(help.into()))
    });
    std::iter::once(CompletionCandidate::new("latest")).chain(told).collect()
}

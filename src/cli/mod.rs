//! The command line: one file per verb. Data goes to stdout, talk to stderr.

mod actions;
mod again;
mod alerts;
mod answer;
mod apply;
mod approvals;
mod approve;
mod ask;
mod bench;
mod cancel;
mod check;
mod completions;
mod describe;
mod desk;
mod detect;
mod elsewhere;
mod ending;
mod fields;
mod incident;
mod init;
mod list;
mod live;
mod man;
mod moment;
mod outline;
mod paint;
mod permissions;
pub mod preflight;
mod question;
mod reading;
mod reject;
mod resume;
mod run;
mod run_id;
mod runs;
mod said;
mod schema;
mod serve;
mod show;
pub mod sign_in;
pub mod start;
mod table;
mod timeline;
mod token;
mod undo;
mod world;
mod wrap;

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};

use crate::exit::{CliError, Exit};

/// The incident-runbook engine: dry-run that can be believed, approvals that bind, undo that works.
#[derive(Debug, Parser)]
#[command(name = "runbook", version, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// The configuration; else `runbook.yaml`, upward from here
    #[arg(long, global = true, value_name = "FILE", env = "RUNBOOK_CONFIG")]
    pub config: Option<PathBuf>,
    /// The environment; else the configuration's default
    #[arg(long, global = true, value_name = "NAME", env = "RUNBOOK_ENV")]
    pub env: Option<String>,
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Say nothing but what was asked for
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Check(check::Args),
    List(list::Args),
    Describe(describe::Args),
    Actions(actions::Args),
    Schema(schema::Args),
    Run(run::Args),
    Apply(apply::Args),
    Runs(runs::Args),
    Show(show::Args),
    Timeline(timeline::Args),
    Incident(incident::Args),
    Alerts(alerts::Args),
    Approvals(approvals::Args),
    Approve(approve::Args),
    Reject(reject::Args),
    Answer(answer::Args),
    Resume(resume::Args),
    Cancel(cancel::Args),
    Undo(undo::Args),
    Serve(serve::Args),
    SignIn(sign_in::Args),
    Token(token::Args),
    World(world::Args),
    Preflight(preflight::Args),
    Detect(detect::Args),
    Bench(bench::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// What a command works with: the flags that all share, and what kind of terminal this is.
#[derive(Debug)]
pub struct App {
    pub global: Global,
    pub terminal: Terminal,
}

#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Somebody can be asked.
    pub can_ask: bool,
    /// stdout is read by a person.
    pub stdout: bool,
    /// stderr is read by a person.
    pub stderr: bool,
    /// Colour is wanted.
    pub colour: bool,
    /// How wide it is; nothing where it is none, or does not say.
    pub columns: Option<usize>,
}

impl Terminal {
    fn detect() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let (stdout, stderr) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let can_ask = std::io::stdin().is_terminal() && stderr;
        let size = (stdout || stderr).then(crossterm::terminal::size).and_then(Result::ok);
        let columns = size.map(|(columns, _)| usize::from(columns)).filter(|columns| *columns > 0);
        Self { can_ask, stdout, stderr, colour: !plain && (stdout || stderr), columns }
    }
}

impl App {
    pub fn is_json(&self) -> bool {
        self.global.output == Output::Json
    }
    /// Text for people, broken between words where their terminal is narrow. `read_there` says whether
    /// they read it on one.
    pub fn fitted(&self, text: &str, read_there: bool) -> String {
        match self.terminal.columns.filter(|_| read_there) {
            Some(columns) => wrap::wrap(text, columns),
            None => text.to_owned(),
        }
    }
    /// Writes data to stdout. A reader that has gone away (a pager that was left) is no error.
    pub fn print(&self, text: &str) {
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }
    /// Says something to the person, on stderr, unless they asked for silence.
    pub fn say(&self, text: &str) {
        if !self.global.quiet {
            self.insist(text);
        }
    }
    /// The same to those who asked for silence: without this nothing would go on.
    pub fn insist(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}

pub fn main() -> ExitCode {
    if completions::answered() {
        return ExitCode::SUCCESS;
    }
    let cli = Cli::parse();
    let terminal = Terminal::detect();
    let app = App { global: cli.global, terminal };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return complain(&CliError::failed(format!("the runtime could not start: {error}")), terminal);
        }
    };
    match runtime.block_on(dispatch(cli.command, app)) {
        Ok(exit) => exit.into(),
        Err(error) => complain(&error, terminal),
    }
}

fn complain(error: &CliError, terminal: Terminal) -> ExitCode {
    let details = error.details(terminal.colour && terminal.stderr);
    let _ = writeln!(std::io::stderr().lock(), "{details}{error}");
    error.exit.into()
}

async fn dispatch(command: Command, app: App) -> Result<Exit, CliError> {
    match command {
        Command::Init(args) => init::run(args, &app).await,
        Command::Check(args) => check::run(args, &app).await,
        Command::List(args) => list::run(args, &app).await,
        Command::Describe(args) => describe::run(args, &app).await,
        Command::Actions(args) => actions::run(args, &app).await,
        Command::Schema(args) => schema::run(args, &app).await,
        Command::Run(args) => run::run(args, &app).await,
        Command::Apply(args) => apply::run(args, &app).await,
        Command::Runs(args) => runs::run(args, &app).await,
        Command::Show(args) => show::run(args, &app).await,
        Command::Timeline(args) => timeline::run(args, &app).await,
        Command::Incident(args) => incident::run(args, &app).await,
        Command::Alerts(args) => alerts::run(args, &app).await,
        Command::Approvals(args) => approvals::run(args, &app).await,
        Command::Approve(args) => approve::run(args, &app).await,
        Command::Reject(args) => reject::run(args, &app).await,
        Command::Answer(args) => answer::run(args, &app).await,
        Command::Resume(args) => resume::run(args, &app).await,
        Command::Cancel(args) => cancel::run(args, &app).await,
        Command::Undo(args) => undo::run(args, &app).await,
        Command::Serve(args) => serve::run(args, &app).await,
        Command::SignIn(args) => sign_in::run(args, &app).await,
        Command::Token(args) => token::run(args, &app).await,
        Command::World(args) => world::run(args, &app).await,
        Command::Preflight(args) => preflight::run(args, &app).await,
        Command::Detect(args) => detect::run(args, &app).await,
        Command::Bench(args) => bench::run(args, &app).await,
        Command::Completions(args) => completions::run(args, &app).await,
        Command::Man(args) => man::run(args, &app).await,
    }
}

//! Starting programs under the environment's rules and the run's guard.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use runbook_contract::{Access, Obstacle, access::Intent};
use runbook_core::{duration::Duration, fault::Fault, spec::Effect};

use crate::{
    Config,
    allow::{Allow, Rule},
    environment::{Name, Variable, Variables},
    program::{self, End, Failure, Start},
};

/// What one environment may start.
#[derive(Debug)]
pub(crate) struct Programs {
    allow: Allow,
    variables: BTreeMap<Name, Variable>,
    cwd: PathBuf,
    access: Arc<Access>,
}

/// When the time for an action's call is up, over all its programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    pub fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout.as_std()))
    }
    fn left(self) -> std::time::Duration {
        self.0.map_or(Duration::MAX.as_std(), |at| at.saturating_duration_since(Instant::now()))
    }
}

/// A command line and what it is started with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub argv: &'a [String],
    pub stdin: Option<&'a str>,
    pub key: &'a str,
    pub deadline: Deadline,
}

impl Programs {
    pub fn new(config: &Config, access: &Arc<Access>) -> Self {
        Self {
            allow: Allow::new(config.allow.clone()),
            variables: config.env.clone(),
            cwd: config.cwd.clone().map_or_else(|| PathBuf::from("/"), PathBuf::from),
            access: Arc::clone(access),
        }
    }

    /// The rule for a command line, whatever it does.
    pub fn rule(&self, argv: &[String]) -> Result<&Rule, Fault> {
        self.allow.admit(argv)
    }

    /// The rule for a command line that is only to read.
    pub fn reading_rule(&self, argv: &[String]) -> Result<&Rule, Fault> {
        let rule = self.allow.admit(argv)?;
        if rule.effect == Effect::Read {
            return Ok(rule);
        }
        Err(Fault::denied(format!(
            "`{}` is allowed here as one that changes things, not as a read",
            rule.label()
        ))
        .hint("only commands with `effect: read` can observe, verify and check"))
    }

    /// Runs a command that reads. However it ends is an answer.
    pub async fn read(&self, line: Line<'_>) -> Result<End, Fault> {
        let rule = self.reading_rule(line.argv)?;
        self.run(rule, Intent::Read, line).await.map_err(|failure| match failure {
            Failed::Before(fault) => fault,
            Failed::TimedOut(said) => {
                Fault::unreachable(format!("`{}` did not end in time{said}", rule.label()))
            }
            Failed::Lost(why) => Fault::unreachable(format!("the end of `{}` was lost: {why}", rule.label())),
        })
    }

    /// Runs a command that changes something.
    pub async fn write(&self, line: Line<'_>) -> Result<End, Fault> {
        let rule = self.allow.admit(line.argv)?;
        self.run(rule, Intent::Write, line).await.map_err(|failure| match failure {
            Failed::Before(fault) => fault,
            Failed::TimedOut(said) => {
                Fault::unknown(format!("`{}` did not end in time and was killed{said}", rule.label()))
                    .hint("look how far it came before it is run again")
            }
            Failed::Lost(why) => Fault::unknown(format!("the end of `{}` was lost: {why}", rule.label())),
        })
    }

    /// What would keep a command line from being started.
    pub fn obstacle(&self, argv: &[String], reads: bool) -> Option<Obstacle> {
        let rule = if reads { self.reading_rule(argv) } else { self.rule(argv) };
        let found = |code: &str, message: String, hint: Option<String>| {
            Some(Obstacle { blocking: true, code: code.to_owned(), message, hint })
        };
        match rule {
            Err(fault) => found("limit", fault.message, fault.hint),
            Ok(rule) if !is_executable(rule.program.path()) => {
                let path = rule.program.path().display();
                found("missing", format!("there is no program {path} that may be executed"), None)
            }
            Ok(_) => None,
        }
    }

    async fn run(&self, rule: &Rule, intent: Intent, line: Line<'_>) -> Result<End, Failed> {
        let variables = Variables::read(&self.variables, line.key).map_err(Failed::Before)?;
        let left = line.deadline.left();
        if left.is_zero() {
            let fault = Fault::refused(format!("no time was left to start `{}`", rule.label()));
            return Err(Failed::Before(fault));
        }
        self.access.admit(intent).map_err(Failed::Before)?;
        let start = Start {
            program: rule.program.path(),
            args: line.argv.get(1..).unwrap_or_default(),
            variables: &variables.all,
            cwd: &self.cwd,
            stdin: line.stdin,
            timeout: left,
            secrets: &variables.secrets,
        };
        program::run(start).await.map_err(|failure| match failure {
            Failure::NotStarted(error) => Failed::Before(self.not_started(rule, &error)),
            Failure::TimedOut { last_words } if last_words.is_empty() => Failed::TimedOut(String::new()),
            Failure::TimedOut { last_words } => Failed::TimedOut(format!("; it last said: {last_words}")),
            Failure::Lost(error) => Failed::Lost(error.to_string()),
        })
    }

    fn not_started(&self, rule: &Rule, error: &std::io::Error) -> Fault {
        let message = format!("`{}` could not be started: {error}", rule.label());
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::OutOfMemory | ErrorKind::ExecutableFileBusy => {
                Fault::refused(message)
            }
            _ => Fault::permanent(message).hint(format!(
                "check that {} is there and may be executed, and that {} is a directory",
                rule.program.path().display(),
                self.cwd.display()
            )),
        }
    }
}

/// Why a command has no end, before it is known what that means.
enum Failed {
    /// Nothing ran.
    Before(Fault),
    TimedOut(String),
    Lost(String),
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

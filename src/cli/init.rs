//! `runbook init`: create a runbook.yaml, a first playbook and a .gitignore.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    cli::{App, paint::Paint},
    config::FILE,
    exit::{CliError, Exit},
    library::files::shown,
};

const CONFIGURATION: &str = include_str!("init/runbook.yaml");
pub const PLAYBOOK: &str = include_str!("init/high-latency.yaml");
/// The folder of the journal and of simulated environments.
const IGNORED: &str = ".runbook/";
/// A `.gitignore` that is larger is not looked through.
const MOST_IGNORED: u64 = 1024 * 1024;

/// Create a runbook.yaml, a first playbook and a .gitignore.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook init                 here
  runbook init ~/ops/runbooks

Files that are there already are kept as they are, unless --force is given.")]
pub struct Args {
    /// The folder, made where there is none
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Replace runbook.yaml and the first playbook where they are there already
    #[arg(long)]
    force: bool,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Created,
    Replaced,
    Extended,
    Kept,
}

impl Done {
    fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Replaced => "replaced",
            Self::Extended => "extended",
            Self::Kept => "kept",
        }
    }
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let folder = &args.folder;
    let playbooks = folder.join("playbooks");
    fs::create_dir_all(&playbooks).map_err(|error| failed(&playbooks, &error))?;
    let mut done = Vec::new();
    for (path, text) in [(folder.join(FILE), CONFIGURATION), (playbooks.join("high-latency.yaml"), PLAYBOOK)]
    {
        let what = write(&path, text, args.force).map_err(|error| failed(&path, &error))?;
        done.push((path, what));
    }
    let ignore = folder.join(".gitignore");
    let what = extend(&ignore).map_err(|error| failed(&ignore, &error))?;
    done.push((ignore, what));
    if app.is_json() {
        let files: serde_json::Value =
            done.iter().map(|(path, what)| json!({ "file": shown(path), "done": what.word() })).collect();
        app.print(&format!("{files:#}\n"));
        return Ok(Exit::Success);
    }
    let paint = Paint::stdout(app);
    for (path, what) in &done {
        app.print(&format!("{}  {}\n", paint.faint(format!("{:<8}", what.word())), shown(path)));
    }
    app.say(&next(folder, paint));
    Ok(Exit::Success)
}

/// Writes a file that is not there, or replaces it where that is wanted. What somebody else makes
/// at the same moment is not lost either.
fn write(path: &Path, text: &str, force: bool) -> io::Result<Done> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| Done::Created),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && force => {
            fs::write(path, text).map(|()| Done::Replaced)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Done::Kept),
        Err(error) => Err(error),
    }
}

/// Adds the journal's folder to a `.gitignore`, where it does not stand there yet.
fn extend(path: &Path) -> io::Result<Done> {
    let mut known = String::new();
    let there_is = match File::open(path) {
        Ok(file) => file.take(MOST_IGNORED).read_to_string(&mut known).map(|_| true)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    let is_ignored = |line: &str| line.trim().trim_start_matches('/').trim_end_matches('/') == ".runbook";
    if known.lines().any(is_ignored) {
        return Ok(Done::Kept);
    }
    let gap = if known.is_empty() || known.ends_with('\n') { "" } else { "\n" };
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(format!("{gap}{IGNORED}\n").as_bytes())?;
    Ok(if there_is { Done::Extended } else { Done::Created })
}

fn next(folder: &Path, paint: Paint) -> String {
    let enter = match shown(folder).as_str() {
        "" => String::new(),
        path => format!("  cd {path}\n"),
    };
    format!(
        "\n{}\n{enter}  runbook check                       is everything sound?\n  \
         runbook run high-latency --dry-run  what would happen, with nothing changed\n  \
         runbook run high-latency            in a simulated environment: asks, acts, verifies",
        paint.heading("next:")
    )
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "give this user the right to write there, or name another folder",
        io::ErrorKind::StorageFull => "free some space",
        _ => "check the path",
    };
    CliError::failed(format!("{} could not be written: {error}", shown(path))).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ignored_folder_is_added_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".gitignore");
        assert_eq!(extend(&path).unwrap(), Done::Created);
        assert_eq!(extend(&path).unwrap(), Done::Kept);
        assert_eq!(fs::read_to_string(&path).unwrap(), ".runbook/\n");
        for known in ["/.runbook\n", ".runbook", "x\n.runbook/\ny\n"] {
            fs::write(&path, known).unwrap();
            assert_eq!(extend(&path).unwrap(), Done::Kept, "{known}");
        }
        fs::write(&path, "/target").unwrap();
        assert_eq!(extend(&path).unwrap(), Done::Extended);
        assert_eq!(fs::read_to_string(&path).unwrap(), "/target\n.runbook/\n");
    }

    #[test]
    fn nothing_is_replaced_unless_it_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        assert_eq!(write(&path, "one", false).unwrap(), Done::Created);
        assert_eq!(write(&path, "two", false).unwrap(), Done::Kept);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(write(&path, "two", true).unwrap(), Done::Replaced);
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    }
}

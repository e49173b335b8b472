//! `runbook check`: find everything that is wrong with runbooks, offline and in one pass.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use runbook_core::{
    check::Catalog,
    finding::{self, Document, Finding},
    sarif,
};
use serde_json::Value;

use crate::{
    cli::{App, paint::Paint},
    config::{Config, FILE},
    exit::{CliError, Exit},
    library::{Library, files},
    wire,
};

/// Find everything that is wrong with runbooks, offline and in one pass.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook check                            all runbooks of the project
  runbook check playbooks/high-latency.yaml
  runbook check --deny-warnings --format sarif > findings.sarif

Exits with 0 where there are no errors, with 2 where there are.")]
pub struct Args {
    /// Files and folders; else the playbooks of the configuration
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How findings are told; `--output json` is the same as `--format json`
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Let warnings fail the check too
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The lines with carets, for people
    Text,
    /// An array of {code, severity, file, line, column, message, hint}
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let format = args.format.unwrap_or(if app.is_json() { Format::Json } else { Format::Text });
    let checked = look(&args.paths, app)?;
    let findings = &checked.findings;
    match format {
        Format::Json => app.print(&format!("{:#}\n", document(findings))),
        Format::Sarif => app.print(&format!("{:#}\n", sarif::log(findings))),
        Format::Text => {
            let documents: Vec<&Document> = checked.documents.iter().collect();
            app.print(&finding::render(findings, &documents, Paint::stdout(app).is_on()));
        }
    }
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let warnings = findings.len() - errors;
    app.say(&verdict(checked.files, errors, warnings));
    let failed = errors > 0 || (args.deny_warnings && warnings > 0);
    Ok(if failed { Exit::Invalid } else { Exit::Success })
}

/// What a check came to.
#[derive(Debug)]
struct Checked {
    files: usize,
    findings: Vec<Finding>,
    documents: Vec<Document>,
}

fn look(paths: &[PathBuf], app: &App) -> Result<Checked, CliError> {
    let (config, mut findings, mut documents) = configuration(app)?;
    let catalog = match &config {
        Some(config) => wire::catalog(config, app.global.env.as_deref()),
        None => Catalog { specs: wire::specs(), ..Catalog::default() },
    };
    let of_project = config.as_ref().map(|config| config.playbooks.clone());
    let named = files::find(&if paths.is_empty() {
        vec![default_folder(of_project.as_deref())]
    } else {
        paths.to_vec()
    })?;
    if named.is_empty() {
        return Err(
            CliError::invalid("there are no YAML files to check").hint("name a file or a folder with some")
        );
    }
    let (all, asked) = with_context(named, of_project.as_deref());
    let library = Library::read(&all, &catalog)?;
    findings.extend(library.findings.into_iter().filter(|finding| asked.contains(&finding.file)));
    documents.extend(library.sources);
    Ok(Checked { files: asked.len(), findings, documents })
}

/// The configuration, what is wrong with it, and the documents that the findings point into.
type Configured = (Option<Config>, Vec<Finding>, Vec<Document>);

/// The configuration, where there is one; what is wrong with it stands among the findings.
fn configuration(app: &App) -> Result<Configured, CliError> {
    match Config::load(&app.global) {
        Ok(config) => Ok((Some(config), Vec::new(), Vec::new())),
        Err(CliError { findings: Some(found), .. }) => Ok((None, found.findings, found.documents)),
        Err(_) if app.global.config.is_none() && !is_configured() => Ok((None, Vec::new(), Vec::new())),
        Err(error) => Err(error),
    }
}

fn is_configured() -> bool {
    let here = std::env::current_dir().unwrap_or_default();
    here.ancestors().any(|folder| folder.join(FILE).exists())
}

fn default_folder(of_project: Option<&Path>) -> PathBuf {
    of_project.unwrap_or(Path::new("playbooks")).to_owned()
}

/// Adds the runbooks that those to be checked may name: the project's, or those beside them. Gives
/// all files, and the shown paths of those that were asked for.
fn with_context(named: Vec<PathBuf>, of_project: Option<&Path>) -> (Vec<PathBuf>, BTreeSet<String>) {
    let asked = named.iter().map(|path| files::shown(path)).collect();
    let around = match of_project {
        Some(folder) => files::find(&[folder.to_owned()]).unwrap_or_default(),
        None => {
            named.first().filter(|_| named.len() == 1).map(|file| files::beside(file)).unwrap_or_default()
        }
    };
    let mut seen = BTreeSet::new();
    let once = |path: &PathBuf| seen.insert(std::fs::canonicalize(path).unwrap_or_else(|_| path.clone()));
    let all = named.into_iter().chain(around).filter(once).collect();
    (all, asked)
}

fn document(findings: &[Finding]) -> Value {
    // Findings are plain data with texts as keys, which always serialize.
    serde_json::to_value(findings).unwrap_or(Value::Null)
}

fn verdict(files: usize, errors: usize, warnings: usize) -> String {
    let count = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    };
    let found = match (errors, warnings) {
        (0, 0) => "nothing found".to_owned(),
        (0, _) => count(warnings, "warning"),
        (_, 0) => count(errors, "error"),
        _ => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    format!("{} checked: {found}", count(files, "file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_counts_in_words() {
        for (counts, expected) in [
            ((1, 0, 0), "1 file checked: nothing found"),
            ((12, 1, 0), "12 files checked: 1 error"),
            ((2, 0, 2), "2 files checked: 2 warnings"),
            ((2, 3, 1), "2 files checked: 3 errors, 1 warning"),
        ] {
            assert_eq!(verdict(counts.0, counts.1, counts.2), expected);
        }
    }
}

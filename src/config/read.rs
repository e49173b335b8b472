//! Finding the file and reading it, with everything that is wrong with it told at once.

use std::{
    io,
    path::{Path, PathBuf},
};

use runbook_core::{finding, parse};
use serde_json::Value;

use super::{Config, meaning, store};
use crate::{
    cli::Global,
    exit::{CliError, Findings},
};

/// The name of the file that is looked for, upward from the current folder.
pub const FILE: &str = "runbook.yaml";

impl Config {
    /// Reads the file that `--config` names, or the nearest `runbook.yaml` upward from here.
    pub fn load(global: &Global) -> Result<Self, CliError> {
        let file = match &global.config {
            Some(file) => std::path::absolute(file).unwrap_or_else(|_| file.clone()),
            None => nearest()?,
        };
        Self::read(&file)
    }

    /// Whether there is a file at all that would be read without one being named.
    pub fn is_near() -> bool {
        nearest().is_ok()
    }

    /// Reads one file. Relative paths in it start from its folder.
    pub fn read(file: &Path) -> Result<Self, CliError> {
        let text = text_of(file)?;
        let shown = shown(file);
        let mut parsed = parse::parse_as::<Self>(&shown, &text, &schema()?, "the configuration");
        if let (Some(config), Some(tree)) = (&parsed.value, &parsed.tree) {
            parsed.findings.extend(meaning::check(config, tree, &parsed.document));
            finding::sort(&mut parsed.findings);
        }
        let refused = parsed.findings.iter().any(finding::Finding::is_error);
        let Some(mut config) = parsed.value.filter(|_| !refused) else {
            let count = parsed.findings.iter().filter(|finding| finding.is_error()).count();
            let errors = if count == 1 { "an error".to_owned() } else { format!("{count} errors") };
            let shown_text = finding::Document::new(&parsed.document.file, &store::masked(&text));
            let findings = Findings { findings: parsed.findings, documents: vec![shown_text] };
            return Err(CliError::invalid(format!("{shown} has {errors}")).findings(findings));
        };
        file.clone_into(&mut config.file);
        file.parent().unwrap_or(Path::new("/")).clone_into(&mut config.root);
        config.settle_paths();
        Ok(config)
    }
}

/// The schema of the configuration as it was printed from the types: reading it takes a fraction of
/// the time and the memory of making it, in every process.
fn schema() -> Result<Value, CliError> {
    const PRINTED: &str = include_str!("../../docs/schema/config.json");
    serde_json::from_str(PRINTED)
        .map_err(|error| CliError::failed(format!("this program's schema of {FILE} is broken: {error}")))
}

fn nearest() -> Result<PathBuf, CliError> {
    let here = std::env::current_dir()
        .map_err(|error| CliError::invalid(format!("the current folder cannot be told: {error}")))?;
    let found = here.ancestors().map(|folder| folder.join(FILE)).find(|file| file.is_file());
    found.ok_or_else(|| {
        CliError::invalid(format!("there is no {FILE} in {} or above", here.display()))
            .hint("`runbook init` makes one; --config FILE names one elsewhere")
    })
}

fn text_of(file: &Path) -> Result<String, CliError> {
    let failed = |why: String, hint: &str| {
        CliError::invalid(format!("{} could not be read: {why}", file.display())).hint(hint)
    };
    let bytes = std::fs::read(file).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "check the path; `runbook init` makes a new one",
            io::ErrorKind::PermissionDenied => "give this user the right to read it",
            _ => "check the path",
        };
        failed(error.to_string(), hint)
    })?;
    String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".to_owned(), "save it as text in UTF-8"))
}

/// The path as it is best read: from here, where it is below.
pub fn shown(file: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.as_deref().and_then(|here| file.strip_prefix(here).ok());
    below.unwrap_or(file).display().to_string()
}

//! The runbooks of a project: read, parsed and checked together.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use runbook_core::runbook::Runbook;

use crate::exit::CliError;

/// All runbooks under the paths that were named, by name.
#[derive(Debug, Default)]
pub struct Library {
    pub runbooks: BTreeMap<String, Arc<Runbook>>,
    /// Where each one stands.
    pub files: BTreeMap<String, PathBuf>,
}

impl Library {
    /// A runbook by its name, with what it is near to where there is none.
    pub fn get(&self, name: &str) -> Result<Arc<Runbook>, CliError> {
        self.runbooks.get(name).cloned().ok_or_else(|| {
            CliError::invalid(format!("there is no runbook `{name}`")).hint("`runbook list` lists them")
        })
    }
}

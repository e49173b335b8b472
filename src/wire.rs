//! The composition root: the only place that names stores and providers.

use std::{collections::BTreeMap, sync::Arc};

use runbook_core::spec::ActionSpec;
use runbook_journal::Journal;

use crate::{config::Config, exit::CliError};

pub fn specs() -> BTreeMap<String, ActionSpec> {
    runbook_web::specs().into_iter().map(|spec| (spec.name.clone(), spec)).collect()
}

pub async fn journal(_config: &Config, _read_only: bool) -> Result<Arc<dyn Journal>, CliError> {
    Err(CliError::failed("no journal"))
}

//! A plan that is kept: what a dry-run foresaw, frozen, so that exactly this can be run later or be
//! refused.

use std::{
    collections::BTreeMap, fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path,
    sync::Arc,
};

use runbook_core::{Timestamp, Value, change::Change, run::Run, runbook::Runbook};
use serde::{Deserialize, Serialize};

use crate::{cli::start::Request, exit::CliError};

/// Grows with every change of the format that an older reader would misread.
const VERSION: u32 = 1;
/// No plan of a runbook of the largest size comes near this.
const LARGEST: u64 = 64 * 1024 * 1024;

/// The plan of a dry-run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    pub version: u32,
    pub made_at: Timestamp,
    pub made_by: String,
    pub environment: String,
    /// The scenario, where the environment is a simulated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<String>,
    pub runbook: Arc<Runbook>,
    /// The runbooks that it enters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub library: BTreeMap<String, Arc<Runbook>>,
    pub inputs: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    pub steps: Vec<PlannedStep>,
}

/// One change of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedStep {
    pub step: String,
    pub digest: String,
    pub change: Change,
}

/// Where the world of today would be changed otherwise than a plan says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    pub step: String,
    /// `field: old -> new`, or what became of the step.
    pub fields: Vec<String>,
}

impl PlanFile {
    /// The plan of a dry-run that has ended.
    pub fn of(run: &Run) -> Self {
        let created = &run.created;
        Self {
            version: VERSION,
            made_at: created.planned_at.unwrap_or(run.started_at),
            made_by: run.requested_by.name.clone(),
            environment: created.environment.clone(),
            simulated: created.simulated.clone(),
            runbook: created.runbook.clone(),
            library: created.library.clone(),
            inputs: created.inputs.clone(),
            reason: created.reason.clone(),
            incident: created.incident.clone(),
            steps: planned(run),
        }
    }

    /// Writes it for its owner's eyes only, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), CliError> {
        let failed = |error: std::io::Error| {
            CliError::failed(format!("the plan could not be kept in {}: {error}", path.display()))
                .hint("check the path, its permissions and the space on the disk")
        };
        let text = serde_json::to_vec_pretty(self).map_err(|error| CliError::failed(error.to_string()))?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.new", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&beside, path));
        written.map_err(|error| {
            // What could not be finished helps nobody.
            let _ = std::fs::remove_file(&beside);
            failed(error)
        })
    }

    pub fn read(path: &Path) -> Result<Self, CliError> {
        let name = path.display();
        let refuse = |why: String| {
            CliError::invalid(format!("{name} {why}"))
                .hint("make one with `runbook run NAME --dry-run --plan-out FILE`")
        };
        let length =
            std::fs::metadata(path).map_err(|error| refuse(format!("could not be read: {error}")))?.len();
        if length > LARGEST {
            return Err(refuse("is larger than any plan".to_owned()));
        }
        let bytes = std::fs::read(path).map_err(|error| refuse(format!("could not be read: {error}")))?;
        let whole: Value =
            serde_json::from_slice(&bytes).map_err(|error| refuse(format!("is no plan: {error}")))?;
        match whole.get("version").and_then(Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => {
                return Err(refuse(format!(
                    "is a plan of version {version}, and this runbook knows {VERSION}"
                )));
            }
            None => return Err(refuse("is no plan: it has no version".to_owned())),
        }
        let plan: Self =
            serde_json::from_value(whole).map_err(|error| refuse(format!("is no plan: {error}")))?;
        if plan.steps.iter().any(|step| step.change.digest() != step.digest) {
            return Err(refuse("was edited: a change does not fit its digest".to_owned()));
        }
        Ok(plan)
    }

    pub fn request(&self) -> Request {
        Request {
            runbook: self.runbook.clone(),
            library: self.library.clone(),
            inputs: self.inputs.clone(),
            reason: self.reason.clone(),
            overriding: false,
            incident: self.incident.clone(),
            planned_at: Some(self.made_at),
        }
    }

    /// The changes that a run is bound to.
    pub fn digests(&self) -> BTreeMap<String, String> {
        self.steps.iter().map(|step| (step.step.clone(), step.digest.clone())).collect()
    }

    /// Where a newer dry-run would change something else than the plan says; empty where nothing has
    /// moved.
    pub fn moved(&self, run: &Run) -> Vec<Moved> {
        let now: BTreeMap<String, PlannedStep> =
            planned(run).into_iter().map(|planned| (planned.step.clone(), planned)).collect();
        let mut moved = Vec::new();
        for old in &self.steps {
            let fields = match now.get(&old.step) {
                Some(new) if new.digest == old.digest => continue,
                Some(new) => old.change.moved(&new.change),
                None => vec![format!("{}: {}", old.change.summary, gone(run, &old.step))],
            };
            moved.push(Moved { step: old.step.clone(), fields });
        }
        let known = |step: &str| self.steps.iter().any(|old| old.step == step);
        for new in now.values().filter(|new| !known(&new.step)) {
            let fields = vec![format!("not in the plan: {} on {}", new.change.summary, new.change.target)];
            moved.push(Moved { step: new.step.clone(), fields });
        }
        moved
    }
}

/// Why a step that was to change something no longer would.
fn gone(run: &Run, step: &str) -> String {
    let node = run.node(step);
    let why = node.and_then(|node| {
        let foreseen = node.foreseen.as_ref().map(|(_, reason)| reason.clone());
        node.fault.as_ref().map(ToString::to_string).or(foreseen).or_else(|| node.reason.clone())
    });
    why.unwrap_or_else(|| "the step would not be reached".to_owned())
}

fn planned(run: &Run) -> Vec<PlannedStep> {
    run.nodes()
        .filter_map(|node| {
            let change = node.change.as_deref()?.clone();
            Some(PlannedStep { step: node.path.clone(), digest: change.digest(), change })
        })
        .collect()
}

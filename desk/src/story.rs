//! The one order of what happened in an incident: its alerts, its runs with their approvals, what
//! people noted and what they were told. The command line tells it from here, whole; pages and the API
//! go back through it in parts (`latest`).

use std::collections::BTreeMap;

use runbook_core::{
    event::RunId,
    incident::{AttachedRun, Incident},
    timeline::{self, Entry},
};

use crate::{Desk, DeskError};

/// How far somebody has been told an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    own: u64,
    runs: BTreeMap<RunId, u64>,
}

impl Desk {
    /// Everything that happened in an incident and in those of its runs that somebody may see.
    pub async fn story(
        &self,
        incident: &Incident,
        sees: impl Fn(&AttachedRun) -> bool,
    ) -> Result<Vec<Entry>, DeskError> {
        self.story_since(incident, &mut Heard::default(), sees).await
    }

    /// The same after what was heard before, which is then heard too.
    pub async fn story_since(
        &self,
        incident: &Incident,
        heard: &mut Heard,
        sees: impl Fn(&AttachedRun) -> bool,
    ) -> Result<Vec<Entry>, DeskError> {
        let mut entries = self.timeline_after(incident.id, heard.own).await?;
        heard.own = entries.last().map_or(heard.own, |last| last.seq);
        for (run, _) in incident.runs.iter().filter(|(_, run)| sees(run)) {
            let seq = heard.runs.entry(*run).or_default();
            for record in self.shelf.read(*run, *seq).await? {
                let event = record.open().map_err(runbook_engine::EngineError::from)?;
                *seq = event.seq;
                entries.push(timeline::entry(&event, &record.hash, *run));
            }
        }
        Ok(timeline::in_order(entries))
    }
}

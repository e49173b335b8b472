//! The newest state of a run that this process has seen, and the hash that the next event chains
//! to.

use std::sync::Arc;

use runbook_core::{
    Timestamp,
    event::{Actor, Event, Record, RunId, genesis},
    run::{self, Input, Run},
};
use runbook_journal::{Batch, Journal};

use crate::{EngineError, recall::Recall};

#[derive(Debug, Clone)]
pub(crate) struct Tip {
    pub run: Arc<Run>,
    hash: String,
}

impl Tip {
    /// A run after its first event, and what is to be journaled.
    pub fn begin(id: RunId, event: &Event) -> Result<(Self, Batch), EngineError> {
        let run = Run::begin(id, event)?;
        let record = sealed(event, &genesis(id))?;
        let hash = record.hash.clone();
        let batch = Batch { run: id, after: 0, records: vec![record], summary: run.summary() };
        Ok((Self { run: Arc::new(run), hash }, batch))
    }

    pub async fn load(journal: &dyn Journal, id: RunId) -> Result<Self, EngineError> {
        Self::of(id, &journal.read(id, 0).await?)
    }

    /// The same, from what was remembered of the run.
    pub async fn recall(journal: &dyn Journal, recall: &Recall, id: RunId) -> Result<Self, EngineError> {
        let known = recall.get(id);
        // With the last record that is known: the store may be another one by now.
        let after = known.as_ref().map_or(0, |(tip, _)| tip.run.seq - 1);
        let mut records = journal.read(id, after).await?;
        let (tip, before) = match known {
            Some((mut tip, bytes)) if records.first().is_some_and(|first| first.hash == tip.hash) => {
                tip.extend(records.get(1..).unwrap_or_default())?;
                records.remove(0);
                (tip, bytes)
            }
            Some(_) => {
                records = journal.read(id, 0).await?;
                (Self::of(id, &records)?, 0)
            }
            None => (Self::of(id, &records)?, 0),
        };
        if !records.is_empty() {
            recall.put(&tip, before + records.iter().map(|record| record.bytes.len()).sum::<usize>());
        }
        Ok(tip)
    }

    fn of(id: RunId, records: &[Record]) -> Result<Self, EngineError> {
        let Some((first, rest)) = records.split_first() else { return Err(EngineError::UnknownRun(id)) };
        let run = Run::begin(id, &first.open()?)?;
        let mut tip = Self { run: Arc::new(run), hash: first.hash.clone() };
        tip.extend(rest)?;
        Ok(tip)
    }

    fn extend(&mut self, records: &[Record]) -> Result<(), EngineError> {
        let Some(last) = records.last() else { return Ok(()) };
        let run = Arc::make_mut(&mut self.run);
        for record in records {
            run.apply(&record.open()?)?;
        }
        self.hash.clone_from(&last.hash);
        Ok(())
    }

    /// Takes in what others have appended since.
    pub async fn catch_up(&mut self, journal: &dyn Journal) -> Result<Vec<Event>, EngineError> {
        let records = journal.read(self.run.id, self.run.seq).await?;
        let mut events = Vec::with_capacity(records.len());
        for record in records {
            let event = record.open()?;
            Arc::make_mut(&mut self.run).apply(&event)?;
            self.hash = record.hash;
            events.push(event);
        }
        Ok(events)
    }

    /// Decides what follows from an input. Nothing of it is part of the state before `accept`.
    pub fn decide(
        &self,
        input: Input,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Option<Decided>, EngineError> {
        let run::Decided { events, next } = self.run.decide(input, actor, now)?;
        if events.is_empty() {
            return Ok(None);
        }
        let mut records = Vec::with_capacity(events.len());
        let mut hash = self.hash.clone();
        for event in &events {
            let record = sealed(event, &hash)?;
            hash.clone_from(&record.hash);
            records.push(record);
        }
        let batch = Batch { run: self.run.id, after: self.run.seq, records, summary: next.summary() };
        Ok(Some(Decided { events, batch, next: Self { run: Arc::new(next), hash } }))
    }

    /// Decides what follows from an input and journals it; only then is it part of the state.
    /// `Moved` where someone else has appended first: catch up and decide again.
    pub async fn decide_and_append(
        &mut self,
        journal: &dyn Journal,
        input: Input,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        if let Some(decided) = self.decide(input, actor, now)? {
            journal.append(decided.batch).await?;
            *self = decided.next;
        }
        Ok(())
    }
}

fn sealed(event: &Event, previous: &str) -> Result<Record, EngineError> {
    Record::seal(event, previous).map_err(|error| EngineError::Defect(error.to_string()))
}

/// What follows from an input, ready to be journaled.
#[derive(Debug)]
pub(crate) struct Decided {
    pub events: Vec<Event>,
    pub batch: Batch,
    /// The tip once the batch is journaled.
    pub next: Tip,
}

//! A journal that lives as long as the process: for dry-runs and tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use runbook_core::{
    Timestamp,
    event::{Record, RunId, Summary, genesis},
};

use crate::{
    Batch, Claim, Document, DocumentQuery, Expect, Journal, JournalError, Mark, Order, RunHead, RunQuery,
    Shelf, Write, bell::Bell, lease::Lease, shelf,
};

#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
    claims: Arc<Claims>,
    bell: Bell,
}

impl Memory {
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        held(&self.state)
    }
}

#[derive(Debug, Clone, Default)]
struct State {
    runs: BTreeMap<RunId, Kept>,
    locks: BTreeMap<String, Lease>,
    documents: BTreeMap<(String, String), Document>,
}

#[derive(Debug, Clone)]
struct Kept {
    records: Vec<Record>,
    updated_at: Timestamp,
    summary: Summary,
}

impl Kept {
    fn head(&self) -> u64 {
        self.records.len() as u64
    }
}

#[async_trait]
impl Journal for Memory {
    async fn append(&self, batch: Batch) -> Result<(), JournalError> {
        let at = batch.check()?;
        let (run, head) = batch.head();
        self.state().append(batch, at)?;
        self.bell.appended(run, head);
        Ok(())
    }

    async fn read(&self, run: RunId, after: u64) -> Result<Vec<Record>, JournalError> {
        let state = self.state();
        let records = state.runs.get(&run).map_or(&[][..], |kept| &kept.records);
        let start = usize::try_from(after).unwrap_or(usize::MAX).min(records.len());
        Ok(records[start..].to_vec())
    }

    async fn tail(&self, run: RunId, before: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
        let state = self.state();
        let records = state.runs.get(&run).map_or(&[][..], |kept| &kept.records);
        let end = usize::try_from(before.saturating_sub(1)).unwrap_or(usize::MAX).min(records.len());
        Ok(records[end.saturating_sub(limit)..end].to_vec())
    }

    async fn head(&self, run: RunId) -> Result<Option<u64>, JournalError> {
        Ok(self.state().runs.get(&run).map(Kept::head))
    }

    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, JournalError> {
        let state = self.state();
        let newest_first = state.runs.iter().rev();
        let older = |run: &RunId| query.before.is_none_or(|before| *run < before);
        let matching = newest_first.filter(|(run, kept)| older(run) && matches(query, &kept.summary));
        let heads = matching.map(|(run, kept)| RunHead {
            run: *run,
            seq: kept.head(),
            updated_at: kept.updated_at,
            summary: kept.summary.clone(),
        });
        Ok(heads.take(query.bound()).collect())
    }

    async fn changed(&self, run: RunId, after: u64, since: Mark) -> Result<Mark, JournalError> {
        Ok(self.bell.rung(run, after, since).await)
    }

    async fn claim(&self, run: RunId) -> Result<Claim, JournalError> {
        if !held(&self.claims.0).insert(run) {
            return Err(JournalError::Claimed { run });
        }
        Ok(Claim::new(run, Arc::new(Claimed { run, claims: Arc::clone(&self.claims) })))
    }

    async fn lock(
        &self,
        target: &str,
        run: RunId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<u64, JournalError> {
        let mut state = self.state();
        state.locks.entry(target.to_owned()).or_default().take(target, run, now, until)
    }

    async fn holder(&self, target: &str, now: Timestamp) -> Result<Option<(RunId, Timestamp)>, JournalError> {
        Ok(self.state().locks.get(target).and_then(|lease| lease.holder(now)))
    }

    async fn unlock(&self, target: &str, run: RunId) -> Result<(), JournalError> {
        if let Some(lease) = self.state().locks.get_mut(target) {
            lease.release(run);
        }
        Ok(())
    }

    fn durability(&self) -> String {
        "memory, gone with the process".to_owned()
    }
}

#[async_trait]
impl Shelf for Memory {
    async fn write(&self, writes: Vec<Write>) -> Result<(), JournalError> {
        shelf::check(&writes)?;
        let mut heads = Vec::new();
        {
            let mut state = self.state();
            let mut next = state.clone();
            for write in writes {
                match write {
                    Write::Append(batch) => {
                        let at = batch.check()?;
                        heads.push(batch.head());
                        next.append(batch, at)?;
                    }
                    Write::Put { document, expect } => next.put(document, expect)?,
                    Write::Remove { kind, id } => drop(next.documents.remove(&(kind, id))),
                }
            }
            *state = next;
        }
        for (run, head) in heads {
            self.bell.appended(run, head);
        }
        self.bell.stir();
        Ok(())
    }

    async fn document(&self, kind: &str, id: &str) -> Result<Option<Document>, JournalError> {
        Ok(self.state().documents.get(&(kind.to_owned(), id.to_owned())).cloned())
    }

    async fn documents(&self, query: &DocumentQuery) -> Result<Vec<Document>, JournalError> {
        let state = self.state();
        let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let mut found: Vec<&Document> = state
            .documents
            .values()
            .filter(|it| {
                it.kind == query.kind && is(&query.state, &it.state) && is(&query.parent, &it.parent)
            })
            .collect();
        found.sort_by_key(|it| it.place());
        if query.order == Order::NewestFirst {
            found.reverse();
        }
        let comes_after = |it: &&Document| match (&query.after, query.order) {
            (None, _) => true,
            (Some(last), Order::NewestFirst) => it.place() < *last,
            (Some(last), Order::OldestFirst) => it.place() > *last,
        };
        Ok(found.into_iter().filter(comes_after).take(query.bound()).cloned().collect())
    }

    async fn stirred(&self, since: Mark) -> Result<Mark, JournalError> {
        Ok(self.bell.stirred(since).await)
    }
}

impl State {
    fn put(&mut self, mut document: Document, expect: Expect) -> Result<(), JournalError> {
        let key = (document.kind.clone(), document.id.clone());
        let version = self.documents.get(&key).map_or(0, |kept| kept.version);
        expect.fits(&document.kind, &document.id, version)?;
        document.version = version + 1;
        self.documents.insert(key, document);
        Ok(())
    }

    fn append(&mut self, batch: Batch, at: Option<Timestamp>) -> Result<(), JournalError> {
        match self.runs.get_mut(&batch.run) {
            Some(kept) => {
                let hash = kept.records.last().map(|record| record.hash.as_str()).unwrap_or_default();
                batch.fits(kept.head(), hash)?;
                kept.records.extend(batch.records);
                kept.updated_at = at.map_or(kept.updated_at, |at| at.max(kept.updated_at));
                kept.summary = batch.summary;
            }
            None => {
                batch.fits(0, &genesis(batch.run))?;
                if let Some(updated_at) = at {
                    let kept = Kept { records: batch.records, updated_at, summary: batch.summary };
                    self.runs.insert(batch.run, kept);
                }
            }
        }
        Ok(())
    }
}

fn matches(query: &RunQuery, summary: &Summary) -> bool {
    let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
    is(&query.runbook, &summary.runbook)
        && is(&query.environment, &summary.environment)
        && is(&query.status, &summary.status)
        && (query.incident.is_none() || query.incident == summary.incident)
        && query.since.is_none_or(|since| summary.started_at >= since)
}

#[derive(Debug, Default)]
struct Claims(Mutex<BTreeSet<RunId>>);

#[derive(Debug)]
struct Claimed {
    run: RunId,
    claims: Arc<Claims>,
}

impl Drop for Claimed {
    fn drop(&mut self) {
        held(&self.claims.0).remove(&self.run);
    }
}

/// Nothing panics while it holds one of these, so what a poisoned one guards is whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

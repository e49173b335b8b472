//! A journal that tells an observer what it has committed. The observer is never in the way: it is told
//! after the fact, and what it makes of that is its own affair.

use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use runbook_core::{
    Timestamp,
    event::{Record, RunId},
};

use crate::{
    Batch, Claim, Document, DocumentQuery, Journal, JournalError, Mark, RunHead, RunQuery, Shelf, Write,
};

/// Is told of what this process has journaled, in the order of each run. It must return at once.
pub trait Observer: Debug + Send + Sync {
    /// These batches are on disk; it took that long, with what they waited for.
    fn committed(&self, batches: Vec<Batch>, took: Duration);
}

/// A journal, or a shelf, with an observer.
#[derive(Debug)]
pub struct Observed<J: ?Sized> {
    observer: Arc<dyn Observer>,
    inner: Arc<J>,
}

impl<J: ?Sized> Observed<J> {
    pub fn new(inner: Arc<J>, observer: Arc<dyn Observer>) -> Self {
        Self { observer, inner }
    }

    fn tell(&self, batches: Vec<Batch>, began: Instant) {
        if !batches.is_empty() {
            self.observer.committed(batches, began.elapsed());
        }
    }
}

#[async_trait]
impl<J: Journal + ?Sized> Journal for Observed<J> {
    async fn append(&self, batch: Batch) -> Result<(), JournalError> {
        let (began, told) = (Instant::now(), batch.clone());
        self.inner.append(batch).await?;
        self.tell(vec![told], began);
        Ok(())
    }
    async fn append_all(&self, batches: Vec<Batch>) -> Result<(), JournalError> {
        let (began, told) = (Instant::now(), batches.clone());
        self.inner.append_all(batches).await?;
        self.tell(told, began);
        Ok(())
    }
    async fn read(&self, run: RunId, after: u64) -> Result<Vec<Record>, JournalError> {
        self.inner.read(run, after).await
    }
    async fn head(&self, run: RunId) -> Result<Option<u64>, JournalError> {
        self.inner.head(run).await
    }
    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, JournalError> {
        self.inner.runs(query).await
    }
    async fn changed(&self, run: RunId, after: u64, since: Mark) -> Result<Mark, JournalError> {
        self.inner.changed(run, after, since).await
    }
    async fn claim(&self, run: RunId) -> Result<Claim, JournalError> {
        Ok(self.inner.claim(run).await?.seen_by(&self.observer))
    }
    async fn lock(
        &self,
        target: &str,
        run: RunId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<u64, JournalError> {
        self.inner.lock(target, run, now, until).await
    }
    async fn holder(&self, target: &str, now: Timestamp) -> Result<Option<(RunId, Timestamp)>, JournalError> {
        self.inner.holder(target, now).await
    }
    async fn unlock(&self, target: &str, run: RunId) -> Result<(), JournalError> {
        self.inner.unlock(target, run).await
    }
    fn durability(&self) -> String {
        self.inner.durability()
    }
}

#[async_trait]
impl<J: Shelf + ?Sized> Shelf for Observed<J> {
    async fn write(&self, writes: Vec<Write>) -> Result<(), JournalError> {
        let appended = |write: &Write| match write {
            Write::Append(batch) => Some(batch.clone()),
            Write::Put { .. } | Write::Remove { .. } => None,
        };
        let (began, told) = (Instant::now(), writes.iter().filter_map(appended).collect());
        self.inner.write(writes).await?;
        self.tell(told, began);
        Ok(())
    }
    async fn document(&self, kind: &str, id: &str) -> Result<Option<Document>, JournalError> {
        self.inner.document(kind, id).await
    }
    async fn documents(&self, query: &DocumentQuery) -> Result<Vec<Document>, JournalError> {
        self.inner.documents(query).await
    }
    async fn stirred(&self, since: Mark) -> Result<Mark, JournalError> {
        self.inner.stirred(since).await
    }
}

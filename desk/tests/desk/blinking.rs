//! A shelf whose list of runs can miss them all for a moment, as a list by states does for a run that
//! changes its state between two questions.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use runbook_core::{
    Timestamp,
    event::{Record, RunId},
};
use runbook_journal::{
    Batch, Claim, Document, DocumentQuery, Journal, JournalError, Mark, Memory, RunHead, RunQuery, Shelf,
    Write,
};

#[derive(Debug, Default)]
pub struct Blinking {
    shelf: Memory,
    /// How many lists are still to come out empty.
    closed: AtomicUsize,
}

impl Blinking {
    /// The next lists of runs are empty.
    pub fn blink(&self, lists: usize) {
        self.closed.store(lists, Ordering::SeqCst);
    }

    pub fn is_open(&self) -> bool {
        self.closed.load(Ordering::SeqCst) == 0
    }
}

#[async_trait]
impl Journal for Blinking {
    async fn append(&self, batch: Batch) -> Result<(), JournalError> {
        self.shelf.append(batch).await
    }
    async fn append_all(&self, batches: Vec<Batch>) -> Result<(), JournalError> {
        self.shelf.append_all(batches).await
    }
    async fn read(&self, run: RunId, after: u64) -> Result<Vec<Record>, JournalError> {
        self.shelf.read(run, after).await
    }
    async fn head(&self, run: RunId) -> Result<Option<u64>, JournalError> {
        self.shelf.head(run).await
    }
    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, JournalError> {
        let closed = self.closed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if closed.is_ok() { Ok(Vec::new()) } else { self.shelf.runs(query).await }
    }
    async fn changed(&self, run: RunId, after: u64, since: Mark) -> Result<Mark, JournalError> {
        self.shelf.changed(run, after, since).await
    }
    async fn claim(&self, run: RunId) -> Result<Claim, JournalError> {
        self.shelf.claim(run).await
    }
    async fn lock(
        &self,
        target: &str,
        run: RunId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<u64, JournalError> {
        self.shelf.lock(target, run, now, until).await
    }
    async fn holder(&self, target: &str, now: Timestamp) -> Result<Option<(RunId, Timestamp)>, JournalError> {
        self.shelf.holder(target, now).await
    }
    async fn unlock(&self, target: &str, run: RunId) -> Result<(), JournalError> {
        self.shelf.unlock(target, run).await
    }
    fn durability(&self) -> String {
        self.shelf.durability()
    }
}

#[async_trait]
impl Shelf for Blinking {
    async fn write(&self, writes: Vec<Write>) -> Result<(), JournalError> {
        self.shelf.write(writes).await
    }
    async fn document(&self, kind: &str, id: &str) -> Result<Option<Document>, JournalError> {
        self.shelf.document(kind, id).await
    }
    async fn documents(&self, query: &DocumentQuery) -> Result<Vec<Document>, JournalError> {
        self.shelf.documents(query).await
    }
    async fn stirred(&self, since: Mark) -> Result<Mark, JournalError> {
        self.shelf.stirred(since).await
    }
}

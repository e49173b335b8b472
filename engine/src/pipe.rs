//! What a driver journals, in order, behind its back: while one group is being synced, what comes
//! meanwhile is gathered and goes as the next. Whoever must not go on before something is on disk
//! waits for it.

use std::sync::Arc;

use runbook_journal::{Batch, Journal, JournalError};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tracing::Instrument as _;

/// How many batches may wait; a driver that is further ahead than this waits itself.
const MOST_WAITING: usize = 64;

#[derive(Debug)]
pub(crate) struct Pipe {
    batches: mpsc::Sender<Batch>,
    state: watch::Receiver<u64>,
    task: JoinHandle<Result<(), JournalError>>,
}

impl Pipe {
    /// Starts behind the entry `head`, which is on disk.
    pub fn new(journal: Arc<dyn Journal>, head: u64) -> Self {
        let (batches, waiting) = mpsc::channel(MOST_WAITING);
        let (flushed, state) = watch::channel(head);
        let task = tokio::spawn(flush(journal, waiting, flushed).in_current_span());
        Self { batches, state, task }
    }

    /// Hands a batch in. It is journaled after all that were handed in before.
    pub async fn push(&mut self, batch: Batch) -> Result<(), JournalError> {
        match self.batches.send(batch).await {
            Ok(()) => Ok(()),
            Err(_) => self.failed().await,
        }
    }

    /// Returns when an entry, and all before it, are on disk.
    pub async fn flushed(&mut self, seq: u64) -> Result<(), JournalError> {
        let reached = self.state.wait_for(|flushed| *flushed >= seq).await.is_ok();
        if reached { Ok(()) } else { self.failed().await }
    }

    /// Returns only when journaling has failed, with why.
    pub async fn failed(&mut self) -> Result<(), JournalError> {
        match (&mut self.task).await {
            Ok(result) => result,
            // Nobody but `drop` ends the task, and it does not panic.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn flush(
    journal: Arc<dyn Journal>,
    mut waiting: mpsc::Receiver<Batch>,
    flushed: watch::Sender<u64>,
) -> Result<(), JournalError> {
    while let Some(first) = waiting.recv().await {
        let mut group = vec![first];
        while let Ok(next) = waiting.try_recv() {
            group.push(next);
        }
        let head = group.iter().flat_map(|batch| &batch.records).last().map(|record| record.seq);
        journal.append_all(group).await?;
        if let Some(head) = head {
            flushed.send_replace(head);
        }
    }
    Ok(())
}

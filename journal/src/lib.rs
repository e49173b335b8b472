//! The journal: append-only records of runs, durable before they are acknowledged. One trait, three
//! implementations, one conformance suite (`laws`).

#[expect(clippy::unwrap_used, reason = "a law that does not hold has to panic")]
pub mod laws;

pub mod bare;
mod bell;
mod checked;
mod lease;
mod memory;
mod observed;
mod postgres;
mod shelf;
mod sqlite;
mod time;

use std::{fmt::Debug, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use runbook_core::{
    Timestamp, Value,
    event::{Record, RunId, Summary},
};

use serde_json::json;

pub use crate::{
    checked::{LARGEST_BATCH, MOST_ENTRIES, MOST_RUNS},
    memory::Memory,
    observed::{Observed, Observer},
    postgres::{Address, BadAddress, Postgres},
    shelf::{
        Document, DocumentQuery, Expect, LARGEST_DOCUMENT, LONGEST_KEY, MOST_DOCUMENTS, MOST_WRITES, Order,
        Shelf, Write,
    },
    sqlite::Sqlite,
};

/// Where the records of runs are kept.
///
/// What `append` acknowledged is there after a crash of the process or of the machine.
#[async_trait]
pub trait Journal: Debug + Send + Sync {
    /// Adds records to a run, all or none, if `after` is still its last sequence number. No records
    /// at all renew the summary of a run that is known. A caller that stops waiting does not undo
    /// what it asked for: the batch is there whole, or not at all.
    async fn append(&self, batch: Batch) -> Result<(), JournalError>;

    /// Adds batches that follow upon each other in one run, all or none.
    async fn append_all(&self, batches: Vec<Batch>) -> Result<(), JournalError> {
        let mut batches = batches.into_iter();
        let Some(mut whole) = batches.next() else { return Ok(()) };
        for next in batches {
            whole.records.extend(next.records);
            whole.summary = next.summary;
        }
        self.append(whole).await
    }

    /// The records of a run after a sequence number, in order, as they are kept: whether the chain
    /// holds is for `event::verify` to say. Unknown runs have none. All of them are held in memory;
    /// no run has more than [`MOST_ENTRIES`].
    async fn read(&self, run: RunId, after: u64) -> Result<Vec<Record>, JournalError>;

    /// The last records of a run before a sequence number, at most this many, in order: where a
    /// reader who goes back through a long run reads on.
    async fn tail(&self, run: RunId, before: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
        let mut records = self.read(run, 0).await?;
        records.retain(|record| record.seq < before);
        Ok(records.split_off(records.len().saturating_sub(limit)))
    }

    /// What the journal says a run's last sequence number is; `None` for an unknown run.
    async fn head(&self, run: RunId) -> Result<Option<u64>, JournalError>;

    /// Runs, newest first.
    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, JournalError>;

    /// Returns when a run has records after a sequence number that this process appended, or when
    /// another process may have appended anything since the mark was taken; at once if so already.
    /// Start with `Mark::default()`.
    async fn changed(&self, run: RunId, after: u64, since: Mark) -> Result<Mark, JournalError>;

    /// Takes the right to drive a run, for as long as the claim lives; it ends with the process.
    async fn claim(&self, run: RunId) -> Result<Claim, JournalError>;

    /// Locks a target for a run until the lease ends, or lengthens the lease that the run holds.
    /// A lease that has ended, its own too, is taken over. Returns the fence, which grows with each
    /// new holder and never starts anew. A lease has ended once `now` has reached its `until`.
    async fn lock(
        &self,
        target: &str,
        run: RunId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<u64, JournalError>;

    /// Which run holds a target at `now`, and until when at the latest. Nothing is changed by asking.
    async fn holder(&self, target: &str, now: Timestamp) -> Result<Option<(RunId, Timestamp)>, JournalError>;

    /// Lets a target go; nothing happens where the run does not hold it.
    async fn unlock(&self, target: &str, run: RunId) -> Result<(), JournalError>;

    /// How safe an acknowledged record is, for reports: `sqlite, WAL, synchronous=FULL`.
    fn durability(&self) -> String;
}

/// All runs of a kind, newest first, however many there are.
pub async fn every_run(
    journal: &(impl Journal + ?Sized),
    query: RunQuery,
) -> Result<Vec<RunHead>, JournalError> {
    let mut query = RunQuery { limit: MOST_RUNS, ..query };
    let mut found = Vec::new();
    loop {
        let page = journal.runs(&query).await?;
        let full = page.len() == MOST_RUNS;
        query.before = page.last().map(|last| last.run);
        found.extend(page);
        if !full {
            return Ok(found);
        }
    }
}

/// Records to add to one run.
#[derive(Debug, Clone)]
pub struct Batch {
    pub run: RunId,
    /// The sequence number that the run must still be at.
    pub after: u64,
    pub records: Vec<Record>,
    pub summary: Summary,
}

/// A point in the journal's life, to ask what others did since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark(pub u64);

#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunQuery {
    pub runbook: Option<String>,
    pub environment: Option<String>,
    pub status: Option<String>,
    pub incident: Option<String>,
    /// Runs that started then or later.
    pub since: Option<Timestamp>,
    /// Runs that are older than this one: where a page before ended.
    pub before: Option<RunId>,
    /// At most this many; 0 means 100. Never more than 1,000.
    pub limit: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RunHead {
    pub run: RunId,
    pub seq: u64,
    /// When its last entry happened.
    pub updated_at: Timestamp,
    pub summary: Summary,
}

impl RunHead {
    /// One run of a list. Its keys are an API.
    pub fn document(&self) -> Value {
        let summary = &self.summary;
        json!({
            "run": self.run,
            "runbook": summary.runbook,
            "environment": summary.environment,
            "simulated": summary.simulated,
            "status": summary.status,
            "recovered": summary.recovered,
            "requested_by": summary.requested_by,
            "incident": summary.incident,
            "started_at": summary.started_at,
            "ended_at": summary.ended_at,
            "updated_at": self.updated_at,
            "entries": self.seq,
        })
    }
}

/// The right to drive a run. Dropping it gives the run free.
#[derive(Debug)]
pub struct Claim {
    pub run: RunId,
    /// Whatever holds the claim while it lives.
    #[expect(dead_code, reason = "held for its Drop, never read")]
    held: Arc<dyn Debug + Send + Sync>,
    through: Option<Arc<dyn Journal>>,
}

impl Claim {
    /// A claim that its process cannot lose.
    pub fn new(run: RunId, held: Arc<dyn Debug + Send + Sync>) -> Self {
        Self { run, held, through: None }
    }

    /// A claim that can pass to another process while this one does not know. `through` fails with
    /// `Claimed` from then on, and once the claim was dropped.
    pub fn fenced(run: RunId, held: Arc<dyn Debug + Send + Sync>, through: Arc<dyn Journal>) -> Self {
        Self { run, held, through: Some(through) }
    }

    /// The same where somebody wants to know what is appended through it.
    fn seen_by(self, observer: &Arc<dyn Observer>) -> Self {
        let observed = |through| Arc::new(Observed::new(through, Arc::clone(observer))) as Arc<dyn Journal>;
        Self { through: self.through.map(observed), ..self }
    }

    /// What the run is driven through, where not simply through the journal: everything that the
    /// driver appends, reads, locks and waits for, so that it can do none of it under a claim that it
    /// has lost.
    pub fn through(&self) -> Option<Arc<dyn Journal>> {
        self.through.clone()
    }
}

/// What can go wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Someone else has appended first: read, fold, decide again.
    #[error("run {run} is at entry {head}, not at {expected}")]
    Moved { run: RunId, head: u64, expected: u64 },
    #[error("run {run} is being driven by another process")]
    Claimed { run: RunId },
    #[error("`{target}` is locked by {run} until {until}")]
    Locked { target: String, run: RunId, until: Timestamp },
    /// The batch is not one that a run can have; trying again does not help.
    #[error("entry {seq} of {run} cannot be added: {why}")]
    Refused { run: RunId, seq: u64, why: String },
    /// Someone else has written first: read and decide again.
    #[error("{kind} `{id}` was changed by someone else: it is at version {version}")]
    Changed { kind: String, id: String, version: u64 },
    #[error("it is too much to be kept: {why}")]
    TooLarge { why: String },
    #[error("{kind} `{id}` cannot be read: {why}")]
    Unreadable { kind: String, id: String, why: String },
    #[error("entry {seq} of {run} is damaged: {why}")]
    Damaged { run: RunId, seq: u64, why: String },
    #[error(
        "database {path} was written by a newer version of runbook (schema {found}, this one knows {known})"
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("database {path} is read-only")]
    ReadOnly { path: PathBuf },
    #[error("no space is left for database {path}")]
    Full { path: PathBuf },
    #[error("database {path} could not be used: {why}")]
    Unusable { path: PathBuf, why: String },
}

impl JournalError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Moved { .. } | Self::Changed { .. } => None,
            Self::TooLarge { .. } => Some("make it smaller, or split it"),
            Self::Claimed { .. } => Some("follow it with `runbook timeline RUN --follow`"),
            Self::Locked { .. } => Some("wait for that run to end, or cancel it with `runbook cancel RUN`"),
            Self::Refused { .. } => {
                Some("`runbook timeline RUN --verify` shows whether its journal is whole; if so, report this")
            }
            Self::Damaged { .. } | Self::Unreadable { .. } => {
                Some("`runbook timeline RUN --verify` shows where the chain breaks; restore a backup")
            }
            Self::Newer { .. } => Some("use the newer version, or point `store` at another database"),
            Self::ReadOnly { .. } => Some("give this user the right to write it, or point `store` elsewhere"),
            Self::Full { .. } => Some("free some space; every entry that was acknowledged is safe"),
            Self::Unusable { .. } => Some("check `store` in runbook.yaml, and whether this user may use it"),
        }
    }
}

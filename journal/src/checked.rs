//! What any journal refuses before it writes a batch, and the limits that go with it.

use runbook_core::{
    Timestamp,
    event::{Record, RunId},
};
use serde::Deserialize;

use crate::{Batch, JournalError, RunQuery};

/// A journal neither takes nor gives back more entries of one run than this, so that reading a run
/// is bounded. The engine ends a run long before, at 20,000.
pub const MOST_ENTRIES: u64 = 100_000;

/// The bytes of all records of a batch together.
pub const LARGEST_BATCH: usize = 16 * 1024 * 1024;

/// The longest list of runs that one question is answered with.
pub const MOST_RUNS: usize = 1_000;

const DEFAULT_RUNS: usize = 100;

impl RunQuery {
    pub(crate) fn bound(&self) -> usize {
        if self.limit == 0 { DEFAULT_RUNS } else { self.limit.min(MOST_RUNS) }
    }
}

impl Batch {
    /// The run, and its last sequence number once the batch is appended.
    pub(crate) fn head(&self) -> (RunId, u64) {
        (self.run, self.records.last().map_or(self.after, |record| record.seq))
    }

    /// Proves what can be proven without the run: that the records go on from `after` without a
    /// gap, that each is sealed upon the one before it, that they are not too many or too large.
    /// Returns when the last of them happened; nothing for a batch without records.
    pub(crate) fn check(&self) -> Result<Option<Timestamp>, JournalError> {
        let mut size = 0;
        let mut last: Option<&Record> = None;
        for (distance, record) in (1..).zip(&self.records) {
            size += record.bytes.len();
            let why = if self.after.checked_add(distance) != Some(record.seq) {
                format!("it does not go on from entry {}", self.after)
            } else if record.seq > MOST_ENTRIES {
                format!("a run has at most {MOST_ENTRIES} entries")
            } else if size > LARGEST_BATCH {
                format!("what is added at once may have {} MiB", LARGEST_BATCH / 1024 / 1024)
            } else if last.is_some_and(|previous| !record.follows(&previous.hash)) {
                NOT_CHAINED.to_owned()
            } else {
                last = Some(record);
                continue;
            };
            return Err(JournalError::Refused { run: self.run, seq: record.seq, why });
        }
        last.map(|record| moment(self.run, record)).transpose()
    }

    /// Proves that the batch fits the last entry that the journal has of the run.
    pub(crate) fn fits(&self, head: u64, hash: &str) -> Result<(), JournalError> {
        if head != self.after {
            return Err(JournalError::Moved { run: self.run, head, expected: self.after });
        }
        match self.records.first() {
            Some(first) if !first.follows(hash) => {
                Err(JournalError::Refused { run: self.run, seq: first.seq, why: NOT_CHAINED.to_owned() })
            }
            _ => Ok(()),
        }
    }
}

const NOT_CHAINED: &str = "its hash does not fit its content and the entry before it";

fn moment(run: RunId, record: &Record) -> Result<Timestamp, JournalError> {
    #[derive(Deserialize)]
    struct Moment {
        at: Timestamp,
    }
    let moment: Moment = serde_json::from_slice(&record.bytes).map_err(|error| JournalError::Refused {
        run,
        seq: record.seq,
        why: format!("it is not an event: {error}"),
    })?;
    Ok(moment.at)
}

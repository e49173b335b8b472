//! What SQLite alone does with the same batches, and what the disk alone does: the yardsticks that
//! a journal's speed is measured against. Nothing but measurements calls this.

use std::{
    fs::File,
    io::{Result as IoResult, Seek as _, SeekFrom, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, Result, TransactionBehavior};

use crate::Batch;

const SCHEMA: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    CREATE TABLE runs (id TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash TEXT NOT NULL, summary TEXT NOT NULL) STRICT; \
    CREATE TABLE records (run TEXT NOT NULL, seq INTEGER NOT NULL, bytes BLOB NOT NULL, hash TEXT NOT NULL, \
    PRIMARY KEY (run, seq)) STRICT, WITHOUT ROWID;";

/// Commits batches in their order, `at_once` to a transaction, each synced; how long that took.
///
/// # Errors
/// Whatever SQLite says.
pub fn commit(path: &Path, batches: &[Batch], at_once: usize) -> Result<Duration> {
    let mut conn = Connection::open(path)?;
    conn.execute_batch(SCHEMA)?;
    let began = Instant::now();
    for group in batches.chunks(at_once.max(1)) {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for batch in group {
            let run = batch.run.to_string();
            let last = batch.records.last().map_or("", |record| record.hash.as_str());
            transaction
                .prepare_cached(
                    "INSERT INTO runs VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, summary = excluded.summary",
                )?
                .execute((&run, batch.after, last, &batch.summary.status))?;
            for record in &batch.records {
                transaction.prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3, ?4)")?.execute((
                    &run,
                    record.seq,
                    &record.bytes,
                    &record.hash,
                ))?;
            }
        }
        transaction.commit()?;
    }
    Ok(began.elapsed())
}

/// How long the disk takes to sync a page of a file that has its size already, as SQLite's log has:
/// the median of `times`.
///
/// # Errors
/// Whatever the file system says.
pub fn sync_time(path: &Path, times: u32) -> IoResult<Duration> {
    let mut file = File::create(path)?;
    let page = [7; 4096];
    for _ in 0..64 {
        file.write_all(&page)?;
    }
    file.sync_all()?;
    let mut taken = Vec::new();
    for time in 0..times.max(1) {
        file.seek(SeekFrom::Start(u64::from(time % 64) * 4096))?;
        let began = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        taken.push(began.elapsed());
    }
    taken.sort();
    Ok(taken.get(taken.len() / 2).copied().unwrap_or_default())
}

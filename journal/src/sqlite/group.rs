//! One transaction for all that a group asks for.

use std::time::{Duration, Instant};

use runbook_core::event::genesis;
use rusqlite::{Connection, Error, OptionalExtension as _, ToSql, Transaction, TransactionBehavior};

use super::{
    column, lock, shelf,
    writer::{Append, Asked, Part},
};
use crate::JournalError;

const HEAD: &str = "SELECT num, seq, hash FROM runs WHERE id = ?1";

const NEW_RUN: &str = "INSERT INTO runs (seq, hash, updated_at, runbook, environment, status, incident, \
    started_at, summary, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// A batch without records has no time, which is before any.
const RUN: &str = "UPDATE runs SET seq = ?1, hash = ?2, updated_at = max(updated_at, ?3), runbook = ?4, \
    environment = ?5, status = ?6, incident = ?7, started_at = ?8, summary = ?9 WHERE num = ?10";

const RECORD: &str = "INSERT INTO records (run, seq, bytes, hash) VALUES (?1, ?2, ?3, ?4)";

/// The answers to a group, which hold because it is on disk.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) answers: Vec<Result<u64, JournalError>>,
    /// How long the disk took.
    pub(super) sync: Duration,
}

/// Does what is asked, in this order, in one transaction. An error means that nothing of it was
/// done; a refusal of one is among the answers and leaves the others alone.
pub(super) fn commit(conn: &mut Connection, asked: &[Asked]) -> Result<Committed, Error> {
    let mut transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut answers = Vec::with_capacity(asked.len());
    for one in asked {
        answers.push(match one {
            Asked::Append(entry) => append(&transaction, entry)?.map(|()| 0),
            Asked::Write(parts) => write(&mut transaction, parts)?.map(|()| 0),
            Asked::Lock { target, run, now, until } => lock::lock(&transaction, target, *run, *now, *until)?,
            Asked::Unlock { target, run } => {
                lock::unlock(&transaction, target, *run)?;
                Ok(0)
            }
        });
    }
    let began = Instant::now();
    transaction.commit()?;
    Ok(Committed { answers, sync: began.elapsed() })
}

/// Differs from the last answer of the same connection if another connection has committed since.
pub(super) fn data_version(conn: &Connection) -> Result<i64, Error> {
    conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

/// A refused part takes the others back with it.
fn write(transaction: &mut Transaction<'_>, parts: &[Part]) -> Result<Result<(), JournalError>, Error> {
    let savepoint = transaction.savepoint()?;
    for part in parts {
        let done = match part {
            Part::Append(entry) => append(&savepoint, entry)?,
            Part::Put { document, expect } => shelf::put(&savepoint, document, *expect)?,
            Part::Remove { kind, id } => {
                shelf::remove(&savepoint, kind, id)?;
                Ok(())
            }
        };
        if done.is_err() {
            // Dropping the savepoint rolls back to it.
            return Ok(done);
        }
    }
    savepoint.commit()?;
    Ok(Ok(()))
}

fn append(transaction: &Connection, entry: &Append) -> Result<Result<(), JournalError>, Error> {
    let batch = &entry.batch;
    let head = transaction
        .prepare_cached(HEAD)?
        .query_row([&entry.id], |row| Ok((row.get(0)?, column::seq(row, 1)?, column::text(row, 2)?)))
        .optional()?;
    let (num, seq, hash): (Option<i64>, u64, String) = match head {
        Some((num, seq, hash)) => (Some(num), seq, hash),
        None => (None, 0, genesis(batch.run)),
    };
    if let Err(refusal) = batch.fits(seq, &hash) {
        return Ok(Err(refusal));
    }
    if num.is_none() && batch.records.is_empty() {
        return Ok(Ok(()));
    }
    let num = renew(transaction, entry, num, seq, &hash)?;
    let mut insert = transaction.prepare_cached(RECORD)?;
    for record in &batch.records {
        insert.execute((num, record.seq, &record.bytes, &record.hash))?;
    }
    Ok(Ok(()))
}

/// Takes the run to its new head, and says its number.
fn renew(
    transaction: &Connection,
    entry: &Append,
    num: Option<i64>,
    seq: u64,
    hash: &str,
) -> Result<i64, Error> {
    let (seq, hash) = entry.batch.records.last().map_or((seq, hash), |last| (last.seq, last.hash.as_str()));
    match num {
        Some(num) => {
            transaction.prepare_cached(RUN)?.execute(entry.values(&seq, &hash, &num))?;
            Ok(num)
        }
        None => transaction.prepare_cached(NEW_RUN)?.insert(entry.values(&seq, &hash, &entry.id)),
    }
}

impl Append {
    /// In the order of `NEW_RUN` and `RUN`.
    fn values<'a>(&'a self, seq: &'a u64, hash: &'a &str, key: &'a dyn ToSql) -> [&'a dyn ToSql; 10] {
        let summary = &self.batch.summary;
        [
            seq,
            hash,
            &self.at,
            &summary.runbook,
            &summary.environment,
            &summary.status,
            &summary.incident,
            &self.started_at,
            &self.summary,
            key,
        ]
    }
}

//! Locks of targets, a row each.

use runbook_core::{Timestamp, event::RunId};
use rusqlite::{Connection, Error, OptionalExtension as _, Transaction, types::ValueRef};

use super::column;
use crate::{JournalError, lease::Lease, time};

const LEASE: &str = "SELECT fence, run, until FROM locks WHERE target = ?1";

const LOCK: &str = "INSERT INTO locks (target, run, fence, until) VALUES (?1, ?2, ?3, ?4) \
    ON CONFLICT (target) DO UPDATE SET run = excluded.run, fence = excluded.fence, until = excluded.until";

const UNLOCK: &str = "UPDATE locks SET run = NULL WHERE target = ?1 AND run = ?2";

/// How things stand with a target, which may never have been locked.
pub(super) fn lease(connection: &Connection, target: &str) -> Result<Lease, Error> {
    let lease = connection.prepare_cached(LEASE)?.query_row([target], |row| {
        let held = row.get_ref(1)? != ValueRef::Null;
        let holder = if held { Some((column::run(row, 1)?, column::time(row, 2)?)) } else { None };
        Ok(Lease { fence: row.get(0)?, holder })
    });
    Ok(lease.optional()?.unwrap_or_default())
}

pub(super) fn lock(
    transaction: &Transaction<'_>,
    target: &str,
    run: RunId,
    now: Timestamp,
    until: Timestamp,
) -> Result<Result<u64, JournalError>, Error> {
    let mut lease = lease(transaction, target)?;
    let answer = lease.take(target, run, now, until);
    if let (Ok(fence), Some((holder, until))) = (&answer, lease.holder) {
        let row = (target, holder.to_string(), *fence, time::text(until));
        transaction.prepare_cached(LOCK)?.execute(row)?;
    }
    Ok(answer)
}

pub(super) fn unlock(transaction: &Transaction<'_>, target: &str, run: RunId) -> Result<(), Error> {
    transaction.prepare_cached(UNLOCK)?.execute((target, run.to_string()))?;
    Ok(())
}

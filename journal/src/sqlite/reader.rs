//! Reads, which never wait for the writer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runbook_core::{
    Timestamp,
    event::{Record, RunId, Summary},
};
use rusqlite::{Connection, Error, Row, named_params};
use tokio::sync::Semaphore;

use super::{column, connect, fault::Fault, lock, place::Place};
use crate::{JournalError, MOST_ENTRIES, RunHead, RunQuery, lease::Lease, time};

/// How many read at once, and how many connections, each with a cache of up to 2 MB, stay open.
const AT_ONCE: u32 = 4;
const IDLE: usize = 2;

const RECORDS: &str = "SELECT r.seq, r.bytes, r.hash FROM runs JOIN records r ON r.run = runs.num \
    WHERE runs.id = ?1 AND r.seq > ?2 ORDER BY r.seq";

const TAIL: &str = "SELECT r.seq, r.bytes, r.hash FROM runs JOIN records r ON r.run = runs.num \
    WHERE runs.id = ?1 AND r.seq < ?2 ORDER BY r.seq DESC LIMIT ?3";

const HEAD: &str = "SELECT seq FROM runs WHERE id = ?1";

const RUNS: &str = "SELECT id, seq, updated_at, summary FROM runs \
    WHERE (:runbook IS NULL OR runbook = :runbook) AND (:environment IS NULL OR environment = :environment) \
    AND (:status IS NULL OR status = :status) AND (:incident IS NULL OR incident = :incident) \
    AND (:since IS NULL OR started_at >= :since) AND (:before IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit";

#[derive(Debug)]
pub(super) struct Reader {
    turns: Semaphore,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    /// Whether this process writes the database too. Where it does not, every read opens the
    /// database anew: whether there is a log that must be read depends on what others do meanwhile.
    writable: bool,
    idle: Mutex<Vec<Connection>>,
}

impl Reader {
    pub(super) fn new(place: Place, writable: bool) -> Self {
        let shared = Shared { place, writable, idle: Mutex::default() };
        Self { turns: Semaphore::new(AT_ONCE as usize), shared: Arc::new(shared) }
    }

    /// Waits for those who read, and lets nobody else.
    pub(super) async fn close(&self) {
        // It fails where it has been closed before, by someone who has waited.
        let _ = self.turns.acquire_many(AT_ONCE).await;
        self.turns.close();
        self.shared.idle().clear();
    }

    pub(super) async fn records(&self, run: RunId, after: u64) -> Result<Vec<Record>, JournalError> {
        let Ok(after) = i64::try_from(after) else { return Ok(Vec::new()) };
        let records = self
            .read(move |conn| {
                let mut statement = conn.prepare_cached(RECORDS)?;
                // One more than there may be tells that there are too many.
                let rows = statement.query_map((run.to_string(), after), record)?;
                rows.take(MOST_ENTRIES as usize + 1).collect::<Result<Vec<Record>, Error>>()
            })
            .await?;
        if records.len() as u64 > MOST_ENTRIES {
            let why = format!("a run has at most {MOST_ENTRIES} entries");
            return Err(JournalError::Damaged { run, seq: MOST_ENTRIES + 1, why });
        }
        Ok(records)
    }

    pub(super) async fn tail(
        &self,
        run: RunId,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Record>, JournalError> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let limit = limit.min(MOST_ENTRIES as usize);
        let mut records = self
            .read(move |conn| {
                let mut statement = conn.prepare_cached(TAIL)?;
                let rows = statement.query_map((run.to_string(), before, limit), record)?;
                rows.collect::<Result<Vec<Record>, Error>>()
            })
            .await?;
        records.reverse();
        Ok(records)
    }

    pub(super) async fn head(&self, run: RunId) -> Result<Option<u64>, JournalError> {
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(HEAD)?;
            let mut rows = statement.query([run.to_string()])?;
            rows.next()?.map(|row| column::seq(row, 0)).transpose()
        })
        .await
    }

    /// The state of a target.
    pub(super) async fn lease(&self, target: &str) -> Result<Lease, JournalError> {
        let target = target.to_owned();
        self.read(move |conn| lock::lease(conn, &target)).await
    }

    pub(super) async fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, JournalError> {
        let (query, limit) = (query.clone(), query.bound());
        let listed = self
            .read(move |conn| {
                let mut statement = conn.prepare_cached(RUNS)?;
                let rows = statement.query_map(
                    named_params! {
                        ":runbook": query.runbook,
                        ":environment": query.environment,
                        ":status": query.status,
                        ":incident": query.incident,
                        ":since": query.since.map(time::text),
                        ":before": query.before.map(|run| run.to_string()),
                        ":limit": limit,
                    },
                    Listed::read,
                )?;
                rows.collect::<Result<Vec<Listed>, Error>>()
            })
            .await?;
        listed.into_iter().map(Listed::head).collect()
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, JournalError> {
        let closed = || Fault::closed().at(&self.shared.place);
        let _turn = self.turns.acquire().await.map_err(|_| closed())?;
        let shared = Arc::clone(&self.shared);
        let reading = tokio::task::spawn_blocking(move || shared.read(work));
        reading.await.map_err(|_| closed())?
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection with which a read has failed is not used again.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, JournalError> {
        let told = |error: Error| Fault::of(&error, &self.place).at(&self.place);
        let idle = self.idle().pop();
        let conn = match idle {
            Some(conn) => conn,
            None if self.writable => connect::readable(&self.place).map_err(told)?,
            None => connect::untouched(&self.place).map_err(told)?,
        };
        let answer = work(&conn).map_err(told)?;
        let mut idle = self.idle();
        if self.writable && idle.len() < IDLE {
            idle.push(conn);
        }
        Ok(answer)
    }
}

fn record(row: &Row<'_>) -> Result<Record, Error> {
    Ok(Record {
        seq: column::seq(row, 0)?,
        bytes: column::bytes(row, 1)?.to_vec(),
        hash: column::text(row, 2)?,
    })
}

/// A run as a list has it.
struct Listed {
    run: RunId,
    seq: u64,
    updated_at: Timestamp,
    summary: Vec<u8>,
}

impl Listed {
    fn read(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            run: column::run(row, 0)?,
            seq: column::seq(row, 1)?,
            updated_at: column::time(row, 2)?,
            summary: column::bytes(row, 3)?.to_vec(),
        })
    }

    fn head(self) -> Result<RunHead, JournalError> {
        let Self { run, seq, updated_at, summary } = self;
        let summary: Summary = serde_json::from_slice(&summary).map_err(|error| JournalError::Damaged {
            run,
            seq,
            why: format!("the run's summary cannot be read: {error}"),
        })?;
        Ok(RunHead { run, seq, updated_at, summary })
    }
}

//! Reads, which never wait for the writer.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use futures::TryStreamExt as _;
use runbook_core::{
    Timestamp,
    event::{Record, RunId, Summary},
};
use sqlx::{
    Error, Row as _, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqlitePoolOptions, SqliteRow},
};

use super::{connect, fault::Fault, place::Place, text};
use crate::{JournalError, MOST_ENTRIES, RunHead, RunQuery};

/// Each costs a thread, and a cache of up to 2 MB; they come and go as they are needed.
const CONNECTIONS: u32 = 4;
const IDLE: Duration = Duration::from_secs(30);

const RECORDS: &str = "SELECT r.seq, CAST(r.bytes AS BLOB), CAST(r.hash AS BLOB) \
    FROM runs JOIN records r ON r.run = runs.num WHERE runs.id = ?1 AND r.seq > ?2 ORDER BY r.seq";

const HEAD: &str = "SELECT seq FROM runs WHERE id = ?1";

const RUNS: &str = "SELECT id, seq, updated_at, summary FROM runs \
    WHERE (?1 IS NULL OR runbook = ?1) AND (?2 IS NULL OR environment = ?2) \
    AND (?3 IS NULL OR status = ?3) AND (?4 IS NULL OR incident = ?4) \
    AND (?5 IS NULL OR started_at >= ?5) ORDER BY id DESC LIMIT ?6";

#[derive(Debug)]
pub(super) struct Reader {
    place: Place,
    /// Without one, every read opens the database anew: whether a database that this user cannot
    /// write has a log that must be read depends on what others do meanwhile.
    pool: Option<SqlitePool>,
}

impl Reader {
    pub(super) fn beside_a_writer(place: Place) -> Self {
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .idle_timeout(IDLE)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(connect::options(&place).read_only(true).create_if_missing(false));
        Self { place, pool: Some(pool) }
    }

    pub(super) fn alone(place: Place) -> Self {
        Self { place, pool: None }
    }

    pub(super) async fn close(&self) {
        if let Some(pool) = &self.pool {
            pool.close().await;
        }
    }

    async fn connection(&self) -> Result<Lent, Error> {
        Ok(match &self.pool {
            Some(pool) => Lent::Pooled(pool.acquire().await?),
            None => Lent::Own(connect::read_only(&self.place).await?),
        })
    }

    fn told(&self, error: &Error) -> JournalError {
        Fault::of(error, &self.place).at(&self.place)
    }

    pub(super) async fn records(&self, run: RunId, after: u64) -> Result<Vec<Record>, JournalError> {
        let Ok(after) = i64::try_from(after) else { return Ok(Vec::new()) };
        let mut conn = self.connection().await.map_err(|error| self.told(&error))?;
        let mut rows = sqlx::query(RECORDS).bind(run.to_string()).bind(after).fetch(&mut *conn);
        let mut records = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(|error| self.told(&error))? {
            if records.len() as u64 == MOST_ENTRIES {
                let why = format!("a run has at most {MOST_ENTRIES} entries");
                return Err(JournalError::Damaged { run, seq: MOST_ENTRIES + 1, why });
            }
            records.push(record(&row).map_err(|error| self.told(&error))?);
        }
        Ok(records)
    }

    pub(super) async fn head(&self, run: RunId) -> Result<Option<u64>, JournalError> {
        let ask = async {
            let mut conn = self.connection().await?;
            let query = sqlx::query_scalar::<_, i64>(HEAD).bind(run.to_string());
            query.fetch_optional(&mut *conn).await
        };
        let head = ask.await.map_err(|error| self.told(&error))?;
        Ok(head.map(|seq| u64::try_from(seq).unwrap_or_default()))
    }

    pub(super) async fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, JournalError> {
        let ask = async {
            let mut conn = self.connection().await?;
            let query = sqlx::query(RUNS)
                .bind(query.runbook.as_deref())
                .bind(query.environment.as_deref())
                .bind(query.status.as_deref())
                .bind(query.incident.as_deref())
                .bind(query.since.map(text::from_time))
                .bind(i64::try_from(query.bound()).unwrap_or_default());
            query.fetch_all(&mut *conn).await
        };
        let rows = ask.await.map_err(|error| self.told(&error))?;
        rows.iter().map(|row| self.run_head(row)).collect()
    }

    fn run_head(&self, row: &SqliteRow) -> Result<RunHead, JournalError> {
        let fields = || {
            Ok::<(String, i64, String, String), Error>((
                row.try_get(0)?,
                row.try_get(1)?,
                row.try_get(2)?,
                row.try_get(3)?,
            ))
        };
        let (id, seq, updated_at, summary) = fields().map_err(|error| self.told(&error))?;
        let run: RunId = id.parse().map_err(|error: runbook_core::event::NotARunId| {
            Fault::Unusable(format!("it lists a run that cannot be one: {error}")).at(&self.place)
        })?;
        let seq = u64::try_from(seq).unwrap_or_default();
        let damaged = |why: String| JournalError::Damaged { run, seq, why };
        let updated_at: Timestamp =
            updated_at.parse().map_err(|_| damaged(format!("its time is `{updated_at}`")))?;
        let summary: Summary = serde_json::from_str(&summary)
            .map_err(|error| damaged(format!("the run's summary cannot be read: {error}")))?;
        Ok(RunHead { run, seq, updated_at, summary })
    }
}

/// Whatever the columns hold is given back for verification to judge, be it of another type or not
/// even text.
fn record(row: &SqliteRow) -> Result<Record, Error> {
    let hash: Vec<u8> = row.try_get(2)?;
    Ok(Record {
        seq: u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default(),
        bytes: row.try_get(1)?,
        hash: String::from_utf8_lossy(&hash).into_owned(),
    })
}

enum Lent {
    Pooled(PoolConnection<sqlx::Sqlite>),
    Own(SqliteConnection),
}

impl Deref for Lent {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match self {
            Self::Pooled(conn) => conn,
            Self::Own(conn) => conn,
        }
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Pooled(conn) => conn,
            Self::Own(conn) => conn,
        }
    }
}

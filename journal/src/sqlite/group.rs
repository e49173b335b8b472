//! One transaction for all that a group asks for.
//!
//! Each exchange with a connection is a hand-over to its thread and back, which takes as long as
//! several inserts. So a group has two: one that begins and reads where the runs are, one that
//! writes all rows and commits. Rows go in as lists of a few fixed lengths, filled up with nulls
//! that are left out, so that SQLite finds each statement prepared.

use std::collections::{BTreeMap, btree_map::Entry};

use runbook_core::{
    Timestamp,
    event::{NotARunId, Record, RunId, Summary, genesis},
};
use sqlx::{
    Arguments as _, AssertSqlSafe, Encode, Error, Row as _, SqliteConnection, Type, sqlite::SqliteArguments,
};

use super::{text, writer::Asked};
use crate::{Batch, JournalError};

const BEGIN: &str = "BEGIN IMMEDIATE; \
    SELECT id, num, seq, hash FROM runs WHERE id IN (SELECT value FROM json_each(?1)) \
    UNION ALL SELECT NULL, coalesce(max(num), 0), 0, '' FROM runs";

const RUN: Rows = Rows {
    into: "INSERT INTO runs (num, id, seq, hash, updated_at, runbook, environment, status, incident, \
           started_at, summary)",
    row: "(?,?,?,?,?,?,?,?,?,?,?)",
    columns: 11,
    then: " ON CONFLICT (num) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, \
           updated_at = max(updated_at, excluded.updated_at), runbook = excluded.runbook, \
           environment = excluded.environment, status = excluded.status, incident = excluded.incident, \
           started_at = excluded.started_at, summary = excluded.summary;",
    lengths: &[1, 8, 64, 256],
};

const RECORD: Rows = Rows {
    into: "INSERT INTO records (run, seq, bytes, hash)",
    row: "(?,?,?,?)",
    columns: 4,
    then: ";",
    lengths: &[1, 4, 16, 64, 256],
};

const LOCK: &str = "INSERT INTO locks (target, run, fence, until) VALUES (?1, ?2, 1, ?4) \
    ON CONFLICT (target) DO UPDATE SET run = excluded.run, \
    fence = fence + (run IS NULL OR until <= ?3), \
    until = CASE WHEN run IS NULL OR until <= ?3 THEN excluded.until ELSE max(until, excluded.until) END \
    WHERE run IS NULL OR run = excluded.run OR until <= ?3 RETURNING fence";

const HOLDER: &str = "SELECT run, until FROM locks WHERE target = ?1";

const UNLOCK: &str = "UPDATE locks SET run = NULL WHERE run = ?1 AND (?2 IS NULL OR target = ?2)";

/// Does what is asked, in this order, in one transaction. An error means that nothing of it was
/// done; a refusal of one is among the answers and leaves the others alone.
pub(super) async fn commit(
    conn: &mut SqliteConnection,
    asked: &[Asked],
) -> Result<Vec<Result<u64, JournalError>>, Error> {
    let mut heads = begin(conn, asked).await?;
    let mut records = Vec::new();
    let mut answers = Vec::with_capacity(asked.len());
    for one in asked {
        answers.push(match one {
            Asked::Append { batch, at, summary } => heads.advance(batch, *at, summary).map(|num| {
                records.extend(batch.records.iter().map(|record| (num, record)));
                0
            }),
            Asked::Lock { target, run, now, until } => lock(conn, target, *run, *now, *until).await?,
            Asked::Unlock { target, run } => {
                let unlock = sqlx::query(UNLOCK).bind(run.to_string()).bind(target.as_deref());
                unlock.execute(&mut *conn).await?;
                Ok(0)
            }
        });
    }
    finish(conn, &heads, &records).await?;
    Ok(answers)
}

/// Where the runs of a group are, and where it takes them.
#[derive(Debug, Default)]
struct Heads<'a> {
    known: BTreeMap<RunId, Head<'a>>,
    /// The highest number that a run has.
    last: i64,
}

#[derive(Debug)]
struct Head<'a> {
    num: i64,
    seq: u64,
    hash: String,
    renewed: Option<Renewed<'a>>,
}

#[derive(Debug)]
struct Renewed<'a> {
    /// Empty where there were no records, which is before any time.
    at: String,
    summary: &'a Summary,
    json: &'a str,
}

impl<'a> Heads<'a> {
    /// Takes a run on by a batch, if it fits, and says the run's number.
    fn advance(
        &mut self,
        batch: &'a Batch,
        at: Option<Timestamp>,
        json: &'a str,
    ) -> Result<i64, JournalError> {
        let Some(last) = batch.records.last() else {
            return self.renew(batch, json);
        };
        let head = match self.known.entry(batch.run) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                batch.fits(0, &genesis(batch.run))?;
                self.last += 1;
                unknown.insert(Head { num: self.last, seq: 0, hash: genesis(batch.run), renewed: None })
            }
        };
        batch.fits(head.seq, &head.hash)?;
        head.seq = last.seq;
        head.hash.clone_from(&last.hash);
        let at = at.map(text::from_time).unwrap_or_default();
        let before = head.renewed.take().map(|renewed| renewed.at).unwrap_or_default();
        head.renewed = Some(Renewed { at: at.max(before), summary: &batch.summary, json });
        Ok(head.num)
    }

    fn renew(&mut self, batch: &'a Batch, json: &'a str) -> Result<i64, JournalError> {
        let Some(head) = self.known.get_mut(&batch.run) else {
            return batch.fits(0, "").map(|()| 0);
        };
        batch.fits(head.seq, &head.hash)?;
        let at = head.renewed.take().map(|renewed| renewed.at).unwrap_or_default();
        head.renewed = Some(Renewed { at, summary: &batch.summary, json });
        Ok(head.num)
    }
}

async fn begin<'a>(conn: &mut SqliteConnection, asked: &[Asked]) -> Result<Heads<'a>, Error> {
    let runs: Vec<RunId> = asked
        .iter()
        .filter_map(|one| match one {
            Asked::Append { batch, .. } => Some(batch.run),
            Asked::Lock { .. } | Asked::Unlock { .. } => None,
        })
        .collect();
    let ids = serde_json::to_string(&runs).map_err(|error| Error::Encode(error.into()))?;
    let rows = sqlx::query(BEGIN).bind(ids).fetch_all(conn).await?;
    let mut heads = Heads::default();
    for row in rows {
        let num = row.try_get(1)?;
        let Some(id) = row.try_get::<Option<String>, _>(0)? else {
            heads.last = num;
            continue;
        };
        let run = id.parse().map_err(|error: NotARunId| Error::Decode(error.into()))?;
        let seq = u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or_default();
        // What is not even text fits nothing, which is for that run alone to hear.
        let hash = String::from_utf8_lossy(row.try_get(3)?).into_owned();
        heads.known.insert(run, Head { num, seq, hash, renewed: None });
    }
    Ok(heads)
}

async fn lock(
    conn: &mut SqliteConnection,
    target: &str,
    run: RunId,
    now: Timestamp,
    until: Timestamp,
) -> Result<Result<u64, JournalError>, Error> {
    let take = sqlx::query_scalar::<_, i64>(LOCK)
        .bind(target)
        .bind(run.to_string())
        .bind(text::from_time(now))
        .bind(text::from_time(until));
    if let Some(fence) = take.fetch_optional(&mut *conn).await? {
        return Ok(Ok(u64::try_from(fence).unwrap_or_default()));
    }
    let (holder, until): (String, String) = sqlx::query_as(HOLDER).bind(target).fetch_one(&mut *conn).await?;
    let run = holder.parse().map_err(|error: NotARunId| Error::Decode(error.into()))?;
    let until = until.parse().map_err(|error: jiff::Error| Error::Decode(error.into()))?;
    Ok(Err(JournalError::Locked { target: target.to_owned(), run, until }))
}

/// Writes all rows and commits: in one exchange, unless the group is uncommonly large.
async fn finish(
    conn: &mut SqliteConnection,
    heads: &Heads<'_>,
    records: &[(i64, &Record)],
) -> Result<(), Error> {
    let renewed: Vec<Row<'_>> = heads
        .known
        .iter()
        .filter_map(|(run, head)| head.renewed.as_ref().map(|renewed| (*run, head, renewed)))
        .collect();
    let together = renewed.len() <= RUN.longest() && records.len() <= RECORD.longest();
    let mut exchange = Exchange::default();
    for rows in renewed.chunks(RUN.longest()) {
        exchange.add_runs(rows)?;
        if !together {
            std::mem::take(&mut exchange).send(conn).await?;
        }
    }
    for rows in records.chunks(RECORD.longest()) {
        exchange.add_records(rows)?;
        if !together {
            std::mem::take(&mut exchange).send(conn).await?;
        }
    }
    exchange.sql.push_str("COMMIT");
    exchange.send(conn).await
}

/// Statements that are sent together, with the values for all of them.
#[derive(Debug, Default)]
struct Exchange {
    sql: String,
    values: SqliteArguments,
}

type Row<'a> = (RunId, &'a Head<'a>, &'a Renewed<'a>);

impl Exchange {
    fn add<'v, T: Encode<'v, sqlx::Sqlite> + Type<sqlx::Sqlite>>(&mut self, value: T) -> Result<(), Error> {
        self.values.add(value).map_err(Error::Encode)
    }

    fn add_runs(&mut self, rows: &[Row<'_>]) -> Result<(), Error> {
        let length = RUN.length(rows.len());
        RUN.write(length, &mut self.sql);
        for (run, head, renewed) in rows {
            self.add(head.num)?;
            self.add(run.to_string())?;
            self.add(number(head.seq)?)?;
            self.add(head.hash.as_str())?;
            self.add(renewed.at.as_str())?;
            self.add(renewed.summary.runbook.as_str())?;
            self.add(renewed.summary.environment.as_str())?;
            self.add(renewed.summary.status.as_str())?;
            self.add(renewed.summary.incident.as_deref())?;
            self.add(text::from_time(renewed.summary.started_at))?;
            self.add(renewed.json)?;
        }
        self.fill((length - rows.len()) * RUN.columns)
    }

    fn add_records(&mut self, rows: &[(i64, &Record)]) -> Result<(), Error> {
        let length = RECORD.length(rows.len());
        RECORD.write(length, &mut self.sql);
        for (run, record) in rows {
            self.add(*run)?;
            self.add(number(record.seq)?)?;
            self.add(record.bytes.as_slice())?;
            self.add(record.hash.as_str())?;
        }
        self.fill((length - rows.len()) * RECORD.columns)
    }

    fn fill(&mut self, nulls: usize) -> Result<(), Error> {
        (0..nulls).try_for_each(|_| self.add(None::<i64>))
    }

    async fn send(self, conn: &mut SqliteConnection) -> Result<(), Error> {
        // All of the text is in this file.
        sqlx::query_with(AssertSqlSafe(self.sql), self.values).execute(conn).await.map(|_| ())
    }
}

fn number(seq: u64) -> Result<i64, Error> {
    i64::try_from(seq).map_err(|error| Error::Encode(error.into()))
}

/// A statement that inserts rows, for lists of a few lengths.
struct Rows {
    into: &'static str,
    row: &'static str,
    columns: usize,
    then: &'static str,
    /// Ascending.
    lengths: &'static [usize],
}

impl Rows {
    fn longest(&self) -> usize {
        self.lengths.last().copied().unwrap_or(1)
    }

    /// The shortest list that has room for so many rows.
    fn length(&self, rows: usize) -> usize {
        self.lengths.iter().copied().find(|length| *length >= rows).unwrap_or_else(|| self.longest())
    }

    fn write(&self, length: usize, sql: &mut String) {
        sql.push_str(self.into);
        sql.push_str(" SELECT * FROM (VALUES ");
        for place in 0..length {
            sql.push_str(if place == 0 { "" } else { "," });
            sql.push_str(self.row);
        }
        sql.push_str(") WHERE column1 IS NOT NULL");
        sql.push_str(self.then);
    }
}

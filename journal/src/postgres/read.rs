//! Reads.

use std::pin::pin;

use deadpool_postgres::Client;
use futures::TryStreamExt as _;
use runbook_core::event::{Record, RunId, Summary};
use tokio_postgres::{Row, types::ToSql};

use super::{Inner, fault::Fault};
use crate::{Document, DocumentQuery, JournalError, MOST_ENTRIES, Order, RunHead, RunQuery, time};

const RECORDS: &str = "SELECT r.seq, r.bytes, r.hash FROM runs JOIN records r ON r.run = runs.num \
    WHERE runs.id = $1 AND r.seq > $2 ORDER BY r.seq LIMIT $3";

const HEAD: &str = "SELECT seq FROM runs WHERE id = $1";

const RUNS: &str = "SELECT id, seq, updated_at, summary FROM runs \
    WHERE ($1::text IS NULL OR runbook = $1) AND ($2::text IS NULL OR environment = $2) \
    AND ($3::text IS NULL OR status = $3) AND ($4::text IS NULL OR incident = $4) \
    AND ($5::text IS NULL OR started_at >= $5) AND ($6::text IS NULL OR id < $6) ORDER BY id DESC LIMIT $7";

const DOCUMENT: &str =
    "SELECT kind, id, version, at, state, parent, body FROM documents WHERE kind = $1 AND id = $2";

impl Inner {
    pub(super) async fn records(&self, run: RunId, after: u64) -> Result<Vec<Record>, JournalError> {
        let Ok(after) = i64::try_from(after) else { return Ok(Vec::new()) };
        // One more than there may be tells that there are too many.
        let most = MOST_ENTRIES.cast_signed() + 1;
        let records: Vec<Record> = self.ask(RECORDS, &[&run.to_string(), &after, &most], record).await?;
        if records.len() as u64 > MOST_ENTRIES {
            let why = format!("a run has at most {MOST_ENTRIES} entries");
            return Err(JournalError::Damaged { run, seq: MOST_ENTRIES + 1, why });
        }
        Ok(records)
    }

    pub(super) async fn head(&self, run: RunId) -> Result<Option<u64>, JournalError> {
        let seq = |row: &Row| Ok(seq(row.try_get(0)?));
        Ok(self.ask(HEAD, &[&run.to_string()], seq).await?.pop())
    }

    pub(super) async fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, JournalError> {
        let (since, before) = (query.since.map(time::text), query.before.map(|run| run.to_string()));
        let limit = query.bound() as i64;
        let values: [&(dyn ToSql + Sync); 7] =
            [&query.runbook, &query.environment, &query.status, &query.incident, &since, &before, &limit];
        self.ask(RUNS, &values, listed).await
    }

    pub(super) async fn document(&self, kind: &str, id: &str) -> Result<Option<Document>, JournalError> {
        Ok(self.ask(DOCUMENT, &[&kind, &id], document).await?.pop())
    }

    pub(super) async fn documents(&self, query: &DocumentQuery) -> Result<Vec<Document>, JournalError> {
        let (at, id) = match &query.after {
            Some((at, id)) => (Some(time::text(*at)), Some(id.as_str())),
            None => (None, None),
        };
        let limit = query.bound() as i64;
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&query.kind, &limit];
        let mut text =
            "SELECT kind, id, version, at, state, parent, body FROM documents WHERE kind = $1".to_owned();
        // One text for each shape of a question, so that each is answered from the index made for it.
        // Made of constants only.
        let named: [(&str, &(dyn ToSql + Sync), bool); 2] = [
            ("state", &query.state, query.state.is_some()),
            ("parent", &query.parent, query.parent.is_some()),
        ];
        for (column, value, _) in named.into_iter().filter(|(_, _, asked)| *asked) {
            values.push(value);
            text.push_str(&format!(" AND {column} = ${}", values.len()));
        }
        let (sign, direction) = match query.order {
            Order::NewestFirst => ("<", "DESC"),
            Order::OldestFirst => (">", "ASC"),
        };
        if query.after.is_some() {
            values.extend([&at as &(dyn ToSql + Sync), &id]);
            text.push_str(&format!(" AND (at, id) {sign} (${}, ${})", values.len() - 1, values.len()));
        }
        text.push_str(&format!(" ORDER BY at {direction}, id {direction} LIMIT $2"));
        self.ask(&text, &values, document).await
    }

    /// Asks until there is an answer.
    pub(super) async fn ask<T>(
        &self,
        text: &str,
        values: &[&(dyn ToSql + Sync)],
        each: impl Fn(&Row) -> Result<T, Fault>,
    ) -> Result<Vec<T>, JournalError> {
        let mut tries = self.store.tries();
        loop {
            let asked = async { answer(&self.store.client().await?, text, values, &each).await };
            match asked.await {
                Ok(rows) => return Ok(rows),
                Err(fault) => tries.again(fault).await?,
            }
        }
    }
}

async fn answer<T>(
    client: &Client,
    text: &str,
    values: &[&(dyn ToSql + Sync)],
    each: impl Fn(&Row) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let statement = client.prepare_cached(text).await?;
    let mut rows = pin!(client.query_raw(&statement, values.iter().copied()).await?);
    let mut all = Vec::new();
    while let Some(row) = rows.try_next().await? {
        all.push(each(&row)?);
    }
    Ok(all)
}

/// What cannot be a sequence number becomes 0, which no entry has.
fn seq(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

fn record(row: &Row) -> Result<Record, Fault> {
    Ok(Record { seq: seq(row.try_get(0)?), bytes: row.try_get(1)?, hash: row.try_get(2)? })
}

fn listed(row: &Row) -> Result<RunHead, Fault> {
    let (id, updated_at, summary): (&str, &str, &str) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
    let run: RunId = id.parse().map_err(|_| Fault::Unusable(format!("`{id}` is no id of a run")))?;
    let seq = seq(row.try_get(1)?);
    let damaged = |why: String| JournalError::Damaged { run, seq, why };
    let summary: Summary = serde_json::from_str(summary)
        .map_err(|error| damaged(format!("the run's summary cannot be read: {error}")))?;
    let updated_at = updated_at
        .parse()
        .map_err(|error| damaged(format!("the time of its last entry cannot be read: {error}")))?;
    Ok(RunHead { run, seq, updated_at, summary })
}

fn document(row: &Row) -> Result<Document, Fault> {
    let (kind, id, at): (String, String, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(3)?);
    let at = at.parse().map_err(|error| JournalError::Unreadable {
        kind: kind.clone(),
        id: id.clone(),
        why: format!("its time is none: {error}"),
    })?;
    Ok(Document {
        version: seq(row.try_get(2)?),
        at,
        state: row.try_get(4)?,
        parent: row.try_get(5)?,
        body: row.try_get(6)?,
        kind,
        id,
    })
}

//! Appending to one run: one statement, which finds the run where it is expected or does nothing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use deadpool_postgres::{Client, GenericClient};
use runbook_core::{
    Timestamp,
    event::{RunId, genesis},
};
use tokio_postgres::types::ToSql;

use super::{
    claim::Holding,
    connect::{Store, Tries},
    fault::Fault,
};
use crate::{Batch, JournalError, time};

/// A claim that is needed stays as it is until this is committed: whoever takes it over waits, and
/// then finds what was appended.
macro_rules! fenced {
    ($run:literal, $owner:literal, $fence:literal) => {
        concat!(
            "fence AS (SELECT FROM claims WHERE run = ", $run, " AND owner = ", $owner, " AND fence = ", $fence,
            " AND EXISTS (SELECT FROM leases WHERE leases.owner = claims.owner AND until > clock_timestamp())",
            " FOR SHARE OF claims)"
        )
    };
}

macro_rules! with_records {
    () => {
        ", added AS (INSERT INTO records (run, seq, bytes, hash) SELECT run.num, r.seq, r.bytes, r.hash \
         FROM run, unnest($10::bigint[], $11::bytea[], $12::text[]) AS r (seq, bytes, hash)) SELECT num FROM run"
    };
}

/// A run that is not there yet.
const NEW_RUN: &str = concat!(
    "WITH ",
    fenced!("$1", "$13::text", "$14::bigint"),
    ", run AS (INSERT INTO runs (id, seq, hash, updated_at, runbook, environment, status, incident, started_at, \
     summary) SELECT $1, $2::bigint, $3, $4, $5, $6, $7, $8, $9, $15 \
     WHERE $13::text IS NULL OR EXISTS (SELECT FROM fence) ON CONFLICT (id) DO NOTHING RETURNING num)",
    with_records!()
);

/// A run that is where it is expected. A batch without records has no time, which is before any.
const RUN: &str = concat!(
    "WITH ",
    fenced!("$1", "$13::text", "$14::bigint"),
    ", run AS (UPDATE runs SET seq = $2, hash = $3, updated_at = greatest(updated_at, $4), runbook = $5, \
     environment = $6, status = $7, incident = $8, started_at = $9, summary = $15 \
     WHERE id = $1 AND seq = $16 AND hash = $17 AND ($13::text IS NULL OR EXISTS (SELECT FROM fence)) \
     RETURNING num)",
    with_records!()
);

const HEAD: &str = "SELECT seq, hash FROM runs WHERE id = $1";

const LANDED: &str =
    "SELECT r.hash FROM runs JOIN records r ON r.run = runs.num WHERE id = $1 AND r.seq = $2";

const HELD: &str = concat!("WITH ", fenced!("$1", "$2", "$3"), " SELECT FROM fence");

/// How many runs' heads are remembered.
const MOST_HEADS: usize = 4096;

/// Where a run stands: its last entry, and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) hash: String,
}

impl Head {
    pub(super) fn of_nothing(run: RunId) -> Self {
        Self { seq: 0, hash: genesis(run) }
    }
}

/// What this process has appended last, so that it need not ask what its next batch follows upon.
/// The statement that appends proves it.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<BTreeMap<RunId, Head>>);

impl Heads {
    fn get(&self, run: RunId, seq: u64) -> Option<Head> {
        self.held().get(&run).filter(|head| head.seq == seq).cloned()
    }

    pub(super) fn set(&self, run: RunId, head: Head) {
        let mut heads = self.held();
        if heads.len() >= MOST_HEADS {
            heads.clear();
        }
        heads.insert(run, head);
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<RunId, Head>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch that has been checked, and its columns.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) batch: Batch,
    id: String,
    /// Empty where there are no records.
    at: String,
    started_at: String,
    summary: String,
    seqs: Vec<i64>,
}

impl Append {
    pub(super) fn of(batch: Batch) -> Result<Self, JournalError> {
        let at: Option<Timestamp> = batch.check()?;
        let refused = |why: String| JournalError::Refused { run: batch.run, seq: batch.after, why };
        let summary = serde_json::to_string(&batch.summary)
            .map_err(|error| refused(format!("the run's summary cannot be written: {error}")))?;
        let seqs = batch.records.iter().map(|record| record.seq.cast_signed()).collect();
        Ok(Self {
            id: batch.run.to_string(),
            at: at.map(time::text).unwrap_or_default(),
            started_at: time::text(batch.summary.started_at),
            summary,
            seqs,
            batch,
        })
    }

    /// Where the run stands once this is appended to what it is now.
    pub(super) fn head_after(&self, present: &Head) -> Head {
        self.batch
            .records
            .last()
            .map_or_else(|| present.clone(), |last| Head { seq: last.seq, hash: last.hash.clone() })
    }

    /// Appends, if the run stands where it is said to stand and the claim is held; whether it did.
    pub(super) async fn send(
        &self,
        client: &impl GenericClient,
        present: &Head,
        holding: Option<&Holding>,
    ) -> Result<bool, Fault> {
        let next = self.head_after(present);
        let (seq, before) = (next.seq.cast_signed(), present.seq.cast_signed());
        let bytes: Vec<&[u8]> = self.batch.records.iter().map(|record| record.bytes.as_slice()).collect();
        let hashes: Vec<&str> = self.batch.records.iter().map(|record| record.hash.as_str()).collect();
        let (owner, fence) = (holding.map(|it| it.owner.as_str()), holding.map(|it| it.fence));
        let summary = &self.batch.summary;
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![
            &self.id,
            &seq,
            &next.hash,
            &self.at,
            &summary.runbook,
            &summary.environment,
            &summary.status,
            &summary.incident,
            &self.started_at,
            &self.seqs,
            &bytes,
            &hashes,
            &owner,
            &fence,
            &self.summary,
        ];
        let text = if present.seq == 0 {
            NEW_RUN
        } else {
            values.push(&before);
            values.push(&present.hash);
            RUN
        };
        let statement = client.prepare_cached(text).await?;
        Ok(client.query_opt(&statement, &values).await?.is_some())
    }

    /// One try. `false` where nothing is appended because there is nothing to append.
    async fn attempt(
        &self,
        store: &Store,
        heads: &Heads,
        holding: Option<&Holding>,
        tries: &Tries<'_>,
    ) -> Result<Option<Head>, Fault> {
        let client = store.client().await?;
        let batch = &self.batch;
        if tries.lost_an_answer() && self.has_landed(&client).await? {
            return Ok(Some(self.head_after(&Head::of_nothing(batch.run))));
        }
        let present = match heads.get(batch.run, batch.after) {
            Some(head) => head,
            None if batch.after == 0 && !batch.records.is_empty() => Head::of_nothing(batch.run),
            None => head(&client, batch.run).await?,
        };
        batch.fits(present.seq, &present.hash)?;
        if present.seq == 0 && batch.records.is_empty() {
            // Whoever lost the claim hears it from every batch, whatever it holds.
            if let Some(holding) = holding {
                holding.expect_held(&client).await?;
            }
            return Ok(None);
        }
        if self.send(&client, &present, holding).await? {
            return Ok(Some(self.head_after(&present)));
        }
        // Nothing was done: find out why.
        if tries.lost_an_answer() && self.has_landed(&client).await? {
            return Ok(Some(self.head_after(&present)));
        }
        if let Some(holding) = holding {
            holding.expect_held(&client).await?;
        }
        let found = head(&client, batch.run).await?;
        batch.fits(found.seq, &found.hash)?;
        heads.set(batch.run, found);
        Err(Fault::Contended("the run changed at the same moment".to_owned()))
    }

    /// Whether the last of the records is there: then all are. What has no records may be written
    /// twice.
    async fn has_landed(&self, client: &Client) -> Result<bool, Fault> {
        let Some(last) = self.batch.records.last() else { return Ok(false) };
        let found = client.query_opt(LANDED, &[&self.id, &last.seq.cast_signed()]).await?;
        Ok(found.is_some_and(|row| row.get::<_, String>(0) == last.hash))
    }
}

/// Appends a batch; where the run stands then, or nothing where there was nothing to append.
pub(super) async fn append(
    store: &Store,
    heads: &Heads,
    holding: Option<&Holding>,
    batch: Batch,
) -> Result<Option<Head>, JournalError> {
    let append = Append::of(batch)?;
    let mut tries = store.tries();
    loop {
        match append.attempt(store, heads, holding, &tries).await {
            Ok(Some(head)) => {
                heads.set(append.batch.run, head.clone());
                return Ok(Some(head));
            }
            Ok(None) => return Ok(None),
            Err(fault) => tries.again(fault).await?,
        }
    }
}

async fn head(client: &Client, run: RunId) -> Result<Head, Fault> {
    let statement = client.prepare_cached(HEAD).await?;
    let found = client.query_opt(&statement, &[&run.to_string()]).await?;
    Ok(found.map_or_else(
        || Head::of_nothing(run),
        |row| Head { seq: row.get::<_, i64>(0).cast_unsigned(), hash: row.get(1) },
    ))
}

impl Holding {
    /// Fails where the claim is no longer held. Within a transaction it stays held until that ends.
    pub(super) async fn expect_held(&self, client: &tokio_postgres::Client) -> Result<(), Fault> {
        let found = client.query_opt(HELD, &[&self.run.to_string(), &self.owner, &self.fence]).await?;
        if found.is_some() {
            return Ok(());
        }
        self.lose();
        Err(JournalError::Claimed { run: self.run }.into())
    }
}

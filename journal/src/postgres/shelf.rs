//! Writing documents and entries together: first all that is there is looked at and held on to, then
//! all is written, in one transaction.

use std::collections::BTreeMap;

use deadpool_postgres::{Client, GenericClient, Transaction};
use futures::future::{try_join, try_join_all};
use runbook_core::event::RunId;
use uuid::Uuid;

use super::{
    Inner,
    append::{Append, Head},
    fault::Fault,
    news::News,
};
use crate::{Batch, Document, Expect, JournalError, Write, shelf, time};

/// Waits for a write of the same name that may still be under way; writes nothing if it was done.
const RECEIPT: &str = "INSERT INTO receipts (id) VALUES ($1) ON CONFLICT DO NOTHING";

/// In one order, so that no two wait for each other.
const HEADS: &str = "SELECT id, seq, hash FROM runs WHERE id = ANY ($1) ORDER BY id FOR UPDATE";
const VERSIONS: &str = "SELECT kind, id, version FROM documents \
    WHERE (kind, id) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY kind, id FOR UPDATE";

const NEW: &str = "INSERT INTO documents (kind, id, version, at, state, parent, body) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const CHANGE: &str = "UPDATE documents SET version = $3, at = $4, state = $5, parent = $6, body = $7 WHERE kind = $1 AND id = $2";
const REMOVE: &str = "DELETE FROM documents WHERE kind = $1 AND id = $2";

type Key = (String, String);

/// What is asked for, with what follows upon each other put together.
#[derive(Debug, Default)]
struct Plan {
    /// What has to be so, in the order in which it was asked for.
    expected: Vec<Expected>,
    appends: BTreeMap<RunId, Append>,
    documents: BTreeMap<Key, Option<Document>>,
}

/// One part, as far as it can be refused.
#[derive(Debug)]
enum Expected {
    Head { run: RunId, after: u64, last: Option<u64> },
    Version { key: Key, expect: Expect },
    Removed(Key),
}

impl Plan {
    fn of(writes: Vec<Write>) -> Result<Self, JournalError> {
        shelf::check(&writes)?;
        let mut plan = Self::default();
        let mut batches: BTreeMap<RunId, Batch> = BTreeMap::new();
        for write in writes {
            match write {
                Write::Append(batch) => {
                    batch.check()?;
                    let last = batch.records.last().map(|record| record.seq);
                    plan.expected.push(Expected::Head { run: batch.run, after: batch.after, last });
                    match batches.get_mut(&batch.run) {
                        Some(whole) => {
                            whole.records.extend(batch.records);
                            whole.summary = batch.summary;
                        }
                        None => drop(batches.insert(batch.run, batch)),
                    }
                }
                Write::Put { document, expect } => {
                    let key = (document.kind.clone(), document.id.clone());
                    plan.expected.push(Expected::Version { key: key.clone(), expect });
                    plan.documents.insert(key, Some(document));
                }
                Write::Remove { kind, id } => {
                    plan.expected.push(Expected::Removed((kind.clone(), id.clone())));
                    plan.documents.insert((kind, id), None);
                }
            }
        }
        for (run, batch) in batches {
            plan.appends.insert(run, Append::of(batch)?);
        }
        Ok(plan)
    }

    /// Proves that all of it fits what is there. Returns the versions that the documents come to have.
    fn fit(&self, found: &Found) -> Result<BTreeMap<&Key, u64>, JournalError> {
        for (run, append) in &self.appends {
            let head = found.head(*run);
            append.batch.fits(head.seq, &head.hash)?;
        }
        let mut seqs: BTreeMap<RunId, u64> = BTreeMap::new();
        let mut versions: BTreeMap<&Key, u64> = BTreeMap::new();
        for expected in &self.expected {
            match expected {
                Expected::Head { run, after, last } => {
                    let seq = seqs.entry(*run).or_insert_with(|| found.head(*run).seq);
                    if *seq != *after {
                        return Err(JournalError::Moved { run: *run, head: *seq, expected: *after });
                    }
                    *seq = last.unwrap_or(*seq);
                }
                Expected::Version { key, expect } => {
                    let version = versions.entry(key).or_insert_with(|| found.version(key));
                    expect.fits(&key.0, &key.1, *version)?;
                    *version += 1;
                }
                Expected::Removed(key) => drop(versions.insert(key, 0)),
            }
        }
        Ok(versions)
    }

    fn heads(&self, found: &Found) -> BTreeMap<RunId, Head> {
        self.appends.iter().map(|(run, append)| (*run, append.head_after(&found.head(*run)))).collect()
    }
}

/// What is there, and stays so until the transaction ends.
#[derive(Debug)]
struct Found {
    heads: BTreeMap<RunId, Head>,
    versions: BTreeMap<Key, u64>,
}

impl Found {
    fn head(&self, run: RunId) -> Head {
        self.heads.get(&run).cloned().unwrap_or_else(|| Head::of_nothing(run))
    }

    fn version(&self, key: &Key) -> u64 {
        self.versions.get(key).copied().unwrap_or_default()
    }

    async fn by(transaction: &Transaction<'_>, plan: &Plan) -> Result<Self, Fault> {
        let runs: Vec<String> = plan.appends.keys().map(ToString::to_string).collect();
        let (kinds, ids): (Vec<&str>, Vec<&str>) =
            plan.documents.keys().map(|(kind, id)| (kind.as_str(), id.as_str())).unzip();
        let (heads, versions) =
            try_join(transaction.prepare_cached(HEADS), transaction.prepare_cached(VERSIONS)).await?;
        let heads = async {
            if runs.is_empty() { Ok(Vec::new()) } else { transaction.query(&heads, &[&runs]).await }
        };
        let (heads, versions) = try_join(heads, transaction.query(&versions, &[&kinds, &ids])).await?;
        let head = |row: &tokio_postgres::Row| {
            let id: &str = row.get(0);
            let run = id.parse().map_err(|_| Fault::Unusable(format!("`{id}` is no id of a run")))?;
            Ok((run, Head { seq: row.get::<_, i64>(1).cast_unsigned(), hash: row.get(2) }))
        };
        let version =
            |row: &tokio_postgres::Row| ((row.get(0), row.get(1)), row.get::<_, i64>(2).cast_unsigned());
        Ok(Self {
            heads: heads.iter().map(head).collect::<Result<_, Fault>>()?,
            versions: versions.iter().map(version).collect(),
        })
    }
}

impl Inner {
    /// Does all of it, or nothing.
    pub(super) async fn write(&self, writes: Vec<Write>) -> Result<(), JournalError> {
        let plan = Plan::of(writes)?;
        let receipt = Uuid::new_v4().to_string();
        let mut tries = self.store.tries();
        let heads = loop {
            let written = async { write(&mut self.store.client().await?, &plan, &receipt).await };
            match written.await {
                Ok(heads) => break heads,
                Err(fault) => tries.again(fault).await?,
            }
        };
        let runs = plan.appends.iter().map(|(run, append)| (*run, append.batch.head().1)).collect();
        for (run, head) in heads {
            self.heads.set(run, head);
        }
        self.line.tell(News { runs, too_many: false }).await;
        Ok(())
    }
}

/// One try. Where the runs stand then; nothing where an earlier try has done it.
async fn write(client: &mut Client, plan: &Plan, receipt: &str) -> Result<BTreeMap<RunId, Head>, Fault> {
    let transaction = client.transaction().await?;
    let statement = transaction.prepare_cached(RECEIPT).await?;
    if transaction.execute(&statement, &[&receipt]).await? == 0 {
        return Ok(BTreeMap::new());
    }
    let found = Found::by(&transaction, plan).await?;
    let versions = plan.fit(&found)?;
    let heads = plan.heads(&found);
    for (run, append) in &plan.appends {
        let present = found.head(*run);
        let nothing = present.seq == 0 && append.batch.records.is_empty();
        if !nothing && !append.send(&transaction, &present, None).await? {
            return Err(Fault::Contended("a run began at the same moment".to_owned()));
        }
    }
    put(&transaction, plan, &found, &versions).await?;
    transaction.commit().await?;
    Ok(heads)
}

/// All documents at once: nobody waits for the answer to one before the next is sent.
async fn put(
    transaction: &Transaction<'_>,
    plan: &Plan,
    found: &Found,
    versions: &BTreeMap<&Key, u64>,
) -> Result<(), Fault> {
    let statements = [NEW, CHANGE, REMOVE].map(|text| transaction.prepare_cached(text));
    let statements = try_join_all(statements).await?;
    let [new, change, remove] = &statements[..] else { return Ok(()) };
    let put = plan.documents.iter().map(|(key, document)| async move {
        let there = found.version(key) > 0;
        match document {
            None if there => transaction.execute(remove, &[&key.0, &key.1]).await,
            None => Ok(0),
            Some(document) => {
                let version = versions.get(key).copied().unwrap_or_default().cast_signed();
                let Document { kind, id, at, state, parent, body, .. } = document;
                let text = if there { change } else { new };
                transaction.execute(text, &[kind, id, &version, &time::text(*at), state, parent, body]).await
            }
        }
    });
    try_join_all(put).await?;
    Ok(())
}

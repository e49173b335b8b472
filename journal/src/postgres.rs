//! A journal in a PostgreSQL database, which several machines may use at once.
//!
//! What is appended to one run is one statement (`append`); documents are written in a transaction
//! (`shelf`). Whoever lost the answer looks whether it was done before it is done again. A claim is a
//! row that lasts as long as its process renews its lease (`claim`, `line`); what is done through it
//! is fenced by it. Processes tell each other what they have written (`news`).

mod address;
mod append;
mod claim;
mod connect;
mod fault;
mod line;
mod lock;
mod news;
mod read;
mod schema;
mod shelf;
mod tls;

use std::sync::Arc;

use async_trait::async_trait;
use runbook_core::{
    Timestamp,
    event::{Record, RunId},
};

pub use self::address::{Address, BadAddress};
use self::{append::Heads, claim::Holding, connect::Store, line::Line, news::News};
use crate::{
    Batch, Claim, Document, DocumentQuery, Journal, JournalError, Mark, RunHead, RunQuery, Shelf, Write,
};

/// A journal in a PostgreSQL database, in a schema of its own: `runbook`.
#[derive(Debug)]
pub struct Postgres(Arc<Inner>);

/// What the journal shares with its claims.
#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    heads: Heads,
    line: Line,
    durability: String,
}

impl Postgres {
    /// Connects to a database, and makes or renews the tables where that is due.
    ///
    /// # Errors
    /// `Newer` for one of a newer version, which stays as it is; `ReadOnly` where this user may not
    /// make them; `Unusable` where it cannot be reached.
    pub async fn open(address: Address) -> Result<Self, JournalError> {
        let store = Arc::new(Store::new(address)?);
        schema::settle(&store).await?;
        Self::over(store).await
    }

    /// Connects to a database that has a journal already; nothing is changed.
    ///
    /// # Errors
    /// As `open`. None where there is no journal yet.
    pub async fn open_existing(address: Address) -> Result<Option<Self>, JournalError> {
        let store = Arc::new(Store::new(address)?);
        if schema::is_there(&store).await? { Self::over(store).await.map(Some) } else { Ok(None) }
    }

    async fn over(store: Arc<Store>) -> Result<Self, JournalError> {
        let durability = schema::durability(&store).await?;
        let line = Line::new(Arc::clone(&store));
        Ok(Self(Arc::new(Inner { store, heads: Heads::default(), line, durability })))
    }

    /// Closes the connections; whatever is claimed is free. Whatever is asked afterwards fails. A
    /// process that ends without this loses nothing.
    pub async fn close(&self) {
        self.0.line.close();
        self.0.store.close().await;
    }
}

impl Inner {
    async fn append(&self, batch: Batch, holding: Option<&Holding>) -> Result<(), JournalError> {
        let run = batch.run;
        if let Some(head) = append::append(&self.store, &self.heads, holding, batch).await? {
            self.line.tell(News { runs: [(run, head.seq)].into(), too_many: false }).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Journal for Postgres {
    async fn append(&self, batch: Batch) -> Result<(), JournalError> {
        self.0.append(batch, None).await
    }

    async fn read(&self, run: RunId, after: u64) -> Result<Vec<Record>, JournalError> {
        self.0.records(run, after).await
    }

    async fn head(&self, run: RunId) -> Result<Option<u64>, JournalError> {
        self.0.head(run).await
    }

    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, JournalError> {
        self.0.runs(query).await
    }

    async fn changed(&self, run: RunId, after: u64, since: Mark) -> Result<Mark, JournalError> {
        Ok(self.0.line.changed(run, after, since).await)
    }

    async fn claim(&self, run: RunId) -> Result<Claim, JournalError> {
        claim::take(&self.0, run).await
    }

    async fn lock(
        &self,
        target: &str,
        run: RunId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<u64, JournalError> {
        self.0.lock(target, run, (now, until), None).await
    }

    async fn holder(&self, target: &str, now: Timestamp) -> Result<Option<(RunId, Timestamp)>, JournalError> {
        self.0.holder(target, now).await
    }

    async fn unlock(&self, target: &str, run: RunId) -> Result<(), JournalError> {
        self.0.unlock(target, run, None).await
    }

    fn durability(&self) -> String {
        self.0.durability.clone()
    }
}

#[async_trait]
impl Shelf for Postgres {
    async fn write(&self, writes: Vec<Write>) -> Result<(), JournalError> {
        self.0.write(writes).await
    }

    async fn document(&self, kind: &str, id: &str) -> Result<Option<Document>, JournalError> {
        self.0.document(kind, id).await
    }

    async fn documents(&self, query: &DocumentQuery) -> Result<Vec<Document>, JournalError> {
        self.0.documents(query).await
    }

    async fn stirred(&self, since: Mark) -> Result<Mark, JournalError> {
        Ok(self.0.line.stirred(since).await)
    }
}

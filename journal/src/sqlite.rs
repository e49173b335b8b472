//! A journal in one SQLite file, which several processes may use at once.
//!
//! One thread owns the writing connection and commits what is waiting as one group (`writer`,
//! `group`); reads have connections of their own (`reader`); a claim is a lock on a file (`claim`);
//! what other processes append is noticed by asking SQLite now and then (`watch`).

mod claim;
mod column;
mod connect;
mod fault;
mod group;
mod lock;
mod place;
mod reader;
mod shelf;
mod watch;
mod writer;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use runbook_core::{
    Timestamp,
    event::{Record, RunId},
};

use self::{
    claim::Claims,
    fault::Fault,
    place::Place,
    reader::Reader,
    watch::Watch,
    writer::{Asked, Writer},
};
use crate::{
    Batch, Claim, Document, DocumentQuery, Journal, JournalError, Mark, RunHead, RunQuery, Shelf, Write,
    bell::Bell,
};

/// A journal in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    place: Place,
    claims: Claims,
    /// None where the database may only be read.
    writer: Option<Arc<Writer>>,
    reader: Reader,
    watch: Watch,
    durability: String,
}

impl Sqlite {
    /// Opens a database, and creates it where there is none: for the owner's eyes only, with the
    /// folders above it. One that this user cannot write is opened all the same, for reading:
    /// whoever is on call can look at what ran.
    ///
    /// # Errors
    /// `Newer` for one of a newer version, which stays as it is; `ReadOnly` and `Full` where it
    /// cannot be created; `Unusable` where it is not a journal.
    pub async fn open(path: &Path) -> Result<Self, JournalError> {
        let place = absolute(path)?;
        blocking(&place.clone(), move || {
            place
                .create()
                .and_then(|()| place.expect_file())
                .map_err(|error| Fault::of_io(&error).at(&place))?;
            if place.writable() { Self::open_writable(place) } else { Self::open_readable(place) }
        })
        .await
    }

    /// Opens a database that is there for reading alone: nothing is created or changed, not even
    /// beside it.
    ///
    /// # Errors
    /// As `open`, and `Unusable` where there is no such file.
    pub async fn open_read_only(path: &Path) -> Result<Self, JournalError> {
        let place = absolute(path)?;
        blocking(&place.clone(), move || Self::open_readable(place)).await
    }

    fn open_writable(place: Place) -> Result<Self, JournalError> {
        let (conn, durability) = connect::open(&place)?;
        let bell = Arc::new(Bell::default());
        let writer = place
            .identity()
            .and_then(|identity| Writer::start(place.clone(), conn, identity, Arc::clone(&bell)))
            .map_err(|error| Fault::of_io(&error).at(&place))?;
        let writer = Arc::new(writer);
        Ok(Self {
            writer: Some(Arc::clone(&writer)),
            claims: Claims::beside(place.beside("-claims")),
            reader: Reader::new(place.clone(), true),
            watch: Watch::over_writer(writer, bell),
            place,
            durability,
        })
    }

    fn open_readable(place: Place) -> Result<Self, JournalError> {
        place.expect_file().map_err(|error| Fault::of_io(&error).at(&place))?;
        let conn = connect::untouched(&place).map_err(|error| Fault::of(&error, &place).at(&place))?;
        connect::expect_schema(&conn, &place)?;
        Ok(Self {
            writer: None,
            claims: Claims::beside(place.beside("-claims")),
            reader: Reader::new(place.clone(), false),
            watch: Watch::over_files(place.clone(), Arc::default()),
            place,
            durability: "sqlite, read-only".to_owned(),
        })
    }

    /// Waits until what was asked for is done, and closes the files, which puts all entries into the
    /// main one. Whatever is asked afterwards fails. A process that ends without this loses nothing.
    pub async fn close(&self) {
        self.reader.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }

    async fn ask(&self, asked: Asked) -> Result<u64, JournalError> {
        match &self.writer {
            Some(writer) => writer.ask(asked).await,
            None => Err(Fault::ReadOnly.at(&self.place)),
        }
    }
}

#[async_trait]
impl Journal for Sqlite {
    async fn append(&self, batch: Batch) -> Result<(), JournalError> {
        let asked = Asked::append(batch)?;
        self.ask(asked).await.map(|_| ())
    }

    async fn read(&self, run: RunId, after: u64) -> Result<Vec<Record>, JournalError> {
        self.reader.records(run, after).await
    }

    async fn tail(&self, run: RunId, before: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
        self.reader.tail(run, before, limit).await
    }

    async fn head(&self, run: RunId) -> Result<Option<u64>, JournalError> {
        self.reader.head(run).await
    }

    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, JournalError> {
        self.reader.runs(query).await
    }

    async fn changed(&self, run: RunId, after: u64, since: Mark) -> Result<Mark, JournalError> {
        Ok(self.watch.changed(run, after, since).await)
    }

    async fn claim(&self, run: RunId) -> Result<Claim, JournalError> {
        if self.writer.is_none() {
            return Err(Fault::ReadOnly.at(&self.place));
        }
        // It never waits, so it need not be done elsewhere.
        match self.claims.take(run).map_err(|error| Fault::of_io(&error).at(&self.place))? {
            Some(claimed) => Ok(Claim::new(run, Arc::new(claimed))),
            None => Err(JournalError::Claimed { run }),
        }
    }

    async fn lock(
        &self,
        target: &str,
        run: RunId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<u64, JournalError> {
        self.ask(Asked::Lock { target: target.to_owned(), run, now, until }).await
    }

    async fn holder(&self, target: &str, now: Timestamp) -> Result<Option<(RunId, Timestamp)>, JournalError> {
        Ok(self.reader.lease(target).await?.holder(now))
    }

    async fn unlock(&self, target: &str, run: RunId) -> Result<(), JournalError> {
        self.ask(Asked::Unlock { target: target.to_owned(), run }).await.map(|_| ())
    }

    fn durability(&self) -> String {
        self.durability.clone()
    }
}

#[async_trait]
impl Shelf for Sqlite {
    async fn write(&self, writes: Vec<Write>) -> Result<(), JournalError> {
        let asked = Asked::write(writes)?;
        self.ask(asked).await.map(|_| ())
    }

    async fn document(&self, kind: &str, id: &str) -> Result<Option<Document>, JournalError> {
        self.reader.document(kind, id).await
    }

    async fn documents(&self, query: &DocumentQuery) -> Result<Vec<Document>, JournalError> {
        self.reader.documents(query).await
    }

    async fn stirred(&self, since: Mark) -> Result<Mark, JournalError> {
        Ok(self.watch.stirred(since).await)
    }
}

fn absolute(path: &Path) -> Result<Place, JournalError> {
    Place::new(path).map_err(|error| JournalError::Unusable { path: path.to_owned(), why: error.to_string() })
}

/// Does something that may wait for the disk where it holds up no task.
async fn blocking<T: Send + 'static>(
    place: &Place,
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Fault::closed().at(place)))
}

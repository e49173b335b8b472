//! Documents beside the runs: what a server keeps of alerts, incidents and people. A small shelf of
//! typed JSON under kind and id, written all or none together with the entries of runs, so that what
//! follows from an alert is there whole or not at all.

use async_trait::async_trait;
use runbook_core::Timestamp;

use crate::{Batch, Journal, JournalError, LARGEST_BATCH, Mark};

/// The longest kind, id, state or parent, in bytes.
pub const LONGEST_KEY: usize = 512;

/// The largest body of a document, in bytes.
pub const LARGEST_DOCUMENT: usize = 4 * 1024 * 1024;

/// The most writes that are done together.
pub const MOST_WRITES: usize = 4_096;

/// The longest list that one question is answered with.
pub const MOST_DOCUMENTS: usize = 1_000;

const DEFAULT_DOCUMENTS: usize = 100;

/// A journal that keeps documents too.
#[async_trait]
pub trait Shelf: Journal {
    /// Does all of it, or nothing: where one write is refused, the error says why and no trace of the
    /// others is left.
    async fn write(&self, writes: Vec<Write>) -> Result<(), JournalError>;

    async fn document(&self, kind: &str, id: &str) -> Result<Option<Document>, JournalError>;

    /// Documents of one kind, by their time, then their id.
    async fn documents(&self, query: &DocumentQuery) -> Result<Vec<Document>, JournalError>;

    /// Returns when anything at all was written since the mark was taken: by this process, or perhaps
    /// by another; at once if so already. Start with `Mark::default()`.
    async fn stirred(&self, since: Mark) -> Result<Mark, JournalError>;
}

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub kind: String,
    pub id: String,
    /// 1 for a new one, and one more with each write.
    pub version: u64,
    /// What lists are ordered by.
    pub at: Timestamp,
    /// What lists are filtered by.
    pub state: Option<String>,
    /// Likewise: the document or the thing that it belongs to.
    pub parent: Option<String>,
    pub body: Vec<u8>,
}

/// One part of a write.
#[derive(Debug, Clone)]
pub enum Write {
    /// Entries of a run, as [`Journal::append`] takes them.
    Append(Batch),
    Put {
        /// Its version is not looked at: the shelf counts.
        document: Document,
        expect: Expect,
    },
    /// Nothing happens where there is none.
    Remove { kind: String, id: String },
}

/// What must be so for a document to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is none of that kind and id yet.
    New,
    /// It is still at this version.
    Version(u64),
    Anything,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocumentQuery {
    pub kind: String,
    pub state: Option<String>,
    pub parent: Option<String>,
    pub order: Order,
    /// Those that come after this one in that order: where a page before this one ended.
    pub after: Option<(Timestamp, String)>,
    /// At most this many; 0 means 100. Never more than 1,000.
    pub limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
}

impl DocumentQuery {
    pub(crate) fn bound(&self) -> usize {
        if self.limit == 0 { DEFAULT_DOCUMENTS } else { self.limit.min(MOST_DOCUMENTS) }
    }
}

impl Document {
    /// Where it stands in a list.
    pub fn place(&self) -> (Timestamp, String) {
        (self.at, self.id.clone())
    }
}

impl Expect {
    /// Whether a document at this version, 0 for none, may be written.
    pub(crate) fn fits(self, kind: &str, id: &str, version: u64) -> Result<(), JournalError> {
        let fits = match self {
            Self::New => version == 0,
            Self::Version(expected) => version == expected,
            Self::Anything => true,
        };
        let changed = || JournalError::Changed { kind: kind.to_owned(), id: id.to_owned(), version };
        if fits { Ok(()) } else { Err(changed()) }
    }
}

/// Proves what can be proven without the shelf: that nothing is too much or too large.
pub(crate) fn check(writes: &[Write]) -> Result<(), JournalError> {
    if writes.len() > MOST_WRITES {
        return Err(too_large(format!("at most {MOST_WRITES} writes are done together")));
    }
    let mut size = 0;
    for write in writes {
        if let Write::Put { document, .. } = write {
            let Document { kind, id, state, parent, body, .. } = document;
            let keys = [Some(kind), Some(id), state.as_ref(), parent.as_ref()];
            if keys.into_iter().flatten().any(|key| key.len() > LONGEST_KEY) {
                return Err(too_large(format!("a key has at most {LONGEST_KEY} bytes")));
            }
            if body.len() > LARGEST_DOCUMENT {
                let most = LARGEST_DOCUMENT / 1024 / 1024;
                return Err(too_large(format!("a document has at most {most} MiB")));
            }
            size += body.len();
        }
    }
    if size > LARGEST_BATCH {
        let most = LARGEST_BATCH / 1024 / 1024;
        return Err(too_large(format!("what is written at once may have {most} MiB")));
    }
    Ok(())
}

fn too_large(why: String) -> JournalError {
    JournalError::TooLarge { why }
}

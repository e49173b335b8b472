//! What the outbox keeps on the shelf: dispatches, and where Slack's messages stand.

use std::sync::Arc;

use runbook_contract::text::shortened;
use runbook_core::{Timestamp, change};
use runbook_journal::{Document, DocumentQuery, Expect, JournalError, Shelf, Write};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::Dispatch;
use crate::slack::send::Posted;

/// A kind of document.
pub(super) trait Kept: Serialize + DeserializeOwned {
    const KIND: &'static str;
    /// What lists of this kind are ordered by.
    fn at(&self) -> Timestamp;
    fn state(&self) -> Option<&'static str>;
    fn parent(&self) -> String;
}

/// The state of what cannot be read.
pub(super) const ASIDE: &str = "unreadable";

/// A document with what is needed to write it again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found<T> {
    pub id: String,
    pub version: u64,
    pub value: T,
}

/// The messages of one approval in one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub channel: String,
    pub posted: Vec<Posted>,
    pub at: Timestamp,
}

impl Kept for Dispatch {
    const KIND: &'static str = "notice";
    fn at(&self) -> Timestamp {
        self.at
    }
    fn state(&self) -> Option<&'static str> {
        Some(self.state.word())
    }
    /// What is not at its end stands apart, so that what comes next is found at once however much was
    /// sent before.
    fn parent(&self) -> String {
        if self.state.is_open() { open_of(&self.channel) } else { self.channel.clone() }
    }
}

impl Kept for Standing {
    const KIND: &'static str = "slack_message";
    fn at(&self) -> Timestamp {
        self.at
    }
    fn state(&self) -> Option<&'static str> {
        None
    }
    fn parent(&self) -> String {
        self.channel.clone()
    }
}

/// The parent of what is not at its end; no channel has such a name.
pub(super) fn open_of(channel: &str) -> String {
    format!("{channel}/open")
}

/// The identity of what a key is for one channel. Its characters are fine in a `webhook-id` and a
/// `Message-Id`, which both are made of it.
pub(super) fn dispatch_id(channel: &str, key: &str) -> String {
    hashed("notice", channel, key)
}

pub(super) fn standing_id(channel: &str, subject: &str) -> String {
    hashed("slack", channel, subject)
}

/// 128 bits: never twice the same by chance.
fn hashed(kind: &str, channel: &str, text: &str) -> String {
    let digest = change::digest(&json!([kind, channel, text]));
    let hex = digest.trim_start_matches("sha256:");
    format!("{kind}_{}", hex.get(..32).unwrap_or(hex))
}

/// A key for people to read; the id holds all of it.
pub(super) fn short_key(key: &str) -> String {
    const LONGEST: usize = 300;
    shortened(key, LONGEST)
}

/// A number from 0 to 1 that is another one for each dispatch and try.
pub(super) fn share(id: &str, tries: u32) -> f64 {
    let digest = change::digest(&json!([id, tries]));
    let hex = digest.trim_start_matches("sha256:").get(..8).unwrap_or_default();
    u32::from_str_radix(hex, 16).map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

pub(super) async fn find<T: Kept>(
    shelf: &Arc<dyn Shelf>,
    id: &str,
) -> Result<Option<Found<T>>, JournalError> {
    shelf.document(T::KIND, id).await?.map(open).transpose()
}

/// What can be read of a list: what cannot, such as what a newer version wrote, must not keep the
/// rest from people.
pub(super) async fn list<T: Kept>(
    shelf: &Arc<dyn Shelf>,
    query: DocumentQuery,
) -> Result<Vec<Found<T>>, JournalError> {
    Ok(list_all(shelf, query).await?.0)
}

/// The same, with what cannot be read.
pub(super) async fn list_all<T: Kept>(
    shelf: &Arc<dyn Shelf>,
    query: DocumentQuery,
) -> Result<(Vec<Found<T>>, Vec<Document>), JournalError> {
    let query = DocumentQuery { kind: T::KIND.to_owned(), ..query };
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for document in shelf.documents(&query).await? {
        match serde_json::from_slice(&document.body) {
            Ok(value) => found.push(Found { id: document.id, version: document.version, value }),
            Err(error) => {
                tracing::error!(kind = T::KIND, id = document.id, %error, "a document cannot be read");
                unreadable.push(document);
            }
        }
    }
    Ok((found, unreadable))
}

/// Takes a document out of the way of those that can be read; a version that can will find it.
pub(super) fn aside(document: Document, channel: &str) -> Write {
    let expect = Expect::Version(document.version);
    let (state, parent) = (Some(ASIDE.to_owned()), Some(channel.to_owned()));
    Write::Put { document: Document { state, parent, ..document }, expect }
}

fn open<T: Kept>(document: Document) -> Result<Found<T>, JournalError> {
    let value = serde_json::from_slice(&document.body).map_err(|error| unfit::<T>(&document.id, &error))?;
    Ok(Found { id: document.id, version: document.version, value })
}

pub(super) fn put<T: Kept>(id: &str, value: &T, expect: Expect) -> Result<Write, JournalError> {
    let document = Document {
        kind: T::KIND.to_owned(),
        id: id.to_owned(),
        version: 0,
        at: value.at(),
        state: value.state().map(str::to_owned),
        parent: Some(value.parent()),
        body: serde_json::to_vec(value).map_err(|error| unfit::<T>(id, &error))?,
    };
    Ok(Write::Put { document, expect })
}

pub(super) fn remove<T: Kept>(id: &str) -> Write {
    Write::Remove { kind: T::KIND.to_owned(), id: id.to_owned() }
}

pub(super) fn unfit<T: Kept>(id: &str, error: &serde_json::Error) -> JournalError {
    JournalError::Unreadable { kind: T::KIND.to_owned(), id: id.to_owned(), why: error.to_string() }
}

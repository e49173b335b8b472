//! The chain: each event is kept with a hash over the hash before it and its own bytes, so that
//! whoever changes, drops or adds one is found out. Runs and incidents chain alike.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use super::{Body, Event, RunId};
use crate::change::hex;

/// One event as a journal keeps it: the exact bytes that were hashed, and the hash over the hash
/// before and these bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub seq: u64,
    pub bytes: Vec<u8>,
    pub hash: String,
}

/// A record that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("entry {seq} was changed: its hash does not fit its content and the entry before it")]
    Changed { seq: u64 },
    #[error("entry {seq} is missing")]
    Missing { seq: u64 },
    #[error("entry {seq} cannot be read: {why}")]
    Unreadable { seq: u64, why: String },
}

impl Broken {
    pub fn seq(&self) -> u64 {
        match self {
            Self::Changed { seq } | Self::Missing { seq } | Self::Unreadable { seq, .. } => *seq,
        }
    }
}

/// The hash before the first event of a run: it ties the chain to its run.
pub fn genesis(run: RunId) -> String {
    genesis_of(&run)
}

/// The hash before the first event of whatever has this id.
pub fn genesis_of(id: &impl fmt::Display) -> String {
    hex(&Sha256::digest(id.to_string().as_bytes()))
}

impl Record {
    /// Chains an event to the hash of the one before it.
    pub fn seal<B: Serialize>(event: &Event<B>, previous: &str) -> Result<Self, serde_json::Error> {
        let bytes = serde_json::to_vec(event)?;
        let hash = chain(previous, &bytes);
        Ok(Self { seq: event.seq, bytes, hash })
    }
    /// Chains several, the first upon this hash.
    pub fn seal_all<B: Serialize>(
        events: &[Event<B>],
        previous: &str,
    ) -> Result<Vec<Self>, serde_json::Error> {
        let mut records: Vec<Self> = Vec::with_capacity(events.len());
        for event in events {
            let previous = records.last().map_or(previous, |record| record.hash.as_str());
            let record = Self::seal(event, previous)?;
            records.push(record);
        }
        Ok(records)
    }
    /// The event of a run.
    pub fn open(&self) -> Result<Event, Broken> {
        self.open_as()
    }
    /// The event, whatever it is one of.
    pub fn open_as<B: DeserializeOwned>(&self) -> Result<Event<B>, Broken> {
        let event: Event<B> = serde_json::from_slice(&self.bytes)
            .map_err(|error| Broken::Unreadable { seq: self.seq, why: error.to_string() })?;
        if event.seq == self.seq { Ok(event) } else { Err(Broken::Changed { seq: self.seq }) }
    }
    /// Whether this was sealed upon the entry that has this hash.
    pub fn follows(&self, previous: &str) -> bool {
        chain(previous, &self.bytes) == self.hash
    }
}

fn chain(previous: &str, bytes: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(previous.as_bytes());
    hasher.update(b"\n");
    hasher.update(bytes);
    hex(&hasher.finalize())
}

/// Proves that a run's records are all there, in order and unchanged. `head` is the number of
/// records that the journal says there are.
pub fn verify(run: RunId, records: &[Record], head: u64) -> Result<(), Broken> {
    verify_chain::<Body>(genesis(run), records, head)
}

/// The same for any chain that begins upon `genesis`.
pub fn verify_chain<B: DeserializeOwned>(
    genesis: String,
    records: &[Record],
    head: u64,
) -> Result<(), Broken> {
    let mut previous = genesis;
    for (expected, record) in (1..).zip(records) {
        if record.seq != expected {
            return Err(Broken::Missing { seq: expected });
        }
        if !record.follows(&previous) {
            return Err(Broken::Changed { seq: expected });
        }
        record.open_as::<B>()?;
        previous.clone_from(&record.hash);
    }
    match records.len() as u64 {
        found if found < head => Err(Broken::Missing { seq: found + 1 }),
        found if found > head => Err(Broken::Changed { seq: head + 1 }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::event::Actor;

    fn event(seq: u64) -> Event {
        Event {
            seq,
            at: Timestamp::UNIX_EPOCH,
            actor: Actor::engine(),
            body: Body::RunResumed { owner: format!("host-{seq}") },
        }
    }

    fn sealed(run: RunId, count: u64) -> Vec<Record> {
        let events: Vec<Event> = (1..=count).map(event).collect();
        Record::seal_all(&events, &genesis(run)).unwrap()
    }

    #[test]
    fn verification_names_the_entry_that_was_touched() {
        let run = RunId::new(Uuid::from_u128(1));
        let good = sealed(run, 5);
        assert_eq!(verify(run, &good, 5), Ok(()));
        for touched in 0..5 {
            for byte in 0..good[touched].bytes.len() {
                let mut bad = good.clone();
                bad[touched].bytes[byte] ^= 1;
                assert_eq!(verify(run, &bad, 5).unwrap_err().seq(), touched as u64 + 1);
            }
            let mut dropped = good.clone();
            dropped.remove(touched);
            assert_eq!(verify(run, &dropped, 5).unwrap_err(), Broken::Missing { seq: touched as u64 + 1 });
        }
        let other = RunId::new(Uuid::from_u128(2));
        assert_eq!(verify(other, &good, 5).unwrap_err(), Broken::Changed { seq: 1 });
    }
}

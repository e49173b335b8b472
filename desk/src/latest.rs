//! The one timeline of an incident and of its runs, read from its end in pages: without reading any
//! run whole, however many there are.
//!
//! Each chain is in the order of its time, so the newest entry of all is at the end of one of them.

use std::{collections::BinaryHeap, fmt, str::FromStr};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use runbook_core::{
    Timestamp,
    event::{Event, Record, RunId},
    incident::{self, AttachedRun, Incident, IncidentId},
    timeline::{self, Entry},
};
use runbook_journal::JournalError;
use serde::Deserialize;

use crate::{Desk, DeskError, cases};

/// How many records of a chain are read at first, and at the most, at once.
const FIRST: usize = 4;
const MOST: usize = 64;
/// How many chains are looked at together.
const AT_ONCE: usize = 4;

/// A part of the timeline of an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The newest first.
    pub entries: Vec<Entry>,
    /// Where the part before this one ends; nothing where there is none.
    pub next: Option<Place>,
}

/// Where an entry stands in the timeline: as `timeline::in_order` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub at: Timestamp,
    /// None for an entry of the incident itself.
    pub run: Option<RunId>,
    pub seq: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.9} {}", self.at, self.seq)?;
        self.run.map_or(Ok(()), |run| write!(f, " {run}"))
    }
}

/// It is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut words = text.split(' ');
        let mut next = || words.next();
        let at = next().and_then(|word| word.parse().ok()).ok_or(NoPlace)?;
        let seq = next().and_then(|word| word.parse().ok()).ok_or(NoPlace)?;
        let run = next().map(|word| word.parse().map_err(|_| NoPlace)).transpose()?;
        if next().is_some() { Err(NoPlace) } else { Ok(Self { at, run, seq }) }
    }
}

impl Desk {
    /// The part of `story` that comes before a place of it, or its end.
    pub async fn story_before(
        &self,
        incident: &Incident,
        sees: impl Fn(&AttachedRun) -> bool,
        before: Option<Place>,
        limit: usize,
    ) -> Result<Part, DeskError> {
        let runs: Vec<RunId> =
            incident.runs.iter().filter(|(_, run)| sees(run)).map(|(run, _)| *run).collect();
        let whose = std::iter::once(Whose::Incident(incident.id)).chain(runs.into_iter().map(Whose::Run));
        let chains: Vec<Chain<'_>> = stream::iter(whose)
            .map(|whose| Chain::open(self, whose, before))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        merged(chains, limit).await
    }
}

async fn merged(mut chains: Vec<Chain<'_>>, limit: usize) -> Result<Part, DeskError> {
    let mut last = BinaryHeap::new();
    for (index, chain) in chains.iter().enumerate() {
        last.extend(chain.last()?.map(|place| (place, index)));
    }
    let mut story = Part { entries: Vec::new(), next: None };
    let mut told = None;
    while let Some((place, index)) = last.pop() {
        if story.entries.len() >= limit {
            story.next = told;
            break;
        }
        let Some(chain) = chains.get_mut(index) else { break };
        story.entries.extend(chain.take().await?);
        last.extend(chain.last()?.map(|place| (place, index)));
        told = Some(place);
    }
    Ok(story)
}

/// Whose entries a chain has.
#[derive(Debug, Clone, Copy)]
enum Whose {
    Incident(IncidentId),
    Run(RunId),
}

/// One chain, read from its end.
#[derive(Debug)]
struct Chain<'d> {
    desk: &'d Desk,
    whose: Whose,
    /// What was read and not told yet, in order.
    ready: Vec<Record>,
    /// All before this entry is not read yet.
    before: u64,
    /// How many are read next.
    next: usize,
}

impl<'d> Chain<'d> {
    /// A chain up to a place.
    async fn open(desk: &'d Desk, whose: Whose, before: Option<Place>) -> Result<Self, DeskError> {
        let mut chain = Self { desk, whose, ready: Vec::new(), before: u64::MAX, next: FIRST };
        chain.read().await?;
        if let Some(place) = before {
            chain.go_back(place).await?;
        }
        Ok(chain)
    }

    /// Leaves out what is not before a place.
    async fn go_back(&mut self, place: Place) -> Result<(), DeskError> {
        let mut kept = Vec::with_capacity(self.ready.len());
        for record in self.ready.drain(..) {
            if place_of(self.whose, &record)? < place {
                kept.push(record);
            }
        }
        self.ready = kept;
        if !self.ready.is_empty() || self.before <= 1 {
            return Ok(());
        }
        // Entries up to `low` are before the place, those from `high` on are not.
        let (mut low, mut high) = (0, self.before);
        let mut middle = 1;
        while high - low > 1 {
            let record = tail(self.desk, self.whose, middle + 1, 1).await?;
            let is_before = match record.first() {
                Some(record) => place_of(self.whose, record)? < place,
                None => false,
            };
            if is_before {
                low = middle;
            } else {
                high = middle;
            }
            middle = low + (high - low) / 2;
        }
        self.before = high;
        self.read().await
    }

    async fn read(&mut self) -> Result<(), DeskError> {
        self.ready = tail(self.desk, self.whose, self.before, self.next).await?;
        self.before = self.ready.first().map_or(0, |record| record.seq);
        self.next = (self.next * 2).min(MOST);
        Ok(())
    }

    /// Where its last entry stands that was not told yet.
    fn last(&self) -> Result<Option<Place>, DeskError> {
        self.ready.last().map(|record| place_of(self.whose, record)).transpose()
    }

    async fn take(&mut self) -> Result<Option<Entry>, DeskError> {
        let Some(record) = self.ready.pop() else { return Ok(None) };
        if self.ready.is_empty() && self.before > 1 {
            self.read().await?;
        }
        told(self.whose, &record).map(Some)
    }
}

async fn tail(desk: &Desk, whose: Whose, before: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
    match whose {
        Whose::Incident(id) => cases::tail(&desk.shelf, id, before, limit).await,
        Whose::Run(run) => desk.shelf.tail(run, before, limit).await,
    }
}

fn place_of(whose: Whose, record: &Record) -> Result<Place, DeskError> {
    #[derive(Deserialize)]
    struct Moment {
        at: Timestamp,
    }
    let run = match whose {
        Whose::Incident(_) => None,
        Whose::Run(run) => Some(run),
    };
    let moment: Moment =
        serde_json::from_slice(&record.bytes).map_err(|error| damaged(whose, record, &error))?;
    Ok(Place { at: moment.at, run, seq: record.seq })
}

fn told(whose: Whose, record: &Record) -> Result<Entry, DeskError> {
    let entry = match whose {
        Whose::Incident(id) => {
            record.open_as().map(|event: incident::Event| incident::timeline::entry(&event, &record.hash, id))
        }
        Whose::Run(run) => record.open().map(|event: Event| timeline::entry(&event, &record.hash, run)),
    };
    entry.map_err(|error| damaged(whose, record, &error))
}

fn damaged(whose: Whose, record: &Record, error: &dyn fmt::Display) -> DeskError {
    let (seq, why) = (record.seq, error.to_string());
    match whose {
        Whose::Incident(id) => cases::unreadable(id, error),
        Whose::Run(run) => JournalError::Damaged { run, seq, why }.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back() {
        let at = Timestamp::new(1_700_000_000, 120_000_000).unwrap();
        let run = RunId::new(uuid::Uuid::from_u128(7));
        for place in [Place { at, run: None, seq: 3 }, Place { at, run: Some(run), seq: u64::MAX }] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for text in
            ["", "2026-11-21T00:00:00Z", "2026-11-21T00:00:00Z 1 walk_1", "now 1", "2026-11-21T00:00:00Z 1 "]
        {
            assert_eq!(text.parse::<Place>(), Err(NoPlace), "{text:?}");
        }
    }
}

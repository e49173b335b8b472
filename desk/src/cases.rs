//! Incidents on the shelf: each a chain of entries and a head that lists show. The state of one is
//! folded from its entries, and remembered until somebody adds another.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::FutureExt as _;
use runbook_core::{
    Timestamp,
    event::{Actor, Broken, Record},
    incident::{self, Decided, Event, Incident, IncidentId, Input, Opening, Summary},
    timeline::Entry,
};
use runbook_journal::{DocumentQuery, Expect, JournalError, Order, Shelf, Write};
use serde::{Deserialize, Serialize};

use crate::{
    Desk, DeskError,
    kept::{self, Kept},
    start::Desktop,
};

/// How many incidents are remembered; there are never that many open.
const REMEMBERED: usize = 256;
/// How many entries are fetched at once.
const FETCHED: usize = 1_000;

/// What lists of incidents show, and where the chain stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    pub summary: Summary,
    /// What later alerts are correlated by.
    pub key: String,
    pub seq: u64,
    pub hash: String,
}

impl Kept for Head {
    const KIND: &'static str = "incident";
    fn at(&self) -> Timestamp {
        self.summary.opened_at
    }
    fn state(&self) -> Option<String> {
        let word = match self.summary.state {
            incident::State::Resolved => "resolved",
            incident::State::Merged => "merged",
            _ => "open",
        };
        Some(word.to_owned())
    }
    fn parent(&self) -> Option<String> {
        Some(self.key.clone())
    }
}

/// An entry of an incident: its exact bytes, and the hash that chains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptEntry {
    incident: IncidentId,
    seq: u64,
    /// JSON is UTF-8.
    bytes: String,
    hash: String,
}

impl KeptEntry {
    fn into_record(self) -> Record {
        Record { seq: self.seq, bytes: self.bytes.into_bytes(), hash: self.hash }
    }
}

impl Kept for KeptEntry {
    const KIND: &'static str = "incident_entry";
    /// Lists are ordered by this; entries by their number, whatever the clock said.
    fn at(&self) -> Timestamp {
        place(self.seq)
    }
    fn parent(&self) -> Option<String> {
        Some(self.incident.to_string())
    }
}

/// The number that the next incident gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Counter {
    next: u64,
}

impl Kept for Counter {
    const KIND: &'static str = "counter";
    fn at(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

const COUNTER: &str = "incident";

fn place(seq: u64) -> Timestamp {
    let second = i64::try_from(seq).unwrap_or(i64::MAX);
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

fn entry_id(id: IncidentId, seq: u64) -> String {
    format!("{id}/{seq:06}")
}

/// What this process has folded last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<BTreeMap<IncidentId, Folded>>>);

/// An incident, and the hash of its last entry.
type Folded = (Arc<Incident>, String);

impl Memory {
    fn held(&self) -> MutexGuard<'_, BTreeMap<IncidentId, Folded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recall(&self, id: IncidentId) -> Option<Folded> {
        self.held().get(&id).cloned()
    }

    fn remember(&self, incident: Arc<Incident>, hash: String) {
        let mut held = self.held();
        if held.len() >= REMEMBERED {
            held.clear();
        }
        held.insert(incident.id, (incident, hash));
    }
}

/// An incident as one piece of work has it.
#[derive(Debug)]
struct Case {
    incident: Arc<Incident>,
    hash: String,
    /// Of the head on the shelf; 0 for a new one.
    version: u64,
    fresh: Vec<Record>,
}

/// The incidents of one piece of work.
#[derive(Debug, Default)]
pub(crate) struct Cases {
    memory: Memory,
    cases: BTreeMap<IncidentId, Case>,
    counter: Option<(Counter, u64)>,
}

impl Cases {
    pub(crate) fn over(memory: &Memory) -> Self {
        Self { memory: memory.clone(), ..Self::default() }
    }

    /// The incident that alerts of this key belong to, if one is open.
    pub(crate) async fn open_with(
        &mut self,
        shelf: &Arc<dyn Shelf>,
        key: &str,
    ) -> Result<Option<IncidentId>, DeskError> {
        let mine = self.cases.values().find(|case| case.incident.key == key && case.incident.is_open());
        if let Some(case) = mine {
            return Ok(Some(case.incident.id));
        }
        let open = DocumentQuery {
            state: Some("open".to_owned()),
            parent: Some(key.to_owned()),
            limit: 1,
            ..DocumentQuery::default()
        };
        let found = kept::list::<Head>(shelf, open).await?;
        let Some(id) = found.first().map(|found| found.value.summary.id) else { return Ok(None) };
        // It may have been resolved by what this piece of work has done.
        let incident = self.get(shelf, id).await?;
        Ok(incident.filter(|incident| incident.is_open()).map(|incident| incident.id))
    }

    pub(crate) async fn get(
        &mut self,
        shelf: &Arc<dyn Shelf>,
        id: IncidentId,
    ) -> Result<Option<Arc<Incident>>, DeskError> {
        if !self.cases.contains_key(&id) {
            let Some(head) = kept::find::<Head>(shelf, &id.to_string()).await? else { return Ok(None) };
            let (incident, hash) = fold(shelf, &self.memory, id, &head.value).await?;
            self.cases.insert(id, Case { incident, hash, version: head.version, fresh: Vec::new() });
        }
        Ok(self.cases.get(&id).map(|case| Arc::clone(&case.incident)))
    }

    /// The number of a new incident.
    pub(crate) async fn next(&mut self, shelf: &Arc<dyn Shelf>) -> Result<IncidentId, DeskError> {
        let (counter, version) = match self.counter.take() {
            Some(taken) => taken,
            None => match kept::find::<Counter>(shelf, COUNTER).await? {
                Some(found) => (found.value, found.version),
                None => (Counter { next: 1 }, 0),
            },
        };
        let id = IncidentId::new(counter.next);
        self.counter = Some((Counter { next: counter.next + 1 }, version));
        Ok(id)
    }

    /// Takes in what was decided for a new incident.
    pub(crate) fn opened(&mut self, decided: Decided) -> Result<Arc<Incident>, DeskError> {
        let id = decided.next.id;
        let hash = incident::genesis(id);
        let case = Case { incident: Arc::new(decided.next), hash, version: 0, fresh: Vec::new() };
        self.cases.insert(id, case);
        self.sealed(id, &decided.events)
    }

    /// Says something to an incident that was read before.
    pub(crate) fn say(
        &mut self,
        id: IncidentId,
        input: Input<'_>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Arc<Incident>, DeskError> {
        let Some(case) = self.cases.get_mut(&id) else { return Err(DeskError::UnknownIncident(id)) };
        let decided = case.incident.decide(input, actor, now)?;
        case.incident = Arc::new(decided.next);
        self.sealed(id, &decided.events)
    }

    fn sealed(&mut self, id: IncidentId, events: &[Event]) -> Result<Arc<Incident>, DeskError> {
        let Some(case) = self.cases.get_mut(&id) else { return Err(DeskError::UnknownIncident(id)) };
        let records = Record::seal_all(events, &case.hash).map_err(|error| unreadable(id, &error))?;
        if let Some(last) = records.last() {
            case.hash.clone_from(&last.hash);
        }
        case.fresh.extend(records);
        Ok(Arc::clone(&case.incident))
    }

    /// What is to be written.
    pub(crate) fn writes(&self) -> Result<Vec<Write>, DeskError> {
        let mut writes = Vec::new();
        if let Some((counter, version)) = &self.counter {
            writes.push(kept::put(COUNTER, counter, expect(*version))?);
        }
        for (id, case) in self.cases.iter().filter(|(_, case)| !case.fresh.is_empty()) {
            let head = Head {
                summary: case.incident.summary(),
                key: case.incident.key.clone(),
                seq: case.incident.seq,
                hash: case.hash.clone(),
            };
            writes.push(kept::put(&id.to_string(), &head, expect(case.version))?);
            for record in &case.fresh {
                let entry = KeptEntry {
                    incident: *id,
                    seq: record.seq,
                    bytes: String::from_utf8_lossy(&record.bytes).into_owned(),
                    hash: record.hash.clone(),
                };
                writes.push(kept::put(&entry_id(*id, record.seq), &entry, Expect::New)?);
            }
        }
        Ok(writes)
    }

    /// Once everything is on disk.
    pub(crate) fn written(self) {
        for case in self.cases.into_values().filter(|case| !case.fresh.is_empty()) {
            self.memory.remember(case.incident, case.hash);
        }
    }
}

fn expect(version: u64) -> Expect {
    if version == 0 { Expect::New } else { Expect::Version(version) }
}

/// The state at a head: from what is remembered, and the entries since.
async fn fold(
    shelf: &Arc<dyn Shelf>,
    memory: &Memory,
    id: IncidentId,
    head: &Head,
) -> Result<Folded, DeskError> {
    let mut known = memory.recall(id).filter(|(incident, _)| incident.seq <= head.seq);
    if let Some((incident, hash)) = &known
        && incident.seq == head.seq
        && *hash == head.hash
    {
        return Ok((Arc::clone(incident), hash.clone()));
    }
    let after = known.as_ref().map_or(0, |(incident, _)| incident.seq);
    for record in records(shelf, id, after).await? {
        let event: Event = record.open_as().map_err(|error| unreadable(id, &error))?;
        let next = match known {
            None => Incident::begin(id, &event).map_err(|error| unreadable(id, &error))?,
            Some((incident, _)) => {
                let mut incident = Arc::unwrap_or_clone(incident);
                incident.apply(&event).map_err(|error| unreadable(id, &error))?;
                incident
            }
        };
        known = Some((Arc::new(next), record.hash));
    }
    let (incident, hash) = known.ok_or(DeskError::UnknownIncident(id))?;
    memory.remember(Arc::clone(&incident), hash.clone());
    Ok((incident, hash))
}

/// The entries of an incident after a number, in their order.
async fn records(shelf: &Arc<dyn Shelf>, id: IncidentId, after: u64) -> Result<Vec<Record>, JournalError> {
    let mut found = Vec::new();
    let mut place = (place(after), entry_id(id, after));
    loop {
        let query = DocumentQuery {
            parent: Some(id.to_string()),
            order: Order::OldestFirst,
            after: Some(place),
            limit: FETCHED,
            ..DocumentQuery::default()
        };
        let page = kept::list::<KeptEntry>(shelf, query).await?;
        let Some(last) = page.last() else { return Ok(found) };
        place = (self::place(last.value.seq), last.id.clone());
        let full = page.len() == FETCHED;
        found.extend(page.into_iter().map(|found| found.value.into_record()));
        if !full {
            return Ok(found);
        }
    }
}

/// The last entries of an incident before a number, in their order.
pub(crate) async fn tail(
    shelf: &Arc<dyn Shelf>,
    id: IncidentId,
    before: u64,
    limit: usize,
) -> Result<Vec<Record>, JournalError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let query = DocumentQuery {
        parent: Some(id.to_string()),
        order: Order::NewestFirst,
        // Before the first that any entry of that number could have.
        after: Some((place(before), String::new())),
        limit,
        ..DocumentQuery::default()
    };
    let mut page = kept::list::<KeptEntry>(shelf, query).await?;
    page.reverse();
    Ok(page.into_iter().map(|found| found.value.into_record()).collect())
}

pub(crate) fn unreadable(id: IncidentId, error: &dyn std::fmt::Display) -> DeskError {
    let (kind, id) = ("incident".to_owned(), id.to_string());
    JournalError::Unreadable { kind, id, why: error.to_string() }.into()
}

impl Desk {
    /// The state of an incident.
    pub async fn incident(&self, id: IncidentId) -> Result<Arc<Incident>, DeskError> {
        let mut cases = Cases::over(&self.memory);
        cases.get(&self.shelf, id).await?.ok_or(DeskError::UnknownIncident(id))
    }

    /// What happened in an incident itself after an entry, without its runs.
    pub(crate) async fn timeline_after(&self, id: IncidentId, seq: u64) -> Result<Vec<Entry>, DeskError> {
        let records = records(&self.shelf, id, seq).await?;
        let history = incident::history(&records).map_err(|error| unreadable(id, &error))?;
        Ok(incident::timeline::entries(&history, id))
    }

    /// What happened in an incident itself after an entry.
    pub async fn entries(&self, id: IncidentId, after: u64) -> Result<Vec<Event>, DeskError> {
        let records = records(&self.shelf, id, after).await?;
        records.iter().map(|record| record.open_as().map_err(|error| unreadable(id, &error))).collect()
    }

    /// Proves that nothing of an incident was changed or dropped; the number of entries.
    pub async fn verify_incident(&self, id: IncidentId) -> Result<Result<u64, Broken>, DeskError> {
        let head = kept::find::<Head>(&self.shelf, &id.to_string()).await?;
        let head = head.ok_or(DeskError::UnknownIncident(id))?.value.seq;
        let records = records(&self.shelf, id, 0).await?;
        let head = head.max(records.len() as u64);
        Ok(incident::verify(id, &records, head).map(|()| head))
    }

    /// Opens an incident that a person declares.
    pub async fn declare(&self, opening: Opening, actor: &Actor) -> Result<Arc<Incident>, DeskError> {
        let actor = actor.clone();
        self.until_written(move |desktop| {
            let (opening, actor) = (opening.clone(), actor.clone());
            async move {
                let id = desktop.cases.next(&desktop.shelf()).await?;
                let decided = Incident::open(id, opening, &actor, desktop.now)?;
                desktop.cases.opened(decided)
            }
            .boxed()
        })
        .await
    }

    /// Says something to an incident.
    pub async fn say(
        &self,
        id: IncidentId,
        actor: &Actor,
        input: impl Fn() -> Input<'static> + Send + Sync,
    ) -> Result<Arc<Incident>, DeskError> {
        let actor = actor.clone();
        self.until_written(move |desktop| {
            let (input, actor) = (input(), actor.clone());
            async move {
                desktop.case(id).await?;
                desktop.cases.say(id, input, &actor, desktop.now)
            }
            .boxed()
        })
        .await
    }

    /// Goes on with an incident as another one.
    pub async fn merge(
        &self,
        id: IncidentId,
        into: IncidentId,
        actor: &Actor,
    ) -> Result<Arc<Incident>, DeskError> {
        let actor = actor.clone();
        self.until_written(move |desktop| {
            let actor = actor.clone();
            async move {
                let other = desktop.case(id).await?;
                desktop.case(into).await?;
                desktop.cases.say(into, Input::Absorb(&other), &actor, desktop.now)?;
                desktop.cases.say(id, Input::Merge { into }, &actor, desktop.now)?;
                desktop.case(into).await
            }
            .boxed()
        })
        .await
    }

    /// Links two incidents to each other.
    pub async fn link(
        &self,
        id: IncidentId,
        other: IncidentId,
        actor: &Actor,
    ) -> Result<Arc<Incident>, DeskError> {
        let actor = actor.clone();
        self.until_written(move |desktop| {
            let actor = actor.clone();
            async move {
                for (one, other) in [(id, other), (other, id)] {
                    desktop.case(one).await?;
                    desktop.cases.say(one, Input::Link { other }, &actor, desktop.now)?;
                }
                desktop.case(id).await
            }
            .boxed()
        })
        .await
    }
}

impl Desktop {
    async fn case(&mut self, id: IncidentId) -> Result<Arc<Incident>, DeskError> {
        let shelf = self.shelf();
        self.cases.get(&shelf, id).await?.ok_or(DeskError::UnknownIncident(id))
    }
}

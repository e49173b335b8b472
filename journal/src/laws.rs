//! What every journal must do, as checks that a new implementation is put through.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use runbook_journal::{Memory, Shelf, laws};
//! # async fn example() {
//! laws::hold(async || Arc::new(Memory::new()) as Arc<dyn Shelf>).await;
//! # }
//! ```

mod append;
mod change;
mod claim;
mod lock;
mod query;
mod shelf;

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use runbook_core::{
    Timestamp,
    event::{Actor, Body, Event, Record, RunId, Summary, genesis},
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{Batch, Shelf};

/// A journal that waits for ever breaks a law too.
const LONGEST: Duration = Duration::from_secs(60);

/// One law. The journal that it is checked on must be empty, and no other's.
#[derive(Clone, Copy)]
pub struct Law {
    pub name: &'static str,
    pub check: fn(Arc<dyn Shelf>) -> BoxFuture<'static, ()>,
}

impl fmt::Debug for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! laws {
    ($($subject:ident :: $law:ident,)*) => {
        &[$(Law {
            name: concat!(stringify!($subject), "::", stringify!($law)),
            check: |journal| Box::pin($subject::$law(journal)),
        },)*]
    };
}

/// All laws.
pub const ALL: &[Law] = laws![
    append::records_are_read_back_as_they_were_written,
    append::a_run_is_read_from_its_end,
    append::an_unknown_run_has_nothing,
    append::a_batch_that_comes_too_late_leaves_no_trace,
    append::one_of_many_wins_each_entry,
    append::a_batch_that_is_not_a_chain_is_refused_whole,
    append::a_batch_without_records_renews_the_summary,
    append::what_nobody_waits_for_is_there_whole_or_not_at_all,
    append::large_records_come_back,
    append::what_is_too_large_is_refused,
    append::runs_do_not_disturb_each_other,
    query::a_head_has_the_newest_summary,
    query::runs_come_newest_first,
    query::pages_follow_each_other,
    query::filters_narrow,
    query::lists_are_bounded,
    change::the_first_look_returns_at_once,
    change::an_append_wakes_all_who_wait,
    change::an_append_before_the_wait_is_noticed,
    change::a_mark_of_another_life_does_not_wait,
    change::no_append_is_slept_through,
    claim::a_claim_excludes_others,
    claim::a_dropped_claim_is_free,
    claim::never_two_hold_a_claim,
    claim::a_run_is_driven_through_its_claim,
    lock::a_lock_excludes_other_runs,
    lock::a_holder_lengthens_its_lease,
    lock::a_lease_that_has_ended_is_taken_over,
    lock::the_fence_grows_with_each_holder,
    lock::only_the_holder_unlocks,
    lock::one_of_many_gets_the_lock,
    lock::times_are_kept_to_the_nanosecond,
    shelf::a_document_comes_back_as_it_was_written,
    shelf::what_was_changed_meanwhile_is_not_overwritten,
    shelf::writes_are_done_all_or_none,
    shelf::one_of_many_creates_a_document,
    shelf::documents_come_by_time_in_pages,
    shelf::documents_are_found_by_state_and_parent,
    shelf::lists_and_writes_are_bounded,
    shelf::whatever_is_written_stirs,
];

/// Checks all laws, each on a journal of its own.
///
/// # Panics
/// With the names of the laws that do not hold.
pub async fn hold(fresh: impl AsyncFn() -> Arc<dyn Shelf>) {
    let mut broken = Vec::new();
    for law in ALL {
        let check = AssertUnwindSafe((law.check)(fresh().await)).catch_unwind();
        match timeout(LONGEST, check).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => broken.push(law.name.to_owned()),
            Err(_) => broken.push(format!("{} (still waiting after {LONGEST:?})", law.name)),
        }
    }
    assert!(broken.is_empty(), "laws that do not hold: {broken:#?}");
}

/// A run that is being told: the batches that make its chain.
#[derive(Debug, Clone)]
pub struct Story {
    pub run: RunId,
    pub summary: Summary,
    seq: u64,
    hash: String,
}

impl Story {
    /// The `number`th run: later numbers are newer runs.
    pub fn new(number: u128) -> Self {
        let run = RunId::new(Uuid::from_u128(number));
        let started_at = Timestamp::UNIX_EPOCH + Duration::from_secs(number as u64);
        let summary = Summary {
            runbook: "high-latency".to_owned(),
            environment: "production".to_owned(),
            simulated: false,
            status: "running".to_owned(),
            recovered: None,
            requested_by: "ada".to_owned(),
            incident: None,
            started_at,
            ended_at: None,
        };
        Self { run, summary, seq: 0, hash: genesis(run) }
    }

    /// Goes on from what a journal holds already.
    pub fn after(mut self, records: &[Record]) -> Self {
        if let Some(last) = records.last() {
            self.seq = last.seq;
            self.hash.clone_from(&last.hash);
        }
        self
    }

    /// How many entries have been told.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The next entries. Telling them moves the story on, whatever becomes of the batch.
    pub fn tell(&mut self, entries: usize) -> Batch {
        self.tell_at_length(entries, 0)
    }

    /// As `tell`, each entry at least as long as this many bytes.
    pub fn tell_at_length(&mut self, entries: usize, length: usize) -> Batch {
        let after = self.seq;
        let records = (0..entries).map(|_| self.next(length)).collect();
        Batch { run: self.run, after, records, summary: self.summary.clone() }
    }

    fn next(&mut self, length: usize) -> Record {
        self.seq += 1;
        let event = Event {
            seq: self.seq,
            at: self.summary.started_at + Duration::from_millis(self.seq),
            actor: Actor::engine(),
            body: Body::RunResumed { owner: format!("host-{}{}", self.seq, "x".repeat(length)) },
        };
        let record = Record::seal(&event, &self.hash).unwrap();
        self.hash.clone_from(&record.hash);
        record
    }
}

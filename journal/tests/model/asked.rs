//! What is asked of a journal and of its model, which is the journal in memory.

use std::collections::BTreeMap;

use proptest::prelude::*;
use runbook_core::{Timestamp, event::RunId};
use runbook_journal::{Batch, Journal, Memory, RunQuery, laws::Story};

const STATUSES: [&str; 3] = ["running", "waiting", "succeeded"];

#[derive(Debug, Clone)]
pub enum Asked {
    /// `back` makes the batch late by so many entries; `hole` leaves one out.
    Append {
        run: u128,
        entries: usize,
        back: u64,
        hole: bool,
        status: usize,
    },
    Read {
        run: u128,
        after: u64,
    },
    Runs {
        status: Option<usize>,
        since: Option<i64>,
        limit: usize,
    },
    Lock {
        target: u8,
        run: u128,
        now: i64,
        lease: i64,
    },
    Unlock {
        target: u8,
        run: u128,
    },
}

pub fn asked() -> impl Strategy<Value = Asked> {
    let run = 1..4u128;
    prop_oneof![
        5 => (run.clone(), 0..4usize, prop_oneof![4 => Just(0), 1 => 0..3u64], prop::bool::weighted(0.1), 0..3usize)
            .prop_map(|(run, entries, back, hole, status)| Asked::Append { run, entries, back, hole, status }),
        2 => (run.clone(), 0..9u64).prop_map(|(run, after)| Asked::Read { run, after }),
        2 => (prop::option::of(0..3usize), prop::option::of(0..5i64), 0..4usize)
            .prop_map(|(status, since, limit)| Asked::Runs { status, since, limit }),
        3 => (0..2u8, run.clone(), 0..20i64, -1..8i64)
            .prop_map(|(target, run, now, lease)| Asked::Lock { target, run, now, lease }),
        1 => (0..2u8, run).prop_map(|(target, run)| Asked::Unlock { target, run }),
    ]
}

/// Asks, and tells the answer so that answers can be compared.
async fn answer(journal: &dyn Journal, asked: &Asked, batch: Option<Batch>) -> String {
    let run = |number: u128| Story::new(number).run;
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    match asked {
        Asked::Append { .. } => format!("{:?}", journal.append(batch.unwrap()).await),
        Asked::Read { run: number, after } => {
            let read = journal.read(run(*number), *after).await;
            format!("{:?} {read:?}", journal.head(run(*number)).await)
        }
        Asked::Runs { status, since, limit } => {
            let status = status.map(|status| STATUSES[status].to_owned());
            let query = RunQuery { status, since: since.map(at), limit: *limit, ..RunQuery::default() };
            format!("{:?}", journal.runs(&query).await)
        }
        Asked::Lock { target, run: number, now, lease } => {
            let (target, now, until) = (format!("target {target}"), at(*now), at(now + lease));
            format!("{:?}", journal.lock(&target, run(*number), now, until).await)
        }
        Asked::Unlock { target, run: number } => {
            format!("{:?}", journal.unlock(&format!("target {target}"), run(*number)).await)
        }
    }
}

/// The batch that is asked for, and the story as it is if that is taken.
fn batch(stories: &BTreeMap<RunId, Story>, asked: &Asked) -> Option<(Batch, Story)> {
    let Asked::Append { run, entries, back, hole, status } = asked else { return None };
    let fresh = Story::new(*run);
    let mut story = stories.get(&fresh.run).cloned().unwrap_or(fresh);
    story.summary.status = STATUSES[*status].to_owned();
    let mut batch = story.tell(*entries);
    batch.after = batch.after.saturating_sub(*back);
    if *hole && batch.records.len() > 1 {
        batch.records.remove(0);
    }
    Some((batch, story))
}

/// Whatever is asked of both, the answers are the same.
pub async fn compare(journal: &dyn Journal, all: &[Asked]) -> Result<(), TestCaseError> {
    let memory = Memory::new();
    let mut stories: BTreeMap<RunId, Story> = BTreeMap::new();
    for asked in all {
        let told = batch(&stories, asked);
        let batch = told.as_ref().map(|(batch, _)| batch.clone());
        let expected = answer(&memory, asked, batch.clone()).await;
        let found = answer(journal, asked, batch).await;
        prop_assert_eq!(&found, &expected, "{:?}", asked);
        if let Some((_, story)) = told.filter(|_| expected == "Ok(())") {
            stories.insert(story.run, story);
        }
    }
    Ok(())
}

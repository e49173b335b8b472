//! Appending, and reading back.

use std::{collections::BTreeSet, sync::Arc};

use futures::{
    FutureExt as _,
    future::{join_all, poll_immediate},
};
use runbook_core::event::{Record, verify};

use super::Story;
use crate::{Batch, Journal, JournalError, LARGEST_BATCH};

pub(super) async fn records_are_read_back_as_they_were_written(journal: Arc<dyn Journal>) {
    let mut story = Story::new(1);
    let mut written = Vec::new();
    for entries in [1, 3, 1, 70, 2] {
        let batch = story.tell(entries);
        written.extend(batch.records.clone());
        journal.append(batch).await.unwrap();
    }
    assert_eq!(journal.read(story.run, 0).await.unwrap(), written);
    assert_eq!(journal.read(story.run, 4).await.unwrap(), written[4..]);
    for beyond in [77, 78, u64::MAX] {
        assert_eq!(journal.read(story.run, beyond).await.unwrap(), []);
    }
    assert_eq!(journal.head(story.run).await.unwrap(), Some(77));
    assert_eq!(verify(story.run, &written, 77), Ok(()));
}

pub(super) async fn a_run_is_read_from_its_end(journal: Arc<dyn Journal>) {
    let mut story = Story::new(1);
    journal.append(story.tell(40)).await.unwrap();
    // Another run's entries are not in between.
    journal.append(Story::new(2).tell(3)).await.unwrap();
    let all = journal.read(story.run, 0).await.unwrap();
    let mut found = Vec::new();
    let mut before = u64::MAX;
    loop {
        let page = journal.tail(story.run, before, 7).await.unwrap();
        assert!(page.len() <= 7);
        let Some(first) = page.first() else { break };
        before = first.seq;
        found.splice(0..0, page);
    }
    assert_eq!(found, all);
    for (before, limit, expected) in
        [(0, 7, 0..0), (1, 7, 0..0), (2, 7, 0..1), (41, 1, 39..40), (41, 0, 0..0), (99, 99, 0..40)]
    {
        let tail = journal.tail(story.run, before, limit).await.unwrap();
        assert_eq!(tail, all[expected.clone()], "{before}, {limit}");
    }
    assert_eq!(journal.tail(Story::new(3).run, u64::MAX, 7).await.unwrap(), []);
}

pub(super) async fn an_unknown_run_has_nothing(journal: Arc<dyn Journal>) {
    let mut known = Story::new(1);
    journal.append(known.tell(1)).await.unwrap();
    let unknown = Story::new(2).run;
    assert_eq!(journal.read(unknown, 0).await.unwrap(), []);
    assert_eq!(journal.head(unknown).await.unwrap(), None);
}

pub(super) async fn a_batch_that_comes_too_late_leaves_no_trace(journal: Arc<dyn Journal>) {
    let mut story = Story::new(1);
    let mut rival = story.clone();
    rival.summary.status = "rival".to_owned();
    let mut ahead = story.clone();
    let (first, late) = (story.tell(2), rival.tell(3));
    journal.append(first.clone()).await.unwrap();

    let refused = journal.append(late).await.unwrap_err();
    assert!(
        matches!(refused, JournalError::Moved { run, head: 2, expected: 0 } if run == story.run),
        "{refused:?}"
    );
    ahead.tell(5);
    let refused = journal.append(ahead.tell(1)).await.unwrap_err();
    assert!(matches!(refused, JournalError::Moved { head: 2, expected: 5, .. }), "{refused:?}");
    let mut unknown = Story::new(9);
    unknown.tell(4);
    let refused = journal.append(unknown.tell(1)).await.unwrap_err();
    assert!(matches!(refused, JournalError::Moved { head: 0, expected: 4, .. }), "{refused:?}");

    assert_eq!(journal.read(story.run, 0).await.unwrap(), first.records);
    let runs = journal.runs(&Default::default()).await.unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!((runs[0].seq, runs[0].summary.status.as_str()), (2, "running"));
}

/// Whoever is refused reads, and goes on from there: each entry is one appender's.
pub(super) async fn one_of_many_wins_each_entry(journal: Arc<dyn Journal>) {
    const APPENDERS: usize = 8;
    const ENTRIES: u64 = 40;
    let append = |appender: usize| {
        let journal = Arc::clone(&journal);
        async move {
            let mut won = Vec::new();
            loop {
                let records = journal.read(Story::new(1).run, 0).await.unwrap();
                let mut story = Story::new(1).after(&records);
                if story.seq() >= ENTRIES {
                    return won;
                }
                story.summary.requested_by = format!("appender {appender}");
                let seq = story.seq() + 1;
                match journal.append(story.tell(1)).await {
                    Ok(()) => won.push(seq),
                    Err(JournalError::Moved { head, expected, .. }) => assert!(head > expected),
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    };
    let appenders: Vec<_> = (0..APPENDERS).map(|appender| tokio::spawn(append(appender))).collect();
    let won: Vec<u64> = join_all(appenders).await.into_iter().flat_map(Result::unwrap).collect();
    let distinct: BTreeSet<u64> = won.iter().copied().collect();
    assert_eq!(distinct.len(), won.len(), "an entry was won twice: {won:?}");
    assert_eq!(distinct, (1..=ENTRIES).collect());
    let run = Story::new(1).run;
    assert_eq!(verify(run, &journal.read(run, 0).await.unwrap(), ENTRIES), Ok(()));
}

pub(super) async fn a_batch_that_is_not_a_chain_is_refused_whole(journal: Arc<dyn Journal>) {
    let mut story = Story::new(1);
    journal.append(story.tell(2)).await.unwrap();
    let good = story.tell(3);
    type Spoil = fn(&mut Batch);
    let broken: [(&str, u64, Spoil); 5] = [
        ("a gap", 5, |batch| drop(batch.records.remove(1))),
        ("a gap at the front", 4, |batch| drop(batch.records.remove(0))),
        ("an entry twice", 3, |batch| batch.records.insert(0, batch.records[0].clone())),
        ("changed bytes", 4, |batch| batch.records[1].bytes[20] ^= 1),
        ("a foreign beginning", 3, |batch| {
            let mut other = Story::new(2);
            other.tell(2);
            batch.records = other.tell(1).records;
        }),
    ];
    for (what, at, spoil) in broken {
        let mut batch = good.clone();
        spoil(&mut batch);
        let refused = journal.append(batch).await.unwrap_err();
        assert!(matches!(refused, JournalError::Refused { seq, .. } if seq == at), "{what}: {refused:?}");
        assert_eq!(journal.head(story.run).await.unwrap(), Some(2), "{what}");
    }
    let mut nonsense = good.clone();
    nonsense.records.truncate(1);
    nonsense.records[0].bytes = b"{}".to_vec();
    assert!(matches!(journal.append(nonsense).await, Err(JournalError::Refused { seq: 3, .. })));
    journal.append(good).await.unwrap();
    assert_eq!(journal.head(story.run).await.unwrap(), Some(5));
}

pub(super) async fn a_batch_without_records_renews_the_summary(journal: Arc<dyn Journal>) {
    let mut story = Story::new(1);
    journal.append(story.tell(0)).await.unwrap();
    assert_eq!(journal.head(story.run).await.unwrap(), None, "nothing makes no run");
    journal.append(story.tell(2)).await.unwrap();
    let before = journal.runs(&Default::default()).await.unwrap();
    story.summary.status = "waiting".to_owned();
    journal.append(story.tell(0)).await.unwrap();
    let after = journal.runs(&Default::default()).await.unwrap();
    assert_eq!(after[0].summary.status, "waiting");
    assert_eq!((after[0].seq, after[0].updated_at), (2, before[0].updated_at));
    let late = Batch { after: 1, ..story.tell(0) };
    assert!(matches!(journal.append(late).await, Err(JournalError::Moved { head: 2, expected: 1, .. })));
}

pub(super) async fn what_nobody_waits_for_is_there_whole_or_not_at_all(journal: Arc<dyn Journal>) {
    const RUNS: u128 = 30;
    for number in 1..=RUNS {
        let mut story = Story::new(number);
        let mut append = Box::pin(journal.append(story.tell(5)));
        // Dropped after as many polls as its number.
        for _ in 0..number % 4 {
            if poll_immediate(append.as_mut()).now_or_never().flatten().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    for number in 1..=RUNS {
        let run = Story::new(number).run;
        let records = journal.read(run, 0).await.unwrap();
        // It may still be under way, and come between the two looks.
        let head = journal.head(run).await.unwrap();
        assert!(matches!(records.len(), 0 | 5) && matches!(head, None | Some(5)), "{head:?}: {records:?}");
        assert!(head.unwrap_or(0) >= records.len() as u64);
        assert_eq!(verify(run, &records, records.len() as u64), Ok(()));
    }
}

pub(super) async fn large_records_come_back(journal: Arc<dyn Journal>) {
    let mut story = Story::new(1);
    let mut written: Vec<Record> = Vec::new();
    for length in [4_000, 70_000, 1_000_000, 2_500_000] {
        let batch = story.tell_at_length(2, length);
        written.extend(batch.records.clone());
        journal.append(batch).await.unwrap();
    }
    let read = journal.read(story.run, 0).await.unwrap();
    assert!(read == written, "large records came back changed");
}

pub(super) async fn what_is_too_large_is_refused(journal: Arc<dyn Journal>) {
    let mut story = Story::new(1);
    let mut batch = story.tell(1);
    batch.records[0].bytes = vec![b' '; LARGEST_BATCH + 1];
    let refused = journal.append(batch).await.unwrap_err();
    assert!(matches!(refused, JournalError::Refused { seq: 1, .. }), "{refused:?}");
    assert_eq!(journal.head(story.run).await.unwrap(), None);
}

pub(super) async fn runs_do_not_disturb_each_other(journal: Arc<dyn Journal>) {
    const RUNS: u128 = 64;
    let live = |number: u128| {
        let journal = Arc::clone(&journal);
        async move {
            let mut story = Story::new(number);
            for entries in [1, 2, 1, 3] {
                // A late rival in the same group must not spoil this batch, or any other's.
                let late = Batch { after: story.seq() + 7, ..story.clone().tell(0) };
                let (won, lost) = tokio::join!(journal.append(story.tell(entries)), journal.append(late));
                won.unwrap();
                assert!(matches!(lost, Err(JournalError::Moved { .. })), "{lost:?}");
            }
            story.run
        }
    };
    let runs = join_all((1..=RUNS).map(|number| tokio::spawn(live(number)))).await;
    for run in runs {
        let run = run.unwrap();
        assert_eq!(verify(run, &journal.read(run, 0).await.unwrap(), 7), Ok(()));
    }
    assert_eq!(journal.runs(&Default::default()).await.unwrap().len(), 64);
}

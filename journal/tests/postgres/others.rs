//! Several processes on one database.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use runbook_core::{Timestamp, event::verify};
use runbook_journal::{Document, Expect, Journal, JournalError, Mark, Shelf as _, Write, laws::Story};
use tokio::time::timeout;

use super::{EVER, database::Database};

#[tokio::test]
async fn what_another_appends_is_noticed_soon() {
    let Some(database) = Database::new().await else { return };
    let (one, other) = (database.open().await, database.open().await);
    // Neither this one, which has opened no line of its own, nor one that has, keeps it to itself.
    let with_line = database.open().await;
    let _claim = with_line.claim(Story::new(9).run).await.unwrap();
    let mut story = Story::new(1);
    for told in 0..6 {
        let writer = if told % 2 == 0 { &other } else { &with_line };
        let mut mark = one.changed(story.run, u64::MAX, Mark::default()).await.unwrap();
        writer.append(story.tell(1)).await.unwrap();
        let seen = async {
            while one.head(story.run).await.unwrap() < Some(told + 1) {
                mark = one.changed(story.run, told, mark).await.unwrap();
            }
            one.changed(story.run, told, mark).await.unwrap();
        };
        timeout(EVER, seen).await.unwrap();
    }
}

/// Each follower sees every entry, whoever appends it, and whatever happens to the connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_append_is_slept_through() {
    const ENTRIES: u64 = 60;
    let Some(database) = Database::new().await else { return };
    let run = Story::new(1).run;
    let mut followers = Vec::new();
    for _ in 0..2 {
        let journal = database.open().await;
        followers.push(tokio::spawn(async move {
            let (mut mark, mut seen) = (Mark::default(), 0);
            while seen < ENTRIES {
                mark = journal.changed(run, seen, mark).await.unwrap();
                seen += journal.read(run, seen).await.unwrap().len() as u64;
            }
        }));
    }
    let (one, other, sql) = (database.open().await, database.open().await, database.sql().await);
    let mut story = Story::new(1);
    for turn in 0..ENTRIES {
        let journal: &dyn Journal = if turn % 2 == 0 { &one } else { &other };
        journal.append(story.tell(1)).await.unwrap();
        if turn % 20 == 10 {
            sql.batch_execute("SELECT pg_terminate_backend(pid) FROM leases").await.unwrap();
        }
    }
    for follower in timeout(EVER, join_all(followers)).await.unwrap() {
        follower.unwrap();
    }
}

/// Thousands of runs may be waiting: what others do for one of them is not the news of all.
#[tokio::test]
async fn what_others_append_wakes_nobody_else() {
    let Some(database) = Database::new().await else { return };
    let (one, other) = (database.open().await, database.open().await);
    let waiting = Story::new(2).run;
    let mut mark = one.changed(waiting, 0, Mark::default()).await.unwrap();
    // What comes with the line being opened comes first.
    while let Ok(next) = timeout(Duration::from_secs(1), one.changed(waiting, 0, mark)).await {
        mark = next.unwrap();
    }
    let mut story = Story::new(1);
    let mut stirred = one.stirred(Mark::default()).await.unwrap();
    let mut woken = Box::pin(one.changed(waiting, 0, mark));
    for _ in 0..5 {
        other.append(story.tell(1)).await.unwrap();
        tokio::select! {
            biased;
            _ = &mut woken => panic!("woken for another run's entries"),
            next = timeout(EVER, one.stirred(stirred)) => stirred = next.unwrap().unwrap(),
        }
    }
}

#[tokio::test]
async fn documents_of_others_stir() {
    let Some(database) = Database::new().await else { return };
    let (one, other) = (database.open().await, database.open().await);
    let mut mark = one.stirred(Mark::default()).await.unwrap();
    while let Ok(next) = timeout(Duration::from_secs(1), one.stirred(mark)).await {
        mark = next.unwrap();
    }
    let document = Document {
        kind: "alert".to_owned(),
        id: "a".to_owned(),
        version: 0,
        at: Timestamp::UNIX_EPOCH,
        state: None,
        parent: None,
        body: Vec::new(),
    };
    other.write(vec![Write::Put { document, expect: Expect::New }]).await.unwrap();
    timeout(EVER, one.stirred(mark)).await.unwrap().unwrap();
    assert!(one.document("alert", "a").await.unwrap().is_some());
}

#[tokio::test]
async fn locks_hold_against_others() {
    let Some(database) = Database::new().await else { return };
    let (one, other) = (database.open().await, database.open().await);
    let (mine, theirs) = (Story::new(1).run, Story::new(2).run);
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let first = one.lock("target", mine, at(0), at(10)).await.unwrap();
    let refused = other.lock("target", theirs, at(5), at(15)).await.unwrap_err();
    assert!(matches!(refused, JournalError::Locked { run, .. } if run == mine), "{refused:?}");
    one.unlock("target", mine).await.unwrap();
    assert!(other.lock("target", theirs, at(5), at(15)).await.unwrap() > first);
}

/// Whoever is refused reads, and goes on from there: each entry is one replica's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_tell_one_run_win_each_entry_once() {
    const ENTRIES: u64 = 60;
    let Some(database) = Database::new().await else { return };
    let mut replicas = Vec::new();
    for number in 0..3 {
        let journal = Arc::new(database.open().await);
        replicas.push(tokio::spawn(async move {
            let mut won = Vec::new();
            loop {
                let records = journal.read(Story::new(1).run, 0).await.unwrap();
                let mut story = Story::new(1).after(&records);
                if story.seq() >= ENTRIES {
                    return won;
                }
                story.summary.requested_by = format!("replica {number}");
                match journal.append(story.tell(1)).await {
                    Ok(()) => won.push(story.seq()),
                    Err(JournalError::Moved { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        }));
    }
    let mut won: Vec<u64> = join_all(replicas).await.into_iter().flat_map(Result::unwrap).collect();
    won.sort();
    assert_eq!(won, (1..=ENTRIES).collect::<Vec<_>>());
    let run = Story::new(1).run;
    assert_eq!(verify(run, &database.open().await.read(run, 0).await.unwrap(), ENTRIES), Ok(()));
}

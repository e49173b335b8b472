//! Several users of one database at once.

use std::{fs, sync::Arc, time::Duration};

use runbook_core::{Timestamp, event::verify};
use runbook_journal::{Journal, JournalError, Mark, Sqlite, laws::Story};
use rusqlite::Connection;
use tempfile::tempdir;
use tokio::time::timeout;

/// Long enough for anything that ever comes.
const EVER: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_another_appends_is_noticed() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (one, other) = (Sqlite::open(&path).await.unwrap(), Sqlite::open(&path).await.unwrap());
    let reader = Sqlite::open_read_only(&path).await.unwrap();
    let mut story = Story::new(1);
    for told in 0..5 {
        let here = one.changed(story.run, u64::MAX, Mark::default()).await.unwrap();
        let beside = reader.changed(story.run, u64::MAX, Mark::default()).await.unwrap();
        let appended = other.append(story.tell(1));
        let both = async {
            tokio::join!(one.changed(story.run, told, here), reader.changed(story.run, told, beside))
        };
        let (appended, (seen, read)) = timeout(EVER, async { tokio::join!(appended, both) }).await.unwrap();
        appended.unwrap();
        seen.unwrap();
        read.unwrap();
        assert_eq!(one.head(story.run).await.unwrap(), Some(told + 1));
        assert_eq!(reader.head(story.run).await.unwrap(), Some(told + 1));
    }
}

#[tokio::test]
async fn what_another_appended_before_the_wait_is_noticed() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (one, other) = (Sqlite::open(&path).await.unwrap(), Sqlite::open(&path).await.unwrap());
    let mut story = Story::new(1);
    for told in 0..5 {
        let mark = one.changed(story.run, u64::MAX, Mark::default()).await.unwrap();
        other.append(story.tell(1)).await.unwrap();
        // An append of its own in between must not hide the other's.
        one.append(Story::new(10 + u128::from(told)).tell(1)).await.unwrap();
        timeout(EVER, one.changed(story.run, told, mark)).await.unwrap().unwrap();
    }
}

/// Thousands of runs may be waiting: what this process does for one of them is not the others' news.
#[tokio::test]
async fn own_appends_wake_nobody_else() {
    let folder = tempdir().unwrap();
    let journal = Arc::new(Sqlite::open(&folder.path().join("journal.db")).await.unwrap());
    let waiting = Story::new(2).run;
    let mark = journal.changed(waiting, 0, Mark::default()).await.unwrap();
    let busy = {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move {
            let mut story = Story::new(1);
            loop {
                journal.append(story.tell(1)).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    };
    let woken = timeout(Duration::from_millis(400), journal.changed(waiting, 0, mark)).await;
    busy.abort();
    assert!(woken.is_err(), "woken for another run's entries");
}

#[tokio::test]
async fn a_claim_holds_against_other_handles() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (one, other) = (Sqlite::open(&path).await.unwrap(), Sqlite::open(&path).await.unwrap());
    let run = Story::new(1).run;
    let claim = one.claim(run).await.unwrap();
    assert!(matches!(other.claim(run).await, Err(JournalError::Claimed { .. })));
    drop(claim);
    drop(other.claim(run).await.unwrap());
    let left = fs::metadata(folder.path().join("journal.db-claims")).unwrap().len();
    assert_eq!(left, 0, "claims leave something behind");
}

#[tokio::test]
async fn a_lock_holds_against_other_handles() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (one, other) = (Sqlite::open(&path).await.unwrap(), Sqlite::open(&path).await.unwrap());
    let (mine, theirs) = (Story::new(1).run, Story::new(2).run);
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let first = one.lock("target", mine, at(0), at(10)).await.unwrap();
    let refused = other.lock("target", theirs, at(5), at(15)).await.unwrap_err();
    assert!(matches!(refused, JournalError::Locked { run, .. } if run == mine), "{refused:?}");
    one.unlock("target", mine).await.unwrap();
    let second = other.lock("target", theirs, at(5), at(15)).await.unwrap();
    assert!(second > first);
}

#[tokio::test]
async fn both_go_on_from_each_other() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (one, other) = (Sqlite::open(&path).await.unwrap(), Sqlite::open(&path).await.unwrap());
    let mut story = Story::new(1);
    for turn in 0..20 {
        let journal = if turn % 2 == 0 { &one } else { &other };
        let mut late = story.clone();
        journal.append(story.tell(2)).await.unwrap();
        let refused = one.append(late.tell(1)).await.unwrap_err();
        assert!(matches!(refused, JournalError::Moved { head, .. } if head == story.seq()), "{refused:?}");
    }
    assert_eq!(verify(story.run, &other.read(story.run, 0).await.unwrap(), 40), Ok(()));
}

#[tokio::test]
async fn who_keeps_the_database_locked_is_not_waited_for_for_ever() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Sqlite::open(&path).await.unwrap();
    let mut story = Story::new(1);
    let batch = story.tell(1);
    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = timeout(EVER, journal.append(batch.clone())).await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("locked for too long"), "{refused}");
    holder.execute_batch("ROLLBACK").unwrap();
    journal.append(batch).await.unwrap();
}

/// What goes into a file that has been replaced is lost, however well it is synced.
#[tokio::test]
async fn a_file_that_was_replaced_is_not_written() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Sqlite::open(&path).await.unwrap();
    let mut story = Story::new(1);
    journal.append(story.tell(1)).await.unwrap();
    fs::rename(&path, folder.path().join("away.db")).unwrap();
    let refused = journal.append(story.clone().tell(1)).await.unwrap_err();
    assert!(refused.to_string().contains("has gone"), "{refused}");
    fs::write(&path, "").unwrap();
    let refused = journal.append(story.clone().tell(1)).await.unwrap_err();
    assert!(refused.to_string().contains("replaced"), "{refused}");
    fs::rename(folder.path().join("away.db"), &path).unwrap();
    journal.append(story.tell(1)).await.unwrap();
}

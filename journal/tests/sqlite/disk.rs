//! A disk that is full.

use std::fs;

use runbook_core::Timestamp;
use runbook_journal::{Journal as _, JournalError, RunQuery, Sqlite, laws::Story};
use tempfile::tempdir;

use super::{expect_whole, places};

#[tokio::test]
async fn nothing_acknowledged_is_lost_on_a_full_disk() {
    let folder = tempdir().unwrap();
    let Some(_disk) = places::small_disk(folder.path(), "2m") else { return };
    let path = folder.path().join("journal.db");
    let ballast = folder.path().join("ballast");
    fs::write(&ballast, vec![7; 1_000_000]).unwrap();
    let journal = Sqlite::open(&path).await.unwrap();
    let mut story = Story::new(1);
    let mut acknowledged = 0;
    let refused = loop {
        let mut next = story.clone();
        match journal.append(next.tell_at_length(1, 9_000)).await {
            Ok(()) => {
                story = next;
                acknowledged += 1;
            }
            Err(refused) => break refused,
        }
        assert!(acknowledged < 1_000, "the disk never filled");
    };
    assert!(matches!(refused, JournalError::Full { .. }), "{refused:?}");
    assert!(refused.hint().is_some());
    assert!(acknowledged > 10, "full after {acknowledged}");

    // While it is full: all can be read, and it goes on saying why it cannot be written.
    expect_whole(&journal, &story, acknowledged).await;
    assert_eq!(journal.runs(&RunQuery::default()).await.unwrap().len(), 1);
    let refused = journal.append(story.clone().tell_at_length(2, 200_000)).await.unwrap_err();
    assert!(matches!(refused, JournalError::Full { .. }), "{refused:?}");

    // Once there is room again, it goes on where it was.
    fs::remove_file(&ballast).unwrap();
    for _ in 0..5 {
        journal.append(story.tell_at_length(1, 9_000)).await.unwrap();
    }
    journal.lock("target", story.run, Timestamp::UNIX_EPOCH, Timestamp::MAX).await.unwrap();
    expect_whole(&journal, &story, acknowledged + 5).await;
    journal.close().await;
    let journal = Sqlite::open(&path).await.unwrap();
    expect_whole(&journal, &story, acknowledged + 5).await;
    assert_eq!(journal.head(story.run).await.unwrap(), Some(acknowledged + 5));
}

#[tokio::test]
async fn a_full_disk_is_named_when_a_database_is_created() {
    let folder = tempdir().unwrap();
    let Some(_disk) = places::small_disk(folder.path(), "256k") else { return };
    // Writes what fits, then fails.
    assert!(fs::write(folder.path().join("ballast"), vec![7; 1_000_000]).is_err());
    let refused = Sqlite::open(&folder.path().join("journal.db")).await.unwrap_err();
    assert!(matches!(refused, JournalError::Full { .. }), "{refused:?}");
    fs::remove_file(folder.path().join("ballast")).unwrap();
    let journal = Sqlite::open(&folder.path().join("journal.db")).await.unwrap();
    journal.append(Story::new(1).tell(1)).await.unwrap();
}

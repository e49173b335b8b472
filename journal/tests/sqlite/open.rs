//! What is found where a journal should be.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path};

use runbook_core::Timestamp;
use runbook_journal::{Journal, JournalError, Mark, RunQuery, Shelf as _, Sqlite, laws::Story};
use rusqlite::Connection;
use tempfile::tempdir;

use super::{expect_whole, places, written};

#[tokio::test]
async fn a_new_database_is_for_its_owner_alone() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("state/runbook/journal.db");
    let journal = Sqlite::open(&path).await.unwrap();
    journal.append(Story::new(1).tell(1)).await.unwrap();
    let _claim = journal.claim(Story::new(1).run).await.unwrap();
    assert_eq!(journal.durability(), "sqlite, WAL, synchronous=FULL");
    let mut modes = BTreeMap::new();
    for name in ["", "journal.db", "journal.db-wal", "journal.db-shm", "journal.db-claims"] {
        let found = fs::metadata(path.with_file_name(name)).unwrap();
        modes.insert(name, found.permissions().mode() & 0o777);
    }
    let expected = [
        ("", 0o700),
        ("journal.db", 0o600),
        ("journal.db-shm", 0o600),
        ("journal.db-wal", 0o600),
        ("journal.db-claims", 0o600),
    ];
    assert_eq!(modes, BTreeMap::from(expected));
}

#[tokio::test]
async fn what_was_written_is_there_again() {
    let folder = tempdir().unwrap();
    // Names that SQLite would take for something else.
    for name in ["journal.db", ":memory:", "file:odd?mode=memory", "sp ace%20#ü.db"] {
        let path = folder.path().join(name);
        let story = written(&path, 3).await;
        let journal = Sqlite::open(&path).await.unwrap();
        expect_whole(&journal, &story, 3).await;
        journal.close().await;
        let journal = Sqlite::open_read_only(&path).await.unwrap();
        expect_whole(&journal, &story, 3).await;
    }
}

#[tokio::test]
async fn once_closed_it_says_so() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Sqlite::open(&path).await.unwrap();
    let mut story = Story::new(1);
    journal.append(story.tell(1)).await.unwrap();
    journal.close().await;
    journal.close().await;
    assert!(!path.with_file_name("journal.db-wal").exists(), "the log is not in the main file yet");
    for refused in
        [journal.append(story.tell(1)).await.unwrap_err(), journal.read(story.run, 0).await.unwrap_err()]
    {
        assert!(refused.to_string().contains("closed"), "{refused}");
    }
}

#[tokio::test]
async fn what_is_not_a_journal_is_left_alone() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    written(&path("newer.db"), 1).await;
    Connection::open(path("newer.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    Connection::open(path("empty but newer.db")).unwrap().pragma_update(None, "user_version", 7).unwrap();
    fs::write(path("text.db"), "not a database, but long enough to be looked at".repeat(40)).unwrap();
    let foreign = "CREATE TABLE tickets (id INTEGER); PRAGMA user_version = 99";
    Connection::open(path("foreign.db")).unwrap().execute_batch(foreign).unwrap();
    fs::create_dir(path("folder.db")).unwrap();
    let cases = [
        ("newer.db", "newer version of runbook (schema 99, this one knows 2)"),
        ("empty but newer.db", "newer version of runbook (schema 7, this one knows 2)"),
        ("text.db", "not a SQLite database"),
        ("foreign.db", "belongs to another program"),
        ("folder.db", "not a file"),
    ];
    for (name, expected) in cases {
        let before = fs::read(path(name)).ok();
        for refused in [
            Sqlite::open(&path(name)).await.unwrap_err(),
            Sqlite::open_read_only(&path(name)).await.unwrap_err(),
        ] {
            assert!(refused.to_string().contains(expected), "{name}: {refused}");
            assert!(refused.to_string().contains(name), "{name}: {refused}");
            assert!(refused.hint().is_some(), "{name}");
        }
        assert_eq!(fs::read(path(name)).ok(), before, "{name} was changed");
        assert!(!path(&format!("{name}-wal")).exists(), "{name} got a log");
    }
    let missing = Sqlite::open_read_only(&path("missing.db")).await.unwrap_err();
    assert!(matches!(missing, JournalError::Unusable { .. }), "{missing:?}");
    assert!(!path("missing.db").exists());
    let below_a_file = Sqlite::open(&path("text.db/journal.db")).await.unwrap_err();
    assert!(matches!(below_a_file, JournalError::Unusable { .. }), "{below_a_file:?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let story = written(&path, 5).await;
    let Some(_frozen) = places::frozen_folder(folder.path()) else { return };
    let before = names(folder.path());
    let journal = Sqlite::open(&path).await.unwrap();
    expect_read_only(&journal, &story).await;
    assert_eq!(names(folder.path()), before, "something was left beside it");
    let new = Sqlite::open(&folder.path().join("new.db")).await.unwrap_err();
    assert!(matches!(new, JournalError::ReadOnly { .. }), "{new:?}");
    let deep = Sqlite::open(&folder.path().join("a/b/new.db")).await.unwrap_err();
    assert!(matches!(deep, JournalError::ReadOnly { .. }), "{deep:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let story = written(&path, 5).await;
    let Some(_frozen) = places::frozen_file(&path) else { return };
    let journal = Sqlite::open(&path).await.unwrap();
    expect_read_only(&journal, &story).await;
    assert_eq!(names(folder.path()), ["journal.db"], "something was left beside it");
}

pub async fn expect_read_only(journal: &Sqlite, story: &Story) {
    expect_whole(journal, story, story.seq()).await;
    let runs = journal.runs(&RunQuery::default()).await.unwrap();
    assert_eq!(runs.iter().map(|head| (head.run, head.seq)).collect::<Vec<_>>(), [(story.run, story.seq())]);
    journal.changed(story.run, 0, Mark::default()).await.unwrap();
    assert_eq!(journal.durability(), "sqlite, read-only");
    let (run, now) = (story.run, Timestamp::UNIX_EPOCH);
    for refused in [
        journal.append(story.clone().tell(1)).await.map(|()| 0),
        journal.lock("target", run, now, now).await,
        journal.unlock("target", run).await.map(|()| 0),
        journal.claim(run).await.map(|_| 0),
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, JournalError::ReadOnly { .. }), "{refused:?}");
        assert!(refused.hint().is_some());
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What an older version has written is taken along: its runs are there, and documents can be kept.
#[tokio::test]
async fn an_older_schema_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("older.db");
    written(&path, 3).await;
    let older = "DROP TABLE documents; PRAGMA user_version = 1";
    Connection::open(&path).unwrap().execute_batch(older).unwrap();
    let refused = Sqlite::open_read_only(&path).await.unwrap_err();
    assert!(refused.to_string().contains("its schema is older"), "{refused}");
    let journal = Sqlite::open(&path).await.unwrap();
    assert_eq!(journal.runs(&RunQuery::default()).await.unwrap()[0].seq, 3);
    assert_eq!(journal.document("alert", "a").await.unwrap(), None);
}

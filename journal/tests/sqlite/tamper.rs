//! What was changed behind the journal's back is given back as it is, and found by verification.

use std::{fs, path::Path};

use futures::future::join_all;
use runbook_core::event::{Broken, Record, verify};
use runbook_journal::{Journal as _, JournalError, Sqlite, laws::Story};
use rusqlite::Connection;
use tempfile::tempdir;

use super::written;

const ENTRIES: u64 = 12;

#[tokio::test]
async fn one_bit_in_the_file_is_found_at_its_entry() {
    for touched in [1, 2, 7, ENTRIES] {
        let folder = tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let story = written(&path, ENTRIES as usize).await;
        flip(&path, format!("\"host-{touched}\"").as_bytes());
        let (records, head) = read(&path, &story).await;
        assert_eq!(records.len() as u64, ENTRIES);
        assert_eq!(verify(story.run, &records, head), Err(Broken::Changed { seq: touched }));
    }
}

#[tokio::test]
async fn rows_that_were_changed_or_dropped_are_found() {
    let cases: [(&str, Broken); 8] = [
        ("UPDATE records SET bytes = x'7b7d' WHERE seq = 5", Broken::Changed { seq: 5 }),
        ("UPDATE records SET bytes = x'' WHERE seq = 5", Broken::Changed { seq: 5 }),
        ("UPDATE records SET hash = CAST(x'ff00fe' AS TEXT) WHERE seq = 5", Broken::Changed { seq: 5 }),
        ("UPDATE records SET seq = 99 WHERE seq = 5", Broken::Missing { seq: 5 }),
        ("UPDATE records SET seq = -5 WHERE seq = 5", Broken::Missing { seq: 5 }),
        ("DELETE FROM records WHERE seq = 1", Broken::Missing { seq: 1 }),
        ("DELETE FROM records WHERE seq = 12", Broken::Missing { seq: 12 }),
        ("DELETE FROM records", Broken::Missing { seq: 1 }),
    ];
    for (sql, expected) in cases {
        let folder = tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let story = written(&path, ENTRIES as usize).await;
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let (records, head) = read(&path, &story).await;
        assert_eq!(verify(story.run, &records, head), Err(expected), "{sql}");
    }
}

/// A run whose rows do not fit each other cannot go on; those that share its commits can.
#[tokio::test]
async fn a_damaged_run_does_not_hold_up_others() {
    let cases = [
        "INSERT INTO records SELECT num, seq + 1, x'00', '' FROM runs",
        "UPDATE runs SET hash = CAST(x'ff' AS TEXT)",
    ];
    for sql in cases {
        let folder = tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let mut damaged = written(&path, 3).await;
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let journal = Sqlite::open(&path).await.unwrap();
        let mut sound: Vec<Story> = (2..10).map(Story::new).collect();
        let batches: Vec<_> =
            std::iter::once(damaged.tell(1)).chain(sound.iter_mut().map(|story| story.tell(2))).collect();
        let outcomes = join_all(batches.into_iter().map(|batch| journal.append(batch))).await;
        let refused = outcomes[0].as_ref().unwrap_err();
        assert!(
            matches!(refused, JournalError::Damaged { seq: 4, .. } | JournalError::Refused { seq: 4, .. }),
            "{sql}: {refused:?}"
        );
        for (story, outcome) in sound.iter().zip(&outcomes[1..]) {
            assert!(outcome.is_ok(), "{sql}: {outcome:?}");
            assert_eq!(journal.head(story.run).await.unwrap(), Some(2));
        }
    }
}

#[tokio::test]
async fn a_summary_that_cannot_be_read_names_its_run() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let story = written(&path, 3).await;
    Connection::open(&path).unwrap().execute_batch("UPDATE runs SET summary = '{'").unwrap();
    let journal = Sqlite::open(&path).await.unwrap();
    let refused = journal.runs(&Default::default()).await.unwrap_err();
    assert!(matches!(refused, JournalError::Damaged { run, .. } if run == story.run), "{refused:?}");
}

#[tokio::test]
async fn a_damaged_file_is_told_from_a_damaged_entry() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let story = written(&path, 200).await;
    let mut bytes = fs::read(&path).unwrap();
    // All pages but the first, which has the schema.
    bytes[4096..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let journal = Sqlite::open(&path).await.unwrap();
    for refused in [
        journal.read(story.run, 0).await.map(|_| ()),
        journal.append(story.clone().tell(1)).await,
        journal.runs(&Default::default()).await.map(|_| ()),
    ] {
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains("damaged"), "{refused}");
    }
}

/// Pages that were split may keep a copy in what is free: all are touched.
fn flip(path: &Path, text: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let found: Vec<usize> =
        (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    assert!(!found.is_empty());
    for at in found {
        bytes[at + 2] ^= 1;
    }
    fs::write(path, bytes).unwrap();
}

async fn read(path: &Path, story: &Story) -> (Vec<Record>, u64) {
    let journal = Sqlite::open(path).await.unwrap();
    let records = journal.read(story.run, 0).await.unwrap();
    (records, journal.head(story.run).await.unwrap().unwrap())
}

//! The journal in SQLite, against what happens to files, disks and processes.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a failed test says enough by panicking")]

#[path = "../model/asked.rs"]
mod asked;
mod crash;
mod disk;
mod model;
mod open;
mod others;
mod places;
mod tamper;

use std::path::Path;

use runbook_core::event::verify;
use runbook_journal::{Journal as _, Sqlite, laws::Story};

/// A database with one run of so many entries, closed properly.
async fn written(path: &Path, entries: usize) -> Story {
    let journal = Sqlite::open(path).await.unwrap();
    let mut story = Story::new(1);
    for _ in 0..entries {
        journal.append(story.tell(1)).await.unwrap();
    }
    journal.close().await;
    story
}

/// Proves that a run has at least so many entries, and that none was changed or dropped.
async fn expect_whole(journal: &Sqlite, story: &Story, at_least: u64) {
    let head = journal.head(story.run).await.unwrap().unwrap_or(0);
    let records = journal.read(story.run, 0).await.unwrap();
    assert!(head >= at_least, "entry {at_least} of {} was acknowledged, {head} is the last", story.run);
    assert_eq!(verify(story.run, &records, head), Ok(()));
}

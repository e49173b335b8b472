//! The journal in PostgreSQL, against what happens to connections, servers and processes.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

#[path = "../model/asked.rs"]
mod asked;
mod claims;
mod database;
mod faults;
mod laws;
mod model;
mod open;
mod others;
mod proxy;

use std::time::Duration;

use runbook_core::event::verify;
use runbook_journal::{Journal as _, Postgres, laws::Story};

use self::database::Database;

/// As if nobody had ever used it: a new database each would make the server sync all that it has.
async fn clear(database: &Database) {
    const CLEAR: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid(); DROP SCHEMA IF EXISTS runbook CASCADE";
    database.sql().await.batch_execute(CLEAR).await.unwrap();
}

/// Long enough for anything that ever comes.
const EVER: Duration = Duration::from_secs(60);

/// The run is there to the end, and its chain holds.
async fn expect_whole(journal: &Postgres, story: &Story, at_least: u64) {
    let records = journal.read(story.run, 0).await.unwrap();
    let head = journal.head(story.run).await.unwrap().unwrap_or_default();
    assert!(head >= at_least, "{head} of {at_least} entries");
    assert_eq!(verify(story.run, &records, head), Ok(()));
}

//! This journal obeys the laws.

use std::sync::Arc;

use runbook_journal::{Shelf, laws};

use super::{clear, database::Database};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_two_threads() {
    hold().await;
}

/// As the engine's tests run it: with a single thread, where whoever spins holds up all others.
#[tokio::test]
async fn on_one_thread() {
    hold().await;
}

async fn hold() {
    let Some(database) = Database::new().await else { return };
    laws::hold(async || {
        clear(&database).await;
        Arc::new(database.open().await) as Arc<dyn Shelf>
    })
    .await;
}

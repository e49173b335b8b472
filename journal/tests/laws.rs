//! The journals that need no server obey the laws.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use runbook_journal::{Memory, Shelf, Sqlite, laws};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    laws::hold(async || Arc::new(Memory::new()) as Arc<dyn Shelf>).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let opened = AtomicUsize::new(0);
    laws::hold(async || {
        let name = format!("{}.db", opened.fetch_add(1, Ordering::Relaxed));
        Arc::new(Sqlite::open(&folder.path().join(name)).await.unwrap()) as Arc<dyn Shelf>
    })
    .await;
}

/// As the engine's tests run it: with a single thread, where whoever spins holds up all others.
#[tokio::test]
async fn sqlite_on_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let opened = AtomicUsize::new(0);
    laws::hold(async || {
        let name = format!("{}.db", opened.fetch_add(1, Ordering::Relaxed));
        Arc::new(Sqlite::open(&folder.path().join(name)).await.unwrap()) as Arc<dyn Shelf>
    })
    .await;
}

//! The journals that need no server obey the laws, and so does one with an observer.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use runbook_journal::{Batch, Journal as _, Memory, Observed, Observer, Shelf, Sqlite, Write, laws};

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

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<(u64, usize)>>);

impl Observer for Seen {
    fn committed(&self, batches: Vec<Batch>, _: Duration) {
        self.0.lock().unwrap().extend(batches.iter().map(|batch| (batch.after, batch.records.len())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observed() {
    laws::hold(async || {
        Arc::new(Observed::new(Arc::new(Memory::new()), Arc::new(Seen::default()))) as Arc<dyn Shelf>
    })
    .await;
}

#[tokio::test]
async fn an_observer_is_told_what_was_committed_and_nothing_else() {
    let seen = Arc::new(Seen::default());
    let journal = Observed::new(Arc::new(Memory::new()), seen.clone());
    let mut story = laws::Story::new(1);
    let (first, second, third, fourth) = (story.tell(2), story.tell(1), story.tell(1), story.tell(3));
    journal.append(first.clone()).await.unwrap();
    journal.append(first).await.unwrap_err();
    journal.append_all(vec![second, third]).await.unwrap();
    journal.write(vec![Write::Append(fourth)]).await.unwrap();
    assert_eq!(*seen.0.lock().unwrap(), [(0, 2), (2, 1), (3, 1), (4, 3)]);
}

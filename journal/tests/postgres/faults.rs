//! Connections that break in the middle of something.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use runbook_core::{Timestamp, event::verify};
use runbook_journal::{
    Batch, Document, Expect, Journal as _, JournalError, Postgres, Shelf as _, Write, laws::Story,
};

use super::{
    database::Database,
    expect_whole,
    proxy::{Cut, Proxy},
};

fn document(id: &str) -> Document {
    Document {
        kind: "alert".to_owned(),
        id: id.to_owned(),
        version: 0,
        at: Timestamp::UNIX_EPOCH,
        state: None,
        parent: None,
        body: b"{}".to_vec(),
    }
}

fn put(id: &str, expect: Expect) -> Write {
    Write::Put { document: document(id), expect }
}

/// A batch that can be told from all others on its way.
fn marked(story: &mut Story, entries: usize, mark: &str) -> Batch {
    story.summary.requested_by = mark.to_owned();
    story.tell(entries)
}

#[tokio::test]
async fn an_append_whose_answer_is_lost_is_done_once() {
    let Some(database) = Database::new().await else { return };
    let proxy = Proxy::before(&database).await;
    let journal = Postgres::open(proxy.address()).await.unwrap();
    let mut story = Story::new(1);
    let mut cuts = 0;
    // The first batch makes the run, the others find it.
    for (turn, cut) in [Cut::Answer, Cut::Question, Cut::Answer, Cut::Question].into_iter().enumerate() {
        let mark = format!("mark-{turn}");
        proxy.cut(&mark, cut);
        journal.append(marked(&mut story, 2, &mark)).await.unwrap();
        cuts += 1;
        assert_eq!(proxy.cuts(), cuts, "the connection was not cut");
        expect_whole(&journal, &story, story.seq()).await;
        assert_eq!(journal.head(story.run).await.unwrap(), Some(story.seq()));
    }
    // The same batch again is somebody else's too late, whatever was lost before.
    let again = Story::new(1).tell(1);
    assert!(matches!(journal.append(again).await, Err(JournalError::Moved { expected: 0, .. })));
}

/// While the answer is on its way, another goes on from there: it was done all the same.
#[tokio::test]
async fn an_append_that_was_refused_is_not_taken_for_one_that_landed() {
    let Some(database) = Database::new().await else { return };
    let proxy = Proxy::before(&database).await;
    let (here, there) = (Postgres::open(proxy.address()).await.unwrap(), database.open().await);
    let mut story = Story::new(1);
    here.append(story.tell(1)).await.unwrap();
    let mut rival = story.clone();
    rival.summary.runbook = "rival".to_owned();
    let batch = marked(&mut story, 1, "lost-question");
    there.append(rival.tell_at_length(2, 10)).await.unwrap();
    proxy.cut("lost-question", Cut::Question);
    let refused = here.append(batch).await.unwrap_err();
    assert!(matches!(refused, JournalError::Moved { head: 3, expected: 1, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_done_once() {
    let Some(database) = Database::new().await else { return };
    let proxy = Proxy::before(&database).await;
    let journal = Postgres::open(proxy.address()).await.unwrap();
    let mut story = Story::new(1);
    for (turn, cut) in [Cut::Answer, Cut::Question, Cut::Answer].into_iter().enumerate() {
        proxy.cut("COMMIT", cut);
        let new = format!("new-{turn}");
        let writes =
            vec![put("counted", Expect::Anything), put(&new, Expect::New), Write::Append(story.tell(1))];
        journal.write(writes).await.unwrap();
        assert_eq!(proxy.cuts(), turn + 1, "the connection was not cut");
        let counted = journal.document("alert", "counted").await.unwrap().unwrap();
        assert_eq!(counted.version, turn as u64 + 1);
        expect_whole(&journal, &story, story.seq()).await;
    }
}

/// All connections are ended again and again: whatever is acknowledged is there, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_ended_lose_and_double_nothing() {
    const WRITERS: u128 = 6;
    const BATCHES: u64 = 60;
    let Some(database) = Database::new().await else { return };
    let journal = Arc::new(database.open().await);
    let sql = database.sql().await;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let ending = tokio::spawn(async move {
        while counted.load(Ordering::Relaxed) < 200 {
            let rows = sql
                .query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                     AND datname = current_database() AND state = 'active' LIMIT 3",
                    &[],
                )
                .await
                .unwrap();
            counted.fetch_add(rows.len(), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
    });
    let write = |number: u128| {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move {
            let (mut story, id) = (Story::new(number), format!("counted-{number}"));
            for turn in 0..BATCHES {
                if turn % 3 == 0 {
                    let writes = vec![put(&id, Expect::Anything), Write::Append(story.tell(1))];
                    journal.write(writes).await.unwrap();
                } else {
                    journal.append(story.tell(1 + turn as usize % 2)).await.unwrap();
                }
            }
            (story, id)
        })
    };
    let written = join_all((1..=WRITERS).map(write)).await;
    ending.abort();
    assert!(count.load(Ordering::Relaxed) > 0, "no connection was ended in the middle");
    for written in written {
        let (story, id) = written.unwrap();
        assert_eq!(journal.head(story.run).await.unwrap(), Some(story.seq()));
        let records = journal.read(story.run, 0).await.unwrap();
        assert_eq!(verify(story.run, &records, story.seq()), Ok(()));
        assert_eq!(journal.document("alert", &id).await.unwrap().unwrap().version, BATCHES / 3);
    }
}

/// Two who write the same documents the other way round come to an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_cross_do_not_wait_for_each_other() {
    let Some(database) = Database::new().await else { return };
    let (one, other) = (Arc::new(database.open().await), Arc::new(database.open().await));
    let write = |journal: &Arc<Postgres>, ids: [&'static str; 3]| {
        let journal = Arc::clone(journal);
        tokio::spawn(async move {
            for _ in 0..40 {
                journal.write(ids.map(|id| put(id, Expect::Anything)).to_vec()).await.unwrap();
            }
        })
    };
    let (forth, back) = (write(&one, ["a", "b", "c"]), write(&other, ["c", "b", "a"]));
    forth.await.unwrap();
    back.await.unwrap();
    for id in ["a", "b", "c"] {
        assert_eq!(one.document("alert", id).await.unwrap().unwrap().version, 80);
    }
}

/// A replica that is stopped in the middle of a write keeps nobody waiting for long.
#[tokio::test]
async fn a_row_that_is_held_for_too_long_is_told_of() {
    let Some(database) = Database::new().await else { return };
    let journal = database.open().await;
    let mut story = Story::new(1);
    journal.append(story.tell(1)).await.unwrap();
    let batch = story.tell(1);
    let sql = database.sql().await;
    sql.batch_execute("BEGIN; SELECT FROM runs FOR UPDATE").await.unwrap();
    let refused = journal.append(batch.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("locked for too long"), "{refused}");
    sql.batch_execute("ROLLBACK").await.unwrap();
    journal.append(batch).await.unwrap();
}

//! Waiting for what others append.

use std::sync::Arc;

use futures::future::join_all;

use super::Story;
use crate::{Journal, Mark};

pub(super) async fn the_first_look_returns_at_once(journal: Arc<dyn Journal>) {
    let mark = journal.changed(Story::new(1).run, 0, Mark::default()).await.unwrap();
    assert_ne!(mark, Mark::default());
}

pub(super) async fn an_append_wakes_all_who_wait(journal: Arc<dyn Journal>) {
    let mark = settled(&journal).await;
    let wait = || {
        let journal = Arc::clone(&journal);
        let run = Story::new(1).run;
        tokio::spawn(async move {
            let mut mark = mark;
            loop {
                mark = journal.changed(run, 0, mark).await.unwrap();
                // Others may have appended something, or not: then there is more to wait for.
                if let Some(head) = journal.head(run).await.unwrap() {
                    return head;
                }
            }
        })
    };
    let waiting: Vec<_> = (0..5).map(|_| wait()).collect();
    // One that gives up takes nobody else's news away.
    let given_up = wait();
    given_up.abort();
    journal.append(Story::new(1).tell(1)).await.unwrap();
    for woken in join_all(waiting).await {
        assert_eq!(woken.unwrap(), 1);
    }
}

pub(super) async fn an_append_before_the_wait_is_noticed(journal: Arc<dyn Journal>) {
    let mut story = Story::new(1);
    for told in 0..10 {
        let mark = settled(&journal).await;
        journal.append(story.tell(1)).await.unwrap();
        journal.changed(story.run, told, mark).await.unwrap();
    }
}

pub(super) async fn a_mark_of_another_life_does_not_wait(journal: Arc<dyn Journal>) {
    let foreign = Mark(u64::MAX);
    assert_ne!(journal.changed(Story::new(1).run, 0, foreign).await.unwrap(), foreign);
}

/// A follower that looks only when it is told to sees every entry, however its looks and the
/// appends fall together.
pub(super) async fn no_append_is_slept_through(journal: Arc<dyn Journal>) {
    const ENTRIES: u64 = 300;
    let run = Story::new(1).run;
    let follow = |journal: Arc<dyn Journal>| async move {
        let (mut mark, mut seen) = (Mark::default(), 0);
        while seen < ENTRIES {
            mark = journal.changed(run, seen, mark).await.unwrap();
            seen += journal.read(run, seen).await.unwrap().len() as u64;
        }
    };
    let followers: Vec<_> = (0..3).map(|_| tokio::spawn(follow(Arc::clone(&journal)))).collect();
    let mut story = Story::new(1);
    for _ in 0..ENTRIES {
        journal.append(story.tell(1)).await.unwrap();
    }
    for follower in join_all(followers).await {
        follower.unwrap();
    }
}

/// A mark from after all that was appended so far.
async fn settled(journal: &Arc<dyn Journal>) -> Mark {
    journal.changed(Story::new(1).run, u64::MAX, Mark::default()).await.unwrap()
}

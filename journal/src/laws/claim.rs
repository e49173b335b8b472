//! The right to drive a run.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;
use runbook_core::Timestamp;

use super::Story;
use crate::{Claim, Journal, JournalError, Mark};

pub(super) async fn a_claim_excludes_others(journal: Arc<dyn Journal>) {
    let (run, other) = (Story::new(1).run, Story::new(2).run);
    let claim = journal.claim(run).await.unwrap();
    assert_eq!(claim.run, run);
    let refused = journal.claim(run).await.unwrap_err();
    assert!(matches!(refused, JournalError::Claimed { run: claimed } if claimed == run), "{refused:?}");
    journal.claim(other).await.unwrap();
}

pub(super) async fn a_dropped_claim_is_free(journal: Arc<dyn Journal>) {
    let run = Story::new(1).run;
    for _ in 0..5 {
        let claim = journal.claim(run).await.unwrap();
        drop(claim);
    }
    // A holder that is ended from outside lets go too.
    let holder = {
        let (journal, held) = (Arc::clone(&journal), Arc::new(tokio::sync::Notify::new()));
        let told = Arc::clone(&held);
        let task = tokio::spawn(async move {
            let _claim = journal.claim(run).await.unwrap();
            told.notify_one();
            std::future::pending::<()>().await;
        });
        held.notified().await;
        task
    };
    assert!(matches!(journal.claim(run).await, Err(JournalError::Claimed { .. })));
    holder.abort();
    assert!(holder.await.unwrap_err().is_cancelled());
    journal.claim(run).await.unwrap();
}

/// However claims are taken and dropped, never do two hold one.
pub(super) async fn never_two_hold_a_claim(journal: Arc<dyn Journal>) {
    const TURNS: usize = 50;
    let run = Story::new(1).run;
    let holders = Arc::new(AtomicUsize::new(0));
    let contend = || {
        let (journal, holders) = (Arc::clone(&journal), Arc::clone(&holders));
        tokio::spawn(async move {
            let mut turns = 0;
            while turns < TURNS {
                match journal.claim(run).await {
                    Ok(claim) => {
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two hold the claim");
                        tokio::task::yield_now().await;
                        holders.fetch_sub(1, Ordering::SeqCst);
                        drop(claim);
                        turns += 1;
                    }
                    Err(JournalError::Claimed { .. }) => tokio::task::yield_now().await,
                    Err(other) => panic!("{other:?}"),
                }
            }
        })
    };
    let contenders: Vec<_> = (0..4).map(|_| contend()).collect();
    for contender in join_all(contenders).await {
        contender.unwrap();
    }
}

/// Whoever drives next goes on from there. Where a claim can be lost, nothing can be done through one
/// that is over, although its run was left as it is.
pub(super) async fn a_run_is_driven_through_its_claim(journal: Arc<dyn Journal>) {
    let through = |claim: &Claim| claim.through().unwrap_or_else(|| Arc::clone(&journal));
    let (now, until) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
    let mut story = Story::new(1);
    let claim = journal.claim(story.run).await.unwrap();
    let before = through(&claim);
    before.append(story.tell(2)).await.unwrap();
    let fence = before.lock("target", story.run, now, until).await.unwrap();
    before.changed(story.run, 0, Mark::default()).await.unwrap();
    assert_eq!(before.read(story.run, 0).await.unwrap(), journal.read(story.run, 0).await.unwrap());
    // What people say needs no claim.
    journal.append(story.tell(1)).await.unwrap();
    assert_eq!(before.head(story.run).await.unwrap(), Some(3));
    drop(claim);

    let claim = journal.claim(story.run).await.unwrap();
    let next = through(&claim);
    assert_eq!(next.lock("target", story.run, now, until).await.unwrap(), fence);
    next.append(story.tell(1)).await.unwrap();
    if claim.through().is_none() {
        return;
    }
    let run = story.run;
    let refused = [
        before.append(story.clone().tell(1)).await.err(),
        before.read(run, 0).await.err(),
        before.lock("target", run, now, until).await.err(),
        before.unlock("target", run).await.err(),
        before.changed(run, 4, Mark::default()).await.err(),
    ];
    for refused in refused {
        assert!(matches!(refused, Some(JournalError::Claimed { .. })), "{refused:?}");
    }
    next.append(story.tell(1)).await.unwrap();
    next.unlock("target", run).await.unwrap();
    // A claim is one on a run, not on all.
    assert!(next.append(Story::new(2).tell(1)).await.is_err());
}

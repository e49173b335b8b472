//! The right to drive a run.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;

use super::Story;
use crate::{Journal, JournalError};

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

//! Locks of targets.

use std::sync::Arc;

use futures::future::join_all;
use runbook_core::{Timestamp, event::RunId};

use super::Story;
use crate::{Journal, JournalError};

const TARGET: &str = "kubernetes/production/Deployment/api";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn run(number: u128) -> RunId {
    Story::new(number).run
}

pub(super) async fn a_lock_excludes_other_runs(journal: Arc<dyn Journal>) {
    journal.lock(TARGET, run(1), at(0), at(60)).await.unwrap();
    let refused = journal.lock(TARGET, run(2), at(59), at(120)).await.unwrap_err();
    match refused {
        JournalError::Locked { target, run: holder, until } => {
            assert_eq!((target.as_str(), holder, until), (TARGET, run(1), at(60)));
        }
        other => panic!("{other:?}"),
    }
    journal.lock("another target", run(2), at(0), at(60)).await.unwrap();
}

pub(super) async fn a_holder_lengthens_its_lease(journal: Arc<dyn Journal>) {
    let fence = journal.lock(TARGET, run(1), at(0), at(60)).await.unwrap();
    assert_eq!(journal.lock(TARGET, run(1), at(30), at(90)).await.unwrap(), fence);
    assert_eq!(holder(&*journal, 60).await, Some((run(1), at(90))));
    // A renewal that was under way for long does not shorten it.
    assert_eq!(journal.lock(TARGET, run(1), at(31), at(70)).await.unwrap(), fence);
    assert_eq!(holder(&*journal, 80).await, Some((run(1), at(90))));
}

pub(super) async fn a_lease_that_has_ended_is_taken_over(journal: Arc<dyn Journal>) {
    let first = journal.lock(TARGET, run(1), at(0), at(60)).await.unwrap();
    let second = journal.lock(TARGET, run(2), at(60), at(65)).await.unwrap();
    assert!(second > first, "{second} after {first}");
    assert_eq!(holder(&*journal, 60).await, Some((run(2), at(65))));
    assert!(matches!(journal.lock(TARGET, run(1), at(61), at(99)).await, Err(JournalError::Locked { .. })));
}

pub(super) async fn the_fence_grows_with_each_holder(journal: Arc<dyn Journal>) {
    let mut fences = vec![journal.lock(TARGET, run(1), at(0), at(10)).await.unwrap()];
    // The same run, after its lease has ended: whoever drove it before may still be about.
    fences.push(journal.lock(TARGET, run(1), at(10), at(20)).await.unwrap());
    journal.unlock(TARGET, run(1)).await.unwrap();
    fences.push(journal.lock(TARGET, run(1), at(11), at(20)).await.unwrap());
    journal.unlock(TARGET, run(1)).await.unwrap();
    fences.push(journal.lock(TARGET, run(2), at(12), at(20)).await.unwrap());
    fences.push(journal.lock(TARGET, run(3), at(30), at(40)).await.unwrap());
    assert!(fences.windows(2).all(|pair| pair[0] < pair[1]), "{fences:?}");
    assert!(fences[0] > 0);
}

pub(super) async fn only_the_holder_unlocks(journal: Arc<dyn Journal>) {
    journal.unlock(TARGET, run(1)).await.unwrap();
    journal.lock(TARGET, run(1), at(0), at(60)).await.unwrap();
    journal.unlock(TARGET, run(2)).await.unwrap();
    journal.unlock("another target", run(1)).await.unwrap();
    assert_eq!(holder(&*journal, 1).await, Some((run(1), at(60))));
    journal.unlock(TARGET, run(1)).await.unwrap();
    assert_eq!(holder(&*journal, 1).await, None);
}

pub(super) async fn one_of_many_gets_the_lock(journal: Arc<dyn Journal>) {
    let attempts = (1..=16).map(|number| {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move { journal.lock(TARGET, run(number), at(0), at(60)).await })
    });
    let outcomes = join_all(attempts).await;
    let won = outcomes.into_iter().filter(|outcome| match outcome.as_ref().unwrap() {
        Ok(_) => true,
        Err(JournalError::Locked { .. }) => false,
        Err(other) => panic!("{other:?}"),
    });
    assert_eq!(won.count(), 1);
}

pub(super) async fn times_are_kept_to_the_nanosecond(journal: Arc<dyn Journal>) {
    let exact = Timestamp::new(1_800_000_000, 123_456_789).unwrap();
    let just_before = Timestamp::new(1_800_000_000, 123_456_788).unwrap();
    journal.lock(TARGET, run(1), at(-5), exact).await.unwrap();
    let refused = journal.lock(TARGET, run(2), just_before, at(9)).await.unwrap_err();
    assert!(matches!(refused, JournalError::Locked { until, .. } if until == exact), "{refused:?}");
    journal.lock(TARGET, run(2), exact, at(9)).await.unwrap();
    let forever = journal.lock("for ever", run(1), at(0), Timestamp::MAX).await;
    forever.unwrap();
    let refused = journal.lock("for ever", run(2), at(99), at(100)).await.unwrap_err();
    assert!(matches!(refused, JournalError::Locked { until, .. } if until == Timestamp::MAX), "{refused:?}");
}

/// Who holds the target at that second, as another run gets to hear it. Takes it where it is free.
async fn holder(journal: &dyn Journal, second: i64) -> Option<(RunId, Timestamp)> {
    let told = journal.holder(TARGET, at(second)).await.unwrap();
    // A lease that ends as it begins takes nothing from anybody: what stands in its way is the holder.
    let met = match journal.lock(TARGET, run(99), at(second), at(second)).await {
        Ok(_) => None,
        Err(JournalError::Locked { run, until, .. }) => Some((run, until)),
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(told, met);
    told
}

//! Detectors that are no longer configured: what they had begun to tell is brought to its end.

use std::{collections::BTreeSet, sync::Arc};

use runbook_journal::{DocumentQuery, JournalError, MOST_DOCUMENTS, Order, Shelf};
use tokio::sync::watch;

use super::{Detection, Watched};
use crate::kept::{self, Kept as _};

/// The names of all detectors of which something is kept.
pub async fn names(shelf: &Arc<dyn Shelf>) -> Result<BTreeSet<String>, JournalError> {
    let (mut names, mut after) = (BTreeSet::new(), None);
    loop {
        let query = DocumentQuery {
            order: Order::OldestFirst,
            after,
            limit: MOST_DOCUMENTS,
            ..DocumentQuery::default()
        };
        let page = kept::list::<Watched>(shelf, query).await?;
        let Some(last) = page.last() else { return Ok(names) };
        after = Some((last.value.at(), last.id.clone()));
        let is_last = page.len() < MOST_DOCUMENTS;
        names.extend(page.into_iter().map(|found| found.value.detector));
        if is_last {
            return Ok(names);
        }
    }
}

impl Detection {
    /// Ends what a detector without rules had begun when it had some; over once all of it was told, or
    /// when it is told to stop.
    pub async fn retire(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let round = self.round().await;
            let left = DocumentQuery {
                parent: Some(self.detector.name.clone()),
                limit: 1,
                ..DocumentQuery::default()
            };
            let left = kept::list::<Watched>(&self.shelf, left).await;
            if left.is_ok_and(|left| left.is_empty()) {
                return;
            }
            let next = self.detector.every.max(super::Detector::LEAST).after(round.at);
            tokio::select! {
                () = self.clock.sleep_until(next) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }
}

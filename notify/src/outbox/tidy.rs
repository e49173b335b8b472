//! Nothing in the outbox grows without end.

use runbook_core::Timestamp;
use runbook_journal::{DocumentQuery, Expect, JournalError, MOST_DOCUMENTS, Order, Write};
use tokio::sync::watch;

use super::{
    Dispatch, Outbox, State,
    kept::{self, ASIDE, Found, Kept, Standing},
    limits::{KEPT, MOST_PAGES, MOST_QUEUED, MOST_REMOVED, TIDY},
    work::ended,
};
use crate::notice::Moment;

impl Outbox {
    pub(super) async fn keep_tidy(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.tidy().await {
                // What others changed meanwhile is there the next time.
                Ok(()) | Err(JournalError::Changed { .. }) => {}
                Err(error) => tracing::warn!(%error, "the outbox could not be tidied"),
            }
            tokio::select! {
                () = self.clock.sleep_until(TIDY.after(self.clock.now())) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    pub(super) async fn tidy(&self) -> Result<(), JournalError> {
        let now = self.clock.now();
        for channel in self.channels().iter() {
            self.trim(channel.name(), now).await?;
        }
        self.drop_orphans(now).await?;
        for state in [State::Sent.word(), State::Failed.word(), State::Dropped.word(), ASIDE] {
            self.forget::<Dispatch>(Some(state), now).await?;
        }
        self.forget::<Standing>(None, now).await
    }

    /// Leaves a channel no more than may wait for it, a page after the other.
    async fn trim(&self, channel: &str, now: Timestamp) -> Result<(), JournalError> {
        let why = format!("more than {MOST_QUEUED} notices were waiting");
        for _ in 0..MOST_PAGES {
            let mut waiting = self.open(channel, MOST_DOCUMENTS).await?;
            let is_all = waiting.len() < MOST_DOCUMENTS;
            waiting.retain(|found| found.value.state == State::Due);
            self.drop_all(surplus(waiting), State::Dropped, &why, now).await?;
            if is_all {
                break;
            }
        }
        Ok(())
    }

    /// What waits for a channel that is no longer configured, as long as that was not only just so:
    /// another process may know more.
    async fn drop_orphans(&self, now: Timestamp) -> Result<(), JournalError> {
        for state in [State::Due, State::Sending] {
            let query = DocumentQuery {
                state: Some(state.word().to_owned()),
                order: Order::OldestFirst,
                limit: MOST_DOCUMENTS,
                ..DocumentQuery::default()
            };
            let channels = self.channels();
            let mut orphans = kept::list::<Dispatch>(&self.shelf, query).await?;
            orphans.retain(|found| {
                let known = channels.iter().any(|channel| channel.name() == found.value.channel);
                !known && TIDY.after(found.value.at) <= now
            });
            self.drop_all(orphans, State::Failed, "the channel is no longer configured", now).await?;
        }
        Ok(())
    }

    async fn drop_all(
        &self,
        dispatches: Vec<Found<Dispatch>>,
        state: State,
        why: &str,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let over = |found: Found<Dispatch>| (found.id, found.version, ended(found.value, state, why, now));
        let all: Vec<(String, u64, Dispatch)> = dispatches.into_iter().map(over).collect();
        for some in all.chunks(MOST_REMOVED) {
            match self.keep_all(some).await {
                // One of them is no longer as it was: the others are written all the same.
                Err(JournalError::Changed { .. }) => {
                    for one in some.chunks(1) {
                        match self.keep_all(one).await {
                            Ok(()) | Err(JournalError::Changed { .. }) => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
                kept => kept?,
            }
        }
        Ok(())
    }

    async fn keep_all(&self, dispatches: &[(String, u64, Dispatch)]) -> Result<(), JournalError> {
        let write = |(id, version, dispatch): &(String, u64, Dispatch)| {
            kept::put(id, dispatch, Expect::Version(*version))
        };
        let writes: Vec<Write> = dispatches.iter().map(write).collect::<Result<_, _>>()?;
        if writes.is_empty() {
            return Ok(());
        }
        self.shelf.write(writes).await?;
        dispatches.iter().for_each(|(id, _, dispatch)| self.tell(id, dispatch));
        Ok(())
    }

    async fn forget<T: Kept>(&self, state: Option<&str>, now: Timestamp) -> Result<(), JournalError> {
        let query = DocumentQuery {
            kind: T::KIND.to_owned(),
            state: state.map(str::to_owned),
            order: Order::OldestFirst,
            limit: MOST_REMOVED,
            ..DocumentQuery::default()
        };
        let found = self.shelf.documents(&query).await?;
        let old = found.iter().take_while(|document| KEPT.after(document.at) <= now);
        let writes: Vec<Write> = old.map(|document| kept::remove::<T>(&document.id)).collect();
        if writes.is_empty() { Ok(()) } else { self.shelf.write(writes).await }
    }
}

/// What is too much, oldest first; what people wait for comes last.
fn surplus(mut waiting: Vec<Found<Dispatch>>) -> Vec<Found<Dispatch>> {
    let count = waiting.len().saturating_sub(MOST_QUEUED);
    waiting.sort_by_key(|found| (weight(found.value.notice.moment()), found.value.created_at));
    waiting.truncate(count);
    waiting
}

fn weight(moment: Moment) -> u8 {
    match moment {
        Moment::AlertUnmatched => 0,
        Moment::RunStarted | Moment::RunEnded => 1,
        Moment::IncidentAcknowledged
        | Moment::IncidentResolved
        | Moment::ApprovalAnswered
        | Moment::FollowUp => 2,
        Moment::IncidentOpened
        | Moment::SeverityRaised
        | Moment::IncidentEscalated
        | Moment::RunEscalated
        | Moment::RunStuck
        | Moment::QuestionAsked
        | Moment::ApprovalRequested
        | Moment::ApprovalEscalated => 3,
    }
}

//! Sending what is due. Each channel is served by itself, one message after the other: one that is
//! dead keeps no other waiting.

use futures::future::join_all;
use runbook_core::{Timestamp, duration::Duration};
use runbook_journal::{Expect, JournalError, Mark, Write};
use tokio::sync::watch;
use tracing::field;

use super::{
    Dispatch, Outbox, State, Tally,
    kept::{self, Found},
    limits::{AGAIN, GLANCE, LEASE, LONGEST_BACKOFF, LONGEST_WAIT, MOST_CHANGES, MOST_TRIES, TIDY, pace},
    send::Taken,
};
use crate::{config::Channel, http::Trouble, notice::Notice};

/// What is to be written of a dispatch after a try.
#[derive(Debug)]
struct Outcome {
    next: Dispatch,
    /// How long the channel rests, where its receiver asks for it; never so long that a slip of the
    /// receiver's silences it for the night.
    rest: Duration,
}

impl Outbox {
    /// Sends until it is told to stop; what is being sent then is sent to its end, within seconds.
    /// Dropping it loses nothing: what it was sending is sent again once its lease has ended. Several
    /// processes may do this on one shelf.
    pub async fn deliver(&self, stop: watch::Receiver<bool>) {
        tokio::join!(self.serve_all(stop.clone()), self.keep_tidy(stop));
    }

    /// Serves the channels that there are. Where others take their place, what is being sent is sent
    /// to its end first.
    async fn serve_all(&self, mut stop: watch::Receiver<bool>) {
        let mut known = self.channels.subscribe();
        loop {
            let channels = known.borrow_and_update().clone();
            let leave = watch::Sender::new(false);
            let served = channels.iter().map(|channel| self.serve(channel, leave.subscribe()));
            let until = async {
                let over = tokio::select! {
                    changed = known.changed() => changed.is_err(),
                    _ = stop.wait_for(|stop| *stop) => true,
                };
                leave.send_replace(true);
                over
            };
            if let (_, true) = tokio::join!(join_all(served), until) {
                return;
            }
        }
    }

    async fn serve(&self, channel: &Channel, mut stop: watch::Receiver<bool>) {
        let mut mark = Mark::default();
        let mut rest_until = Timestamp::MIN;
        while !*stop.borrow() {
            let now = self.clock.now();
            let wake = match self.next(channel).await {
                Ok(Some(found)) if found.value.at.max(rest_until) <= now => {
                    rest_until = self.attend(channel, found).await;
                    continue;
                }
                Ok(Some(found)) => found.value.at.max(rest_until),
                Ok(None) => TIDY.after(now),
                Err(error) => {
                    tracing::warn!(channel = channel.name(), %error, "notices could not be looked for");
                    // Whatever is written meanwhile: a store that fails is not asked all the time.
                    tokio::select! {
                        () = self.clock.sleep_until(AGAIN.after(now)) => continue,
                        changed = stop.changed() => if changed.is_err() { return } else { continue },
                    }
                }
            };
            tokio::select! {
                stirred = self.shelf.stirred(mark) => {
                    match stirred {
                        Ok(next) => mark = next,
                        Err(error) => {
                            tracing::warn!(%error, "changes of the store could not be noticed");
                            self.clock.sleep_until(AGAIN.after(now)).await;
                        }
                    }
                    tokio::time::sleep(GLANCE).await;
                }
                () = self.clock.sleep_until(wake) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    /// What is to be sent next: what is due, or what somebody began to send and did not end.
    async fn next(&self, channel: &Channel) -> Result<Option<Found<Dispatch>>, JournalError> {
        Ok(self.open(channel.name(), 1).await?.pop())
    }

    /// Does what is to be done about one dispatch; until when the channel rests then.
    async fn attend(&self, channel: &Channel, found: Found<Dispatch>) -> Timestamp {
        match self.try_once(channel, found).await {
            Ok(rest) => rest.max(pace(channel)).after(self.clock.now()),
            // Somebody else was there first.
            Err(JournalError::Changed { .. }) => pace(channel).after(self.clock.now()),
            Err(error) => {
                tracing::warn!(channel = channel.name(), %error, "what came of a notice could not be kept");
                AGAIN.after(self.clock.now())
            }
        }
    }

    async fn try_once(&self, channel: &Channel, found: Found<Dispatch>) -> Result<Duration, JournalError> {
        let now = self.clock.now();
        let Found { id, version, value } = found;
        if channel.is_for_people() && value.notice.stale_at().is_some_and(|stale| stale <= now) {
            let why = "the time to decide was over before it could be sent";
            return self.end(&id, version, ended(value, State::Dropped, why, now)).await;
        }
        if value.tries >= MOST_TRIES || LONGEST_WAIT.after(value.created_at) <= now {
            return self.end(&id, version, given_up(value, now)).await;
        }
        // What is begun is on the shelf before anything leaves, so that a crash is seen afterwards.
        let begun = Dispatch { state: State::Sending, tries: value.tries + 1, at: LEASE.after(now), ..value };
        let write = kept::put(&id, &begun, Expect::Version(version))?;
        self.shelf.write(vec![write]).await?;
        let result = self.send(channel, &id, &begun).await;
        self.settle(channel, &id, version + 1, begun, result).await
    }

    /// Keeps what came of a try.
    async fn settle(
        &self,
        channel: &Channel,
        id: &str,
        version: u64,
        begun: Dispatch,
        result: Result<Taken, Trouble>,
    ) -> Result<Duration, JournalError> {
        let now = self.clock.now();
        let outcome = judge(id, begun, &result, now);
        let own = kept::put(id, &outcome.next, Expect::Version(version))?;
        let mut tries = 0;
        loop {
            let mut writes = vec![own.clone()];
            writes.extend(self.consequences(channel, id, &outcome.next, &result).await?);
            let others = writes.len() > 1;
            match self.shelf.write(writes).await {
                Err(JournalError::Changed { .. }) if others && tries < MOST_CHANGES => tries += 1,
                written => {
                    written?;
                    break;
                }
            }
        }
        self.tell(id, &outcome.next);
        Ok(outcome.rest)
    }

    /// What else is to be written: where a message stands, and what need not be asked any more.
    async fn consequences(
        &self,
        channel: &Channel,
        id: &str,
        dispatch: &Dispatch,
        result: &Result<Taken, Trouble>,
    ) -> Result<Vec<Write>, JournalError> {
        let mut writes = Vec::new();
        if let Ok(Taken::Posted(posted)) = result {
            writes.push(self.remember(channel, &dispatch.notice, posted.clone()).await?);
        }
        if dispatch.state == State::Sent || matches!(result, Ok(Taken::Needless(_))) {
            for older in self.overtaken(channel, id, &dispatch.notice).await? {
                let why = "it was over before it could be sent";
                let over = ended(older.value, State::Dropped, why, self.clock.now());
                writes.push(kept::put(&older.id, &over, Expect::Version(older.version))?);
            }
        }
        Ok(writes)
    }

    async fn end(&self, id: &str, version: u64, dispatch: Dispatch) -> Result<Duration, JournalError> {
        self.shelf.write(vec![kept::put(id, &dispatch, Expect::Version(version))?]).await?;
        self.tell(id, &dispatch);
        Ok(Duration::ZERO)
    }

    /// Counts what came of a dispatch, and says it where it is not as it should be.
    pub(super) fn tell(&self, id: &str, dispatch: &Dispatch) {
        let Dispatch { channel, tries, .. } = dispatch;
        let (count, why): (fn(&mut Tally), _) = (
            match dispatch.state {
                State::Sent => |tally| tally.sent += 1,
                State::Due | State::Sending => |tally| tally.retried += 1,
                State::Failed => |tally| tally.failed += 1,
                State::Dropped => |tally| tally.dropped += 1,
            },
            dispatch.trouble.as_deref().unwrap_or_default(),
        );
        self.count(channel, count);
        let moment = dispatch.notice.moment().word();
        let Notice { run, incident, .. } = &dispatch.notice;
        let scope = tracing::error_span!("notice", run = field::Empty, incident = field::Empty);
        if let Some(run) = run {
            scope.record("run", field::display(run.id));
        }
        if let Some(incident) = incident {
            scope.record("incident", &incident.id);
        }
        let _scope = scope.entered();
        match dispatch.state {
            State::Sent => tracing::debug!(channel, id, moment, tries, "a notice was sent"),
            State::Failed => tracing::error!(channel, id, moment, tries, why, "a notice was given up"),
            _ => tracing::warn!(channel, id, moment, tries, why, "a notice was not sent"),
        }
    }
}

/// What a dispatch is after a try.
fn judge(id: &str, begun: Dispatch, result: &Result<Taken, Trouble>, now: Timestamp) -> Outcome {
    let done = |next| Outcome { next, rest: Duration::ZERO };
    match result {
        Ok(Taken::Sent | Taken::Posted(_)) => {
            done(Dispatch { state: State::Sent, at: now, trouble: None, ..begun })
        }
        Ok(Taken::Needless(why)) => done(ended(begun, State::Dropped, why, now)),
        Err(Trouble::Never { why }) => done(ended(begun, State::Failed, why, now)),
        Err(Trouble::Later { why, after }) => {
            let asked = after.unwrap_or(Duration::ZERO);
            let rest = asked.min(LONGEST_BACKOFF);
            let at = Outbox::backoff(id, begun.tries).max(asked).after(now);
            let next = Dispatch { state: State::Due, at, trouble: Some(why.clone()), ..begun };
            let over = next.tries >= MOST_TRIES || LONGEST_WAIT.after(next.created_at) <= at;
            Outcome { next: if over { given_up(next, now) } else { next }, rest }
        }
    }
}

fn given_up(dispatch: Dispatch, now: Timestamp) -> Dispatch {
    let last = dispatch.trouble.as_deref().unwrap_or("nobody knows what came of the last try");
    let why = format!("given up after {} tries: {last}", dispatch.tries);
    ended(dispatch, State::Failed, &why, now)
}

pub(super) fn ended(dispatch: Dispatch, state: State, why: &str, now: Timestamp) -> Dispatch {
    Dispatch { state, at: now, trouble: Some(why.to_owned()), ..dispatch }
}

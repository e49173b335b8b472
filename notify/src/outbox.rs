//! What is to be sent, kept on the shelf until it is.

mod kept;
mod limits;
mod send;
mod tidy;
mod work;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration as StdDuration,
};

use runbook_core::{Timestamp, duration::Duration};
use runbook_intake::Request;
use runbook_journal::{DocumentQuery, Expect, JournalError, MOST_DOCUMENTS, Order, Shelf, Write};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use self::kept::{Found, Kept};
pub use self::limits::{KEPT, MOST_QUEUED};
use crate::{
    Clock,
    config::{Channel, Misconfigured, check},
    http::{Http, Trouble},
    notice::Notice,
    site::Site,
    slack::{
        buttons::{self, AnswerTo, NotTaken, Press},
        send as slack,
    },
};

/// The outbox. A cheap handle; clones share everything.
#[derive(Debug, Clone)]
pub struct Outbox {
    shelf: Arc<dyn Shelf>,
    clock: Arc<dyn Clock>,
    channels: Arc<watch::Sender<Arc<[Channel]>>>,
    site: Option<Site>,
    http: Http,
    patience: StdDuration,
    tallies: Arc<Mutex<BTreeMap<String, Tally>>>,
}

/// One notice for one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dispatch {
    pub channel: String,
    /// What the caller calls the notice: the same key is sent once.
    pub key: String,
    pub notice: Notice,
    pub created_at: Timestamp,
    /// While it is due: when to send it. While it is being sent: until when nobody else does. Then:
    /// when it came to its end.
    pub at: Timestamp,
    pub state: State,
    /// How often it was begun to be sent.
    pub tries: u32,
    /// Why it was not taken the last time, or why it was not sent at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Due,
    Sending,
    Sent,
    /// Given up: the receiver refuses it, or never took it.
    Failed,
    /// Not sent on purpose: it was decided, or too late, or too much.
    Dropped,
}

impl State {
    /// Whether something is still to be done.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Due | Self::Sending)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// A dispatch with its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub id: String,
    pub dispatch: Dispatch,
}

/// What a channel has done since this process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub sent: u64,
    /// Tries that are to be repeated.
    pub retried: u64,
    pub failed: u64,
    pub dropped: u64,
}

impl Outbox {
    /// # Errors
    /// Channels that would not do what they say. Secrets are not read before they are used.
    pub fn new(
        shelf: Arc<dyn Shelf>,
        clock: Arc<dyn Clock>,
        channels: Vec<Channel>,
        site: Option<Site>,
    ) -> Result<Self, Misconfigured> {
        let http = Http::default();
        ready(&channels, &http)?;
        let tallies = channels.iter().map(|channel| (channel.name().to_owned(), Tally::default()));
        Ok(Self {
            shelf,
            clock,
            tallies: Arc::new(Mutex::new(tallies.collect())),
            channels: Arc::new(watch::Sender::new(channels.into())),
            site,
            http,
            patience: limits::PATIENCE,
        })
    }

    /// How long one try may take; 15 s where it is not said, and never more.
    #[must_use]
    pub fn with_patience(self, patience: StdDuration) -> Self {
        Self { patience: patience.min(limits::PATIENCE), ..self }
    }

    pub fn channels(&self) -> Arc<[Channel]> {
        self.channels.borrow().clone()
    }

    /// Tells these from now on. What waits for one that is no longer there is given up after a while.
    ///
    /// # Errors
    /// Channels that would not do what they say; then all stay as they were.
    pub fn replace(&self, channels: Vec<Channel>) -> Result<(), Misconfigured> {
        ready(&channels, &self.http)?;
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in &channels {
            tallies.entry(channel.name().to_owned()).or_default();
        }
        self.channels.send_if_modified(|known| {
            let differs = **known != *channels;
            if differs {
                *known = channels.into();
            }
            differs
        });
        Ok(())
    }

    /// The writes that queue a notice for every channel that wants it and does not have this key yet,
    /// to be done together with what caused it. `key` names the notice: `run_01…/17`, the run and the
    /// number of its event. Where a write is refused as changed, somebody else has just queued it: ask
    /// again.
    ///
    /// # Errors
    /// Only those of the shelf. Nothing is sent here, and no receiver is waited for.
    pub async fn put(&self, notice: &Notice, key: &str) -> Result<Vec<Write>, JournalError> {
        let channels = self.channels();
        let wanted: Vec<&Channel> = channels.iter().filter(|channel| channel.wants(notice)).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let notice = notice.bounded().map_err(|error| kept::unfit::<Dispatch>(key, &error))?;
        let now = self.clock.now();
        let mut writes = Vec::new();
        for channel in wanted {
            let id = kept::dispatch_id(channel.name(), key);
            if self.shelf.document(Dispatch::KIND, &id).await?.is_some() {
                continue;
            }
            let dispatch = Dispatch {
                channel: channel.name().to_owned(),
                key: kept::short_key(key),
                notice: notice.clone(),
                created_at: now,
                at: now,
                state: State::Due,
                tries: 0,
                trouble: None,
            };
            writes.push(kept::put(&id, &dispatch, Expect::New)?);
        }
        Ok(writes)
    }

    /// Queues a notice that belongs to no other write; how many channels it is new to.
    ///
    /// # Errors
    /// Only those of the shelf.
    pub async fn post(&self, notice: &Notice, key: &str) -> Result<usize, JournalError> {
        let mut tries = 0;
        loop {
            let writes = self.put(notice, key).await?;
            let count = writes.len();
            if count == 0 {
                return Ok(0);
            }
            match self.shelf.write(writes).await {
                Err(JournalError::Changed { .. }) if tries < limits::MOST_CHANGES => tries += 1,
                other => return other.map(|()| count),
            }
        }
    }

    /// What was queued, newest first: of a channel, in a state, where they are given. `after` is where
    /// the page before ended: `at` and `id` of its last. At most 1,000.
    ///
    /// # Errors
    /// Only those of the shelf.
    pub async fn list(
        &self,
        channel: Option<&str>,
        state: Option<State>,
        after: Option<(Timestamp, String)>,
        limit: usize,
    ) -> Result<Vec<Listed>, JournalError> {
        let parents = match (channel, state) {
            (None, _) => vec![None],
            (Some(channel), None) => vec![Some(kept::open_of(channel)), Some(channel.to_owned())],
            (Some(channel), Some(state)) if state.is_open() => vec![Some(kept::open_of(channel))],
            (Some(channel), Some(_)) => vec![Some(channel.to_owned())],
        };
        let limit = limit.clamp(1, MOST_DOCUMENTS);
        let mut listed = Vec::new();
        for parent in parents {
            let state = state.map(|state| state.word().to_owned());
            let (order, after) = (Order::NewestFirst, after.clone());
            let query = DocumentQuery { state, parent, order, after, limit, ..DocumentQuery::default() };
            let found = kept::list::<Dispatch>(&self.shelf, query).await?;
            listed.extend(found.into_iter().map(|found| Listed { id: found.id, dispatch: found.value }));
        }
        listed.sort_by(|a, b| (b.dispatch.at, &b.id).cmp(&(a.dispatch.at, &a.id)));
        listed.truncate(limit);
        Ok(listed)
    }

    /// Sends once more what has failed or was dropped, from the start; whether there was anything to
    /// send.
    ///
    /// # Errors
    /// Only those of the shelf; `Changed` where somebody else did something to it just now.
    pub async fn retry(&self, id: &str) -> Result<bool, JournalError> {
        let Some(found) = kept::find::<Dispatch>(&self.shelf, id).await? else { return Ok(false) };
        if !matches!(found.value.state, State::Failed | State::Dropped) {
            return Ok(false);
        }
        let now = self.clock.now();
        let again = Dispatch { state: State::Due, created_at: now, at: now, tries: 0, ..found.value };
        let write = kept::put(id, &again, Expect::Version(found.version))?;
        self.shelf.write(vec![write]).await?;
        Ok(true)
    }

    /// How many notices of a channel are not at their end; at most 1,000 are counted.
    ///
    /// # Errors
    /// Only those of the shelf.
    pub async fn waiting(&self, channel: &str) -> Result<usize, JournalError> {
        let query = DocumentQuery {
            kind: Dispatch::KIND.to_owned(),
            parent: Some(kept::open_of(channel)),
            limit: MOST_DOCUMENTS,
            ..DocumentQuery::default()
        };
        Ok(self.shelf.documents(&query).await?.len())
    }

    /// By channel.
    pub fn tallies(&self) -> BTreeMap<String, Tally> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Verifies what Slack posts when a button is pressed, and reads it. All Slack channels share one
    /// address for this; which it is of is known by the signature.
    ///
    /// # Errors
    /// See [`NotTaken`]; nothing of such a request may decide anything.
    pub fn press(&self, request: &Request<'_>) -> Result<Press, NotTaken> {
        let channels = self.channels();
        let slacks = channels.iter().filter_map(|channel| match channel {
            Channel::Slack(slack) => Some(slack),
            _ => None,
        });
        buttons::open(slacks, request)
    }

    /// Tells whoever pressed a button what came of it, so that only they see it. Tried once: it is of
    /// no use later.
    ///
    /// # Errors
    /// Why Slack did not take it.
    pub async fn answer(&self, to: &AnswerTo, text: &str) -> Result<(), String> {
        let sent = slack::answer(&self.http, to, text, self.clock.now());
        match tokio::time::timeout(self.patience, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Trouble::Later { why, .. } | Trouble::Never { why })) => Err(why),
            Err(_) => Err("Slack did not answer in time".to_owned()),
        }
    }

    fn count(&self, channel: &str, add: impl FnOnce(&mut Tally)) {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        add(tallies.entry(channel.to_owned()).or_default());
    }

    /// What is not at its end in a channel, what comes first first.
    async fn open(&self, channel: &str, limit: usize) -> Result<Vec<Found<Dispatch>>, JournalError> {
        let (parent, order) = (Some(kept::open_of(channel)), Order::OldestFirst);
        let query = DocumentQuery { parent, order, limit, ..DocumentQuery::default() };
        let (found, unreadable) = kept::list_all(&self.shelf, query).await?;
        if !unreadable.is_empty() {
            let aside = unreadable.into_iter().map(|document| kept::aside(document, channel));
            self.shelf.write(aside.collect()).await?;
        }
        Ok(found)
    }

    /// How long after this try the next one comes: twice as long each time, a little more or less for
    /// each dispatch, so that they do not all come back together.
    fn backoff(id: &str, tries: u32) -> Duration {
        let doubled = 2_u64.saturating_pow(tries.min(limits::LAST_DOUBLING));
        let base = Duration::from_secs(doubled.min(limits::LONGEST_BACKOFF.as_std().as_secs()));
        base.times(0.75 + kept::share(id, tries) / 2.0)
    }
}

/// Whether channels can be told at all.
fn ready(channels: &[Channel], http: &Http) -> Result<(), Misconfigured> {
    check(channels)?;
    if channels.is_empty() {
        return Ok(());
    }
    http.client().map(drop).map_err(|error| Misconfigured::NoClient(error.to_string()))
}

#[cfg(test)]
mod tests;

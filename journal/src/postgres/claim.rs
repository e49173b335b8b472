//! The right to drive a run: a row that names the process which has it, and which claim of that
//! process it is. Whatever is written, read or locked through a claim is so only while that row
//! stands and the lease of the process lasts, by the server's clock: a process that was stopped,
//! cut off or taken for dead, and comes back, changes nothing.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use deadpool_postgres::Client;
use runbook_core::{
    Timestamp,
    event::{Record, RunId},
};
use tokio::sync::watch;

use super::{Inner, connect::Store, fault::Fault};
use crate::{Batch, Claim, Journal, JournalError, Mark, RunHead, RunQuery};

/// Nobody has it: the usual case, done at once.
const TAKE: &str = "INSERT INTO claims (run, owner, fence) SELECT $1, $2, $3 \
    WHERE EXISTS (SELECT FROM leases WHERE owner = $2 AND until > clock_timestamp()) ON CONFLICT (run) DO NOTHING";

const MAY_TAKE: &str = "SELECT EXISTS (SELECT FROM leases WHERE owner = $1 AND until > clock_timestamp())";

const PRESENT: &str = "SELECT owner, fence FROM claims WHERE run = $1 FOR UPDATE";

/// A process is there while its lease lasts and the connection that renews it is open: one that ends
/// takes its connection with it, and need not be waited for. Where the times of connections are not
/// to be seen, the lease alone counts for those whose number was given to another.
const IS_ALIVE: &str = "SELECT EXISTS (SELECT FROM leases WHERE owner = $1 AND until > clock_timestamp() \
    AND EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.pid = leases.pid \
    AND coalesce(a.backend_start, connected_at) = connected_at))";

const TAKE_OVER: &str = "UPDATE claims SET owner = $2, fence = $3 WHERE run = $1";

const RELEASE: &str = "DELETE FROM claims WHERE run = $1 AND owner = $2 AND fence = $3";

/// A claim as its process knows it.
pub(super) struct Holding {
    pub(super) run: RunId,
    pub(super) owner: String,
    pub(super) fence: i64,
    /// Whether its row was there once.
    taken: watch::Sender<bool>,
    lost: watch::Sender<bool>,
}

impl Holding {
    pub(super) fn new(run: RunId, owner: String, fence: i64) -> Self {
        Self { run, owner, fence, taken: watch::Sender::new(false), lost: watch::Sender::new(false) }
    }

    /// It is over: whoever works under it is told.
    pub(super) fn lose(&self) {
        self.lost.send_replace(true);
    }

    pub(super) fn was_taken(&self) -> bool {
        *self.taken.borrow()
    }

    fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Returns when it is over.
    async fn lost(&self) -> JournalError {
        // The sender lives as long as this does.
        let _ = self.lost.subscribe().wait_for(|lost| *lost).await;
        JournalError::Claimed { run: self.run }
    }

    async fn take(&self, client: &mut Client) -> Result<(), Fault> {
        let run = self.run.to_string();
        let statement = client.prepare_cached(TAKE).await?;
        if client.execute(&statement, &[&run, &self.owner, &self.fence]).await? == 1 {
            return Ok(());
        }
        let transaction = client.transaction().await?;
        if !transaction.query_one(MAY_TAKE, &[&self.owner]).await?.get::<_, bool>(0) {
            return Err(Fault::Contended("the lease has ended".to_owned()));
        }
        let Some(present) = transaction.query_opt(PRESENT, &[&run]).await? else {
            return Err(Fault::Contended("the claim was given free at the same moment".to_owned()));
        };
        let (owner, fence): (String, i64) = (present.get(0), present.get(1));
        // What this process has not claimed and is still there is what it could not give free.
        let own = owner == self.owner;
        if own && fence == self.fence {
            return Ok(());
        }
        // Asked after the row was locked: whoever has written it had a lease before.
        if !own && transaction.query_one(IS_ALIVE, &[&owner]).await?.get(0) {
            return Err(JournalError::Claimed { run: self.run }.into());
        }
        transaction.execute(TAKE_OVER, &[&run, &self.owner, &self.fence]).await?;
        transaction.commit().await?;
        Ok(())
    }
}

impl fmt::Debug for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {} ({})", self.run, self.owner, self.fence)
    }
}

/// Takes the claim on a run.
pub(super) async fn take(inner: &Arc<Inner>, run: RunId) -> Result<Claim, JournalError> {
    let mut tries = inner.store.tries();
    loop {
        let holding = inner.line.reserve(run).await?;
        let guard = Guard { inner: Arc::clone(inner), holding: Arc::clone(&holding) };
        let taken = async { holding.take(&mut inner.store.client().await?).await };
        match taken.await {
            Ok(()) => {
                holding.taken.send_replace(true);
                let through = Through { inner: Arc::clone(inner), holding };
                return Ok(Claim::fenced(run, Arc::new(guard), Arc::new(through)));
            }
            Err(fault) => {
                drop(guard);
                if fault.passes() {
                    // Perhaps under another lease.
                    inner.line.renew();
                }
                tries.again(fault).await?;
            }
        }
    }
}

/// Gives the claim free when it is dropped, however far it came.
struct Guard {
    inner: Arc<Inner>,
    holding: Arc<Holding>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.holding.fmt(f)
    }
}

impl Drop for Guard {
    /// At once for this process; for others as soon as the server has heard of it. Should it not,
    /// the line tidies up.
    fn drop(&mut self) {
        self.holding.lose();
        self.inner.line.give_free(&self.holding);
        let (inner, holding) = (Arc::clone(&self.inner), Arc::clone(&self.holding));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(fault) = release(&inner.store, &holding).await {
                    tracing::debug!(run = %holding.run, ?fault, "a claim is given free later");
                }
            });
        }
    }
}

async fn release(store: &Store, holding: &Holding) -> Result<(), Fault> {
    let client = store.client().await?;
    let statement = client.prepare_cached(RELEASE).await?;
    client.execute(&statement, &[&holding.run.to_string(), &holding.owner, &holding.fence]).await?;
    Ok(())
}

/// The journal as the holder of a claim sees it.
#[derive(Debug)]
struct Through {
    inner: Arc<Inner>,
    holding: Arc<Holding>,
}

impl Through {
    fn expect_own(&self, run: RunId) -> Result<(), JournalError> {
        if run == self.holding.run && !self.holding.is_lost() {
            return Ok(());
        }
        Err(JournalError::Claimed { run })
    }
}

#[async_trait]
impl Journal for Through {
    async fn append(&self, batch: Batch) -> Result<(), JournalError> {
        self.expect_own(batch.run)?;
        self.inner.append(batch, Some(&self.holding)).await
    }

    async fn read(&self, run: RunId, after: u64) -> Result<Vec<Record>, JournalError> {
        self.expect_own(run)?;
        let records = self.inner.records(run, after).await?;
        // Held now, it was held when they were read: a claim that is lost does not come back. So no
        // entry of the next driver is taken for one's own.
        let mut tries = self.inner.store.tries();
        loop {
            let held = async { self.holding.expect_held(&*self.inner.store.client().await?).await };
            match held.await {
                Ok(()) => return Ok(records),
                Err(fault) => tries.again(fault).await?,
            }
        }
    }

    async fn head(&self, run: RunId) -> Result<Option<u64>, JournalError> {
        self.inner.head(run).await
    }

    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, JournalError> {
        self.inner.runs(query).await
    }

    async fn changed(&self, run: RunId, after: u64, since: Mark) -> Result<Mark, JournalError> {
        tokio::select! {
            biased;
            lost = self.holding.lost() => Err(lost),
            mark = self.inner.line.changed(run, after, since) => Ok(mark),
        }
    }

    async fn claim(&self, run: RunId) -> Result<Claim, JournalError> {
        take(&self.inner, run).await
    }

    async fn lock(
        &self,
        target: &str,
        run: RunId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<u64, JournalError> {
        self.expect_own(run)?;
        self.inner.lock(target, run, (now, until), Some(&self.holding)).await
    }

    async fn holder(&self, target: &str, now: Timestamp) -> Result<Option<(RunId, Timestamp)>, JournalError> {
        self.inner.holder(target, now).await
    }

    async fn unlock(&self, target: &str, run: RunId) -> Result<(), JournalError> {
        self.expect_own(run)?;
        self.inner.unlock(target, run, Some(&self.holding)).await
    }

    fn durability(&self) -> String {
        self.inner.durability.clone()
    }
}

//! The connection that a process has for itself: over it the lease is renewed that all of its claims
//! hang on, and news go to and fro between processes. It is opened when first needed, and anew
//! whenever it breaks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use runbook_core::event::RunId;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, interval_at, sleep, timeout},
};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{claim::Holding, connect::Store, fault::Fault, news::News};
use crate::{JournalError, Mark, bell::Bell};

/// How often the lease is renewed. It lasts four times as long (`RENEW`), and less than those on
/// targets do: who has lost those has lost its claim too.
const EVERY: Duration = Duration::from_secs(5);

/// How often all who wait look for themselves, whatever was heard or not.
const NET: Duration = Duration::from_secs(10);

const SWEEP_EVERY: Duration = Duration::from_secs(600);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a claim waits for the line to be open.
const PATIENCE: Duration = Duration::from_secs(10);

const CHANNEL: &str = "runbook";

/// A lease that has ended is not renewed: others may have acted upon its end.
const RENEW: &str = "UPDATE leases SET until = clock_timestamp() + interval '20 s', pid = pg_backend_pid(), \
    connected_at = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) \
    WHERE owner = $1 AND until > clock_timestamp()";

const BEGIN: &str = "INSERT INTO leases (owner, pid, connected_at, until) SELECT $1, pid, backend_start, \
    clock_timestamp() + interval '20 s' FROM pg_stat_activity WHERE pid = pg_backend_pid()";

/// What was given free without the server hearing of it.
const TIDY: &str = "DELETE FROM claims WHERE owner = $1 AND fence = ANY ($2)";

const CLAIMS: &str = "SELECT fence FROM claims WHERE owner = $1";

/// What processes have left that ended long ago, and receipts that nobody asks for any longer.
const SWEEP: &str = "DELETE FROM leases WHERE until < now() - interval '1 h'; \
    DELETE FROM claims WHERE NOT EXISTS (SELECT FROM leases WHERE leases.owner = claims.owner); \
    DELETE FROM receipts WHERE at < now() - interval '1 h'";

#[derive(Debug)]
pub(super) struct Line {
    shared: Arc<Shared>,
    task: OnceLock<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    bell: Bell,
    /// Who this process is to others; it stays the same, whatever becomes of its leases.
    name: String,
    /// The owner of its claims, while the lease lasts.
    owner: watch::Sender<Option<String>>,
    fences: AtomicI64,
    held: Mutex<BTreeMap<RunId, Arc<Holding>>>,
    news: Mutex<News>,
    told: Notify,
    /// Somebody has reason to believe that the lease has ended.
    doubted: Notify,
}

impl Line {
    pub(super) fn new(store: Arc<Store>) -> Self {
        let shared = Shared {
            store,
            bell: Bell::default(),
            name: Uuid::new_v4().to_string(),
            owner: watch::Sender::new(None),
            fences: AtomicI64::new(0),
            held: Mutex::default(),
            news: Mutex::default(),
            told: Notify::new(),
            doubted: Notify::new(),
        };
        Self { shared: Arc::new(shared), task: OnceLock::new() }
    }

    /// Makes a claim this process's own, as far as this process is concerned.
    pub(super) async fn reserve(&self, run: RunId) -> Result<Arc<Holding>, JournalError> {
        self.open();
        let mut owners = self.shared.owner.subscribe();
        let owner = match timeout(PATIENCE, owners.wait_for(Option::is_some)).await {
            Ok(Ok(owner)) => owner.clone().unwrap_or_default(),
            Ok(Err(_)) | Err(_) => {
                let fault = Fault::Unusable("no lease on it could be had".to_owned());
                return Err(fault.at(self.shared.store.path()));
            }
        };
        let fence = self.shared.fences.fetch_add(1, Ordering::Relaxed);
        let holding = Arc::new(Holding::new(run, owner, fence));
        let mut held = self.shared.held();
        if held.contains_key(&run) {
            return Err(JournalError::Claimed { run });
        }
        held.insert(run, Arc::clone(&holding));
        Ok(holding)
    }

    pub(super) fn give_free(&self, holding: &Holding) {
        let mut held = self.shared.held();
        if held.get(&holding.run).is_some_and(|present| present.fence == holding.fence) {
            held.remove(&holding.run);
        }
    }

    /// Looks after the lease at once.
    pub(super) fn renew(&self) {
        self.shared.doubted.notify_one();
    }

    pub(super) async fn changed(&self, run: RunId, after: u64, since: Mark) -> Mark {
        self.open();
        self.shared.bell.rung(run, after, since).await
    }

    pub(super) async fn stirred(&self, since: Mark) -> Mark {
        self.open();
        self.shared.bell.stirred(since).await
    }

    /// Tells this process what it has written, and others. A process that has opened no line, such as
    /// one that only says something to a run and ends, waits until the server has heard of it.
    pub(super) async fn tell(&self, news: News) {
        for (run, head) in &news.runs {
            self.shared.bell.appended(*run, *head);
        }
        self.shared.bell.stir();
        if self.task.get().is_some() {
            self.shared.news().add(news);
            self.shared.told.notify_one();
            return;
        }
        let told = async {
            let client = self.shared.store.client().await?;
            tell(&client, &self.shared.name, &news).await
        };
        if let Err(fault) = told.await {
            tracing::debug!(?fault, "others notice later what was written");
        }
    }

    pub(super) fn close(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    fn open(&self) {
        self.task.get_or_init(|| tokio::spawn(Arc::clone(&self.shared).keep_open()));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    async fn keep_open(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let opened = Instant::now();
            if let Err(fault) = self.serve().await {
                tracing::debug!(?fault, "the line to the database broke");
            }
            // Whoever waits looks for itself, and meets the error if it lasts.
            self.bell.ring();
            pause = if opened.elapsed() > EVERY { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            sleep(pause).await;
        }
    }

    /// Until the connection breaks.
    async fn serve(self: &Arc<Self>) -> Result<(), Fault> {
        let heard = Arc::clone(self);
        let (client, served) = self.store.line(move |payload| heard.hear(payload)).await?;
        let mut served = Ended(served);
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        self.renew(&client).await?;
        // What was written while nobody listened.
        self.bell.ring();
        let now = Instant::now();
        let (mut renew, mut net) = (interval_at(now + EVERY, EVERY), interval_at(now + NET, NET));
        let mut sweep = interval_at(now, SWEEP_EVERY);
        loop {
            tokio::select! {
                _ = &mut served.0 => return Err(Fault::Lost("the connection was closed".to_owned())),
                _ = renew.tick() => self.renew(&client).await?,
                () = self.doubted.notified() => self.renew(&client).await?,
                _ = net.tick() => self.bell.ring(),
                _ = sweep.tick() => client.batch_execute(SWEEP).await?,
                () = self.told.notified() => {
                    let news = std::mem::take(&mut *self.news());
                    if let Err(fault) = tell(&client, &self.name, &news).await {
                        self.news().add(news);
                        self.told.notify_one();
                        return Err(fault);
                    }
                }
            }
        }
    }

    fn hear(&self, payload: &str) {
        let Some(news) = News::from_others(payload, &self.name) else { return };
        for (run, head) in &news.runs {
            self.bell.appended(*run, *head);
        }
        if news.too_many {
            self.bell.ring();
        }
        self.bell.stir();
    }

    /// Renews the lease, and compares what is claimed there with what is held here.
    async fn renew(&self, client: &Client) -> Result<(), Fault> {
        let present = self.owner.borrow().clone();
        let owner = match present {
            Some(owner) if client.execute(RENEW, &[&owner]).await? == 1 => owner,
            former => {
                if former.is_some() {
                    tracing::warn!("the lease on the runs that are driven here has ended");
                }
                return self.begin(client).await;
            }
        };
        // In this order: whatever is claimed was held here before.
        let claimed: Vec<i64> = client.query(CLAIMS, &[&owner]).await?.iter().map(|row| row.get(0)).collect();
        let held: Vec<Arc<Holding>> = self.held().values().cloned().collect();
        for holding in held.iter().filter(|it| it.was_taken() && it.owner == owner) {
            if !claimed.contains(&holding.fence) {
                self.expect_held(client, holding).await?;
            }
        }
        let left: Vec<i64> =
            claimed.into_iter().filter(|fence| held.iter().all(|holding| holding.fence != *fence)).collect();
        if !left.is_empty() {
            client.execute(TIDY, &[&owner, &left]).await?;
        }
        Ok(())
    }

    async fn expect_held(&self, client: &Client, holding: &Holding) -> Result<(), Fault> {
        match holding.expect_held(client).await {
            Err(Fault::Told(_)) => {
                tracing::warn!(run = %holding.run, "another process has taken the run over");
                Ok(())
            }
            other => other,
        }
    }

    /// A new lease, under a name that nobody ever had. What was claimed under another is lost.
    async fn begin(&self, client: &Client) -> Result<(), Fault> {
        let owner = Uuid::new_v4().to_string();
        self.owner.send_replace(None);
        let lost = std::mem::take(&mut *self.held());
        lost.values().for_each(|holding| holding.lose());
        client.execute(BEGIN, &[&owner]).await?;
        self.owner.send_replace(Some(owner));
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<RunId, Arc<Holding>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that ends with whoever started it.
struct Ended(JoinHandle<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Not within the transaction that writes: those that tell something are committed one after the
/// other, each waiting for the disk.
async fn tell(client: &Client, name: &str, news: &News) -> Result<(), Fault> {
    client.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &news.payload(name)]).await?;
    Ok(())
}

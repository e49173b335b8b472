//! Connections to a database: a bounded pool of them, and what each is told before it is used.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use deadpool_postgres::{Client, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::{
    AsyncMessage, Connection, NoTls, Socket,
    tls::{MakeTlsConnect, TlsConnect},
};

use super::{
    address::{Address, Tls},
    fault::Fault,
    tls::Encrypted,
};
use crate::JournalError;

/// How many connections a process has at most, beside the one that it listens on. Each carries one
/// write at a time; the server commits those of all connections together.
const CONNECTIONS: usize = 16;

/// How long something is tried again whose connection was lost, or that others stood in the way of.
const PATIENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a session is told. Nobody waits for ever, and a process that is stopped in the middle of a
/// transaction does not keep others waiting. What is acknowledged is on disk, whatever the server's
/// own setting; a stronger one stays.
const SESSION: &str = "SET search_path = runbook; SET statement_timeout = '20s'; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '5s'; SET jit = off; SET client_min_messages = warning; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";

/// A database, and the connections to it.
#[derive(Debug)]
pub(super) struct Store {
    address: Address,
    pool: Pool,
}

impl Store {
    /// Nothing is connected yet.
    pub(super) fn new(address: Address) -> Result<Self, JournalError> {
        let manager = match Self::encrypted(&address) {
            Ok(None) => manager(&address, NoTls),
            Ok(Some(tls)) => manager(&address, tls),
            Err(why) => return Err(Fault::Unusable(why).at(address.shown())),
        };
        let told = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(async move { client.batch_execute(SESSION).await.map_err(HookError::Backend) })
        });
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .recycle_timeout(Some(PATIENCE))
            .post_create(told)
            .build()
            .map_err(|error| Fault::Unusable(error.to_string()).at(address.shown()))?;
        Ok(Self { address, pool })
    }

    fn encrypted(address: &Address) -> Result<Option<Encrypted>, String> {
        match &address.tls {
            Tls::Off => Ok(None),
            Tls::On { authorities } => Encrypted::trusting(authorities.as_deref()).map(Some),
        }
    }

    /// A connection of the pool.
    pub(super) async fn client(&self) -> Result<Client, Fault> {
        Ok(self.pool.get().await?)
    }

    /// A connection of its own, with a task that serves it and hands on what the server says
    /// unasked. It is closed with the task.
    pub(super) async fn line(
        &self,
        hear: impl Fn(&str) + Send + 'static,
    ) -> Result<(tokio_postgres::Client, tokio::task::JoinHandle<()>), Fault> {
        match Self::encrypted(&self.address).map_err(Fault::Unusable)? {
            None => self.line_over(NoTls, hear).await,
            Some(tls) => self.line_over(tls, hear).await,
        }
    }

    async fn line_over<T>(
        &self,
        tls: T,
        hear: impl Fn(&str) + Send + 'static,
    ) -> Result<(tokio_postgres::Client, tokio::task::JoinHandle<()>), Fault>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let (client, connection) = self.address.config.connect(tls).await?;
        let served = tokio::spawn(serve(connection, hear));
        client.batch_execute(SESSION).await?;
        Ok((client, served))
    }

    pub(super) fn path(&self) -> PathBuf {
        self.address.shown()
    }

    pub(super) fn tries(&self) -> Tries<'_> {
        Tries { store: self, until: Instant::now() + PATIENCE, pause: FIRST_PAUSE, lost: false }
    }

    pub(super) async fn close(&self) {
        self.pool.close();
    }
}

fn manager<T>(address: &Address, tls: T) -> Manager
where
    T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
    T::Stream: Sync + Send,
    T::TlsConnect: Sync + Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Manager::from_config(address.config.clone(), tls, config)
}

async fn serve<S>(mut connection: Connection<Socket, S>, hear: impl Fn(&str))
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    // Until the server or the network ends it: an error means just that.
    while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
        if let AsyncMessage::Notification(told) = message {
            hear(told.payload());
        }
    }
}

/// How often something is tried.
#[derive(Debug)]
pub(super) struct Tries<'s> {
    store: &'s Store,
    until: Instant,
    pause: Duration,
    lost: bool,
}

impl Tries<'_> {
    /// Whether the answer to an earlier try was lost, so that it may have been done.
    pub(super) fn lost_an_answer(&self) -> bool {
        self.lost
    }

    /// Returns when it is to be tried again.
    pub(super) async fn again(&mut self, fault: Fault) -> Result<(), JournalError> {
        if matches!(fault, Fault::ReadOnly) {
            // Servers change places: the next connection may lead to one that can be written.
            self.store.pool.retain(|_, _| false);
        }
        if !fault.passes() || Instant::now() + self.pause > self.until {
            return Err(fault.at(self.store.path()));
        }
        self.lost |= matches!(fault, Fault::Lost(_));
        tracing::debug!(?fault, "the database is asked again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

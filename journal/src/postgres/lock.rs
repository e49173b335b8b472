//! Locks of targets, by the same rules as in every journal.

use deadpool_postgres::Client;
use runbook_core::{Timestamp, event::RunId};
use tokio_postgres::Row;

use super::{Inner, claim::Holding, fault::Fault};
use crate::{JournalError, lease::Lease, time};

/// So that there is a row to hold on to.
const ROW: &str =
    "INSERT INTO locks (target, run, fence, until) VALUES ($1, NULL, 0, '') ON CONFLICT (target) DO NOTHING";

const LEASE: &str = "SELECT fence, run, until FROM locks WHERE target = $1 FOR UPDATE";

/// To look at only.
const PRESENT: &str = "SELECT fence, run, until FROM locks WHERE target = $1";

const LOCK: &str = "UPDATE locks SET run = $2, fence = $3, until = $4 WHERE target = $1";

const UNLOCK: &str = "UPDATE locks SET run = NULL WHERE target = $1 AND run = $2";

impl Inner {
    pub(super) async fn lock(
        &self,
        target: &str,
        run: RunId,
        (now, until): (Timestamp, Timestamp),
        holding: Option<&Holding>,
    ) -> Result<u64, JournalError> {
        let mut tries = self.store.tries();
        loop {
            // Done twice, it is the same lease.
            let locked = async {
                let mut client = self.store.client().await?;
                lock(&mut client, target, run, (now, until), holding).await
            };
            match locked.await {
                Ok(fence) => return Ok(fence),
                Err(fault) => tries.again(fault).await?,
            }
        }
    }

    pub(super) async fn holder(
        &self,
        target: &str,
        now: Timestamp,
    ) -> Result<Option<(RunId, Timestamp)>, JournalError> {
        let lease = self.ask(PRESENT, &[&target], read).await?.pop();
        Ok(lease.and_then(|lease| lease.holder(now)))
    }

    pub(super) async fn unlock(
        &self,
        target: &str,
        run: RunId,
        holding: Option<&Holding>,
    ) -> Result<(), JournalError> {
        let mut tries = self.store.tries();
        loop {
            let unlocked = async {
                let mut client = self.store.client().await?;
                let transaction = client.transaction().await?;
                if let Some(holding) = holding {
                    holding.expect_held(transaction.client()).await?;
                }
                transaction.execute(UNLOCK, &[&target, &run.to_string()]).await?;
                Ok(transaction.commit().await?)
            };
            match unlocked.await {
                Ok(()) => return Ok(()),
                Err(fault) => tries.again(fault).await?,
            }
        }
    }
}

async fn lock(
    client: &mut Client,
    target: &str,
    run: RunId,
    (now, until): (Timestamp, Timestamp),
    holding: Option<&Holding>,
) -> Result<u64, Fault> {
    let transaction = client.transaction().await?;
    if let Some(holding) = holding {
        holding.expect_held(transaction.client()).await?;
    }
    transaction.execute(ROW, &[&target]).await?;
    let row = transaction.query_one(LEASE, &[&target]).await?;
    let mut lease = read(&row)?;
    let fence = lease.take(target, run, now, until)?;
    if let Some((holder, until)) = lease.holder {
        let values = (holder.to_string(), fence.cast_signed(), time::text(until));
        transaction.execute(LOCK, &[&target, &values.0, &values.1, &values.2]).await?;
    }
    transaction.commit().await?;
    Ok(fence)
}

fn read(row: &Row) -> Result<Lease, Fault> {
    let unreadable = || Fault::Unusable("the lock of a target cannot be read".to_owned());
    let holder = match row.try_get::<_, Option<&str>>(1)? {
        Some(holder) => {
            let until: &str = row.try_get(2)?;
            Some((holder.parse().map_err(|_| unreadable())?, until.parse().map_err(|_| unreadable())?))
        }
        None => None,
    };
    Ok(Lease { fence: row.try_get::<_, i64>(0)?.cast_unsigned(), holder })
}

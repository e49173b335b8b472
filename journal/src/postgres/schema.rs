//! The tables, and what leads from one form of them to the next.

use tokio_postgres::Client;

use super::{connect::Store, fault::Fault};
use crate::JournalError;

/// What leads from one form to the next; the version of a database is how many were applied.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql")];

/// Whoever changes tables holds this lock: `RnBk`.
const LOCK: i64 = 0x526e_426b;

/// The oldest server that is tested against what is asked of it here.
const OLDEST: i32 = 130_000;

/// How far the clocks of server and replica may be apart before somebody is told: leases on targets
/// are kept by the replicas' clocks.
const DRIFT: f64 = 5.0;

const FOUND: &str = "SELECT to_regclass('runbook.version') IS NOT NULL, \
    EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'runbook'), \
    EXISTS (SELECT FROM pg_namespace WHERE nspname = 'runbook')";

/// Whether there is a journal in the database that this version knows, without changing anything.
pub(super) async fn is_there(store: &Store) -> Result<bool, JournalError> {
    let told = |fault: Fault| fault.at(store.path());
    let client = store.client().await.map_err(told)?;
    match version(&client, store).await.map_err(told)? {
        0 => Ok(false),
        found if found == known() => Ok(true),
        _ => {
            let why = "its tables are older; open it once as a user who may change them";
            Err(told(Fault::Unusable(why.to_owned())))
        }
    }
}

/// Brings the tables up to date. Several processes may come here at once; the first does the work.
pub(super) async fn settle(store: &Store) -> Result<(), JournalError> {
    let told = |fault: Fault| fault.at(store.path());
    let mut client = store.client().await.map_err(told)?;
    if version(&client, store).await.map_err(told)? < known() {
        migrate(&mut client, store).await.map_err(told)?;
    }
    Ok(())
}

/// How safe a commit is.
pub(super) async fn durability(store: &Store) -> Result<String, JournalError> {
    let told = |fault: Fault| fault.at(store.path());
    let client = store.client().await.map_err(told)?;
    const ASK: &str = "SELECT current_setting('server_version_num')::integer, \
        current_setting('synchronous_commit'), current_setting('fsync'), \
        extract(epoch FROM clock_timestamp())::double precision";
    let row = client.query_one(ASK, &[]).await.map_err(|error| told(error.into()))?;
    let (version, synchronous, fsync): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
    if version < OLDEST {
        let why = format!("the server is PostgreSQL {}; 13 or newer is needed", version / 10_000);
        return Err(told(Fault::Unusable(why)));
    }
    let apart = row.get::<_, f64>(3) - jiff::Timestamp::now().as_microsecond() as f64 / 1e6;
    if apart.abs() > DRIFT {
        tracing::warn!(seconds = apart, "the database's clock and this machine's are apart");
    }
    let fsync = if fsync == "on" { String::new() } else { format!(", fsync={fsync}") };
    Ok(format!("postgresql {}, synchronous_commit={synchronous}{fsync}", version / 10_000))
}

fn known() -> i64 {
    MIGRATIONS.len() as i64
}

/// 0 where there is nothing yet.
async fn version(client: &Client, store: &Store) -> Result<i64, Fault> {
    let row = client.query_one(FOUND, &[]).await?;
    let (versioned, used): (bool, bool) = (row.get(0), row.get(1));
    if !versioned && used {
        return Err(Fault::Unusable("its schema `runbook` belongs to another program".to_owned()));
    }
    if !versioned {
        return Ok(0);
    }
    let found = client.query_one("SELECT max(number) FROM runbook.version", &[]).await?;
    let found = found.get::<_, Option<i64>>(0).unwrap_or_default();
    if found > known() {
        return Err(JournalError::Newer { path: store.path(), found, known: known() }.into());
    }
    Ok(found)
}

async fn migrate(client: &mut Client, store: &Store) -> Result<(), Fault> {
    let transaction = client.transaction().await?;
    // Another process may be at it, and large tables take their time.
    transaction.batch_execute("SET LOCAL lock_timeout = '5min'; SET LOCAL statement_timeout = 0").await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let version = version(transaction.client(), store).await?;
    if version == 0 {
        // Where an administrator has made the schema, this user need not be allowed to.
        let there: bool = transaction.query_one(FOUND, &[]).await?.get(2);
        if !there {
            transaction.batch_execute("CREATE SCHEMA runbook").await?;
        }
        transaction.batch_execute("CREATE TABLE runbook.version (number bigint PRIMARY KEY)").await?;
    }
    let applied = usize::try_from(version).unwrap_or_default();
    for (number, sql) in (1_i64..).zip(MIGRATIONS).skip(applied) {
        transaction.batch_execute(sql).await?;
        transaction.execute("INSERT INTO runbook.version (number) VALUES ($1)", &[&number]).await?;
    }
    transaction.commit().await?;
    Ok(())
}

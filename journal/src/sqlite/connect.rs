//! Connections to a database, and the schema that they must find.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Error, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};
use tokio::time::{Instant, sleep};

use super::{
    fault::{Fault, is_busy},
    place::Place,
};
use crate::JournalError;

/// How long a connection waits for another process to let go of the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says that a file is a journal of ours: `RnBk`.
const APPLICATION: i64 = 0x526e_426b;

/// What leads from one schema to the next; the version of a database is how many were applied.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql")];

pub(super) fn options(place: &Place) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(place.path())
        .busy_timeout(PATIENCE)
        .synchronous(SqliteSynchronous::Full)
        // On macOS only this reaches the disk itself; elsewhere it means nothing.
        .pragma("fullfsync", "ON")
        // Keeps the log from staying as large as it has once been.
        .pragma("journal_size_limit", "67108864")
        .foreign_keys(true)
        .disable_statement_logging()
}

/// Opens a database for writing and brings its schema up to date. Says how safe a commit is.
pub(super) async fn open(place: &Place) -> Result<(SqliteConnection, String), JournalError> {
    let told = |error: Error| Fault::of(&error, place).at(place);
    let mut conn = options(place).connect().await.map_err(told)?;
    // Before anything is changed: a newer version's database stays as it is.
    let version = version(&mut conn, place).await?;
    let mode = use_log(&mut conn).await.map_err(told)?;
    if version < known() {
        migrate(&mut conn).await.map_err(told)?;
    }
    Ok((conn, mode))
}

/// Opens a database whose schema is known to be up to date.
pub(super) async fn reopen(place: &Place) -> Result<SqliteConnection, Error> {
    options(place).connect().await
}

/// Opens a database for reading, without leaving anything beside it.
///
/// A log that holds entries has to be read through its index. Without one nothing but a checkpoint
/// writes the main file, so it can be read as it is, also where no index could be created.
pub(super) async fn read_only(place: &Place) -> Result<SqliteConnection, Error> {
    options(place).read_only(true).immutable(!place.has_log()).connect().await
}

fn known() -> i64 {
    MIGRATIONS.len() as i64
}

/// Proves that the database can be read and holds a journal.
pub(super) async fn expect_schema(conn: &mut SqliteConnection, place: &Place) -> Result<(), JournalError> {
    match version(conn, place).await? {
        found if found == known() => Ok(()),
        _ => Err(Fault::Unusable("its schema is older; open it once as a user who may write it".to_owned())
            .at(place)),
    }
}

async fn version(conn: &mut SqliteConnection, place: &Place) -> Result<i64, JournalError> {
    const ASK: &str = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) \
                       FROM pragma_application_id, pragma_user_version";
    let read = async {
        let row = sqlx::query(ASK).fetch_one(conn).await?;
        Ok((row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?, row.try_get::<i64, _>(2)?))
    };
    let (application, version, tables) = read.await.map_err(|error| Fault::of(&error, place).at(place))?;
    if application != APPLICATION && tables > 0 {
        Err(Fault::Unusable("it belongs to another program".to_owned()).at(place))
    } else if version > known() {
        Err(JournalError::Newer { path: place.path().to_owned(), found: version, known: known() })
    } else {
        Ok(version)
    }
}

/// Turns the write-ahead log on, where the file system allows it, and says what safety that gives.
/// SQLite does not wait for other processes here as it does elsewhere.
async fn use_log(conn: &mut SqliteConnection) -> Result<String, Error> {
    let deadline = Instant::now() + PATIENCE;
    let mode: String = loop {
        match sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(&mut *conn).await {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                sleep(Duration::from_millis(10)).await;
            }
            other => break other?,
        }
    };
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(conn).await?;
    let mode = if mode == "wal" { "WAL".to_owned() } else { format!("journal_mode={mode}") };
    let synchronous = if synchronous == 2 { "FULL".to_owned() } else { synchronous.to_string() };
    Ok(format!("sqlite, {mode}, synchronous={synchronous}"))
}

/// Several processes may come here at once; the first does the work.
async fn migrate(conn: &mut SqliteConnection) -> Result<(), Error> {
    let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    for sql in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or_default()) {
        sqlx::raw_sql(*sql).execute(&mut *transaction).await?;
    }
    let stamp = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {};", known());
    sqlx::raw_sql(AssertSqlSafe(stamp)).execute(&mut *transaction).await?;
    transaction.commit().await
}

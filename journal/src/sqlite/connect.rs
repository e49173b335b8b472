//! Connections to a database, and the schema that they must find.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use rusqlite::{Connection, Error, ErrorCode, OpenFlags, TransactionBehavior};

use super::{fault::Fault, place::Place};
use crate::JournalError;

/// How long a connection waits for another process to let go of the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says that a file is a journal of ours: `RnBk`.
const APPLICATION: i64 = 0x526e_426b;

/// What leads from one schema to the next; the version of a database is how many were applied.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// Opens a database for writing and brings its schema up to date. Says how safe a commit is.
pub(super) fn open(place: &Place) -> Result<(Connection, String), JournalError> {
    let told = |error: Error| Fault::of(&error, place).at(place);
    let mut conn = writable(place).map_err(told)?;
    // Before anything is changed: a newer version's database stays as it is.
    let version = version(&conn, place)?;
    let durability = use_log(&conn).map_err(told)?;
    if version < known() {
        migrate(&mut conn).map_err(told)?;
    }
    Ok((conn, durability))
}

/// Opens for writing a database whose schema is known to be up to date.
pub(super) fn writable(place: &Place) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(place.path(), flags)?;
    conn.busy_timeout(PATIENCE)?;
    // `fullfsync` reaches the disk itself on macOS, and means nothing elsewhere. The limit keeps
    // the log from staying as large as it has once been.
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA foreign_keys = ON; \
         PRAGMA journal_size_limit = 67108864;",
    )?;
    Ok(conn)
}

/// Opens for reading a database that this process writes too.
pub(super) fn readable(place: &Place) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(place.path(), flags)?;
    conn.busy_timeout(PATIENCE)?;
    Ok(conn)
}

/// Opens a database for reading, without leaving anything beside it.
///
/// A log that holds entries has to be read through its index. Without one nothing but a checkpoint
/// writes the main file, so it can be read as it is, also where no index could be created.
pub(super) fn untouched(place: &Place) -> Result<Connection, Error> {
    if place.has_log() {
        return readable(place);
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(place.immutable_uri(), flags)
}

/// Proves that the database can be read and holds a journal that this version knows.
pub(super) fn expect_schema(conn: &Connection, place: &Place) -> Result<(), JournalError> {
    if version(conn, place)? == known() {
        return Ok(());
    }
    let why = "its schema is older; open it once as a user who may write it";
    Err(Fault::Unusable(why.to_owned()).at(place))
}

fn known() -> i64 {
    MIGRATIONS.len() as i64
}

fn version(conn: &Connection, place: &Place) -> Result<i64, JournalError> {
    const ASK: &str = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) \
                       FROM pragma_application_id, pragma_user_version";
    let read = conn.query_row(ASK, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let (application, version, tables): (i64, i64, i64) =
        read.map_err(|error| Fault::of(&error, place).at(place))?;
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
fn use_log(conn: &Connection) -> Result<String, Error> {
    let deadline = Instant::now() + PATIENCE;
    let mode: String = loop {
        match conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                sleep(Duration::from_millis(10));
            }
            other => break other?,
        }
    };
    let synchronous: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    let mode = if mode == "wal" { "WAL".to_owned() } else { format!("journal_mode={mode}") };
    let synchronous = if synchronous == 2 { "FULL".to_owned() } else { synchronous.to_string() };
    Ok(format!("sqlite, {mode}, synchronous={synchronous}"))
}

/// Several processes may come here at once; the first does the work.
fn migrate(conn: &mut Connection) -> Result<(), Error> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for sql in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(sql)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", known())?;
    transaction.commit()
}

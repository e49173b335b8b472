//! How values lie in columns.

use runbook_core::{
    Timestamp,
    event::{NotARunId, RunId},
};
use rusqlite::{
    Error, Row,
    types::{Type, ValueRef},
};

pub(super) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, Error> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: jiff::Error| unreadable(column, error))
}

pub(super) fn run(row: &Row<'_>, column: usize) -> Result<RunId, Error> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: NotARunId| unreadable(column, error))
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// Whatever is there, of whatever type: it is for verification to say that it is not as it was.
pub(super) fn bytes<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row [u8], Error> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => &[],
    })
}

/// As `bytes`, where it should be text.
pub(super) fn text(row: &Row<'_>, column: usize) -> Result<String, Error> {
    bytes(row, column).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// What cannot be a sequence number becomes 0, which no entry has.
pub(super) fn seq(row: &Row<'_>, column: usize) -> Result<u64, Error> {
    row.get::<_, i64>(column).map(|seq| u64::try_from(seq).unwrap_or_default())
}

//! Documents in their table.

use rusqlite::{Connection, Error, OptionalExtension as _, Row, ToSql};

use super::{column, reader::Reader};
use crate::{Document, DocumentQuery, Expect, JournalError, Order, time};

const VERSION: &str = "SELECT version FROM documents WHERE kind = ?1 AND id = ?2";

const PUT: &str = "INSERT INTO documents (kind, id, version, at, state, parent, body) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, \
    at = excluded.at, state = excluded.state, parent = excluded.parent, body = excluded.body";

const REMOVE: &str = "DELETE FROM documents WHERE kind = ?1 AND id = ?2";

const ONE: &str =
    "SELECT kind, id, version, at, state, parent, body FROM documents WHERE kind = ?1 AND id = ?2";

pub(super) fn put(
    transaction: &Connection,
    document: &Document,
    expect: Expect,
) -> Result<Result<(), JournalError>, Error> {
    let Document { kind, id, at, state, parent, body, .. } = document;
    let version =
        transaction.prepare_cached(VERSION)?.query_row((kind, id), |row| column::seq(row, 0)).optional()?;
    let version = version.unwrap_or_default();
    if let Err(refusal) = expect.fits(kind, id, version) {
        return Ok(Err(refusal));
    }
    let row = (kind, id, version + 1, time::text(*at), state, parent, body);
    transaction.prepare_cached(PUT)?.execute(row)?;
    Ok(Ok(()))
}

pub(super) fn remove(transaction: &Connection, kind: &str, id: &str) -> Result<(), Error> {
    transaction.prepare_cached(REMOVE)?.execute((kind, id))?;
    Ok(())
}

impl Reader {
    pub(super) async fn document(&self, kind: &str, id: &str) -> Result<Option<Document>, JournalError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.read(move |conn| conn.prepare_cached(ONE)?.query_row((kind, id), document).optional()).await
    }

    pub(super) async fn documents(&self, query: &DocumentQuery) -> Result<Vec<Document>, JournalError> {
        let query = query.clone();
        self.read(move |conn| list(conn, &query)).await
    }
}

fn list(conn: &Connection, query: &DocumentQuery) -> Result<Vec<Document>, Error> {
    let (at, id) = match &query.after {
        Some((at, id)) => (Some(time::text(*at)), Some(id.as_str())),
        None => (None, None),
    };
    let limit = query.bound();
    let mut statement = conn.prepare_cached(&statement(query))?;
    let mut values: Vec<(&str, &dyn ToSql)> = vec![(":kind", &query.kind), (":limit", &limit)];
    if query.state.is_some() {
        values.push((":state", &query.state));
    }
    if query.parent.is_some() {
        values.push((":parent", &query.parent));
    }
    if at.is_some() {
        values.push((":at", &at));
        values.push((":id", &id));
    }
    let rows = statement.query_map(values.as_slice(), document)?;
    rows.collect()
}

/// One text for each shape of a question, so that each is answered from the index made for it. Made
/// of constants only.
fn statement(query: &DocumentQuery) -> String {
    let (sign, direction) = match query.order {
        Order::NewestFirst => ("<", "DESC"),
        Order::OldestFirst => (">", "ASC"),
    };
    let mut text =
        "SELECT kind, id, version, at, state, parent, body FROM documents WHERE kind = :kind".to_owned();
    if query.state.is_some() {
        text.push_str(" AND state = :state");
    }
    if query.parent.is_some() {
        text.push_str(" AND parent = :parent");
    }
    if query.after.is_some() {
        text.push_str(&format!(" AND (at, id) {sign} (:at, :id)"));
    }
    text.push_str(&format!(" ORDER BY at {direction}, id {direction} LIMIT :limit"));
    text
}

fn document(row: &Row<'_>) -> Result<Document, Error> {
    Ok(Document {
        kind: row.get(0)?,
        id: row.get(1)?,
        version: column::seq(row, 2)?,
        at: column::time(row, 3)?,
        state: row.get(4)?,
        parent: row.get(5)?,
        body: column::bytes(row, 6)?.to_vec(),
    })
}

//! The audit log, for those who may read it.

use std::sync::Arc;

use axum::{Router, extract::State, routing::get};
use maud::{Markup, html};
use runbook_core::Timestamp;
use runbook_desk::kept::{self, Found};
use runbook_identity::{Permission, Scope};
use runbook_journal::DocumentQuery;
use serde::Deserialize;

use super::{
    layout::{Here, page},
    words::{Tone, clock, mark},
};
use crate::{
    api::page::{Asked, Paging, cursor},
    gate::Caller,
    problem::Problem,
    shelf::{AuditEntry, Outcome},
    site::Site,
};

/// How many are on one page.
const EACH: usize = 50;

pub fn routes() -> Router<Arc<Site>> {
    Router::new().route("/audit", get(list))
}

#[derive(Debug, Default, Deserialize)]
struct Place {
    after: Option<String>,
}

async fn list(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Asked(place): Asked<Place>,
) -> Result<Markup, Problem> {
    caller.may(Permission::ReadAudit, Scope::NOTHING)?;
    let after = Paging { limit: None, after: place.after }.place()?;
    let query = DocumentQuery { after, limit: EACH, ..DocumentQuery::default() };
    let found = kept::list::<AuditEntry>(site.shelf(), query).await?;
    let next = found.last().filter(|_| found.len() == EACH).map(|last| cursor((last.value.at, &last.id)));
    let content = html! {
        h1 { "Audit log" }
        p { "What was refused to whom, and what was done to the server; the newest first." }
        @if found.is_empty() { p.empty { "Nothing yet." } }
        ol.log { @for entry in &found { (line(entry, site.now())) } }
        @if let Some(next) = next { p.paging { a.button href={ "/audit?after=" (next) } { "Older entries" } } }
    };
    Ok(page(&site, Some(&caller), Here::Audit, "Audit log", &content))
}

fn line(found: &Found<AuditEntry>, now: Timestamp) -> Markup {
    let entry = &found.value;
    html! {
        li {
            (clock(entry.at, now)) " "
            @match entry.outcome {
                Outcome::Refused => (mark(Tone::Bad, "✕ refused")),
                Outcome::Done => (mark(Tone::Calm, "done")),
            }
            " " strong { (entry.who.as_deref().unwrap_or("nobody who is known")) }
            " " code { (entry.method) " " (entry.path) }
            " " span { (entry.detail) }
            @if let Some(from) = &entry.from { " " span.quiet { "from " (from) } }
        }
    }
}

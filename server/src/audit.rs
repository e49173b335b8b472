//! The audit log: every refusal, and what is done to the server itself.

use runbook_desk::kept;
use runbook_identity::Identity;
use runbook_journal::Expect;
use uuid::Uuid;

use crate::{
    shelf::{AuditEntry, Outcome},
    site::Site,
};

/// The longest detail that is kept, in characters.
const LONGEST: usize = 500;

/// What an entry is about.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub from: Option<String>,
}

/// Writes an entry. A store that cannot be written keeps nobody from being refused: then the log is
/// all there is.
pub async fn write(
    site: &Site,
    who: Option<&Identity>,
    asked: &Asked,
    outcome: Outcome,
    code: &str,
    detail: &str,
) {
    let via = who.and_then(|who| serde_json::to_value(&who.via).ok());
    let via = via.and_then(|via| via.get("kind")?.as_str().map(str::to_owned));
    let entry = AuditEntry {
        at: site.now(),
        who: who.map(|who| who.name.clone()),
        via,
        from: asked.from.clone(),
        method: asked.method.clone(),
        path: asked.path.chars().take(LONGEST).collect(),
        outcome,
        code: code.to_owned(),
        detail: detail.chars().take(LONGEST).collect(),
    };
    tracing::info!(who = entry.who, method = entry.method, path = entry.path, code, ?outcome, "audit");
    let id = Uuid::now_v7().simple().to_string();
    let written = match kept::put(&id, &entry, Expect::New) {
        Ok(write) => site.shelf().write(vec![write]).await,
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        tracing::error!(%error, "an entry of the audit log could not be kept");
    }
}

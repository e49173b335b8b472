//! What the server keeps of its own: sessions, tokens, logins under way, the audit log, answers that
//! may be asked for again.

use runbook_core::{Timestamp, Value};
use runbook_desk::kept::Kept;
use runbook_identity::{oidc::Attempt, sessions::SessionRecord, tokens::TokenRecord};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Session(pub SessionRecord);

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub TokenRecord);

/// A login that was begun. It is taken once: whoever marks it first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoginAttempt {
    pub attempt: Attempt,
    pub begun_at: Timestamp,
    pub taken: bool,
}

/// Something that was refused to somebody, or done to the server itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// Who; nobody where nothing said who it was.
    pub who: Option<String>,
    pub via: Option<String>,
    pub from: Option<String>,
    pub method: String,
    pub path: String,
    pub outcome: Outcome,
    pub code: String,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Refused,
    Done,
}

/// The answer to a request that carried an idempotency key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answered {
    pub at: Timestamp,
    /// Of the method, the address and the body.
    pub digest: String,
    /// None while it is being worked on.
    pub status: Option<u16>,
    pub content_type: Option<String>,
    pub body: String,
}

impl Token {
    /// Without what could be used to guess the token. Its keys are an API.
    pub fn document(&self) -> Value {
        let record = &self.0;
        json!({
            "id": record.id,
            "name": record.name,
            "owner": record.owner,
            "rights": record.rights,
            "created_by": record.created_by,
            "created_at": record.created_at,
            "expires_at": record.expires_at,
            "last_used_at": record.last_used_at,
            "revoked_at": record.revoked_at,
        })
    }
}

impl Kept for Session {
    const KIND: &'static str = "session";
    fn at(&self) -> Timestamp {
        self.0.created_at
    }
    fn parent(&self) -> Option<String> {
        Some(self.0.name.clone())
    }
}

impl Kept for Token {
    const KIND: &'static str = "token";
    fn at(&self) -> Timestamp {
        self.0.created_at
    }
    fn parent(&self) -> Option<String> {
        Some(self.0.owner.clone())
    }
}

impl Kept for LoginAttempt {
    const KIND: &'static str = "login";
    fn at(&self) -> Timestamp {
        self.begun_at
    }
}

impl Kept for AuditEntry {
    const KIND: &'static str = "audit";
    fn at(&self) -> Timestamp {
        self.at
    }
    fn parent(&self) -> Option<String> {
        self.who.clone()
    }
}

impl Kept for Answered {
    const KIND: &'static str = "answered";
    fn at(&self) -> Timestamp {
        self.at
    }
}

/// A way in that somebody with access to the store has made: good for one sign-in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ticket {
    pub name: String,
    pub expires_at: Timestamp,
    pub taken: bool,
}

impl Kept for Ticket {
    const KIND: &'static str = "ticket";
    fn at(&self) -> Timestamp {
        self.expires_at
    }
}

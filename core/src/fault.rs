//! What can go wrong when the engine speaks to the world, told apart by what may be done next.

use serde::{Deserialize, Serialize};

use crate::duration::Duration;

/// Why a call failed. The kind decides what the engine may do; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub kind: FaultKind,
    /// A lowercase fragment that fits "failed to …: {message}".
    pub message: String,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// How long the server asked to wait before the next try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// The server itself said so, asked without changing anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_server: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The server said "not now" (429, 503) or was never reached by a request that changes
    /// something: nothing happened, the same request may be sent again.
    Refused,
    /// A source could not be reached to read from it.
    Unreachable,
    /// Nobody can tell whether the request took effect (time-out, connection lost after sending).
    /// Only a look at the world settles it.
    Unknown,
    /// The world has moved since it was observed: plan anew, an approval is void.
    Conflict,
    /// The world has moved since the plan file was made: the run may not plan anew.
    Stale,
    /// Authentication or authorization says no.
    Forbidden,
    /// A limit or policy of ours says no; nothing was sent.
    Denied,
    /// What was asked for does not exist.
    NotFound,
    /// It can never work as asked.
    Permanent,
}

impl FaultKind {
    /// Whether the same request may be sent again without looking first.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Refused | Self::Unreachable)
    }
}

impl Fault {
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, retry_after: None, by_server: false }
    }
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Refused, message)
    }
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Unreachable, message)
    }
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Unknown, message)
    }
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Conflict, message)
    }
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Forbidden, message)
    }
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Denied, message)
    }
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(FaultKind::NotFound, message)
    }
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Permanent, message)
    }
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    #[must_use]
    pub fn by_server(mut self) -> Self {
        self.by_server = true;
        self
    }
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

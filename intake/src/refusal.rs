//! Why a delivery was not taken.

/// Why a delivery was not taken. The message is the answer to whoever sent it: it contains no
/// secret, no part of an expected signature, and says of a wrong credential only that it is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no proof of who sent it, or a wrong one.
    #[error("{0}")]
    Unauthenticated(String),
    /// It is properly signed, but its time is too far from now: a replay, or a clock that is wrong.
    #[error("{0}")]
    Stale(String),
    #[error("{0}")]
    TooLarge(String),
    /// It is proven, but cannot be understood; the message says where.
    #[error("{0}")]
    Unprocessable(String),
}

impl Refusal {
    /// The status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unauthenticated(_) | Self::Stale(_) => 401,
            Self::TooLarge(_) => 413,
            Self::Unprocessable(_) => 422,
        }
    }

    /// What it is counted as.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Stale(_) => "stale",
            Self::TooLarge(_) => "too_large",
            Self::Unprocessable(_) => "unprocessable",
        }
    }

    /// A signature or credential was given and is not one of ours.
    pub(crate) fn wrong(what: &str) -> Self {
        Self::Unauthenticated(format!("the {what} is not accepted"))
    }

    pub(crate) fn missing(header: &str) -> Self {
        Self::Unauthenticated(format!("no credential: the header `{header}` is missing"))
    }
}

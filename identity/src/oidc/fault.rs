//! What can go wrong at a login, whose fault it is, and what to do.

use runbook_contract::text::line;

use crate::NoRandomness;

/// Why a login failed. Never holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OidcError {
    #[error("sign-in is not set up right: {0}")]
    Setup(String),
    #[error("the OpenID provider could not be asked: {what} {why}")]
    Unreachable { what: &'static str, why: String },
    #[error("the OpenID provider sent more than {limit} bytes from {what}")]
    Oversized { what: &'static str, limit: usize },
    #[error("the OpenID provider answered {status} from {what}")]
    Status { what: &'static str, status: u16 },
    #[error("the OpenID provider sent from {what} what cannot be read: {why}")]
    Malformed { what: &'static str, why: String },
    #[error("the provider calls itself `{found}`, not `{expected}`")]
    WrongIssuer { expected: String, found: String },
    #[error("the provider did not let you in: {0}")]
    Declined(String),
    #[error("this login was not begun in this browser, was finished before, or took more than ten minutes")]
    NotBegun,
    #[error("the provider's ID token is not accepted: {0}")]
    Token(#[from] TokenFault),
    #[error("the provider does not say who you are: {0}")]
    Nameless(String),
    #[error("the code was not confirmed in time")]
    DeviceExpired,
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// What is wrong with an ID token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("there is none")]
    Absent,
    #[error("it cannot be read")]
    Unreadable,
    #[error("it is signed with `{0}`, which is not among what the provider announces and we accept")]
    Algorithm(String),
    #[error("it demands header fields that we do not know")]
    Critical,
    #[error("it is signed with a key that the provider does not publish")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("its claim `{0}` is missing or not of its kind")]
    Claim(&'static str),
    #[error("another issuer made it")]
    Issuer,
    #[error("it is meant for another client")]
    Audience,
    #[error("it was given to another client")]
    AuthorizedParty,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    TooEarly,
    #[error("it belongs to another login")]
    Nonce,
    #[error("the userinfo endpoint speaks of another person")]
    Subject,
}

/// Whose move it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whoever runs the server: 500.
    Setup,
    /// The provider: 502.
    Provider,
    /// The person who signs in: 401, and again.
    Person,
}

impl OidcError {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Setup(_) | Self::WrongIssuer { .. } | Self::Nameless(_) | Self::Randomness(_) => {
                Kind::Setup
            }
            // A token of another login: replayed, or planted.
            Self::Declined(_) | Self::NotBegun | Self::DeviceExpired | Self::Token(TokenFault::Nonce) => {
                Kind::Person
            }
            Self::Unreachable { .. }
            | Self::Oversized { .. }
            | Self::Status { .. }
            | Self::Malformed { .. }
            | Self::Token(_) => Kind::Provider,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Setup(_) => "correct `auth.oidc` in runbook.yaml",
            Self::WrongIssuer { .. } => {
                "write `auth.oidc.issuer` in runbook.yaml to the letter as the provider's discovery document has it"
            }
            Self::Unreachable { .. } | Self::Status { .. } => {
                "try again; where it stays so, look whether the provider is up and reached from this server"
            }
            Self::Oversized { .. } | Self::Malformed { .. } => {
                "look whether `auth.oidc.issuer` in runbook.yaml is an OpenID provider"
            }
            Self::Token(TokenFault::Expired | TokenFault::TooEarly) => {
                "sign in again; where it stays so, compare the clocks of this server and of the provider"
            }
            Self::Token(_) => {
                "sign in again; where it stays so, compare `auth.oidc` with the client at the provider"
            }
            Self::Nameless(_) => "set `auth.oidc.name_claim` and `scopes` so that the provider sends a name",
            Self::Declined(_) | Self::NotBegun | Self::DeviceExpired => "sign in again",
            Self::Randomness(_) => "look at the machine of this server",
        }
    }

    pub(super) fn declined(code: &str, description: Option<&str>) -> Self {
        let description = description.map(|text| format!(": {text}")).unwrap_or_default();
        Self::Declined(line(&format!("{code}{description}"), 200))
    }

    pub(super) fn wrong_issuer(expected: &str, found: &str) -> Self {
        Self::WrongIssuer { expected: expected.to_owned(), found: line(found, 200) }
    }
}

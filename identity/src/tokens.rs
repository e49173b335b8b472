//! Bearer tokens for programs: `rbk_<id>_<secret>`, the id in hexadecimal, the secret 256 random
//! bits in base64url. The store holds the SHA-256 of the secret.
//!
//! A token has rights of its own, never more than its owner's: not when it is made, nor later, for
//! each use asks what the owner is granted that day. A token makes no tokens.

use std::collections::BTreeSet;

use jiff::Timestamp;
use runbook_core::duration::Duration;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::{
    Directory, Identity, NoRandomness, Permission, Refusal, Rights, Scope, Via,
    directory::{NotAName, SERVICE, check_name},
    may,
    random::{self, Secret},
};

/// What all tokens begin with, so that scanners for leaked secrets can tell them.
pub const PREFIX: &str = "rbk_";
/// No token lives longer.
pub const LONGEST_LIFE: Duration = Duration::MAX;
const MOST_GRANTS: usize = 32;
const MOST_PATTERNS: usize = 32;
/// Each use is not written down more often than this.
const USED_EVERY: Duration = Duration::from_secs(60);

/// What the store holds, by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// A person, or `token:NAME` where it belongs to none.
    pub owner: String,
    /// The groups that the provider named when it was made.
    pub groups: BTreeSet<String>,
    pub rights: Rights,
    /// The SHA-256 of the secret, in hexadecimal.
    pub digest: String,
    pub created_by: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// What somebody wants of a new token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    pub name: String,
    /// Whose it is to be where not one's own: the NAME of a `token:NAME` in `auth.roles`.
    pub service: Option<String>,
    pub rights: Rights,
    pub expires_at: Timestamp,
}

/// A new token. It is shown once and never again.
#[derive(Debug)]
pub struct Minted {
    pub record: TokenRecord,
    pub token: SecretString,
}

/// A token as somebody presents it.
#[derive(Debug)]
pub struct Presented {
    /// Under which its record is to be found.
    pub id: String,
    secret: Secret,
}

/// Why no token is made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MintError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("a token makes no tokens; sign in, or use `runbook token create` on the server's machine")]
    ByToken,
    #[error("the name of the token does not do: {0}")]
    Name(#[from] NotAName),
    #[error("a token must expire in the future and within {} days", LONGEST_LIFE.as_std().as_secs() / 86400)]
    Life,
    #[error(
        "a token needs 1 to {MOST_GRANTS} grants, each of 1 to {MOST_PATTERNS} environments and runbooks"
    )]
    Rights,
    #[error(
        "{owner} is not granted all that the token asks for; `auth.roles` in runbook.yaml says what they are"
    )]
    Wider { owner: String },
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Also the answer where there is no record: who guesses learns nothing of which ids exist.
    #[error("the token is not known; make a new one")]
    Unknown,
    #[error("the token expired at {0}; make a new one")]
    Expired(Timestamp),
    #[error("the token was revoked at {0}; make a new one")]
    Revoked(Timestamp),
}

/// Makes a token for somebody, or, where they may manage tokens, for no person.
pub fn mint(
    by: &Identity,
    directory: &Directory,
    request: TokenRequest,
    now: Timestamp,
) -> Result<Minted, MintError> {
    if matches!(by.via, Via::Token { .. }) {
        return Err(MintError::ByToken);
    }
    let (owner, groups) = match &request.service {
        None => {
            may(by, Permission::OwnTokens, Scope::NOTHING)?;
            (by.name.clone(), by.claimed.clone())
        }
        Some(name) => {
            may(by, Permission::ManageTokens, Scope::NOTHING)?;
            check_name(name)?;
            (format!("{SERVICE}{name}"), BTreeSet::new())
        }
    };
    check_name(&request.name)?;
    check(&request, now)?;
    if !request.rights.within(&directory.rights_of(&owner, &groups)) {
        return Err(MintError::Wider { owner });
    }
    let (id, secret) = (random::hex(&random::bytes::<8>()?), Secret::fresh()?);
    let token = format!("{PREFIX}{id}_{}", secret.text().expose_secret()).into();
    let record = TokenRecord {
        id,
        name: request.name,
        owner,
        groups,
        rights: request.rights,
        digest: secret.digest(),
        created_by: by.name.clone(),
        created_at: now,
        expires_at: request.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    Ok(Minted { record, token })
}

fn check(request: &TokenRequest, now: Timestamp) -> Result<(), MintError> {
    if request.expires_at <= now || request.expires_at > LONGEST_LIFE.after(now) {
        return Err(MintError::Life);
    }
    let bounded = |count: usize, most: usize| (1..=most).contains(&count);
    let grants = &request.rights.0;
    let fits = bounded(grants.len(), MOST_GRANTS)
        && grants.iter().all(|grant| {
            bounded(grant.environments.len(), MOST_PATTERNS) && bounded(grant.runbooks.len(), MOST_PATTERNS)
        });
    if fits { Ok(()) } else { Err(MintError::Rights) }
}

impl Presented {
    /// From the value of an `Authorization` header.
    pub fn bearer(header: &str) -> Option<Self> {
        let (scheme, token) = header.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") { Self::parse(token.trim()) } else { None }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let plain = |letter: u8| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter);
        if id.len() != 16 || !id.bytes().all(plain) {
            return None;
        }
        Some(Self { id: id.to_owned(), secret: Secret::parse(secret)? })
    }
}

/// Who presents a token, from the record of its id, if there is one.
pub fn authenticate(
    presented: &Presented,
    record: Option<&TokenRecord>,
    directory: &Directory,
    now: Timestamp,
) -> Result<Identity, TokenError> {
    let record = record.filter(|record| record.id == presented.id).ok_or(TokenError::Unknown)?;
    let same: bool = presented.secret.digest().as_bytes().ct_eq(record.digest.as_bytes()).into();
    if !same {
        return Err(TokenError::Unknown);
    }
    if let Some(at) = record.revoked_at {
        return Err(TokenError::Revoked(at));
    }
    if now >= record.expires_at {
        return Err(TokenError::Expired(record.expires_at));
    }
    let owner = directory.person(&record.owner, &record.groups, Via::Token { id: record.id.clone() });
    Ok(Identity { rights: record.rights.clone(), within: Some(owner.rights), ..owner })
}

impl TokenRecord {
    /// Notes that it was used. Whether the record has changed and is to be stored: once a minute at
    /// most.
    #[must_use]
    pub fn used(&mut self, now: Timestamp) -> bool {
        let due = self.last_used_at.is_none_or(|last| Duration::between(last, now) >= USED_EVERY);
        if due {
            self.last_used_at = Some(now);
        }
        due
    }

    /// Ends it. The first moment stands.
    pub fn revoke(&mut self, now: Timestamp) {
        self.revoked_at.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests;

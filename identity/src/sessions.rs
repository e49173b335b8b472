//! Sessions of browsers: 256 random bits in a cookie, of which the store holds the SHA-256.
//!
//! The token against forged requests (CSRF) is derived from the cookie's secret, so that it is bound
//! to the session, stands in no store, and changes whenever the session's secret does.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use runbook_core::duration::Duration;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::{
    NoRandomness,
    config::SessionLifetimes,
    cookies::{Cookie, Transport},
    oidc::Claimed,
    random::{Secret, bytes},
};

/// What a browser holds.
#[derive(Debug)]
pub struct SessionSecret(Secret);

/// What the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The SHA-256 of the secret.
    pub id: String,
    pub name: String,
    /// Who the person is to the provider.
    pub issuer: String,
    pub subject: String,
    /// The groups that the provider named.
    pub groups: BTreeSet<String>,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionEnd {
    #[error("nothing was asked for too long; sign in again")]
    Idle,
    #[error("it is too long since you signed in; sign in again")]
    Age,
}

/// Seeing a session again is written down no more often than this.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// Begins the session of somebody who has signed in. Each login makes a new secret: one that was
/// planted in a browser before is worth nothing after. The caller deletes the record of a session
/// that the browser had.
pub fn open(person: &Claimed, now: Timestamp) -> Result<(SessionRecord, SessionSecret), NoRandomness> {
    let secret = SessionSecret(Secret::fresh()?);
    let record = SessionRecord {
        id: secret.id(),
        name: person.name.clone(),
        issuer: person.issuer.clone(),
        subject: person.subject.clone(),
        groups: person.groups.clone(),
        created_at: now,
        last_seen_at: now,
    };
    Ok((record, secret))
}

impl SessionRecord {
    /// Whether the session still stands. One that is over is deleted by the caller.
    pub fn standing(&self, lifetimes: &SessionLifetimes, now: Timestamp) -> Result<(), SessionEnd> {
        if now >= lifetimes.absolute.after(self.created_at) {
            Err(SessionEnd::Age)
        } else if now >= lifetimes.idle.after(self.last_seen_at) {
            Err(SessionEnd::Idle)
        } else {
            Ok(())
        }
    }

    /// Notes that it was used. Whether the record has changed and is to be stored: once a minute at
    /// most, so that reading a page is rarely a write.
    #[must_use]
    pub fn seen(&mut self, now: Timestamp) -> bool {
        let due = Duration::between(self.last_seen_at, now) >= SEEN_EVERY;
        if due {
            self.last_seen_at = now;
        }
        due
    }

    /// The same session under a new secret, for example when somebody has proved again who they
    /// are. Its age is what it was. The caller deletes the old record.
    pub fn rotated(&self, now: Timestamp) -> Result<(Self, SessionSecret), NoRandomness> {
        let secret = SessionSecret(Secret::fresh()?);
        Ok((Self { id: secret.id(), last_seen_at: now, ..self.clone() }, secret))
    }
}

impl SessionSecret {
    /// From the `Cookie` header of a request.
    pub fn find(transport: Transport, header: &str) -> Option<Self> {
        Secret::parse(Cookie::Session.find(transport, header)?).map(Self)
    }

    /// The id of its record. To find a record by the digest of 256 random bits tells nobody by its
    /// timing how near a guess was.
    pub fn id(&self) -> String {
        self.0.digest()
    }

    /// The value of the `Set-Cookie` header.
    pub fn cookie(&self, transport: Transport, lifetimes: &SessionLifetimes) -> String {
        Cookie::Session.set(transport, &self.0.text(), lifetimes.absolute)
    }

    /// What forms and scripts send along with each request that changes something.
    pub fn csrf(&self) -> SecretString {
        self.0.derive("runbook session csrf v1")
    }

    pub fn csrf_matches(&self, given: &str) -> bool {
        self.csrf().expose_secret().as_bytes().ct_eq(given.as_bytes()).into()
    }
}

/// How long a token is: 256 bits in base64url.
const TOKEN: usize = 43;

/// The token of forms as it is written into one page: another text each time. A page is sent packed, and
/// how small it becomes would tell of a text that stays the same whether a guess at it, which somebody
/// else has brought into the page, was right.
///
/// # Errors
/// Where the operating system gives no random bytes.
pub fn masked(token: &SecretString) -> Result<SecretString, NoRandomness> {
    let pad: [u8; TOKEN] = bytes()?;
    let mut both = pad.to_vec();
    both.extend(token.expose_secret().bytes().zip(pad).map(|(byte, pad)| byte ^ pad));
    Ok(URL_SAFE_NO_PAD.encode(both).into())
}

/// Whether this is the token, or came of it for a page.
pub fn is_token(token: &SecretString, given: &[u8]) -> bool {
    let both = URL_SAFE_NO_PAD.decode(given).unwrap_or_default();
    let unmasked: Vec<u8> = match both.split_at_checked(TOKEN) {
        Some((pad, rest)) if rest.len() == TOKEN => {
            pad.iter().zip(rest).map(|(pad, byte)| pad ^ byte).collect()
        }
        _ => given.to_vec(),
    };
    token.expose_secret().as_bytes().ct_eq(&unmasked).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn opened() -> (SessionRecord, SessionSecret) {
        open(&Claimed::named("alice", BTreeSet::from(["leads".to_owned()])), NOON).unwrap()
    }

    fn after(seconds: u64) -> Timestamp {
        Duration::from_secs(seconds).after(NOON)
    }

    #[test]
    fn the_cookie_leads_to_the_record_which_does_not_lead_back() {
        let (record, secret) = opened();
        for transport in [Transport::Tls, Transport::Loopback] {
            let cookie = secret.cookie(transport, &SessionLifetimes::default());
            let (sent, _) = cookie.split_once(';').unwrap();
            let value = sent.split_once('=').unwrap().1;
            assert_eq!(value.len(), 43);
            assert_eq!(SessionSecret::find(transport, sent).unwrap().id(), record.id);
            let stored = serde_json::to_string(&record).unwrap();
            assert!(!stored.contains(value), "the record holds the secret");
            assert!(!format!("{secret:?}").contains(value), "the secret is printed");
            assert!(!stored.contains(secret.csrf().expose_secret()), "the record holds the CSRF token");
        }
        assert!(SessionSecret::find(Transport::Tls, "__Host-runbook=short").is_none());
    }

    #[test]
    fn a_session_ends_when_it_is_idle_or_old() {
        let lifetimes = SessionLifetimes::default();
        let hours = |count: u64| after(count * 3600);
        let (mut record, _) = opened();
        assert_eq!(record.standing(&lifetimes, NOON), Ok(()));
        assert_eq!(record.standing(&lifetimes, after(12 * 3600 - 1)), Ok(()));
        assert_eq!(record.standing(&lifetimes, hours(12)), Err(SessionEnd::Idle));
        for seen in (11..=167).step_by(11) {
            assert!(record.seen(hours(seen)));
            assert_eq!(record.standing(&lifetimes, hours(seen)), Ok(()), "after {seen} hours");
        }
        assert_eq!(record.standing(&lifetimes, after(7 * 24 * 3600 - 1)), Ok(()));
        assert_eq!(record.standing(&lifetimes, hours(168)), Err(SessionEnd::Age));
    }

    #[test]
    fn being_seen_is_written_once_a_minute() {
        let (mut record, _) = opened();
        assert!(!record.seen(after(59)));
        assert!(record.seen(after(60)));
        assert!(!record.seen(after(61)));
        assert!(!record.seen(NOON), "a clock that goes back changes nothing");
        assert_eq!(record.last_seen_at, after(60));
    }

    #[test]
    fn a_new_secret_voids_the_old_one_and_its_csrf_token() {
        let (record, old) = opened();
        let (rotated, new) = record.rotated(after(3600)).unwrap();
        assert_ne!(rotated.id, record.id);
        assert_eq!((rotated.created_at, rotated.last_seen_at), (NOON, after(3600)));
        assert!(!new.csrf_matches(old.csrf().expose_secret()));
        assert!(new.csrf_matches(new.csrf().expose_secret()));
    }

    #[test]
    fn each_page_has_another_text_for_the_same_token() {
        let (secret, other) =
            (SessionSecret(Secret::fresh().unwrap()), SessionSecret(Secret::fresh().unwrap()));
        let (token, others) = (secret.csrf(), other.csrf());
        assert!(is_token(&token, token.expose_secret().as_bytes()));
        let pages: Vec<_> = (0..10).map(|_| masked(&token).unwrap().expose_secret().to_owned()).collect();
        for (index, page) in pages.iter().enumerate() {
            assert!(is_token(&token, page.as_bytes()));
            assert!(!is_token(&others, page.as_bytes()));
            assert!(!pages[..index].contains(page) && !page.contains(token.expose_secret()));
            for wrong in [
                &page[1..],
                &page[..page.len() - 4],
                &format!("{page}AAAA"),
                &page.replacen(|_| true, "-_", 1),
            ] {
                assert!(!is_token(&token, wrong.as_bytes()), "{wrong:?} was taken");
            }
        }
        for wrong in ["", "A", &"A".repeat(115), &"A".repeat(43)] {
            assert!(!is_token(&token, wrong.as_bytes()), "{wrong:?} was taken");
        }
    }

    #[test]
    fn no_other_text_passes_for_the_csrf_token() {
        let (_, secret) = opened();
        let right = secret.csrf().expose_secret().to_owned();
        assert!(secret.csrf_matches(&right));
        for at in 0..right.len() {
            let mut wrong = right.clone().into_bytes();
            wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
            assert!(!secret.csrf_matches(std::str::from_utf8(&wrong).unwrap()), "changed at {at}");
        }
        for wrong in ["", &right[1..], &format!("{right}x")] {
            assert!(!secret.csrf_matches(wrong), "{wrong:?} was taken");
        }
    }
}

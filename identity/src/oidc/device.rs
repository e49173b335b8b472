//! The device flow (RFC 8628): somebody confirms, in a browser anywhere, the code that their
//! terminal shows.

use std::fmt;

use jiff::Timestamp;
use runbook_contract::text::line;
use runbook_core::duration::Duration;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{Claimed, Oidc, OidcError, Tokens};
use crate::config::ClientAuth;

const WHAT: &str = "its device endpoint";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const LONGEST_LIFE: Duration = Duration::from_secs(1800);
const USUAL_INTERVAL: u64 = 5;
const LONGEST_INTERVAL: u64 = 60;

/// A login that waits to be confirmed. It is kept in memory, never stored: its code is a secret.
pub struct DeviceLogin {
    /// What the person types in.
    pub user_code: String,
    /// Where.
    pub verification_uri: Url,
    /// The same place with the code filled in, where the provider has one.
    pub verification_uri_complete: Option<Url>,
    pub expires_at: Timestamp,
    device_code: SecretString,
    interval: u64,
    poll_at: Timestamp,
}

/// What came of asking once.
#[derive(Debug)]
pub enum DevicePoll {
    /// Not yet; ask again after this long.
    Pending {
        wait: Duration,
    },
    Done(Claimed),
}

#[derive(Deserialize)]
struct Begun {
    device_code: SecretString,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    expires_in: u64,
    #[serde(default)]
    interval: Option<u64>,
}

impl fmt::Debug for DeviceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceLogin")
            .field("verification_uri", &self.verification_uri.as_str())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl DeviceLogin {
    /// How long until the provider may be asked again.
    pub fn wait(&self, now: Timestamp) -> Duration {
        Duration::between(now, self.poll_at)
    }

    fn later(&mut self, now: Timestamp) -> DevicePoll {
        let wait = Duration::from_secs(self.interval);
        self.poll_at = wait.after(now);
        DevicePoll::Pending { wait }
    }
}

impl Oidc {
    pub async fn device_begin(&self, now: Timestamp) -> Result<DeviceLogin, OidcError> {
        let provider = self.provider(now).await?;
        let Some(endpoint) = &provider.device else {
            return Err(OidcError::Setup("the provider has no device flow".to_owned()));
        };
        // Some want the name of the client in the form, also where it proves itself in a header.
        let scope = self.scope(provider.scopes.as_deref());
        let form = [("scope", scope.as_str()), ("client_id", self.config.client_id.as_str())];
        let in_header = self.config.client_secret.is_some() && provider.client_auth == ClientAuth::Basic;
        let form = if in_header { &form[..] } else { &form[..1] };
        let answer = self.post(WHAT, endpoint, &provider, form).await?;
        if let Some(declined) = answer.declined() {
            return Err(OidcError::declined(&declined.error, declined.error_description.as_deref()));
        }
        let begun: Begun = answer.read()?;
        let interval = begun.interval.unwrap_or(USUAL_INTERVAL).clamp(1, LONGEST_INTERVAL);
        let life = Duration::from_secs(begun.expires_in).min(LONGEST_LIFE);
        let admit = |address: &str| self.transport.admit(WHAT, address);
        Ok(DeviceLogin {
            user_code: line(&begun.user_code, 64),
            verification_uri: admit(&begun.verification_uri)?,
            verification_uri_complete: begun.verification_uri_complete.as_deref().map(admit).transpose()?,
            expires_at: life.after(now),
            device_code: begun.device_code,
            interval,
            poll_at: Duration::from_secs(interval).after(now),
        })
    }

    /// Asks once whether the code was confirmed. Asked too early, it answers without asking the
    /// provider, so whoever polls too fast does no harm.
    pub async fn device_poll(
        &self,
        login: &mut DeviceLogin,
        now: Timestamp,
    ) -> Result<DevicePoll, OidcError> {
        if now >= login.expires_at {
            return Err(OidcError::DeviceExpired);
        }
        if now < login.poll_at {
            return Ok(DevicePoll::Pending { wait: login.wait(now) });
        }
        let provider = self.provider(now).await?;
        let form = [("grant_type", GRANT), ("device_code", login.device_code.expose_secret())];
        let answer = match self.post("its token endpoint", &provider.token, &provider, &form).await {
            // The code still stands: the standard wants it asked again, less often.
            Err(OidcError::Unreachable { .. }) => {
                login.interval = (login.interval * 2).min(LONGEST_INTERVAL);
                return Ok(login.later(now));
            }
            answer => answer?,
        };
        match answer.declined() {
            None => {
                let tokens = answer.read::<Tokens>()?;
                self.accept(&provider, tokens, None, now).await.map(DevicePoll::Done)
            }
            Some(declined) => match declined.error.as_str() {
                "authorization_pending" => Ok(login.later(now)),
                "slow_down" => {
                    login.interval = (login.interval + 5).min(LONGEST_INTERVAL);
                    Ok(login.later(now))
                }
                "expired_token" => Err(OidcError::DeviceExpired),
                other => Err(OidcError::declined(other, declined.error_description.as_deref())),
            },
        }
    }
}

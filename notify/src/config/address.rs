//! Where messages are sent, so that nothing leaves this machine in the clear.

use std::{fmt, str::FromStr};

use runbook_core::host::is_loopback;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// An address that begins with `https://`, or with `http://` where it is this machine. It may hold a
/// token, so only its server is ever shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Address(Url);

/// Why a text is not an address. Never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    #[error("the address is not a URL; write it like `https://hooks.example.com/runbook`")]
    NotAUrl,
    #[error("the address must begin with `https://`; `http://` is only for this machine")]
    InTheClear,
    #[error("the address holds a user or a password; a webhook proves itself by its signature")]
    Credentials,
    #[error("the address is longer than 2048 bytes")]
    TooLong,
}

const LONGEST: usize = 2_048;

impl Address {
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The address of something below this one.
    pub(crate) fn below(&self, segment: &str) -> Url {
        let mut url = self.0.clone();
        // Every address has a host, and a path with it.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(segment);
        }
        url
    }

    #[expect(clippy::expect_used, reason = "constants, each read by a test that makes a default")]
    pub(crate) fn constant(text: &'static str) -> Self {
        text.parse().expect("the constant is an address")
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        if text.len() > LONGEST {
            return Err(NotAnAddress::TooLong);
        }
        let url = Url::parse(text).map_err(|_| NotAnAddress::NotAUrl)?;
        let private = match (url.scheme(), url.host_str()) {
            ("https", Some(_)) => true,
            ("http", Some(host)) => is_loopback(host),
            _ => false,
        };
        if !private {
            return Err(NotAnAddress::InTheClear);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotAnAddress::Credentials);
        }
        Ok(Self(url))
    }
}

impl TryFrom<String> for Address {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, NotAnAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0.into()
    }
}

/// The server alone.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// A mail server and its port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct MailServer {
    pub host: String,
    pub port: u16,
}

/// Why a text does not name a mail server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a mail server; write it like `smtp.example.com:587`")]
pub struct NotAMailServer(String);

impl MailServer {
    pub fn is_this_machine(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl FromStr for MailServer {
    type Err = NotAMailServer;

    fn from_str(text: &str) -> Result<Self, NotAMailServer> {
        let refuse = || NotAMailServer(text.chars().take(60).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(refuse)?;
        match Host::parse(host).map_err(|_| refuse())? {
            Host::Domain(name) => Ok(Self { host: name, port }),
            Host::Ipv4(address) => Ok(Self { host: address.to_string(), port }),
            Host::Ipv6(address) => Ok(Self { host: address.to_string(), port }),
        }
    }
}

impl TryFrom<String> for MailServer {
    type Error = NotAMailServer;

    fn try_from(text: String) -> Result<Self, NotAMailServer> {
        text.parse()
    }
}

impl From<MailServer> for String {
    fn from(server: MailServer) -> Self {
        server.to_string()
    }
}

impl fmt::Display for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brackets = self.host.contains(':');
        if brackets {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

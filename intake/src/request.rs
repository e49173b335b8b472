//! What came over the wire, before anything of it is believed.

use std::fmt;

use jiff::Timestamp;

use crate::client::ClientName;
use crate::refusal::Refusal;

/// One request, as it arrived.
pub struct Request<'a> {
    pub headers: Headers<'a>,
    /// The body, byte for byte: signatures cover exactly these.
    pub body: &'a [u8],
    pub now: Timestamp,
    /// The names of the client certificate that the TLS layer has verified, where there was one.
    pub client: Option<&'a [ClientName]>,
}

impl<'a> Request<'a> {
    /// A request without a client certificate.
    pub fn new(headers: Headers<'a>, body: &'a [u8], now: Timestamp) -> Self {
        Self { headers, body, now, client: None }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("headers", &self.headers)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("now", &self.now)
            .field("client", &self.client)
            .finish()
    }
}

/// The headers of a request; their names do not depend on case. Shown without values, as some are
/// credentials.
#[derive(Clone, Default)]
pub struct Headers<'a> {
    entries: Vec<(&'a str, &'a str)>,
}

impl<'a> Headers<'a> {
    /// The value of a header that must be given exactly once: of two, another reader of the same
    /// request could believe the other one.
    pub(crate) fn required(&self, name: &str) -> Result<&'a str, Refusal> {
        self.optional(name)?.ok_or_else(|| Refusal::missing(name))
    }

    /// The value of a header that must not be given twice.
    pub(crate) fn optional(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let mut given = self.entries.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        match (given.next(), given.next()) {
            (Some(_), Some(_)) => {
                Err(Refusal::Unauthenticated(format!("the header `{name}` is given more than once")))
            }
            (first, _) => Ok(first.map(|(_, value)| value.trim_matches([' ', '\t']))),
        }
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Headers<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

impl<'a> From<&'a [(String, String)]> for Headers<'a> {
    fn from(entries: &'a [(String, String)]) -> Self {
        entries.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|(name, _)| name)).finish()
    }
}

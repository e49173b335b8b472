//! The address of a service, as a configuration gives it.

use std::{fmt, net::SocketAddr, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::allow::{Allow, Origin};

/// Where a service answers: `https://prometheus.example.com`, or with a path in front of all of
/// its own, `https://example.com/prometheus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    url: Url,
    origin: Origin,
    /// Where it answers, where that is not what it is called.
    at: Option<SocketAddr>,
}

/// Why a text is not the address of a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the address of a service: {0}; write it like `https://flags.example.com`")]
pub struct NotAnEndpoint(&'static str);

impl Endpoint {
    /// The URL of a path below the service, every segment encoded.
    pub fn at<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.url.clone();
        // Only URLs without a host have no path, and those are no endpoints.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The server and nothing else.
    pub fn allow(&self) -> Allow {
        let allow = Allow::new([self.origin.clone()]);
        match self.at {
            Some(at) => allow.standing_in(self.origin.clone(), at),
            None => allow,
        }
    }

    /// The same service, simulated at an address of this machine: its name stays, so that what is
    /// planned by one process can be applied by another, where it listens elsewhere.
    #[must_use]
    pub fn simulated_at(self, at: SocketAddr) -> Self {
        Self { at: Some(at), ..self }
    }

    /// The server's name and port, for the names of targets.
    pub fn host(&self) -> String {
        host_of(&self.url)
    }
}

/// The name of a URL's server and, where it is not the scheme's own, the port.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, NotAnEndpoint> {
        let url = Url::parse(text).map_err(|_| NotAnEndpoint("it is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotAnEndpoint("credentials belong into `token`, not into the URL"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(NotAnEndpoint("it ends with a query or a fragment"));
        }
        let origin = Origin::of(&url).ok_or(NotAnEndpoint("it is neither `http` nor `https`"))?;
        Ok(Self { url, origin, at: None })
    }
}

impl TryFrom<String> for Endpoint {
    type Error = NotAnEndpoint;

    fn try_from(text: String) -> Result<Self, NotAnEndpoint> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.url.into()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_added_to_what_the_address_has() {
        for (base, expected) in [
            ("https://flags.example.com", "https://flags.example.com/api/flags/a%2Fb"),
            ("https://flags.example.com/", "https://flags.example.com/api/flags/a%2Fb"),
            ("https://example.com:8443/flags", "https://example.com:8443/flags/api/flags/a%2Fb"),
            ("http://[::1]:80/x/y/", "http://[::1]/x/y/api/flags/a%2Fb"),
        ] {
            let endpoint: Endpoint = base.parse().unwrap();
            assert_eq!(endpoint.at(["api", "flags", "a/b"]).as_str(), expected);
        }
    }

    #[test]
    fn an_address_is_checked_and_its_credentials_never_shown() {
        for text in [
            "",
            "flags.example.com",
            "ftp://x",
            "https://u:s3cret@x",
            "https://x?token=s3cret",
            "https://x#y",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}

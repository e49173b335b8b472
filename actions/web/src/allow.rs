//! Which servers may be reached. An address is compared as a parsed URL, the same one that the
//! request is then sent to, so that no spelling of a host can mean two things.

use std::{fmt, net::SocketAddr, str::FromStr};

use runbook_core::fault::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// A server, or all servers below a domain: `https://api.example.com`,
/// `http://127.0.0.1:9090`, `https://*.example.com` (not `example.com` itself). Scheme and port
/// must be the same; without a port it is the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("examples" = ["https://api.example.com", "https://*.example.com"]))]
pub struct Origin {
    scheme: String,
    host: HostPattern,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Exact(Host<String>),
    Below(String),
}

/// Why a text does not name servers that may be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` does not name a server: {reason}; write it like `https://api.example.com` or `https://*.example.com`"
)]
pub struct NotAnOrigin {
    text: String,
    reason: &'static str,
}

impl Origin {
    /// The server of a URL, where it is one of HTTP.
    pub fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: HostPattern::Exact(url.host()?.to_owned()),
            port: url.port_or_known_default()?,
        })
    }

    /// Whether a request to this URL stays with this server.
    pub fn covers(&self, url: &Url) -> bool {
        url.scheme() == self.scheme
            && url.port_or_known_default() == Some(self.port)
            && match (&self.host, url.host()) {
                (HostPattern::Exact(Host::Domain(name)), Some(Host::Domain(given))) => name == given,
                (HostPattern::Exact(Host::Ipv4(address)), Some(Host::Ipv4(given))) => *address == given,
                (HostPattern::Exact(Host::Ipv6(address)), Some(Host::Ipv6(given))) => *address == given,
                (HostPattern::Below(domain), Some(Host::Domain(given))) => given
                    .strip_suffix(domain.as_str())
                    .and_then(|rest| rest.strip_suffix('.'))
                    .is_some_and(|labels| labels.split('.').all(|label| !label.is_empty())),
                _ => false,
            }
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let refuse = |reason| NotAnOrigin { text: text.chars().take(100).collect(), reason };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| refuse("the scheme is missing"))?;
        let (below, rest) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| refuse("it is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it holds a user name"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it goes on after the server's name"));
        }
        let exact = Self::of(&url).ok_or_else(|| refuse("only `http` and `https` can be reached"))?;
        match (below, exact.host) {
            (_, HostPattern::Exact(Host::Domain(name))) if name.contains('*') || name.ends_with('.') => {
                Err(refuse("`*.` may only stand at the front, and no dot at the end"))
            }
            (true, HostPattern::Exact(Host::Domain(name))) => {
                Ok(Self { host: HostPattern::Below(name), ..exact })
            }
            (true, _) => Err(refuse("`*.` needs a domain")),
            (false, host) => Ok(Self { host, ..exact }),
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = NotAnOrigin;

    fn try_from(text: String) -> Result<Self, NotAnOrigin> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.to_string()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostPattern::Exact(host) => write!(f, "{}://{host}", self.scheme)?,
            HostPattern::Below(domain) => write!(f, "{}://*.{domain}", self.scheme)?,
        }
        let own = if self.scheme == "https" { 443 } else { 80 };
        if self.port == own { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Everything that one provider may reach.
#[derive(Debug, Clone, Default)]
pub struct Allow {
    origins: Vec<Origin>,
    /// The servers that are not what they are called, and where they answer.
    stand_ins: Vec<(Origin, SocketAddr)>,
}

impl Allow {
    pub fn new(origins: impl IntoIterator<Item = Origin>) -> Self {
        Self { origins: origins.into_iter().collect(), stand_ins: Vec::new() }
    }

    /// Also whatever the other list allows.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.origins.extend(other.origins);
        self.stand_ins.extend(other.stand_ins);
        self
    }

    /// Requests to this server go to that address: a simulated service keeps its name, which ends
    /// up in plans, locks and the journal, wherever it listens this time.
    #[must_use]
    pub(crate) fn standing_in(mut self, origin: Origin, at: SocketAddr) -> Self {
        self.stand_ins.push((origin, at));
        self
    }

    /// Where a request to this URL is sent.
    pub(crate) fn route(&self, url: &Url) -> Url {
        let stand_in = self.stand_ins.iter().find(|(origin, _)| origin.covers(url));
        let mut routed = url.clone();
        if let Some((_, at)) = stand_in {
            // What the list admits has a host, and so takes another one.
            let _ = routed.set_ip_host(at.ip());
            let _ = routed.set_port(Some(at.port()));
        }
        routed
    }

    /// Refuses what is not on the list, and credentials in the URL, which would end up wherever
    /// the URL is shown.
    pub fn admit(&self, url: &Url) -> Result<(), Fault> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Fault::denied("the URL holds a user name or password")
                .hint("put credentials into a header, from a secret"));
        }
        if self.origins.iter().any(|origin| origin.covers(url)) {
            return Ok(());
        }
        let server =
            Origin::of(url).map_or_else(|| format!("{}:", url.scheme()), |origin| origin.to_string());
        Err(Fault::denied(format!("`{server}` is not among the servers that this environment may reach"))
            .hint("if it is meant, add it to `http: { allow: [...] }` of the environment in runbook.yaml"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(patterns: &[&str]) -> Allow {
        Allow::new(patterns.iter().map(|pattern| pattern.parse().unwrap()))
    }

    #[test]
    fn only_what_is_listed_is_reached() {
        let list = allow(&[
            "https://api.example.com",
            "https://*.svc.example.com",
            "http://127.0.0.1:9090",
            "http://[::1]:8080",
            "https://bücher.example",
        ]);
        for url in [
            "https://api.example.com/x?y#z",
            "https://API.EXAMPLE.com:443/",
            "https://a.svc.example.com/",
            "https://a.b.svc.example.com/",
            "http://127.0.0.1:9090/metrics",
            "http://0x7f.1:9090/",
            "http://[0:0:0:0:0:0:0:1]:8080/",
            "https://xn--bcher-kva.example/",
            "https://BÜCHER.example/",
        ] {
            assert_eq!(list.admit(&Url::parse(url).unwrap()), Ok(()), "{url}");
        }
    }

    #[test]
    fn no_spelling_gets_around_the_list() {
        let list = allow(&["https://api.example.com", "https://*.svc.example.com", "http://127.0.0.1:9090"]);
        for url in [
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://api.example.com.evil.test/",
            "https://evil.test/api.example.com",
            "https://evil.test\\@api.example.com/",
            "https://evil.test#@api.example.com/",
            "https://evil.test?@api.example.com/",
            "https://api.example.com@evil.test/",
            "https://user:pw@api.example.com/",
            "https://user@api.example.com/",
            "https://api.example.com./",
            "https://svc.example.com/",
            "https://evilsvc.example.com/",
            "https://.svc.example.com/",
            "https://a.svc.example.com./",
            "https://аpi.example.com/",
            "http://127.0.0.1/",
            "http://127.0.0.2:9090/",
            "http://[::ffff:127.0.0.1]:9090/",
            "http://localhost:9090/",
            "ftp://api.example.com/",
            "file:///etc/passwd",
            "data:text/plain,x",
        ] {
            if let Ok(url) = Url::parse(url) {
                assert!(list.admit(&url).is_err(), "{url} got through");
            }
        }
        assert!(Allow::default().admit(&Url::parse("https://api.example.com").unwrap()).is_err());
    }

    #[test]
    fn a_refusal_names_the_server_and_nothing_else() {
        let url = Url::parse("https://evil.test:8443/path?token=s3cret").unwrap();
        let fault = allow(&[]).admit(&url).unwrap_err();
        assert!(fault.message.contains("`https://evil.test:8443`"), "{fault}");
        assert!(!fault.message.contains("s3cret") && !fault.message.contains("path"), "{fault}");
    }

    #[test]
    fn patterns_are_written_as_they_are_read() {
        for text in
            ["https://api.example.com", "https://*.example.com", "http://[::1]:8080", "http://10.0.0.1"]
        {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(origin.to_string(), text);
            let json = serde_json::to_string(&origin).unwrap();
            assert_eq!(serde_json::from_str::<Origin>(&json).unwrap(), origin);
        }
        for text in [
            "",
            "*",
            "https://*",
            "https://",
            "api.example.com",
            "*.example.com",
            "ftp://example.com",
            "https://a.*.example.com",
            "https://*.*.example.com",
            "https://*.127.0.0.1",
            "https://user@example.com",
            "https://example.com/path",
            "https://example.com?x",
            "https://example.com.",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text:?} was taken");
        }
    }
}

//! Where a database is, and how it is reached: a URL as PostgreSQL's own programs take it.

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use runbook_core::host::is_loopback;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};
use url::form_urlencoded;

/// Where a PostgreSQL database is. What it prints has no password.
#[derive(Clone)]
pub struct Address {
    pub(super) config: Config,
    pub(super) tls: Tls,
    shown: PathBuf,
    has_password: bool,
}

/// Whether the connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tls {
    Off,
    /// The server has to prove who it is: to the authorities of this system, or to those in a file.
    On {
        authorities: Option<PathBuf>,
    },
}

/// Why an address cannot be used. Never holds any of it but names of parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BadAddress {
    why: String,
    pub hint: &'static str,
}

const WRITE_IT: &str = "write it like `postgres://runbook@db.example.com/runbook`";

impl Address {
    /// Reads a URL. Beyond this machine the connection is encrypted and the server's certificate
    /// checked, unless it says `sslmode=disable`.
    ///
    /// # Errors
    /// Where it is no such URL, or asks for what cannot be had.
    pub fn parse(url: &str) -> Result<Self, BadAddress> {
        let bad = |why: &str, hint| BadAddress { why: why.to_owned(), hint };
        let schemes = ["postgres://", "postgresql://"];
        if !schemes.iter().any(|scheme| url.starts_with(scheme)) {
            return Err(bad("it does not begin with `postgres://`", WRITE_IT));
        }
        let (asked, rest) = Asked::take_from(url);
        let mut config: Config = rest.parse().map_err(|error| told(&error))?;
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(bad("it names no database", WRITE_IT));
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(bad("it names no host", WRITE_IT));
        }
        let tls = asked.tls(is_here(&config))?;
        config.ssl_mode(if tls == Tls::Off { SslMode::Disable } else { SslMode::Require });
        bound(&mut config);
        let shown = shown(&config);
        let has_password = config.get_password().is_some();
        Ok(Self { config, tls, shown, has_password })
    }

    /// With a password that comes from elsewhere.
    #[must_use]
    pub fn with_password(mut self, password: &SecretString) -> Self {
        self.config.password(password.expose_secret());
        self
    }

    /// Whether the URL itself has a password.
    pub fn has_password(&self) -> bool {
        self.has_password
    }

    /// The address as errors and reports name it: without user and password.
    pub(super) fn shown(&self) -> PathBuf {
        self.shown.clone()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shown.display())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("shown", &self.shown).field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// What a URL says about encryption, which the driver beneath does not know as PostgreSQL's own does.
#[derive(Debug, Default)]
struct Asked {
    mode: Option<String>,
    authorities: Option<String>,
}

impl Asked {
    /// And the URL without it.
    fn take_from(url: &str) -> (Self, String) {
        let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
        let mut asked = Self::default();
        let mut others = Vec::new();
        for pair in parameters.split('&').filter(|pair| !pair.is_empty()) {
            let value = form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned());
            match pair.split('=').next() {
                Some("sslmode") => asked.mode = value,
                Some("sslrootcert") => asked.authorities = value,
                _ => others.push(pair),
            }
        }
        let rest = if others.is_empty() { place.to_owned() } else { format!("{place}?{}", others.join("&")) };
        (asked, rest)
    }

    fn tls(self, here: bool) -> Result<Tls, BadAddress> {
        let on = |authorities: Option<String>| Tls::On {
            authorities: authorities.filter(|file| file != "system").map(PathBuf::from),
        };
        match self.mode.as_deref() {
            None if here && self.authorities.is_none() => Ok(Tls::Off),
            Some("disable") => Ok(Tls::Off),
            None | Some("require" | "verify-full") => Ok(on(self.authorities)),
            Some(_) => Err(BadAddress {
                why: "its `sslmode` is none that says whether the connection is safe".to_owned(),
                hint: "write `sslmode=verify-full`, or `sslmode=disable` where nobody else can listen",
            }),
        }
    }
}

/// Whether the server is on this machine.
fn is_here(config: &Config) -> bool {
    let named = config.get_hosts().iter().all(|host| match host {
        #[cfg(unix)]
        Host::Unix(_) => true,
        Host::Tcp(name) => is_loopback(name),
    });
    named && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

/// No wait is for ever, and a server that has become a replica is not written to.
fn bound(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    config
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(3))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(15));
    if config.get_application_name().is_none() {
        config.application_name("runbook");
    }
    if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
}

fn shown(config: &Config) -> PathBuf {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let name = match host {
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
            Host::Tcp(name) => name.clone(),
        };
        match ports.get(at).or(ports.first()) {
            Some(port) if *port != 5432 => format!("{name}:{port}"),
            _ => name,
        }
    });
    let hosts: Vec<String> = hosts.collect();
    let addresses = || config.get_hostaddrs().iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",");
    let hosts = if hosts.is_empty() { addresses() } else { hosts.join(",") };
    PathBuf::from(format!("postgres://{hosts}/{}", config.get_dbname().unwrap_or_default()))
}

fn told(error: &tokio_postgres::Error) -> BadAddress {
    use std::error::Error as _;
    // It names the parameter that is wrong, and never a value.
    let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    BadAddress { why, hint: WRITE_IT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_this_machine_it_is_encrypted() {
        let on = |file: Option<&str>| Tls::On { authorities: file.map(PathBuf::from) };
        for (url, expected) in [
            ("postgres://u@localhost/db", Tls::Off),
            ("postgres://u@127.0.0.1:5433/db", Tls::Off),
            ("postgresql://u@%2Ftmp/db", Tls::Off),
            ("postgres://u@localhost/db?sslmode=require", on(None)),
            ("postgres://u@db.example.com/db", on(None)),
            ("postgres://u@localhost,db.example.com/db", on(None)),
            ("postgres://u@db.example.com/db?sslmode=disable", Tls::Off),
            (
                "postgres://u@db.example.com/db?sslmode=verify-full&sslrootcert=/etc/ca.pem",
                on(Some("/etc/ca.pem")),
            ),
            ("postgres://u@db.example.com/db?sslrootcert=system&connect_timeout=3", on(None)),
        ] {
            assert_eq!(Address::parse(url).unwrap().tls, expected, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_the_password() {
        for (url, told) in [
            ("postgres:runbook", "does not begin"),
            ("postgres://u:s3cret@host", "names no database"),
            ("postgres:///db", "names no host"),
            ("mysql://u:s3cret@host/db", "does not begin"),
            ("postgres://u:s3cret@host/db?sslmode=prefer", "`sslmode` is none"),
            ("postgres://u:s3cret@host/db?wrong=1", "wrong"),
            ("s3cret", "does not begin"),
        ] {
            let refused = Address::parse(url).unwrap_err();
            assert!(refused.to_string().contains(told), "{url}: {refused}");
            assert!(!format!("{refused} {refused:?}").contains("s3cret"), "{refused:?}");
        }
    }

    #[test]
    fn it_is_shown_without_user_and_password() {
        let address = Address::parse("postgres://ada:s3cret@a.example.com:6432,b.example.com/runs").unwrap();
        assert!(address.has_password());
        let address = address.with_password(&SecretString::from("t0psecret"));
        let told = format!("{address} {address:?}");
        assert!(told.contains("postgres://a.example.com:6432,b.example.com"), "{told}");
        for secret in ["ada", "s3cret", "t0psecret"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

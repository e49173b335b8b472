//! Cookies: their names, the header that sets them, and finding one in what a browser sends.

use runbook_core::duration::Duration;
use secrecy::{ExposeSecret as _, SecretString};

/// How browsers reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Over TLS, ended here or by a proxy before us.
    Tls,
    /// Without it, on loopback only.
    Loopback,
}

/// A cookie of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cookie {
    /// Holds the secret of a session.
    Session,
    /// Holds the secret of a login that was begun, while the person is at the provider.
    Login,
}

impl Cookie {
    /// With `__Host-`, browsers take it over TLS from this very host only, for all its paths: no
    /// other host of the domain can plant one.
    pub fn name(self, transport: Transport) -> &'static str {
        match (self, transport) {
            (Self::Session, Transport::Tls) => "__Host-runbook",
            (Self::Session, Transport::Loopback) => "runbook",
            (Self::Login, Transport::Tls) => "__Host-runbook-login",
            (Self::Login, Transport::Loopback) => "runbook-login",
        }
    }

    /// The value of a `Set-Cookie` header. `Lax`, for the provider sends people back with a link
    /// from its own site, which `Strict` would not let the cookie follow.
    pub fn set(self, transport: Transport, value: &SecretString, max_age: Duration) -> String {
        self.render(transport, value.expose_secret(), max_age.as_std().as_secs())
    }

    /// The value of a `Set-Cookie` header that makes the browser forget it.
    pub fn clear(self, transport: Transport) -> String {
        self.render(transport, "", 0)
    }

    /// The first of its values in a `Cookie` header.
    pub fn find(self, transport: Transport, header: &str) -> Option<&str> {
        let name = self.name(transport);
        header
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    fn render(self, transport: Transport, value: &str, max_age: u64) -> String {
        let name = self.name(transport);
        let secure = if transport == Transport::Tls { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_set_as_browsers_want_them() {
        let (value, hour) = (SecretString::from("v"), Duration::from_secs(3600));
        assert_eq!(
            Cookie::Session.set(Transport::Tls, &value, hour),
            "__Host-runbook=v; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            Cookie::Login.set(Transport::Loopback, &value, hour),
            "runbook-login=v; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"
        );
        assert_eq!(
            Cookie::Session.clear(Transport::Tls),
            "__Host-runbook=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"
        );
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        for (header, expected) in [
            ("__Host-runbook=a", Some("a")),
            ("x=1; __Host-runbook=a; y=2", Some("a")),
            ("x=1;__Host-runbook=a", Some("a")),
            ("__Host-runbook=a; __Host-runbook=b", Some("a")),
            ("__Host-runbook-login=a", None),
            ("runbook=a", None),
            ("x__Host-runbook=a", None),
            ("__Host-runbook", None),
            ("", None),
        ] {
            assert_eq!(Cookie::Session.find(Transport::Tls, header), expected, "{header}");
        }
    }
}

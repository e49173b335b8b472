//! Whose a client certificate is: the names that its authority vouches for, and the certificate
//! itself.

use sha2::{Digest as _, Sha256};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

/// One name of a client. They are compared whole and by kind: a name of a host that stands in the
/// place of a mail address is another one. No wildcards.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientName {
    /// The common name of the subject.
    CommonName(String),
    /// A subject alternative name that is a host, in small letters.
    Dns(String),
    /// A subject alternative name that is a mail address.
    Email(String),
    /// A subject alternative name that is an address, such as `spiffe://…`.
    Uri(String),
    /// The SHA-256 of the whole certificate, in small hexadecimal letters.
    Sha256(String),
}

/// The most names that are looked at of one certificate.
const MOST_NAMES: usize = 100;

impl ClientName {
    pub fn dns(name: &str) -> Self {
        Self::Dns(name.to_ascii_lowercase())
    }

    /// From what programs print: small or large letters, with colons or without. None where it is no
    /// SHA-256.
    pub fn sha256(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
        let hexadecimal = digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        hexadecimal.then_some(Self::Sha256(digits))
    }

    /// All names of a certificate in DER, which the TLS layer has verified. None where it cannot be
    /// read.
    pub fn all_of(certificate: &[u8]) -> Option<Vec<Self>> {
        let (rest, parsed) = X509Certificate::from_der(certificate).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let digest = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut names = vec![Self::Sha256(digest)];
        let common = parsed.subject().iter_common_name();
        names.extend(
            common.filter_map(|name| name.as_str().ok()).map(|name| Self::CommonName(name.to_owned())),
        );
        let alternative = parsed.subject_alternative_name().ok()?;
        let alternative = alternative.iter().flat_map(|names| &names.value.general_names);
        names.extend(alternative.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(Self::dns(name)),
            GeneralName::RFC822Name(name) => Some(Self::Email((*name).to_owned())),
            GeneralName::URI(name) => Some(Self::Uri((*name).to_owned())),
            _ => None,
        }));
        names.truncate(MOST_NAMES);
        Some(names)
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::CommonName(text)
            | Self::Dns(text)
            | Self::Email(text)
            | Self::Uri(text)
            | Self::Sha256(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_taken_as_programs_print_it() {
        let digits = "0a".repeat(32);
        let colons = vec!["0A"; 32].join(":");
        assert_eq!(ClientName::sha256(&digits), ClientName::sha256(&colons));
        for bad in ["", "0a", &"0a".repeat(20), &"zz".repeat(32), &"é".repeat(32)] {
            assert_eq!(ClientName::sha256(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        for bad in [&b""[..], b"x", &[0x30, 0x82, 0xff, 0xff], &[0; 64]] {
            assert_eq!(ClientName::all_of(bad), None);
        }
    }
}

//! Randomness, and the secrets made of it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};

/// The operating system gave no random bytes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct NoRandomness(String);

/// The only source of randomness of this crate.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| NoRandomness(error.to_string()))?;
    Ok(bytes)
}

/// 256 random bits. Never shown but where they are handed out, and wiped when they are dropped.
pub(crate) struct Secret(SecretBox<[u8; 32]>);

impl Secret {
    pub fn fresh() -> Result<Self, NoRandomness> {
        Ok(Self::of(bytes()?))
    }

    /// From base64url without padding, 43 letters, in the one spelling that [`Self::text`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let written = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (written == bytes.len()).then(|| Self::of(bytes))
    }

    pub fn text(&self) -> SecretString {
        URL_SAFE_NO_PAD.encode(self.0.expose_secret()).into()
    }

    /// What is stored in its place: SHA-256, in hexadecimal. A slow hash protects what people make
    /// up and others can guess; 256 random bits are past guessing, however fast the hash is.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.0.expose_secret()))
    }

    /// Another secret, which says nothing of this one: HMAC-SHA-256 of what it is for, in base64url.
    pub fn derive(&self, purpose: &str) -> SecretString {
        // HMAC pads a key with zeros to the size of a block; done here, it cannot fail.
        let mut key = [0; 64];
        key[..32].copy_from_slice(self.0.expose_secret());
        let tag = Hmac::<Sha256>::new(&key.into()).chain_update(purpose).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(tag).into()
    }

    fn of(bytes: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;

    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_in_one_spelling_only() {
        let text = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";
        let secret = Secret::parse(text).unwrap();
        assert_eq!(secret.text().expose_secret(), text);
        for wrong in [
            "",
            "AQID",
            "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
            "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB",
            "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy",
            "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAA",
            "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy+",
        ] {
            assert!(Secret::parse(wrong).is_none(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn digests_and_derived_secrets_are_those_of_the_standards() {
        // SHA-256 and HMAC-SHA-256 of the bytes 1 to 32, as openssl gives them.
        let secret = Secret::parse("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA").unwrap();
        assert_eq!(secret.digest(), "ae216c2ef5247a3782c135efa279a3e4cdc61094270f5d2be58c6204b7a612c9");
        assert_eq!(secret.derive("csrf").expose_secret(), "qFIXmSKAIey6ycvOGRYFpT-xsrfe0KvhwYyzJOeO0Ts");
        assert_ne!(secret.derive("csrf").expose_secret(), secret.derive("state").expose_secret());
    }

    #[test]
    fn no_two_are_alike_and_none_is_printed() {
        let (one, other) = (Secret::fresh().unwrap(), Secret::fresh().unwrap());
        assert_ne!(one.digest(), other.digest());
        assert_eq!(format!("{one:?}"), "***");
    }
}

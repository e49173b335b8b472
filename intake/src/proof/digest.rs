//! HMAC-SHA256 and comparisons that take the same time whatever they compare.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// HMAC-SHA256 over the parts, one after the other.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// In lower case, as all detectors write it. Signatures are compared in writing, so that there is
/// exactly one accepted writing of each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether two texts are equal, in a time that depends on neither; also not on their lengths, as their
/// digests are compared.
pub(crate) fn same(given: &[u8], expected: &[u8]) -> Choice {
    Sha256::digest(given).as_slice().ct_eq(Sha256::digest(expected).as_slice())
}

/// Whether any of the given is any of the expected; all are compared.
pub(crate) fn any_same<'a>(
    given: impl Iterator<Item = &'a str> + Clone,
    expected: impl Iterator<Item = String>,
) -> bool {
    let mut found = Choice::from(0);
    for expected in expected {
        for given in given.clone() {
            found |= same(given.as_bytes(), expected.as_bytes());
        }
    }
    found.into()
}

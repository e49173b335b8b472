//! Names and ids made from what they name, so that the same world has the same ones every time.

/// The alphabet that Kubernetes uses in generated names: no vowels, no look-alikes.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// FNV-1a, 64 bits: stable across builds, which the standard hasher does not promise.
pub(crate) fn fnv(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The suffix of a generated name.
pub(crate) fn suffix(text: &str, length: usize) -> String {
    let mut hash = mix(fnv(text));
    (0..length)
        .map(|_| {
            let letter = ALPHABET[(hash % 27) as usize];
            hash = mix((hash / 27) ^ (hash << 7));
            char::from(letter)
        })
        .collect()
}

/// An id in the shape of a UUID.
pub(crate) fn uid(text: &str) -> String {
    let (high, low) = (mix(fnv(text)), mix(fnv(&format!("{text}#"))));
    format!(
        "{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

/// Spreads the bits of a hash whose inputs differ only at their end.
fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_and_differ() {
        assert_eq!(suffix("api/1", 5), suffix("api/1", 5));
        assert_ne!(suffix("api/1", 5), suffix("api/2", 5));
        assert_eq!(uid("x").len(), 36);
        assert_ne!(uid("x"), uid("y"));
    }
}

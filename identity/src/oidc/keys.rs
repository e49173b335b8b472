//! The provider's public keys.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{OidcError, token::Header, transport::Transport};

const MOST: usize = 100;

#[derive(Debug)]
pub(super) struct Keys(Vec<Jwk>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

pub(super) async fn ask(transport: &Transport, url: &Url) -> Result<Keys, OidcError> {
    let document: Document = transport.get("its keys", url, None).await?.read()?;
    // A key of a kind that nobody here knows is no reason to refuse the others.
    let read = document.keys.into_iter().take(MOST).filter_map(|key| serde_json::from_value(key).ok());
    Ok(Keys(read.collect()))
}

impl Keys {
    /// The key that a token names; where it names none, the only one that could be meant.
    pub fn find(&self, header: &Header) -> Option<DecodingKey> {
        let mut suiting = self.0.iter().filter(|key| suits(key, header));
        let key = suiting.next()?;
        if header.key.is_none() && suiting.next().is_some() {
            return None;
        }
        DecodingKey::from_jwk(key).ok()
    }
}

/// Whether a key is made for the algorithm. A token's word for its algorithm is never believed
/// against the kind of the key.
fn suits(key: &Jwk, header: &Header) -> bool {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};

    let named = header.key.is_none() || key.common.key_id == header.key;
    let signs = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let said = key.common.key_algorithm.is_none_or(|said| said == KeyAlgorithm::from(header.algorithm));
    let kind = match (&key.algorithm, header.algorithm) {
        (AlgorithmParameters::RSA(_), RS256 | RS384 | RS512 | PS256 | PS384 | PS512) => true,
        (AlgorithmParameters::EllipticCurve(curve), ES256) => curve.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(curve), ES384) => curve.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(pair), EdDSA) => pair.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    named && signs && said && kind
}

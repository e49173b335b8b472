use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;
const ALL: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// What is wrong with the usual claims where these are laid over them; null takes one out.
fn judged(changes: &Value, nonce: Option<&str>) -> Option<TokenFault> {
    let mut claims = json!({
        "iss": "https://login.example.com", "aud": "runbook", "sub": "1", "nonce": "n",
        "exp": NOW + 300, "iat": NOW - 1
    });
    let claims = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        claims.insert(name.clone(), value.clone());
    }
    claims.retain(|_, value| !value.is_null());
    let nonce = nonce.map(SecretString::from);
    let expected = Expected {
        issuer: "https://login.example.com",
        client_id: "runbook",
        nonce: nonce.as_ref(),
        now: Timestamp::from_second(NOW).unwrap(),
    };
    check(claims, &expected).err()
}

#[test]
fn claims_are_judged_as_the_standard_says() {
    use TokenFault::{Audience, AuthorizedParty, Claim, Expired, Issuer, Nonce, TooEarly};

    for (changes, expected) in [
        (json!({}), None),
        (json!({ "iss": "https://login.example.com/" }), Some(Issuer)),
        (json!({ "iss": "https://evil.example.com" }), Some(Issuer)),
        (json!({ "iss": ["https://login.example.com"] }), Some(Claim("iss"))),
        (json!({ "iss": null }), Some(Claim("iss"))),
        (json!({ "aud": "other" }), Some(Audience)),
        (json!({ "aud": ["other"] }), Some(Audience)),
        (json!({ "aud": [] }), Some(Audience)),
        (json!({ "aud": null }), Some(Claim("aud"))),
        (json!({ "aud": { "runbook": 1 } }), Some(Claim("aud"))),
        (json!({ "aud": ["runbook"] }), None),
        (json!({ "aud": ["runbook", "other"] }), Some(AuthorizedParty)),
        (json!({ "aud": ["runbook", "other"], "azp": "runbook" }), None),
        (json!({ "aud": ["runbook", "other"], "azp": "other" }), Some(AuthorizedParty)),
        (json!({ "azp": "runbook" }), None),
        (json!({ "azp": "other" }), Some(AuthorizedParty)),
        (json!({ "azp": 7 }), Some(AuthorizedParty)),
        (json!({ "exp": NOW - 59 }), None),
        (json!({ "exp": NOW - 60 }), Some(Expired)),
        (json!({ "exp": 0 }), Some(Expired)),
        (json!({ "exp": -1 }), Some(Expired)),
        (json!({ "exp": i64::MAX }), None),
        (json!({ "exp": u64::MAX }), None),
        (json!({ "exp": 1e300 }), None),
        (json!({ "exp": format!("{}", NOW + 300) }), Some(Claim("exp"))),
        (json!({ "exp": null }), Some(Claim("exp"))),
        (json!({ "nbf": NOW + 60 }), None),
        (json!({ "nbf": NOW + 61 }), Some(TooEarly)),
        (json!({ "nbf": "soon" }), Some(Claim("nbf"))),
        (json!({ "iat": NOW + 60 }), None),
        (json!({ "iat": NOW + 61 }), Some(TooEarly)),
        (json!({ "iat": null }), Some(Claim("iat"))),
        (json!({ "sub": "" }), Some(Claim("sub"))),
        (json!({ "sub": "x".repeat(256) }), Some(Claim("sub"))),
        (json!({ "sub": null }), Some(Claim("sub"))),
        (json!({ "nonce": "m" }), Some(Nonce)),
        (json!({ "nonce": "" }), Some(Nonce)),
        (json!({ "nonce": null }), Some(Nonce)),
    ] {
        assert_eq!(judged(&changes, Some("n")), expected, "{changes}");
    }
    assert_eq!(judged(&json!({ "nonce": null }), None), None, "no browser, no nonce");
}

fn headed(fields: &Value) -> Result<Header, TokenFault> {
    header(&format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(fields.to_string())), &ALL)
}

#[test]
fn only_what_the_provider_announces_and_we_accept_signs() {
    for (fields, expected) in [
        (json!({ "alg": "RS256", "kid": "a" }), true),
        (json!({ "alg": "ES256" }), true),
        (json!({ "alg": "PS256" }), false),
        (json!({ "alg": "none" }), false),
        (json!({ "alg": "None" }), false),
        (json!({ "alg": "nOnE" }), false),
        (json!({ "alg": "" }), false),
        (json!({ "alg": "HS256" }), false),
        (json!({ "alg": "rs256" }), false),
        (json!({ "alg": ["RS256"] }), false),
        (json!({ "alg": "RS256", "crit": ["x"] }), false),
        (json!({ "alg": "RS256", "kid": 1 }), false),
        (json!({}), false),
        (json!([]), false),
    ] {
        assert_eq!(headed(&fields).is_ok(), expected, "{fields}");
    }
    let announced = ["none", "HS256", "HS384", "HS512", "ES512", "RS256", "EdDSA"].map(str::to_owned);
    assert_eq!(accepted(&announced), [Algorithm::RS256, Algorithm::EdDSA]);
    let huge = format!(
        "{}.e30.c2ln",
        URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"RS256","x":"{}"}}"#, "x".repeat(LONGEST)))
    );
    assert_eq!(header(&huge, &ALL).unwrap_err(), TokenFault::Unreadable);
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in ".*", head in "[A-Za-z0-9_-]{0,40}", alg in ".{0,30}") {
        let _ = header(&text, &ALL);
        let _ = header(&format!("{head}.{head}.{head}"), &ALL);
        let _ = headed(&json!({ "alg": alg }));
    }

    #[test]
    fn no_claims_make_judging_panic(exp in any::<f64>(), iat in any::<i64>(), aud in ".*") {
        let _ = judged(&json!({ "exp": exp, "iat": iat, "nbf": iat, "aud": aud }), Some("n"));
    }
}

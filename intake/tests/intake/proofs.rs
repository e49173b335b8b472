//! Proofs: known vectors, right and wrong; rotation; stale and replayed.

use jiff::Timestamp;
use runbook_core::runbook::Source;
use runbook_intake::{
    CannotSign, ClientName, Door, GRAFANA_SIGNATURE, Headers, Misconfigured, Proof, Refusal, Request,
};

use super::{bearer, file, knock, now, secrets};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn verify(proof: &Proof, headers: &[(&str, &str)], body: &[u8], now: Timestamp) -> Result<(), Refusal> {
    proof.verify(&Request::new(headers.iter().copied().collect(), body, now))
}

fn refusal(proof: &Proof, headers: &[(&str, &str)], body: &[u8], now: Timestamp) -> String {
    let refusal = verify(proof, headers, body, now).unwrap_err();
    assert_eq!(refusal.status(), 401);
    refusal.to_string()
}

/// The vector that the libraries of Standard Webhooks are tested with.
mod standard_webhooks {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: (&str, &str) = ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
    const TIMESTAMP: (&str, &str) = ("webhook-timestamp", "1614265330");
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn proof(texts: &[&str]) -> Proof {
        Proof::StandardWebhooks { secrets: secrets(texts) }
    }

    fn signed(signature: &str) -> [(&str, &str); 3] {
        [ID, TIMESTAMP, ("Webhook-Signature", signature)]
    }

    #[test]
    fn the_published_vector_holds() {
        let now = at(1_614_265_330);
        assert_eq!(verify(&proof(&[SECRET]), &signed(SIGNATURE), BODY, now), Ok(()));
        let without_prefix = SECRET.strip_prefix("whsec_").unwrap();
        assert_eq!(verify(&proof(&[without_prefix]), &signed(SIGNATURE), BODY, now), Ok(()));
        let ours = proof(&[SECRET]).sign(ID.1, BODY, now).unwrap();
        assert_eq!(ours[2], ("webhook-signature".to_owned(), SIGNATURE.to_owned()));
    }

    #[test]
    fn secrets_are_replaced_without_a_gap() {
        let now = at(1_614_265_330);
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        // The receiver has both, the sender one.
        assert_eq!(verify(&proof(&[other, SECRET]), &signed(SIGNATURE), BODY, now), Ok(()));
        // The sender signs with both, among signatures of kinds to come; the receiver has one.
        let both = format!("v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzC v1,AAAA {SIGNATURE}");
        assert_eq!(verify(&proof(&[SECRET]), &signed(&both), BODY, now), Ok(()));
        let ours = proof(&[other, SECRET]).sign(ID.1, BODY, now).unwrap();
        let ours: Vec<_> = ours.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(verify(&proof(&[SECRET]), &ours, BODY, now), Ok(()));
        assert_eq!(verify(&proof(&[other]), &ours, BODY, now), Ok(()));
        assert_eq!(refusal(&proof(&[other]), &signed(SIGNATURE), BODY, now), "the signature is not accepted");
    }

    #[test]
    fn five_minutes_are_tolerated() {
        for accepted in [-300, 0, 300] {
            let now = at(1_614_265_330 + accepted);
            assert_eq!(verify(&proof(&[SECRET]), &signed(SIGNATURE), BODY, now), Ok(()), "{accepted}");
        }
        for (refused, expected) in [
            (301, "it was signed 301 s ago, at most 300 s are accepted; send it anew, and check the clocks"),
            (-301, "it was signed 301 s in the future; check the clocks of both machines"),
        ] {
            let now = at(1_614_265_330 + refused);
            let refusal = verify(&proof(&[SECRET]), &signed(SIGNATURE), BODY, now).unwrap_err();
            assert_eq!(refusal, Refusal::Stale(expected.to_owned()));
        }
    }

    #[test]
    fn another_split_of_what_is_signed_is_refused() {
        let now = at(1_614_265_330);
        // The same signed bytes: the id takes in the time, and the body brings a time of its own.
        let body = br#"1614265330.{"test": 2432232314}"#;
        let ours = proof(&[SECRET]).sign("msg", body, now).unwrap();
        let signature = ours[2].1.as_str();
        let split = [("webhook-id", "msg.1614265330"), TIMESTAMP, ("webhook-signature", signature)];
        assert_eq!(
            refusal(&proof(&[SECRET]), &split, BODY, now),
            "the header `webhook-id` must have 1 to 256 printable characters and no full stop"
        );
        assert_eq!(proof(&[SECRET]).sign("a.b", body, now), Err(CannotSign::Id));
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        let now = at(1_614_265_330);
        let proof = proof(&[SECRET]);
        for (without, expected) in [
            (0, "no credential: the header `webhook-id` is missing"),
            (1, "no credential: the header `webhook-timestamp` is missing"),
            (2, "no credential: the header `webhook-signature` is missing"),
        ] {
            let mut headers = signed(SIGNATURE).to_vec();
            headers.remove(without);
            assert_eq!(refusal(&proof, &headers, BODY, now), expected);
        }
        let mut twice = signed(SIGNATURE).to_vec();
        twice.push(("WEBHOOK-ID", "another"));
        assert_eq!(refusal(&proof, &twice, BODY, now), "the header `webhook-id` is given more than once");
        for wrong in ["", "v1", "v1,", "v2,AAAA", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] {
            assert_eq!(
                refusal(&proof, &signed(wrong), BODY, now),
                "the signature is not accepted",
                "{wrong}"
            );
        }
        // Signed, and still not a time.
        for (timestamp, signature) in [
            ("soon", "v1,gWDRGVFXKTPxYnGclMbyz9wJvM3Qk/KfKwiB5vpNles="),
            ("+1614265330", "v1,JQsSpSSK1m9NI2FueDRZN3FL/jU9336idQcq6VmF+c8="),
            ("-1614265330", "v1,VogUPsmO78XezxlJOzEZP4jSpvl1pzexhj+ZpvO4dRU="),
            ("1614265330.5", "v1,2KzqrKCGak0k5OGRxNeKhLsLlHG73LO8vHhrfN/dutg="),
            ("99999999999999999999", "v1,Y8EYKvqreWPzrz+28sw4+VlNjZt49JVCG7Qfo2CIwqY="),
            ("", "v1,qpNdG4GyYZm20lYVP2gMlqx58gTTnMDAVuP4GXqbv54="),
        ] {
            let headers = [ID, ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
            assert_eq!(
                refusal(&proof, &headers, BODY, now),
                "the header `webhook-timestamp` is not a time in whole seconds since 1970",
                "{timestamp}"
            );
        }
    }
}

/// The example that Slack documents.
#[test]
fn slack_signs_time_and_body() {
    const BODY: &[u8] = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let proof = Proof::Slack { secrets: secrets(&["a secret to come", "8f742231b10e8888abcd99yyyzzz85a5"]) };
    let headers = [("X-Slack-Signature", SIGNATURE), ("X-Slack-Request-Timestamp", "1531420618")];
    let now = at(1_531_420_618);
    assert_eq!(verify(&proof, &headers, BODY, now), Ok(()));
    assert_eq!(verify(&proof, &headers, BODY, at(1_531_420_618 + 300)), Ok(()));
    assert!(matches!(verify(&proof, &headers, BODY, at(1_531_420_618 + 301)), Err(Refusal::Stale(_))));
    assert!(matches!(verify(&proof, &headers, BODY, at(1_531_420_618 - 301)), Err(Refusal::Stale(_))));
    assert_eq!(refusal(&proof, &headers, &BODY[1..], now), "the signature is not accepted");
    for (header, value) in
        [("X-Slack-Request-Timestamp", "1531420619"), ("X-Slack-Signature", &SIGNATURE[3..])]
    {
        let mut headers = headers;
        for entry in headers.iter_mut().filter(|(name, _)| *name == header) {
            entry.1 = value;
        }
        assert_eq!(refusal(&proof, &headers, BODY, now), "the signature is not accepted", "{header}");
    }
    let newest = Proof::Slack { secrets: secrets(&["8f742231b10e8888abcd99yyyzzz85a5"]) };
    assert_eq!(newest.sign("", BODY, now).unwrap()[0].1, SIGNATURE);
}

/// Computed with `openssl dgst -sha256 -hmac 'the new secret'`.
#[test]
fn pagerduty_signs_the_body_with_each_of_its_secrets() {
    const BODY: &[u8] = br#"{"event":{"id":"1","event_type":"pagey.ping"}}"#;
    const NEW: &str = "v1=19662de8206e829fa8e82041a552b37ba5eaf3bc69bc675dd96dc6feee8d4bfa";
    const OLD: &str = "v1=f59fa78dedb24eb51c3ac58b3a74bb6fe5872db072b9b5bc03249f825c3be7d5";
    let new = Proof::PagerDuty { secrets: secrets(&["the new secret"]) };
    let both = Proof::PagerDuty { secrets: secrets(&["the new secret", "the old secret"]) };
    fn header(value: &str) -> [(&str, &str); 1] {
        [("x-pagerduty-signature", value)]
    }
    for given in [NEW.to_owned(), format!("{OLD},{NEW}"), format!("v2=00, {NEW}")] {
        assert_eq!(verify(&new, &header(given.as_str()), BODY, now()), Ok(()), "{given}");
    }
    assert_eq!(verify(&both, &header(OLD), BODY, now()), Ok(()));
    let wrong = "the signature is not accepted";
    for given in [OLD, "", "v1=", "v1", &NEW[3..], &NEW.replace("v1=", "v0="), &NEW.to_uppercase()] {
        assert_eq!(refusal(&new, &header(given), BODY, now()), wrong, "{given}");
    }
    let many = format!("{}{NEW}", "v1=00,".repeat(10));
    assert_eq!(refusal(&new, &header(many.as_str()), BODY, now()), wrong);
    assert_eq!(both.sign("", BODY, now()).unwrap()[0].1, format!("{NEW},{OLD}"));
}

/// Computed with `openssl dgst -sha256 -hmac 'grafana secret'`, over the body and over
/// `1795245900:` and the body.
#[test]
fn grafana_signs_the_body_or_time_and_body() {
    const BODY: &[u8] = br#"{"alerts":[]}"#;
    const PLAIN: &str = "7b393fc1d9df54d1b28d939b03377e5fbcea08465481cdd4759db7f5f2baf1ee";
    const TIMED: &str = "1d68b8842bf3055c22301f82b93e971e56475dd4e8ad0fdde4b3849fdb677a72";
    let proof = |timestamp: Option<&str>| Proof::Grafana {
        secrets: secrets(&["a secret to come", "grafana secret"]),
        signature_header: GRAFANA_SIGNATURE.to_owned(),
        timestamp_header: timestamp.map(str::to_owned),
    };
    let now = at(1_795_245_900);
    let plain = proof(None);
    assert_eq!(verify(&plain, &[(GRAFANA_SIGNATURE, PLAIN)], BODY, at(0)), Ok(()));
    assert_eq!(refusal(&plain, &[(GRAFANA_SIGNATURE, TIMED)], BODY, now), "the signature is not accepted");

    let timed = proof(Some("X-Time"));
    let headers = [(GRAFANA_SIGNATURE, TIMED), ("X-Time", "1795245900")];
    assert_eq!(verify(&timed, &headers, BODY, now), Ok(()));
    assert!(matches!(verify(&timed, &headers, BODY, at(1_795_245_900 + 301)), Err(Refusal::Stale(_))));
    assert_eq!(
        refusal(&timed, &[(GRAFANA_SIGNATURE, PLAIN)], BODY, now),
        "no credential: the header `X-Time` is missing"
    );
    // Without the time, what is left is no signature of the body.
    assert_eq!(refusal(&plain, &headers, BODY, now), "the signature is not accepted");
    let signed = Proof::Grafana {
        secrets: secrets(&["grafana secret"]),
        signature_header: GRAFANA_SIGNATURE.to_owned(),
        timestamp_header: Some("X-Time".to_owned()),
    };
    assert_eq!(
        signed.sign("", BODY, now).unwrap(),
        [(GRAFANA_SIGNATURE.to_owned(), TIMED.to_owned()), ("X-Time".to_owned(), "1795245900".to_owned())]
    );
}

#[test]
fn secrets_can_be_shown() {
    let body = b"{}";
    let bearer = Proof::Bearer { tokens: secrets(&["new", "old"]) };
    let basic = Proof::Basic { user: "alertmanager".to_owned(), passwords: secrets(&["new", "o:ld"]) };
    let header = Proof::Header { name: "X-Runbook-Token".to_owned(), values: secrets(&["new", "old"]) };
    for (proof, name, value) in [
        (&bearer, "authorization", "Bearer new"),
        (&bearer, "AUTHORIZATION", "bearer  old"),
        (&basic, "Authorization", "Basic YWxlcnRtYW5hZ2VyOm5ldw=="),
        (&basic, "Authorization", "basic YWxlcnRtYW5hZ2VyOm86bGQ="),
        (&header, "x-runbook-token", "old"),
    ] {
        assert_eq!(verify(proof, &[(name, value)], body, now()), Ok(()), "{value}");
    }
    for (proof, name, value, expected) in [
        (&bearer, "Authorization", "Bearer ne", "the bearer token is not accepted"),
        (&bearer, "Authorization", "Bearer newer", "the bearer token is not accepted"),
        (&bearer, "Authorization", "Bearer ", "the header `Authorization` is not of the form `Bearer …`"),
        (&bearer, "Authorization", "new", "the header `Authorization` is not of the form `Bearer …`"),
        (&bearer, "Authorization", "Basic bmV3", "the header `Authorization` is not of the form `Bearer …`"),
        (&bearer, "X", "Bearer new", "no credential: the header `Authorization` is missing"),
        (&basic, "Authorization", "Basic ***", "the basic credentials are not in base64"),
        (&basic, "Authorization", "Basic YWxpY2U6bmV3", "the user or password is not accepted"),
        (&basic, "Authorization", "Basic YWxlcnRtYW5hZ2VyOm86", "the user or password is not accepted"),
        (&header, "X-Runbook-Token", "", "the secret in the header `X-Runbook-Token` is not accepted"),
        (&header, "Authorization", "new", "no credential: the header `X-Runbook-Token` is missing"),
    ] {
        assert_eq!(refusal(proof, &[(name, value)], body, now()), expected, "{value}");
    }
}

#[test]
fn the_tls_layer_says_whose_certificate_it_is() {
    let proof = Proof::ClientCertificate {
        names: vec![ClientName::dns("Alertmanager.example.com"), ClientName::Uri("spiffe://x/am".to_owned())],
    };
    let check = |client: Option<&[ClientName]>| {
        let request = Request { client, ..Request::new(Headers::default(), b"{}", now()) };
        proof.verify(&request).map_err(|refusal| refusal.to_string())
    };
    let other = ClientName::CommonName("whoever".to_owned());
    let common = ClientName::CommonName("alertmanager.example.com".to_owned());
    assert_eq!(check(Some(&[other.clone(), ClientName::dns("alertmanager.example.com")])), Ok(()));
    assert_eq!(check(Some(&[ClientName::Uri("spiffe://x/am".to_owned())])), Ok(()));
    for wrong in [&[][..], &[other], &[common], &[ClientName::dns("mail.example.com")]] {
        assert_eq!(check(Some(wrong)), Err("the client certificate is not accepted".to_owned()));
    }
    assert_eq!(check(None), Err("no client certificate was given".to_owned()));
}

#[test]
fn what_we_sign_comes_in() {
    let body = file("cases/generic/seeds-latency.json");
    for proof in [
        Proof::Bearer { tokens: secrets(&["a"]) },
        Proof::Basic { user: "u".to_owned(), passwords: secrets(&["pass:word"]) },
        Proof::Header { name: "X-Token".to_owned(), values: secrets(&["a"]) },
        Proof::PagerDuty { secrets: secrets(&["a", "b"]) },
        Proof::Slack { secrets: secrets(&["a", "b"]) },
        Proof::StandardWebhooks { secrets: secrets(&["whsec_AAAA", "BBBB"]) },
        Proof::Grafana { secrets: secrets(&["a"]), signature_header: "S".to_owned(), timestamp_header: None },
        Proof::Grafana {
            secrets: secrets(&["a", "b"]),
            signature_header: "S".to_owned(),
            timestamp_header: Some("T".to_owned()),
        },
    ] {
        let door = Door::new(Source::Generic, proof).unwrap();
        let headers = door.sign("msg_1", &body, now()).unwrap();
        let received = knock(&door, &headers, &body, now());
        assert!(received.is_ok(), "{door:?}: {received:?}");
        assert_eq!(knock(&door, &[], &body, now()).unwrap_err().kind(), "unauthenticated", "{door:?}");
    }
    let sns = Proof::Sns { topics: vec![] };
    assert_eq!(sns.sign("1", &body, now()), Err(CannotSign::Sns));
    let client = Proof::ClientCertificate { names: vec![] };
    assert_eq!(client.sign("1", &body, now()), Err(CannotSign::ClientCertificate));
}

/// What a repeat is known by is covered by the proof: a replay cannot be renamed.
#[test]
fn a_replay_keeps_its_name() {
    let body = file("cases/generic/seeds-latency.json");
    let delivery = |proof: Proof, source, body: &[u8], rename: &str| {
        let door = Door::new(source, proof).unwrap();
        let mut headers = door.sign("msg_1", body, now()).unwrap();
        if !headers.iter().any(|(name, _)| name == "webhook-id") {
            headers.push((rename.to_owned(), "msg_2".to_owned()));
        }
        knock(&door, &headers, body, now()).unwrap().delivery
    };
    let a = || secrets(&["whsec_AAAA"]);
    let standard = Proof::StandardWebhooks { secrets: a() };
    assert_eq!(delivery(standard, Source::Generic, &body, "").as_deref(), Some("msg_1"));
    // Whoever has the token names its own deliveries.
    let bearer = Proof::Bearer { tokens: a() };
    assert_eq!(delivery(bearer, Source::Generic, &body, "webhook-id").as_deref(), Some("msg_2"));
    // These do not sign it.
    let pagerduty = || Proof::PagerDuty { secrets: a() };
    assert_eq!(delivery(pagerduty(), Source::Generic, &body, "webhook-id"), None);
    let event = file("cases/pagerduty/triggered.json");
    let named = delivery(pagerduty(), Source::Pagerduty, &event, "X-Webhook-Id");
    assert_eq!(named.as_deref(), Some("01EVENTTRIGGERED"));
}

#[test]
fn doors_that_would_let_anybody_in_are_not_built() {
    let topic = || Proof::Sns { topics: vec!["arn:aws:sns:eu-west-1:123456789012:alarms".to_owned()] };
    let bearer = |texts: &[&str]| Proof::Bearer { tokens: secrets(texts) };
    let standard = |text| Proof::StandardWebhooks { secrets: secrets(&[text]) };
    let grafana = |header: &str| Proof::Grafana {
        secrets: secrets(&["a"]),
        signature_header: header.to_owned(),
        timestamp_header: None,
    };
    for (source, proof, expected) in [
        (Source::Alertmanager, bearer(&[]), Misconfigured::Empty("token")),
        (Source::Alertmanager, bearer(&["a", ""]), Misconfigured::Blank("token")),
        (Source::Alertmanager, bearer(&["a\n"]), Misconfigured::Padded("token")),
        (Source::Pagerduty, Proof::PagerDuty { secrets: vec![] }, Misconfigured::Empty("signing secret")),
        (Source::Generic, standard("whsec_"), Misconfigured::NotBase64),
        (Source::Generic, standard("not base64!"), Misconfigured::NotBase64),
        (Source::Grafana, grafana("X Y"), Misconfigured::NotAHeader("X Y".to_owned())),
        (Source::Grafana, grafana(""), Misconfigured::NotAHeader(String::new())),
        (
            Source::Alertmanager,
            Proof::Basic { user: "a:b".to_owned(), passwords: secrets(&["a"]) },
            Misconfigured::NotAUser,
        ),
        (
            Source::Alertmanager,
            Proof::ClientCertificate { names: vec![] },
            Misconfigured::Empty("name of a client"),
        ),
        (Source::Cloudwatch, bearer(&["a"]), Misconfigured::CloudwatchWithoutSns),
        (Source::Generic, topic(), Misconfigured::SnsWithoutCloudwatch),
        (Source::Cloudwatch, Proof::Sns { topics: vec![] }, Misconfigured::Empty("topic")),
        (
            Source::Cloudwatch,
            Proof::Sns { topics: vec!["alarms".to_owned()] },
            Misconfigured::NotATopic("alarms".to_owned()),
        ),
    ] {
        assert_eq!(Door::new(source, proof).unwrap_err(), expected);
    }
    assert!(Door::new(Source::Cloudwatch, topic()).is_ok());
}

#[test]
fn no_secret_is_shown() {
    let headers: Headers<'_> = [("Authorization", "Bearer letmein")].into_iter().collect();
    let shown = format!("{:?} {:?}", bearer(Source::Generic), Request::new(headers, b"letmein", now()));
    assert!(!shown.contains("letmein"), "{shown}");
    assert!(shown.contains("Authorization"), "{shown}");
}

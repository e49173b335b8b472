//! Messages of SNS: signed with a key of our own, whose certificate takes the place of Amazon's.

use jiff::Timestamp;
use runbook_core::runbook::Source;
use runbook_intake::{Content, Door, Headers, Need, Proof, Received, Refusal, Request};

use super::{file, now};

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:alarms";

pub fn receive(body: &[u8]) -> Result<Received, Refusal> {
    with(body, "sns", now(), &[TOPIC])
}

/// Both phases: what certificate is needed, then the message with it.
pub fn with(body: &[u8], certificate: &str, now: Timestamp, topics: &[&str]) -> Result<Received, Refusal> {
    let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
    let door = Door::new(Source::Cloudwatch, Proof::Sns { topics }).unwrap();
    let request = Request::new(Headers::default(), body, now);
    match door.need(&request)? {
        Need::Certificate(url) => assert_eq!(url.host_str(), Some("sns.eu-west-1.amazonaws.com")),
        Need::Nothing => panic!("a message of SNS needs its certificate"),
    }
    door.receive(&request, Some(&file(&format!("certificates/{certificate}.pem"))))
}

fn edited(case: &str, field: &str, value: &str) -> Vec<u8> {
    let mut message: serde_json::Value = serde_json::from_slice(&file(case)).unwrap();
    message[field] = value.into();
    serde_json::to_vec(&message).unwrap()
}

fn message(result: Result<Received, Refusal>) -> (u16, String) {
    let refusal = result.unwrap_err();
    (refusal.status(), refusal.to_string())
}

#[test]
fn both_versions_of_the_signature_hold() {
    for case in ["cases/cloudwatch/alarm.json", "cases/cloudwatch/ok-with-sha1.json"] {
        assert!(matches!(receive(&file(case)).unwrap().content, Content::Alerts(_)), "{case}");
    }
}

#[test]
fn a_subscription_is_confirmed_at_amazons_address_only() {
    let Content::Confirm(url) = receive(&file("cases/cloudwatch/confirm.json")).unwrap().content else {
        panic!("not a confirmation");
    };
    assert!(
        url.as_str().starts_with("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&"),
        "{url}"
    );
    assert_eq!(
        message(receive(&file("sns/confirm-elsewhere.json"))),
        (422, "SubscribeURL: not an https address of SNS, so it is not called".to_owned())
    );
}

#[test]
fn whatever_is_signed_cannot_be_changed() {
    let wrong = (401, "the signature is not accepted".to_owned());
    for (field, value) in [
        ("Message", "{}"),
        ("MessageId", "another"),
        ("Subject", "another"),
        ("Timestamp", "2026-11-21T07:21:31.119Z"),
        ("Type", "SubscriptionConfirmation"),
        ("SignatureVersion", "1"),
        ("Signature", "AAAA"),
        ("Signature", "not base64!"),
        ("Signature", ""),
    ] {
        assert_eq!(message(receive(&edited("cases/cloudwatch/alarm.json", field, value))), wrong, "{field}");
    }
    // Signed as it is, but its lines could be read as other fields.
    assert_eq!(message(receive(&file("sns/second-line-in-the-id.json"))), wrong);
}

#[test]
fn what_needs_no_certificate_is_refused_before_one_is_fetched() {
    let door = Door::new(Source::Cloudwatch, Proof::Sns { topics: vec![TOPIC.to_owned()] }).unwrap();
    for (field, value, expected) in [
        ("TopicArn", "arn:aws:sns:eu-west-1:999999999999:alarms", "TopicArn: this topic is not on the list"),
        (
            "SigningCertURL",
            "https://evil.example/a.pem",
            "SigningCertURL: not the address of a certificate of SNS",
        ),
        ("SignatureVersion", "3", "SignatureVersion: neither `1` nor `2`"),
        ("Timestamp", "today", "Timestamp: not a time in RFC 3339"),
    ] {
        let body = edited("cases/cloudwatch/alarm.json", field, value);
        let refusal = door.need(&Request::new(Headers::default(), &body, now())).unwrap_err();
        assert_eq!((refusal.status(), refusal.to_string().as_str()), (401, expected));
    }
    let raw = br#"{"AlarmName":"raw"}"#;
    let refusal = door.need(&Request::new(Headers::default(), raw, now())).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "not a signed message of SNS: missing field `Type` at line 1 column 19; subscribe with raw message \
         delivery switched off"
    );
    let long = format!(r#""{}""#, "x".repeat(1_000));
    let refusal = door.need(&Request::new(Headers::default(), long.as_bytes(), now())).unwrap_err();
    assert!(refusal.to_string().len() < 300, "{refusal}");
}

#[test]
fn certificates_must_be_valid_and_the_right_ones() {
    let alarm = file("cases/cloudwatch/alarm.json");
    for (certificate, expected) in [
        ("other", "the signature is not accepted"),
        ("expired", "the certificate that signed it has expired or is not valid yet"),
        ("short", "the signature is not accepted"),
    ] {
        assert_eq!(message(with(&alarm, certificate, now(), &[TOPIC])), (401, expected.to_owned()));
    }
    // Its signature is right, but anybody could have made it.
    assert_eq!(
        message(with(&file("sns/short-key.json"), "short", now(), &[TOPIC])),
        (401, "the signature is not accepted".to_owned())
    );
    let door = Door::new(Source::Cloudwatch, Proof::Sns { topics: vec![TOPIC.to_owned()] }).unwrap();
    let request = Request::new(Headers::default(), &alarm, now());
    for (certificate, expected) in [
        (None, "the certificate that signed it was not fetched"),
        (Some(&b"<html>"[..]), "the certificate that signed it is not in PEM"),
        (
            Some(&b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"[..]),
            "the certificate that signed it is not an X.509 certificate",
        ),
        (Some(&[b'-'; 70_000][..]), "the certificate that signed it is too long"),
    ] {
        assert_eq!(message(door.receive(&request, certificate)), (401, expected.to_owned()));
    }
}

#[test]
fn messages_are_taken_for_an_hour() {
    let signed: Timestamp = "2026-11-21T07:21:30.119Z".parse().unwrap();
    let at = |seconds: i64| {
        let now = Timestamp::from_second(signed.as_second() + seconds).unwrap();
        with(&file("cases/cloudwatch/alarm.json"), "sns", now, &[TOPIC])
    };
    for accepted in [-300, 0, 3_600] {
        assert!(at(accepted).is_ok(), "{accepted}");
    }
    for refused in [-301, 3_601, 100_000] {
        assert_eq!(at(refused).unwrap_err().kind(), "stale", "{refused}");
    }
}

#[test]
fn an_alarm_that_cannot_be_understood_is_refused() {
    assert_eq!(
        message(receive(&file("sns/broken-alarm.json"))),
        (422, "NewStateValue: `BROKEN`, expected `ALARM`, `OK` or `INSUFFICIENT_DATA`".to_owned())
    );
}

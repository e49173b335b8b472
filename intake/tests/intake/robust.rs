//! Whatever is sent: no panic, and no forgery.

use proptest::prelude::*;
use runbook_core::runbook::Source;
use runbook_intake::{Door, GRAFANA_SIGNATURE, Proof};

use super::{deliver, file, knock, now, secrets, sns};

const CASES: [(Source, &str); 6] = [
    (Source::Alertmanager, "alertmanager/one-of-two-is-resolved"),
    (Source::Grafana, "grafana/memory-and-disk"),
    (Source::Pagerduty, "pagerduty/triggered"),
    (Source::Datadog, "datadog/triggered"),
    (Source::Generic, "generic/resolved"),
    (Source::Cloudwatch, "cloudwatch/alarm"),
];

fn signed(kind: usize) -> Proof {
    let secrets = secrets(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
    let grafana = |timestamp_header: Option<&str>| Proof::Grafana {
        secrets: secrets.clone(),
        signature_header: GRAFANA_SIGNATURE.to_owned(),
        timestamp_header: timestamp_header.map(str::to_owned),
    };
    match kind {
        0 => Proof::PagerDuty { secrets },
        1 => Proof::Slack { secrets },
        2 => Proof::StandardWebhooks { secrets },
        3 => grafana(None),
        _ => grafana(Some("X-Time")),
    }
}

/// JSON, most of it nonsense, with keys that detectors use.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        ".{0,20}".prop_map(serde_json::Value::from),
        prop::sample::select(vec![
            "firing",
            "resolved",
            "4",
            "incident.triggered",
            "Triggered",
            "2026-11-21T07:21:02Z"
        ])
        .prop_map(serde_json::Value::from),
    ];
    let key = prop::sample::select(vec![
        "version",
        "alerts",
        "status",
        "labels",
        "annotations",
        "startsAt",
        "endsAt",
        "event",
        "id",
        "event_type",
        "data",
        "title",
        "created_at",
        "occurred_at",
        "service",
        "teams",
        "alert_transition",
        "alert_cycle_key",
        "monitor_id",
        "date",
        "tags",
        "scopes",
        "metrics",
        "timestamp",
        "values",
        "fingerprint",
        "groupKey",
        "truncatedAlerts",
    ]);
    leaf.prop_recursive(5, 60, 10, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..10)
                .prop_map(|fields| fields.into_iter().collect::<serde_json::Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn random_bytes_do_not_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        for (source, _) in CASES {
            // Whether it is refused is not the question.
            let _ = deliver(source, &body);
        }
    }

    #[test]
    fn random_json_does_not_panic(body in json()) {
        let body = serde_json::to_vec(&body).unwrap();
        for (source, _) in CASES {
            let _ = deliver(source, &body);
        }
    }

    #[test]
    fn mutated_deliveries_do_not_panic(
        case in prop::sample::select(&CASES[..]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let mut body = file(&format!("cases/{}.json", case.1));
        for (at, byte) in edits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = deliver(case.0, &body);
        body.truncate(end.index(body.len()));
        let _ = deliver(case.0, &body);
    }

    #[test]
    fn random_certificates_do_not_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let body = file("cases/cloudwatch/alarm.json");
        let mut certificate = file("certificates/sns.pem");
        for (at, byte) in edits {
            let at = at.index(certificate.len());
            certificate[at] = byte;
        }
        let topics = vec!["arn:aws:sns:eu-west-1:123456789012:alarms".to_owned()];
        let door = Door::new(Source::Cloudwatch, Proof::Sns { topics }).unwrap();
        let request = runbook_intake::Request::new(Default::default(), &body, now());
        let _ = door.receive(&request, Some(&certificate));
    }

    /// One byte of the body, or of any header that the proof has, and it is refused.
    #[test]
    fn one_changed_byte_is_refused(
        kind in 0..5_usize,
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        change in 1..=255_u8,
    ) {
        let door = Door::new(Source::Generic, signed(kind)).unwrap();
        let mut body = file("cases/generic/seeds-latency.json");
        let mut headers = door.sign("msg_1", &body, now()).unwrap();
        prop_assert!(knock(&door, &headers, &body, now()).is_ok());
        match which.index(headers.len() + 1) {
            0 => {
                let at = at.index(body.len());
                body[at] ^= change;
            }
            header => {
                let value = &mut headers[header - 1].1;
                let at = at.index(value.len());
                // What is no text cannot be in a header here; in ASCII, it stays one character.
                let byte = value.as_bytes()[at] ^ (change & 0x7f).max(1);
                value.replace_range(at..=at, &char::from(byte).to_string());
            }
        }
        let refusal = knock(&door, &headers, &body, now()).unwrap_err();
        prop_assert_eq!(refusal.status(), 401);
    }

    /// Of a message of SNS, this holds for what its signature covers.
    #[test]
    fn one_changed_byte_of_a_signed_message_is_refused(
        field in prop::sample::select(vec!["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type", "Signature"]),
        at in any::<prop::sample::Index>(),
        change in 1..=127_u8,
    ) {
        let mut message: serde_json::Value = serde_json::from_slice(&file("cases/cloudwatch/alarm.json")).unwrap();
        let mut text = message[field].as_str().unwrap().to_owned();
        let at = at.index(text.len());
        let byte = char::from(text.as_bytes()[at] ^ change);
        text.replace_range(at..=at, &byte.to_string());
        message[field] = text.into();
        let refusal = sns::receive(&serde_json::to_vec(&message).unwrap()).unwrap_err();
        prop_assert_eq!(refusal.status(), 401);
    }
}

//! What is proven but cannot be understood: refused, with what is wrong and where.

use runbook_core::runbook::Source;
use runbook_intake::{Content, Limits, Request};
use serde_json::{Value, json};

use super::{bearer, deliver, file, now};

fn edited(case: &str, edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut body = serde_json::from_slice(&file(&format!("cases/{case}.json"))).unwrap();
    edit(&mut body);
    serde_json::to_vec(&body).unwrap()
}

/// Sets one value of a case, by its JSON pointer, to what cannot be taken.
fn check(source: Source, case: &str, pointer: &str, value: Value, expected: &str) {
    let body = edited(case, |body| {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match body.pointer_mut(parent).unwrap() {
            Value::Object(fields) => drop(fields.insert(key.to_owned(), value)),
            list => list[key.parse::<usize>().unwrap()] = value,
        }
    });
    let refusal = deliver(source, &body).unwrap_err();
    assert_eq!((refusal.status(), refusal.to_string().as_str()), (422, expected));
}

#[test]
fn bodies_that_are_no_objects() {
    for (body, expected) in [
        (&b""[..], "the body is not JSON: EOF while parsing a value at line 1 column 0"),
        (b"{\"a\":", "the body is not JSON: EOF while parsing a value at line 1 column 5"),
        (b"payload=%7B%7D", "the body is not JSON: expected value at line 1 column 1"),
        (b"\xff\xfe", "the body is not JSON: expected value at line 1 column 1"),
        (b"{\"a\":\"\xff\"}", "the body is not JSON: invalid unicode code point at line 1 column 7"),
        (b"{} {}", "the body is not JSON: trailing characters at line 1 column 4"),
        (b"[]", "the body is a list, expected an object"),
        (b"null", "the body is null, expected an object"),
    ] {
        for source in
            [Source::Alertmanager, Source::Grafana, Source::Pagerduty, Source::Datadog, Source::Generic]
        {
            let refusal = deliver(source, body).unwrap_err();
            assert_eq!((refusal.status(), refusal.to_string().as_str()), (422, expected));
        }
    }
    let deep = "[".repeat(100_000);
    let refusal = deliver(Source::Generic, deep.as_bytes()).unwrap_err().to_string();
    assert_eq!(refusal, "the body is not JSON: recursion limit exceeded at line 1 column 128");
}

#[test]
fn alertmanager() {
    let check = |pointer: &str, value: Value, expected: &str| {
        check(Source::Alertmanager, "alertmanager/two-replicas-fire", pointer, value, expected);
    };
    check("/version", json!("3"), "version: `3`, expected `4`");
    check("/version", Value::Null, "version: missing; expected `4`, as Alertmanager sends it");
    check("/alerts", Value::Null, "alerts: missing");
    check("/alerts", json!({}), "alerts: an object, expected a list");
    check("/alerts/1", json!("x"), "alerts[1]: a text, expected an object");
    check(
        "/alerts/1/startsAt",
        json!("yesterday"),
        "alerts[1].startsAt: `yesterday` is not a time in RFC 3339",
    );
    check("/alerts/1/startsAt", json!(5), "alerts[1].startsAt: a number, expected a text");
    check("/alerts/1/startsAt", json!("0001-01-01T00:00:00Z"), "alerts[1].startsAt: missing or zero");
    check("/alerts/1/endsAt", json!("never"), "alerts[1].endsAt: `never` is not a time in RFC 3339");
    check("/alerts/0/status", json!("FIRING"), "alerts[0].status: `FIRING`, expected `firing` or `resolved`");
    check("/alerts/0/status", Value::Null, "alerts[0].status: missing or empty");
    check("/alerts/0/labels", json!([]), "alerts[0].labels: a list, expected an object");
    check("/alerts/0/labels/team", json!({}), "alerts[0].labels.team: an object, expected a text");
    check(
        "/alerts/0/labels/team",
        json!("x".repeat(5_000)),
        "alerts[0].labels.team: 5000 characters, at most 4096",
    );
    check(
        "/alerts/0/annotations/summary",
        json!(1),
        "alerts[0].annotations.summary: a number, expected a text",
    );
    check(
        "/alerts/0/fingerprint",
        json!("f".repeat(2_000)),
        "alerts[0].fingerprint: 2000 characters, at most 1024",
    );
    check("/truncatedAlerts", json!(-1), "truncatedAlerts: a number, expected a whole number of at least 0");
    let many: serde_json::Map<String, Value> = (0..200).map(|n| (format!("l{n}"), json!("x"))).collect();
    check("/alerts/0/labels", Value::Object(many), "alerts[0].labels: 200 entries, at most 128");
    let long = "n".repeat(2_000);
    check(
        "/alerts/0/labels",
        json!({ long: "x" }),
        &format!("alerts[0].labels.{}…: a name of more than 1024 characters", "n".repeat(39)),
    );
    // What is repeated of it cannot steer a terminal.
    check("/version", json!("\u{1b}[2J\n\nevil"), "version: `[2J evil`, expected `4`");
}

#[test]
fn grafana() {
    let check = |pointer: &str, value: Value, expected: &str| {
        check(Source::Grafana, "grafana/memory-and-disk", pointer, value, expected)
    };
    check(
        "/alerts/0/values",
        json!({ "B": [1] }),
        "alerts[0].values.B: a list, expected a number, a text or a flag",
    );
    check("/alerts/0/values", json!(1), "alerts[0].values: a number, expected an object");
    check("/groupKey", json!({}), "groupKey: an object, expected a text");
}

#[test]
fn pagerduty() {
    let check = |pointer: &str, value: Value, expected: &str| {
        check(Source::Pagerduty, "pagerduty/triggered", pointer, value, expected)
    };
    check("/event", Value::Null, "event: missing");
    check("/event", json!([]), "event: a list, expected an object");
    check("/event/id", Value::Null, "event.id: missing or empty");
    check("/event/event_type", json!(""), "event.event_type: missing or empty");
    check("/event/data", Value::Null, "event.data: missing");
    check("/event/data/id", Value::Null, "event.data.id: missing or empty");
    check("/event/data/title", json!(" \n "), "event.data.title: missing or empty");
    check("/event/data/created_at", Value::Null, "event.data.created_at: missing or zero");
    check("/event/data/service", json!("checkout"), "event.data.service: a text, expected an object");
    check("/event/data/teams/0", json!("sre"), "event.data.teams[0]: a text, expected an object");
}

#[test]
fn datadog() {
    let check = |pointer: &str, value: Value, expected: &str| {
        check(Source::Datadog, "datadog/triggered", pointer, value, expected)
    };
    check(
        "/alert_transition",
        Value::Null,
        "alert_transition: missing; set the payload of the webhook to the template that comes with runbook",
    );
    check(
        "/alert_transition",
        json!("Exploded"),
        "alert_transition: `Exploded` is not a transition that Datadog documents",
    );
    check("/alert_cycle_key", json!("$ALERT_CYCLE_KEY"), "alert_cycle_key: missing or empty");
    check("/monitor_id", json!(""), "monitor_id: missing or empty");
    check("/date", json!("$DATE"), "date: `$DATE` is not a time in RFC 3339");
    check("/date", json!(1e300), &format!("date: `1{}…` is not a time", "0".repeat(38)));
    let tags: Vec<String> = (0..200).map(|n| format!("t{n}:x")).collect();
    check("/tags", json!(tags.join(",")), "tags: more than 128 tags");
    check(
        "/tags",
        json!(format!("k:{}", "v".repeat(5_000))),
        &format!("tags: the tag `k:{}…` is too long", "v".repeat(37)),
    );
}

#[test]
fn generic() {
    let check = |pointer: &str, value: Value, expected: &str| {
        check(Source::Generic, "generic/resolved", pointer, value, expected)
    };
    check("/id", Value::Null, "id: missing or empty");
    check("/title", json!(""), "title: missing or empty");
    check("/status", json!("ok"), "status: `ok`, expected `firing` or `resolved`");
    check("/timestamp", json!("now"), "timestamp: `now` is not a time in RFC 3339");
    check(
        "/metrics",
        json!({ "errorRate": { "now": 1 } }),
        "metrics.errorRate: an object, expected a number, a text or a flag",
    );
    check("/service", json!(["a"]), "service: a list, expected a text");
}

#[test]
fn no_more_than_the_limits() {
    let limits = Limits { body: 2_000, alerts: 1 };
    let door = bearer(Source::Alertmanager).with_limits(limits);
    let receive = |body: &[u8]| {
        let headers = [("Authorization", "Bearer letmein")].into_iter().collect();
        door.receive(&Request::new(headers, body, now()), None)
            .map_err(|refusal| (refusal.status(), refusal.to_string()))
    };
    assert_eq!(
        receive(&[b' '; 2_001]).unwrap_err(),
        (413, "the body has 2001 bytes, at most 2000 are taken".to_owned())
    );
    assert_eq!(
        receive(&file("cases/alertmanager/two-replicas-fire.json")).unwrap_err(),
        (
            413,
            "alerts: 2 of them, at most 1 are taken at once; let the detector send fewer, such as with \
             `max_alerts`, or group them more finely"
                .to_owned()
        )
    );
    assert!(receive(&file("cases/alertmanager/one-fires.json")).is_ok());
}

#[test]
fn texts_for_people_are_cut_rather_than_refused() {
    let body = edited("alertmanager/one-fires", |body| {
        body["alerts"][0]["annotations"] =
            json!({ "summary": "word ".repeat(1_000), "description": "é".repeat(20_000) });
        body["alerts"][0]["generatorURL"] = json!(format!("https://example.com/{}", "x".repeat(5_000)));
    });
    let Content::Alerts(alerts) = deliver(Source::Alertmanager, &body).unwrap().content else { panic!() };
    assert_eq!(alerts[0].title.chars().count(), 512);
    assert!(alerts[0].title.ends_with('…'));
    assert_eq!(alerts[0].description.as_ref().unwrap().chars().count(), 16_384);
    assert_eq!(alerts[0].url, None);
}

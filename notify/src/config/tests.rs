use runbook_core::{event::EndStatus, parse, schema};
use serde_json::json;

use super::*;
use crate::notice::{Outcome, samples};

fn read(value: serde_json::Value) -> Result<Vec<Channel>, String> {
    let channels: Vec<Channel> = serde_json::from_value(value).map_err(|error| error.to_string())?;
    check(&channels).map_err(|error| error.to_string())?;
    Ok(channels)
}

fn one(value: serde_json::Value) -> Channel {
    read(json!([value])).unwrap().remove(0)
}

const FILE: &str = r##"
- name: incidents
  kind: slack
  on: [incident_opened, severity_raised, approval_requested, approval_escalated, run_stuck]
  environments: [production]
  token: { env: SLACK_TOKEN }
  channel: "#incidents"
  signing_secret: { env: SLACK_SIGNING_SECRET }
  people: { U024BE7LH: alice }
- name: oncall
  kind: pagerduty
  on: [incident_opened, run_stuck]
  severities: [SEV1, SEV2]
  routing_key: { file: secrets/pagerduty }
  levels: { SEV1: critical }
- name: mail
  kind: email
  on: [incident_resolved, run_ended]
  server: smtp.example.com:587
  user: runbook
  password: { env: SMTP_PASSWORD }
  from: Runbook <runbook@example.com>
  to: [team@example.com]
- name: audit
  kind: webhook
  on: [alert_unmatched]
  url: https://hooks.example.com/runbook?token=t0ken
  secret: { env: HOOK_SECRET }
"##;

/// As the configuration is read: by its schema, with the place of what is wrong.
fn parsed(text: &str) -> (Option<Vec<Channel>>, Vec<String>) {
    let schema = schema::of::<Vec<Channel>>();
    let parsed = parse::parse_as::<Vec<Channel>>("runbook.yaml", text, &schema, "the configuration");
    let messages = parsed.findings.iter().map(|finding| finding.message.clone()).collect();
    (parsed.value, messages)
}

#[test]
fn a_file_is_read_and_written_the_same() {
    let (channels, messages) = parsed(FILE);
    assert_eq!(messages, Vec::<String>::new());
    let mut channels = channels.unwrap();
    check(&channels).unwrap();
    assert_eq!(
        channels.iter().map(Channel::kind).collect::<Vec<_>>(),
        ["slack", "pagerduty", "email", "webhook"]
    );
    let again: Vec<Channel> = serde_json::from_value(json!(channels)).unwrap();
    assert_eq!(again, channels);
    assert_eq!(channels[1].secret_files(), [&mut PathBuf::from("secrets/pagerduty")]);
    assert!(!format!("{channels:?}").contains("t0ken"), "an address is never shown whole");
}

#[test]
fn what_is_wrong_in_a_file_is_named() {
    for (from, to, expected) in [
        ("kind: email", "kind: fax", "fax"),
        ("run_ended]", "run_endet]", "run_endet"),
        ("  channel: \"#incidents\"\n", "", "channel"),
        ("levels: { SEV1: critical }", "levels: { SEV1: dire }", "dire"),
        ("user: runbook", "usr: runbook", "usr"),
    ] {
        let (_, messages) = parsed(&FILE.replace(from, to));
        assert!(messages.iter().any(|message| message.contains(expected)), "{to}: {messages:?}");
    }
}

#[test]
fn what_would_not_do_what_it_says_is_refused() {
    let webhook = json!({
        "kind": "webhook", "name": "a", "on": ["run_ended"], "url": "https://x.example.com", "secret": {"env": "X"},
    });
    let mail = json!({
        "kind": "email", "name": "a", "on": ["run_ended"], "server": "localhost:25", "tls": "none",
        "from": "a@example.com", "to": ["b@example.com"],
    });
    let slack = json!({
        "kind": "slack", "name": "a", "on": ["run_ended"], "token": {"env": "X"}, "channel": "#a",
    });
    for (base, key, value, expected) in [
        (&webhook, "name", json!("a b"), "cannot be the name"),
        (&webhook, "on", json!([]), "tells nothing"),
        (&webhook, "url", json!("http://x.example.com/s3cret"), "https://"),
        (&webhook, "url", json!("https://u:s3cret@x.example.com"), "a user or a password"),
        (&webhook, "url", json!("s3cret"), "not a URL"),
        (&webhook, "url_from", json!({"env": "X"}), "either `url` or `url_from`"),
        (&mail, "server", json!("smtp.example.com:25"), "in the clear"),
        (&mail, "server", json!("smtp.example.com"), "mail server"),
        (&mail, "user", json!("u"), "belong together"),
        (&mail, "to", json!([]), "1 to 50"),
        (&mail, "from", json!("nobody"), "no address of mail".trim_start_matches("no ")),
        (&slack, "people", json!({"alice": "U1"}), "`alice` does not"),
        (&slack, "channel", json!(" "), "`channel` is empty"),
    ] {
        let mut wrong = base.clone();
        wrong[key] = value;
        let error = read(json!([wrong])).unwrap_err();
        assert!(error.contains(expected), "{key}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    assert!(read(json!([webhook, webhook])).unwrap_err().contains("two notification channels"));
    for fine in [webhook, mail, slack] {
        read(json!([fine])).unwrap();
    }
}

#[test]
fn a_channel_is_told_what_it_asked_for() {
    let channel = |kind: &str, on: &[&str], environments: &[&str], severities: &[&str]| {
        let mut value = json!({
            "kind": kind, "name": "a", "on": on, "environments": environments, "severities": severities,
        });
        let own = match kind {
            "slack" => json!({"token": {"env": "X"}, "channel": "#a"}),
            "pagerduty" => json!({"routing_key": {"env": "X"}}),
            _ => json!({"url": "https://x.example.com", "secret": {"env": "X"}}),
        };
        value.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        one(value)
    };
    let resolved = samples::all().remove(3);
    for (kind, on, environments, severities, notice, expected) in [
        ("slack", ["approval_requested"], &[][..], &[][..], samples::approval_requested(), true),
        ("slack", ["run_ended"], &[], &[], samples::approval_requested(), false),
        ("slack", ["approval_requested"], &["production"], &["sev2"], samples::approval_requested(), true),
        ("slack", ["approval_requested"], &["staging"], &[], samples::approval_requested(), false),
        ("slack", ["approval_requested"], &[], &["SEV1"], samples::approval_requested(), false),
        // An answer follows its question, at whatever severity, but not into other environments.
        ("slack", ["approval_requested"], &[], &["SEV1"], samples::approval_answered(Outcome::Open), true),
        (
            "slack",
            ["approval_requested"],
            &["staging"],
            &[],
            samples::approval_answered(Outcome::Open),
            false,
        ),
        ("webhook", ["approval_requested"], &[], &[], samples::approval_answered(Outcome::Approved), false),
        ("pagerduty", ["incident_opened"], &[], &["SEV1"], resolved.clone(), true),
        ("pagerduty", ["run_stuck"], &[], &[], resolved.clone(), false),
        ("webhook", ["incident_opened"], &[], &[], resolved, false),
        ("pagerduty", ["run_stuck"], &[], &[], samples::run_ended(EndStatus::Succeeded), true),
        ("pagerduty", ["run_stuck"], &[], &[], samples::run_ended(EndStatus::Failed), false),
        ("pagerduty", ["run_stuck"], &[], &[], samples::run_ended(EndStatus::Stuck), true),
        // What belongs to no incident has the severity of its alert.
        ("slack", ["alert_unmatched"], &[], &["critical"], samples::alert_unmatched(), false),
        ("slack", ["alert_unmatched"], &[], &["warning"], samples::alert_unmatched(), true),
    ] {
        let channel = channel(kind, &on, environments, severities);
        assert_eq!(channel.wants(&notice), expected, "{kind} {on:?} {environments:?} {severities:?}");
    }
}

#[test]
fn addresses_and_servers_are_read() {
    for fine in
        ["https://x.example.com/a?b=c", "http://127.0.0.1:8080", "http://localhost/x", "http://[::1]:1"]
    {
        let address: Address = fine.parse().unwrap();
        assert!(!address.to_string().contains("b=c"));
    }
    for (text, host, port) in [("mail.example.com:25", "mail.example.com", 25), ("[::1]:465", "::1", 465)] {
        let server: MailServer = text.parse().unwrap();
        assert_eq!((server.host.as_str(), server.port, server.to_string().as_str()), (host, port, text));
    }
    for wrong in ["", ":25", "x:0", "x:66000", "x y:25", "::1:25"] {
        assert!(wrong.parse::<MailServer>().is_err(), "{wrong:?} was taken");
    }
    assert_eq!(slack_api().below("chat.update").as_str(), "https://slack.com/api/chat.update");
    assert_eq!(slack_hooks().to_string(), "https://hooks.slack.com");
    assert_eq!(pagerduty_events().url().path(), "/v2/enqueue");
}

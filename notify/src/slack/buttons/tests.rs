use proptest::prelude::*;
use runbook_intake::Headers;
use serde_json::Value;

use super::*;
use crate::{
    config::Channel,
    notice::{News, samples},
    slack::{Look, message},
};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

fn slack(changes: &Value) -> Slack {
    let mut value = json!({
        "kind": "slack", "name": "incidents", "on": ["approval_requested"], "token": {"env": "UNSET"},
        "channel": "#incidents", "people": {"U024BE7LH": "alice"},
    });
    value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    match serde_json::from_value(value).unwrap() {
        Channel::Slack(slack) => {
            Slack { signing_secret: Some(SecretSource::Given(SECRET.to_owned())), ..slack }
        }
        other => panic!("{other:?}"),
    }
}

/// As Slack documents it, with the value of the button that we made.
fn payload() -> Value {
    let notice = samples::approval_requested();
    let blocks = message(&notice, Look { buttons: true, ..Look::default() }).blocks;
    let actions = blocks.iter().find(|block| block["type"] == "actions").unwrap();
    json!({
        "type": "block_actions",
        "user": {"id": "U024BE7LH", "username": "al", "name": "al", "team_id": "T024BE7LD"},
        "api_app_id": "A02",
        "token": "deprecated",
        "container": {"type": "message", "message_ts": "1548261231.000200", "channel_id": "CBR2V3XEX", "is_ephemeral": false},
        "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3",
        "team": {"id": "T024BE7LD", "domain": "example"},
        "enterprise": null,
        "channel": {"id": "CBR2V3XEX", "name": "incidents"},
        "message": {"ts": "1548261231.000200", "blocks": blocks},
        "response_url": "https://hooks.slack.com/actions/T024BE7LD/1232321423432/D09sSasdasdAS9091209",
        "actions": [{
            "action_id": actions["elements"][0]["action_id"],
            "block_id": "=qXel",
            "value": actions["elements"][0]["value"],
            "type": "button",
            "action_ts": "1548426417.840180",
        }],
    })
}

fn form(payload: &Value) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &payload.to_string())
        .finish()
        .into_bytes()
}

fn press_signed(slacks: &[Slack], body: &[u8], secret: &str) -> Result<Press, NotTaken> {
    let now = samples::at();
    let signed = Proof::Slack { secrets: vec![secret.into()] }.sign("", body, now).unwrap();
    open(slacks.iter(), &Request::new(Headers::from(signed.as_slice()), body, now))
}

fn press(slacks: &[Slack], payload: &Value) -> Result<Press, NotTaken> {
    press_signed(slacks, &form(payload), SECRET)
}

fn decided(press: Press) -> Pressed {
    match press {
        Press::Decided(pressed) => *pressed,
        Press::Nothing => panic!("nothing was pressed"),
    }
}

#[test]
fn a_press_comes_back_as_what_was_shown() {
    let pressed = decided(press(&[slack(&json!({}))], &payload()).unwrap());
    let News::ApprovalRequested(asked) = samples::approval_requested().news else { panic!() };
    assert_eq!(
        (pressed.run, &pressed.step, &pressed.digest),
        (samples::run().id, &asked.step, &asked.digest)
    );
    assert_eq!((pressed.decision, pressed.person.as_str()), (Decision::Approve, "alice"));
    assert_eq!((pressed.channel.as_str(), pressed.message.as_str()), ("CBR2V3XEX", "1548261231.000200"));
    assert!(pressed.answer_to.is_some());
    assert!(!format!("{pressed:?}").contains("hooks.slack.com"), "{pressed:?}");
    let again = decided(press(&[slack(&json!({}))], &payload()).unwrap());
    assert_eq!(again.id, pressed.id, "a repeat is known");
    let mut rejected = payload();
    rejected["actions"][0]["action_id"] = json!(REJECT);
    let rejected = decided(press(&[slack(&json!({}))], &rejected).unwrap());
    assert_eq!(rejected.decision, Decision::Reject);
    assert_ne!(rejected.id, pressed.id);
}

#[test]
fn what_is_no_press_of_ours_is_nothing() {
    let mut opened = payload();
    opened["actions"][0]["action_id"] = json!("runbook_open");
    let mut shortcut = payload();
    shortcut["type"] = json!("shortcut");
    for payload in [opened, shortcut, json!({"type": "view_closed"})] {
        assert_eq!(press(&[slack(&json!({}))], &payload).unwrap(), Press::Nothing);
    }
}

#[test]
fn what_cannot_be_believed_is_refused() {
    let plain = || slack(&json!({}));
    assert_eq!(press(&[], &payload()).unwrap_err(), NotTaken::NotConfigured);
    let mute = Slack { signing_secret: None, ..plain() };
    assert_eq!(press(&[mute], &payload()).unwrap_err().status(), 404);
    let forged = press_signed(&[plain()], &form(&payload()), "another").unwrap_err();
    assert!(matches!(forged, NotTaken::Unproven(_)) && forged.status() == 401, "{forged}");
    let empty = Slack { signing_secret: Some(SecretSource::Given(String::new())), ..plain() };
    assert!(matches!(press_signed(&[empty], &form(&payload()), ""), Err(NotTaken::NoSecret(_))));
    let unset = Slack { signing_secret: Some(SecretSource::Env("RUNBOOK_UNSET_X".to_owned())), ..plain() };
    assert_eq!(press(&[unset], &payload()).unwrap_err().status(), 503);
    let strangers = slack(&json!({"people": {"U1": "bob"}}));
    let NotTaken::Stranger { user_id, answer_to, .. } = press(&[strangers], &payload()).unwrap_err() else {
        panic!()
    };
    assert!(user_id == "U024BE7LH" && answer_to.is_some());
    let others = slack(&json!({"team": "T999"}));
    assert_eq!(press(&[others], &payload()).unwrap_err(), NotTaken::OtherTeam("T024BE7LD".to_owned()));

    for (pointer, value, status) in [
        ("/response_url", json!("http://hooks.slack.com/actions/x"), 422),
        ("/response_url", json!("https://hooks.slack.com.evil.example.com/x"), 422),
        ("/response_url", json!("https://hooks.slack.com:8443/x"), 422),
        ("/response_url", json!("https://a:b@hooks.slack.com/x"), 422),
        ("/response_url", json!("https://169.254.169.254/latest/meta-data"), 422),
        ("/response_url", json!("nowhere"), 422),
        ("/user/id", json!("alice"), 422),
        ("/user", Value::Null, 422),
        ("/container/message_ts", json!(""), 422),
        ("/actions/0/value", json!("{}"), 422),
        ("/actions/0/value", json!("x".repeat(3_000)), 422),
        ("/actions/0/value", json!(r#"{"run":"run_1","step":"a","digest":"b"}"#), 422),
        ("/actions/0/action_ts", Value::Null, 422),
        ("/actions", json!("none"), 422),
    ] {
        let mut wrong = payload();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert_eq!(press(&[plain()], &wrong).unwrap_err().status(), status, "{pointer}");
    }
    let mut twice = payload();
    let action = twice["actions"][0].clone();
    twice["actions"].as_array_mut().unwrap().push(action);
    assert_eq!(press(&[plain()], &twice).unwrap_err().status(), 422);

    let two = [form(&payload()), b"&".to_vec(), form(&payload())].concat();
    let large = [form(&payload()), b"&x=".to_vec(), vec![b'x'; LONGEST_BODY]].concat();
    for body in [b"".to_vec(), b"payload=%7B".to_vec(), b"payload".to_vec(), b"\xff\xfe".to_vec(), two, large]
    {
        assert_eq!(press_signed(&[plain()], &body, SECRET).unwrap_err().status(), 422);
    }
}

#[test]
fn channels_of_one_app_know_each_others_people() {
    let first = slack(&json!({"people": {"U1": "bob"}}));
    let other_app =
        Slack { signing_secret: Some(SecretSource::Given("other".to_owned())), ..slack(&json!({})) };
    let pressed = decided(press(&[other_app.clone(), first.clone(), slack(&json!({}))], &payload()).unwrap());
    assert_eq!(pressed.person, "alice");
    // Whom only the other app's channel knows is nobody here.
    assert!(matches!(press(&[other_app, first], &payload()), Err(NotTaken::Stranger { .. })));
}

proptest! {
    #[test]
    fn no_body_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
        let slacks = [slack(&json!({}))];
        prop_assert!(press_signed(&slacks, &bytes, SECRET).is_err());
        let mut odd = payload();
        odd["actions"][0]["value"] = json!(text);
        prop_assert!(press(&slacks, &odd).is_err());
    }
}

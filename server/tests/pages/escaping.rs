//! Whatever people and detectors write stays text.

use proptest::prelude::*;
use runbook_core::alert::AlertStatus;
use serde_json::json;

use super::{browser::Room, html};

const NASTY: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";

#[tokio::test]
async fn what_a_runbook_says_stays_text() {
    let room = Room::new();
    let run = room.fixture.run("evil", "production", json!({}), "rob").await;
    let ada = room.sign_in("ada").await;
    for path in [
        "/".to_owned(),
        "/approvals".to_owned(),
        "/runbooks".to_owned(),
        "/runbooks/evil".to_owned(),
        "/runbooks/evil/start".to_owned(),
        format!("/runs/{run}"),
        format!("/runs/{run}/approve?step=ask"),
    ] {
        let page = ada.get(&path).await;
        page.is(200)
            .shows("alert(")
            .hides("<script>")
            .hides("<img src=x")
            .hides("<b>bold")
            .hides("href=\"javascript");
        assert_eq!(html::faults(&page.text), Vec::<String>::new(), "{path}");
    }
}

#[tokio::test]
async fn what_comes_with_a_request_stays_text() {
    let room = Room::new();
    let run = room.asking().await;
    let ada = room.sign_in("ada").await;
    let asked: String = url::form_urlencoded::byte_serialize(NASTY.as_bytes()).collect();
    for path in [
        format!("/{asked}"),
        format!("/runs/{asked}"),
        format!("/runs?runbook={asked}&status={asked}"),
        format!("/runs/{run}/approve?step={asked}"),
        format!("/alerts?status={asked}&after={asked}"),
        format!("/runbooks/high-latency/start?input.service={asked}&reason={asked}"),
        format!("/runbooks/{asked}"),
        format!("/incidents/{asked}"),
        format!("/login?next={asked}"),
    ] {
        let page = ada.get(&path).await;
        page.hides("<script>").hides("<img src=x");
        assert!(!page.status.is_server_error(), "{path}");
        assert_eq!(html::faults(&page.text), Vec::<String>::new(), "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_shown_and_breaks_nothing(
        text in r#"[a-z<>&"'/=\\`{}\u{0}-\u{1f}\u{e0fe}\u{202e}é ]{1,60}"#,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let room = Room::new();
            room.fixture.alert(&text, &text, AlertStatus::Firing).await;
            let run = room.asking().await;
            let max = room.sign_in("max").await;
            let title = format!("a{text}");
            let fields = [("title", title.as_str()), ("severity", "SEV1"), ("environment", "production"), ("service", &text), ("description", &text)];
            let declared = max.post("/incidents/declare", &fields).await;
            max.post("/incidents/INC-1/note", &[("note", &title)]).await;
            max.post(&format!("/runs/{run}/reject"), &[("step", "mitigate.scale"), ("comment", &title)]).await;
            max.post("/access/tokens", &[("name", &title), ("role", "viewer"), ("days", "1"), ("runbooks", &text)]).await;
            for path in ["/", "/alerts", "/incidents", "/incidents/INC-1", "/access", "/audit", &format!("/runs/{run}"), &declared.location] {
                if path.is_empty() { continue }
                let page = max.get(path).await;
                assert_eq!(page.status, 200, "{path}");
                assert_eq!(html::faults(&page.text), Vec::<String>::new(), "{path}");
            }
        });
    }
}

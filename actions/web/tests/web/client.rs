//! What the one client lets through, and what it makes of answers and of none.

use runbook_core::{
    Value,
    fault::{Fault, FaultKind},
};
use serde_json::json;
use wiremock::MockServer;

use crate::scenario::{
    answers, cx, cx_within, dead_address, named, planned, reading, rude_server, silent_server, status,
    writing,
};

async fn get(allow: &[&str], input: Value) -> Result<Value, Fault> {
    let config = serde_json::from_value(json!({ "allow": allow })).unwrap();
    let action = named(runbook_web::http::actions(&config, &reading()), "http.get");
    action.observe(&cx_within("2s"), &input).await.map(|seen| seen.outputs)
}

async fn post(allow: &str, url: &str, timeout: &str) -> Result<Value, Fault> {
    let config = serde_json::from_value(json!({ "allow": [allow] })).unwrap();
    let action = named(runbook_web::http::actions(&config, &writing()), "http.request");
    let change = planned(action.as_ref(), &json!({"method": "POST", "url": url, "body": {"x": 1}})).await;
    action.apply(&cx_within(timeout), &change).await
}

#[tokio::test]
async fn every_status_of_a_write_says_what_may_be_done_next() {
    let server = MockServer::start().await;
    for (path, answer, kind) in [
        ("/400", status(400), FaultKind::Permanent),
        ("/401", status(401), FaultKind::Forbidden),
        ("/403", status(403), FaultKind::Forbidden),
        ("/404", status(404), FaultKind::NotFound),
        ("/409", status(409), FaultKind::Conflict),
        ("/412", status(412), FaultKind::Conflict),
        ("/429", status(429).insert_header("retry-after", "3"), FaultKind::Refused),
        ("/500", status(500), FaultKind::Unknown),
        ("/502", status(502), FaultKind::Unknown),
        ("/503", status(503), FaultKind::Unknown),
        ("/503-later", status(503).insert_header("retry-after", "3"), FaultKind::Refused),
        ("/307", status(307).insert_header("location", "/204"), FaultKind::Permanent),
        ("/302", status(302).insert_header("location", "/204"), FaultKind::Unknown),
    ] {
        answers(&server, "POST", path, answer).await;
        let url = format!("{}{path}", server.uri());
        let fault = post(&server.uri(), &url, "5s").await.unwrap_err();
        assert_eq!(fault.kind, kind, "{path}: {fault}");
        if kind == FaultKind::Refused {
            assert_eq!(fault.retry_after, Some("3s".parse().unwrap()), "{path}");
        }
    }
    let followed =
        server.received_requests().await.unwrap().iter().any(|request| request.url.path() == "/204");
    assert!(!followed, "a redirect of a write was followed");
}

#[tokio::test]
async fn a_write_that_was_not_sent_is_refused_and_one_without_an_answer_unknown() {
    let (dead, silent) = (dead_address().await, silent_server().await);
    let (hangs_up, breaks_off) = (
        rude_server(b"").await,
        rude_server(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":").await,
    );
    let no_tls = silent.replace("http:", "https:");
    for (name, address, write, read) in [
        ("dead", &dead, FaultKind::Refused, FaultKind::Unreachable),
        ("hangs up", &hangs_up, FaultKind::Unknown, FaultKind::Unreachable),
        ("breaks off", &breaks_off, FaultKind::Unknown, FaultKind::Unreachable),
        ("silent", &silent, FaultKind::Unknown, FaultKind::Unreachable),
    ] {
        let url = format!("{address}/path?token=s3cret");
        let fault = post(address, &url, "300ms").await.unwrap_err();
        assert_eq!(fault.kind, write, "{name}: {fault}");
        assert!(!fault.message.contains("s3cret") && !fault.message.contains("path"), "{name}: {fault}");
        let fault = get(&[address], json!({"url": url, "timeout": "300ms"})).await.unwrap_err();
        assert_eq!(fault.kind, read, "{name}: {fault}");
        assert!(!fault.message.contains("s3cret"), "{name}: {fault}");
    }
    let plain = rude_server(b"HTTP/1.1 400 no TLS here\r\n\r\n").await.replace("http:", "https:");
    let fault = post(&plain, &format!("{plain}/x"), "5s").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused, "a failed handshake sends nothing: {fault}");
    let fault = post(&no_tls, &format!("{no_tls}/x"), "0s").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused, "no time, nothing sent: {fault}");
}

#[tokio::test]
async fn only_listed_servers_are_reached() {
    let (listed, other) = (MockServer::start().await, MockServer::start().await);
    answers(&listed, "GET", "/", status(200)).await;
    answers(&other, "GET", "/", status(200)).await;
    let listed_port = listed.address().port();
    let other_port = other.address().port();
    assert_eq!(get(&[&listed.uri()], json!({"url": listed.uri()})).await.unwrap()["ok"], true);
    for url in [
        other.uri(),
        format!("http://127.0.0.1:{listed_port}@127.0.0.1:{other_port}/"),
        format!("http://user:s3cret@127.0.0.1:{listed_port}/"),
        format!("http://localhost:{listed_port}/"),
        format!("http://127.0.0.1.:{other_port}/"),
        format!("http://[::ffff:127.0.0.1]:{listed_port}/"),
        format!("https://127.0.0.1:{listed_port}/"),
        "file:///etc/passwd".to_owned(),
    ] {
        let fault = get(&[&listed.uri()], json!({ "url": url })).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Denied, "{url}: {fault}");
        assert!(!fault.message.contains("s3cret"), "{fault}");
    }
    assert_eq!(get(&[], json!({"url": listed.uri()})).await.unwrap_err().kind, FaultKind::Denied);
    assert!(other.received_requests().await.unwrap().is_empty());
    assert_eq!(listed.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn redirects_of_reads_stay_on_the_list_and_leave_headers_behind() {
    let (front, back, evil) =
        (MockServer::start().await, MockServer::start().await, MockServer::start().await);
    let to = |url: String| status(302).insert_header("location", url.as_str());
    answers(&front, "GET", "/here", to("/there".to_owned())).await;
    answers(&front, "GET", "/there", status(200).set_body_string("arrived")).await;
    answers(&front, "GET", "/back", to(format!("{}/", back.uri()))).await;
    answers(&front, "GET", "/evil", to(format!("{}/", evil.uri()))).await;
    answers(&front, "GET", "/loop", to("/loop".to_owned())).await;
    answers(&back, "GET", "/", status(200)).await;
    let (a, b) = (front.uri(), back.uri());
    let allow = [a.as_str(), b.as_str()];
    let ask = |path: &str| {
        get(&allow, json!({"url": format!("{a}{path}"), "headers": {"authorization": "Bearer s3cret"}}))
    };
    assert_eq!(ask("/here").await.unwrap()["body"], "arrived");
    assert_eq!(ask("/back").await.unwrap()["ok"], true);
    assert_eq!(ask("/evil").await.unwrap_err().kind, FaultKind::Denied);
    assert_eq!(ask("/loop").await.unwrap()["status"], 302, "after three, the redirect is the answer");
    assert!(evil.received_requests().await.unwrap().is_empty());
    let at_back = back.received_requests().await.unwrap();
    assert!(!at_back[0].headers.contains_key("authorization"), "a credential went to another server");
    let loops = front.received_requests().await.unwrap().iter().filter(|r| r.url.path() == "/loop").count();
    assert_eq!(loops, 4);
}

#[tokio::test]
async fn answers_are_bounded_and_harmless() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/large", status(200).set_body_string("x".repeat(3_000_000))).await;
    answers(&server, "GET", "/text", status(200).set_body_string("é".repeat(40_000))).await;
    let tricks = "a\u{1b}[2Jb\u{E0FE}token\u{E0FF}";
    answers(
        &server,
        "GET",
        "/tricks",
        status(200)
            .set_body_json(json!({"x": tricks}))
            .insert_header("set-cookie", "session=s3cret")
            .insert_header("x-long", "y".repeat(1000).as_str()),
    )
    .await;
    let uri = server.uri();
    let ask = async |path: &str| get(&[&uri], json!({"url": format!("{uri}{path}")})).await.unwrap();
    let large = ask("/large").await;
    assert!(large["body"].as_str().unwrap().len() < 70_000);
    assert!(large["body"].as_str().unwrap().contains("cut"));
    assert_eq!(large["json"], Value::Null);
    let text = ask("/text").await;
    assert!(text["body"].as_str().unwrap().contains("… (cut; the answer has 80000 bytes or more)"));
    let tricks = ask("/tricks").await;
    assert!(!tricks.to_string().contains(['\u{E0FE}', '\u{E0FF}']), "{tricks}");
    assert!(!tricks["body"].as_str().unwrap().contains('\u{1b}'), "{tricks}");
    assert!(!tricks.to_string().contains("s3cret"), "{tricks}");
    assert!(tricks["headers"]["x-long"].as_str().unwrap().len() < 300);
}

#[tokio::test]
async fn faults_repeat_what_the_server_says_but_no_credentials() {
    let server = MockServer::start().await;
    let html = status(400).set_body_raw("<html>a page</html>", "text/html");
    let echo = json!({"message": "token s3cret-token is not known", "other": 1});
    answers(&server, "POST", "/echo", status(400).set_body_json(echo)).await;
    answers(&server, "POST", "/html", html).await;
    answers(&server, "POST", "/long", status(400).set_body_string("so\nlong ".repeat(1000))).await;
    let config = serde_json::from_value(json!({ "allow": [server.uri()] })).unwrap();
    let action = named(runbook_web::http::actions(&config, &writing()), "http.request");
    let fault = |path: &'static str| {
        let (action, server) = (action.clone(), server.uri());
        async move {
            let input = json!({"method": "POST", "url": format!("{server}{path}"),
                               "headers": {"Authorization": "Bearer s3cret-token"}});
            let change = planned(action.as_ref(), &input).await;
            action.apply(&cx(), &change).await.unwrap_err()
        }
    };
    let echoed = fault("/echo").await;
    assert!(echoed.message.ends_with("answered 400 bad request: token *** is not known"), "{echoed}");
    let page = fault("/html").await;
    assert!(page.message.ends_with("answered 400 bad request"), "{page}");
    let long = fault("/long").await;
    assert!(long.message.len() < 400 && !long.message.contains('\n'), "{long}");
}

#[tokio::test]
async fn requests_say_who_asks() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/", status(200)).await;
    get(&[&server.uri()], json!({"url": server.uri()})).await.unwrap();
    let request = &server.received_requests().await.unwrap()[0];
    assert_eq!(request.headers["user-agent"], concat!("runbook/", env!("CARGO_PKG_VERSION")));
    assert!(!request.headers.contains_key("referer"));
}

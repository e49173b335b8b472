//! How often an address may try to come in, by a clock that is moved by hand.

use std::net::SocketAddr;

use axum::{body::Body, extract::ConnectInfo};
use http::{HeaderMap, Request, header};

use super::browser::{Answer, Room};

/// At once; then one more every three seconds.
const SIGN_INS: usize = 20;
/// At once; then one more every two seconds.
const FAILURES: usize = 100;

async fn ask(room: &Room, from: &str, path: &str, token: Option<&str>) -> (Answer, HeaderMap) {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let mut request = request.body(Body::empty()).unwrap();
    let from: SocketAddr = format!("{from}:1234").parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(from));
    room.send(request).await
}

/// The entries of the audit log about this.
async fn told(room: &Room) -> usize {
    let max = room.sign_in("max").await;
    max.get("/audit").await.text.matches("too many tries to come in").count()
}

#[tokio::test]
async fn an_address_may_try_to_sign_in_so_often() {
    for path in ["/login/ticket?ticket=guessed", "/login/begin", "/login/callback?code=x&state=y"] {
        let room = Room::new();
        for _ in 0..SIGN_INS {
            assert!(ask(&room, "192.0.2.1", path, None).await.0.status != 429, "{path}");
        }
        for _ in 0..5 {
            let (answer, headers) = ask(&room, "192.0.2.1", path, None).await;
            answer.is(429).shows("Too many tries to come in from this address");
            assert_eq!(headers[header::RETRY_AFTER], "3", "{path}");
        }
        // Nobody else is kept out, nor whoever only looks at the page.
        assert!(ask(&room, "192.0.2.2", path, None).await.0.status != 429);
        ask(&room, "192.0.2.1", "/login", None).await.0.is(200);
        assert_eq!(told(&room).await, 1, "the audit log is told once");

        room.pass(2);
        assert_eq!(ask(&room, "192.0.2.1", path, None).await.1[header::RETRY_AFTER], "1");
        room.pass(1);
        assert!(ask(&room, "192.0.2.1", path, None).await.0.status != 429);
        ask(&room, "192.0.2.1", path, None).await.0.is(429);
        assert_eq!(told(&room).await, 2);
    }
}

#[tokio::test]
async fn whoever_proves_nothing_is_heard_so_often() {
    let room = Room::new();
    let wrong = "rbk_0123456789abcdef_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for token in [Some(wrong), Some("nonsense"), None].iter().cycle().take(FAILURES) {
        ask(&room, "192.0.2.1", "/api/v1/runs", *token).await.0.is(401);
    }
    for token in [Some(wrong), None] {
        let (answer, headers) = ask(&room, "192.0.2.1", "/api/v1/runs", token).await;
        answer.is(429).shows("\"type\":\"too_many\"");
        assert_eq!(
            (&headers[header::RETRY_AFTER], &headers[header::CONTENT_TYPE]),
            (&"2".parse().unwrap(), &"application/problem+json".parse().unwrap())
        );
    }
    // A guess is one whatever it is made at.
    ask(&room, "192.0.2.1", "/runs", Some(wrong)).await.0.is(429);
    ask(&room, "192.0.2.1", "/runs", None).await.0.is(303);
    // Whoever is signed in there goes on.
    let ada = room.sign_in("ada").await;
    let mine = Request::get("/api/v1/runs").header(header::COOKIE, ada.cookie());
    let mut mine = mine.body(Body::empty()).unwrap();
    mine.extensions_mut().insert(ConnectInfo("192.0.2.1:1234".parse::<SocketAddr>().unwrap()));
    room.send(mine).await.0.is(200);
    ask(&room, "192.0.2.2", "/api/v1/runs", None).await.0.is(401);
    assert_eq!(told(&room).await, 1);
    room.pass(2);
    ask(&room, "192.0.2.1", "/api/v1/runs", None).await.0.is(401);
    ask(&room, "192.0.2.1", "/api/v1/runs", None).await.0.is(429);
}

//! Somebody in front of the pages, without a script.

use std::sync::Arc;

use axum::{Router, body::Body};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use runbook_core::{duration::Duration, event::RunId};
use runbook_engine::clock::Manual;
use tower::ServiceExt as _;

use super::fixture::Fixture;

pub struct Room {
    pub fixture: Fixture,
    pub clock: Manual,
    router: Router,
}

/// One browser, with the cookie of its session.
pub struct Browser<'r> {
    room: &'r Room,
    cookie: String,
    csrf: String,
}

/// What a browser got.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub location: String,
    pub text: String,
}

impl Room {
    pub fn new() -> Self {
        let clock = Manual::at("2026-11-21T03:00:00Z".parse().unwrap());
        let fixture = Fixture::new(Arc::new(clock.clone()), None, "http://runbook.example");
        let router = runbook_server::router(fixture.site.clone());
        Self { fixture, clock, router }
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub async fn sign_in(&self, name: &str) -> Browser<'_> {
        let link = self.fixture.ticket(name).await;
        let request = Request::get(link).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut browser = Browser { room: self, cookie, csrf: String::new() };
        let page = browser.get("/access").await.text;
        browser.csrf = between(&page, "name=\"csrf\" value=\"", "\"").to_owned();
        browser
    }

    pub async fn send(&self, request: Request<Body>) -> (Answer, http::HeaderMap) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let location = parts.headers.get(header::LOCATION).map_or("", |to| to.to_str().unwrap()).to_owned();
        (Answer { status: parts.status, location, text }, parts.headers)
    }

    /// An answer as it goes over the network.
    pub async fn sent(&self, request: Request<Body>) -> (Vec<u8>, http::HeaderMap) {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        (body.collect().await.unwrap().to_bytes().to_vec(), parts.headers)
    }

    /// A run that waits for somebody to approve that there are ten pods.
    pub async fn asking(&self) -> RunId {
        self.fixture.run("high-latency", "production", serde_json::json!({}), "rob").await
    }
}

impl Browser<'_> {
    /// What it sends along.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).header(header::COOKIE, &self.cookie).body(Body::empty()).unwrap();
        self.room.send(request).await.0
    }

    /// A stream of events.
    pub async fn listen(&self, path: &str) -> Body {
        let request = Request::get(path).header(header::COOKIE, &self.cookie).body(Body::empty()).unwrap();
        self.room.router.clone().oneshot(request).await.unwrap().into_body()
    }

    /// Sends a form as a page of ours does.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(path, &[&[("csrf", self.csrf.as_str())], fields].concat(), None).await
    }

    /// Sends a form as it is, from a page of some origin.
    pub async fn send(&self, path: &str, fields: &[(&str, &str)], origin: Option<&str>) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = Request::post(path)
            .header(header::COOKIE, &self.cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        self.room.send(request.body(Body::from(body)).unwrap()).await.0
    }
}

impl Answer {
    #[track_caller]
    pub fn shows(&self, text: &str) -> &Self {
        assert!(self.text.contains(text), "{} shows no {text:?}:\n{}", self.status, self.text);
        self
    }
    #[track_caller]
    pub fn hides(&self, text: &str) -> &Self {
        assert!(!self.text.contains(text), "{} shows {text:?}:\n{}", self.status, self.text);
        self
    }
    #[track_caller]
    pub fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{} {}", self.location, self.text);
        self
    }
}

/// What stands between two texts.
#[track_caller]
pub fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("there is no {start:?} in\n{text}"));
    rest.split_once(end).unwrap().0
}

//! Answers are sent small to whoever reads gzip: a page is mostly the same few words.
//!
//! The one secret that pages hold, the token of their forms, is another text on each page (`gate`), so
//! that its length beside what somebody else has written into a page tells nothing.

use std::io::Write as _;

use axum::{
    body::{Body, HttpBody as _, to_bytes},
    extract::Request,
    middleware::Next,
    response::Response,
};
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, header};

/// What is smaller gains nothing.
const SMALLEST: u64 = 1_024;
/// What is larger is packed where it holds up nobody else.
const LARGE: usize = 128 * 1024;
/// What is larger still goes as it is.
const LARGEST: u64 = 32 * 1024 * 1024;

/// Packs texts that are there whole; streams and what is packed already stay as they are.
pub async fn send(request: Request, next: Next) -> Response {
    let wanted = reads_gzip(request.headers());
    let mut response = next.run(request).await;
    let size = response.body().size_hint().exact().unwrap_or(0);
    if !is_text(response.headers()) || !(SMALLEST..=LARGEST).contains(&size) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if !wanted {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // It has been made: what cannot be read is cut off, as it would have been on its way.
    let Ok(whole) = to_bytes(body, usize::MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let packing = || {
        let whole = whole.clone();
        move || packed(&whole)
    };
    let packed = if whole.len() > LARGE {
        tokio::task::spawn_blocking(packing()).await.ok().flatten()
    } else {
        packing()()
    };
    let Some(packed) = packed else { return Response::from_parts(parts, Body::from(whole)) };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(parts, Body::from(packed))
}

fn packed(whole: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(whole.len() / 4), Compression::fast());
    encoder.write_all(whole).ok()?;
    encoder.finish().ok()
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_text = (kind.starts_with("text/") && kind != "text/event-stream")
        || kind.ends_with("json")
        || kind == "image/svg+xml";
    is_text && !headers.contains_key(header::CONTENT_ENCODING)
}

/// Whether gzip is among what is accepted, and not refused by a weight of zero.
fn reads_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && weight > 0.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_whoever_accepts_it() {
        for (accepted, expected) in [
            ("gzip", true),
            ("gzip, deflate, br, zstd", true),
            ("br;q=1.0, GZIP;q=0.8", true),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip;q=0.000, br", false),
            ("x-gzip", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            assert_eq!(reads_gzip(&headers), expected, "{accepted}");
        }
        assert!(!reads_gzip(&HeaderMap::new()));
    }

    #[test]
    fn streams_and_pictures_stay_as_they_are() {
        for (kind, expected) in [
            ("text/html; charset=utf-8", true),
            ("application/json", true),
            ("application/problem+json", true),
            ("image/svg+xml", true),
            ("text/event-stream", false),
            ("image/png", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            assert_eq!(is_text(&headers), expected, "{kind}");
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
            assert!(!is_text(&headers), "{kind}");
        }
    }
}

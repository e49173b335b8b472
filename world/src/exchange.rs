//! A request and its answer, free of any server: every simulated service is a function between them.

use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;

/// One request, its body already read and bounded.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub method: Method,
    pub path: String,
    pub query: Query,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The media type of the body, without its parameters.
    pub fn media_type(&self) -> String {
        let full = self.header(header::CONTENT_TYPE);
        full.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The token of the `Authorization` header, with or without `Bearer`.
    pub fn token(&self) -> &str {
        let full = self.header(header::AUTHORIZATION);
        full.strip_prefix("Bearer ").or_else(|| full.strip_prefix("bearer ")).unwrap_or(full).trim()
    }

    pub fn segments(&self) -> Vec<String> {
        self.path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect()
    }

    /// Whether this request means to change something, by its method.
    pub fn is_write(&self) -> bool {
        [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&self.method)
    }
}

/// Query parameters, or a form, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Self {
        let decode = |part: &str| {
            let spaced = part.replace('+', " ");
            percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(1_000);
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1" | ""))
    }

    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            content_type: "application/json",
            headers: HeaderMap::new(),
            body: body.to_string().into_bytes(),
        }
    }

    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            headers: HeaderMap::new(),
            body: body.into().into_bytes(),
        }
    }

    /// Adds a `Warning` header as the Kubernetes API writes it.
    #[must_use]
    pub fn warn(mut self, message: &str) -> Self {
        let plain: String = message.chars().filter(|c| !c.is_control()).take(1_000).collect();
        let quoted = plain.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            self.headers.append(header::WARNING, value);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("query=up%7Ba%3D%22b%22%7D&x=a+b&command=echo&command=hi&dry");
        assert_eq!(query.get("query"), Some("up{a=\"b\"}"));
        assert_eq!(query.get("x"), Some("a b"));
        assert_eq!(query.all("command").collect::<Vec<_>>(), ["echo", "hi"]);
        assert!(query.is_true("dry") && !query.is_true("absent"));
    }
}

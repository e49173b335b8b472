//! One bounded request after another: calls, answers, lists, all within one time limit.

use std::sync::Arc;

use futures::TryFutureExt as _;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jiff::Timestamp;
use kube::client::Body;
use runbook_contract::{Access, Cx, access::Intent};
use runbook_core::{Value, duration::Duration, fault::Fault};
use serde::de::DeserializeOwned;
use tokio::{sync::OnceCell, time::Instant};

use crate::{
    Config,
    connect::{self, Link},
    discover::Discovered,
    fault, guard,
    place::{Place, encoded},
};

/// The largest answer that is read: a page of 500 large pods stays well below it.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;
const LARGEST_ERROR: usize = 64 * 1024;
const PAGE: usize = 500;
/// How many objects a list is read up to; more are cut off and said so.
pub(crate) const MOST_LISTED: usize = 5_000;

pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(crate) const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
pub(crate) const APPLY_PATCH: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";
/// Names and labels only, where the server can leave the rest out.
const NAMES_ONLY: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// What all actions of one environment share: the configuration, the connection once it is made,
/// and what the cluster was found to serve.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) config: Config,
    access: Arc<Access>,
    link: OnceCell<Link>,
    pub(crate) discovered: Discovered,
}

impl Cluster {
    pub(crate) fn new(config: Config, access: Arc<Access>) -> Self {
        Self { config, access, link: OnceCell::new(), discovered: Discovered::default() }
    }

    /// Connects where nobody has yet. All requests of the session share the time of the call.
    pub(crate) async fn session(&self, cx: &Cx) -> Result<Session<'_>, Fault> {
        let deadline = Instant::now() + cx.timeout.as_std();
        let connecting = self.link.get_or_try_init(|| connect::connect(&self.config, &self.access));
        let link = match tokio::time::timeout_at(deadline, connecting).await {
            Ok(link) => link?,
            Err(_) => {
                return Err(Fault::refused("the credential program of the kubeconfig took too long")
                    .hint("run it by hand to see what it waits for"));
            }
        };
        Ok(Session { cluster: self, link, now: cx.now, deadline })
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    at: At,
    query: Vec<(&'static str, String)>,
    body: Option<(String, Value)>,
    accept: &'static str,
}

#[derive(Debug, Clone)]
enum At {
    Place(Place),
    Path(String),
}

impl Call {
    fn new(method: Method, at: At) -> Self {
        Self { method, at, query: Vec::new(), body: None, accept: JSON }
    }
    pub(crate) fn get(place: Place) -> Self {
        Self::new(Method::GET, At::Place(place))
    }
    /// Something that is not a resource, such as `/apis`.
    pub(crate) fn path(path: impl Into<String>) -> Self {
        Self::new(Method::GET, At::Path(path.into()))
    }
    pub(crate) fn patch(place: Place, kind: &str, body: Value) -> Self {
        Self { body: Some((kind.to_owned(), body)), ..Self::new(Method::PATCH, At::Place(place)) }
    }
    pub(crate) fn post(place: Place, body: Value) -> Self {
        Self { body: Some((JSON.to_owned(), body)), ..Self::new(Method::POST, At::Place(place)) }
    }
    pub(crate) fn delete(place: Place, options: Value) -> Self {
        Self { body: Some((JSON.to_owned(), options)), ..Self::new(Method::DELETE, At::Place(place)) }
    }
    #[must_use]
    pub(crate) fn with_body(mut self, body: Value) -> Self {
        self.body = self.body.map(|(kind, _)| (kind, body));
        self
    }
    #[must_use]
    pub(crate) fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }
    /// The server does everything but persist it. Of a DELETE with a body it would not look at the
    /// query, so there is none.
    #[must_use]
    pub(crate) fn dry(mut self) -> Self {
        if self.method == Method::DELETE {
            self.body = None;
        }
        self.query("dryRun", "All")
    }

    /// The object that it is about, whole.
    pub(crate) fn object(&self) -> Option<Place> {
        match &self.at {
            At::Place(place) => Some(Place { subresource: None, ..place.clone() }),
            At::Path(_) => None,
        }
    }

    /// Path and query.
    pub(crate) fn target(&self) -> Result<String, Fault> {
        let mut target = match &self.at {
            At::Place(place) => place.path()?,
            At::Path(path) => path.clone(),
        };
        for (i, (key, value)) in self.query.iter().enumerate() {
            target.push(if i == 0 { '?' } else { '&' });
            target.push_str(&format!("{key}={}", encoded(value)));
        }
        Ok(target)
    }

    fn request(&self) -> Result<Request<Body>, Fault> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.target()?)
            .header(header::ACCEPT, self.accept);
        let body = match &self.body {
            Some((kind, value)) => {
                request = request.header(header::CONTENT_TYPE, kind);
                value.to_string().into_bytes()
            }
            None => Vec::new(),
        };
        request.body(Body::from(body)).map_err(|_| Fault::permanent("the request could not be written"))
    }
}

/// What was asked, for messages about the answer.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) server: &'a str,
    pub(crate) intent: Intent,
    pub(crate) place: Option<&'a Place>,
    method: &'a Method,
}

impl<'a> Asked<'a> {
    pub(crate) fn to(server: &'a str, intent: Intent, place: &'a Place, method: &'a Method) -> Self {
        Self { server, intent, place: Some(place), method }
    }
    /// `patch deployments.apps `api` in namespace `shop``.
    pub(crate) fn what(&self) -> String {
        match self.place {
            Some(place) => format!("{} {place}", self.verb()),
            None => "see what the cluster serves".to_owned(),
        }
    }
    /// `` `patch` on `deployments.apps` in namespace `shop` ``: what a role would have to allow.
    pub(crate) fn right(&self) -> String {
        let Some(place) = self.place else { return "the right to see what the cluster serves".to_owned() };
        format!("`{}` on `{}` {}", self.verb(), place.resource_name(), self.scope())
    }
    pub(crate) fn scope(&self) -> String {
        match self.place.and_then(|place| place.namespace.as_ref()) {
            Some(namespace) => format!("in namespace `{namespace}`"),
            None => "in the whole cluster".to_owned(),
        }
    }
    fn verb(&self) -> &'static str {
        let named = self.place.is_some_and(|place| place.name.is_some());
        match self.method.as_str() {
            "GET" if named => "get",
            "GET" => "list",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" => "delete",
            _ => "use",
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) value: Value,
    /// What the server warned of: deprecations, admission warnings.
    pub(crate) warnings: Vec<String>,
}

/// A list, read page by page.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) items: Vec<Value>,
    /// There were more than are read.
    pub(crate) truncated: bool,
}

/// One call of an action: a connection and the time that is left.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) link: &'a Link,
    pub(crate) now: Timestamp,
    pub(crate) deadline: Instant,
}

impl Session<'_> {
    pub(crate) async fn send(&self, call: &Call) -> Result<Reply, Fault> {
        let (status, headers, body) = self.raw(call, LARGEST_ANSWER).await?;
        let asked = self.asked(call)?;
        let value = serde_json::from_slice(&body).map_err(|_| fault::unreadable(&asked, "is not JSON"))?;
        Ok(Reply { status, value, warnings: warnings_of(&headers) })
    }

    /// The answer as text, at most `limit` bytes of it.
    pub(crate) async fn text(&self, call: &Call, limit: usize) -> Result<String, Fault> {
        let (_, _, body) = self.raw(call, limit).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    pub(crate) async fn get(&self, place: Place) -> Result<Value, Fault> {
        Ok(self.send(&Call::get(place)).await?.value)
    }

    /// All objects of a collection that the selectors choose, up to a bound.
    pub(crate) async fn list(
        &self,
        place: &Place,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Listing, Fault> {
        let mut listing = Listing { items: Vec::new(), truncated: false };
        let mut next = String::new();
        loop {
            let mut call = Call::get(place.clone()).query("limit", PAGE.to_string());
            for (key, value) in [("labelSelector", labels), ("fieldSelector", fields)] {
                if let Some(value) = value.filter(|value| !value.is_empty()) {
                    call = call.query(key, value);
                }
            }
            if !next.is_empty() {
                call = call.query("continue", next);
            }
            let mut page = self.send(&call).await?.value;
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                listing.items.extend(items);
            }
            next = page.pointer("/metadata/continue").and_then(Value::as_str).unwrap_or_default().to_owned();
            if next.is_empty() || listing.items.len() >= MOST_LISTED {
                listing.truncated = !next.is_empty();
                return Ok(listing);
            }
        }
    }

    /// The names in a collection, the first page of them.
    pub(crate) async fn names(&self, place: &Place) -> Result<Vec<String>, Fault> {
        let mut call = Call::get(place.clone()).query("limit", PAGE.to_string());
        call.accept = NAMES_ONLY;
        let page = self.send(&call).await?.value;
        let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let names = items.iter().filter_map(|item| item.pointer("/metadata/name")?.as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// The whole URL of a call, as people read it in a plan.
    pub(crate) fn url(&self, call: &Call) -> Result<String, Fault> {
        Ok(format!("{}{}", self.link.server, call.target()?))
    }

    fn asked<'a>(&'a self, call: &'a Call) -> Result<Asked<'a>, Fault> {
        let uri: http::Uri =
            call.target()?.parse().map_err(|_| Fault::permanent("the request could not be written"))?;
        let place = match &call.at {
            At::Place(place) => Some(place),
            At::Path(_) => None,
        };
        let intent = guard::intent(&call.method, &uri, call.body.is_some(), &[]);
        Ok(Asked { server: &self.link.server, intent, place, method: &call.method })
    }

    async fn raw(&self, call: &Call, limit: usize) -> Result<(StatusCode, HeaderMap, Vec<u8>), Fault> {
        let asked = self.asked(call)?;
        let request = call.request()?;
        tracing::debug!(method = %call.method, what = asked.what(), "asking the cluster");
        let answer = self.link.client.send(request).map_err(|error| fault::transport(&error, &asked));
        let exchange = async {
            let answer = answer.await?;
            let status = answer.status();
            let failed = status.is_client_error() || status.is_server_error();
            let (head, body) =
                read(answer, if failed { LARGEST_ERROR } else { limit }).await.map_err(|why| {
                    if failed {
                        fault::answered(status, "", None, &asked)
                    } else {
                        fault::unreadable(&asked, why)
                    }
                })?;
            if failed {
                let wait = retry_after(&head.headers);
                return Err(fault::answered(status, &String::from_utf8_lossy(&body), wait, &asked));
            }
            Ok((status, head.headers, body))
        };
        match tokio::time::timeout_at(self.deadline, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(fault::timed_out(&asked)),
        }
    }
}

async fn read(
    answer: Response<Body>,
    limit: usize,
) -> Result<(http::response::Parts, Vec<u8>), &'static str> {
    let (head, body) = answer.into_parts();
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok((head, body.to_bytes().to_vec())),
        Err(error) if error.is::<LengthLimitError>() => Err("is larger than is read"),
        Err(_) => Err("broke off"),
    }
}

/// The objects of a list or an answer, as the part of them that is looked at. Fields that are
/// `null` count as absent.
pub(crate) fn parse<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    serde_json::from_value(without_nulls(value)).map_err(|error| {
        Fault::permanent(format!("the cluster sent an object of an unexpected form: {error}"))
    })
}

/// What an action kept of an observation, exactly as it kept it.
pub(crate) fn kept<T: DeserializeOwned>(state: &Value) -> Result<T, Fault> {
    serde_json::from_value(state.clone()).map_err(|_| {
        Fault::permanent("what was observed was kept by another version").hint("observe it anew")
    })
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        scalar => scalar,
    }
}

/// `Retry-After` in seconds; the API never sends a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(Duration::MAX))
}

const MOST_WARNINGS: usize = 10;
const LONGEST_WARNING: usize = 300;

/// The texts of `Warning: 299 - "text"` headers.
fn warnings_of(headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all(header::WARNING).iter().filter_map(|value| {
        let (_, quoted) = value.to_str().ok()?.split_once('"')?;
        let mut text = String::new();
        let mut rest = quoted.chars();
        while let Some(c) = rest.next() {
            match c {
                '"' => break,
                '\\' => text.extend(rest.next()),
                c => text.push(c),
            }
        }
        Some(text.chars().take(LONGEST_WARNING).collect())
    });
    texts.take(MOST_WARNINGS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_warning_headers() {
        let mut headers = HeaderMap::new();
        headers.append(header::WARNING, r#"299 - "policy/v1beta1 is deprecated""#.parse().unwrap());
        headers.append(
            header::WARNING,
            r#"299 - "say \"no\"" "Sat, 01 Jan 2022 00:00:00 GMT""#.parse().unwrap(),
        );
        headers.append(header::WARNING, "odd".parse().unwrap());
        assert_eq!(warnings_of(&headers), ["policy/v1beta1 is deprecated", "say \"no\""]);
    }

    #[test]
    fn writes_queries_that_cannot_be_broken_out_of() {
        let call =
            Call::get(Place::core("pods").within("shop")).query("labelSelector", "app=a,b in (c&d)").dry();
        assert_eq!(
            call.target().unwrap(),
            "/api/v1/namespaces/shop/pods?labelSelector=app%3Da,b%20in%20(c%26d)&dryRun=All"
        );
    }

    #[test]
    fn nulls_count_as_absent() {
        let value = serde_json::json!({"a": null, "b": [{"c": null, "d": 1}]});
        assert_eq!(without_nulls(value), serde_json::json!({"b": [{"d": 1}]}));
    }
}

//! The guard in the HTTP stack: every request asks [`Access`] before it leaves, whoever made it.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt as _, future::BoxFuture};
use http::{Method, Request};
use http_body::Body as _;
use kube::client::Body;
use percent_encoding::percent_decode_str;
use runbook_contract::{Access, access::Intent};
use runbook_core::fault::Fault;
use tower::{BoxError, Layer, Service};

/// Puts a [`Guarded`] around the stack that sends requests.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    access: Arc<Access>,
    read_only_exec: Arc<Vec<Vec<String>>>,
}

impl Guard {
    pub(crate) fn new(access: Arc<Access>, read_only_exec: Vec<Vec<String>>) -> Self {
        Self { access, read_only_exec: Arc::new(read_only_exec) }
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;
    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: self.clone(), inner }
    }
}

/// A refusal by the guard, on its way through the layers that only know boxed errors.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotAdmitted(pub(crate) Fault);

#[derive(Debug, Clone)]
pub(crate) struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let has_body = request.body().size_hint().exact() != Some(0);
        let intent = intent(request.method(), request.uri(), has_body, &self.guard.read_only_exec);
        match self.guard.access.admit(intent) {
            Ok(()) => self.inner.call(request).map(|sent| sent.map_err(Into::into)).boxed(),
            Err(fault) => futures::future::ready(Err(NotAdmitted(fault).into())).boxed(),
        }
    }
}

/// Subresources behind which anything may happen, whatever the method says.
const CONNECTING: [&str; 4] = ["exec", "attach", "portforward", "proxy"];

/// What a request is. The rules, in order: a connection into a pod, service or node is a write,
/// unless it runs a command that the environment lists as read-only; asking about one's own rights
/// is a read; what the server promises not to persist (`dryRun=All`) is a read, except a DELETE with
/// a body, for which the server looks into the body alone; else the method decides.
pub(crate) fn intent(
    method: &Method,
    uri: &http::Uri,
    has_body: bool,
    read_only_exec: &[Vec<String>],
) -> Intent {
    let query = uri.query().unwrap_or_default();
    if let Some(subresource) = connecting(uri.path()) {
        let harmless = subresource == "exec" && is_read_only(&values_of(query, "command"), read_only_exec);
        return if harmless { Intent::Read } else { Intent::Write };
    }
    let asks_for_rights = *method == Method::POST && uri.path().ends_with("/selfsubjectaccessreviews");
    let is_dry = values_of(query, "dryRun") == ["All"] && !(*method == Method::DELETE && has_body);
    if asks_for_rights || is_dry {
        return Intent::Read;
    }
    Intent::of_method(method)
}

/// Whether a command begins like one of the listed ones.
pub(crate) fn is_read_only(argv: &[String], listed: &[Vec<String>]) -> bool {
    listed.iter().any(|prefix| !prefix.is_empty() && argv.starts_with(prefix))
}

/// The connecting subresource that a path ends in:
/// `[api/V | apis/G/V]/[namespaces/N/]RESOURCE/NAME/SUBRESOURCE[/…]`.
fn connecting(path: &str) -> Option<&str> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match parts.next()? {
        "api" => parts.next()?,
        "apis" => parts.nth(1)?,
        _ => return None,
    };
    let parts: Vec<_> = parts.collect();
    let within = match parts.as_slice() {
        ["namespaces", _, within @ ..] if within.len() > 1 => within,
        all => all,
    };
    within.get(2).copied().filter(|subresource| CONNECTING.contains(subresource))
}

fn values_of(query: &str, key: &str) -> Vec<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let values = pairs.filter(|(name, _)| *name == key).map(|(_, value)| value.replace('+', " "));
    values.map(|value| percent_decode_str(&value).decode_utf8_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_reads_from_writes() {
        let pods = "/api/v1/namespaces/shop/pods";
        let listed = [vec!["redis-cli".to_owned(), "info".to_owned()], vec![]];
        for (method, uri, expected) in [
            ("GET", pods.to_owned(), Intent::Read),
            ("GET", format!("{pods}/exec"), Intent::Read),
            ("GET", format!("{pods}/exec/log"), Intent::Read),
            ("POST", pods.to_owned(), Intent::Write),
            ("POST", format!("{pods}?dryRun=All"), Intent::Read),
            ("POST", format!("{pods}?fieldManager=runbook&dryRun=All"), Intent::Read),
            ("POST", format!("{pods}?dryRun=Some"), Intent::Write),
            ("POST", format!("{pods}?notdryRun=All"), Intent::Write),
            ("POST", format!("{pods}?dryRun=All&dryRun=No"), Intent::Write),
            ("DELETE", format!("{pods}/api"), Intent::Write),
            ("DELETE", "/api/v1/namespaces/shop?dryRun=All".to_owned(), Intent::Read),
            ("PATCH", "/apis/apps/v1/namespaces/shop/deployments/api/scale".to_owned(), Intent::Write),
            ("PATCH", "/apis/apps/v1/namespaces/shop/deployments/api?dryRun=All".to_owned(), Intent::Read),
            ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned(), Intent::Read),
            ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews".to_owned(), Intent::Write),
            ("GET", format!("{pods}/api/exec?command=rm&command=-rf"), Intent::Write),
            ("GET", format!("{pods}/api/exec?command=redis-cli&command=info&stdout=true"), Intent::Read),
            ("GET", format!("{pods}/api/exec?command=redis-cli&command=flushall"), Intent::Write),
            ("GET", format!("{pods}/api/exec?command=redis-cli+info"), Intent::Write),
            ("POST", format!("{pods}/api/exec?command=rm&dryRun=All"), Intent::Write),
            ("GET", format!("{pods}/api/attach"), Intent::Write),
            ("GET", format!("{pods}/api/portforward"), Intent::Write),
            ("GET", format!("{pods}/api/proxy/admin/reset"), Intent::Write),
            ("GET", "/api/v1/namespaces/shop/services/api/proxy".to_owned(), Intent::Write),
            ("GET", "/api/v1/nodes/worker-1/proxy/logs".to_owned(), Intent::Write),
            ("GET", "/apis".to_owned(), Intent::Read),
        ] {
            let uri: http::Uri = uri.parse().unwrap();
            assert_eq!(intent(&method.parse().unwrap(), &uri, false, &listed), expected, "{method} {uri}");
        }
    }

    #[test]
    fn a_delete_with_a_body_is_dry_only_by_its_body() {
        let uri: http::Uri = "/api/v1/namespaces/shop/pods/api?dryRun=All".parse().unwrap();
        assert_eq!(intent(&Method::DELETE, &uri, true, &[]), Intent::Write);
        assert_eq!(intent(&Method::PATCH, &uri, true, &[]), Intent::Read);
    }
}

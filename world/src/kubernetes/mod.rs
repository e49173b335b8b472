//! The Kubernetes API: from a request to what it reads or changes.

pub(crate) mod access;
pub(crate) mod discovery;
pub(crate) mod exec;
pub(crate) mod failure;
pub(crate) mod logs;
pub(crate) mod objects;
pub(crate) mod patch;
pub(crate) mod protobuf;
pub(crate) mod reading;
pub(crate) mod resources;
pub(crate) mod selector;
pub(crate) mod table;
pub(crate) mod typed;
pub(crate) mod validate;
pub(crate) mod views;
pub(crate) mod watch;
pub(crate) mod writing;

use http::{Method, header};
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::error::WorldError;
use crate::exchange::{Answer, Request};
use crate::kubernetes::access::User;
use crate::kubernetes::failure::Failure;
use crate::kubernetes::resources::Resource;

/// What the server does with a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Answer),
    /// Tell changes as they come, from here on.
    Watch(watch::Watch),
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self::json(failure.code, &failure.status())
    }
}

impl From<WorldError> for Failure {
    fn from(error: WorldError) -> Self {
        Self::internal(error.to_string())
    }
}

/// A resource path, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub resource: &'static Resource,
    /// Absent: all namespaces, or a resource that has none.
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: String,
}

impl Target {
    pub fn parse(segments: &[&str]) -> Option<Self> {
        let (group, version, rest) = match segments {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..]
                if resources::find(group, version, plural).is_some() =>
            {
                (Some((*namespace).to_owned()), [&[*plural], rest].concat())
            }
            rest => (None, rest.to_vec()),
        };
        let (plural, name, subresource) = match rest[..] {
            [plural] => (plural, None, ""),
            [plural, name] => (plural, Some(name), ""),
            [plural, name, subresource] => (plural, Some(name), subresource),
            _ => return None,
        };
        let resource = resources::find(group, version, plural)?;
        let known =
            subresource.is_empty() || resource.subresources.iter().any(|(known, ..)| *known == subresource);
        let scoped = resource.namespaced || namespace.is_none();
        let named = name.is_none() || !resource.namespaced || namespace.is_some();
        (known && scoped && named).then(|| Self {
            resource,
            namespace,
            name: name.map(str::to_owned),
            subresource: subresource.to_owned(),
        })
    }

    pub fn space(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    pub fn named(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

pub(crate) fn respond(environment: &Environment, request: &Request) -> Outcome {
    match answer(environment, request) {
        Ok(outcome) => outcome,
        Err(failure) => Outcome::Answer(failure.into()),
    }
}

fn answer(environment: &Environment, request: &Request) -> Result<Outcome, Failure> {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let target = Target::parse(&segments);
    if counts_as_write(request, target.as_ref()) {
        environment.count_write();
    }
    // Health and version are open, as on a real server with its default roles.
    match segments[..] {
        ["healthz" | "livez" | "readyz", ..] => return Ok(Outcome::Answer(Answer::text(200, "ok"))),
        ["version"] => return Ok(Outcome::Answer(Answer::json(200, &discovery::version()))),
        _ => {}
    }
    let user = User::of_token(request.token()).ok_or_else(Failure::unauthorized)?;
    if let Some(document) = discovery::answer(&segments) {
        return Ok(Outcome::Answer(Answer::json(200, &document)));
    }
    let target = target.ok_or_else(Failure::no_such_path)?;
    let verb = verb(request, &target).ok_or_else(Failure::method_not_allowed)?;
    if !served(&target, verb) {
        return Err(Failure::method_not_allowed());
    }
    let Target { resource, subresource, .. } = &target;
    access::check(&environment.scenario, user, verb, resource, subresource, target.space(), target.named())?;
    if resource.group == "authorization.k8s.io" {
        let body = match request.media_type() == protobuf::MEDIA_TYPE {
            true => protobuf::review(resource.kind, &request.body)
                .ok_or_else(|| Failure::bad_request("the review cannot be decoded"))?,
            false => writing::parse(request)?,
        };
        let review = access::review(&environment.scenario, user, resource, &body);
        return Ok(Outcome::Answer(Answer::json(201, &review)));
    }
    match verb {
        "watch" => reading::watch(environment, request, &target).map(Outcome::Watch),
        "get" | "list" => reading::read(environment, request, &target).map(Outcome::Answer),
        _ => writing::write(environment, request, &target, verb).map(Outcome::Answer),
    }
}

/// The verb that the API's own access rules know for a request.
fn verb(request: &Request, target: &Target) -> Option<&'static str> {
    let one = target.name.is_some();
    Some(match request.method {
        Method::GET | Method::HEAD if request.query.is_true("watch") && !one => "watch",
        Method::GET | Method::HEAD if one => "get",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT if one => "update",
        Method::PATCH if one => "patch",
        Method::DELETE if one => "delete",
        Method::DELETE => "deletecollection",
        _ => return None,
    })
}

fn served(target: &Target, verb: &str) -> bool {
    if target.subresource.is_empty() {
        return target.resource.allows(verb) && (verb != "create" || target.name.is_none());
    }
    let known = target.resource.subresources.iter().find(|(name, ..)| *name == target.subresource);
    known.is_some_and(|(_, _, verbs)| verbs.contains(&verb))
}

/// Dry runs and questions about access change nothing and are not counted.
fn counts_as_write(request: &Request, target: Option<&Target>) -> bool {
    let review = target.is_some_and(|target| target.resource.group == "authorization.k8s.io");
    let exec = target.is_some_and(|target| target.subresource == "exec");
    request.is_write() && !review && !exec && !is_dry_run(request)
}

/// `dryRun=All`, as a parameter or among the options that a deletion carries in its body.
pub(crate) fn is_dry_run(request: &Request) -> bool {
    let in_body = || {
        request.method == Method::DELETE
            && serde_json::from_slice::<Value>(&request.body)
                .is_ok_and(|options| options["dryRun"] == json!(["All"]))
    };
    request.query.all("dryRun").any(|value| value == "All") || in_body()
}

/// Whether the client asks for a table, as kubectl does for people.
pub(crate) fn wants_table(request: &Request) -> bool {
    request.header(header::ACCEPT).contains("as=Table")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        type Parts<'a> = (&'a str, Option<&'a str>, Option<&'a str>, &'a str);
        let cases: [(&str, Option<Parts<'_>>); 11] = [
            ("api/v1/pods", Some(("Pod", None, None, ""))),
            ("api/v1/namespaces", Some(("Namespace", None, None, ""))),
            ("api/v1/namespaces/production", Some(("Namespace", None, Some("production"), ""))),
            ("api/v1/namespaces/production/pods/a/log", Some(("Pod", Some("production"), Some("a"), "log"))),
            (
                "apis/apps/v1/namespaces/p/deployments/api/scale",
                Some(("Deployment", Some("p"), Some("api"), "scale")),
            ),
            ("apis/metrics.k8s.io/v1beta1/nodes", Some(("NodeMetrics", None, None, ""))),
            ("apis/apps/v1/deployments/api", None),
            ("apis/apps/v1/namespaces/p/deployments/api/other", None),
            ("api/v1/namespaces/p/nodes", None),
            ("apis/apps/v2/deployments", None),
            ("metrics", None),
        ];
        for (path, expected) in cases {
            let segments: Vec<&str> = path.split('/').collect();
            let target = Target::parse(&segments);
            let told = target.as_ref().map(|t| {
                (t.resource.kind, t.namespace.as_deref(), t.name.as_deref(), t.subresource.as_str())
            });
            assert_eq!(told, expected, "{path}");
        }
    }
}

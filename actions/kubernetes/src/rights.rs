//! What the user of the kubeconfig may do, as the cluster itself says.

use futures::future::join_all;
use runbook_contract::Obstacle;
use runbook_core::{Value, fault::FaultKind, spec::Permission};
use serde_json::json;

use crate::{
    client::{Call, Session},
    place::Place,
};

const MOST_REVIEWS: usize = 24;
const MERGE_PATCH: &str = "application/merge-patch+json";
/// Kinds that no namespace holds.
const CLUSTER_WIDE: [&str; 2] = ["nodes", "namespaces"];

/// One obstacle for every right that is missing. What cannot be asked is said, and blocks nothing.
pub(crate) async fn missing(
    session: &Session<'_>,
    needed: &[Permission],
    namespace: Option<&str>,
    name: Option<&str>,
) -> Vec<Obstacle> {
    let needed = needed.iter().filter_map(|permission| match permission {
        Permission::Rbac { group, resource, verbs } => {
            Some(verbs.iter().map(move |verb| (group, resource, verb)))
        }
        Permission::Iam(_) | Permission::Other(_) => None,
    });
    let reviews = needed.flatten().take(MOST_REVIEWS).map(|(group, resource, verb)| {
        let namespace = namespace.filter(|_| !CLUSTER_WIDE.contains(&resource.as_str()));
        // Lists and creations are not about one object, so a right on that object alone is no help.
        let name = name.filter(|_| !matches!(verb.as_str(), "list" | "create"));
        review(session, group, resource, verb, namespace, name)
    });
    join_all(reviews).await.into_iter().flatten().collect()
}

async fn review(
    session: &Session<'_>,
    group: &str,
    resource: &str,
    verb: &str,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Option<Obstacle> {
    let (kind, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let question = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "namespace": namespace.unwrap_or_default(), "verb": verb, "group": group, "resource": kind,
            "subresource": subresource, "name": name.unwrap_or_default(),
        }},
    });
    let place = Place::of("authorization.k8s.io", "v1", "selfsubjectaccessreviews");
    let scope =
        namespace.map_or("the whole cluster".to_owned(), |namespace| format!("namespace `{namespace}`"));
    let full = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    match session.send(&Call::post(place, question).dry()).await {
        Ok(answer) if answer.value.pointer("/status/allowed").and_then(Value::as_bool) == Some(true) => None,
        Ok(_) => Some(lacking(verb, &full, &scope)),
        Err(fault) => match tried(session, group, resource, verb, namespace, name).await {
            Tried::Allowed => None,
            Tried::Forbidden => Some(lacking(verb, &full, &scope)),
            Tried::Untold => Some(Obstacle {
                blocking: false,
                code: "rbac".to_owned(),
                message: format!("whether you may `{verb}` {full} in {scope} could not be asked: {fault}"),
                hint: None,
            }),
        },
    }
}

fn lacking(verb: &str, full: &str, scope: &str) -> Obstacle {
    Obstacle {
        blocking: true,
        code: "rbac".to_owned(),
        message: format!("you may not `{verb}` {full} in {scope}"),
        hint: Some(format!("ask for a role with `{verb}` on `{full}` in {scope}")),
    }
}

enum Tried {
    Allowed,
    Forbidden,
    Untold,
}

/// Where a cluster does not answer reviews, the right shows in whether it takes a request that needs
/// it: a read, or an empty patch that is not persisted. Rights are checked before anything else.
async fn tried(
    session: &Session<'_>,
    group: &str,
    resource: &str,
    verb: &str,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Tried {
    let version = if matches!(group, "" | "apps") { "v1" } else { return Tried::Untold };
    let (kind, of_scale) = match resource.split_once('/') {
        None => (resource, false),
        Some((kind, "scale")) => (kind, true),
        Some(_) => return Tried::Untold,
    };
    let mut place = Place::of(group, version, kind);
    if let Some(namespace) = namespace {
        place = place.within(namespace);
    }
    if let (Some(name), true) = (name, verb != "list") {
        place = place.named(name);
    }
    if of_scale {
        place = place.sub("scale");
    }
    let call = match (verb, name) {
        ("list", _) => Call::get(place).query("limit", "1"),
        ("get", Some(_)) => Call::get(place),
        ("patch", Some(_)) => Call::patch(place, MERGE_PATCH, json!({})).dry(),
        _ => return Tried::Untold,
    };
    match session.send(&call).await {
        Ok(_) => Tried::Allowed,
        Err(fault) if fault.kind == FaultKind::Forbidden => Tried::Forbidden,
        Err(fault) if matches!(fault.kind, FaultKind::NotFound | FaultKind::Permanent) => Tried::Allowed,
        Err(_) => Tried::Untold,
    }
}

//! What there is: versions, groups, resources, and as much OpenAPI as kubectl asks for.

use serde_json::{Value, json};

use crate::kubernetes::resources::{RESOURCES, Resource, groups};

/// Tells at a glance that this is no real cluster.
pub(crate) const VERSION: &str = "v1.33.0+simulated";

pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": VERSION, "gitCommit": "simulated", "gitTreeState": "simulated",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": "simulated/loopback",
    })
}

/// Answers discovery paths; none for all others.
pub(crate) fn answer(segments: &[&str]) -> Option<Value> {
    match segments {
        ["version"] => Some(version()),
        ["api"] => Some(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1" }],
        })),
        ["api", "v1"] => Some(resources("", "v1")),
        ["apis"] => {
            let all: Vec<Value> =
                groups().iter().map(|(group, version)| self::group(group, version)).collect();
            Some(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": all }))
        }
        ["apis", wanted] => groups().iter().find(|(name, _)| name == wanted).map(|(name, version)| {
            let mut one = group(name, version);
            one["kind"] = json!("APIGroup");
            one["apiVersion"] = json!("v1");
            one
        }),
        ["apis", wanted, version] if groups().contains(&(wanted, version)) => {
            Some(resources(wanted, version))
        }
        ["openapi", "v3"] => Some(openapi_index()),
        ["openapi", "v3", "api", "v1"] => Some(openapi("", "v1")),
        ["openapi", "v3", "apis", wanted, version] if groups().contains(&(wanted, version)) => {
            Some(openapi(wanted, version))
        }
        _ => None,
    }
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    json!({ "name": name, "versions": [version], "preferredVersion": version })
}

fn resources(group: &str, version: &str) -> Value {
    let mut list = Vec::new();
    for resource in of(group, version) {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": resource.verbs,
        });
        if !resource.short.is_empty() {
            entry["shortNames"] = json!(resource.short);
        }
        if resource.in_all {
            entry["categories"] = json!(["all"]);
        }
        list.push(entry);
        for (name, kind, verbs) in resource.subresources {
            let mut entry = json!({
                "name": format!("{}/{name}", resource.plural), "singularName": "", "namespaced": resource.namespaced,
                "kind": kind, "verbs": verbs,
            });
            if let Some((group, version)) = foreign(kind) {
                entry["group"] = json!(group);
                entry["version"] = json!(version);
            }
            list.push(entry);
        }
    }
    let name = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": list })
}

/// The group of a subresource's kind, where it is not that of its resource.
fn foreign(kind: &str) -> Option<(&'static str, &'static str)> {
    match kind {
        "Scale" => Some(("autoscaling", "v1")),
        "Eviction" => Some(("policy", "v1")),
        _ => None,
    }
}

fn of<'a>(group: &'a str, version: &'a str) -> impl Iterator<Item = &'static Resource> + 'a {
    RESOURCES.iter().filter(move |r| r.group == group && r.version == version)
}

fn openapi_index() -> Value {
    let mut paths = json!({ "api/v1": { "serverRelativeURL": "/openapi/v3/api/v1" } });
    for (group, version) in groups() {
        let path = format!("apis/{group}/{version}");
        paths[&path] = json!({ "serverRelativeURL": format!("/openapi/v3/{path}") });
    }
    json!({ "paths": paths })
}

/// Just enough for clients to see that dry run and field validation are served.
fn openapi(group: &str, version: &str) -> Value {
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
        .iter()
        .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } }))
        .collect();
    let (mut paths, mut schemas) = (json!({}), json!({}));
    for resource in of(group, version) {
        let gvk = json!({ "group": group, "version": version, "kind": resource.kind });
        let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        let operation = |action: &str| {
            json!({
                "parameters": parameters, "responses": { "200": { "description": "OK" } },
                "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk,
            })
        };
        let mut one = json!({});
        for (verb, method) in [("patch", "patch"), ("update", "put"), ("delete", "delete")] {
            if resource.allows(verb) {
                one[method] = operation(if method == "put" { "put" } else { verb });
            }
        }
        paths[format!("{root}{scope}/{}/{{name}}", resource.plural)] = one;
        if resource.allows("create") {
            paths[format!("{root}{scope}/{}", resource.plural)] = json!({ "post": operation("post") });
        }
        schemas[format!("simulated.{version}.{}", resource.kind)] = json!({
            "type": "object", "x-kubernetes-group-version-kind": [gvk], "x-kubernetes-preserve-unknown-fields": true,
        });
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes (simulated)", "version": VERSION },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

//! Create, update, patch and delete, and the subresources that change something.

use http::header;
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::exchange::{Answer, Request};
use crate::kubernetes::failure::{Failure, Flaw};
use crate::kubernetes::objects::{self, Change};
use crate::kubernetes::reading::{Filter, get};
use crate::kubernetes::views::{View, deployments};
use crate::kubernetes::{Target, is_dry_run, patch, resources, table, wants_table};
use crate::names;
use crate::state::{State, text};
use crate::time::Seconds;

/// The body of a request, as JSON or as YAML.
pub(crate) fn parse(request: &Request) -> Result<Value, Failure> {
    let bad = |error: String| Failure::bad_request(format!("the object provided is unrecognized: {error}"));
    let value: Value = match request.media_type().as_str() {
        "" | "application/json" => {
            serde_json::from_slice(&request.body).map_err(|error| bad(error.to_string()))?
        }
        "application/yaml" | patch::APPLY => {
            let text = std::str::from_utf8(&request.body).map_err(|error| bad(error.to_string()))?;
            serde_yaml::from_str(text).map_err(|error| bad(error.to_string()))?
        }
        other => {
            return Err(Failure::unsupported_media_type(other, "application/json, application/yaml"));
        }
    };
    if value.is_object() { Ok(value) } else { Err(bad("not an object".into())) }
}

pub(crate) fn write(
    environment: &Environment,
    request: &Request,
    target: &Target,
    verb: &str,
) -> Result<Answer, Failure> {
    if let Some(other) = request.query.all("dryRun").find(|value| *value != "All") {
        return Err(Failure::bad_request(format!("Invalid value: {other:?}: supported values: \"All\"")));
    }
    match (target.resource.plural, target.subresource.as_str(), verb) {
        ("deployments", "scale", _) => scale(environment, request, target, verb),
        ("pods", "eviction", "create") => evict(environment, request, target),
        ("pods", "exec", _) => {
            Err(Failure::bad_request("exec needs a connection that is upgraded to a WebSocket"))
        }
        ("pods", "", "delete") => delete_pods(environment, request, target),
        (_, "", "deletecollection") => delete_all(environment, request, target),
        (_, "", "delete") => delete(environment, request, target),
        (_, "", "create") => create(environment, request, target),
        (_, "", "update" | "patch") => change(environment, request, target, verb),
        _ => Err(Failure::method_not_allowed()),
    }
}

/// Who a request says it comes from, for the ownership of fields.
fn manager(request: &Request) -> String {
    let named = request.query.get("fieldManager").filter(|name| !name.is_empty());
    let agent = request.header(header::USER_AGENT).split('/').next().unwrap_or_default();
    named.unwrap_or(if agent.is_empty() { "unknown" } else { agent }).chars().take(128).collect()
}

fn change_of<'a>(request: &Request, target: &'a Target, name: &'a str, now: Seconds) -> Change<'a> {
    Change {
        resource: target.resource,
        namespace: target.space(),
        name,
        manager: manager(request),
        subresource: &target.subresource,
        strict: request.query.get("fieldValidation") == Some("Strict"),
        dry_run: is_dry_run(request),
        now,
    }
}

/// Shows what a write has made: the object, in the form that the client asked for.
fn shown(
    view: &View<'_>,
    request: &Request,
    target: &Target,
    name: &str,
    status: u16,
    warnings: &[String],
) -> Answer {
    let object = view.get(target.resource, target.space(), name).unwrap_or_default();
    let body = if wants_table(request) { table::of(view, target.resource, &[object], "") } else { object };
    let silent = request.query.get("fieldValidation") == Some("Ignore");
    let told = warnings.iter().filter(|_| !silent);
    told.fold(Answer::json(status, &body), |answer, warning| answer.warn(warning))
}

fn create(environment: &Environment, request: &Request, target: &Target) -> Result<Answer, Failure> {
    let mut object = parse(request)?;
    let prefix = text(&object, "/metadata/generateName").to_owned();
    let mut name = text(&object, "/metadata/name").to_owned();
    if name.is_empty() && prefix.is_empty() {
        let flaw = Flaw::required("metadata.name", "name or generateName is required");
        return Err(Failure::invalid(target.resource, "", &[flaw]));
    }
    let change = |state: &mut State, now: Seconds| {
        known_namespace(state, target)?;
        if name.is_empty() {
            name = format!("{prefix}{}", names::suffix(&format!("{prefix}{}", state.counter), 5));
            object["metadata"]["name"] = json!(name);
        }
        let warnings = objects::create(state, &change_of(request, target, &name, now), object)?;
        Ok((name, warnings))
    };
    environment.change(is_dry_run(request), change, |view, (name, warnings)| {
        shown(view, request, target, &name, 201, &warnings)
    })
}

fn known_namespace(state: &State, target: &Target) -> Result<(), Failure> {
    let Some(namespace) = target.namespace.as_deref() else {
        return if target.resource.namespaced { Err(Failure::no_such_path()) } else { Ok(()) };
    };
    let spaces = resources::by_kind("Namespace").ok_or_else(Failure::no_such_path)?;
    match state.object("namespaces", "", namespace) {
        Some(_) => Ok(()),
        None => Err(Failure::not_found(spaces, namespace)),
    }
}

fn change(
    environment: &Environment,
    request: &Request,
    target: &Target,
    verb: &str,
) -> Result<Answer, Failure> {
    let name = target.named();
    let media_type = request.media_type();
    let scenario = &environment.scenario;
    let change = |state: &mut State, now: Seconds| {
        let change = change_of(request, target, name, now);
        if verb == "update" {
            let object = parse(request)?;
            return objects::replace(state, &change, object).map(|warnings| (200, warnings));
        }
        if media_type == patch::APPLY {
            known_namespace(state, target)?;
            if request.query.get("fieldManager").is_none_or(str::is_empty) {
                let flaw = Flaw::required("fieldManager", "is required for apply patch");
                return Err(Failure::invalid(target.resource, name, &[flaw]));
            }
            let force = request.query.is_true("force");
            let (made, warnings) = objects::apply(state, &change, &parse(request)?, force)?;
            return Ok((if made { 201 } else { 200 }, warnings));
        }
        let present = get(&View::new(scenario, state, now), target)?;
        objects::patch(state, &change, &present, &media_type, &request.body).map(|warnings| (200, warnings))
    };
    environment.change(is_dry_run(request), change, |view, (status, warnings)| {
        shown(view, request, target, name, status, &warnings)
    })
}

/// The `scale` subresource: only the number of replicas can be changed through it.
fn scale(
    environment: &Environment,
    request: &Request,
    target: &Target,
    verb: &str,
) -> Result<Answer, Failure> {
    let scenario = &environment.scenario;
    let change = |state: &mut State, now: Seconds| {
        let present = get(&View::new(scenario, state, now), target)?;
        let before = deployments::scale(&present);
        let wanted = match verb {
            "update" => parse(request)?,
            _ => patch::patched(target.resource, &before, &request.media_type(), &request.body)?,
        };
        let replicas = match &wanted["spec"]["replicas"] {
            Value::Null => json!(0),
            number if number.is_i64() => number.clone(),
            other => {
                return Err(Failure::bad_request(format!(
                    "Scale in version \"v1\" cannot be handled as a Scale: {other} is no number of replicas"
                )));
            }
        };
        let mut object = present.clone();
        object["spec"]["replicas"] = replicas;
        object["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"].clone();
        objects::replace(state, &change_of(request, target, target.named(), now), object)
    };
    environment.change(is_dry_run(request), change, |view, _| {
        let object = view.get(target.resource, target.space(), target.named()).unwrap_or_default();
        Answer::json(200, &deployments::scale(&object))
    })
}

fn options(request: &Request) -> Result<Value, Failure> {
    if request.body.is_empty() { Ok(json!({})) } else { parse(request) }
}

fn delete(environment: &Environment, request: &Request, target: &Target) -> Result<Answer, Failure> {
    let options = options(request)?;
    let change = |state: &mut State, now: Seconds| {
        objects::delete(state, &change_of(request, target, target.named(), now), &options)
    };
    environment.change(is_dry_run(request), change, |_, old| Answer::json(200, &deleted(target, &old)))
}

fn deleted(target: &Target, old: &Value) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {
            "name": target.named(), "group": target.resource.group, "kind": target.resource.plural,
            "uid": old["metadata"]["uid"],
        },
    })
}

/// Pods end at once; their replica set makes others.
fn delete_pods(environment: &Environment, request: &Request, target: &Target) -> Result<Answer, Failure> {
    let options = options(request)?;
    let scenario = &environment.scenario;
    let change = |state: &mut State, now: Seconds| {
        let present = get(&View::new(scenario, state, now), target)?;
        let wanted = &options["preconditions"]["uid"];
        if wanted.is_string() && *wanted != present["metadata"]["uid"] {
            return Err(Failure::conflict(
                target.resource,
                target.named(),
                "the UID in the precondition does not match",
            ));
        }
        end_pods(state, now, |pod| pod.namespace == target.space() && pod.name == target.named());
        Ok(present)
    };
    environment.change(is_dry_run(request), change, |_, pod| Answer::json(200, &pod))
}

fn end_pods(state: &mut State, now: Seconds, which: impl Fn(&crate::state::Pod) -> bool) {
    state.stamp();
    for pod in state.pods.iter_mut().filter(|pod| which(pod)) {
        pod.gone = Some(now);
    }
}

/// A polite deletion: refused where a disruption budget has nothing left.
fn evict(environment: &Environment, request: &Request, target: &Target) -> Result<Answer, Failure> {
    let scenario = &environment.scenario;
    let change = |state: &mut State, now: Seconds| {
        let view = View::new(scenario, state, now);
        let pod = get(&view, target)?;
        let budgets = resources::by_kind("PodDisruptionBudget").ok_or_else(Failure::no_such_path)?;
        let in_the_way = view.list(budgets, Some(target.space())).into_iter().find(|budget| {
            let selector = crate::kubernetes::selector::Labels::of_object(&budget["spec"]["selector"]);
            selector.matches(&pod["metadata"]["labels"]) && budget["status"]["disruptionsAllowed"] == 0
        });
        if let Some(budget) = in_the_way {
            let message = "Cannot evict pod as it would violate the pod's disruption budget.".to_owned();
            let details = json!({ "causes": [{ "reason": "DisruptionBudget", "message": format!("The disruption budget {} has nothing left", text(&budget, "/metadata/name")) }] });
            return Err(Failure { code: 429, reason: "TooManyRequests", message, details });
        }
        end_pods(state, now, |pod| pod.namespace == target.space() && pod.name == target.named());
        Ok(())
    };
    let success =
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
    environment.change(is_dry_run(request), change, |_, ()| Answer::json(201, &success))
}

fn delete_all(environment: &Environment, request: &Request, target: &Target) -> Result<Answer, Failure> {
    if target.namespace.is_none() && target.resource.namespaced {
        return Err(Failure::method_not_allowed());
    }
    let filter = Filter::parse(&request.query)?;
    let scenario = &environment.scenario;
    let change = |state: &mut State, now: Seconds| {
        let doomed = filter.select(&View::new(scenario, state, now), target);
        for object in &doomed {
            let name = text(object, "/metadata/name");
            if target.resource.plural == "pods" {
                end_pods(state, now, |pod| pod.namespace == target.space() && pod.name == name);
            } else {
                objects::delete(state, &change_of(request, target, name, now), &json!({}))?;
            }
        }
        Ok::<_, Failure>(doomed)
    };
    environment.change(is_dry_run(request), change, |view, doomed| {
        let kind = format!("{}List", target.resource.kind);
        Answer::json(
            200,
            &json!({
                "kind": kind, "apiVersion": target.resource.api_version(),
                "metadata": { "resourceVersion": view.version().to_string() }, "items": doomed,
            }),
        )
    })
}

//! Get and list, as objects, lists or tables.

use serde_json::{Value, json};

use crate::environment::Environment;
use crate::exchange::{Answer, Query, Request};
use crate::kubernetes::failure::Failure;
use crate::kubernetes::selector::{Fields, Labels};
use crate::kubernetes::views::{View, deployments};
use crate::kubernetes::watch::Watch;
use crate::kubernetes::{Target, logs, table, wants_table};
use crate::state::text;

pub(crate) fn read(environment: &Environment, request: &Request, target: &Target) -> Result<Answer, Failure> {
    match (&target.name, target.subresource.as_str()) {
        (Some(_), "log") => environment.look(|view| logs::answer(view, request, target))?,
        (Some(_), "exec") => {
            Err(Failure::bad_request("exec needs a connection that is upgraded to a WebSocket"))
        }
        (Some(name), subresource) => environment.look(|view| {
            let object = get(view, target)?;
            if subresource == "scale" {
                return Ok(Answer::json(200, &deployments::scale(&object)));
            }
            Ok(if wants_table(request) {
                Answer::json(200, &table::of(view, target.resource, &[object], ""))
            } else {
                tracing::trace!(kind = target.resource.kind, %name, "read from the simulated cluster");
                Answer::json(200, &object)
            })
        })?,
        (None, _) => {
            let filter = Filter::parse(&request.query)?;
            environment.look(|view| list(view, request, target, &filter))?
        }
    }
}

/// The object that a path names, as it is seen now.
pub(crate) fn get(view: &View<'_>, target: &Target) -> Result<Value, Failure> {
    view.get(target.resource, target.space(), target.named())
        .ok_or_else(|| Failure::not_found(target.resource, target.named()))
}

/// Which objects of a kind a client wants.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    labels: Labels,
    fields: Fields,
}

impl Filter {
    pub fn parse(query: &Query) -> Result<Self, Failure> {
        Ok(Self {
            labels: Labels::parse(query.get("labelSelector").unwrap_or_default())?,
            fields: Fields::parse(query.get("fieldSelector").unwrap_or_default())?,
        })
    }

    pub fn select(&self, view: &View<'_>, target: &Target) -> Vec<Value> {
        let mut found = view.list(target.resource, target.namespace.as_deref());
        found.retain(|object| {
            self.labels.matches(&object["metadata"]["labels"]) && self.fields.matches(object)
        });
        found
    }
}

fn list(view: &View<'_>, request: &Request, target: &Target, filter: &Filter) -> Result<Answer, Failure> {
    let found = filter.select(view, target);
    // The token that continues a list is the number of items that came before.
    let start = match request.query.get("continue").filter(|token| !token.is_empty()) {
        Some(token) => {
            token.parse::<usize>().map_err(|_| Failure::bad_request("continue key is not valid"))?
        }
        None => 0,
    };
    let limit = request.query.number::<usize>("limit").filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let page: Vec<Value> = found.iter().skip(start).take(limit).cloned().collect();
    let end = start.saturating_add(page.len());
    let mut metadata = json!({ "resourceVersion": view.version().to_string() });
    if end < found.len() {
        metadata["continue"] = json!(end.to_string());
        metadata["remainingItemCount"] = json!(found.len() - end);
    }
    if wants_table(request) {
        let include = request.query.get("includeObject").unwrap_or_default();
        let mut shown = table::of(view, target.resource, &page, include);
        shown["metadata"] = metadata;
        return Ok(Answer::json(200, &shown));
    }
    Ok(Answer::json(
        200,
        &json!({
            "kind": format!("{}List", target.resource.kind),
            "apiVersion": target.resource.api_version(),
            "metadata": metadata,
            "items": page,
        }),
    ))
}

/// Begins a watch: what the client knows is everything up to the version that it names.
pub(crate) fn watch(environment: &Environment, request: &Request, target: &Target) -> Result<Watch, Failure> {
    let filter = Filter::parse(&request.query)?;
    if request.query.get("sendInitialEvents") == Some("true") {
        // Clients that ask for this fall back to a list when they are told that it is not served.
        let message = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return Err(Failure { code: 422, reason: "Invalid", message: message.into(), details: json!({}) });
    }
    let known: Option<u64> = request.query.number("resourceVersion").filter(|version| *version > 0);
    let seconds = request.query.number("timeoutSeconds").unwrap_or(crate::kubernetes::watch::LONGEST);
    let table = wants_table(request);
    let include = request.query.get("includeObject").unwrap_or_default().to_owned();
    environment
        .look(|view| {
            let present = filter.select(view, target);
            let told = present
                .into_iter()
                .filter(|object| {
                    known.is_some_and(|known| {
                        text(object, "/metadata/resourceVersion").parse().is_ok_and(|at: u64| at <= known)
                    })
                })
                .collect();
            Watch::new(target.clone(), filter.clone(), told, seconds, table.then_some(include))
        })
        .map_err(Failure::from)
}

//! The services themselves: their health, and an answer from their front page.

use http::Method;
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::exchange::{Answer, Request};
use crate::kubernetes::views::View;
use crate::model::latency;
use crate::scenario::{Outside, Workload};
use crate::state::Segment;

/// From here on a service is not merely worse, it is down.
const DOWN: f64 = 0.5;
/// From here on it says that it is degraded.
const DEGRADED_ERRORS: f64 = 0.01;
const DEGRADED_P95: f64 = 1.0;

/// Answers what comes after `/services`.
pub(crate) fn respond(environment: &Environment, request: &Request, path: &[&str]) -> Answer {
    if request.is_write() {
        environment.count_write();
    }
    let answer = environment.look(|view| {
        let known = |name: &str| {
            view.model.scenario.workloads.iter().find(|w| w.name == name && w.traffic.is_some())
        };
        match path {
            [] => {
                let names: Vec<&str> = view.model.scenario.workloads.iter().filter(|w| w.traffic.is_some()).map(|w| w.name.as_str()).collect();
                Answer::json(200, &json!({ "simulated": true, "services": names }))
            }
            [name, "health"] if outside(view, name).is_some() => foreign(outside(view, name)),
            [name, rest @ ..] => match known(name) {
                Some(workload) if matches!(rest, [] | ["health" | "healthz" | "ready"]) => {
                    if request.method == Method::GET || request.method == Method::HEAD {
                        service(view, workload, !rest.is_empty())
                    } else {
                        Answer::json(405, &json!({ "error": "only GET is served here" }))
                    }
                }
                Some(_) => Answer::json(404, &json!({ "error": "there is no such page" })),
                None => Answer::json(404, &json!({ "error": format!("no simulated service is named {}", name.chars().take(80).collect::<String>()) })),
            },
        }
    });
    answer.unwrap_or_else(|error| Answer::json(500, &json!({ "error": error.to_string() })))
}

fn outside<'a>(view: &View<'a>, name: &str) -> Option<&'a Outside> {
    view.model.scenario.outside.iter().find(|outside| outside.name == name)
}

/// The health page of somebody else.
fn foreign(of: Option<&Outside>) -> Answer {
    match of.and_then(|of| of.trouble.as_ref()) {
        Some(trouble) => {
            Answer::json(503, &json!({ "status": "unavailable", "simulated": true, "reasons": [trouble] }))
        }
        None => Answer::json(200, &json!({ "status": "ok", "simulated": true })),
    }
}

fn service(view: &View<'_>, workload: &Workload, health: bool) -> Answer {
    let conditions = view.model.conditions(&workload.namespace, &workload.name, view.now);
    let errors = conditions.errors_500 + conditions.errors_503;
    let p95 = latency::quantile(&conditions.latency, 0.95);
    let reasons = reasons(view, workload, &conditions);
    if conditions.ready == 0 || errors >= DOWN {
        let body = json!({ "status": "unavailable", "simulated": true, "service": workload.name, "reasons": reasons });
        return Answer::json(503, &body);
    }
    if !health {
        // Times are told, not taken: nobody has to wait for a simulation.
        let body = json!({ "service": workload.name, "simulated": true, "took_seconds": latency::quantile(&conditions.latency, 0.5) });
        return Answer::json(200, &body);
    }
    let degraded = errors >= DEGRADED_ERRORS || p95 >= DEGRADED_P95;
    Answer::json(
        200,
        &json!({
            "status": if degraded { "degraded" } else { "ok" },
            "simulated": true,
            "service": workload.name,
            "ready": conditions.ready,
            "desired": conditions.desired,
            "error_ratio": errors,
            "p95_seconds": p95,
            "reasons": if degraded { json!(reasons) } else { json!([]) },
        }),
    )
}

fn reasons(view: &View<'_>, workload: &Workload, conditions: &Segment) -> Vec<Value> {
    let mut told: Vec<Value> = Vec::new();
    if conditions.ready < conditions.desired {
        told.push(json!(format!("{} of {} pods are ready", conditions.ready, conditions.desired)));
    }
    let ready = usize::try_from(conditions.ready).unwrap_or(usize::MAX);
    for pod in
        view.pods().filter(|pod| pod.namespace == workload.namespace && pod.deployment == workload.name)
    {
        for (cause, _) in view.model.acting(workload, pod, view.now, ready) {
            let reason = json!(cause.reason);
            if !told.contains(&reason) {
                told.push(reason);
            }
        }
    }
    told
}

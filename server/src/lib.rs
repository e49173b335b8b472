//! The HTTP server: hooks, the API, pages, live updates and what operators need.
//!
//! The way of a request: a request id, limits on time and size, who it is (`gate`), whether they may
//! (`rules`: one table, every route in it), then its handler. Everything that is refused says why as
//! `application/problem+json`, and is written to the audit log where it was refused to somebody.

mod api;
mod audit;
mod device;
mod gate;
mod herald;
mod hooks;
mod once;
mod ops;
mod origin;
mod pages;
mod problem;
mod project;
mod rules;
mod shelf;
mod site;
mod slack;
mod small;
mod sweep;
mod throttle;
pub mod tls;
mod ways;

use std::sync::{Arc, LazyLock};

use axum::{Router, middleware};
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

pub use crate::{
    device::Waiting,
    herald::Herald,
    hooks::{Hook, deliver},
    ops::Counters,
    pages::login::ticket_id,
    problem::Problem,
    project::{EnvironmentFacts, Finding, Project, Readiness, Reloaded, RunbookFacts},
    shelf::{Ticket, Token},
    site::{Settings, Site},
    sweep::{Retention, Sweeper},
    throttle::Limits,
    ways::{Open, Ways},
};

/// How long an answer may take; streams of events begin within it and then last.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(30);

/// All routes over a site.
pub fn router(site: Arc<Site>) -> Router {
    let (api, _) = api::routes().split_for_parts();
    let inside = Router::new()
        .merge(api)
        .merge(api::description_route())
        .merge(pages::routes())
        .merge(ops::routes())
        .merge(hooks::routes())
        .merge(slack::routes())
        .merge(device::routes())
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::wrong_method);
    inside
        .layer(middleware::from_fn_with_state(site.clone(), once::keep))
        .layer(middleware::from_fn_with_state(site.clone(), gate::enter))
        .layer(middleware::from_fn_with_state(site.clone(), pages::in_words))
        .layer(TimeoutLayer::with_status_code(http::StatusCode::SERVICE_UNAVAILABLE, LONGEST))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(middleware::from_fn(small::send))
        // Around all of it: what took too long or panicked is counted and has an id too.
        .layer(middleware::from_fn_with_state(site.clone(), ops::observe))
        .with_state(site)
}

/// The API's description, as the code has it; made when somebody first asks.
pub fn description() -> &'static OpenApi {
    static DESCRIPTION: LazyLock<OpenApi> = LazyLock::new(|| {
        let whole = OpenApiRouter::<Arc<Site>>::with_openapi(api::description()).merge(api::routes());
        whole.into_openapi()
    });
    &DESCRIPTION
}

//! The API, version 1. Its description is generated from this code.

pub mod access;
pub mod alerts;
pub mod approvals;
mod documents;
mod events;
pub mod incidents;
pub mod page;
mod problems;
pub mod runbooks;
pub mod runs;
mod schemas;

use std::sync::Arc;

use axum::{Json, Router, routing::get};
use utoipa::{
    OpenApi,
    openapi::{
        OpenApi as Description,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{problem::Problem, site::Site};

pub use self::problems::{ReadProblems, WriteProblems};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "runbook",
        description = "Incident runbooks: runs, approvals, incidents, alerts. Every error is `application/problem+json`. \
                       A POST with an `Idempotency-Key` is done once, however often it is sent.",
    ),
    components(schemas(Problem)),
    security(("token" = [])),
)]
struct Api;

pub fn description() -> Description {
    let mut description = Api::openapi();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("rbk_…").build();
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
    components.schemas.extend(documents::all());
    components.responses.extend(problems::all().map(|(name, response)| (name, response.into())));
    description
}

pub fn routes() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::new()
        .routes(routes!(access::me))
        .routes(routes!(access::tokens, access::mint))
        .routes(routes!(access::revoke))
        .routes(routes!(access::audit))
        .routes(routes!(runbooks::environments))
        .routes(routes!(runbooks::list))
        .routes(routes!(runbooks::one))
        .routes(routes!(runbooks::readiness))
        .routes(routes!(runbooks::reload))
        .routes(routes!(runs::list, runs::start))
        .routes(routes!(runs::one))
        .routes(routes!(runs::timeline))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::undo))
        .routes(routes!(events::of_run))
        .routes(routes!(events::of_all))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::approve))
        .routes(routes!(approvals::reject))
        .routes(routes!(approvals::delegate))
        .routes(routes!(approvals::answer))
        .routes(routes!(incidents::list, incidents::declare))
        .routes(routes!(incidents::one, incidents::say))
        .routes(routes!(incidents::timeline))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::one))
}

pub fn description_route() -> Router<Arc<Site>> {
    Router::new().route("/api/v1/openapi.json", get(async || Json(crate::description())))
}

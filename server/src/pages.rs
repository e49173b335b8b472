//! Pages, rendered here: they work without a script, for reading and for acting, and are live with it.

mod access;
mod alerts;
mod answer;
mod approvals;
mod approve;
mod assets;
mod audit;
mod change;
mod ending;
mod forms;
mod graph;
mod incidents;
mod layout;
pub mod login;
mod overview;
mod run;
mod runbooks;
mod runs;
mod start;
mod steps;
mod told;
mod words;

use std::sync::Arc;

use axum::Router;

use crate::site::Site;

pub use self::told::in_words;

pub fn routes() -> Router<Arc<Site>> {
    [
        assets::routes(),
        login::routes(),
        overview::routes(),
        incidents::routes(),
        runs::routes(),
        run::routes(),
        ending::routes(),
        approvals::routes(),
        approve::routes(),
        answer::routes(),
        runbooks::routes(),
        start::routes(),
        alerts::routes(),
        access::routes(),
        audit::routes(),
    ]
    .into_iter()
    .fold(Router::new(), Router::merge)
}

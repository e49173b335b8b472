//! Pages, rendered here: they work without a script for reading, and are live with it.

mod layout;
pub mod login;

use std::sync::Arc;

use axum::Router;

use crate::site::Site;

pub fn routes() -> Router<Arc<Site>> {
    Router::new().merge(login::routes())
}

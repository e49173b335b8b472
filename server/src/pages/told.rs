//! Problems on pages: in words, with what to do next.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use maud::{Markup, html};

use super::{
    layout::{Here, page},
    words::prose,
};
use crate::{gate::Caller, problem::Problem, site::Site};

/// Where programs ask: they are told in JSON.
const PROGRAMS: [&str; 6] = ["/api/", "/hooks/", "/login/device", "/healthz", "/readyz", "/metrics"];

/// A problem as a part of a page.
pub fn notice(problem: &Problem) -> Markup {
    html! {
        div.notice.bad role="alert" {
            p { strong { (first_upper(problem.title)) "." } " " (sentence(&problem.detail)) }
            @if let Some(hint) = &problem.hint { p { (sentence(hint)) } }
        }
    }
}

/// A page that shows a problem, with its status.
pub fn with_problem(page: Markup, problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, page).into_response();
    problem.say_when(response.headers_mut());
    if let Some(refused) = problem.refused() {
        response.extensions_mut().insert(refused);
    }
    response
}

/// What cannot be shown at all is told as a page too, unless a program asks.
pub async fn in_words(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let for_program = PROGRAMS.iter().any(|place| path.starts_with(place));
    let problem = response.extensions().get::<Problem>().cloned();
    match problem.filter(|_| !for_program) {
        Some(problem) => {
            let caller = response.extensions().get::<Caller>();
            with_problem(alone(&site, caller, &problem), &problem)
        }
        None => response,
    }
}

fn alone(site: &Site, caller: Option<&Caller>, problem: &Problem) -> Markup {
    let content = html! {
        h1 { (first_upper(problem.title)) }
        p {
            // A name is written as its owner writes it.
            @if caller.is_some_and(|caller| problem.detail.starts_with(&format!("{} ", caller.identity.name))) {
                (prose(&problem.detail)) "."
            } @else { (sentence(&problem.detail)) }
        }
        @if let Some(hint) = &problem.hint { p { (sentence(hint)) } }
        p {
            @if problem.status == 401 { a.button href="/login" { "Sign in" } }
            @else { a.button href="/" { "To the overview" } }
        }
    };
    page(site, caller, Here::Outside, &first_upper(problem.title), &content)
}

/// A fragment as a sentence.
fn sentence(fragment: &str) -> Markup {
    html! { (prose(&first_upper(fragment))) "." }
}

/// As a sentence begins.
pub fn first_upper(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

//! Which problems an operation may answer with, for the description: those of reading, and those that a
//! request meets besides that is to change something.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, ToSchema as _,
    openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder},
};

use crate::problem::Problem;

/// What may come of a question.
#[derive(Debug)]
pub struct ReadProblems;

/// What may come of a request that is to change something.
#[derive(Debug)]
pub struct WriteProblems;

/// A name, the status, what it means.
type About = (&'static str, &'static str, &'static str);

const READ: [About; 7] = [
    ("Unreadable", "400", "The request cannot be read."),
    ("Unauthenticated", "401", "Nobody is signed in, or the token is not good."),
    ("NotAllowed", "403", "The caller may not do that."),
    ("NotFound", "404", "There is no such thing, or none that the caller sees."),
    ("Invalid", "422", "The request cannot be taken as it is."),
    ("Internal", "500", "Something went wrong in the server; its log says what."),
    ("Unavailable", "503", "Not now: the store, or what the server asks, does not answer."),
];
const WRITE: [About; 2] = [
    ("Conflict", "409", "That cannot be done now, or what it is about has changed."),
    ("TooLarge", "413", "The body is too large."),
];

/// All of them, once, for operations to refer to.
pub fn all() -> impl Iterator<Item = (String, Response)> {
    READ.into_iter().chain(WRITE).map(|(name, _, about)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
        let answer = ResponseBuilder::new().description(about).content("application/problem+json", content);
        (name.to_owned(), answer.build())
    })
}

fn named(problems: impl IntoIterator<Item = About>) -> BTreeMap<String, RefOr<Response>> {
    let refers = |(name, status, _): About| (status.to_owned(), Ref::from_response_name(name).into());
    problems.into_iter().map(refers).collect()
}

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(READ)
    }
}

impl IntoResponses for WriteProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(READ.into_iter().chain(WRITE))
    }
}

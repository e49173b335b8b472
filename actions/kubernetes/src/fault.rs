//! What went wrong, from the server's answer or the lack of one, told apart by what may be done next.

use std::error::Error as _;

use http::StatusCode;
use kube::{client::AuthError, core::Status};
use runbook_contract::{access::Intent, text};
use runbook_core::{duration::Duration, fault::Fault};

use crate::{client::Asked, connect, guard::NotAdmitted, place::Place};

const MOST_CAUSES: usize = 5;
const LONGEST_MESSAGE: usize = 600;

/// No answer: the connection could not be made, or was lost.
pub(crate) fn transport(error: &kube::Error, asked: &Asked<'_>) -> Fault {
    if let Some(NotAdmitted(fault)) = within(error) {
        return fault.clone();
    }
    if let Some(error) = within::<AuthError>(error) {
        return connect::credentials(error);
    }
    let connecting =
        within::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect());
    let why = root_cause(error);
    let server = asked.server;
    match (connecting, asked.intent) {
        (true, Intent::Read) => Fault::unreachable(format!("could not connect to {server}: {why}"))
            .hint("check the network, the VPN and the address in the kubeconfig"),
        (true, Intent::Write) => {
            Fault::refused(format!("could not connect to {server}, nothing was sent: {why}"))
                .hint("check the network, the VPN and the address in the kubeconfig")
        }
        (false, Intent::Read) => Fault::unreachable(format!("the connection to {server} was lost: {why}")),
        (false, Intent::Write) => Fault::unknown(format!(
            "the connection to {server} was lost after the request to {} was sent: {why}",
            asked.what()
        )),
    }
}

/// The time of the call was up.
pub(crate) fn timed_out(asked: &Asked<'_>) -> Fault {
    let message = format!("no answer from {} in time to the request to {}", asked.server, asked.what());
    match asked.intent {
        Intent::Read => Fault::unreachable(message),
        Intent::Write => Fault::unknown(message),
    }
}

/// The answer could not be used. A write was taken, but nobody can tell what became of it.
pub(crate) fn unreadable(asked: &Asked<'_>, why: &str) -> Fault {
    let message = format!("the answer of {} to the request to {} {why}", asked.server, asked.what());
    match asked.intent {
        Intent::Read => Fault::permanent(message),
        Intent::Write => Fault::unknown(message),
    }
}

/// A command could not be started in a container. A refusal by the server came before it.
pub(crate) fn exec(error: &kube::Error, server: &str) -> Fault {
    let place = Place::core("pods").sub("exec");
    let asked = Asked::to(server, Intent::Write, &place, &http::Method::POST);
    match error {
        kube::Error::Api(status) => {
            let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let body = serde_json::to_string(status).unwrap_or_default();
            answered(code, &body, None, &asked)
        }
        kube::Error::UpgradeConnection(error) => {
            Fault::permanent(format!("{server} does not let commands be run: {error}"))
        }
        error => transport(error, &asked),
    }
}

const UNTYPED: &str = "failed to create typed patch object";

/// The server answered with an error. `body` is what it said, in full or in part.
pub(crate) fn answered(code: StatusCode, body: &str, wait: Option<Duration>, asked: &Asked<'_>) -> Fault {
    let status = serde_json::from_str::<Status>(body).ok().filter(|status| !status.message.is_empty());
    let from_the_api = status.is_some();
    let status = status.unwrap_or_else(|| Status::failure(body.trim(), ""));
    let said = clip(&status.message);
    let fault = match code {
        StatusCode::UNAUTHORIZED => {
            Fault::forbidden(format!("{} does not accept the credentials of the kubeconfig", asked.server))
                .hint("log in again, or renew the token or certificate in the kubeconfig")
        }
        StatusCode::FORBIDDEN => forbidden(&status, said, asked),
        StatusCode::NOT_FOUND => not_found(&status, said, asked),
        StatusCode::CONFLICT => conflict(&status, said),
        StatusCode::TOO_MANY_REQUESTS => Fault::refused(format!("{} is too busy: {said}", asked.server)),
        // A proxy's own page may hide a request that did reach the API; the API's word, or a time
        // to come back at, does not.
        StatusCode::SERVICE_UNAVAILABLE if from_the_api || wait.is_some() || asked.intent == Intent::Read => {
            Fault::refused(format!("{} is not available now: {said}", asked.server))
        }
        StatusCode::GONE => Fault::refused(format!("the list changed while it was read: {said}")),
        // Older servers call an applied object that does not fit its schema a failure of their own.
        StatusCode::INTERNAL_SERVER_ERROR if from_the_api && said.starts_with(UNTYPED) => {
            Fault::permanent(said).hint("the object does not fit the schema of its kind")
        }
        code if code.is_server_error() => match asked.intent {
            Intent::Read => Fault::unreachable(format!("{} failed ({code}): {said}", asked.server)),
            Intent::Write => Fault::unknown(format!(
                "{} failed ({code}) on the request to {}: {said}",
                asked.server,
                asked.what()
            )),
        },
        _ => Fault::permanent(with_causes(&status, said)),
    };
    match wait {
        Some(wait) => fault.retry_after(wait),
        None => fault,
    }
}

/// `403` is said by the authorizer, and by admission rules and quotas, which no role helps against.
fn forbidden(status: &Status, said: String, asked: &Asked<'_>) -> Fault {
    // Making an object by applying it needs one more right, whose lack is said without a word.
    if let (Some(place), true) = (asked.place, said.trim_end().ends_with("is forbidden:")) {
        let scope = asked.scope();
        let what = format!("`create` {} {scope}", place.resource_name());
        return Fault::forbidden(format!("you may not {what}"))
            .hint(format!("ask for a role with `create` on `{}` {scope}", place.resource_name()));
    }
    if !said.contains(" cannot ") && !said.contains("access denied") {
        return Fault::permanent(with_causes(status, said))
            .hint("a rule of the cluster (admission, quota) does not allow it");
    }
    Fault::forbidden(said).hint(format!("ask for a role with {}", asked.right()))
}

fn not_found(status: &Status, said: String, asked: &Asked<'_>) -> Fault {
    let is_about_an_object = status.details.as_ref().is_some_and(|details| !details.name.is_empty());
    match asked.place {
        Some(place) if is_about_an_object && place.name.is_some() => {
            Fault::not_found(format!("there is no {place}"))
        }
        Some(place) if !is_about_an_object => Fault::not_found(format!(
            "{} does not serve {}/{} {}",
            asked.server, place.group, place.version, place.resource
        ))
        .hint("what serves it is not installed in this cluster, or in another version"),
        _ => Fault::not_found(said),
    }
}

fn conflict(status: &Status, said: String) -> Fault {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let owned_by_others = causes.iter().any(|cause| cause.reason == "FieldManagerConflict");
    let said = with_causes(status, said);
    if owned_by_others {
        // Planning anew would meet the same owner.
        return Fault::permanent(said).hint("`force: true` takes these fields over from their owner");
    }
    Fault::conflict(said)
}

fn with_causes(status: &Status, said: String) -> String {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    // The message of an invalid object lists its causes already.
    let missing = causes.iter().filter(|cause| !said.contains(cause.message.as_str()));
    let listed: Vec<_> =
        missing.take(MOST_CAUSES).map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    if listed.is_empty() { said } else { format!("{said} ({})", clip(&listed.join("; "))) }
}

/// The first error of the wanted type in the chain of sources.
fn within<E: std::error::Error + 'static>(error: &kube::Error) -> Option<&E> {
    chain(error).find_map(|error| error.downcast_ref::<E>())
}

const DEEPEST_CHAIN: usize = 16;

fn chain(error: &kube::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |&error| error.source()).take(DEEPEST_CHAIN)
}

fn root_cause(error: &kube::Error) -> String {
    match chain(error).last() {
        Some(cause) if error.source().is_some() => clip(&cause.to_string()),
        _ => "no reason given".to_owned(),
    }
}

/// One line, bounded and harmless.
fn clip(said: &str) -> String {
    text::line(said, LONGEST_MESSAGE)
}

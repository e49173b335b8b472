//! What an answer, or none, means for the engine. The line that matters runs between "nothing
//! happened" and "nobody can tell": only the first may be sent again without looking.

use std::{error::Error, time::SystemTime};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use jiff::{Timestamp, fmt::rfc2822};
use runbook_contract::{Obstacle, access::Intent};
use runbook_core::{duration::Duration, fault::Fault};

/// A request that got no answer. `to` names the server; the error's own URL is never shown.
pub(crate) fn of_transport(intent: Intent, to: &str, error: &reqwest::Error) -> Fault {
    if error.is_builder() {
        return Fault::permanent(format!("the request to {to} could not be built: {}", cause(error)));
    }
    if error.is_connect() {
        let message = format!("{to} could not be reached: {}", cause(error));
        let fault = match intent {
            Intent::Read => Fault::unreachable(message),
            Intent::Write => Fault::refused(message),
        };
        return fault.hint("nothing was sent; check the address, the network and the certificate");
    }
    let what = if error.is_timeout() {
        format!("{to} did not answer in time")
    } else {
        format!("the connection to {to} broke off: {}", cause(error))
    };
    match intent {
        Intent::Read => Fault::unreachable(what),
        Intent::Write => unsettled(what),
    }
}

/// An answer that is not a success. `said` is what the server says about it, bounded and clean.
pub(crate) fn of_status(
    intent: Intent,
    to: &str,
    status: StatusCode,
    headers: &HeaderMap,
    said: &str,
) -> Fault {
    let reason = status.canonical_reason().unwrap_or("an unknown status").to_lowercase();
    let colon = if said.is_empty() { "" } else { ": " };
    let message = format!("{to} answered {} {reason}{colon}{said}", status.as_u16());
    let wait = retry_after(headers, SystemTime::now());
    match (status.as_u16(), intent) {
        (401, _) => Fault::forbidden(message)
            .hint("check the token of this environment: is it set, is it still valid?"),
        (403, _) => Fault::forbidden(message).hint("the credentials are known but lack the right to do this"),
        (404, _) => Fault::not_found(message).hint("check the address and the name"),
        (409 | 412, _) => Fault::conflict(message),
        // 408: the server gave up before it had the whole request; 425: it did not look at it.
        (408 | 425 | 429, _) => waiting(Fault::refused(message), wait),
        // Only a server that says when to come back has surely done nothing. A bare 503 is also
        // what a proxy answers when it lost its upstream in the middle.
        (503, Intent::Write) if wait.is_some() => waiting(Fault::refused(message), wait),
        (500..=599, Intent::Read) => waiting(Fault::unreachable(message), wait),
        (500..=599, Intent::Write) => unsettled(message),
        // "See other" is how many services answer a form that they did take.
        (302 | 303, Intent::Write) => unsettled(message),
        (300..=399, _) => Fault::permanent(message)
            .hint("redirects are only followed for reads, three at most; give the final address"),
        _ => Fault::permanent(message),
    }
}

fn unsettled(message: String) -> Fault {
    Fault::unknown(message).hint("look whether it took effect before it is sent again")
}

fn waiting(fault: Fault, wait: Option<Duration>) -> Fault {
    match wait {
        Some(wait) => fault.retry_after(wait),
        None => fault,
    }
}

/// What a failed look says before a run about the run.
pub(crate) fn obstacle(fault: Fault) -> Obstacle {
    Obstacle::of(fault, "forbidden")
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(std::time::Duration::from_secs(seconds).into());
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::between(Timestamp::try_from(now).ok()?, at))
}

/// The innermost reason: "connection refused", "invalid peer certificate: UnknownIssuer".
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn Error = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    // An error without a source is reqwest's own, and may show its URL.
    if std::ptr::addr_eq(inner, error) {
        return "no reason was given".to_owned();
    }
    let text = inner.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use runbook_core::fault::FaultKind;

    use super::*;

    fn kind(status: u16, intent: Intent, wait: Option<&'static str>) -> (FaultKind, Option<f64>) {
        let mut headers = HeaderMap::new();
        if let Some(wait) = wait {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(wait));
        }
        let fault = of_status(intent, "x", StatusCode::from_u16(status).unwrap(), &headers, "");
        (fault.kind, fault.retry_after.map(Duration::as_secs_f64))
    }

    #[test]
    fn every_status_says_what_may_be_done_next() {
        use FaultKind::{Conflict, Forbidden, NotFound, Permanent, Refused, Unknown, Unreachable};
        for (status, wait, read, write) in [
            (400, None, Permanent, Permanent),
            (401, None, Forbidden, Forbidden),
            (403, None, Forbidden, Forbidden),
            (404, None, NotFound, NotFound),
            (408, None, Refused, Refused),
            (409, None, Conflict, Conflict),
            (412, None, Conflict, Conflict),
            (422, None, Permanent, Permanent),
            (425, None, Refused, Refused),
            (429, None, Refused, Refused),
            (429, Some("7"), Refused, Refused),
            (500, None, Unreachable, Unknown),
            (502, None, Unreachable, Unknown),
            (503, None, Unreachable, Unknown),
            (503, Some("7"), Unreachable, Refused),
            (504, None, Unreachable, Unknown),
            (301, None, Permanent, Permanent),
            (302, None, Permanent, Unknown),
            (303, None, Permanent, Unknown),
            (307, None, Permanent, Permanent),
        ] {
            let seconds = wait.map(|_| 7.0);
            assert_eq!(kind(status, Intent::Read, wait), (read, seconds), "read {status}");
            assert_eq!(kind(status, Intent::Write, wait).0, write, "write {status}");
        }
    }

    #[test]
    fn the_servers_wait_is_read_in_both_forms() {
        let now = SystemTime::from(Timestamp::from_second(784_111_770).unwrap());
        for (text, seconds) in [
            ("120", Some(120.0)),
            (" 5 ", Some(5.0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7.0)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0.0)),
            ("99999999999999999999", None),
            ("18446744073709551615", Some(Duration::MAX.as_secs_f64())),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers, now).map(Duration::as_secs_f64), seconds, "{text}");
        }
    }
}

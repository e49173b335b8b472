//! What went wrong, from AWS's answer or the lack of one, told apart by what may be done next.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{DispatchFailure, SdkError},
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use runbook_contract::Obstacle;
use runbook_contract::{access::Intent, text};
use runbook_core::fault::{Fault, FaultKind};

use crate::guard::{NotAdmitted, Operation};

const LONGEST_MESSAGE: usize = 600;

/// What an error of the SDK means.
pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>, operation: Operation) -> Fault
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    if let Some(NotAdmitted(fault)) = within(error) {
        return fault.clone();
    }
    match error {
        // An answer that cannot be read is an error without a code.
        SdkError::ServiceError(answer)
            if answer.raw().status().as_u16() < 400 && answer.err().code().is_none() =>
        {
            unreadable(operation)
        }
        SdkError::ServiceError(answer) => {
            let (code, said) = (answer.err().code(), answer.err().message());
            answered(code, said, answer.raw().status().as_u16(), operation)
        }
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            if status >= 400 { answered(None, None, status, operation) } else { unreadable(operation) }
        }
        SdkError::DispatchFailure(failure) => transport(failure, error, operation),
        SdkError::TimeoutError(_) => timed_out(operation),
        SdkError::ConstructionFailure(_) => Fault::permanent(format!(
            "the request {} could not be written: {}",
            operation.name,
            root_cause(error)
        )),
        _ => lost(operation, &root_cause(error)),
    }
}

/// The time of the call was up.
pub(crate) fn timed_out(operation: Operation) -> Fault {
    let message = format!("no answer from {} in time to {}", called(operation), operation.name);
    match operation.intent() {
        Intent::Read => Fault::unreachable(message),
        Intent::Write => Fault::unknown(message),
    }
}

/// A fault as something that stands in the way.
pub(crate) fn obstacle(fault: Fault) -> Obstacle {
    Obstacle::of(fault, "iam")
}

/// No answer: there were no credentials, the connection could not be made, or was lost.
fn transport(failure: &DispatchFailure, error: &(dyn Error + 'static), operation: Operation) -> Fault {
    if let Some(error) = within::<CredentialsError>(error) {
        return credentials(error);
    }
    let connecting =
        within::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect());
    if connecting {
        let message = format!("could not connect to {}: {}", called(operation), root_cause(error));
        let hint = "check the network, the VPN, `aws.region` and `aws.endpoint_url`";
        return match operation.intent() {
            Intent::Read => Fault::unreachable(message).hint(hint),
            Intent::Write => Fault::refused(format!("{message}; nothing was sent")).hint(hint),
        };
    }
    if failure.is_user() {
        return Fault::permanent(format!("the request {} could not be written", operation.name));
    }
    lost(operation, &root_cause(error))
}

fn lost(operation: Operation, why: &str) -> Fault {
    match operation.intent() {
        Intent::Read => {
            Fault::unreachable(format!("the connection to {} was lost: {why}", called(operation)))
        }
        Intent::Write => Fault::unknown(format!(
            "the connection to {} was lost after {} was sent: {why}",
            called(operation),
            operation.name
        )),
    }
}

/// The answer could not be used. A write was taken, but nobody can tell what became of it.
fn unreadable(operation: Operation) -> Fault {
    let message = format!("the answer of {} to {} cannot be read", called(operation), operation.name);
    match operation.intent() {
        Intent::Read => {
            Fault::permanent(message).hint("check `aws.endpoint_url`; something else may answer there")
        }
        Intent::Write => Fault::unknown(message),
    }
}

/// What the provider of credentials says may quote the files and programs that it read: only the
/// kind of failure is told.
fn credentials(error: &CredentialsError) -> Fault {
    let why = match error {
        CredentialsError::CredentialsNotLoaded(_) => "none were found",
        CredentialsError::ProviderTimedOut(_) => "their source did not answer in time",
        CredentialsError::InvalidConfiguration(_) => "their configuration is not valid",
        CredentialsError::ProviderError(_) => "their source refused or failed",
        _ => "their source failed",
    };
    Fault::forbidden(format!("there are no credentials for AWS: {why}"))
        .hint("`aws sts get-caller-identity` with the same profile shows whether the AWS CLI has any; `aws sso login` renews them")
}

/// The service answered with an error.
fn answered(code: Option<&str>, said: Option<&str>, status: u16, operation: Operation) -> Fault {
    let code = code.unwrap_or_default();
    let said = said.map(|said| text::line(said, LONGEST_MESSAGE)).filter(|said| !said.is_empty());
    let said = said.unwrap_or_else(|| match code {
        "" => format!("status {status} on {}", operation.name),
        code => text::line(code, LONGEST_MESSAGE),
    });
    let service = called(operation);
    match kind(code, status, operation.intent()) {
        FaultKind::Refused => Fault::refused(format!("{service} is too busy: {said}")),
        FaultKind::Forbidden if is_about_credentials(code) => {
            Fault::forbidden(format!("{service} does not accept the credentials: {said}"))
                .hint("log in again, or renew the access keys")
        }
        FaultKind::Forbidden => Fault::forbidden(said).hint(format!(
            "ask for a policy that allows `{}:{}`",
            prefix(operation),
            operation.name
        )),
        FaultKind::Unreachable => Fault::unreachable(format!("{service} failed ({status}): {said}")),
        FaultKind::Unknown => {
            Fault::unknown(format!("{service} failed ({status}) on {}: {said}", operation.name))
        }
        kind if code.is_empty() => Fault::new(kind, format!("{service} answered without a reason: {said}"))
            .hint("check `aws.endpoint_url`; something else may answer there"),
        kind => Fault::new(kind, said),
    }
}

fn kind(code: &str, status: u16, intent: Intent) -> FaultKind {
    let is = |codes: &[&str]| codes.contains(&code);
    if is(&THROTTLED) || status == 429 {
        FaultKind::Refused
    } else if is_about_credentials(code) || is(&NOT_ALLOWED) {
        FaultKind::Forbidden
    } else if code.ends_with("NotFound")
        || code.ends_with("NotFoundFault")
        || is(&["NoSuchHostedZone", "NoSuchEntity", "NoSuchChange"])
    {
        FaultKind::NotFound
    } else if code.starts_with("InvalidDB") && (code.ends_with("State") || code.ends_with("StateFault")) {
        // It was available when it was looked at.
        FaultKind::Conflict
    } else if status >= 500 {
        match intent {
            Intent::Read => FaultKind::Unreachable,
            Intent::Write => FaultKind::Unknown,
        }
    } else if status == 401 || status == 403 {
        FaultKind::Forbidden
    } else {
        FaultKind::Permanent
    }
}

/// Refusals before anything was done, as the services word them.
const THROTTLED: [&str; 11] = [
    "PriorRequestNotComplete",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "SlowDown",
];
const NOT_ALLOWED: [&str; 5] =
    ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "OptInRequired"];

fn is_about_credentials(code: &str) -> bool {
    [
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ]
    .contains(&code)
}

/// As people call the service.
fn called(operation: Operation) -> String {
    format!("AWS {}", operation.service)
}

/// As policies call the service.
fn prefix(operation: Operation) -> String {
    operation.service.to_lowercase().replace(' ', "")
}

const DEEPEST_CHAIN: usize = 16;

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source()).take(DEEPEST_CHAIN)
}

/// The first error of the wanted type in the chain of sources.
fn within<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref::<E>())
}

fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map_or_else(String::new, |cause| text::line(&cause.to_string(), LONGEST_MESSAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_may_be_done_next() {
        use FaultKind::{Conflict, Forbidden, NotFound, Permanent, Refused, Unknown, Unreachable};
        for (code, status, read, write) in [
            ("Throttling", 400, Refused, Refused),
            ("RequestLimitExceeded", 503, Refused, Refused),
            ("", 429, Refused, Refused),
            ("AccessDenied", 403, Forbidden, Forbidden),
            ("ExpiredToken", 400, Forbidden, Forbidden),
            ("InvalidClientTokenId", 403, Forbidden, Forbidden),
            ("", 403, Forbidden, Forbidden),
            ("DBClusterNotFoundFault", 404, NotFound, NotFound),
            ("DBInstanceNotFound", 404, NotFound, NotFound),
            ("NoSuchHostedZone", 404, NotFound, NotFound),
            ("InvalidDBClusterStateFault", 400, Conflict, Conflict),
            ("InvalidDBInstanceState", 400, Conflict, Conflict),
            ("PriorRequestNotComplete", 400, Refused, Refused),
            ("InvalidChangeBatch", 400, Permanent, Permanent),
            ("InternalFailure", 500, Unreachable, Unknown),
            ("ServiceUnavailable", 503, Unreachable, Unknown),
            ("", 502, Unreachable, Unknown),
        ] {
            assert_eq!(kind(code, status, Intent::Read), read, "{code} {status}");
            assert_eq!(kind(code, status, Intent::Write), write, "{code} {status}");
        }
    }
}

//! What a delivery says. One file per detector.

use jiff::Timestamp;
use runbook_core::runbook::Source;

use crate::door::Received;
use crate::limits::Limits;
use crate::read::{self, Node};
use crate::refusal::Refusal;
use crate::request::Request;

pub(crate) mod alertmanager;
pub(crate) mod cloudwatch;
pub(crate) mod datadog;
pub(crate) mod generic;
pub(crate) mod grafana;
pub(crate) mod pagerduty;

pub use datadog::DATADOG_TEMPLATE;

/// Reads the body of a request whose proof holds. `delivery` is what its headers call it, where they
/// can be believed.
pub(crate) fn receive(
    source: Source,
    request: &Request<'_>,
    delivery: Option<String>,
    limits: &Limits,
) -> Result<Received, Refusal> {
    let body = read::parse(request.body)?;
    let root = Node::root(&body)?;
    match source {
        Source::Alertmanager => alertmanager::receive(&root, limits),
        Source::Grafana => grafana::receive(&root, limits),
        Source::Pagerduty => pagerduty::receive(&root),
        Source::Datadog => datadog::receive(&root),
        Source::Generic => generic::receive(&root, delivery, request.now),
        // A door for CloudWatch takes messages of SNS only, which are read with their proof.
        Source::Cloudwatch => Err(Refusal::Unprocessable("not a message of SNS".to_owned())),
    }
}

/// This firing of an alert, for detectors that know firings by what fires and since when.
fn firing(fingerprint: &str, since: Timestamp) -> String {
    format!("{fingerprint}@{since}")
}

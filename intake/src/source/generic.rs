//! Our own format, for detectors that people write themselves; the embedded detector sends it too.
//!
//! ```json
//! {
//!   "id": "high-error-rate-1763709662",
//!   "title": "High Error Rate Detected",
//!   "severity": "SEV-2",
//!   "service": "checkout-api",
//!   "timestamp": "2026-11-21T07:21:02Z",
//!   "metrics": { "errorRate": 0.12, "affectedUsers": 1200 }
//! }
//! ```
//!
//! Needed are `id` and `title`. `id` is this firing: the message that it is resolved has the same, and
//! `"status": "resolved"`; without `status` it fires. `timestamp` is when it began, or when it was
//! resolved (RFC 3339, or a number of seconds or milliseconds since 1970); without it, it is now.
//! `name` is what fires, where the title changes from time to time. `fingerprint` is what is alerting,
//! where service and name do not tell it apart from others. Further: `description`, `url`,
//! `labels` and `annotations` (texts by name), `startsAt` (of a resolved one, when it had begun). The
//! header `webhook-id` names the delivery, so that a repeat is known.

use jiff::Timestamp;
use runbook_core::alert::{Alert, AlertStatus};
use runbook_core::runbook::Source;

use crate::door::{Content, Received};
use crate::read::{Node, echo};
use crate::refusal::Refusal;

pub(crate) fn receive(
    root: &Node<'_>,
    delivery: Option<String>,
    now: Timestamp,
) -> Result<Received, Refusal> {
    let alert = alert(root, now)?;
    Ok(Received { delivery, group: None, truncated: 0, content: Content::Alerts(vec![alert]) })
}

fn alert(root: &Node<'_>, now: Timestamp) -> Result<Alert, Refusal> {
    let title = root.line("title")?.ok_or_else(|| root.wrong("title", "missing or empty"))?;
    let name = root.identity("name")?.unwrap_or_else(|| title.clone());
    let labels = root.labels("labels")?;
    let service = root.identity("service")?.or_else(|| labels.get("service").cloned());
    let status = status(root)?;
    let time = root.loose_time("timestamp")?.unwrap_or(now);
    let ends_at = (status == AlertStatus::Resolved).then_some(time);
    Ok(Alert {
        source: Source::Generic,
        status,
        fingerprint: match (root.identity("fingerprint")?, &service) {
            (Some(fingerprint), _) => fingerprint,
            (None, Some(service)) => format!("{service}/{name}"),
            (None, None) => name.clone(),
        },
        key: root.required_identity("id")?,
        name,
        title,
        description: root.prose("description")?,
        severity: root.identity("severity")?,
        service,
        labels,
        annotations: root.annotations("annotations")?,
        metrics: root.metrics("metrics")?,
        starts_at: root.loose_time("startsAt")?.unwrap_or(time),
        ends_at,
        url: root.link("url")?,
    })
}

fn status(root: &Node<'_>) -> Result<AlertStatus, Refusal> {
    match root.identity("status")?.as_deref() {
        None | Some("firing") => Ok(AlertStatus::Firing),
        Some("resolved") => Ok(AlertStatus::Resolved),
        Some(other) => {
            Err(root.wrong("status", format_args!("`{}`, expected `firing` or `resolved`", echo(other))))
        }
    }
}

//! PagerDuty's webhooks, version 3: one event about an incident.
//!
//! <https://developer.pagerduty.com/docs/webhooks-overview>. A repeat is known by the id of the event:
//! the header `X-Webhook-Id` would do as well, but the signature does not cover it.

use std::collections::BTreeMap;

use runbook_core::alert::{Alert, AlertStatus};
use runbook_core::runbook::Source;
use serde_json::Value;

use crate::door::{Content, Received};
use crate::read::{Node, echo};
use crate::refusal::Refusal;

/// Somebody has to act, or has still to: what is said of a resolved incident afterwards is left out.
const FIRING: [&str; 7] = [
    "incident.triggered",
    "incident.reopened",
    "incident.escalated",
    "incident.unacknowledged",
    "incident.delegated",
    "incident.reassigned",
    "incident.priority_updated",
];
const RESOLVED: &str = "incident.resolved";

pub(crate) fn receive(root: &Node<'_>) -> Result<Received, Refusal> {
    let event = root.required_child("event")?;
    let delivery = Some(event.required_identity("id")?);
    let kind = event.required_identity("event_type")?;
    let status = match kind.as_str() {
        RESOLVED => AlertStatus::Resolved,
        firing if FIRING.contains(&firing) => AlertStatus::Firing,
        other => {
            return Ok(Received::nothing(delivery, format!("`{}` is no alert", echo(other))));
        }
    };
    let data = event.required_child("data")?;
    if status == AlertStatus::Firing && data.identity("status")?.as_deref() == Some("resolved") {
        return Ok(Received::nothing(delivery, format!("`{kind}` of an incident that is resolved already")));
    }
    let alert = alert(&event, &data, status)?;
    Ok(Received { delivery, group: None, truncated: 0, content: Content::Alerts(vec![alert]) })
}

fn alert(event: &Node<'_>, data: &Node<'_>, status: AlertStatus) -> Result<Alert, Refusal> {
    let id = data.required_identity("id")?;
    let title = data.line("title")?.ok_or_else(|| data.wrong("title", "missing or empty"))?;
    let service = summary(data, "service")?;
    let priority = summary(data, "priority")?;
    let urgency = data.identity("urgency")?;
    let mut labels = BTreeMap::new();
    let policy = summary(data, "escalation_policy")?;
    let team = data.children("teams")?.first().map(|team| team.identity("summary")).transpose()?.flatten();
    let number = data.identity("number")?;
    for (name, value) in [
        ("service", &service),
        ("priority", &priority),
        ("urgency", &urgency),
        ("escalation_policy", &policy),
        ("team", &team),
        ("number", &number),
    ] {
        labels.extend(value.as_ref().map(|value| (name.to_owned(), value.clone())));
    }
    Ok(Alert {
        source: Source::Pagerduty,
        status,
        fingerprint: fingerprint(data, &id)?,
        key: id,
        name: title.clone(),
        title,
        description: None,
        severity: priority.or(urgency),
        service,
        labels,
        annotations: BTreeMap::new(),
        metrics: Value::Null,
        starts_at: data.required_time("created_at")?,
        ends_at: match status {
            AlertStatus::Resolved => Some(event.required_time("occurred_at")?),
            AlertStatus::Firing => None,
        },
        url: data.link("html_url")?,
    })
}

/// The key under which an integration of the service opened it, where it gave one: equal each time.
fn fingerprint(data: &Node<'_>, id: &str) -> Result<String, Refusal> {
    let Some(key) = data.identity("incident_key")? else { return Ok(id.to_owned()) };
    let service = data.child("service")?.map_or(Ok(None), |service| service.identity("id"))?;
    Ok(format!("{}/{key}", service.unwrap_or_default()))
}

/// The name of a thing that is referred to.
fn summary(data: &Node<'_>, key: &str) -> Result<Option<String>, Refusal> {
    data.child(key)?.map_or(Ok(None), |thing| thing.identity("summary"))
}

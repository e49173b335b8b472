//! Alertmanager's webhook, version 4: a group of alerts, some of which may be resolved while the group
//! still fires.
//!
//! <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>

use std::collections::BTreeMap;

use jiff::Timestamp;
use runbook_core::alert::{Alert, AlertStatus};
use runbook_core::runbook::Source;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::firing;
use crate::door::{Content, Received};
use crate::limits::Limits;
use crate::proof::digest::hex;
use crate::read::{Node, echo, line};
use crate::refusal::Refusal;

pub(crate) fn receive(root: &Node<'_>, limits: &Limits) -> Result<Received, Refusal> {
    match root.identity("version")?.as_deref() {
        Some("4") => group(root, limits, alert),
        Some(other) => Err(root.wrong("version", format_args!("`{}`, expected `4`", echo(other)))),
        None => Err(root.wrong("version", "missing; expected `4`, as Alertmanager sends it")),
    }
}

/// A group; each of its alerts says for itself whether it fires. Grafana sends the same.
pub(super) fn group(
    root: &Node<'_>,
    limits: &Limits,
    alert: impl Fn(&Node<'_>) -> Result<Alert, Refusal>,
) -> Result<Received, Refusal> {
    if !root.has("alerts") {
        return Err(root.wrong("alerts", "missing"));
    }
    limits.check_alerts(root.count("alerts"))?;
    let alerts = root.children("alerts")?.iter().map(alert).collect::<Result<Vec<_>, _>>()?;
    let truncated = root.number("truncatedAlerts")?.unwrap_or_default();
    let content = if alerts.is_empty() {
        Content::Nothing("the group has no alerts".to_owned())
    } else {
        Content::Alerts(alerts)
    };
    Ok(Received { delivery: None, group: root.identity("groupKey")?, truncated, content })
}

pub(super) fn alert(node: &Node<'_>) -> Result<Alert, Refusal> {
    let status = status(node)?;
    let labels = node.labels("labels")?;
    let annotations = node.annotations("annotations")?;
    let fingerprint = match node.identity("fingerprint")? {
        Some(fingerprint) => fingerprint,
        None => digest(&labels),
    };
    let starts_at = node.required_time("startsAt")?;
    let name = first(&labels, &["alertname"]).unwrap_or("unnamed alert").to_owned();
    let title = first(&annotations, &["summary", "title"]).map(line).filter(|title| !title.is_empty());
    Ok(Alert {
        source: Source::Alertmanager,
        status,
        key: firing(&fingerprint, starts_at),
        fingerprint,
        title: title.unwrap_or_else(|| line(&name)),
        name,
        description: first(&annotations, &["description", "message"]).map(str::to_owned),
        severity: first(&labels, &["severity"]).map(str::to_owned),
        service: first(&labels, &["service", "service_name", "app"]).map(str::to_owned),
        metrics: Value::Null,
        starts_at,
        ends_at: end(status, node.time("endsAt")?),
        url: node.link("generatorURL")?,
        labels,
        annotations,
    })
}

fn status(node: &Node<'_>) -> Result<AlertStatus, Refusal> {
    match node.required_identity("status")?.as_str() {
        "firing" => Ok(AlertStatus::Firing),
        "resolved" => Ok(AlertStatus::Resolved),
        other => {
            Err(node.wrong("status", format_args!("`{}`, expected `firing` or `resolved`", echo(other))))
        }
    }
}

/// What fires has no end, whatever is sent: some senders say when they would forget it.
fn end(status: AlertStatus, ends_at: Option<Timestamp>) -> Option<Timestamp> {
    ends_at.filter(|_| status == AlertStatus::Resolved)
}

fn first<'a>(texts: &'a BTreeMap<String, String>, names: &[&str]) -> Option<&'a str> {
    names.iter().filter_map(|name| texts.get(*name)).map(String::as_str).find(|text| !text.is_empty())
}

/// What an alert is known by where the sender does not say: its labels.
fn digest(labels: &BTreeMap<String, String>) -> String {
    let mut digest = Sha256::new();
    for (name, value) in labels {
        // Neither names nor values of labels contain this byte, as they are in UTF-8.
        for part in [name.as_bytes(), &[0xff], value.as_bytes(), &[0xff]] {
            digest.update(part);
        }
    }
    hex(&digest.finalize()[..8])
}

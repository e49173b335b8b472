//! Datadog's webhook, with the payload that we ship.
//!
//! <https://docs.datadoghq.com/integrations/webhooks/>. The payload of a Datadog webhook is whatever
//! its template says; ours is [`DATADOG_TEMPLATE`]. Variables that do not apply are left empty, or as
//! they are written.

use std::collections::BTreeMap;

use runbook_core::alert::{Alert, AlertStatus};
use runbook_core::runbook::Source;
use serde_json::Value;

use crate::door::{Content, Received};
use crate::limits::{ENTRIES, IDENTITY, LABEL};
use crate::read::{Node, echo};
use crate::refusal::Refusal;

/// What to paste into "Payload" of a webhook in Datadog's integration tile. Its variables:
/// `$ID` the event, `$ALERT_CYCLE_KEY` one firing from trigger to recovery, `$AGGREG_KEY` events that
/// belong together, `$ALERT_ID` the monitor, `$EVENT_TITLE` and `$TEXT_ONLY_MSG` for people,
/// `$ALERT_TRANSITION` Triggered, Re-Triggered, Warn, Re-Warn, No Data, Re-No Data, Renotify or Recovered,
/// `$ALERT_TYPE` error, warning, info or success, `$ALERT_PRIORITY` P1 to P5, `$ALERT_METRIC`,
/// `$ALERT_QUERY` and `$ALERT_STATUS` what was measured, `$ALERT_SCOPE` the tags that the monitor
/// groups by, `$TAGS` all of them, `$HOSTNAME`, `$DATE` in milliseconds, `$ORG_NAME`, `$LINK`.
///
/// The secret goes into "Custom Headers", such as `{"X-Runbook-Token": "$RUNBOOK_TOKEN"}` with a custom
/// variable of that name which is hidden from view.
pub const DATADOG_TEMPLATE: &str = include_str!("../../datadog-webhook.json");

pub(crate) fn receive(root: &Node<'_>) -> Result<Received, Refusal> {
    if !root.has("alert_transition") {
        let hint = "missing; set the payload of the webhook to the template that comes with runbook";
        return Err(root.wrong("alert_transition", hint));
    }
    let delivery = value(root, "id")?;
    let transition = value(root, "alert_transition")?;
    let status = match transition.as_deref().map(|text| text.strip_prefix("Re-").unwrap_or(text)) {
        // Somebody asked to be told that data is missing: that is an alert like others.
        Some("Triggered" | "Warn" | "No Data" | "Renotify") => AlertStatus::Firing,
        Some("Recovered") => AlertStatus::Resolved,
        None | Some("Null" | "null") => {
            return Ok(Received::nothing(delivery, "an event that is not of a monitor"));
        }
        Some(other) => {
            let why = format!("`{}` is not a transition that Datadog documents", echo(other));
            return Err(root.wrong("alert_transition", why));
        }
    };
    let group = value(root, "aggregation_key")?;
    let alert = alert(root, status)?;
    Ok(Received { delivery, group, truncated: 0, content: Content::Alerts(vec![alert]) })
}

fn alert(root: &Node<'_>, status: AlertStatus) -> Result<Alert, Refusal> {
    let need = |key: &str| value(root, key)?.ok_or_else(|| root.wrong(key, "missing or empty"));
    let monitor = need("monitor_id")?;
    let title = root.line("title")?.ok_or_else(|| root.wrong("title", "missing or empty"))?;
    // Recovery has a type of its own, which says nothing of how bad it was.
    let kind = value(root, "alert_type")?.filter(|kind| kind != "success");
    let date = root.loose_time("date")?.ok_or_else(|| root.wrong("date", "missing"))?;
    let scope = value(root, "scopes")?.unwrap_or_default();
    let mut labels = tags(root, "tags")?;
    labels.extend(tags(root, "scopes")?);
    let host = value(root, "host")?;
    for (name, text) in [("monitor_id", Some(monitor.clone())), ("host", host), ("org", value(root, "org")?)]
    {
        if let Some(text) = text {
            labels.entry(name.to_owned()).or_insert(text);
        }
    }
    Ok(Alert {
        source: Source::Datadog,
        status,
        fingerprint: if scope.is_empty() { monitor } else { format!("{monitor}:{scope}") },
        key: need("alert_cycle_key")?,
        name: name(&title).to_owned(),
        description: text(root, "body")?,
        severity: value(root, "alert_priority")?.or(kind),
        service: labels.get("service").cloned(),
        labels,
        annotations: annotations(root)?,
        metrics: Value::Null,
        // Of a recovery, when it began is not said.
        starts_at: date,
        ends_at: (status == AlertStatus::Resolved).then_some(date),
        url: root.link("url")?,
        title,
    })
}

fn annotations(root: &Node<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut notes = BTreeMap::new();
    for (name, key) in [
        ("transition", "alert_transition"),
        ("metric", "alert_metric"),
        ("query", "alert_query"),
        ("status", "alert_status"),
    ] {
        notes.extend(text(root, key)?.map(|text| (name.to_owned(), text)));
    }
    Ok(notes)
}

/// The value of a variable that something is known by.
fn value(root: &Node<'_>, key: &str) -> Result<Option<String>, Refusal> {
    Ok(root.identity(key)?.filter(|text| is_set(text)))
}

/// The value of a variable for people.
fn text(root: &Node<'_>, key: &str) -> Result<Option<String>, Refusal> {
    Ok(root.prose(key)?.filter(|text| is_set(text)))
}

/// Whether a variable was filled in.
fn is_set(text: &str) -> bool {
    let unfilled = |name: &str| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    !text.trim().is_empty() && !text.strip_prefix('$').is_some_and(unfilled)
}

/// `env:prod,service:api,canary`: a tag without a value is one with an empty value; one that occurs
/// twice has both values, after one another.
fn tags(root: &Node<'_>, key: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    let Some(list) = text(root, key)? else { return Ok(labels) };
    for tag in list.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        if name.len() > IDENTITY || value.len() > LABEL {
            return Err(root.wrong(key, format_args!("the tag `{}` is too long", echo(tag))));
        }
        match labels.get_mut(name) {
            Some(values) if values.split(',').any(|given| given == value) => {}
            Some(values) => *values = format!("{values},{value}"),
            None => drop(labels.insert(name.to_owned(), value.to_owned())),
        }
        if labels.len() > ENTRIES {
            return Err(root.wrong(key, format_args!("more than {ENTRIES} tags")));
        }
    }
    Ok(labels)
}

/// The name of the monitor: the title without `[Triggered on {host:a}]` before it.
fn name(title: &str) -> &str {
    let mut rest = title;
    while let Some((_, after)) = rest.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        rest = after.trim_start();
    }
    if rest.is_empty() { title } else { rest }
}

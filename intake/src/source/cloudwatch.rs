//! CloudWatch alarms, as SNS delivers them: the alarm is a JSON text in the `Message` of the envelope.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html> and
//! <https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html>

use std::collections::BTreeMap;

use runbook_core::alert::{Alert, AlertStatus};
use runbook_core::runbook::Source;
use serde_json::{Map, Value};
use url::Url;

use super::firing;
use crate::door::{Content, Received};
use crate::limits::ENTRIES;
use crate::proof::sns::{Kind, Message};
use crate::read::{self, Node, echo, line};
use crate::refusal::Refusal;

/// Reads a message whose signature holds.
pub(crate) fn receive(message: &Message<'_>) -> Result<Received, Refusal> {
    let delivery = Some(message.message_id.to_string());
    let content = match message.kind()? {
        Kind::Notification => alarm(message)?,
        Kind::SubscriptionConfirmation => Content::Confirm(message.confirmation()?),
        Kind::UnsubscribeConfirmation => {
            // Only topics on the list get here, so this is no longer than those.
            Content::Nothing(format!("the topic `{}` no longer sends here", message.topic_arn))
        }
    };
    Ok(Received { delivery, group: None, truncated: 0, content })
}

/// A topic may carry other things than alarms; those are no reason to let SNS send them anew.
fn alarm(message: &Message<'_>) -> Result<Content, Refusal> {
    let other = || Content::Nothing("the message is not an alarm of CloudWatch".to_owned());
    let Ok(body) = read::parse(message.message.as_bytes()) else { return Ok(other()) };
    let Ok(root) = Node::root(&body) else { return Ok(other()) };
    if !root.has("AlarmName") {
        return Ok(other());
    }
    let status = match root.required_identity("NewStateValue")?.as_str() {
        "ALARM" => AlertStatus::Firing,
        "OK" => AlertStatus::Resolved,
        "INSUFFICIENT_DATA" => {
            return Ok(Content::Nothing("the alarm has too little data to tell".to_owned()));
        }
        other => {
            let why = format!("`{}`, expected `ALARM`, `OK` or `INSUFFICIENT_DATA`", echo(other));
            return Err(root.wrong("NewStateValue", why));
        }
    };
    Ok(Content::Alerts(vec![alert(message, &root, status)?]))
}

fn alert(message: &Message<'_>, root: &Node<'_>, status: AlertStatus) -> Result<Alert, Refusal> {
    let name = root.required_identity("AlarmName")?;
    let changed = root.required_time("StateChangeTime")?;
    let region = message.topic_arn.split(':').nth(3).unwrap_or_default();
    let fingerprint = fingerprint(root, region, &name)?;
    let trigger = root.child("Trigger")?;
    let labels = labels(root, trigger.as_ref(), region)?;
    let service = ["service", "Service", "ServiceName"].iter().find_map(|name| labels.get(*name)).cloned();
    let title = message.subject.as_deref().map(line).filter(|title| !title.is_empty());
    Ok(Alert {
        source: Source::Cloudwatch,
        status,
        // That an alarm is over does not say which firing it was: its key is that of the alarm itself.
        key: match status {
            AlertStatus::Firing => firing(&fingerprint, changed),
            AlertStatus::Resolved => fingerprint.clone(),
        },
        url: console(region, &name),
        fingerprint,
        title: title.unwrap_or_else(|| line(&name)),
        name,
        description: root.prose("AlarmDescription")?,
        severity: None,
        service,
        labels,
        annotations: annotations(root)?,
        metrics: trigger.as_ref().map_or(Value::Null, metrics),
        starts_at: changed,
        ends_at: (status == AlertStatus::Resolved).then_some(changed),
    })
}

/// The ARN of the alarm, and the series of it where it watches several at once.
fn fingerprint(root: &Node<'_>, region: &str, name: &str) -> Result<String, Refusal> {
    let arn = match root.identity("AlarmArn")? {
        Some(arn) => arn,
        None => format!("{region}/{}/{name}", root.identity("AWSAccountId")?.unwrap_or_default()),
    };
    Ok(match root.identity("AlarmContributorId")? {
        Some(series) => format!("{arn}#{series}"),
        None => arn,
    })
}

fn labels(
    root: &Node<'_>,
    trigger: Option<&Node<'_>>,
    region: &str,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut labels = root.labels("AlarmContributorAttributes")?;
    if let Some(trigger) = trigger {
        if trigger.count("Dimensions") > ENTRIES {
            return Err(trigger.wrong("Dimensions", format_args!("more than {ENTRIES}")));
        }
        for dimension in trigger.children("Dimensions")? {
            labels.insert(dimension.required_identity("name")?, dimension.required_identity("value")?);
        }
        for (name, key) in [("metric", "MetricName"), ("namespace", "Namespace")] {
            labels.extend(trigger.identity(key)?.map(|value| (name.to_owned(), value)));
        }
    }
    labels.extend(root.identity("AWSAccountId")?.map(|account| ("account".to_owned(), account)));
    labels.insert("region".to_owned(), region.to_owned());
    Ok(labels)
}

fn annotations(root: &Node<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut notes = BTreeMap::new();
    for (name, key) in [("reason", "NewStateReason"), ("previous_state", "OldStateValue")] {
        notes.extend(root.prose(key)?.map(|text| (name.to_owned(), text)));
    }
    Ok(notes)
}

/// The measured values are in the reason only, in prose; what they are compared with is here.
fn metrics(trigger: &Node<'_>) -> Value {
    let threshold =
        trigger.measure("Threshold").map(|number| ("threshold".to_owned(), Value::Number(number)));
    let metrics: Map<String, Value> = threshold.into_iter().collect();
    if metrics.is_empty() { Value::Null } else { Value::Object(metrics) }
}

/// Where people look at an alarm. China's partition has a console of its own.
fn console(region: &str, name: &str) -> Option<String> {
    let domain = if region.starts_with("cn-") { "console.amazonaws.cn" } else { "console.aws.amazon.com" };
    let mut url = Url::parse(&format!("https://{region}.{domain}/cloudwatch/home")).ok()?;
    url.query_pairs_mut().append_pair("region", region);
    url.set_fragment(Some(&format!("alarmsV2:alarm/{name}")));
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    #[test]
    fn times_of_cloudwatch_are_read() {
        let expected: Timestamp = "2017-01-12T16:30:42.236Z".parse().unwrap();
        assert_eq!("2017-01-12T16:30:42.236+0000".parse::<Timestamp>().unwrap(), expected);
    }
}

//! `kubernetes.events`: what happened to objects lately, and the conditions of pods, which
//! `kubectl describe` would show.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_core::{change::Observed, duration::Duration, fault::Fault, spec::ActionSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Read, outputs};
use crate::{
    client::{MOST_LISTED, Session, parse},
    place::Place,
    schema, selector,
    view::{Event, Pod, seconds_since},
};

/// Whose events: those of one object, of the pods that a selector chooses, or of the namespace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The namespace.
    namespace: String,
    /// The name of the object they are about.
    name: Option<String>,
    /// Its kind, such as `Pod`.
    kind: Option<String>,
    /// A label selector of the pods they are about.
    selector: Option<String>,
    /// How far back to look; as far as the cluster keeps them where it is left out.
    since: Option<Duration>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// How many events there were, repetitions included.
    count: i64,
    /// How many of them were warnings.
    warnings: i64,
    /// The reason and message of the latest warning.
    latest_warning: Option<String>,
    /// How often each reason came up.
    reasons: BTreeMap<String, i64>,
    /// The events, the latest first, at most two hundred.
    events: Vec<EventOutput>,
    /// The conditions of the pods that are not as they should be, at most two hundred.
    conditions: Vec<ConditionOutput>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct EventOutput {
    /// `Normal` or `Warning`.
    r#type: String,
    /// In one word, what happened.
    reason: String,
    /// The object: `pod/api-7d9`.
    object: String,
    /// In a sentence, what happened.
    message: String,
    /// How often.
    count: i64,
    /// When last.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    last_seen: Option<Timestamp>,
    /// Seconds since then.
    age: f64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ConditionOutput {
    /// The pod.
    pod: String,
    /// `Ready`, `PodScheduled`, and so on.
    r#type: String,
    /// `False` or `Unknown`.
    status: String,
    /// In one word, why.
    reason: String,
    /// In a sentence, why.
    message: String,
}

const MOST_SHOWN: usize = 200;
const LONGEST_MESSAGE: usize = 500;

#[derive(Debug)]
pub(crate) struct Events;

#[async_trait]
impl Read for Events {
    type Input = Input;

    fn spec() -> ActionSpec {
        ActionSpec {
            permissions: vec![schema::rbac("", "events", &["list"]), schema::rbac("", "pods", &["list"])],
            example: json!({"namespace": "production", "selector": "app=api", "since": "30m"}),
            ..schema::read::<Input, Output>(
                "events",
                "Recent events of an object, of some pods or of a namespace, and pod conditions",
            )
        }
    }

    async fn read(session: &Session<'_>, input: Input) -> Result<Observed, Fault> {
        let pods = pods(session, &input).await?;
        let about = |event: &Event| match (&pods, &input.name) {
            (Some(pods), None) => pods.iter().any(|pod| pod.metadata.name == event.involved_object.name),
            _ => true,
        };
        let mut fields = Vec::new();
        fields.extend(input.name.iter().map(|name| format!("involvedObject.name={name}")));
        fields.extend(input.kind.iter().map(|kind| format!("involvedObject.kind={kind}")));
        let place = Place::core("events").within(&input.namespace);
        let listed = session.list(&place, None, Some(&fields.join(","))).await?;
        let mut events: Vec<Event> = listed.items.into_iter().map(parse).collect::<Result<_, _>>()?;
        let since = input.since.unwrap_or(Duration::MAX);
        events.retain(|event| about(event) && Duration::between(last_seen(event), session.now) <= since);
        let mut warnings = Vec::new();
        if listed.truncated {
            warnings.push(format!("there are more than {MOST_LISTED} events; the rest was not read"));
        }
        let output = told(events, pods.as_deref().unwrap_or_default(), session.now);
        Ok(Observed { warnings, ..Observed::outputs(outputs(&output)?) })
    }
}

/// The pods that the events are about, where they are about pods.
async fn pods(session: &Session<'_>, input: &Input) -> Result<Option<Vec<Pod>>, Fault> {
    let is_pod = input.kind.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("pod"));
    let (labels, fields) = match (&input.name, &input.selector) {
        (Some(name), _) if is_pod => (None, Some(format!("metadata.name={name}"))),
        (None, Some(labels)) => {
            selector::read(labels)?;
            (Some(labels.as_str()), None)
        }
        _ => return Ok(None),
    };
    let place = Place::core("pods").within(&input.namespace);
    let listed = session.list(&place, labels, fields.as_deref()).await?;
    listed.items.into_iter().map(parse).collect::<Result<_, _>>().map(Some)
}

fn last_seen(event: &Event) -> Timestamp {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time);
    let times = [series, event.last_timestamp, event.event_time, event.metadata.creation_timestamp];
    times.into_iter().flatten().max().unwrap_or(Timestamp::UNIX_EPOCH)
}

fn told(mut events: Vec<Event>, pods: &[Pod], now: Timestamp) -> Output {
    events.sort_by_key(|event| std::cmp::Reverse(last_seen(event)));
    let mut output = Output {
        count: 0,
        warnings: 0,
        latest_warning: None,
        reasons: BTreeMap::new(),
        events: Vec::new(),
        conditions: conditions(pods),
    };
    for event in events {
        let count = event.series.as_ref().map_or(event.count, |series| series.count).max(1);
        output.count += count;
        if event.kind == "Warning" {
            output.warnings += count;
            output.latest_warning.get_or_insert_with(|| {
                let message: String = event.message.chars().take(LONGEST_MESSAGE).collect();
                format!("{}: {message}", event.reason)
            });
        }
        *output.reasons.entry(event.reason.clone()).or_default() += count;
        if output.events.len() < MOST_SHOWN {
            let last_seen = last_seen(&event);
            output.events.push(EventOutput {
                r#type: event.kind,
                reason: event.reason,
                object: format!(
                    "{}/{}",
                    event.involved_object.kind.to_lowercase(),
                    event.involved_object.name
                ),
                message: event.message.chars().take(LONGEST_MESSAGE).collect(),
                count,
                last_seen: Some(last_seen),
                age: seconds_since(Some(last_seen), now),
            });
        }
    }
    output
}

fn conditions(pods: &[Pod]) -> Vec<ConditionOutput> {
    let unmet = pods.iter().flat_map(|pod| {
        let unmet = pod.status.conditions.iter().filter(|condition| condition.status != "True");
        unmet.map(|condition| ConditionOutput {
            pod: pod.metadata.name.clone(),
            r#type: condition.kind.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
            message: condition.message.chars().take(LONGEST_MESSAGE).collect(),
        })
    });
    unmet.take(MOST_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_repetitions_and_shows_the_latest_first() {
        let events = [
            json!({"type": "Normal", "reason": "Scheduled", "lastTimestamp": "2026-01-01T12:00:00Z", "count": 1}),
            json!({"type": "Warning", "reason": "BackOff", "lastTimestamp": "2026-01-01T12:05:00Z", "count": 9}),
            json!({"type": "Warning", "reason": "BackOff", "eventTime": "2026-01-01T12:01:00.000000Z",
                   "series": {"count": 4, "lastObservedTime": "2026-01-01T12:06:00.000000Z"}}),
        ];
        let events = events.into_iter().map(|event| parse(event).unwrap()).collect();
        let output = told(events, &[], "2026-01-01T12:10:00Z".parse().unwrap());
        assert_eq!((output.count, output.warnings), (14, 13));
        assert_eq!(output.latest_warning.as_deref(), Some("BackOff: "));
        assert_eq!(output.reasons, [("BackOff".to_owned(), 13), ("Scheduled".to_owned(), 1)].into());
        let ages: Vec<_> = output.events.iter().map(|event| event.age).collect();
        assert_eq!(ages, [240.0, 300.0, 600.0]);
    }
}

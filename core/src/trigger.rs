//! Triggers: which runbooks an alert starts, with which inputs, and why it starts nothing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    alert::Alert,
    duration::Duration,
    event::RunId,
    expression::{self, ExpressionError},
    inputs,
    runbook::{MaxRuns, Runbook, Trigger},
    unknown,
};

/// A run that an alert asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    pub runbook: String,
    pub inputs: Value,
    /// One run of the runbook is active for each group: the values of the inputs that the trigger
    /// groups by, or the alert itself where it names none.
    pub group: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once_within: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runs: Option<MaxRuns>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Duration>,
}

/// What was started for a group before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The run that has not ended yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<RunId>,
    /// When runs began, the last at the end; no more than [`Past::KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<Timestamp>,
    /// When people were last called because running again has not helped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_at: Option<Timestamp>,
}

/// Why an alert started nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Why {
    /// It only says that something is over.
    Resolved,
    /// The same firing was told before.
    Repeated,
    /// It had been told as resolved before this message came.
    OutOfDate,
    /// No trigger of any runbook is for it.
    NoRunbook,
    /// A run of its group is active.
    Active { run: RunId },
    /// The last run of its group is not long enough ago.
    OnceWithin { until: Timestamp },
    /// Running again has not helped: people are called instead.
    MaxRuns { count: u32, within: Duration },
    /// It is waited whether the alert lasts.
    Held { until: Timestamp },
    /// It was resolved while that was waited for.
    ResolvedMeanwhile,
    /// The trigger could not be evaluated, or gives no sound inputs.
    Trigger { message: String },
    /// The environment or the runbook cannot be used.
    Unusable { message: String },
}

impl Past {
    /// How many beginnings are remembered; `max_runs` cannot count further.
    pub const KEPT: usize = 100;

    /// Takes in that a run began.
    pub fn began(&mut self, run: RunId, at: Timestamp) {
        self.active = Some(run);
        self.starts.push(at);
        let surplus = self.starts.len().saturating_sub(Self::KEPT);
        self.starts.drain(..surplus);
    }

    /// Whether people are to be called now, which is once in each window; takes in that they are.
    pub fn calls(&mut self, within: Duration, now: Timestamp) -> bool {
        let is_due = self.called_at.is_none_or(|at| within.after(at) <= now);
        if is_due {
            self.called_at = Some(now);
        }
        is_due
    }

    /// Whether what is wanted may start now.
    pub fn allows(&self, wanted: &Wanted, now: Timestamp) -> Result<(), Why> {
        if let Some(run) = self.active {
            return Err(Why::Active { run });
        }
        if let (Some(window), Some(last)) = (wanted.once_within, self.starts.last()) {
            let until = window.after(*last);
            if now < until {
                return Err(Why::OnceWithin { until });
            }
        }
        if let Some(MaxRuns { count, within }) = wanted.max_runs.clone() {
            let recent = self.starts.iter().filter(|at| within.after(**at) > now).count();
            if recent >= count as usize {
                return Err(Why::MaxRuns { count, within });
            }
        }
        Ok(())
    }
}

/// What the triggers of a runbook want for an alert: nothing where none is for it. The first trigger
/// that is for it counts.
///
/// # Errors
/// `Why::Trigger` where an expression fails or the inputs do not fit the runbook.
pub fn wanted(runbook: &Runbook, alert: &Alert) -> Result<Option<Wanted>, Why> {
    // An alert always serializes: it is plain data with texts as keys.
    let names = json!({ "alert": serde_json::to_value(alert).unwrap_or(Value::Null) });
    for trigger in runbook.triggers.iter().filter(|trigger| trigger.source == alert.source) {
        if applies(trigger, &names).map_err(|error| failed(runbook, &error.to_string()))? {
            return start(runbook, trigger, alert, &names).map(Some);
        }
    }
    Ok(None)
}

/// A condition that is not known does not hold: nobody is asked before a run.
fn applies(trigger: &Trigger, names: &Value) -> Result<bool, ExpressionError> {
    let Some(when) = &trigger.when else { return Ok(true) };
    Ok(expression::holds(when, names)? == Some(true))
}

fn start(runbook: &Runbook, trigger: &Trigger, alert: &Alert, names: &Value) -> Result<Wanted, Why> {
    let mut given = Map::new();
    for (name, template) in &trigger.inputs {
        let value =
            expression::render(template, names).map_err(|error| failed(runbook, &error.to_string()))?;
        if unknown::within(&value) {
            return Err(failed(runbook, &format!("input `{name}` could not be told from the alert")));
        }
        given.insert(name.clone(), value);
    }
    let inputs = inputs::resolve(&runbook.inputs, &Value::Object(given)).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        failed(runbook, &problems.join("; "))
    })?;
    Ok(Wanted {
        runbook: runbook.name.clone(),
        group: group(trigger, alert, &inputs),
        inputs,
        once_within: trigger.once_within,
        max_runs: trigger.max_runs.clone(),
        hold: trigger.hold,
    })
}

fn group(trigger: &Trigger, alert: &Alert, inputs: &Value) -> String {
    if trigger.group_by.is_empty() {
        return format!("alert={}", alert.fingerprint);
    }
    let parts = trigger.group_by.iter().map(|name| match inputs.get(name) {
        Some(Value::String(text)) => format!("{name}={text}"),
        Some(value) => format!("{name}={value}"),
        None => format!("{name}="),
    });
    parts.collect::<Vec<_>>().join(",")
}

fn failed(runbook: &Runbook, why: &str) -> Why {
    Why::Trigger { message: format!("the trigger of `{}`: {why}", runbook.name) }
}

impl Why {
    /// The word for it, as it stands in documents.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Repeated => "repeated",
            Self::OutOfDate => "out_of_date",
            Self::NoRunbook => "no_runbook",
            Self::Active { .. } => "active",
            Self::OnceWithin { .. } => "once_within",
            Self::MaxRuns { .. } => "max_runs",
            Self::Held { .. } => "held",
            Self::ResolvedMeanwhile => "resolved_meanwhile",
            Self::Trigger { .. } => "trigger",
            Self::Unusable { .. } => "unusable",
        }
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = |at: &Timestamp| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        match self {
            Self::Resolved => f.write_str("it says that something is over"),
            Self::Repeated => f.write_str("the same firing was told before"),
            Self::OutOfDate => f.write_str("it had been resolved before this message came"),
            Self::NoRunbook => f.write_str("no trigger of any runbook is for it"),
            Self::Active { run } => write!(f, "{run} is at work on it"),
            Self::OnceWithin { until } => write!(f, "it ran not long ago; not again before {}", time(until)),
            Self::MaxRuns { count, within } => {
                write!(f, "it ran {count} times within {within}: running again has not helped")
            }
            Self::Held { until } => write!(f, "held until {}, in case it passes", time(until)),
            Self::ResolvedMeanwhile => f.write_str("it was resolved while it was held"),
            Self::Trigger { message } | Self::Unusable { message } => f.write_str(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{alert::AlertStatus, parse, runbook::Source};

    const TEXT: &str = r#"
apiVersion: runbook/v1
name: high-latency
inputs:
  service: { type: string }
  namespace: { type: string, default: production }
  replicas: { type: integer, default: 3, maximum: 9 }
triggers:
  - source: alertmanager
    when: alert.labels.alertname == "HighLatency"
    inputs: { service: "${{ alert.labels.service }}", replicas: "${{ alert.labels.replicas | default('4') | int }}" }
    group_by: [service, namespace]
    once_within: 15m
    max_runs: { count: 2, within: 1h }
  - source: alertmanager
    when: alert.labels.alertname == "Slow"
    inputs: { service: "${{ alert.labels.service }}" }
    hold: 1m
steps: [{ id: x, wait: 1s }]
"#;

    fn alert(name: &str, labels: &[(&str, &str)]) -> Alert {
        let mut all: std::collections::BTreeMap<String, String> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        all.insert("alertname".to_owned(), name.to_owned());
        Alert {
            source: Source::Alertmanager,
            status: AlertStatus::Firing,
            fingerprint: "6bda985b".to_owned(),
            key: "6bda985b/1".to_owned(),
            name: name.to_owned(),
            title: name.to_owned(),
            description: None,
            severity: None,
            service: None,
            labels: all,
            annotations: Default::default(),
            metrics: Value::Null,
            starts_at: Timestamp::UNIX_EPOCH,
            ends_at: None,
            url: None,
        }
    }

    fn runbook() -> Runbook {
        parse::parse("a.yaml", TEXT).runbook.unwrap()
    }

    #[test]
    fn the_first_trigger_that_is_for_it_counts() {
        let runbook = runbook();
        let first = wanted(&runbook, &alert("HighLatency", &[("service", "api")])).unwrap().unwrap();
        assert_eq!(first.inputs, json!({ "service": "api", "namespace": "production", "replicas": 4 }));
        assert_eq!((first.group.as_str(), first.hold), ("service=api,namespace=production", None));
        let second = wanted(&runbook, &alert("Slow", &[("service", "api")])).unwrap().unwrap();
        assert_eq!(second.group, "alert=6bda985b");
        assert_eq!(second.hold, Some(Duration::from_secs(60)));
        assert_eq!(wanted(&runbook, &alert("Other", &[])).unwrap(), None);
        let elsewhere = Alert { source: Source::Grafana, ..alert("HighLatency", &[("service", "api")]) };
        assert_eq!(wanted(&runbook, &elsewhere).unwrap(), None);
    }

    #[test]
    fn inputs_that_do_not_fit_are_told() {
        let runbook = runbook();
        for (labels, expected) in [
            (&[][..], "`alert.labels.service` is not defined"),
            (&[("service", "api"), ("replicas", "12")][..], "input `replicas`"),
            (&[("service", "api"), ("replicas", "many")][..], "invalid float literal"),
        ] {
            match wanted(&runbook, &alert("HighLatency", labels)) {
                Err(Why::Trigger { message }) => assert!(message.contains(expected), "{message}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_group_has_one_run_and_not_too_many() {
        let wanted = wanted(&runbook(), &alert("HighLatency", &[("service", "api")])).unwrap().unwrap();
        let at = |minutes: i64| Timestamp::from_second(minutes * 60).unwrap();
        let run = RunId::new(Uuid::from_u128(7));
        let mut past = Past::default();
        assert_eq!(past.allows(&wanted, at(0)), Ok(()));
        past.began(run, at(0));
        assert_eq!(past.allows(&wanted, at(1)), Err(Why::Active { run }));
        past.active = None;
        assert_eq!(past.allows(&wanted, at(14)), Err(Why::OnceWithin { until: at(15) }));
        assert_eq!(past.allows(&wanted, at(15)), Ok(()));
        past.began(run, at(15));
        past.active = None;
        let too_many = Why::MaxRuns { count: 2, within: Duration::from_secs(3600) };
        assert_eq!(past.allows(&wanted, at(31)), Err(too_many));
        assert_eq!(past.allows(&wanted, at(60)), Ok(()));
        for minute in 0..500 {
            past.began(run, at(minute));
        }
        assert_eq!(past.starts.len(), Past::KEPT);
    }
}

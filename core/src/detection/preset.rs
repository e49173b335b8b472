//! Rules that ship.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Measure, Rule};
use crate::duration::Duration;

/// Rules that ship, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Errors above 5 %, the 99th percentile above 5 s, traffic below half of what is expected: of
    /// each service that has the usual metrics in Prometheus.
    GoldenSignals,
}

/// Long enough that one bad scrape is nothing, short enough that an incident is known within two
/// minutes.
const HOLD: Duration = Duration::from_secs(60);
/// A number at the threshold is one incident and not many.
const KEEP: Duration = Duration::from_secs(120);

impl Preset {
    pub const ALL: [Self; 1] = [Self::GoldenSignals];

    pub const fn name(self) -> &'static str {
        match self {
            Self::GoldenSignals => "golden-signals",
        }
    }

    pub fn rules(self) -> Vec<Rule> {
        match self {
            Self::GoldenSignals => vec![error_rate(), latency(), traffic()],
        }
    }
}

fn error_rate() -> Rule {
    Rule {
        query: Some(
            "sum by (namespace, service) (rate(http_requests_total{code=~\"5..\"}[2m])) \
             / sum by (namespace, service) (rate(http_requests_total[2m]))"
                .to_owned(),
        ),
        called: Some("errorRate".to_owned()),
        above: Some(0.05),
        // Only the application knows how many people the failed requests are; where it does not
        // say, the alert does not either.
        also: IndexMap::from([(
            "affectedUsers".to_owned(),
            query("sum by (namespace, service) (http_requests_affected_users)"),
        )]),
        ..rule("HighErrorRate", "High Error Rate Detected", "SEV-2", "more than 5 % of the requests fail")
    }
}

fn latency() -> Rule {
    Rule {
        query: Some(percentile("0.99")),
        called: Some("latencyP99".to_owned()),
        above: Some(5000.0),
        also: IndexMap::from([("latencyP95".to_owned(), query(&percentile("0.95")))]),
        ..rule(
            "HighLatency",
            "High Latency Detected",
            "SEV-2",
            "one of a hundred requests takes longer than 5 s",
        )
    }
}

fn traffic() -> Rule {
    Rule {
        // Where a service has vanished with its metrics, its traffic is none.
        query: Some(
            "60 * (sum by (namespace, service) (rate(http_requests_total[2m])) \
             or 0 * sum by (namespace, service) (http_requests_expected))"
                .to_owned(),
        ),
        called: Some("current".to_owned()),
        expected: Some(query("60 * sum by (namespace, service) (http_requests_expected)")),
        below: Some(0.5),
        ..rule(
            "TrafficDrop",
            "Significant Traffic Drop",
            "SEV-1",
            "less than half of the requests that are expected",
        )
    }
}

fn rule(name: &str, title: &str, severity: &str, summary: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        title: Some(title.to_owned()),
        severity: Some(severity.to_owned()),
        hold: HOLD,
        keep_firing_for: KEEP,
        annotations: BTreeMap::from([("summary".to_owned(), summary.to_owned())]),
        ..Rule::default()
    }
}

/// In milliseconds.
fn percentile(share: &str) -> String {
    format!(
        "1000 * histogram_quantile({share}, \
         sum by (namespace, service, le) (rate(http_request_duration_seconds_bucket[2m])))"
    )
}

fn query(text: &str) -> Measure {
    Measure { query: Some(text.to_owned()), cloudwatch: None }
}

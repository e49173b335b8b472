//! What is counted. Names and meanings are documented in docs/server.md, and every label has few
//! values: what the project defines, or words of ours.

use std::time::Duration;

use http::StatusCode;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};
use runbook_desk::{
    cases::Head,
    detect::{Detection, Round},
    kept::{self, Kept as _},
};
use runbook_journal::{DocumentQuery, MOST_DOCUMENTS};
use runbook_telemetry::{Fact, Ledger};
use tokio::sync::watch;

use super::mark::Mark;
use crate::{problem::Problem, site::Site};

/// The upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// Of what people take to answer.
const PATIENCE: [f64; 10] = [10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0, 86_400.0];
/// Of what a disk takes.
const WRITES: [f64; 10] = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

const REQUESTS: &str = "runbook_http_requests_total";
const DURATION: &str = "runbook_http_request_duration_seconds";
const DELIVERIES: &str = "runbook_deliveries_total";
const DELIVERIES_WAITING: &str = "runbook_deliveries_waiting";
const REFUSALS: &str = "runbook_refusals_total";
const RUNS: &str = "runbook_runs";
const RUNS_ENDED: &str = "runbook_runs_ended_total";
const STEPS_ENDED: &str = "runbook_steps_ended_total";
const APPROVAL_WAIT: &str = "runbook_approval_wait_seconds";
const INCIDENTS: &str = "runbook_incidents_open";
const NOTICES: &str = "runbook_notices_total";
const NOTICES_WAITING: &str = "runbook_notices_waiting";
const BLIND: &str = "runbook_detector_blind_seconds";
const UNREADABLE: &str = "runbook_detector_rules_unreadable";
const FIRING: &str = "runbook_detector_series_firing";
const APPEND: &str = "runbook_journal_append_seconds";
const SPANS: &str = "runbook_trace_spans_total";
const BUILD: &str = "runbook_build_info";

/// What is counted since the server began.
pub struct Counters {
    /// Of this server alone: several of them may stand in one process.
    recorder: PrometheusRecorder,
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

impl Default for Counters {
    fn default() -> Self {
        let counters = Self { recorder: recorder() };
        counters.on(|| {
            describe_counter!(REQUESTS, "Requests by route and status.");
            describe_histogram!(DURATION, Unit::Seconds, "How long requests took.");
            describe_counter!(DELIVERIES, "Deliveries of detectors by door and outcome.");
            describe_gauge!(DELIVERIES_WAITING, "Deliveries that are stored and not worked out yet.");
            describe_counter!(REFUSALS, "Requests that were refused to somebody.");
            describe_gauge!(RUNS, "Runs that have not ended, by what becomes of them.");
            describe_counter!(RUNS_ENDED, "Runs that ended here, by how.");
            describe_counter!(STEPS_ENDED, "Steps that ended here, by how.");
            describe_histogram!(APPROVAL_WAIT, Unit::Seconds, "How long gates waited for people.");
            describe_gauge!(INCIDENTS, "Incidents that are not resolved, by severity.");
            describe_counter!(NOTICES, "Notices by channel and what came of a try.");
            describe_gauge!(NOTICES_WAITING, "Notices that are still to be sent.");
            describe_gauge!(BLIND, "For how long a detector could not read a rule, in seconds.");
            describe_gauge!(UNREADABLE, "Rules that a detector cannot read.");
            describe_gauge!(FIRING, "Series that fire, by detector.");
            describe_histogram!(APPEND, Unit::Seconds, "How long entries of runs took to be on disk.");
            describe_counter!(SPANS, "Spans by whether they were exported or dropped.");
            describe_gauge!(BUILD, "The version of the server.");
        });
        counters
    }
}

/// Empty bounds are the only ones that are refused.
fn recorder() -> PrometheusRecorder {
    let with = |builder: PrometheusBuilder, name: &str, bounds: &[f64]| {
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds)
    };
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS);
    let builder = builder.and_then(|builder| with(builder, APPROVAL_WAIT, &PATIENCE));
    let builder = builder.and_then(|builder| with(builder, APPEND, &WRITES));
    builder.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder()
}

impl Counters {
    /// A delivery came through a door: `accepted`, `repeated`, `nothing`, `confirmed`, `refused` or
    /// `limited`.
    pub fn delivery(&self, hook: &str, outcome: &'static str) {
        self.on(|| counter!(DELIVERIES, "hook" => hook.to_owned(), "outcome" => outcome).increment(1));
    }

    /// What a round of a detector came to.
    pub fn round(&self, detector: &str, round: &Round) {
        let name = || detector.to_owned();
        self.on(|| {
            gauge!(BLIND, "detector" => name()).set(round.blind_for().as_secs_f64());
            gauge!(UNREADABLE, "detector" => name()).set(round.failing.len() as f64);
            gauge!(FIRING, "detector" => name()).set(round.firing as f64);
        });
    }

    pub fn request(&self, mark: &Mark, status: StatusCode, took: Duration) {
        // Paths that nobody serves are whatever a client makes up.
        let path = mark.route().unwrap_or("other").to_owned();
        self.on(|| {
            if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                counter!(REFUSALS).increment(1);
            }
            histogram!(DURATION, "path" => path.clone()).record(took.as_secs_f64());
            let status = status.as_u16().to_string();
            counter!(REQUESTS, "method" => mark.method(), "path" => path, "status" => status).increment(1);
        });
    }

    /// All figures, as Prometheus reads them.
    pub async fn text(&self, site: &Site) -> Result<String, Problem> {
        let incidents = incidents(site).await?;
        let waiting = waiting(site).await?;
        let mut notices = Vec::new();
        for (channel, tally) in site.outbox.tallies() {
            let open = site.outbox.waiting(&channel).await?;
            notices.push((channel, tally, open));
        }
        self.on(|| {
            let runs = *site.supervised.borrow();
            gauge!(RUNS, "state" => "driven").set(runs.driven as f64);
            gauge!(RUNS, "state" => "waiting").set(runs.waiting as f64);
            gauge!(BUILD, "version" => site.settings.version).set(1.0);
            gauge!(DELIVERIES_WAITING).set(waiting as f64);
            for (severity, open) in incidents {
                gauge!(INCIDENTS, "severity" => severity).set(open as f64);
            }
            for (channel, tally, open) in notices {
                gauge!(NOTICES_WAITING, "channel" => channel.clone()).set(open as f64);
                for (outcome, count) in [
                    ("sent", tally.sent),
                    ("retried", tally.retried),
                    ("failed", tally.failed),
                    ("dropped", tally.dropped),
                ] {
                    counter!(NOTICES, "channel" => channel.clone(), "outcome" => outcome).absolute(count);
                }
            }
            if let Some(sent) = site.traces.as_ref().map(|traces| traces.sent()) {
                counter!(SPANS, "outcome" => "exported").absolute(sent.exported);
                counter!(SPANS, "outcome" => "dropped").absolute(sent.dropped);
            }
        });
        Ok(self.recorder.handle().render())
    }

    fn on(&self, tell: impl FnOnce()) {
        metrics::with_local_recorder(&self.recorder, tell);
    }
}

impl Site {
    /// Counts what the rounds of a detector come to, until it is told to stop.
    pub async fn count_rounds(&self, detection: &Detection, mut stop: watch::Receiver<bool>) {
        let mut rounds = detection.rounds();
        while !*stop.borrow() {
            if let Some(round) = rounds.borrow_and_update().as_ref() {
                self.counters.round(&detection.detector().name, round);
            }
            tokio::select! {
                changed = rounds.changed() => if changed.is_err() { return },
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }
}

impl Ledger for Counters {
    fn count(&self, fact: &Fact) {
        self.on(|| match fact {
            Fact::Run { runbook, status, recovered } => {
                let recovered = match recovered {
                    Some(true) => "yes",
                    Some(false) => "no",
                    None => "unknown",
                };
                let (runbook, status) = (runbook.clone(), *status);
                counter!(RUNS_ENDED, "runbook" => runbook, "status" => status, "recovered" => recovered)
                    .increment(1);
            }
            Fact::Step { kind, status } => {
                counter!(STEPS_ENDED, "kind" => *kind, "status" => *status).increment(1);
            }
            Fact::Gate { outcome, waited } => {
                histogram!(APPROVAL_WAIT, "outcome" => *outcome).record(waited.as_secs_f64());
            }
            Fact::Part => {}
        });
    }

    fn appended(&self, took: Duration) {
        self.on(|| histogram!(APPEND).record(took.as_secs_f64()));
    }
}

/// How many incidents are open, by severity; a severity of which none is open has a zero.
async fn incidents(site: &Site) -> Result<Vec<(String, usize)>, Problem> {
    let open =
        DocumentQuery { state: Some("open".to_owned()), limit: MOST_DOCUMENTS, ..DocumentQuery::default() };
    let heads = kept::list::<Head>(site.shelf(), open).await?;
    let severity = site.project.severity();
    let of = |head: &kept::Found<Head>| severity.level_for(Some(&head.value.summary.severity)).name.clone();
    let found: Vec<String> = heads.iter().map(of).collect();
    let count = |name: &str| found.iter().filter(|found| *found == name).count();
    Ok(severity.levels().iter().map(|level| (level.name.clone(), count(&level.name))).collect())
}

async fn waiting(site: &Site) -> Result<usize, Problem> {
    let new = DocumentQuery {
        kind: kept::Delivery::KIND.to_owned(),
        state: Some("new".to_owned()),
        limit: MOST_DOCUMENTS,
        ..DocumentQuery::default()
    };
    Ok(site.shelf().documents(&new).await?.len())
}

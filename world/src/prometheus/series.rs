//! The series that exist, each a function of simulated time.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::cluster::pods;
use crate::kubernetes::views::{View, metrics};
use crate::model::{history, latency};
use crate::state::{Component, Segment};
use crate::time::Seconds;

pub(crate) type Labels = BTreeMap<String, String>;

pub(crate) const LABELS: [&str; 10] =
    ["__name__", "code", "container", "deployment", "instance", "job", "le", "namespace", "pod", "service"];

const NAMES: [&str; 15] = [
    "container_memory_working_set_bytes",
    "http_request_duration_seconds_bucket",
    "http_request_duration_seconds_count",
    "http_request_duration_seconds_sum",
    "http_requests_expected",
    "http_requests_total",
    "kube_deployment_spec_replicas",
    "kube_deployment_status_replicas_available",
    "kube_deployment_status_replicas_ready",
    "kube_pod_container_status_restarts_total",
    "request_error_ratio",
    "request_latency_p50_seconds",
    "request_latency_p95_seconds",
    "request_latency_p99_seconds",
    "up",
];

/// Fine where people set objectives, coarse elsewhere. Infinity comes after the last.
const BUCKETS: [f64; 25] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0,
    6.0, 8.0, 10.0, 15.0, 30.0, 60.0,
];

/// One series; `None` where it does not exist.
pub(crate) struct Series<'a> {
    pub labels: Labels,
    value: Box<dyn Fn(Seconds) -> Option<f64> + 'a>,
    from: Seconds,
    until: Seconds,
}

/// A sample is still the newest one this long after the world's present.
const LOOK_BACK: Seconds = 300.0;

impl Series<'_> {
    pub fn at(&self, at: Seconds) -> Option<f64> {
        if at < self.from || at > self.until + LOOK_BACK {
            return None;
        }
        (self.value)(at.min(self.until))
    }
}

/// Everything that can be queried, made when it is first asked for.
pub(crate) struct Data<'a> {
    view: &'a View<'a>,
    histories: BTreeMap<String, Rc<Vec<Segment>>>,
    made: RefCell<BTreeMap<&'static str, Rc<Vec<Series<'a>>>>>,
}

impl<'a> Data<'a> {
    pub fn new(view: &'a View<'a>) -> Self {
        let histories =
            history::until(&view.model, view.now).into_iter().map(|(k, v)| (k, Rc::new(v))).collect();
        Self { view, histories, made: RefCell::new(BTreeMap::new()) }
    }

    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// Unix time, for `time()`.
    pub fn real(&self, at: Seconds) -> f64 {
        self.view.state.timeline.real(at).as_duration().as_secs_f64()
    }

    /// The values of a label, over all series.
    pub fn values(&self, label: &str) -> Vec<String> {
        let all: Vec<_> = NAMES.iter().map(|name| self.series(name)).collect();
        let values: BTreeSet<&String> =
            all.iter().flat_map(|series| series.iter()).filter_map(|s| s.labels.get(label)).collect();
        values.into_iter().cloned().collect()
    }

    /// All series of one name; none for a name that nobody exports.
    pub fn series(&self, name: &str) -> Rc<Vec<Series<'a>>> {
        let Some(name) = NAMES.iter().find(|known| **known == name) else { return Rc::new(Vec::new()) };
        if let Some(made) = self.made.borrow().get(name) {
            return Rc::clone(made);
        }
        let made = Rc::new(self.make(name));
        self.made.borrow_mut().insert(name, Rc::clone(&made));
        made
    }

    fn make(&self, name: &'static str) -> Vec<Series<'a>> {
        match name {
            "container_memory_working_set_bytes" | "kube_pod_container_status_restarts_total" => {
                self.of_pods(name)
            }
            _ => self
                .histories
                .iter()
                .flat_map(|(key, segments)| self.of_workload(name, key, segments))
                .collect(),
        }
    }

    fn of_pods(&self, name: &'static str) -> Vec<Series<'a>> {
        let view = self.view;
        view.pods()
            .map(|pod| {
                let labels = labels(
                    name,
                    [
                        ("namespace", pod.namespace.clone()),
                        ("pod", pod.name.clone()),
                        ("container", pod.deployment.clone()),
                    ],
                );
                let memory = metrics::usage(view, pod).map(|(_, memory)| memory);
                let value: Box<dyn Fn(Seconds) -> Option<f64>> = if name.starts_with("container") {
                    Box::new(move |_| memory)
                } else {
                    Box::new(move |at| Some(f64::from(pods::restarts(pod, at))))
                };
                Series { labels, value, from: pod.created, until: view.now }
            })
            .collect()
    }

    fn of_workload(&self, name: &'static str, key: &str, segments: &Rc<Vec<Segment>>) -> Vec<Series<'a>> {
        let (namespace, workload) = key.split_once('/').unwrap_or(("", key));
        let serves = segments.iter().any(|segment| segment.expected > 0.0);
        let (service, deployment) = (
            [
                ("namespace", namespace.to_owned()),
                ("service", workload.to_owned()),
                ("job", workload.to_owned()),
            ],
            [("namespace", namespace.to_owned()), ("deployment", workload.to_owned())],
        );
        let of_deployment = name.starts_with("kube_");
        if !serves && !of_deployment {
            return Vec::new();
        }
        let plain = if of_deployment { labels(name, deployment) } else { labels(name, service) };
        let with = |label: &str, value: String| {
            let mut labels = plain.clone();
            labels.insert(label.to_owned(), value);
            labels
        };
        match name {
            "http_requests_total" => [("200", 0), ("500", 500), ("503", 503)]
                .into_iter()
                .map(|(code, kind)| {
                    self.counter(with("code", code.to_owned()), segments, move |s| failed(s, kind))
                })
                .collect(),
            "http_request_duration_seconds_bucket" => BUCKETS
                .iter()
                .map(|le| (format!("{le}"), *le))
                .chain([("+Inf".to_owned(), f64::INFINITY)])
                .map(|(told, le)| {
                    self.counter(with("le", told), segments, move |s| latency::share_within(&s.latency, le))
                })
                .collect(),
            "http_request_duration_seconds_count" => vec![self.counter(plain, segments, |_| 1.0)],
            "http_request_duration_seconds_sum" => vec![self.counter(plain, segments, |s| mean(&s.latency))],
            "up" => {
                let labels = with("instance", format!("{workload}.{namespace}:8080"));
                vec![self.gauge(labels, segments, |s| f64::from(u8::from(s.ready > 0)))]
            }
            _ => vec![self.gauge(plain, segments, gauge(name))],
        }
    }

    fn gauge(
        &self,
        labels: Labels,
        segments: &Rc<Vec<Segment>>,
        read: impl Fn(&Segment) -> f64 + 'a,
    ) -> Series<'a> {
        let segments = Rc::clone(segments);
        let from = segments.first().map_or(f64::MAX, |s| s.from);
        let value = Box::new(move |at| history::at(&segments, at).map(&read));
        Series { labels, value, from, until: self.view.now }
    }

    /// Counts the share of requests that `share` takes of each segment.
    fn counter(
        &self,
        labels: Labels,
        segments: &Rc<Vec<Segment>>,
        share: impl Fn(&Segment) -> f64,
    ) -> Series<'a> {
        let mut counted = 0.0;
        let mut points: Vec<(Seconds, f64, f64)> = Vec::with_capacity(segments.len());
        for segment in segments.iter() {
            if let Some((from, _, rate)) = points.last() {
                counted += rate * history::waves(*from, segment.from);
            }
            points.push((segment.from, counted, segment.rps * share(segment)));
        }
        let from = points.first().map_or(f64::MAX, |(from, ..)| *from);
        let value = Box::new(move |at: Seconds| {
            let after = points.partition_point(|(from, ..)| *from <= at);
            let (from, counted, rate) = points.get(after.checked_sub(1)?)?;
            Some(counted + rate * history::waves(*from, at))
        });
        Series { labels, value, from, until: self.view.now }
    }
}

fn labels<const N: usize>(name: &str, pairs: [(&str, String); N]) -> Labels {
    let named = [("__name__", name.to_owned())];
    named.into_iter().chain(pairs).map(|(label, value)| (label.to_owned(), value)).collect()
}

fn failed(segment: &Segment, code: u16) -> f64 {
    match code {
        500 => segment.errors_500,
        503 => segment.errors_503,
        _ => (1.0 - segment.errors_500 - segment.errors_503).max(0.0),
    }
}

fn gauge(name: &'static str) -> impl Fn(&Segment) -> f64 {
    move |segment| match name {
        "http_requests_expected" => segment.expected,
        "kube_deployment_spec_replicas" => f64::from(segment.desired),
        "request_error_ratio" => segment.errors_500 + segment.errors_503,
        "request_latency_p50_seconds" => latency::quantile(&segment.latency, 0.5),
        "request_latency_p95_seconds" => latency::quantile(&segment.latency, 0.95),
        "request_latency_p99_seconds" => latency::quantile(&segment.latency, 0.99),
        _ => f64::from(segment.ready),
    }
}

/// The mean time of a mixture, from its quantiles.
fn mean(mixture: &[Component]) -> f64 {
    mixture
        .iter()
        .map(|c| {
            c.share
                * (0.5 * c.p50 * 0.7
                    + 0.45 * f64::midpoint(c.p50, c.p95)
                    + 0.04 * f64::midpoint(c.p95, c.p99)
                    + 0.01 * c.p99 * 1.6)
        })
        .sum()
}

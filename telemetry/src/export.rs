//! Sends spans to a collector, behind everybody's back: they wait in a bounded queue, and where the
//! collector is away for longer than that, what is new is dropped and counted.

mod client;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::{KeyValue, trace::TraceId};
use opentelemetry_otlp::{
    HttpExporterBuilderSet, RetryPolicy, SpanExporter, SpanExporterBuilder, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use tokio::{sync::Notify, task::JoinHandle};

use self::client::{Answer, Client};
use crate::{Settings, SettingsError, TraceContext};

/// How long to wait before a collector that is away is tried again: from this, twice as long each time,
/// to that.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Takes spans and sends them. A cheap handle; clones share everything.
#[derive(Debug, Clone)]
pub struct Exporter(Arc<Shared>);

type Builder = SpanExporterBuilder<HttpExporterBuilderSet>;

/// What became of the spans that were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    pub exported: u64,
    /// The queue was full, the collector refused them, or the process ended before they were sent.
    pub dropped: u64,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    waiting: Mutex<VecDeque<SpanData>>,
    bell: Notify,
    closing: AtomicBool,
    exported: AtomicU64,
    dropped: AtomicU64,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    /// Begins to send, to where the standard variables say. Must be called within a runtime.
    pub fn open(settings: Settings) -> Result<Self, SettingsError> {
        let client =
            Client::new(settings.timeout).map_err(|error| SettingsError::Exporter(error.to_string()))?;
        Self::start(settings, client, |builder| builder)
    }

    fn start(
        settings: Settings,
        client: Client,
        and: impl FnOnce(Builder) -> Builder,
    ) -> Result<Self, SettingsError> {
        let answers = client.answers();
        // What is to be tried again stays in the queue.
        let builder = SpanExporter::builder().with_http().with_http_client(client);
        let built = and(builder.with_retry_policy(RetryPolicy::disabled())).build();
        let mut sender = built.map_err(|error| SettingsError::Exporter(error.to_string()))?;
        sender.set_resource(&resource());
        let shared = Arc::new(Shared {
            settings,
            waiting: Mutex::default(),
            bell: Notify::new(),
            closing: AtomicBool::new(false),
            exported: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            task: Mutex::default(),
        });
        let work = Work { shared: shared.clone(), sender, answers, away: None };
        let task = tokio::spawn(work.send());
        *shared.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(Self(shared))
    }

    /// Whether spans of a trace are sent at all.
    pub fn takes(&self, trace: TraceId, parent: Option<&TraceContext>) -> bool {
        self.0.settings.sampler.takes(trace, parent)
    }

    /// Takes spans, if there is room. Returns at once.
    pub fn offer(&self, spans: impl IntoIterator<Item = SpanData>) {
        let (mut waiting, most) = (self.0.waiting(), self.0.settings.queue);
        let mut dropped = 0;
        for span in spans {
            if waiting.len() < most && !self.0.closing.load(Ordering::Relaxed) {
                waiting.push_back(span);
            } else {
                dropped += 1;
            }
        }
        drop(waiting);
        self.0.dropped.fetch_add(dropped, Ordering::Relaxed);
        self.0.bell.notify_one();
    }

    pub fn sent(&self) -> Sent {
        Sent {
            exported: self.0.exported.load(Ordering::Relaxed),
            dropped: self.0.dropped.load(Ordering::Relaxed),
        }
    }

    /// Sends what waits, for at most so long. Nothing more is taken.
    pub async fn finish(&self, within: Duration) -> Sent {
        self.0.closing.store(true, Ordering::Relaxed);
        self.0.bell.notify_one();
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut task) = task
            && tokio::time::timeout(within, &mut task).await.is_err()
        {
            task.abort();
        }
        let left = std::mem::take(&mut *self.0.waiting()).len() as u64;
        self.0.dropped.fetch_add(left, Ordering::Relaxed);
        self.sent()
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<SpanData>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// The oldest of what waits. It stays in the queue until it is sent, so that the bound holds.
    fn batch(&self) -> Vec<SpanData> {
        self.waiting().iter().take(self.settings.batch).cloned().collect()
    }

    fn done_with(&self, spans: usize) {
        let mut waiting = self.waiting();
        let spans = spans.min(waiting.len());
        waiting.drain(..spans);
    }
}

/// The one task that sends.
struct Work {
    shared: Arc<Shared>,
    sender: SpanExporter,
    answers: client::Answers,
    /// How long to wait for a collector that is away.
    away: Option<Duration>,
}

impl Work {
    async fn send(mut self) {
        loop {
            let waiting = self.shared.waiting().len();
            if waiting == 0 {
                if self.shared.is_closing() {
                    return;
                }
                self.shared.bell.notified().await;
                continue;
            }
            if waiting < self.shared.settings.batch || self.away.is_some() {
                self.pause().await;
            }
            if !self.send_once().await && self.shared.is_closing() {
                return;
            }
        }
    }

    /// Until others have come to be sent with, or it is time to try again.
    async fn pause(&self) {
        let pause = tokio::time::sleep(self.away.unwrap_or(self.shared.settings.delay));
        tokio::pin!(pause);
        while !self.shared.is_closing() {
            tokio::select! {
                () = &mut pause => return,
                () = self.shared.bell.notified() => {
                    if self.away.is_none() && self.shared.waiting().len() >= self.shared.settings.batch {
                        return;
                    }
                }
            }
        }
    }

    /// Whether the collector has answered, whatever it was.
    async fn send_once(&mut self) -> bool {
        let batch = self.shared.batch();
        let count = batch.len();
        let outcome = self.sender.export(batch).await;
        let (dropped, why) = match (outcome, self.answers.take()) {
            (Ok(()), answer) => {
                let refused = answer.refused.min(count as u64);
                self.shared.exported.fetch_add(count as u64 - refused, Ordering::Relaxed);
                (refused, "the collector refused spans".to_owned())
            }
            (Err(_), answer) if answer.is_passing() => {
                self.keep(&answer);
                return false;
            }
            (Err(error), answer) => (count as u64, answer.why.unwrap_or_else(|| error.to_string())),
        };
        self.shared.done_with(count);
        self.shared.dropped.fetch_add(dropped, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(spans = dropped, why, "spans were dropped");
        }
        if self.away.take().is_some() {
            tracing::info!("the collector of traces is there again");
        }
        true
    }

    /// The collector is away: what waits goes on waiting.
    fn keep(&mut self, answer: &Answer) {
        if self.away.is_none() {
            let why = answer.why.as_deref().unwrap_or("no answer");
            tracing::warn!(why, "the collector of traces is away; spans wait, as long as there is room");
        }
        self.away = Some(self.away.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE)));
    }
}

/// Who sends: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, else this program.
fn resource() -> Resource {
    let asked = Resource::builder().build();
    let name = asked.get(&"service.name".into()).map(|name| name.to_string());
    let named = name.is_some_and(|name| !name.starts_with("unknown_service"));
    let mut builder = Resource::builder();
    if !named {
        builder = builder.with_service_name("runbook");
    }
    if asked.get(&"service.version".into()).is_none() {
        builder = builder.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    }
    builder.build()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub use tests::to as for_tests;

//! The embedded detector through the same door as every other: its messages are signed, verified,
//! stored, and start what an alert of anybody else would start.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use runbook_core::{
    detection::{Measure, Message, Preset, Sample},
    duration::Duration,
    event::Created,
    fault::Fault,
    incident::Closing,
    parse,
    runbook::{Runbook, Source},
    severity::Matrix,
    trigger::Why,
};
use runbook_desk::{
    Desk, House, Parcel, Start,
    detect::{Detection, Detector, Gauge, Sink},
    kept::{self, KeptAlert},
};
use runbook_engine::{Clock, Engine, clock::Manual};
use runbook_intake::{Content, Door, Headers, Proof, Request};
use runbook_journal::{DocumentQuery, Memory, Shelf};

/// Nothing is run here: it is enough that the desk says which runbook it was about to start.
const RUNBOOK: &str = r#"
apiVersion: runbook/v1
name: high-error-rate
inputs: { service: { type: string } }
triggers:
  - source: generic
    when: alert.metrics.errorRate | default(0) > 0.05
    inputs: { service: "${{ alert.service }}" }
    group_by: [service]
steps:
  - { id: pause, wait: 1s }
"#;

#[derive(Debug)]
struct Empty(Arc<Runbook>);

#[async_trait]
impl House for Empty {
    fn runbooks(&self) -> Vec<Arc<Runbook>> {
        vec![self.0.clone()]
    }
    async fn engine(&self, _: &str) -> Result<Engine, String> {
        Err("there is no engine here".to_owned())
    }
    async fn reader(&self, environment: &str) -> Result<Engine, String> {
        self.engine(environment).await
    }
    fn severity(&self) -> Arc<Matrix> {
        Arc::default()
    }
    fn closing(&self) -> Closing {
        Closing::Manual
    }
    async fn created(&self, start: &Start) -> Result<Created, String> {
        Err(format!("{} was to be started with {}", start.runbook, start.inputs))
    }
}

/// The error rate of each service, whatever is asked.
#[derive(Debug, Default)]
struct Panel(Mutex<BTreeMap<&'static str, f64>>);

#[async_trait]
impl Gauge for Panel {
    async fn read(&self, measure: &Measure) -> Result<Vec<Sample>, Fault> {
        let is_rate = measure.query.as_deref().unwrap().contains("5..");
        let services = self.0.lock().unwrap();
        let sample = |(service, value): (&&str, &f64)| Sample {
            labels: [("service", *service), ("namespace", "shop")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            value: *value,
        };
        Ok(services.iter().filter(|_| is_rate).map(sample).collect())
    }
}

/// What the server does with a delivery, without the network between.
#[derive(Debug)]
struct Hook {
    door: Door,
    desk: Desk,
    clock: Manual,
}

#[async_trait]
impl Sink for Hook {
    async fn deliver(&self, message: &Message) -> Result<(), String> {
        let body = message.body.to_string();
        let now = self.clock.now();
        let headers = self.door.sign(&message.id, body.as_bytes(), now).map_err(|error| error.to_string())?;
        let request = Request::new(Headers::from(headers.as_slice()), body.as_bytes(), now);
        let received = self.door.receive(&request, None).map_err(|refusal| refusal.to_string())?;
        let Content::Alerts(alerts) = received.content else { return Err("no alerts".to_owned()) };
        let parcel = Parcel {
            hook: "golden-signals".to_owned(),
            source: Source::Generic,
            environment: "demo".to_owned(),
            number: received.delivery,
            body: body.clone(),
            alerts,
            trace_parent: None,
        };
        self.desk.receive(parcel).await.map_err(|error| error.to_string())?;
        Ok(())
    }
}

#[tokio::test]
async fn what_is_detected_comes_in_like_any_alert() {
    let clock = Manual::at("2026-11-21T03:00:00Z".parse().unwrap());
    let shelf: Arc<dyn Shelf> = Arc::new(Memory::new());
    let runbook = Arc::new(parse::parse("a.yaml", RUNBOOK).runbook.unwrap());
    let desk = Desk::new(shelf.clone(), Arc::new(Empty(runbook)), Arc::new(clock.clone()));
    let proof = Proof::StandardWebhooks { secrets: vec!["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()] };
    let door = Door::new(Source::Generic, proof).unwrap();
    let panel = Arc::new(Panel::default());
    let detection = Detection::new(
        Detector {
            name: "golden-signals".to_owned(),
            rules: Preset::GoldenSignals.rules(),
            every: Detector::EVERY,
            repeat: Duration::from_secs(60),
            timeout: Detector::TIMEOUT,
        },
        panel.clone(),
        Arc::new(Hook { door, desk: desk.clone(), clock: clock.clone() }),
        shelf.clone(),
        Arc::new(clock.clone()),
    );
    let mut delivered = 0;
    let rates = [(0.2, 0.01), (0.2, 0.01), (0.2, 0.3), (0.2, 0.3), (0.3, 0.3), (0.0, 0.3)];
    let calm = std::iter::repeat_n((0.0, 0.3), 5);
    for (api, web) in rates.into_iter().chain(calm) {
        panel.0.lock().unwrap().extend([("api", api), ("web", web)]);
        clock.advance(Detector::EVERY);
        let round = detection.round().await;
        assert_eq!((round.undelivered, round.store, round.failing.len()), (None, None, 0));
        delivered += round.delivered;
        desk.work_once().await.unwrap();
    }
    let alerts = kept::list::<KeptAlert>(&shelf, DocumentQuery::default()).await.unwrap();
    let mut told: Vec<_> = alerts
        .iter()
        .map(|found| {
            let KeptAlert { alert, repeats, outcomes, .. } = &found.value;
            (alert.service.as_deref().unwrap(), found.value.is_firing(), *repeats, outcomes.len())
        })
        .collect();
    told.sort_unstable();
    // The two repeats of each are known by their number and are not worked on again.
    assert_eq!(told, [("api", false, 0, 2), ("web", true, 0, 1)]);
    assert!(delivered > 5, "{delivered} messages");
    let firing = alerts.iter().find(|found| found.value.is_firing()).unwrap();
    let outcome = &firing.value.outcomes[0];
    assert_eq!(outcome.runbook.as_deref(), Some("high-error-rate"));
    assert_eq!(outcome.nothing, Some(Why::Unusable { message: "there is no engine here".to_owned() }));
}

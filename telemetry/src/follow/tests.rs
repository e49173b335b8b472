use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span};
use prost::Message as _;
use runbook_core::{
    Timestamp, Value,
    event::{EndStatus, Summary, genesis},
};
use runbook_journal::{Memory, Observed};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use super::*;
use crate::{
    Fact,
    export::for_tests,
    story::tests::{body, created, ended, event, run},
};

#[derive(Debug, Default)]
struct Counted(Mutex<Vec<Fact>>);

impl Ledger for Counted {
    fn count(&self, fact: &Fact) {
        self.0.lock().unwrap().push(fact.clone());
    }
    fn appended(&self, _: Duration) {}
}

impl Counted {
    fn steps(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|fact| matches!(fact, Fact::Step { .. })).count()
    }
    fn runs(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|fact| matches!(fact, Fact::Run { .. })).count()
    }
}

/// A process: what it journals, it tells.
struct Process {
    journal: Observed<Memory>,
    follower: Arc<Follower>,
    counted: Arc<Counted>,
}

impl Process {
    fn start(shared: &Arc<Memory>, collector: &MockServer) -> Self {
        let counted = Arc::new(Counted::default());
        let exporter = for_tests(&format!("{}/v1/traces", collector.uri()));
        let follower = Follower::new(Some(exporter), Some(counted.clone()));
        follower.begin(shared.clone());
        Self { journal: Observed::new(shared.clone(), follower.clone()), follower, counted }
    }

    async fn append(&self, tip: &mut Tip, bodies: Vec<Body>) {
        let after = tip.seq;
        let mut records = Vec::new();
        for body in bodies {
            tip.seq += 1;
            let record = Record::seal(&event(tip.seq, tip.seq as i64, body), &tip.hash).unwrap();
            tip.hash.clone_from(&record.hash);
            records.push(record);
        }
        let summary = summary();
        self.journal.append(Batch { run: run(), after, records, summary }).await.unwrap();
    }

    async fn end(self) -> Arc<Counted> {
        self.follower.finish(Duration::from_secs(30)).await;
        self.counted
    }
}

fn summary() -> Summary {
    Summary {
        runbook: "calm".to_owned(),
        environment: "production".to_owned(),
        simulated: false,
        status: "running".to_owned(),
        recovered: None,
        requested_by: "ada".to_owned(),
        incident: None,
        started_at: Timestamp::UNIX_EPOCH,
        ended_at: None,
    }
}

/// Where the run stands.
struct Tip {
    seq: u64,
    hash: String,
}

fn tip() -> Tip {
    Tip { seq: 0, hash: genesis(run()) }
}

fn started(step: &str) -> Body {
    body("step_started", serde_json::json!({ "step": step, "attempt": 1, "input": {} }))
}

fn done(step: &str) -> Body {
    ended(step, "succeeded", Value::Null)
}

fn resumed() -> Body {
    Body::RunResumed { owner: "host/2".to_owned() }
}

fn over() -> Body {
    Body::RunEnded { status: EndStatus::Succeeded, recovered: None, reason: None }
}

async fn collector() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    server
}

/// The names of what arrived, with its ids.
async fn arrived(collector: &MockServer) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let mut spans: Vec<Span> = Vec::new();
    for request in collector.received_requests().await.unwrap() {
        let request = ExportTraceServiceRequest::decode(request.body.as_slice()).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        spans.extend(scopes.flat_map(|scope| scope.spans));
    }
    spans.into_iter().map(|span| (span.name, span.trace_id, span.span_id)).collect()
}

fn names(spans: &[(String, Vec<u8>, Vec<u8>)]) -> Vec<&str> {
    spans.iter().map(|(name, ..)| name.as_str()).collect()
}

#[tokio::test]
async fn who_journals_a_run_tells_it_once() {
    let (shared, collector) = (Arc::new(Memory::new()), collector().await);
    let process = Process::start(&shared, &collector);
    let mut tip = tip();
    process.append(&mut tip, vec![created(), started("look")]).await;
    process.append(&mut tip, vec![done("look")]).await;
    process.append(&mut tip, vec![over()]).await;
    let counted = process.end().await;
    assert_eq!(names(&arrived(&collector).await), ["read", "step look", "run calm"]);
    assert_eq!((counted.steps(), counted.runs()), (1, 1));
}

#[tokio::test]
async fn who_takes_a_run_over_tells_it_whole_with_the_same_ids_and_counts_only_its_own() {
    let shared = Arc::new(Memory::new());
    let (before, after) = (collector().await, collector().await);
    let first = Process::start(&shared, &before);
    let mut tip = tip();
    first.append(&mut tip, vec![created(), started("look"), done("look"), started("ask")]).await;
    let counted = first.end().await;
    assert_eq!(counted.steps(), 1);

    let second = Process::start(&shared, &after);
    second.append(&mut tip, vec![resumed()]).await;
    second.append(&mut tip, vec![done("ask"), over()]).await;
    let counted = second.end().await;
    assert_eq!((counted.steps(), counted.runs()), (1, 1), "what the first has counted is not counted again");
    let (before, after) = (arrived(&before).await, arrived(&after).await);
    assert_eq!(names(&before), ["read", "step look"]);
    assert_eq!(names(&after), ["read", "step look", "step ask", "run calm"]);
    assert_eq!(before[..], after[..2], "the same spans have the same ids");
}

#[tokio::test]
async fn what_others_said_in_between_is_read_from_the_journal() {
    let (shared, collector) = (Arc::new(Memory::new()), collector().await);
    let (driver, other) = (Process::start(&shared, &collector), Process::start(&shared, &collector));
    let mut tip = tip();
    driver.append(&mut tip, vec![created(), started("look")]).await;
    // Another process only says something to the run: it tells nothing of it.
    other.append(&mut tip, vec![Body::AlertResolved { ends_at: None }]).await;
    driver.append(&mut tip, vec![done("look")]).await;
    assert_eq!(other.end().await.steps(), 0);
    driver.end().await;
    assert_eq!(names(&arrived(&collector).await), ["read", "step look"]);
}

#[tokio::test]
async fn a_run_that_somebody_else_ended_is_told_by_who_drove_it() {
    let (shared, collector) = (Arc::new(Memory::new()), collector().await);
    let driver = Process::start(&shared, &collector);
    let mut tip = tip();
    driver.append(&mut tip, vec![created(), started("ask")]).await;
    // Into the journal without being observed.
    let process = Process {
        journal: Observed::new(shared.clone(), Arc::new(Deaf)),
        ..Process::start(&shared, &collector)
    };
    process.append(&mut tip, vec![done("ask"), over()]).await;
    driver.end().await;
    assert_eq!(names(&arrived(&collector).await), ["step ask", "run calm"]);
}

#[derive(Debug)]
struct Deaf;

impl Observer for Deaf {
    fn committed(&self, _: Vec<Batch>, _: Duration) {}
}

#[tokio::test]
async fn an_undo_of_an_old_run_does_not_tell_the_run_again() {
    let shared = Arc::new(Memory::new());
    let (before, after) = (collector().await, collector().await);
    let first = Process::start(&shared, &before);
    let mut tip = tip();
    first.append(&mut tip, vec![created(), started("look"), done("look"), over()]).await;
    first.end().await;
    let second = Process::start(&shared, &after);
    second.append(&mut tip, vec![Body::UndoRequested { reason: None }]).await;
    second.append(&mut tip, vec![resumed(), done("look~undo"), over()]).await;
    let counted = second.end().await;
    assert_eq!(names(&arrived(&after).await), ["step look~undo", "undo calm"]);
    assert_eq!(counted.runs(), 0);
}

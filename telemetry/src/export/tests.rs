use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use runbook_core::Timestamp;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use super::*;
use crate::{ids::sampled, settings::Sampler, span::Draft};

const SETTINGS: Settings = Settings {
    sampler: Sampler::ALL,
    queue: 8,
    batch: 4,
    delay: Duration::from_millis(1),
    timeout: Duration::from_secs(5),
};

fn spans(count: usize) -> Vec<SpanData> {
    let context = sampled(TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
    let span = |_| {
        Draft::new(context.clone(), SpanId::INVALID, "x").lasting(Timestamp::UNIX_EPOCH, Timestamp::now())
    };
    (0..count).map(span).collect()
}

/// An exporter to an address, without asking the process's variables for it.
pub fn to(endpoint: &str) -> Exporter {
    let client = Client::new(SETTINGS.timeout).unwrap();
    Exporter::start(SETTINGS, client, |builder| {
        use opentelemetry_otlp::WithExportConfig as _;
        builder.with_endpoint(endpoint)
    })
    .unwrap()
}

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

#[tokio::test]
async fn spans_arrive_in_batches() {
    let server = answering(ResponseTemplate::new(200)).await;
    let exporter = to(&format!("{}/v1/traces", server.uri()));
    exporter.offer(spans(6));
    let sent = exporter.finish(Duration::from_secs(30)).await;
    assert_eq!(sent, Sent { exported: 6, dropped: 0 });
    let mut counts = Vec::new();
    for request in server.received_requests().await.unwrap() {
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
        let body = ExportTraceServiceRequest::decode(request.body.as_slice()).unwrap();
        counts.push(body.resource_spans[0].scope_spans.iter().map(|scope| scope.spans.len()).sum::<usize>());
    }
    assert_eq!(counts, [4, 2]);
}

#[tokio::test]
async fn what_has_no_room_is_dropped_and_counted_while_the_collector_is_away() {
    // Nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let exporter = to(&format!("http://{address}/v1/traces"));
    exporter.offer(spans(100));
    assert_eq!(exporter.sent(), Sent { exported: 0, dropped: 92 });
    assert_eq!(exporter.finish(Duration::from_secs(30)).await, Sent { exported: 0, dropped: 100 });
    exporter.offer(spans(1));
    assert_eq!(exporter.sent().dropped, 101, "after the end nothing is taken");
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_nobody_up() {
    let server = answering(ResponseTemplate::new(200).set_delay(Duration::from_secs(3600))).await;
    let exporter = to(&format!("{}/v1/traces", server.uri()));
    exporter.offer(spans(3));
    assert_eq!(exporter.finish(Duration::from_millis(100)).await, Sent { exported: 0, dropped: 3 });
}

#[tokio::test]
async fn what_the_collector_refuses_is_dropped_and_counted() {
    let server = answering(ResponseTemplate::new(400)).await;
    let exporter = to(&format!("{}/v1/traces", server.uri()));
    exporter.offer(spans(3));
    assert_eq!(exporter.finish(Duration::from_secs(30)).await, Sent { exported: 0, dropped: 3 });

    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: "too old".to_owned() };
    let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
    let server = answering(ResponseTemplate::new(200).set_body_bytes(answer.encode_to_vec())).await;
    let exporter = to(&format!("{}/v1/traces", server.uri()));
    exporter.offer(spans(3));
    assert_eq!(exporter.finish(Duration::from_secs(30)).await, Sent { exported: 1, dropped: 2 });
}

#[tokio::test]
async fn a_collector_that_asks_to_come_again_is_asked_again() {
    let server = MockServer::start().await;
    let once = Mock::given(method("POST")).respond_with(ResponseTemplate::new(503));
    once.up_to_n_times(1).mount(&server).await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let exporter = to(&format!("{}/v1/traces", server.uri()));
    exporter.offer(spans(3));
    let sent = async {
        while exporter.sent().exported == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sent).await.expect("the spans arrive");
    assert_eq!(exporter.sent(), Sent { exported: 3, dropped: 0 });
}

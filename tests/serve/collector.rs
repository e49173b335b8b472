//! A collector of traces in this process, which keeps what it is sent; and a real one to stand before it.

use std::{
    convert::Infallible,
    io::Read as _,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Instant,
};

use flate2::read::GzDecoder;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value as Any},
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message as _;

use crate::server::PATIENCE;

pub struct Collector {
    address: SocketAddr,
    taken: Taken,
}

type Taken = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

impl Collector {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, taken) = (listener.local_addr().unwrap(), Taken::default());
        let into = taken.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let into = into.clone();
                let take = service_fn(move |request| take(into.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), take));
            }
        });
        Self { address, taken }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What arrived, without its compression.
    pub fn bytes(&self) -> Vec<u8> {
        self.taken.lock().unwrap().iter().flat_map(|(_, body)| body.to_vec()).collect()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let taken = self.taken.lock().unwrap();
        Some(taken.first()?.0.get(name)?.to_str().unwrap().to_owned())
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|(_, body)| ExportTraceServiceRequest::decode(&**body).unwrap()).collect()
    }

    pub fn resource(&self) -> Resource {
        let first = self.requests().into_iter().next().unwrap();
        first.resource_spans.into_iter().next().unwrap().resource.unwrap()
    }

    pub fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The spans, once there is one of this name.
    pub async fn wait_for(&self, name: &str) -> Vec<Span> {
        let began = Instant::now();
        loop {
            let spans = self.spans();
            if spans.iter().any(|span| span.name == name) {
                return spans;
            }
            let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
            assert!(began.elapsed() < PATIENCE, "no `{name}` arrives; there are {names:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

async fn take(into: Taken, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let mut response = Response::new(Empty::new());
    match body.collect().await {
        Ok(body) if parts.uri.path() == "/v1/traces" => {
            let mut bytes = body.to_bytes();
            if parts.headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
                let mut plain = Vec::new();
                GzDecoder::new(&*bytes).read_to_end(&mut plain).unwrap();
                bytes = plain.into();
            }
            into.lock().unwrap().push((parts.headers, bytes));
        }
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(response)
}

pub fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => text.clone(),
        Any::BoolValue(flag) => flag.to_string(),
        Any::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// A collector of somebody else's: Rotel, which is one program.
pub struct Rotel(Child);

impl Rotel {
    /// Starts it before a collector of ours, and returns its endpoint; nothing where there is none.
    pub async fn start(before: &Collector) -> Option<(Self, String)> {
        let Ok(program) = std::env::var("RUNBOOK_TEST_ROTEL") else {
            eprintln!("skipped: RUNBOOK_TEST_ROTEL is not set");
            return None;
        };
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (http, grpc) = (free(), free());
        let child = Command::new(program)
            .args(["start", "--otlp-http-endpoint", &http.to_string()])
            .args(["--otlp-grpc-endpoint", &grpc.to_string()])
            .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
            .args(["--otlp-exporter-endpoint", &before.endpoint()])
            .args(["--otlp-exporter-traces-endpoint", &format!("{}/v1/traces", before.endpoint())])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while tokio::net::TcpStream::connect(http).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "Rotel does not listen");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Some((Self(child), format!("http://{http}")))
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        // It may have been ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

//! Traces and logs of the server and of the command line, as those see them who look at them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use serde_json::{Value, json};

use crate::{
    collector::{Collector, Rotel, text},
    project::Project,
    server::{PATIENCE, Server, token},
};

const CONFIG: &str = "
version: 1
playbooks: playbooks
store: sqlite:.runbook/runbook.db
environments:
  local: { http: { allow: [\"http://127.0.0.1:9\"] } }
hooks:
  am: { source: alertmanager, bearer: { env: RUNBOOK_TEST_SECRET } }
";

const RUNBOOK: &str = r#"
apiVersion: runbook/v1
name: calm
triggers: [{ source: alertmanager }]
steps:
  - { id: look, check: http.get, with: { url: "http://127.0.0.1:9/planted-path" }, retry: { limit: 0 } }
  - { id: go, approval: { prompt: "planted-prompt?" } }
  - { id: call, check: http.get, with: { url: "http://127.0.0.1:9/x" }, required: true, retry: { limit: 0 } }
"#;

const ALERT: &str = include_str!("../../intake/tests/cases/alertmanager/one-fires.json");
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn project() -> Project {
    let project = Project::empty();
    project.write("runbook.yaml", CONFIG);
    project.write("playbooks/calm.yaml", RUNBOOK);
    project
}

fn traced<'a>(endpoint: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("RUNBOOK_TEST_SECRET", "sekret"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=planted-header"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ]
}

/// Delivers the alert, and returns the gate of the run that it starts, once that asks.
async fn begun(server: &Server, token: &str) -> Value {
    let client = reqwest::Client::new();
    let hook = client.post(format!("{}/hooks/am?planted=query", server.url)).bearer_auth("sekret");
    let taken = hook.header("traceparent", CALLER).body(ALERT).send().await.unwrap();
    assert_eq!(taken.status(), 202);
    open_gate(server, token).await
}

async fn get(server: &Server, token: &str, path: &str) -> Value {
    let asked = reqwest::Client::new().get(format!("{}{path}", server.url)).bearer_auth(token).send();
    asked.await.unwrap().json().await.unwrap()
}

async fn open_gate(server: &Server, token: &str) -> Value {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "the run asks nothing");
        let open = get(server, token, "/api/v1/approvals").await;
        if let Some(first) = open["items"].as_array().and_then(|open| open.first()) {
            return first.clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn approve(server: &Server, token: &str, gate: &Value) {
    let run = gate["run"].as_str().unwrap();
    let said = json!({ "step": "go", "digest": gate["approval"]["digest"], "comment": "planted-comment" });
    let url = format!("{}/api/v1/runs/{run}/approve", server.url);
    let answer = reqwest::Client::new().post(url).bearer_auth(token).json(&said).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

fn named<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let names = || spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {:?}", names()))
}

/// What a trace of a run looks like, whoever told it.
fn expect_trace(spans: &[Span], run: &str) {
    let of_run: Vec<Span> = spans
        .iter()
        .filter(|span| text(&span.attributes, "runbook.run.id").as_deref() == Some(run))
        .filter(|span| span.kind() == SpanKind::Internal)
        .cloned()
        .collect();
    let traces: BTreeSet<_> = of_run.iter().map(|span| &span.trace_id).collect();
    assert_eq!(traces.len(), 1, "a run is one trace");
    // Who took the run over has told some of it again: the same span with the same id and times.
    let mut by_id: BTreeMap<&[u8], &Span> = BTreeMap::new();
    for span in &of_run {
        let known = by_id.entry(&span.span_id).or_insert(span);
        assert_eq!(*known, span, "{} is told in two ways", span.name);
    }
    let mut names: Vec<&str> = by_id.values().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["approval", "read", "read", "run calm", "step call", "step go", "step look"]);

    let root = named(&of_run, "run calm");
    assert!(root.parent_span_id.is_empty());
    assert_eq!(root.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!(text(&root.attributes, "runbook.run.status").as_deref(), Some("failed"));
    assert_eq!(text(&root.attributes, "runbook.incident.id").as_deref(), Some("INC-1"));
    assert_eq!(text(&root.attributes, "runbook.environment").as_deref(), Some("local"));
    assert_eq!(text(&root.attributes, "runbook.run.asked_by").as_deref(), Some("alert"));
    for step in ["step look", "step go", "step call"] {
        let step = named(&of_run, step);
        assert_eq!(step.parent_span_id, root.span_id, "{}", step.name);
        assert!(step.start_time_unix_nano >= root.start_time_unix_nano, "{}", step.name);
        assert!(step.end_time_unix_nano <= root.end_time_unix_nano, "{}", step.name);
    }
    let (go, gate) = (named(&of_run, "step go"), named(&of_run, "approval"));
    assert_eq!(gate.parent_span_id, go.span_id);
    assert_eq!(text(&gate.attributes, "runbook.outcome").as_deref(), Some("approved"));
    let call = named(&of_run, "step call");
    assert_eq!(call.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!(text(&call.attributes, "error.type").as_deref(), Some("unreachable"));
    assert_eq!(text(&call.attributes, "runbook.action").as_deref(), Some("http.get"));

    // The request of the detector is a part of the detector's trace, and the run links to it.
    let hook = named(spans, "POST /hooks/{name}");
    assert_eq!(hex(&hook.trace_id), CALLER.split('-').nth(1).unwrap());
    assert_eq!(hex(&hook.parent_span_id), CALLER.split('-').nth(2).unwrap());
    assert_eq!((&root.links[0].trace_id, &root.links[0].span_id), (&hook.trace_id, &hook.span_id));
    let approval = named(spans, "POST /api/v1/runs/{run}/approve");
    assert_eq!(approval.kind(), SpanKind::Server);
    assert_eq!((&approval.links[0].trace_id, &approval.links[0].span_id), (&root.trace_id, &root.span_id));
    assert_eq!(text(&approval.attributes, "runbook.run.id").as_deref(), Some(run));
    assert_eq!(text(&approval.attributes, "http.route").as_deref(), Some("/api/v1/runs/{run}/approve"));
    assert_eq!(text(&approval.attributes, "http.response.status_code").as_deref(), Some("200"));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_one_trace_also_after_a_kill() {
    let (project, collector) = (project(), Collector::start().await);
    let endpoint = collector.endpoint();
    let server = Server::start_with(&project, &["--no-login"], &traced(&endpoint));
    let token = token(&project, &["--role", "admin"]);
    let gate = begun(&server, &token).await;
    let before = collector.wait_for("step look").await;
    server.kill();

    let server = Server::start_with(&project, &["--no-login"], &traced(&endpoint));
    approve(&server, &token, &gate).await;
    let spans = collector.wait_for("run calm").await;
    server.stop();
    let spans = [spans, collector.spans()].concat();
    expect_trace(&spans, gate["run"].as_str().unwrap());
    let looks = spans.iter().filter(|span| span.name == "step look");
    assert!(looks.clone().count() > 1, "who took it over has told it from its beginning");
    assert!(looks.into_iter().all(|look| *look == *named(&before, "step look")));

    let resource = collector.resource();
    assert_eq!(text(&resource.attributes, "service.name").as_deref(), Some("runbook"));
    assert_eq!(text(&resource.attributes, "deployment.environment.name").as_deref(), Some("test"));
    assert_eq!(collector.header("x-api-key").as_deref(), Some("planted-header"));
    let bytes = collector.bytes();
    assert!(!contains(&bytes, b"planted"), "neither inputs, prompts, comments nor queries are told");
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_collector_takes_the_trace_as_it_is() {
    let (project, behind) = (project(), Collector::start().await);
    let Some((_rotel, endpoint)) = Rotel::start(&behind).await else { return };
    let server = Server::start_with(&project, &["--no-login"], &traced(&endpoint));
    let token = token(&project, &["--role", "admin"]);
    let gate = begun(&server, &token).await;
    approve(&server, &token, &gate).await;
    behind.wait_for("run calm").await;
    server.stop();
    let spans = behind.wait_for("POST /api/v1/runs/{run}/approve").await;
    expect_trace(&spans, gate["run"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_the_command_line_goes_on_in_the_same_trace() {
    let (project, collector) = (project(), Collector::start().await);
    let endpoint = collector.endpoint();
    let run = |args: &[&str], code: i32| {
        let mut command = project.command(args);
        command.envs(traced(&endpoint)).env("TRACEPARENT", CALLER);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["run", "calm", "--detach"], 3);
    run(&["approve", "latest", "--yes"], 0);
    run(&["resume", "--detach"], 1);
    let spans = collector.spans();
    let root = named(&spans, "run calm");
    assert_eq!(hex(&root.links[0].span_id), CALLER.split('-').nth(2).unwrap());
    assert!(spans.iter().all(|span| span.trace_id == root.trace_id));
    for name in ["step look", "approval", "step go", "step call"] {
        named(&spans, name);
    }
}

#[test]
fn a_collector_that_is_away_changes_nothing_for_a_run() {
    let project = project();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // It takes connections, and never answers.
    let deaf = format!("http://{}", listener.local_addr().unwrap());
    let began = Instant::now();
    let mut command = project.command(["run", "calm", "--detach"]);
    let output = command.envs(traced(&deaf)).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(began.elapsed() < PATIENCE);

    let mut command = project.command(["run", "calm", "--detach"]);
    let output = command.envs(traced(&deaf)).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no traces are sent: OTEL_EXPORTER_OTLP_PROTOCOL=grpc"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_about_a_run_names_it_and_its_incident() {
    let project = project();
    let variables = [("RUNBOOK_TEST_SECRET", "sekret"), ("RUNBOOK_LOG", "info")];
    let server = Server::start_with(&project, &["--no-login"], &variables);
    let token = token(&project, &["--role", "admin"]);
    let gate = begun(&server, &token).await;
    approve(&server, &token, &gate).await;
    let run = gate["run"].as_str().unwrap();
    let began = Instant::now();
    while get(&server, &token, &format!("/api/v1/runs/{run}")).await["status"] != "failed" {
        assert!(began.elapsed() < PATIENCE, "the run does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let client = reqwest::Client::new();
    let asked = client.get(format!("{}/healthz", server.url)).header("x-request-id", "mine-1").send().await;
    assert_eq!(asked.unwrap().headers()["x-request-id"], "mine-1");
    let asked = client.get(format!("{}/healthz", server.url)).header("x-request-id", "no id").send().await;
    assert_eq!(asked.unwrap().headers()["x-request-id"].len(), 32);
    let figures = client.get(format!("{}/metrics", server.url)).send().await.unwrap().text().await.unwrap();
    let log = String::from_utf8(server.stop()).unwrap();

    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |target: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["target"].as_str().unwrap().starts_with(target)).collect()
    };
    let driver = of("runbook_engine");
    assert!(driver.len() >= 5, "{log}");
    for line in driver {
        assert_eq!((line["run"].as_str(), line["incident"].as_str()), (Some(run), Some("INC-1")), "{line}");
    }
    let ended = lines.iter().find(|line| line["message"] == "the run ended").unwrap();
    assert_eq!((ended["status"].as_str(), ended["level"].as_str()), (Some("failed"), Some("info")));
    let began = lines.iter().find(|line| line["message"] == "a run began").unwrap();
    assert_eq!((began["run"].as_str(), began["incident"].as_str()), (Some(run), Some("INC-1")));
    assert!(began["delivery"].as_str().unwrap().starts_with("delivery_"), "{began}");
    let stored = lines.iter().find(|line| line["message"] == "a delivery was stored").unwrap();
    assert_eq!(stored["delivery"], began["delivery"]);
    assert_eq!(stored["request"].as_str().unwrap().len(), 32);
    for word in ["planted", "sekret", &token] {
        assert!(!log.contains(word), "`{word}` is in the log");
    }

    for figure in [
        "runbook_runs_ended_total{runbook=\"calm\",status=\"failed\",recovered=\"unknown\"} 1",
        "runbook_steps_ended_total{kind=\"approval\",status=\"succeeded\"} 1",
        "runbook_approval_wait_seconds_count{outcome=\"approved\"} 1",
        "runbook_deliveries_waiting 0",
    ] {
        assert!(figures.contains(figure), "{figure} is not in\n{figures}");
    }
    assert!(figures.contains("runbook_journal_append_seconds_bucket{le=\"0.001\"}"), "{figures}");
    assert!(figures.contains("runbook_incidents_open{severity="), "{figures}");
    expect_promtool_to_like(&figures);
}

fn expect_promtool_to_like(figures: &str) {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return eprintln!("skipped: promtool is not on the PATH");
        }
        child => child.unwrap(),
    };
    child.stdin.take().unwrap().write_all(figures.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

//! No secret gets out: planted ones are looked for in every answer, in the log and in the files of the
//! store, also in base64 and as URLs have them.

use std::{fs, time::Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    collector::Collector,
    project::Project,
    server::{PATIENCE, Server, token},
};

const CONFIG: &str = "
version: 1
playbooks: playbooks
store: sqlite:.runbook/runbook.db
environments:
  local: { http: { allow: [\"http://127.0.0.1:9\"] } }
people: { groups: { ops: [ada] } }
secrets: { key: { env: CANARY_KEY } }
hooks:
  am: { source: alertmanager, bearer: { env: CANARY_BEARER }, previous: [{ env: CANARY_OLD }] }
  other: { source: generic, secret: { env: CANARY_HMAC } }
notifications:
  - { name: all, kind: webhook, on: [run_started, incident_opened], url: \"http://127.0.0.1:9/\", secret: { env: CANARY_HMAC } }
";

const RUNBOOK: &str = r#"
apiVersion: runbook/v1
name: call
secrets: [key]
triggers: [{ source: alertmanager }]
steps:
  - id: ask
    check: http.get
    with: { url: "http://127.0.0.1:9/x", headers: { authorization: "Bearer ${{ secrets.key }}" } }
  - { id: go, approval: { prompt: "go?", from: [ops] } }
"#;

const CANARIES: [(&str, &str); 4] = [
    ("CANARY_KEY", "canary/key+0123456789"),
    ("CANARY_BEARER", "canary-bearer-0123456789"),
    ("CANARY_OLD", "canary-old-0123456789"),
    ("CANARY_HMAC", "whsec_Y2FuYXJ5LWhtYWMtMDEyMzQ1Njc4OQ=="),
];

const ALERT: &str = include_str!("../../intake/tests/cases/alertmanager/one-fires.json");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_planted_secret_gets_out() {
    let project = Project::empty();
    project.write("runbook.yaml", CONFIG);
    project.write("playbooks/call.yaml", RUNBOOK);
    let mut variables = CANARIES.to_vec();
    variables.push(("RUNBOOK_LOG", "debug"));
    let collector = Collector::start().await;
    let endpoint = collector.endpoint();
    variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint));
    variables.push(("OTEL_BSP_SCHEDULE_DELAY", "20"));
    variables.push(("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary-collector-0123456789"));
    let server = Server::start_with(&project, &[], &variables);
    let token = token(&project, &["--role", "admin"]);
    let client = reqwest::Client::new();
    let mut seen: Vec<(String, Vec<u8>)> = Vec::new();
    for bearer in [CANARIES[1].1, CANARIES[2].1, "canary-wrong-0123456789"] {
        let response = client.post(format!("{}/hooks/am", server.url)).bearer_auth(bearer).body(ALERT).send();
        seen.push((
            format!("the hook with {bearer}"),
            response.await.unwrap().bytes().await.unwrap().to_vec(),
        ));
    }
    let ask = async |path: &str| {
        let response = client.get(format!("{}{path}", server.url)).bearer_auth(&token).send().await.unwrap();
        response.bytes().await.unwrap().to_vec()
    };
    let new = json!({ "runbook": "call", "dry_run": true });
    let dry = client.post(format!("{}/api/v1/runs", server.url)).bearer_auth(&token).json(&new).send();
    seen.push(("a dry-run".to_owned(), dry.await.unwrap().bytes().await.unwrap().to_vec()));
    // The run that the alert started asks, once it has looked.
    let began = Instant::now();
    let open = loop {
        assert!(began.elapsed() < PATIENCE, "the run asks nothing");
        let open: serde_json::Value = serde_json::from_slice(&ask("/api/v1/approvals").await).unwrap();
        if let Some(first) = open["items"].as_array().unwrap().first() {
            break first.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let run = open["run"].as_str().unwrap();
    let paths = [
        "/api/v1/runs",
        "/api/v1/runbooks",
        "/api/v1/alerts",
        "/api/v1/incidents",
        "/api/v1/audit",
        "/api/v1/tokens",
        "/api/v1/approvals",
        "/api/v1/readiness",
        "/metrics",
        "/readyz",
        "/api/v1/incidents/INC-1",
        "/api/v1/incidents/INC-1/timeline",
    ];
    let of_run = ["", "/timeline"].map(|rest| format!("/api/v1/runs/{run}{rest}"));
    for path in paths.into_iter().map(str::to_owned).chain(of_run) {
        seen.push((path.clone(), ask(&path).await));
    }
    collector.wait_for("step ask").await;
    seen.push(("the log".to_owned(), server.stop()));
    seen.push(("the traces".to_owned(), collector.bytes()));
    for file in fs::read_dir(project.path(".runbook")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            seen.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    assert!(seen.iter().any(|(_, bytes)| contains(bytes, b"call")), "what is looked through is not empty");
    let secret = token.rsplit('_').next().unwrap();
    let canaries = CANARIES.iter().map(|(_, value)| *value).chain([
        secret,
        "canary-wrong-0123456789",
        "canary-collector-0123456789",
    ]);
    for canary in canaries {
        let encoded: String = url::form_urlencoded::byte_serialize(canary.as_bytes()).collect();
        for form in [canary.to_owned(), STANDARD.encode(canary), encoded] {
            for (place, bytes) in &seen {
                assert!(!contains(bytes, form.as_bytes()), "`{form}` is in {place}");
            }
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

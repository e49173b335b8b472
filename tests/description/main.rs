//! Whether the API is as its description says: Schemathesis makes up requests from docs/schema/api.json,
//! sends them to the built binary, and holds the answers against it. Reads `RUNBOOK_TEST_SCHEMATHESIS`, the
//! program (tests/description/requirements.txt); says so where it is skipped. Everything is simulated:
//! whatever is made up, nothing outside is reached.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]
#![expect(clippy::print_stderr, reason = "a skipped test says that it is")]

#[path = "../project/folder.rs"]
mod project;
#[expect(dead_code, reason = "this server is neither killed nor measured")]
#[path = "../serve/server.rs"]
mod server;

use std::{collections::BTreeSet, fs, process::Command, time::Instant};

use project::Project;
use serde_json::{Value, json};
use server::{PATIENCE, Server, token};

const DESCRIPTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema/api.json");
const ALERT: &str = include_str!("../../intake/tests/cases/alertmanager/one-fires.json");

const CONFIG: &str = "
version: 1
playbooks: PLAYBOOKS
store: sqlite:.runbook/runbook.db
environments:
  demo: { simulated: high-latency, speed: 240 }
people:
  groups: { sre-oncall: [alice, bob], platform-oncall: [dan], incident-commander: [carol] }
hooks:
  am: { source: alertmanager, bearer: { env: RUNBOOK_TEST_SECRET } }
";

/// What is checked of each answer, and why two things are not.
///
/// - `positive_data_acceptance`: not everything that has the right shape is right. Cursors, runbooks, names
///   of steps and moments in the future are known to the server alone; it says 422, which is described.
/// - `ensure_resource_availability`: what is declared or started is not described by links, so nothing
///   follows it.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_schema_conformance,response_headers_conformance,negative_data_rejection,missing_required_header,\
    unsupported_method,allow_header_conformance,use_after_free,ignored_auth";

/// How many requests are made up for each operation, in each of the two rounds.
const REQUESTS: &str = "25";

#[test]
fn the_api_is_as_its_description_says() {
    let Ok(program) = std::env::var("RUNBOOK_TEST_SCHEMATHESIS") else {
        eprintln!("skipped: RUNBOOK_TEST_SCHEMATHESIS is not set");
        return;
    };
    let project = Project::empty();
    project.write(
        "runbook.yaml",
        &CONFIG.replace("PLAYBOOKS", concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks")),
    );
    let server = Server::start(&project, &[]);
    let site = Site { url: &server.url, token: token(&project, &["--role", "admin"]) };
    let known = site.filled(token(&project, &["--role", "viewer"]));
    project.write("known.toml", &known);
    project.write("unknown.toml", "");
    // What is there, and what is not: both are answered as described.
    for config in ["known.toml", "unknown.toml"] {
        let mut command = Command::new(&program);
        command.args(["--config-file", config, "run", DESCRIPTION, "--url", &server.url]);
        command.args(["--header", &format!("Authorization: Bearer {}", site.token)]);
        // Streams last; what they send is looked at by tests of their own.
        command.args(["--exclude-path-regex", "/events$", "--checks", CHECKS]);
        command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", REQUESTS, "--seed", "1"]);
        command.args(["--generation-database", "none", "--suppress-health-check", "all", "--no-color"]);
        let output = command.current_dir(project.path("")).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{config}: {told}\n{}", String::from_utf8_lossy(&output.stderr));
        eprintln!("{}", told.lines().filter(|line| line.contains(" generated, ")).collect::<String>());
    }
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let description: Value = serde_json::from_slice(&fs::read(DESCRIPTION).unwrap()).unwrap();
    let mut names = BTreeSet::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for operation in operations.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{path}: {name} is there twice");
        }
    }
}

struct Site<'s> {
    url: &'s str,
    token: String,
}

impl Site<'_> {
    fn ask(&self, path: &str, arguments: &[&str]) -> Value {
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail-with-body", "-H", &format!("authorization: Bearer {}", self.token)]);
        command.args(["-H", "content-type: application/json"]).args(arguments);
        let output = command.arg(format!("{}/api/v1{path}", self.url)).output().unwrap();
        assert!(output.status.success(), "{path}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask(path, &["-d", &body.to_string()])
    }

    /// A run that waits for an approval.
    fn waiting(&self) -> String {
        let begun = self.post("/runs", &json!({ "runbook": "high-latency", "reason": "somebody tries it" }));
        let run = begun["run"].as_str().unwrap().to_owned();
        let began = Instant::now();
        while self.ask(&format!("/runs/{run}"), &[])["status"] != "waiting" {
            assert!(began.elapsed() < PATIENCE, "the run asks nothing");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        run
    }

    /// Something of everything; and how Schemathesis is told of it. What ends a run gets one of its own.
    fn filled(&self, spare: String) -> String {
        let incident =
            self.post("/incidents", &json!({ "title": "Checkout is slow", "service": "checkout" }));
        let alert = Command::new("curl")
            .args(["-sS", "--fail-with-body", "-H", "authorization: Bearer sekret", "-d", ALERT])
            .arg(format!("{}/hooks/am", self.url))
            .output()
            .unwrap();
        let alert: Value = serde_json::from_slice(&alert.stdout).unwrap();
        let id = |value: &Value| value.as_str().unwrap().to_owned();
        let named = [
            ("^/api/v1/runs/[{]run[}](/(timeline|approve|reject|delegate|answer))?$", "run", self.waiting()),
            ("^/api/v1/runs/[{]run[}]/(cancel|undo)$", "run", self.waiting()),
            ("^/api/v1/incidents/", "id", id(&incident["id"])),
            ("^/api/v1/alerts/", "id", id(&alert["alerts"][0])),
            ("^/api/v1/tokens/", "id", spare.split('_').nth(1).unwrap().to_owned()),
            ("^/api/v1/runbooks/", "name", "high-latency".to_owned()),
        ];
        let told = named.map(|(paths, name, value)| {
            format!("[[operations]]\ninclude-path-regex = '{paths}'\nparameters = {{ {name} = '{value}' }}\n")
        });
        told.concat()
    }
}

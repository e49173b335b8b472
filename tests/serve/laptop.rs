//! From somebody's own laptop: signing in at a real provider, and approving over the API.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    time::Instant,
};

use reqwest::Client;
use serde_json::{Value, json};
use url::Url;

use crate::{
    browser::{Arrived, Browser},
    project::{Project, Said},
    server::{PATIENCE, Server, token},
};

const RUNBOOK: &str = "
apiVersion: runbook/v1
name: ask
steps: [{ id: go, approval: { prompt: 'shall it go?', from: [ops] } }]
";

fn config(oidc: &str) -> String {
    format!(
        "
version: 1
playbooks: playbooks
store: sqlite:.runbook/runbook.db
environments: {{ empty: {{}} }}
people: {{ groups: {{ ops: [oncall] }} }}
auth:
  roles: [{{ role: approver, to: [sre-oncall] }}, {{ role: admin, to: [\"token:ci\"] }}]
{oidc}"
    )
}

/// A command on another machine: with nothing of the project's.
fn there(laptop: &Project, args: &[&str]) -> Command {
    let mut command = laptop.command(args);
    command.env("XDG_STATE_HOME", laptop.path("state"));
    command
}

fn said(laptop: &Project, args: &[&str]) -> Said {
    let output = there(laptop, args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_signs_in_from_a_shell_and_approves() {
    let Ok(issuer) = std::env::var("RUNBOOK_TEST_OIDC") else {
        eprintln!("skipped: RUNBOOK_TEST_OIDC is not set");
        return;
    };
    let (project, laptop) = (Project::empty(), Project::empty());
    project.write("runbook.yaml", &config(""));
    project.write("playbooks/ask.yaml", RUNBOOK);
    let server = Server::start(&project, &[]);
    let url = server.url.as_str();
    said(&laptop, &["approvals", "--server", url]).ends_with_code(7);
    let none = said(&laptop, &["sign-in", "--server", url]).ends_with_code(2);
    assert!(none.stderr.contains("this server has no OpenID provider"), "{}", none.stderr);
    let oidc = format!(
        "  oidc: {{ issuer: \"{issuer}\", client_id: runbook-public, redirect_url: \"{url}/login/callback\" }}"
    );
    project.write("runbook.yaml", &config(&oidc));
    server.signalled("-HUP", "read anew: ");

    let mut signing_in = there(&laptop, &["sign-in", "--server", url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = String::new();
    BufReader::new(signing_in.stderr.take().unwrap()).read_line(&mut told).unwrap();
    let (_, told) = told.split_once("open ").unwrap();
    let (place, code) = told.trim().split_once(" and confirm the code ").unwrap();
    let mut place: Url = place.parse().unwrap();
    place.set_query(None);
    match Browser::new().walk(&place, "oncall", &[("user_code", code)], "http://never.example.com").await {
        Arrived::Page(page) => assert!(page.contains("Sign-in Success"), "{page}"),
        Arrived::Back(url) => panic!("sent to {url}"),
    }
    let mut answer = String::new();
    signing_in.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
    assert!(signing_in.wait().unwrap().success());
    assert!(answer.starts_with(&format!("signed in to {url}/ as oncall, until ")), "{answer}");
    let folder = laptop.path("state/runbook/servers");
    let [file] =
        &std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>()[..]
    else {
        panic!("one server is known")
    };
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);

    let ci = token(&project, &["--role", "admin", "--service", "ci"]);
    let start =
        Client::new().post(format!("{url}/api/v1/runs")).bearer_auth(&ci).json(&json!({ "runbook": "ask" }));
    assert!(start.send().await.unwrap().status().is_success());
    let began = Instant::now();
    let open = loop {
        let open =
            said(&laptop, &["approvals", "--server", url, "--output", "json"]).ends_with_code(0).json();
        match open.as_array().unwrap().first() {
            Some(one) => break one.clone(),
            None => assert!(began.elapsed() < PATIENCE, "nothing is asked"),
        }
    };
    let shown = said(&laptop, &["approvals", "--server", url]).ends_with_code(0).stdout;
    assert!(shown.contains("shall it go?") && shown.contains("1 of ops"), "{shown}");
    let run = open["run"].as_str().unwrap();
    let other = ["approve", run, "--server", url, "--yes", "--digest", "sha256:00"];
    said(&laptop, &other).ends_with_code(6);
    let approved = said(&laptop, &["approve", "latest", "--server", url, "--yes", "--comment", "from home"]);
    assert_eq!(approved.ends_with_code(0).stdout, format!("approved: go of run {run}\n"));
    said(&laptop, &["reject", run, "--server", url]).ends_with_code(2);
    let timeline: Value = Client::new()
        .get(format!("{url}/api/v1/runs/{run}/timeline"))
        .bearer_auth(&ci)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(timeline.to_string().contains("from home"), "{timeline}");

    // The token is one like others: it is listed, and ends when it is revoked.
    let tokens = project.runbook(["token", "list", "--output", "json"]).ends_with_code(0).json();
    let own = tokens.as_array().unwrap().iter().find(|token| token["owner"] == "oncall").unwrap();
    project.runbook(["token", "revoke", own["id"].as_str().unwrap()]).ends_with_code(0);
    let out = said(&laptop, &["approvals", "--server", url]).ends_with_code(7);
    assert!(out.stderr.contains("you are not signed in to"), "{}", out.stderr);
    let unsafe_one =
        said(&laptop, &["approvals", "--server", "http://runbook.example.com"]).ends_with_code(2);
    assert!(unsafe_one.stderr.contains("https://"), "{}", unsafe_one.stderr);
}

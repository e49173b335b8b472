//! Several servers on one store: one is killed, and another takes its runs over.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use runbook_core::event::{Body, verify};
use runbook_journal::{Journal as _, Postgres, RunHead, RunQuery};
use serde_json::json;

use crate::{
    database::Database,
    project::Project,
    server::{PATIENCE, Server},
};

const GROUPS: usize = 6;

const RUNBOOK: &str = r#"
apiVersion: runbook/v1
name: slow
inputs: { service: { type: string } }
triggers:
  - source: alertmanager
    when: alert.labels.alertname == "Slow"
    inputs: { service: "${{ alert.labels.service }}" }
    group_by: [service]
steps:
  - id: think
    wait: 3s
  - id: mark
    action: command.run
    with:
      target: "${{ inputs.service }}"
      argv: [mark, "${{ inputs.service }}"]
      observe: [count, "${{ inputs.service }}"]
      after: 1
  - { id: go, approval: { prompt: "go?", from: [ops] } }
"#;

fn project(url: &str) -> Project {
    let project = Project::empty();
    let user = Command::new("id").arg("-un").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap();
    let script = |name: &str, text: &str| {
        project.write(name, &format!("#!/bin/sh\n{text}\n"));
        let path = project.path(name);
        assert!(Command::new("chmod").arg("+x").arg(&path).status().unwrap().success());
        path.display().to_string()
    };
    // Each change leaves a line: a second one would be seen.
    let marks = project.path("marks").display().to_string();
    fs::create_dir_all(&marks).unwrap();
    let mark = script("mark", &format!("echo done >> '{marks}'/\"$1\""));
    let count = script("count", &format!("cat '{marks}'/\"$1\" 2>/dev/null | wc -l"));
    let config = json!({
        "version": 1, "playbooks": "playbooks", "store": url, "default_environment": "here",
        "environments": { "here": { "command": { "allow": [
            { "name": "mark", "program": mark, "args": ["*"], "effect": "write" },
            { "name": "count", "program": count, "args": ["*"], "effect": "read" },
        ] } } },
        "people": { "groups": { "ops": [user.trim()] } },
        "hooks": { "am": { "source": "alertmanager", "bearer": { "env": "RUNBOOK_TEST_SECRET" } } },
    });
    project.write("runbook.yaml", &config.to_string());
    project.write("playbooks/slow.yaml", RUNBOOK);
    project
}

fn delivery(minute: usize) -> String {
    let alert = |service: usize| {
        json!({
            "status": "firing",
            "labels": { "alertname": "Slow", "service": format!("service-{service}") },
            "annotations": {}, "startsAt": format!("2026-11-21T08:{minute:02}:00Z"),
            "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus.example/graph",
            "fingerprint": format!("{service:016x}"),
        })
    };
    json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "receiver": "runbook", "status": "firing",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am.example",
        "alerts": (0..GROUPS).map(alert).collect::<Vec<_>>(),
    })
    .to_string()
}

async fn send(server: &Server, body: String) {
    let request = reqwest::Client::new().post(format!("{}/hooks/am", server.url)).bearer_auth("sekret");
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 202);
}

/// All runs, once each is as it is to be.
async fn runs(journal: &Postgres, ready: impl Fn(&RunHead) -> bool) -> Vec<RunHead> {
    let began = Instant::now();
    loop {
        let runs = journal.runs(&RunQuery::default()).await.unwrap();
        if runs.len() >= GROUPS && runs.iter().all(&ready) {
            return runs;
        }
        assert!(began.elapsed() < PATIENCE, "{runs:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_is_stood_in_for() {
    let Some(database) = Database::new().await else { return };
    let project = project(&database.url());
    let (one, other) = (Server::start(&project, &[]), Server::start(&project, &[]));
    let journal = database.open().await;
    // Each hears of the same alerts, and of newer ones of the same groups.
    for (server, minute) in [(&one, 0), (&other, 0), (&other, 1), (&one, 2)] {
        send(server, delivery(minute)).await;
    }
    let heads = runs(&journal, |_| true).await;
    assert_eq!(heads.len(), GROUPS, "one active run for each group");
    // Both have their share, or one has all: it is the one that goes.
    let sql = database.sql().await;
    let driven = "SELECT count(*) FROM claims";
    assert!(sql.query_one(driven, &[]).await.unwrap().get::<_, i64>(0) > 0, "nobody drives anything");
    one.kill();

    let began = Instant::now();
    for head in heads {
        // Until it has come to its gate.
        let run = head.run.to_string();
        while project.runbook(["approve", &run, "--yes"]).code != 0 {
            assert!(began.elapsed() < PATIENCE, "{:#?}", project.runbook(["show", &run]));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let ended = runs(&journal, |head| head.summary.ended_at.is_some()).await;
    assert_eq!(ended.len(), GROUPS);
    for head in &ended {
        assert_eq!(head.summary.status, "succeeded");
        let records = journal.read(head.run, 0).await.unwrap();
        assert_eq!(verify(head.run, &records, head.seq), Ok(()));
        let applied = records
            .iter()
            .filter(|record| matches!(record.open().unwrap().body, Body::ApplyStarted { .. }))
            .count();
        assert_eq!(applied, 1);
    }
    for service in 0..GROUPS {
        let marks = fs::read_to_string(project.path(&format!("marks/service-{service}"))).unwrap();
        assert_eq!(marks, "done\n", "service-{service} was changed once");
    }
    let log = String::from_utf8(other.stop()).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

//! The built binary against a real Kubernetes API server and a real Prometheus: the incident of
//! the README, for real. Reads `RUNBOOK_TEST_KUBECONFIG`, `RUNBOOK_TEST_KUBECONFIG_NOBODY`,
//! `RUNBOOK_TEST_PROMETHEUS` and `RUNBOOK_TEST_METRICS_PAGE`; says so where it is skipped.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]
#![expect(clippy::print_stderr, reason = "a skipped test says that it is")]

mod site;

use runbook_browser::Browser;
use serde_json::Value;
use site::Site;

#[test]
fn a_dry_run_validates_with_the_server_and_changes_nothing() {
    let Some(site) = Site::new() else { return };
    let before = site.versions();
    let plan = site.json(&["run", "mitigate-latency", "--dry-run"], 0);
    assert_eq!(site.versions(), before, "not one resourceVersion moved");
    assert_eq!(
        (&plan["status"], &plan["writes_sent"], &plan["simulated"]),
        (&"complete".into(), &0.into(), &false.into())
    );
    let rollback = step(&plan, "mitigate.rollback");
    assert_eq!((&rollback["verdict"], &rollback["grade"]), (&"would_run".into(), &"validated".into()));
    let diff = rollback["change"]["diff"].as_str().unwrap();
    assert!(diff.contains("- ") && diff.contains("api:2") && diff.contains("api:1"), "{diff}");
    assert_eq!(step(&plan, "mitigate.scale")["verdict"], "may_run");
}

#[test]
fn an_incident_is_mitigated_verified_and_can_be_taken_back() {
    let Some(site) = Site::new() else { return };
    assert_eq!(site.image(), "registry.test/api:2");
    let run = site.start(&["run", "mitigate-latency", "--output", "json"]);
    let id = site.await_gate("mitigate.rollback");
    site.text(&["approve", &id, "mitigate.rollback", "--comment", "go"], 0);
    site.await_image("registry.test/api:1");
    site.latency(0.2);
    let document = site.finish(run, 0);
    assert_eq!((&document["status"], &document["recovered"]), (&"succeeded".into(), &true.into()));
    assert_eq!(step(&document, "mitigate.rollback")["status"], "succeeded");
    assert_eq!(step(&document, "soak")["status"], "succeeded");
    assert_eq!(site.ready(), 3);
    site.text(&["timeline", &id, "--verify"], 0);

    let undo = site.start(&["undo", &id, "--output", "json"]);
    let again = site.await_gate("mitigate.rollback~undo");
    assert_eq!(again, id);
    site.text(&["approve", &id, "mitigate.rollback~undo"], 0);
    let document = site.finish(undo, 0);
    assert_eq!(document["status"], "undone");
    assert_eq!(site.image(), "registry.test/api:2", "the revision is back");
}

/// Prometheus finds it, Alertmanager delivers it, an incident opens, the runbook starts, a second person
/// approves in a browser, the deployment is rolled back, recovery is verified, and the resolved alert closes the loop.
#[test]
fn an_alert_of_the_real_alertmanager_is_brought_to_its_end() {
    if std::env::var_os("RUNBOOK_TEST_ALERTMANAGER").is_none() {
        eprintln!("skipped: RUNBOOK_TEST_ALERTMANAGER is not set");
        return;
    }
    let (Some(mut browser), Some(mut watcher)) = (Browser::start(), Browser::start()) else { return };
    let Some(site) = Site::new() else { return };
    let server = site.serve();
    let mine = |incident: &Value| incident["service"] == site.service();
    let incident = site.until("an incident to open", || {
        let open = server.get("incidents?state=open")?;
        open["items"].as_array()?.iter().find(|incident| mine(incident)).cloned()
    });
    let id = incident["id"].as_str().unwrap().to_owned();
    let asked = site.until("the rollback to ask", || {
        let open = server.get("approvals")?;
        open["items"]
            .as_array()?
            .iter()
            .find(|one| one["incident"] == id && one["step"] == "mitigate.rollback")
            .cloned()
    });
    assert_eq!(site.image(), "registry.test/api:2", "nothing is changed before somebody approves");
    let home = "http://127.0.0.1:18080/";
    let sign_in = |browser: &mut Browser, name: &str| {
        let page = browser.open(site.text(&["sign-in", name, "--url", home, "-q"], 0).trim());
        browser.reads(&page, name);
    };
    sign_in(&mut browser, "bob");
    sign_in(&mut watcher, "eve");
    let watched = watcher.open(&format!("{home}incidents/{id}"));
    watcher.reads(&watched, "investigating");
    let run = asked["run"].as_str().unwrap();
    let decide = browser.open(&format!("{home}runs/{run}/approve?step=mitigate.rollback"));
    browser.reads(&decide, "registry.test/api:1");
    browser.press(&decide, "Approve: change api in production");
    site.await_image("registry.test/api:1");
    site.latency(0.2);
    let resolved = site.until("the incident to be resolved", || {
        server.get(&format!("incidents/{id}")).filter(|incident| incident["state"] == "resolved")
    });
    assert_eq!(resolved["resolution"]["verified"], true, "{resolved:#}");
    // The page that was open all the time shows it, without being loaded again.
    watcher.reads(&watched, "resolved");
    let timeline = server.get(&format!("incidents/{id}/timeline?limit=500")).unwrap();
    // The newest first.
    let entries = timeline["items"].as_array().unwrap().iter().rev();
    let kinds: Vec<&str> = entries.map(|entry| entry["type"].as_str().unwrap()).collect();
    let in_order = [
        "opened",
        "alert_joined",
        "run_started",
        "run_created",
        "approval_requested",
        "approval_granted",
        "apply_started",
        "apply_returned",
        "alert_resolved",
        "resolved",
    ];
    let mut rest = kinds.iter();
    for kind in in_order {
        assert!(rest.any(|one| *one == kind), "{kind} in its place in {kinds:?}");
    }
}

#[test]
fn a_concurrent_edit_voids_the_approval_and_is_shown() {
    let Some(site) = Site::new() else { return };
    let run = site.start(&["run", "mitigate-latency", "--output", "json"]);
    let id = site.await_gate("mitigate.rollback");
    let first = site.digest(&id, "mitigate.rollback");
    site.kubectl(&["set", "env", "deployment/api", "ADDED=meanwhile"]);
    site.text(&["approve", &id, "mitigate.rollback"], 0);
    let second = site.await_other_digest(&id, "mitigate.rollback", &first);
    assert_ne!(first, second);
    let told = site.text(&["timeline", &id], 0);
    assert!(told.contains("ADDED") && told.contains("void"), "{told}");
    site.text(&["reject", &id, "mitigate.rollback", "--comment", "not like this"], 0);
    // The next option needs no approval; it does not help, so the run ends as the runbook says.
    let document = site.finish(run, 1);
    assert_eq!(document["status"], "failed");
    assert_eq!(site.image(), "registry.test/api:2");
}

#[test]
fn a_user_without_rights_is_told_which_are_missing_and_changes_nothing() {
    let Some(site) = Site::new() else { return };
    let before = site.versions();
    let plan = site.json(&["--env", "nobody", "run", "rollback-only", "--dry-run"], 0);
    let rollback = step(&plan, "rollback").to_string();
    assert!(rollback.contains("patch") && rollback.contains("deployments"), "{rollback}");
    let ready = site.json_of(&["--env", "nobody", "preflight", "rollback-only"], &[1, 7]);
    assert!(ready.to_string().contains("patch"), "{ready}");
    let document = site.json(&["--env", "nobody", "run", "rollback-only"], 7);
    assert_eq!(document["writes_sent"], 0);
    assert_eq!(site.versions(), before);
}

#[test]
fn more_replicas_than_the_environment_allows_are_refused_before_anything_is_sent() {
    let Some(site) = Site::new() else { return };
    let before = site.versions();
    let document = site.json(&["run", "scale-only", "-i", "replicas=50"], 7);
    assert_eq!((&document["status"], &document["writes_sent"]), (&"failed".into(), &0.into()));
    assert!(document["reason"].as_str().unwrap().contains("50 replicas are more than the 20"), "{document}");
    assert_eq!(site.versions(), before);
}

#[test]
fn a_plan_is_applied_exactly_or_not_at_all() {
    let Some(site) = Site::new() else { return };
    let plan = site.path("plan.json");
    site.json(&["run", "scale-only", "-i", "replicas=4", "--dry-run", "--plan-out", &plan], 0);
    site.kubectl(&["scale", "deployment/api", "--replicas=2"]);
    let refused = site.both(&["apply", &plan], 6);
    assert!(refused.contains('3') && refused.contains('2'), "old and new are shown: {refused}");
    site.kubectl(&["scale", "deployment/api", "--replicas=3"]);
    let document = site.json(&["apply", &plan], 0);
    assert_eq!(document["status"], "succeeded");
    assert_eq!(site.replicas(), 4);
}

#[test]
fn a_killed_run_is_resumed_without_repeating_its_change() {
    let Some(site) = Site::new() else { return };
    let mut run = site.start(&["run", "restart-and-wait", "--output", "json"]);
    site.await_event("restart", "apply_started");
    run.kill().unwrap();
    run.wait().unwrap();
    let document = site.json(&["resume"], 0);
    assert_eq!(document["status"], "succeeded");
    assert_eq!(site.revision(), 3, "restarted once: {document}");
}

#[test]
fn a_cluster_that_is_not_there_is_said_with_a_hint() {
    let Some(site) = Site::new() else { return };
    let plan = site.json(&["--env", "away", "run", "rollback-only", "--dry-run"], 0);
    assert_eq!(step(&plan, "rollback")["grade"], "unknown");
    let missing = site.both(&["--env", "lost", "run", "rollback-only"], 1);
    assert!(missing.contains("no-such-kubeconfig"), "{missing}");
}

fn step<'a>(document: &'a Value, id: &str) -> &'a Value {
    let steps = document["steps"].as_array().unwrap();
    steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step {id} in {document:#}"))
}

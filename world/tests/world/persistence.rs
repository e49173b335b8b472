//! One state, several processes: each runs its own server on the same directory.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{API, Fixture, STRATEGIC, clock, image, start_with};

#[tokio::test]
async fn two_servers_on_one_directory_are_one_world() {
    let directory = tempfile::tempdir().unwrap();
    let (state, clock) = (Some(directory.path().join("world")), clock());
    let first = start_with("high-latency", state.clone(), clock.clone()).await;
    let second = start_with("high-latency", state.clone(), clock.clone()).await;
    first.change_api(json!({ "image": image(41) })).await;
    assert_eq!(second.get(API).await, first.get(API).await);
    second.flag("heavy-search", false).await;
    assert_eq!(second.world.writes(), 1);
    first.pass(120);
    drop(first);
    drop(second);
    let third = start_with("high-latency", state, clock).await;
    assert_eq!(third.get(API).await["status"]["updatedReplicas"], 3);
    assert!(third.value("request_latency_p95_seconds{service=\"api\"}").await < 0.2);
    assert_eq!(third.world.writes(), 0);
}

/// What there is of replica sets of `api`, which tell how old its revisions are.
async fn revisions(server: &Fixture) -> Vec<Value> {
    let path = "/apis/apps/v1/namespaces/production/replicasets?labelSelector=app=api";
    server.get(path).await["items"].as_array().unwrap().clone()
}

fn made(sets: &[Value]) -> Vec<&str> {
    sets.iter().map(|set| set["metadata"]["creationTimestamp"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_was_made_before_the_first_change_never_changes_its_age_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let (state, clock) = (Some(directory.path().to_owned()), clock());
    let first = start_with("high-latency", state.clone(), clock.clone()).await;
    first.flag("heavy-search", false).await;
    let before = revisions(&first).await;
    drop(first);
    clock.advance(SignedDuration::from_hours(30));
    let second = start_with("high-latency", state, clock).await;
    assert_eq!(revisions(&second).await, before);
    assert!(made(&before).contains(&"2026-11-21T09:42:00Z"));
}

#[tokio::test]
async fn a_world_that_nobody_changed_is_as_old_as_ever_after_a_rest() {
    let directory = tempfile::tempdir().unwrap();
    let (state, clock) = (Some(directory.path().to_owned()), clock());
    let first = start_with("high-latency", state.clone(), clock.clone()).await;
    let (before, api) = (revisions(&first).await, first.get(API).await);
    assert!(made(&before).contains(&"2026-11-21T09:42:00Z"));
    let (dry, body) = (format!("{API}?dryRun=All"), json!({ "spec": { "replicas": 5 } }));
    assert_eq!(first.send(Method::PATCH, &dry, STRATEGIC, &body).await.0, 200, "a dry run changes nothing");
    // Time passes for as long as somebody looks, at the pace of this world.
    for _ in 0..4 {
        first.pass(1_200);
        assert_eq!(revisions(&first).await, before);
    }
    drop(first);
    clock.advance(SignedDuration::from_hours(30));
    let second = start_with("high-latency", state.clone(), clock.clone()).await;
    let after = revisions(&second).await;
    assert_eq!(after.len(), before.len());
    assert!(made(&after).contains(&"2026-11-22T15:43:20Z"), "18 minutes ago: {:?}", made(&after));
    assert!(second.value("request_latency_p95_seconds{service=\"api\"}").await > 2.0);
    let known = second.get(API).await;
    for field in ["uid", "resourceVersion", "generation"] {
        assert_eq!(known["metadata"][field], api["metadata"][field], "{field}");
    }
    // A running server rests as well; whoever writes first after that finds the present.
    clock.advance(SignedDuration::from_hours(5));
    second.change_api(json!({ "image": image(41) })).await;
    let frozen = revisions(&second).await;
    assert!(made(&frozen).contains(&"2026-11-22T20:43:20Z"), "{:?}", made(&frozen));
    // From the first change on the world goes its way: what was done holds, and can be taken back.
    clock.advance(SignedDuration::from_hours(24));
    let third = start_with("high-latency", state, clock).await;
    assert_eq!(made(&revisions(&third).await), made(&frozen));
    assert!(third.value("request_latency_p95_seconds{service=\"api\"}").await < 0.2);
}

#[tokio::test]
async fn a_reset_also_reaches_a_server_that_is_running() {
    let directory = tempfile::tempdir().unwrap();
    let running = start_with("high-latency", Some(directory.path().to_owned()), clock()).await;
    running.scale_api(7).await;
    let uid = running.get(API).await["metadata"]["uid"].clone();
    running.pass(6_000);
    runbook_world::reset(directory.path(), "high-latency").unwrap();
    let anew = running.get(API).await;
    assert_eq!(anew["spec"]["replicas"], 3);
    assert_ne!(anew["metadata"]["uid"], uid, "plans that were made for the old one do not fit the new one");
}

#[tokio::test]
async fn a_state_keeps_the_speed_it_was_made_with() {
    let directory = tempfile::tempdir().unwrap();
    let state = Some(directory.path().to_owned());
    drop(start_with("high-latency", state.clone(), clock()).await);
    let options = runbook_world::Options { state, speed: 1, ..Default::default() };
    let world = runbook_world::World::start_with_clock(options, clock()).await.unwrap();
    assert_eq!(world.speed(), 60);
    world.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let options = |scenario: &str| runbook_world::Options { scenario: scenario.into(), ..Default::default() };
    let unknown = runbook_world::World::start(options("nope")).await.unwrap_err().to_string();
    assert!(
        unknown.contains("no simulated scenario is named `nope`") && unknown.contains("high-latency"),
        "{unknown}"
    );
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("high-latency.json"), "{}").unwrap();
    let broken =
        runbook_world::Options { state: Some(directory.path().to_owned()), ..options("high-latency") };
    let broken = runbook_world::World::start(broken).await.unwrap_err().to_string();
    assert!(broken.contains("runbook world high-latency --reset"), "{broken}");
    let taken = start_with("high-latency", None, clock()).await;
    let listen = taken.world.base_url().trim_start_matches("http://").parse().unwrap();
    let busy = runbook_world::Options { listen, ..options("high-latency") };
    let busy = runbook_world::World::start(busy).await.unwrap_err().to_string();
    assert!(busy.contains("cannot listen on 127.0.0.1"), "{busy}");
}

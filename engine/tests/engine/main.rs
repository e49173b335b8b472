//! The engine over a journal in memory, with an action provider of these tests and a clock that
//! jumps: runs as users see them, without waiting for anything.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

mod provider;
mod recalled;

use std::{collections::BTreeMap, sync::Arc};

use futures::StreamExt;
use provider::{Shelf, Vault};
use runbook_contract::{Access, Mode, Registry};
use runbook_core::{
    Timestamp, Value,
    duration::Duration,
    event::{Actor, Body, Created, Hands, RunId},
    fault::FaultKind,
    policy::Policy,
    run::{Input, Run},
    runbook::Runbook,
};
use runbook_engine::{Engine, EngineError, Setup, Until, clock::Jumping};
use runbook_journal::{Journal, JournalError, Memory};
use serde_json::json;

/// An engine, its journal and what its actions act upon.
struct Bench {
    engine: Engine,
    journal: Arc<Memory>,
    shelf: Arc<Shelf>,
    access: Arc<Access>,
}

fn bench(mode: Mode) -> Bench {
    let journal = Arc::new(Memory::new());
    bench_on(journal, Arc::new(Shelf::default()), mode)
}

fn bench_on(journal: Arc<Memory>, shelf: Arc<Shelf>, mode: Mode) -> Bench {
    let access = Access::new(mode);
    let setup = Setup {
        journal: journal.clone(),
        registry: Registry::default().with(shelf.actions(&access)),
        secrets: Arc::new(Vault),
        limits: BTreeMap::from([("shelf.put".to_owned(), json!({ "max": 100 }))]),
        clock: Arc::new(Jumping::from(Timestamp::UNIX_EPOCH)),
        owner: "test/1".to_owned(),
    };
    Bench { engine: Engine::new(setup), journal, shelf, access }
}

fn created(yaml: &str, hands: Hands) -> Created {
    let text = format!("apiVersion: runbook/v1\nname: test\n{yaml}");
    let runbook: Runbook = serde_json::from_value(serde_yaml::from_str::<Value>(&text).unwrap()).unwrap();
    Created {
        runbook: runbook.into(),
        library: BTreeMap::new(),
        inputs: json!({}),
        environment: "test".to_owned(),
        simulated: None,
        speed: 1,
        hands,
        policy: Policy { allow_self: true, ..Policy::default() },
        reason: None,
        overriding: false,
        incident: None,
        alert: Value::Null,
        trace_parent: None,
        bound_to: None,
        planned_at: None,
    }
}

fn alice() -> Actor {
    Actor::cli("alice")
}

impl Bench {
    async fn run(&self, yaml: &str, hands: Hands) -> Run {
        let id = self.engine.start(created(yaml, hands), alice()).await.unwrap();
        self.drive(id).await
    }
    async fn drive(&self, id: RunId) -> Run {
        self.engine.drive(id, Until::Waiting).await.unwrap().finished().await.unwrap()
    }
    async fn approve(&self, run: &Run, step: &str) -> Run {
        let digest = run.node(step).unwrap().gate.as_ref().unwrap().digest.clone();
        let input = Input::Approve { step: step.to_owned(), digest, comment: None, break_glass: false };
        self.engine.say(run.id, &alice(), input).await.unwrap()
    }
    async fn journaled(&self, id: RunId) -> String {
        let records = self.journal.read(id, 0).await.unwrap();
        records.iter().map(|record| String::from_utf8_lossy(&record.bytes).into_owned()).collect()
    }
}

const PUT: &str = "
steps:
  - { id: put, action: shelf.put, with: { slot: a, value: 7 }, approval: { from: [alice] } }
  - { id: look, check: shelf.get, with: { slot: a }, expect: value == 7, required: true }
";

#[tokio::test]
async fn a_run_waits_for_its_gate_and_goes_on_where_it_is_resumed() {
    let bench = bench(Mode::ReadWrite);
    let run = bench.run(PUT, Hands::Live).await;
    assert_eq!((run.status(), bench.shelf.get("a")), ("waiting", 0));
    bench.approve(&run, "put").await;
    let run = bench.drive(run.id).await;
    assert_eq!((run.status(), bench.shelf.get("a"), bench.access.writes_sent()), ("succeeded", 7, 1));
    assert_eq!(bench.engine.verify(run.id).await.unwrap(), Ok(run.seq));
}

#[tokio::test]
async fn a_target_that_was_changed_rests_from_other_runs() {
    const SET: &str = "steps: [{ id: put, action: shelf.put, with: { slot: a, value: 7 } }]";
    const TWICE: &str = "
steps:
  - { id: first, action: shelf.put, with: { slot: a, value: 8 } }
  - { id: second, action: shelf.put, with: { slot: a, value: 9 } }
on_failure: stop
";
    let cooldown = Some(Duration::from_secs(600));
    let resting = |yaml: &str, overriding: bool| Created {
        policy: Policy { allow_self: true, cooldown, ..Policy::default() },
        reason: Some("it is on fire".to_owned()),
        overriding,
        ..created(yaml, Hands::Live)
    };
    let bench = bench(Mode::ReadWrite);
    let run = async |yaml: &str, overriding: bool| {
        let id = bench.engine.start(resting(yaml, overriding), alice()).await.unwrap();
        bench.drive(id).await
    };
    let first = run(SET, false).await;
    assert_eq!((first.status(), bench.shelf.get("a")), ("succeeded", 7));
    let refused = run(TWICE, false).await;
    let fault = refused.decisive_fault().unwrap();
    assert_eq!((refused.status(), fault.kind, bench.shelf.get("a")), ("failed", FaultKind::Denied, 7));
    assert!(fault.message.contains(&format!("changed by {} and is left alone", first.id)), "{fault:?}");
    let gated = SET.replace("value: 7 }", "value: 6 }, approval: { from: [alice] }");
    assert_eq!(run(&gated, false).await.status(), "failed", "nobody is asked for what is refused anyway");
    // Taking a change back waits for nobody.
    bench.engine.say(first.id, &alice(), Input::Undo { reason: None }).await.unwrap();
    let undone = bench.drive(first.id).await;
    assert_eq!((undone.status(), bench.shelf.get("a")), ("undone", 0), "{:?}", undone.decisive_fault());
    assert_eq!((run(TWICE, true).await.status(), bench.shelf.get("a")), ("succeeded", 9), "with a reason");
    // A rest that has ended holds nobody up.
    let later = bench.engine.start(resting("steps: [{ id: w, wait: 11m }]", false), alice()).await.unwrap();
    bench.engine.drive(later, Until::Ended).await.unwrap().finished().await.unwrap();
    assert_eq!(run(SET, false).await.status(), "succeeded");
}

/// A dry-run has a journal of its own, and yet says what other runs keep it from.
#[tokio::test]
async fn a_dry_run_says_what_other_runs_hold() {
    const SET: &str = "steps: [{ id: put, action: shelf.put, with: { slot: a, value: 7 } }]";
    let live = bench(Mode::ReadWrite);
    let cooldown = Some(Duration::from_secs(600));
    let dry = async |overriding: bool| {
        let here = bench_on(Arc::new(Memory::new()), live.shelf.clone(), Mode::ReadOnly);
        let engine = here.engine.beside(live.journal.clone());
        let created = Created {
            policy: Policy { allow_self: true, cooldown, ..Policy::default() },
            reason: Some("it is on fire".to_owned()),
            overriding,
            ..created(SET, Hands::DryRun)
        };
        let id = engine.start(created, alice()).await.unwrap();
        engine.drive(id, Until::Ended).await.unwrap().finished().await.unwrap()
    };
    let (other, target) = (RunId::new(uuid::Uuid::from_u128(7)), "shelf:a");
    let held = |until: u64| {
        let (journal, now) = (live.journal.clone(), Timestamp::UNIX_EPOCH);
        let until = Duration::from_secs(until).after(now);
        async move {
            journal.lock(target, other, now, until).await.unwrap();
            journal.lock(&format!("cool-down/{target}"), other, now, until).await.unwrap();
        }
    };
    assert!(dry(false).await.node("put").unwrap().warnings.is_empty());
    held(60).await;
    let warned = dry(true).await;
    let expected = format!("{other} is changing {target}: this would wait for it to end");
    assert_eq!(warned.node("put").unwrap().warnings, [expected]);
    let refused = dry(false).await;
    let fault = refused.node("put").unwrap().fault.clone().unwrap();
    assert!(fault.message.starts_with(&format!("{target} was changed by {other}")), "{fault:?}");
    assert_eq!(live.access.writes_sent(), 0);
}

#[tokio::test]
async fn an_approval_from_elsewhere_reaches_a_driver_that_waits() {
    let bench = bench(Mode::ReadWrite);
    let id = bench.engine.start(created(PUT, Hands::Live), alice()).await.unwrap();
    let mut drive = bench.engine.drive(id, Until::Ended).await.unwrap();
    let waiting = drive.state().wait_for(|run| run.is_waiting()).await.unwrap().clone();
    assert!(matches!(
        bench.engine.drive(id, Until::Ended).await,
        Err(EngineError::Journal(JournalError::Claimed { .. }))
    ));
    bench.approve(&waiting, "put").await;
    assert_eq!(drive.finished().await.unwrap().status(), "succeeded");
}

#[tokio::test]
async fn a_driver_that_dies_while_applying_changes_nothing_twice() {
    let bench = bench(Mode::ReadWrite);
    let run = bench.run(PUT, Hands::Live).await;
    bench.approve(&run, "put").await;
    // The server acts, but its answer never comes; then the driver dies.
    bench.shelf.hang_after_next_put();
    let drive = bench.engine.drive(run.id, Until::Ended).await.unwrap();
    bench.shelf.hung().await;
    drop(drive);
    let again = bench_on(bench.journal.clone(), bench.shelf.clone(), Mode::ReadWrite);
    // The claim of a dropped driver is free as soon as its task is gone.
    let mut resumed = loop {
        match again.engine.drive(run.id, Until::Ended).await {
            Err(EngineError::Journal(JournalError::Claimed { .. })) => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    let run = resumed.finished().await.unwrap();
    assert_eq!((run.status(), bench.shelf.puts("a")), ("succeeded", 1));
    let told = again.engine.history(run.id).await.unwrap();
    assert!(told.iter().any(|(event, _)| matches!(event.body, Body::DoubtSettled { landed: true, .. })));
}

#[tokio::test]
async fn a_driver_that_is_asked_to_leave_ends_what_it_is_at_and_begins_nothing() {
    let bench = bench(Mode::ReadWrite);
    let yaml = "
steps:
  - { id: first, action: shelf.put, with: { slot: a, value: 1 } }
  - { id: second, action: shelf.put, with: { slot: b, value: 2 } }
";
    bench.shelf.hang_after_next_put();
    let created = created(yaml, Hands::Live);
    let mut drive = bench.engine.launch(created, Actor::cli("ada"), Until::Ended).await.unwrap();
    bench.shelf.hung().await;
    drive.leave();
    bench.shelf.answer();
    let left = drive.finished().await.unwrap();
    assert_eq!((left.status(), bench.shelf.puts("a"), bench.shelf.puts("b")), ("running", 1, 0));
    let run = bench.drive(left.id).await;
    assert_eq!((run.status(), bench.shelf.puts("a"), bench.shelf.puts("b")), ("succeeded", 1, 1));
    let told = bench.engine.history(run.id).await.unwrap();
    let doubted = |body: &Body| matches!(body, Body::DoubtRaised { .. } | Body::DoubtSettled { .. });
    assert!(!told.iter().any(|(event, _)| doubted(&event.body)), "nothing was left in doubt");
}

#[tokio::test]
async fn a_dry_run_sends_no_write_and_lays_its_changes_over_later_reads() {
    let bench = bench(Mode::ReadOnly);
    let run = bench.run(PUT, Hands::DryRun).await;
    assert_eq!(run.status(), "complete");
    assert_eq!((bench.access.writes_sent(), bench.access.writes_refused(), bench.shelf.get("a")), (0, 0, 0));
    let look = run.node("look").unwrap();
    assert_eq!(look.outputs["value"], 7, "as it would be");
    assert_eq!(look.grade.unwrap().to_string(), "predicted");
}

#[tokio::test]
async fn an_action_that_misbehaves_in_a_dry_run_is_stopped_at_the_transport() {
    let bench = bench(Mode::ReadOnly);
    bench.shelf.write_while_validating();
    let run = bench.run(PUT, Hands::DryRun).await;
    assert_eq!((bench.access.writes_sent(), bench.access.writes_refused(), bench.shelf.get("a")), (0, 1, 0));
    assert_eq!(run.node("put").unwrap().fault.as_ref().unwrap().kind, FaultKind::Denied);
}

#[tokio::test]
async fn a_limit_of_the_environment_is_kept_before_anything_is_sent() {
    let bench = bench(Mode::ReadWrite);
    let run = bench.run(&PUT.replace("value: 7 }, approval", "value: 101 }, approval"), Hands::Live).await;
    assert_eq!(run.status(), "failed");
    assert_eq!(run.decisive_fault().unwrap().kind, FaultKind::Denied);
    assert_eq!(bench.access.reads_sent(), 0);
}

#[tokio::test]
async fn a_secret_reaches_the_action_and_nothing_else() {
    let yaml = "
secrets: [token]
steps:
  - { id: put, action: shelf.put, with: { slot: a, value: 7, token: '${{ secrets.token }}' } }
  - { id: leak, check: shelf.echo, with: { slot: 'Bearer ${{ secrets.token }}' } }
";
    let bench = bench(Mode::ReadWrite);
    let run = bench.run(yaml, Hands::Live).await;
    assert_eq!(run.status(), "succeeded", "{run:#?}");
    assert_eq!(bench.shelf.token(), Some("hunter2-hunter2".to_owned()));
    assert!(!bench.journaled(run.id).await.contains("hunter2"));
    let document = runbook_core::report::document(&run, 0);
    assert_eq!(document["steps"][1]["outputs"]["echo"], "Bearer ***");
}

#[tokio::test]
async fn a_secret_where_others_would_see_it_goes_nowhere() {
    let yaml = "
secrets: [token]
steps:
  - { id: put, action: shelf.put, with: { slot: a, value: 7, label: 'x ${{ secrets.token }}' } }
";
    let bench = bench(Mode::ReadWrite);
    let run = bench.run(yaml, Hands::Live).await;
    assert_eq!(run.status(), "failed");
    let fault = run.decisive_fault().unwrap();
    assert_eq!((fault.kind, fault.message.contains("`label`")), (FaultKind::Denied, true), "{fault}");
    assert_eq!((bench.access.reads_sent(), bench.access.writes_sent()), (0, 0));
}

#[tokio::test]
async fn a_mark_that_comes_from_outside_fills_nothing_in() {
    let mut created = created(
        "
secrets: [token]
steps:
  - { id: leak, check: shelf.echo, with: { slot: '${{ inputs.text }}' } }
",
        Hands::Live,
    );
    created.inputs = runbook_core::secret::sanitize(json!({ "text": runbook_core::secret::mark("token") }));
    let bench = bench(Mode::ReadWrite);
    let id = bench.engine.start(created, alice()).await.unwrap();
    let run = bench.drive(id).await;
    assert_eq!(run.status(), "succeeded");
    assert!(!run.node("leak").unwrap().outputs["echo"].as_str().unwrap().contains("hunter2"));
}

#[tokio::test]
async fn two_runs_never_change_one_target_at_once() {
    let bench = bench(Mode::ReadWrite);
    let other = RunId::new(uuid::Uuid::from_u128(9));
    let hour = runbook_core::duration::Duration::from_secs(3600);
    let until = hour.after(Timestamp::UNIX_EPOCH);
    bench.journal.lock("shelf:a", other, Timestamp::UNIX_EPOCH, until).await.unwrap();
    let yaml = "
steps:
  - { id: put, action: shelf.put, with: { slot: a, value: 7 }, timeout: 30s }
";
    let run = bench.run(yaml, Hands::Live).await;
    assert_eq!((run.status(), bench.shelf.get("a")), ("failed", 0));
    bench.journal.unlock("shelf:a", other).await.unwrap();
    let run = bench.run(yaml, Hands::Live).await;
    assert_eq!((run.status(), bench.shelf.get("a")), ("succeeded", 7));
    assert_eq!(
        bench.journal.lock("shelf:a", other, Timestamp::UNIX_EPOCH, until).await.unwrap(),
        3,
        "let go at the end"
    );
}

#[tokio::test]
async fn what_happens_can_be_followed_to_the_end() {
    let bench = bench(Mode::ReadWrite);
    let yaml = "
steps:
  - { id: put, action: shelf.put, with: { slot: a, value: 7 } }
";
    let id = bench.engine.start(created(yaml, Hands::Live), alice()).await.unwrap();
    let following = bench.engine.follow(id, 0).collect::<Vec<_>>();
    let (told, run) = tokio::join!(following, bench.drive(id));
    let told: Vec<u64> = told.into_iter().map(|item| item.unwrap().0.seq).collect();
    assert_eq!(told, (1..=run.seq).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_unknown_run_and_an_unknown_action_are_said() {
    let bench = bench(Mode::ReadWrite);
    let nobody = RunId::new(uuid::Uuid::from_u128(9));
    assert!(matches!(bench.engine.load(nobody).await, Err(EngineError::UnknownRun(_))));
    let run = bench.run("steps: [ { id: a, action: shelf.burn } ]", Hands::Live).await;
    assert!(run.decisive_fault().unwrap().message.contains("no action `shelf.burn`"));
}

//! What an engine remembers of runs is what their journal says, whoever appends meanwhile.

use std::sync::Arc;

use runbook_contract::Mode;
use runbook_core::{
    event::{Actor, Hands, RunId},
    run::{Input, Run},
};
use runbook_engine::{Engine, Until};
use runbook_journal::{RunQuery, every_run};

use super::{bench, bench_on, created};

const GATE: &str = "steps:\n  - { id: go, approval: { prompt: go?, from: [ops] } }";
const RUNS: usize = 6;
const SAID: u64 = 40;

/// All that a state has, without what it shares.
fn told(run: &Run) -> String {
    format!("{run:?}")
}

async fn waiting(engine: &Engine) -> RunId {
    let created = created(GATE, Hands::Live);
    engine.launch(created, Actor::engine(), Until::Waiting).await.unwrap().finished().await.unwrap().id
}

async fn say(engine: &Engine, run: RunId, number: u64) {
    let resumed = Input::Resumed { owner: format!("host-{number}") };
    engine.say(run, &Actor::engine(), resumed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_is_what_the_journal_says_whoever_appends() {
    let one = bench(Mode::ReadWrite);
    let other = bench_on(one.journal.clone(), one.shelf.clone(), Mode::ReadWrite);
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(waiting(&one.engine).await);
    }
    // Both have looked at all of them before either says anything.
    for engine in [&one.engine, &other.engine] {
        assert_eq!(engine.asking(None, |_| true).await.unwrap().len(), RUNS);
    }
    let sayers = [one.engine.clone(), other.engine.clone()].map(|engine| {
        let runs = runs.clone();
        tokio::spawn(async move {
            for number in 0..SAID {
                say(&engine, runs[number as usize % RUNS], number).await;
            }
        })
    });
    while !sayers.iter().all(|sayer| sayer.is_finished()) {
        let heads = every_run(one.journal.as_ref(), RunQuery::default()).await.unwrap();
        for head in heads {
            for engine in [&one.engine, &other.engine] {
                let seen = engine.glance(&head).await.unwrap();
                assert!(seen.seq >= head.seq, "older than what was listed");
                assert_eq!(seen.status(), "waiting");
            }
        }
        tokio::task::yield_now().await;
    }
    for sayer in sayers {
        sayer.await.unwrap();
    }
    for run in runs {
        let fresh = runbook_engine::load(one.journal.as_ref(), run).await.unwrap();
        for engine in [&one.engine, &other.engine] {
            assert_eq!(told(&engine.load(run).await.unwrap()), told(&fresh));
            assert_eq!(told(engine.shared(run).await.unwrap().as_ref()), told(&fresh));
        }
    }
}

#[tokio::test]
async fn a_run_that_has_not_moved_is_not_folded_again() {
    let bench = bench(Mode::ReadWrite);
    let run = waiting(&bench.engine).await;
    let first = bench.engine.shared(run).await.unwrap();
    assert!(Arc::ptr_eq(&first, &bench.engine.shared(run).await.unwrap()));
    say(&bench.engine, run, 1).await;
    let moved = bench.engine.shared(run).await.unwrap();
    assert_eq!(moved.seq, first.seq + 1);
}

#[tokio::test]
async fn all_that_is_asked_is_listed_once_however_much_it_is() {
    let bench = bench(Mode::ReadWrite);
    let mut runs = Vec::new();
    for _ in 0..1_050 {
        runs.push(waiting(&bench.engine).await);
    }
    let asking = bench.engine.asking(None, |_| true).await.unwrap();
    assert!(asking.iter().map(|run| run.id).eq(runs.iter().copied()), "each once, the oldest first");
    assert!(bench.engine.asking(Some("elsewhere"), |_| true).await.unwrap().is_empty());
    assert_eq!(bench.engine.asking(None, |head| head.run == runs[7]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_part_of_a_run_begins_where_another_ended() {
    let bench = bench(Mode::ReadWrite);
    let run = waiting(&bench.engine).await;
    for number in 0..20 {
        say(&bench.engine, run, number).await;
    }
    let whole = bench.engine.history(run).await.unwrap();
    for limit in [1, 4, whole.len(), 500] {
        let mut told = Vec::new();
        loop {
            let after = told.last().map_or(0, |(event, _): &(runbook_core::event::Event, String)| event.seq);
            let part = bench.engine.part(run, after, limit).await.unwrap();
            assert!(part.len() <= limit);
            if part.is_empty() {
                break;
            }
            told.extend(part);
        }
        assert_eq!(told, whole, "parts of {limit}");
    }
}

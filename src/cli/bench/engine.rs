//! The engine: throughput, latency, durability.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::stream::{self, TryStreamExt as _};
use runbook_contract::{Action, Cx, Registry};
use runbook_core::{
    Value,
    change::Observed,
    event::{Actor, Created, Hands},
    fault::Fault,
    policy::Policy,
    runbook::Runbook,
    spec::{ActionSpec, Effect, Grade, Reads, UndoSupport},
};
use runbook_engine::{Engine, NoSecrets, Setup, System, Until};
use runbook_journal::{Address, Batch, Journal, Memory, Observer, Postgres, RunHead, RunQuery, Sqlite, bare};
use serde_json::json;

use super::{
    Args, program,
    scratch::{Scratch, milliseconds, unusable},
};
use crate::{
    cli::App,
    exit::{CliError, Exit},
};

/// How often each measurement is made; the median is told.
const ROUNDS: usize = 5;
/// How many runs, one after the other, tell the latency of a step.
const SINGLE_RUNS: u32 = 50;

pub async fn run(args: &Args, app: &App) -> Result<Exit, CliError> {
    match &args.store {
        Some(url) => on_postgres(args, url, app).await,
        None => on_sqlite(args, app).await,
    }
}

async fn on_sqlite(args: &Args, app: &App) -> Result<Exit, CliError> {
    let folder = Scratch::below(&args.dir)?;
    let sync = bare::sync_time(&folder.0.join("sync"), 500).map_err(|error| unusable(&error))?;
    app.say("measuring the program as a whole …");
    let program = program::measure(&folder.0)?;
    app.say("measuring one run at a time …");
    let journal = Sqlite::open(&folder.0.join("single.db")).await?;
    let (single, durability) = latency(Arc::new(journal), args.steps).await?;
    app.say("recording what the engine hands to its journal …");
    let batches = recorded(args).await?;
    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        app.say(&format!(
            "measuring {} runs, {} at a time: round {round} of {ROUNDS} …",
            args.runs, args.at_once
        ));
        rounds.push(throughput(&folder, args, round, &batches).await?);
    }
    let engine = median(rounds.iter().map(|round| round.engine).collect());
    let bare = median(rounds.iter().map(|round| round.bare).collect());
    let ratio = median(rounds.iter().map(|round| round.engine / round.bare).collect());
    let document = json!({
        "durability": durability,
        "disk_sync_ms": milliseconds(sync),
        "step_ms": milliseconds(single),
        "steps": args.steps,
        "runs": args.runs,
        "at_once": args.at_once,
        "batches": batches.len(),
        "engine_batches_per_s": engine,
        "sqlite_batches_per_s": bare,
        "ratio": ratio,
        "start_ms": milliseconds(program.start.percentile(50)),
        "waiting_resident_kib": program.resident,
        "waiting_private_kib": program.private,
    });
    if app.is_json() {
        app.print(&format!("{document:#}\n"));
        return Ok(Exit::Success);
    }
    app.print(&format!(
        "durability   {durability}, every event synced\n\
         disk         {:.3} ms to sync a page\n\
         one run      {:.3} ms a step, {} steps, no-op\n\
         many runs    {engine:.0} batches/s, {} runs, {} at a time\n\
         SQLite       {bare:.0} batches/s for the same batches, {} to a transaction\n\
         ratio        {:.0} %\n",
        milliseconds(sync),
        milliseconds(single),
        args.steps,
        args.runs,
        args.at_once,
        args.at_once,
        ratio * 100.0,
    ));
    app.print(&program.text());
    Ok(Exit::Success)
}

async fn on_postgres(args: &Args, url: &str, app: &App) -> Result<Exit, CliError> {
    let journal: Arc<dyn Journal> = Arc::new(emptied(url).await?);
    app.say("measuring one run at a time …");
    let (single, durability) = latency(journal.clone(), args.steps).await?;
    app.say("recording what the engine hands to its journal …");
    let batches = recorded(args).await?.len();
    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        app.say(&format!(
            "measuring {} runs, {} at a time: round {round} of {ROUNDS} …",
            args.runs, args.at_once
        ));
        let took = many_runs(&engine(journal.clone()), args).await?;
        rounds.push(batches as f64 / took.as_secs_f64());
    }
    let rate = median(rounds);
    let document = json!({
        "durability": durability,
        "step_ms": milliseconds(single),
        "steps": args.steps,
        "runs": args.runs,
        "at_once": args.at_once,
        "batches": batches,
        "engine_batches_per_s": rate,
    });
    if app.is_json() {
        app.print(&format!("{document:#}\n"));
        return Ok(Exit::Success);
    }
    app.print(&format!(
        "durability   {durability}, every event synced\n\
         one run      {:.3} ms a step, {} steps, no-op\n\
         many runs    {rate:.0} batches/s, {} runs, {} at a time\n",
        milliseconds(single),
        args.steps,
        args.runs,
        args.at_once,
    ));
    Ok(Exit::Success)
}

/// A database that holds nothing but what such measurements have left.
async fn emptied(url: &str) -> Result<Postgres, CliError> {
    let address = Address::parse(url)
        .map_err(|bad| CliError::invalid(format!("--store cannot be used: {bad}")).hint(bad.hint))?;
    let address = match std::env::var("PGPASSWORD") {
        Ok(password) => address.with_password(&password.into()),
        Err(_) => address,
    };
    let journal = Postgres::open(address).await?;
    let others = |head: &RunHead| head.summary.runbook != BENCH || head.summary.environment != BENCH;
    let newest = RunQuery { limit: usize::MAX, ..RunQuery::default() };
    if journal.runs(&newest).await?.iter().any(others) {
        return Err(CliError::invalid("that database holds runs, and a measurement would leave more in it")
            .hint("name one of its own: `createdb bench`"));
    }
    Ok(journal)
}

/// The median time of a step, in runs one after the other.
async fn latency(journal: Arc<dyn Journal>, steps: u32) -> Result<(Duration, String), CliError> {
    let engine = engine(journal);
    let mut taken = Vec::new();
    for _ in 0..SINGLE_RUNS {
        let began = Instant::now();
        one_run(&engine, steps).await?;
        taken.push(began.elapsed() / steps);
    }
    taken.sort();
    let median = taken.get(taken.len() / 2).copied().unwrap_or_default();
    Ok((median, engine.durability()))
}

/// One round: what the engine did, and what SQLite alone does with the same batches.
struct Round {
    engine: f64,
    bare: f64,
}

/// The batches of all runs in their order: what follows from one result each. (The engine hands in
/// several at once where one run is faster than the disk.)
async fn recorded(args: &Args) -> Result<Arc<Vec<Batch>>, CliError> {
    let recording = Arc::new(Recording::default());
    let journal = runbook_journal::Observed::new(Arc::new(Memory::new()), recording.clone());
    many_runs(&engine(Arc::new(journal)), args).await?;
    let batches = std::mem::take(&mut *recording.0.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Arc::new(batches))
}

async fn many_runs(engine: &Engine, args: &Args) -> Result<Duration, CliError> {
    let began = Instant::now();
    stream::iter((0..args.runs).map(|_| Ok::<_, CliError>(())))
        .try_for_each_concurrent(args.at_once as usize, |()| async {
            let (engine, steps) = (engine.clone(), args.steps);
            let run = tokio::spawn(async move { one_run(&engine, steps).await });
            run.await.map_err(|error| unusable(&error))?
        })
        .await?;
    Ok(began.elapsed())
}

async fn throughput(
    folder: &Scratch,
    args: &Args,
    round: usize,
    batches: &Arc<Vec<Batch>>,
) -> Result<Round, CliError> {
    let sqlite = Sqlite::open(&folder.0.join(format!("many-{round}.db"))).await?;
    let took = many_runs(&engine(Arc::new(sqlite)), args).await?;
    let path = folder.0.join(format!("bare-{round}.db"));
    let (at_once, count, batches) = (args.at_once as usize, batches.len(), batches.clone());
    let alone = tokio::task::spawn_blocking(move || bare::commit(&path, &batches, at_once))
        .await
        .map_err(|error| unusable(&error))?
        .map_err(|error| unusable(&error))?;
    let rate = |took: Duration| count as f64 / took.as_secs_f64();
    Ok(Round { engine: rate(took), bare: rate(alone) })
}

async fn one_run(engine: &Engine, steps: u32) -> Result<(), CliError> {
    let run = engine.launch(created(steps)?, Actor::engine(), Until::Ended).await?.finished().await?;
    match run.status() {
        "succeeded" => Ok(()),
        other => Err(CliError::failed(format!("a run that does nothing ended as {other}"))),
    }
}

fn engine(journal: Arc<dyn Journal>) -> Engine {
    let registry = Registry::default().with([Arc::new(Noop { spec: noop() }) as Arc<dyn Action>]);
    Engine::new(Setup {
        journal,
        registry,
        secrets: Arc::new(NoSecrets),
        limits: BTreeMap::new(),
        clock: Arc::new(System),
        owner: "bench".to_owned(),
    })
}

fn created(steps: u32) -> Result<Created, CliError> {
    let steps: Vec<Value> = (0..steps).map(|n| json!({ "id": format!("step-{n}"), "check": NOOP })).collect();
    let runbook = json!({ "apiVersion": "runbook/v1", "name": BENCH, "steps": steps });
    let runbook: Runbook =
        serde_json::from_value(runbook).map_err(|error| CliError::failed(error.to_string()))?;
    Ok(Created {
        runbook: runbook.into(),
        library: BTreeMap::new(),
        inputs: json!({}),
        environment: BENCH.to_owned(),
        simulated: None,
        speed: 1,
        hands: Hands::Live,
        policy: Policy::default(),
        reason: None,
        overriding: false,
        incident: None,
        alert: Value::Null,
        trace_parent: None,
        bound_to: None,
        planned_at: None,
    })
}

const BENCH: &str = "bench";
const NOOP: &str = "bench.noop";

/// An action that does nothing.
#[derive(Debug)]
struct Noop {
    spec: ActionSpec,
}

fn noop() -> ActionSpec {
    ActionSpec {
        name: NOOP.to_owned(),
        summary: "Does nothing".to_owned(),
        effect: Effect::Read,
        destructive_when: None,
        input: json!({ "type": "object" }).into(),
        output: json!({ "type": "object" }).into(),
        undo: UndoSupport::None("it does nothing".to_owned()),
        grade: Grade::Observed,
        reads: Reads::Configuration,
        permissions: Vec::new(),
        example: json!({}),
    }
}

#[async_trait]
impl Action for Noop {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }
    async fn observe(&self, _: &Cx, _: &Value) -> Result<Observed, Fault> {
        Ok(Observed::outputs(json!({ "ok": true })))
    }
}

/// Remembers what was appended, so that SQLite alone can be given the same.
#[derive(Debug, Default)]
struct Recording(Mutex<Vec<Batch>>);

impl Observer for Recording {
    fn committed(&self, batches: Vec<Batch>, _: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batches);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

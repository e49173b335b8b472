//! What an append costs, beside what the disk and SQLite alone cost on the same file system.
//!
//! `cargo bench -p runbook-journal --bench append`; `RUNBOOK_BENCH_DIR` chooses the file system.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement reports, or stops")]

use std::{
    env,
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use runbook_core::event::Summary;
use runbook_journal::{Batch, Journal as _, Sqlite, laws::Story};
use rusqlite::{Connection, TransactionBehavior};

const ROUNDS: usize = 7;
const RUNS: usize = 1_000;
const STEPS: usize = 10;
const AT_ONCE: usize = 64;
/// What one step of the engine appends at once, and how long such an entry is.
const ENTRIES: usize = 3;
const LENGTH: usize = 250;

#[tokio::main]
async fn main() {
    let folder = match env::var_os("RUNBOOK_BENCH_DIR") {
        Some(chosen) => tempfile::tempdir_in(chosen).unwrap(),
        None => tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
    };
    let disk = sync_times(folder.path());
    println!("disk: write 4 KiB and fdatasync          {disk}");

    let (alone, durability) = single_appender(folder.path()).await;
    println!("journal: one appender, one entry         {alone}   ({durability})");
    let bare = bare_single(folder.path());
    println!("SQLite alone: one entry a transaction    {bare}");
    println!("journal over SQLite alone, p50           {:.2}", alone.p50 / bare.p50);

    let (mut journal, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        bare.push(bare_groups(&folder.path().join(format!("bare-{round}.db"))));
        journal.push(appenders(&folder.path().join(format!("journal-{round}.db"))).await);
    }
    let (journal, bare) = (median(journal), median(bare));
    println!(
        "{RUNS} runs of {STEPS} batches of {ENTRIES} entries, {AT_ONCE} at a time, medians of {ROUNDS}:"
    );
    println!("  SQLite alone, {AT_ONCE} batches a transaction  {bare:.0} batches/s");
    println!("  journal, {AT_ONCE} appenders                   {journal:.0} batches/s   ({durability})");
    println!("  ratio                                  {:.0} %", 100.0 * journal / bare);
}

struct Times {
    p50: f64,
    p99: f64,
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.3} ms  p99 {:.3} ms", self.p50, self.p99)
    }
}

fn times(mut taken: Vec<Duration>) -> Times {
    taken.sort();
    let at = |part: usize| taken[taken.len() * part / 100].as_secs_f64() * 1e3;
    Times { p50: at(50), p99: at(99) }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Over a file that has its size already, as SQLite's log has.
fn sync_times(folder: &Path) -> Times {
    let mut file = File::create(folder.join("sync")).unwrap();
    let page = [7; 4096];
    for _ in 0..256 {
        file.write_all(&page).unwrap();
    }
    file.sync_all().unwrap();
    let taken = (0..1_000).map(|write| {
        file.seek(SeekFrom::Start(write % 256 * 4096)).unwrap();
        let began = Instant::now();
        file.write_all(&page).unwrap();
        file.sync_data().unwrap();
        began.elapsed()
    });
    times(taken.collect())
}

async fn single_appender(folder: &Path) -> (Times, String) {
    let journal = Sqlite::open(&folder.join("single.db")).await.unwrap();
    let mut taken = Vec::new();
    let mut story = Story::new(1);
    for _ in 0..2_000 {
        let batch = story.tell_at_length(1, LENGTH);
        let began = Instant::now();
        journal.append(batch).await.unwrap();
        taken.push(began.elapsed());
    }
    journal.close().await;
    (times(taken), journal.durability())
}

fn bare_single(folder: &Path) -> Times {
    let mut conn = bare_connection(&folder.join("bare-single.db"));
    let mut story = Story::new(1);
    let taken = (0..2_000).map(|_| {
        let row = Row::of(1, story.tell_at_length(1, LENGTH));
        let began = Instant::now();
        transaction(&mut conn, &[row]);
        began.elapsed()
    });
    times(taken.collect())
}

/// All batches of all runs, sealed beforehand: that is the engine's work, not the journal's.
fn batches() -> Vec<Vec<Batch>> {
    let run = |number: usize| {
        let mut story = Story::new(number as u128 + 1);
        (0..STEPS).map(|_| story.tell_at_length(ENTRIES, LENGTH)).collect()
    };
    (0..RUNS).map(run).collect()
}

async fn appenders(path: &Path) -> f64 {
    let journal = Arc::new(Sqlite::open(path).await.unwrap());
    let runs = Arc::new(batches());
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let appenders = (0..AT_ONCE).map(|_| {
        let (journal, runs, next) = (Arc::clone(&journal), Arc::clone(&runs), Arc::clone(&next));
        tokio::spawn(async move {
            while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                for batch in run {
                    journal.append(batch.clone()).await.unwrap();
                }
            }
        })
    });
    for appender in join_all(appenders).await {
        appender.unwrap();
    }
    let rate = (RUNS * STEPS) as f64 / began.elapsed().as_secs_f64();
    journal.close().await;
    rate
}

/// The same rows in the same tables, as many batches a transaction as there are appenders, by
/// prepared statements whose values are ready: nothing but SQLite is measured.
fn bare_groups(path: &Path) -> f64 {
    let mut conn = bare_connection(path);
    let runs: Vec<Vec<Row>> = (1..)
        .zip(batches())
        .map(|(number, run)| run.into_iter().map(|batch| Row::of(number, batch)).collect())
        .collect();
    let mut transactions: Vec<Vec<Row>> = Vec::new();
    let mut runs = runs.into_iter().map(Vec::into_iter).collect::<Vec<_>>();
    for together in runs.chunks_mut(AT_ONCE) {
        for _ in 0..STEPS {
            transactions.push(together.iter_mut().filter_map(Iterator::next).collect());
        }
    }
    let began = Instant::now();
    for rows in &transactions {
        transaction(&mut conn, rows);
    }
    (RUNS * STEPS) as f64 / began.elapsed().as_secs_f64()
}

fn bare_connection(path: &Path) -> Connection {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")
        .unwrap();
    conn.execute_batch(include_str!("../src/sqlite/schema/1.sql")).unwrap();
    conn
}

struct Row {
    number: i64,
    id: String,
    at: String,
    summary: String,
    batch: Batch,
}

impl Row {
    fn of(number: i64, batch: Batch) -> Self {
        Self {
            number,
            id: batch.run.to_string(),
            at: format!("{:.9}", batch.summary.started_at),
            summary: serde_json::to_string(&batch.summary).unwrap(),
            batch,
        }
    }
}

fn transaction(conn: &mut Connection, rows: &[Row]) {
    const RUN: &str = "INSERT INTO runs (num, id, seq, hash, updated_at, runbook, environment, status, \
        incident, started_at, summary) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
        ON CONFLICT (num) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, \
        updated_at = excluded.updated_at, status = excluded.status, summary = excluded.summary";
    const RECORD: &str = "INSERT INTO records (run, seq, bytes, hash) VALUES (?1, ?2, ?3, ?4)";
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    {
        let mut run = transaction.prepare_cached(RUN).unwrap();
        let mut insert = transaction.prepare_cached(RECORD).unwrap();
        for Row { number, id, at, summary: json, batch } in rows {
            let (last, summary) = (batch.records.last().unwrap(), &batch.summary);
            let Summary { runbook, environment, status, incident, .. } = summary;
            run.execute((
                number,
                id,
                last.seq,
                &last.hash,
                at,
                runbook,
                environment,
                status,
                incident,
                at,
                json,
            ))
            .unwrap();
            for record in &batch.records {
                insert.execute((number, record.seq, &record.bytes, &record.hash)).unwrap();
            }
        }
    }
    transaction.commit().unwrap();
}

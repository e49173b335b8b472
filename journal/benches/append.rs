//! What an append costs, beside what the disk and SQLite alone cost on the same file system.
//!
//! `cargo bench -p runbook-journal --bench append`; `RUNBOOK_BENCH_DIR` chooses the file system.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement reports, or stops")]

use std::{
    env,
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use runbook_journal::{Batch, Journal as _, Sqlite, laws::Story};
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

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
    let bare = bare_single(folder.path()).await;
    println!("SQLite alone: one entry a transaction    {bare}");
    println!("journal over SQLite alone, p50           {:.2}", alone.p50 / bare.p50);

    let (mut journal, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        bare.push(bare_groups(&folder.path().join(format!("bare-{round}.db"))).await);
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

async fn bare_single(folder: &Path) -> Times {
    let mut conn = bare_connection(&folder.join("bare-single.db")).await;
    let mut story = Story::new(1);
    let mut taken = Vec::new();
    for _ in 0..2_000 {
        let batch = story.tell_at_length(1, LENGTH);
        let (sql, values) = transaction(&[(1, batch)]);
        let began = Instant::now();
        sqlx::query_with(AssertSqlSafe(sql), values).execute(&mut conn).await.unwrap();
        taken.push(began.elapsed());
    }
    conn.close().await.unwrap();
    times(taken)
}

/// All batches of all runs, sealed beforehand: that is the engine's work, not the journal's.
fn batches() -> Vec<Vec<Batch>> {
    let run = |number: usize| {
        let mut story = Story::new(number as u128 + 1);
        (0..STEPS).map(|_| story.tell_at_length(ENTRIES, LENGTH)).collect()
    };
    (0..RUNS).map(run).collect()
}

async fn appenders(path: &PathBuf) -> f64 {
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

/// The same rows in the same tables, as many batches a transaction as there are appenders, each
/// transaction one prepared call whose values are ready: nothing but SQLite is measured.
async fn bare_groups(path: &Path) -> f64 {
    let mut conn = bare_connection(path).await;
    let mut transactions = Vec::new();
    let runs = batches();
    let numbered: Vec<_> = runs.into_iter().enumerate().collect();
    for together in numbered.chunks(AT_ONCE) {
        for step in 0..STEPS {
            let batches: Vec<_> =
                together.iter().map(|(number, run)| (*number as i64 + 1, run[step].clone())).collect();
            transactions.push(transaction(&batches));
        }
    }
    let began = Instant::now();
    for (sql, values) in transactions {
        sqlx::query_with(AssertSqlSafe(sql), values).execute(&mut conn).await.unwrap();
    }
    let rate = (RUNS * STEPS) as f64 / began.elapsed().as_secs_f64();
    conn.close().await.unwrap();
    rate
}

async fn bare_connection(path: &Path) -> SqliteConnection {
    let mut conn = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging()
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql(include_str!("../src/sqlite/schema/1.sql")).execute(&mut conn).await.unwrap();
    conn
}

fn transaction(batches: &[(i64, Batch)]) -> (String, SqliteArguments) {
    let mut values = SqliteArguments::default();
    let list = |row: &str, rows: usize| vec![row; rows].join(",");
    for (number, batch) in batches {
        let (last, summary) = (batch.records.last().unwrap(), &batch.summary);
        values.add(*number).unwrap();
        values.add(batch.run.to_string()).unwrap();
        values.add(last.seq as i64).unwrap();
        values.add(last.hash.clone()).unwrap();
        values.add(format!("{:.9}", summary.started_at)).unwrap();
        values.add(summary.runbook.clone()).unwrap();
        values.add(summary.environment.clone()).unwrap();
        values.add(summary.status.clone()).unwrap();
        values.add(summary.incident.clone()).unwrap();
        values.add(format!("{:.9}", summary.started_at)).unwrap();
        values.add(serde_json::to_string(summary).unwrap()).unwrap();
    }
    let mut records = 0;
    for (number, batch) in batches {
        for record in &batch.records {
            values.add(*number).unwrap();
            values.add(record.seq as i64).unwrap();
            values.add(record.bytes.clone()).unwrap();
            values.add(record.hash.clone()).unwrap();
            records += 1;
        }
    }
    let sql = format!(
        "BEGIN IMMEDIATE; INSERT INTO runs (num, id, seq, hash, updated_at, runbook, environment, status, \
         incident, started_at, summary) VALUES {} ON CONFLICT (num) DO UPDATE SET seq = excluded.seq, \
         hash = excluded.hash, updated_at = excluded.updated_at, status = excluded.status, \
         summary = excluded.summary; INSERT INTO records (run, seq, bytes, hash) VALUES {}; COMMIT",
        list("(?,?,?,?,?,?,?,?,?,?,?)", batches.len()),
        list("(?,?,?,?)", records),
    );
    (sql, values)
}

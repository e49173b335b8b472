//! Processes that end from one moment to the next. The child is this test binary again, told by its
//! environment what to do.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use futures::future::join_all;
use runbook_core::event::verify;
use runbook_journal::{Journal as _, JournalError, Sqlite, laws::Story};
use tempfile::tempdir;

use super::{expect_whole, open::expect_read_only, places};

const DATABASE: &str = "RUNBOOK_JOURNAL_CHILD_DATABASE";
const DEED: &str = "RUNBOOK_JOURNAL_CHILD_DEED";

/// What the child says once it is done: `acknowledged RUN SEQ`.
const ACKNOWLEDGED: &str = "acknowledged ";

/// Runs that a child tells at once.
const RUNS: u128 = 4;

/// Until where two processes tell one run.
const RACE: u64 = 120;

#[tokio::test]
async fn all_that_was_acknowledged_survives_a_kill() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut acknowledged: BTreeMap<u128, u64> = BTreeMap::new();
    for round in 0..20 {
        let mut child = Running::start(&path, "append");
        // A different moment each time: of the log, of a checkpoint, of a group.
        for _ in 0..=round * 9 {
            child.note(&mut acknowledged);
        }
        child.kill();
        while child.note(&mut acknowledged) {}

        let journal = Sqlite::open(&path).await.unwrap();
        for (number, seq) in &acknowledged {
            expect_whole(&journal, &Story::new(*number), *seq).await;
        }
        if round % 2 == 0 {
            journal.close().await;
        }
    }
    assert_eq!(acknowledged.len(), RUNS as usize);
}

#[tokio::test]
async fn two_processes_tell_one_run() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut children = [Running::start(&path, "race"), Running::start(&path, "race")];
    let mut won = Vec::new();
    for child in &mut children {
        while let Some((_, seq)) = child.acknowledged() {
            won.push(seq);
        }
        assert!(child.child.wait().unwrap().success());
    }
    won.sort();
    assert_eq!(won, (1..=RACE).collect::<Vec<_>>(), "each entry is won once");
    let journal = Sqlite::open(&path).await.unwrap();
    let run = Story::new(1).run;
    assert_eq!(verify(run, &journal.read(run, 0).await.unwrap(), RACE), Ok(()));
}

#[tokio::test]
async fn a_killed_process_gives_its_claim_free() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Sqlite::open(&path).await.unwrap();
    let run = Story::new(1).run;
    let mut child = Running::start(&path, "claim");
    child.acknowledged().unwrap();
    let refused = journal.claim(run).await.unwrap_err();
    assert!(matches!(refused, JournalError::Claimed { .. }), "{refused:?}");
    child.kill();
    journal.claim(run).await.unwrap();
}

/// The log of a process that was killed is still there, and part of what was acknowledged.
#[tokio::test]
async fn what_a_killed_process_left_is_read_where_nothing_can_be_written() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut child = Running::start(&path, "alone");
    let mut acknowledged = BTreeMap::new();
    for _ in 0..10 {
        child.note(&mut acknowledged);
    }
    child.kill();
    while child.note(&mut acknowledged) {}
    let Some(_frozen) = places::frozen_folder(folder.path()) else { return };
    let journal = Sqlite::open(&path).await.unwrap();
    let records = journal.read(Story::new(1).run, 0).await.unwrap();
    let story = Story::new(1).after(&records);
    assert!(story.seq() >= acknowledged[&1]);
    expect_read_only(&journal, &story).await;
}

/// A child and what it says.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(database: &Path, deed: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["crash::child", "--exact", "--ignored", "--nocapture"]);
        command.env(DATABASE, database).env(DEED, deed).stdout(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next entry that the child has acknowledged; none when it has ended.
    fn acknowledged(&mut self) -> Option<(u128, u64)> {
        loop {
            let line = self.lines.next()?.unwrap();
            // The test harness writes on the same lines.
            if let Some((_, told)) = line.split_once(ACKNOWLEDGED) {
                let (number, seq) = told.split_once(' ').unwrap();
                return Some((number.parse().unwrap(), seq.parse().unwrap()));
            }
        }
    }

    fn note(&mut self, acknowledged: &mut BTreeMap<u128, u64>) -> bool {
        let next = self.acknowledged();
        if let Some((number, seq)) = next {
            acknowledged.insert(number, seq);
        }
        next.is_some()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    /// A test that fails leaves no process behind; one that has ended need not be ended.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "other tests start this in a process of its own"]
async fn child() {
    let (Ok(database), Ok(deed)) = (env::var(DATABASE), env::var(DEED)) else { return };
    let journal = Sqlite::open(database.as_ref()).await.unwrap();
    match deed.as_str() {
        "append" => drop(join_all((1..=RUNS).map(|number| tell(&journal, number))).await),
        "alone" => tell(&journal, 1).await,
        "race" => race(&journal).await,
        "claim" => {
            let _claim = journal.claim(Story::new(1).run).await.unwrap();
            acknowledge(1, 0);
            std::future::pending::<()>().await;
        }
        other => panic!("a child cannot {other}"),
    }
}

#[expect(clippy::print_stdout, reason = "this is what the parent reads")]
fn acknowledge(number: u128, seq: u64) {
    println!("{ACKNOWLEDGED}{number} {seq}");
}

/// Until it is killed.
async fn tell(journal: &Sqlite, number: u128) {
    let mut story = Story::new(number);
    story = story.clone().after(&journal.read(story.run, 0).await.unwrap());
    for turn in 0.. {
        journal.append(story.tell_at_length(1 + turn % 3, turn * 97 % 3_000)).await.unwrap();
        acknowledge(number, story.seq());
    }
}

async fn race(journal: &Sqlite) {
    loop {
        let records = journal.read(Story::new(1).run, 0).await.unwrap();
        let mut story = Story::new(1).after(&records);
        if story.seq() >= RACE {
            return;
        }
        match journal.append(story.tell(1)).await {
            Ok(()) => acknowledge(1, story.seq()),
            Err(JournalError::Moved { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

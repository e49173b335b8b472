//! Claims that are lost: the process ended, was stopped, was cut off, or the server forgot.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use runbook_core::{Timestamp, event::verify};
use runbook_journal::{Address, Claim, Journal, JournalError, Mark, Postgres, laws::Story};
use tokio::time::{sleep, timeout};

use super::{EVER, database::Database};

/// The lease of everybody is over, as it is for one who was stopped for long.
const LEASES_END: &str = "UPDATE leases SET until = clock_timestamp() - interval '1 s'";

/// The connections over which leases are renewed.
const LINES: &str = "SELECT pg_terminate_backend(pid) FROM leases";

fn through(claim: &Claim) -> Arc<dyn Journal> {
    claim.through().unwrap()
}

/// Tried until the claim is free.
async fn claimed(journal: &Postgres, story: &Story) -> Claim {
    let tried = async {
        loop {
            match journal.claim(story.run).await {
                Ok(claim) => return claim,
                Err(JournalError::Claimed { .. }) => sleep(Duration::from_millis(20)).await,
                Err(other) => panic!("{other:?}"),
            }
        }
    };
    timeout(EVER, tried).await.unwrap()
}

async fn expect_refused(journal: &Arc<dyn Journal>, story: &Story) {
    let (run, now) = (story.run, Timestamp::UNIX_EPOCH);
    let refused = [
        journal.append(story.clone().tell(1)).await.err(),
        journal.append(story.clone().tell(0)).await.err(),
        journal.lock("target", run, now, Timestamp::MAX).await.err(),
        journal.unlock("target", run).await.err(),
        journal.read(run, 0).await.err(),
    ];
    for refused in refused {
        assert!(matches!(refused, Some(JournalError::Claimed { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_holder_that_was_stopped_writes_nothing_when_it_comes_back() {
    let Some(database) = Database::new().await else { return };
    let (stopped, other) = (database.open().await, database.open().await);
    let mut story = Story::new(1);
    let claim = stopped.claim(story.run).await.unwrap();
    let before = through(&claim);
    before.append(story.tell(2)).await.unwrap();
    before.lock("target", story.run, Timestamp::UNIX_EPOCH, Timestamp::MAX).await.unwrap();
    assert!(matches!(other.claim(story.run).await, Err(JournalError::Claimed { .. })));

    let sql = database.sql().await;
    sql.batch_execute(LEASES_END).await.unwrap();
    // Nobody has taken it over yet, and still it is lost: others may count on that.
    expect_refused(&before, &story).await;
    let next = claimed(&other, &story).await;
    expect_refused(&before, &story).await;
    through(&next).append(story.tell(3)).await.unwrap();
    expect_refused(&before, &story).await;
    // The target is still held, by the run that the other drives now.
    let rival = other.lock("target", Story::new(9).run, Timestamp::UNIX_EPOCH, Timestamp::MAX).await;
    assert!(matches!(rival, Err(JournalError::Locked { run, .. }) if run == story.run), "{rival:?}");
    // What people say there is written: it needs no claim.
    stopped.append(story.tell(1)).await.unwrap();
    assert_eq!(verify(story.run, &other.read(story.run, 0).await.unwrap(), 6), Ok(()));

    drop(next);
    // It claims anew under a new lease, and goes on.
    let claim = claimed(&stopped, &story).await;
    through(&claim).append(story.tell(1)).await.unwrap();
    expect_refused(&before, &story).await;
}

#[tokio::test]
async fn a_claim_to_a_run_that_has_not_begun_is_lost_like_any_other() {
    let Some(database) = Database::new().await else { return };
    let journal = database.open().await;
    let story = Story::new(1);
    let claim = journal.claim(story.run).await.unwrap();
    let (held, mut empty) = (through(&claim), story.clone());
    held.append(empty.tell(0)).await.unwrap();
    database.sql().await.batch_execute(LEASES_END).await.unwrap();
    let refused = held.append(empty.tell(0)).await;
    assert!(matches!(refused, Err(JournalError::Claimed { .. })), "{refused:?}");
    expect_refused(&held, &story).await;
}

/// Also one that waits for news and writes nothing.
#[tokio::test]
async fn a_holder_hears_that_its_claim_is_lost() {
    let Some(database) = Database::new().await else { return };
    let journal = database.open().await;
    let mut story = Story::new(1);
    let claim = journal.claim(story.run).await.unwrap();
    let through = through(&claim);
    through.append(story.tell(1)).await.unwrap();
    let mark = through.changed(story.run, 1, Mark::default()).await.unwrap();
    let waiting = tokio::spawn(async move {
        let mut mark = mark;
        loop {
            mark = through.changed(story.run, 1, mark).await?;
        }
    });
    database.sql().await.batch_execute(LEASES_END).await.unwrap();
    let heard: Result<(), JournalError> = timeout(EVER, waiting).await.unwrap().unwrap();
    assert!(matches!(heard, Err(JournalError::Claimed { .. })), "{heard:?}");
}

/// A driver whose appends are under way while another takes its run over: each entry is one's or the
/// other's, and none of the first comes after the first of the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_in_the_middle_keeps_the_chain() {
    let Some(database) = Database::new().await else { return };
    let (one, other) = (Arc::new(database.open().await), database.open().await);
    let sql = database.sql().await;
    for number in 1..=10 {
        let mut story = Story::new(number);
        story.summary.requested_by = "first".to_owned();
        let claim = claimed(&one, &story).await;
        let journal = through(&claim);
        let (mut told, run) = (story.clone(), story.run);
        let writing = tokio::spawn(async move {
            loop {
                if let Err(error) = journal.append(told.tell(1)).await {
                    return error;
                }
            }
        });
        while one.head(run).await.unwrap().unwrap_or_default() < 5 {
            assert!(!writing.is_finished(), "{:?}", writing.await);
        }
        sql.batch_execute(LEASES_END).await.unwrap();
        let next = claimed(&other, &story).await;
        let records = through(&next).read(run, 0).await.unwrap();
        story = story.after(&records);
        // Nothing comes in between: what was read is all that the first ever wrote.
        through(&next).append(story.tell(1)).await.unwrap();
        let error = timeout(EVER, writing).await.unwrap().unwrap();
        assert!(matches!(error, JournalError::Claimed { .. } | JournalError::Moved { .. }), "{error:?}");
        let records = other.read(run, 0).await.unwrap();
        assert_eq!(verify(run, &records, story.seq()), Ok(()));
    }
}

/// The line breaks and is opened anew: the process is the same, and goes on.
#[tokio::test]
async fn a_claim_survives_a_broken_connection() {
    let Some(database) = Database::new().await else { return };
    let journal = database.open().await;
    let mut story = Story::new(1);
    let claim = journal.claim(story.run).await.unwrap();
    let through = through(&claim);
    let sql = database.sql().await;
    for _ in 0..3 {
        assert_eq!(sql.query(LINES, &[]).await.unwrap().len(), 1);
        through.append(story.tell(1)).await.unwrap();
        // Until it is back.
        let back = async {
            loop {
                let alive =
                    "SELECT FROM leases JOIN pg_stat_activity USING (pid) WHERE backend_start = connected_at";
                if !sql.query(alive, &[]).await.unwrap().is_empty() {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(EVER, back).await.unwrap();
    }
    through.append(story.tell(1)).await.unwrap();
}

/// A server that lost what need not survive it: nobody drives anything, and all can be claimed anew.
#[tokio::test]
async fn a_server_that_forgot_the_claims_lets_nobody_write_under_them() {
    let Some(database) = Database::new().await else { return };
    let journal = database.open().await;
    let mut story = Story::new(1);
    let claim = journal.claim(story.run).await.unwrap();
    let before = through(&claim);
    before.append(story.tell(1)).await.unwrap();
    database.sql().await.batch_execute("TRUNCATE leases, claims").await.unwrap();
    expect_refused(&before, &story).await;
    drop(claim);
    let claim = claimed(&journal, &story).await;
    expect_refused(&before, &story).await;
    // Under the lease that was forgotten nothing can be done either, until there is a new one.
    let again = async {
        let mut claim = claim;
        while through(&claim).append(story.clone().tell(1)).await.is_err() {
            drop(claim);
            sleep(Duration::from_millis(100)).await;
            claim = claimed(&journal, &story).await;
        }
    };
    timeout(EVER, again).await.unwrap();
}

/// What could not be given free at its time is tidied away.
#[tokio::test]
async fn a_claim_that_was_left_behind_goes() {
    let Some(database) = Database::new().await else { return };
    let (one, other) = (database.open().await, database.open().await);
    let (story, held) = (Story::new(1), Story::new(2));
    let _held = one.claim(held.run).await.unwrap();
    let sql = database.sql().await;
    let left = "INSERT INTO claims SELECT $1, owner, 999 FROM leases";
    assert_eq!(sql.execute(left, &[&story.run.to_string()]).await.unwrap(), 1);
    assert!(matches!(other.claim(story.run).await, Err(JournalError::Claimed { .. })));
    drop(claimed(&other, &story).await);
    assert!(matches!(other.claim(held.run).await, Err(JournalError::Claimed { .. })));
}

const DATABASE: &str = "RUNBOOK_JOURNAL_CHILD_POSTGRES";

#[tokio::test]
async fn a_killed_process_gives_its_claim_free_at_once() {
    let Some(database) = Database::new().await else { return };
    let journal = database.open().await;
    let story = Story::new(1);
    let mut child = Running::start(&database);
    assert!(matches!(journal.claim(story.run).await, Err(JournalError::Claimed { .. })));
    child.0.kill().unwrap();
    let began = std::time::Instant::now();
    drop(claimed(&journal, &story).await);
    assert!(began.elapsed() < Duration::from_secs(10), "its lease was waited for");
}

/// A process that is stopped is not gone: its lease is waited for. When it goes on, it is too late.
#[tokio::test]
async fn a_stopped_process_loses_its_claim_with_its_lease() {
    let Some(database) = Database::new().await else { return };
    let journal = database.open().await;
    let mut story = Story::new(1);
    let mut child = Running::start(&database);
    child.signal("-STOP");
    assert!(matches!(journal.claim(story.run).await, Err(JournalError::Claimed { .. })));
    let claim = claimed(&journal, &story).await;
    let records = journal.read(story.run, 0).await.unwrap();
    story = story.after(&records);
    child.signal("-CONT");
    // It says what came of its next append.
    let told = child.line();
    assert!(told.contains("driven by another process"), "{told}");
    through(&claim).append(story.tell(1)).await.unwrap();
    let records = journal.read(story.run, 0).await.unwrap();
    assert_eq!(verify(story.run, &records, story.seq()), Ok(()));
}

/// A process that drives run 1 until it may no longer.
struct Running(Child, BufReader<std::process::ChildStdout>);

impl Running {
    fn start(database: &Database) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["claims::child", "--exact", "--ignored", "--nocapture"]);
        command.env(DATABASE, database.url()).stdout(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self(child, lines);
        assert!(running.line().contains("drives"));
        running
    }

    /// The next thing that it says itself: the test harness writes on the same lines.
    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.1.read_line(&mut line).unwrap(), 0, "the child ended");
            if let Some((_, told)) = line.split_once("child: ") {
                return told.to_owned();
            }
        }
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    /// A test that fails leaves no process behind; one that has ended need not be ended.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "other tests start this in a process of its own"]
#[expect(clippy::print_stdout, reason = "this is what the parent reads")]
async fn child() {
    let Ok(url) = env::var(DATABASE) else { return };
    let journal = Postgres::open(Address::parse(&url).unwrap()).await.unwrap();
    let mut story = Story::new(1);
    let claim = journal.claim(story.run).await.unwrap();
    let through = through(&claim);
    through.append(story.tell(1)).await.unwrap();
    println!("child: drives");
    loop {
        sleep(Duration::from_millis(50)).await;
        if let Err(error) = through.append(story.tell(1)).await {
            println!("child: {error}");
            return;
        }
    }
}

//! The fidelity suite: what a dry-run said, against what happened.
//!
//! Every scenario is a runbook that is foreseen with `--dry-run`'s hands and then run live, by the
//! engine and the provider as they ship, against a real server; a proxy in between counts what
//! would change something. See CONTRIBUTING.md.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]
#![expect(clippy::print_stderr, reason = "the report is for people, a skipped test says that it is")]

#[cfg(feature = "aws")]
mod aws;
mod bench;
mod binary;
mod compare;
mod doubt;
mod kubernetes;
mod play;
mod proxy;
mod report;

#[expect(dead_code, reason = "the fixture has more than this suite needs")]
#[path = "../../actions/kubernetes/tests/cluster/fixture.rs"]
mod fixture;

use std::path::Path;

use doubt::Settled;
use report::Report;

/// Judges a report: nothing written in a dry-run, nothing wrong that a server had vouched for.
fn judge(report: &Report, name: &str) {
    let kept = report.keep(Path::new(env!("CARGO_TARGET_TMPDIR")), name);
    eprintln!("{}\nkept in {}", report.text(), kept.display());
    assert_eq!(report.written_dry, Vec::<String>::new(), "a dry-run wrote");
    assert!(report.broken.is_empty(), "scenarios could not be played: {:?}", report.broken.keys());
    assert!(
        (report.of_grade("validated").share() - 1.0).abs() < f64::EPSILON,
        "validated, and yet it was otherwise"
    );
    assert!(report.of_grade("predicted").share() >= 0.99, "predicted too often what did not come");
    let wrong: Vec<_> =
        report.undone.iter().filter(|undone| !undone.differs.is_empty() && undone.left.is_none()).collect();
    assert!(wrong.is_empty(), "not as before: {wrong:?}");
}

/// Judges writes in doubt: each was made once, and nobody was asked who could have been spared it.
fn judge_doubt(settled: &[Settled], meddled: &[Settled], name: &str) {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("doubt-{name}.json"));
    std::fs::write(&kept, serde_json::to_vec_pretty(&(settled, meddled)).unwrap()).unwrap();
    eprintln!(
        "{} writes in doubt: {} made twice, {} not made, {} asked about; {} meddled with, {} asked about",
        settled.len(),
        settled.iter().filter(|one| one.effects > 1).count(),
        settled.iter().filter(|one| one.effects == 0).count(),
        settled.iter().filter(|one| !one.asked.is_empty()).count(),
        meddled.len(),
        meddled.iter().filter(|one| !one.asked.is_empty()).count(),
    );
    let is_wrong = |one: &&Settled| {
        let asked_for_good = one.leaves_no_trace && one.asked.len() == 1 && one.effects <= 1;
        let made_once = one.effects == 1 && one.differs.is_empty() && one.asked.is_empty();
        !(made_once || asked_for_good)
    };
    let wrong: Vec<_> = settled.iter().filter(is_wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubernetes_does_what_the_dry_run_said() {
    if fixture::kubeconfig(fixture::ADMIN).is_none() || fixture::kubeconfig(fixture::NOBODY).is_none() {
        return;
    }
    let report = kubernetes::play().await;
    judge(&report, "kubernetes");
    let all = std::env::var_os("RUNBOOK_TEST_SCENARIO").is_none();
    assert!(!all || report.scenarios >= 300, "only {} scenarios", report.scenarios);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubernetes_writes_in_doubt_are_made_once() {
    if fixture::kubeconfig(fixture::ADMIN).is_none() {
        return;
    }
    let (settled, meddled) = kubernetes::settle().await;
    judge_doubt(&settled, &meddled, "kubernetes");
    for one in meddled {
        assert_eq!(
            (one.writes.len(), one.asked.len()),
            (1, 1),
            "sent again over someone else's change: {one:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_says_the_same() {
    if fixture::kubeconfig(fixture::ADMIN).is_none() {
        return;
    }
    for (name, [(dry, dry_writes), (live, live_writes)]) in kubernetes::play_with_the_binary().await {
        assert_eq!((&dry["writes_sent"], dry_writes), (&0.into(), 0), "{name}: {dry:#}");
        assert_eq!((&live["status"], live_writes), (&"succeeded".into(), 1), "{name}: {live:#}");
        let [said, happened] = [&dry, &live].map(|document| document["steps"].as_array().unwrap());
        assert_eq!(said[0]["grade"], "validated", "{name}");
        assert_eq!(said[0]["change"], happened[0]["change"], "{name}");
        assert!(
            compare::same_reading(&said[1]["outputs"], &happened[1]["outputs"], &[]),
            "{name}: {said:#?} {happened:#?}"
        );
    }
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_does_what_the_dry_run_said() {
    let emulators = aws::emulators();
    if emulators.is_empty() {
        return;
    }
    let mut report = Report::default();
    for (which, endpoint) in emulators {
        report.take(aws::play(which, &endpoint).await);
    }
    judge(&report, "aws");
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_writes_in_doubt_are_made_once() {
    let mut settled = Vec::new();
    for (which, endpoint) in aws::emulators() {
        settled.extend(aws::settle(which, &endpoint).await);
    }
    judge_doubt(&settled, &[], "aws");
}

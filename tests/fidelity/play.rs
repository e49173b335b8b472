//! One scenario from the dry-run to the undo.

use runbook_core::{Value, change::differences, event::EndStatus};

use crate::{
    bench::{Bench, Stage, told},
    compare::{claims, undoable},
    report::{Report, Undone},
};

/// Foresees the steps, makes them, takes them back, and reports on all three.
pub async fn play(name: &str, steps: &Value, stage: &dyn Stage) -> Report {
    let bench = Bench::on(stage);
    let before = stage.image().await;
    let dry = bench.foresee(steps).await;
    let mut report = Report { scenarios: 1, ..Report::default() };
    let written = stage.proxy().writes();
    report.written_dry = written.into_iter().map(|write| format!("{name}: {}", write.request)).collect();

    let (live, asked) = bench.make(steps).await;
    assert!(asked.is_empty(), "asked without a doubt: {asked:?}");
    let after = stage.image().await;
    report.claims = claims(name, &dry, &live, stage, (&before, &after));
    if report.claims.iter().any(|claim| !claim.agrees) {
        report.documents.insert(name.to_owned(), [told(&dry), told(&live)]);
    }
    let succeeded = live.ended.as_ref().is_some_and(|ended| ended.status == EndStatus::Succeeded);
    if succeeded && !live.applied.is_empty() {
        report.undone.push(take_back(name, &bench, &live, stage, &before).await);
    }
    report.requests = stage.proxy().by_method();
    report
}

async fn take_back(
    name: &str,
    bench: &Bench<'_>,
    live: &runbook_core::run::Run,
    stage: &dyn Stage,
    before: &Value,
) -> Undone {
    let mut undone = Undone {
        scenario: name.to_owned(),
        actions: undoable(live).map(|change| change.action.clone()).collect(),
        differs: Vec::new(),
        left: live.undo_outlook(runbook_core::Timestamp::now()).left,
    };
    if undone.actions.is_empty() {
        return undone;
    }
    let (run, asked) = bench.take_back(live).await;
    undone.differs.extend(asked);
    if run.ended.as_ref().is_none_or(|ended| ended.status != EndStatus::Undone) {
        let why = run.decisive_fault().map_or_else(String::new, |fault| fault.message.clone());
        undone.left = Some(format!("the run ended as {}: {why}", run.status()));
    }
    differences("", before, &stage.image().await, &mut undone.differs);
    undone
}

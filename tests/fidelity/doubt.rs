//! Writes whose answers are lost: made once, not twice, and not never; and people are asked only
//! where nobody could tell.

use std::time::Duration;

use runbook_core::{Value, change::differences, event::EndStatus, run::Run};
use serde::Serialize;

use crate::{
    bench::{Bench, Stage},
    proxy::{Mishap, Write},
};

/// What came of one write in doubt.
#[derive(Debug, Serialize)]
pub struct Settled {
    pub name: String,
    pub mishap: String,
    /// The writes that arrived, each with the server's answer.
    pub writes: Vec<(String, Option<u16>)>,
    /// How many of them changed anything.
    pub effects: usize,
    pub asked: Vec<String>,
    pub ended: String,
    /// Nothing shows afterwards whether it was made, so a person has to say.
    pub leaves_no_trace: bool,
    /// Where the target is not as the change says.
    pub differs: Vec<String>,
}

/// Makes the steps, or with `undo` takes them back, while one write meets with a mishap.
pub async fn settle(name: &str, steps: &Value, undo: bool, stage: &dyn Stage, mishap: Mishap) -> Settled {
    let bench = Bench::on(stage);
    let before = stage.image().await;
    let (run, asked) = if undo {
        let (run, _) = bench.make(steps).await;
        let sent = stage.proxy().writes().len();
        stage.proxy().let_happen(mishap, None);
        let (run, asked) = bench.take_back(&run).await;
        let mut settled = settled(name, mishap, stage, &stage_writes(stage, sent).await, &run, asked);
        differences("", &before, &stage.image().await, &mut settled.differs);
        expect_end(&mut settled, &run, EndStatus::Undone);
        return settled;
    } else {
        stage.proxy().let_happen(mishap, None);
        bench.make(steps).await
    };
    let writes = stage_writes(stage, 0).await;
    let mut settled = settled(name, mishap, stage, &writes, &run, asked);
    let changes = run.nodes().filter_map(|node| node.change.as_deref());
    let foreseen = changes.fold(before, |image, change| stage.foreseen(&image, change));
    differences("", &foreseen, &stage.image().await, &mut settled.differs);
    expect_end(&mut settled, &run, EndStatus::Succeeded);
    settled
}

/// The same where someone else changes the very same fields meanwhile: nobody can tell then.
pub async fn meddle(
    name: &str,
    steps: &Value,
    stage: &dyn Stage,
    mishap: Mishap,
    someone_else: http::Request<hyper::body::Bytes>,
) -> Settled {
    let bench = Bench::on(stage);
    stage.proxy().let_happen(mishap, Some(someone_else));
    let (run, asked) = bench.make(steps).await;
    settled(name, mishap, stage, &stage_writes(stage, 0).await, &run, asked)
}

/// All writes after so many, once the last has reached the server that ever will.
async fn stage_writes(stage: &dyn Stage, after: usize) -> Vec<Write> {
    let late = |writes: &[Write]| writes.iter().any(|write| write.status.is_none() && write.is_under_way);
    // One that waits for another to go before it waits in vain once the run has ended.
    stage.proxy().let_go();
    for _ in 0..100 {
        let writes = stage.proxy().writes();
        if !late(&writes) {
            return writes[after..].to_vec();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a write is still under way");
}

fn settled(
    name: &str,
    mishap: Mishap,
    stage: &dyn Stage,
    writes: &[Write],
    run: &Run,
    asked: Vec<String>,
) -> Settled {
    Settled {
        name: name.to_owned(),
        mishap: format!("{mishap:?}"),
        writes: writes.iter().map(|write| (write.request.clone(), write.status)).collect(),
        effects: stage.effects(writes),
        asked,
        ended: run.status().to_owned(),
        leaves_no_trace: false,
        differs: Vec::new(),
    }
}

fn expect_end(settled: &mut Settled, run: &Run, status: EndStatus) {
    if run.ended.as_ref().is_none_or(|ended| ended.status != status) {
        settled.differs.push(format!("the run ended as {}: {:?}", run.status(), run.decisive_fault()));
    }
}

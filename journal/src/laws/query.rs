//! Lists of runs.

use std::sync::Arc;

use futures::future::try_join_all;
use runbook_core::{Timestamp, event::Summary};

use super::Story;
use crate::{Journal, MOST_RUNS, RunQuery, every_run};

pub(super) async fn a_head_has_the_newest_summary(journal: Arc<dyn Journal>) {
    let mut story = Story::new(1);
    journal.append(story.tell(1)).await.unwrap();
    let ended = story.summary.started_at + std::time::Duration::new(90, 5);
    story.summary = Summary {
        status: "succeeded".to_owned(),
        recovered: Some(true),
        incident: Some("INC-7 — “ünïcode”".to_owned()),
        ended_at: Some(ended),
        simulated: true,
        ..story.summary
    };
    let last = story.tell(2);
    let at = last.records[1].open().unwrap().at;
    journal.append(last).await.unwrap();
    let runs = journal.runs(&RunQuery::default()).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].run, runs[0].seq, runs[0].updated_at), (story.run, 3, at));
    assert_eq!(runs[0].summary, story.summary);
}

pub(super) async fn runs_come_newest_first(journal: Arc<dyn Journal>) {
    for number in [3, 1, 4, 2] {
        journal.append(Story::new(number).tell(1)).await.unwrap();
    }
    let runs = journal.runs(&RunQuery::default()).await.unwrap();
    let expected: Vec<_> = [4, 3, 2, 1].map(|number| Story::new(number).run).to_vec();
    assert_eq!(runs.iter().map(|head| head.run).collect::<Vec<_>>(), expected);
}

pub(super) async fn pages_follow_each_other(journal: Arc<dyn Journal>) {
    for number in 1..=5 {
        journal.append(Story::new(number).tell(1)).await.unwrap();
    }
    let mut query = RunQuery { limit: 2, ..RunQuery::default() };
    let mut seen = Vec::new();
    loop {
        let page = journal.runs(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        query.before = Some(last.run);
        seen.extend(page.into_iter().map(|head| head.run));
    }
    assert_eq!(seen, [5, 4, 3, 2, 1].map(|number| Story::new(number).run));
}

pub(super) async fn filters_narrow(journal: Arc<dyn Journal>) {
    for number in 1..=8 {
        let mut story = Story::new(number);
        let summary = &mut story.summary;
        summary.runbook = if number % 2 == 0 { "even" } else { "odd" }.to_owned();
        summary.environment = if number > 4 { "staging" } else { "production" }.to_owned();
        summary.status = if number == 3 { "waiting" } else { "running" }.to_owned();
        summary.incident = (number == 6).then(|| "INC-6".to_owned());
        journal.append(story.tell(1)).await.unwrap();
    }
    let some = |text: &str| Some(text.to_owned());
    let at = |second: i64| Some(Timestamp::from_second(second).unwrap());
    let all = RunQuery::default;
    let cases: [(RunQuery, &[u128]); 10] = [
        (all(), &[8, 7, 6, 5, 4, 3, 2, 1]),
        (RunQuery { runbook: some("even"), ..all() }, &[8, 6, 4, 2]),
        (RunQuery { runbook: some("Even"), ..all() }, &[]),
        (RunQuery { runbook: some("even' OR '1'='1"), ..all() }, &[]),
        (RunQuery { environment: some("production"), ..all() }, &[4, 3, 2, 1]),
        (RunQuery { status: some("waiting"), ..all() }, &[3]),
        (RunQuery { incident: some("INC-6"), ..all() }, &[6]),
        (RunQuery { since: at(7), ..all() }, &[8, 7]),
        (RunQuery { limit: 2, ..all() }, &[8, 7]),
        (RunQuery { runbook: some("odd"), environment: some("production"), limit: 1, ..all() }, &[3]),
    ];
    for (query, expected) in cases {
        let found: Vec<_> = journal.runs(&query).await.unwrap().iter().map(|head| head.run).collect();
        let expected: Vec<_> = expected.iter().map(|number| Story::new(*number).run).collect();
        assert_eq!(found, expected, "{query:?}");
    }
}

pub(super) async fn lists_are_bounded(journal: Arc<dyn Journal>) {
    let appends = (1..=MOST_RUNS as u128 + 1).map(|number| {
        let batch = Story::new(number).tell(1);
        journal.append(batch)
    });
    try_join_all(appends).await.unwrap();
    for (limit, expected) in
        [(0, 100), (1, 1), (500, 500), (MOST_RUNS + 1, MOST_RUNS), (usize::MAX, MOST_RUNS)]
    {
        let runs = journal.runs(&RunQuery { limit, ..RunQuery::default() }).await.unwrap();
        assert_eq!(runs.len(), expected, "limit {limit}");
    }
    let every = every_run(journal.as_ref(), RunQuery::default()).await.unwrap();
    let numbers = (1..=MOST_RUNS as u128 + 1).rev().map(|number| Story::new(number).run);
    assert!(every.iter().map(|head| head.run).eq(numbers), "each once, newest first");
}

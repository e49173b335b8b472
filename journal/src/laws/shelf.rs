//! Documents.

use std::sync::Arc;

use futures::future::join_all;
use runbook_core::Timestamp;

use super::Story;
use crate::{
    Document, DocumentQuery, Expect, JournalError, LARGEST_DOCUMENT, LONGEST_KEY, MOST_DOCUMENTS,
    MOST_WRITES, Mark, Order, Shelf, Write,
};

fn document(id: &str, second: i64) -> Document {
    Document {
        kind: "alert".to_owned(),
        id: id.to_owned(),
        version: 0,
        at: Timestamp::from_second(second).unwrap(),
        state: Some(if second % 2 == 0 { "firing" } else { "resolved" }.to_owned()),
        parent: (second % 3 == 0).then(|| "INC-1".to_owned()),
        body: format!("{{\"id\": \"{id} — ünï\"}}").into_bytes(),
    }
}

fn put(document: Document, expect: Expect) -> Write {
    Write::Put { document, expect }
}

fn all() -> DocumentQuery {
    DocumentQuery { kind: "alert".to_owned(), ..DocumentQuery::default() }
}

async fn ids(shelf: &Arc<dyn Shelf>, query: &DocumentQuery) -> Vec<String> {
    shelf.documents(query).await.unwrap().into_iter().map(|found| found.id).collect()
}

pub(super) async fn a_document_comes_back_as_it_was_written(shelf: Arc<dyn Shelf>) {
    assert_eq!(shelf.document("alert", "a").await.unwrap(), None);
    let mut kept = document("a", 4);
    kept.at = "2026-11-21T07:21:02.704000001Z".parse().unwrap();
    shelf.write(vec![put(kept.clone(), Expect::New)]).await.unwrap();
    assert_eq!(shelf.document("alert", "a").await.unwrap(), Some(Document { version: 1, ..kept.clone() }));
    assert_eq!(shelf.document("other", "a").await.unwrap(), None);
    kept.body = b"{}".to_vec();
    kept.state = None;
    shelf.write(vec![put(kept.clone(), Expect::Version(1))]).await.unwrap();
    assert_eq!(shelf.document("alert", "a").await.unwrap(), Some(Document { version: 2, ..kept }));
    let remove = || Write::Remove { kind: "alert".to_owned(), id: "a".to_owned() };
    shelf.write(vec![remove(), remove()]).await.unwrap();
    assert_eq!(shelf.document("alert", "a").await.unwrap(), None);
}

pub(super) async fn what_was_changed_meanwhile_is_not_overwritten(shelf: Arc<dyn Shelf>) {
    shelf.write(vec![put(document("a", 1), Expect::Anything)]).await.unwrap();
    for expect in [Expect::New, Expect::Version(0), Expect::Version(2)] {
        let refused = shelf.write(vec![put(document("a", 2), expect)]).await.unwrap_err();
        assert!(matches!(refused, JournalError::Changed { version: 1, .. }), "{refused:?}");
    }
    let missing = shelf.write(vec![put(document("b", 2), Expect::Version(1))]).await.unwrap_err();
    assert!(matches!(missing, JournalError::Changed { version: 0, .. }), "{missing:?}");
}

pub(super) async fn writes_are_done_all_or_none(shelf: Arc<dyn Shelf>) {
    let mut story = Story::new(1);
    shelf.append(story.tell(1)).await.unwrap();
    let run = story.run;
    let together = |batch, expect| {
        vec![put(document("a", 1), Expect::Anything), Write::Append(batch), put(document("b", 2), expect)]
    };
    let too_early = story.clone().tell(1);
    let refused = shelf.write(together(too_early.clone(), Expect::Version(9))).await.unwrap_err();
    assert!(matches!(refused, JournalError::Changed { .. }), "{refused:?}");
    assert_eq!(shelf.head(run).await.unwrap(), Some(1));
    assert_eq!(ids(&shelf, &all()).await, Vec::<String>::new());

    shelf.write(together(too_early.clone(), Expect::New)).await.unwrap();
    assert_eq!(shelf.head(run).await.unwrap(), Some(2));
    assert_eq!(ids(&shelf, &all()).await, ["b", "a"]);

    let refused = shelf.write(together(too_early, Expect::Anything)).await.unwrap_err();
    assert!(matches!(refused, JournalError::Moved { head: 2, .. }), "{refused:?}");
    assert_eq!(shelf.document("alert", "a").await.unwrap().unwrap().version, 1);
}

pub(super) async fn one_of_many_creates_a_document(shelf: Arc<dyn Shelf>) {
    let tries = (0..16).map(|number| {
        let shelf = Arc::clone(&shelf);
        tokio::spawn(async move { shelf.write(vec![put(document("a", number), Expect::New)]).await.is_ok() })
    });
    let won = join_all(tries).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
    assert_eq!(won, 1);
}

pub(super) async fn documents_come_by_time_in_pages(shelf: Arc<dyn Shelf>) {
    let order = [("a", 3), ("b", 1), ("c", 2), ("d", 2), ("e", 4)];
    let writes = order.map(|(id, at)| put(document(id, at), Expect::New)).to_vec();
    shelf.write(writes).await.unwrap();
    let other = Document { kind: "incident".to_owned(), ..document("z", 9) };
    shelf.write(vec![put(other, Expect::New)]).await.unwrap();
    assert_eq!(ids(&shelf, &all()).await, ["e", "a", "d", "c", "b"]);
    let oldest_first = DocumentQuery { order: Order::OldestFirst, ..all() };
    assert_eq!(ids(&shelf, &oldest_first).await, ["b", "c", "d", "a", "e"]);
    for (start, expected) in [(all(), ["e", "a", "d", "c", "b"]), (oldest_first, ["b", "c", "d", "a", "e"])] {
        let mut query = DocumentQuery { limit: 2, ..start };
        let mut seen = Vec::new();
        loop {
            let page = shelf.documents(&query).await.unwrap();
            let Some(last) = page.last() else { break };
            query.after = Some(last.place());
            seen.extend(page.into_iter().map(|found| found.id));
        }
        assert_eq!(seen, expected);
    }
}

pub(super) async fn documents_are_found_by_state_and_parent(shelf: Arc<dyn Shelf>) {
    let writes = (1..=6).map(|at| put(document(&format!("d{at}"), at), Expect::New)).collect();
    shelf.write(writes).await.unwrap();
    let firing = DocumentQuery { state: Some("firing".to_owned()), ..all() };
    assert_eq!(ids(&shelf, &firing).await, ["d6", "d4", "d2"]);
    let of_one = DocumentQuery { parent: Some("INC-1".to_owned()), ..all() };
    assert_eq!(ids(&shelf, &of_one).await, ["d6", "d3"]);
    let both = DocumentQuery { parent: Some("INC-1".to_owned()), ..firing };
    assert_eq!(ids(&shelf, &both).await, ["d6"]);
}

pub(super) async fn lists_and_writes_are_bounded(shelf: Arc<dyn Shelf>) {
    let many = |from: i64, to: i64| -> Vec<Write> {
        (from..to).map(|at| put(document(&format!("{at:05}"), at), Expect::New)).collect()
    };
    shelf.write(many(0, 1_001)).await.unwrap();
    assert_eq!(shelf.documents(&all()).await.unwrap().len(), 100);
    let most = DocumentQuery { limit: usize::MAX, ..all() };
    assert_eq!(shelf.documents(&most).await.unwrap().len(), MOST_DOCUMENTS);
    let long = Document { id: "x".repeat(LONGEST_KEY + 1), ..document("a", 1) };
    let large = Document { body: vec![b' '; LARGEST_DOCUMENT + 1], ..document("a", 1) };
    let largest = |id: &str| Document { body: vec![b' '; LARGEST_DOCUMENT], ..document(id, 1) };
    for writes in [
        many(2_000, 2_001 + MOST_WRITES as i64),
        vec![put(long, Expect::New)],
        vec![put(large, Expect::New)],
        ["a", "b", "c", "d", "e"].map(|id| put(largest(id), Expect::New)).to_vec(),
    ] {
        let refused = shelf.write(writes).await.unwrap_err();
        assert!(matches!(refused, JournalError::TooLarge { .. }), "{refused:?}");
    }
}

pub(super) async fn whatever_is_written_stirs(shelf: Arc<dyn Shelf>) {
    let mut mark = shelf.stirred(Mark::default()).await.unwrap();
    let mut story = Story::new(1);
    for number in 0..6 {
        // What other processes may have done is noticed late: once the shelf is at rest.
        while let Ok(next) =
            tokio::time::timeout(std::time::Duration::from_millis(300), shelf.stirred(mark)).await
        {
            mark = next.unwrap();
        }
        let waiting = tokio::spawn({
            let shelf = Arc::clone(&shelf);
            async move { shelf.stirred(mark).await.unwrap() }
        });
        if number % 2 == 0 {
            shelf.append(story.tell(1)).await.unwrap();
        } else {
            shelf.write(vec![put(document(&number.to_string(), 1), Expect::New)]).await.unwrap();
        }
        let next = waiting.await.unwrap();
        assert_ne!(next, mark);
        mark = next;
    }
}

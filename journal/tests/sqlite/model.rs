//! The journal in memory is the model.

use proptest::prelude::*;
use runbook_journal::Sqlite;
use tempfile::tempdir;

use super::asked::{asked, compare};

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_answers_as_memory_does(all in prop::collection::vec(asked(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempdir().unwrap();
            let sqlite = Sqlite::open(&folder.path().join("journal.db")).await.unwrap();
            let compared = compare(&sqlite, &all).await;
            sqlite.close().await;
            compared
        })?;
    }
}

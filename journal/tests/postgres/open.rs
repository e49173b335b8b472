//! Opening a database.

use futures::future::join_all;
use runbook_journal::{Address, Journal as _, JournalError, Postgres, RunQuery, laws::Story};

use super::{EVER, database::Database, expect_whole};

#[tokio::test]
async fn a_new_database_gets_its_tables_once() {
    let Some(database) = Database::new().await else { return };
    assert!(Postgres::open_existing(database.address()).await.unwrap().is_none());
    let opened = join_all((0..8).map(|_| Postgres::open(database.address()))).await;
    let journal = opened.into_iter().map(Result::unwrap).next().unwrap();
    let told = journal.durability();
    assert!(told.starts_with("postgresql ") && told.contains(", synchronous_commit=on"), "{told}");
    let mut story = Story::new(1);
    journal.append(story.tell(3)).await.unwrap();
    journal.close().await;
    let closed = journal.append(story.clone().tell(1)).await.unwrap_err();
    assert!(closed.to_string().contains("closed"), "{closed}");
    let journal = Postgres::open_existing(database.address()).await.unwrap().unwrap();
    expect_whole(&journal, &story, 3).await;
    journal.append(story.tell(1)).await.unwrap();
}

/// Whatever the server would do by itself.
#[tokio::test]
async fn what_is_acknowledged_is_on_disk() {
    let Some(database) = Database::new().await else { return };
    let sql = database.sql().await;
    let name: String = sql.query_one("SELECT current_database()", &[]).await.unwrap().get(0);
    for (weaker, expected) in [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")] {
        let set = format!("ALTER DATABASE {name} SET synchronous_commit = {weaker}");
        sql.batch_execute(&set).await.unwrap();
        let told = database.open().await.durability();
        assert!(told.contains(&format!("synchronous_commit={expected}")), "{told}");
    }
}

#[tokio::test]
async fn a_newer_database_stays_as_it_is() {
    let Some(database) = Database::new().await else { return };
    database.open().await.close().await;
    let sql = database.sql().await;
    sql.batch_execute("INSERT INTO version VALUES (99)").await.unwrap();
    for refused in [
        Postgres::open(database.address()).await.unwrap_err(),
        Postgres::open_existing(database.address()).await.unwrap_err(),
    ] {
        assert!(matches!(refused, JournalError::Newer { found: 99, .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn another_programs_schema_is_left_alone() {
    let Some(database) = Database::new().await else { return };
    let sql = database.sql().await;
    sql.batch_execute("CREATE SCHEMA runbook; CREATE TABLE runbook.runs (mine text)").await.unwrap();
    let refused = Postgres::open(database.address()).await.unwrap_err();
    assert!(refused.to_string().contains("belongs to another program"), "{refused}");
    // An empty one is for this program: an administrator has made it.
    sql.batch_execute("DROP TABLE runbook.runs").await.unwrap();
    database.open().await;
}

#[tokio::test]
async fn whoever_may_only_read_can_look() {
    let Some(database) = Database::new().await else { return };
    let mut story = Story::new(1);
    database.open().await.append(story.tell(2)).await.unwrap();
    let read_only = format!("{}?options=-cdefault_transaction_read_only%3Don", database.url());
    let journal = Postgres::open(Address::parse(&read_only).unwrap()).await.unwrap();
    expect_whole(&journal, &story, 2).await;
    assert_eq!(journal.runs(&RunQuery::default()).await.unwrap().len(), 1);
    let refused = journal.append(story.tell(1)).await.unwrap_err();
    assert!(matches!(refused, JournalError::ReadOnly { .. }), "{refused:?}");
}

#[tokio::test]
async fn why_it_cannot_be_reached_is_told_without_secrets() {
    let Some(database) = Database::new().await else { return };
    let (place, _) =
        database.url().rsplit_once('/').map(|(place, name)| (place.to_owned(), name.to_owned())).unwrap();
    let server = place.split('@').nth(1).unwrap().to_owned();
    for (url, told) in [
        (format!("postgres://nobody-known:s3cret@{server}/postgres"), "nobody-known"),
        (format!("postgres://postgres:s3cret@{server}/no_such_database"), "no_such_database"),
        ("postgres://postgres:s3cret@127.0.0.1:1/postgres".to_owned(), "refused"),
        (format!("postgres://postgres:s3cret@{server}/postgres?sslmode=require"), "TLS"),
        (format!("postgres://postgres:s3cret@{server}/postgres?sslrootcert=/no/such/file"), "/no/such/file"),
    ] {
        let opened = Postgres::open(Address::parse(&url).unwrap());
        let refused = tokio::time::timeout(EVER, opened).await.unwrap().unwrap_err();
        let all = format!("{refused} {refused:?} {:?}", refused.hint());
        assert!(all.contains(told) && all.contains("postgres://"), "{all}");
        assert!(!all.contains("s3cret"), "{all}");
    }
}

//! A database of a test's own on a real server.

use std::env;

use runbook_journal::{Address, Postgres};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

const SERVER: &str = "RUNBOOK_TEST_POSTGRES";

/// Gone when it is dropped.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// None where there is no server to test against.
    pub async fn new() -> Option<Self> {
        let Ok(server) = env::var(SERVER) else {
            eprintln!("skipped: {SERVER} is not set");
            return None;
        };
        let name = format!("runbook_test_{}", Uuid::new_v4().simple());
        let database = Self { server, name };
        // Another language than that of ids, so that what must not depend on it is seen not to.
        let sql = format!("CREATE DATABASE {} TEMPLATE template0 LOCALE 'C.UTF-8'", database.name);
        connected(&database.server).await.batch_execute(&sql).await.unwrap();
        Some(database)
    }

    pub fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    pub fn address(&self) -> Address {
        Address::parse(&self.url()).unwrap()
    }

    pub async fn open(&self) -> Postgres {
        Postgres::open(self.address()).await.unwrap()
    }

    /// A connection of the test's own.
    pub async fn sql(&self) -> Client {
        let client = connected(&self.url()).await;
        client.batch_execute("SET search_path = runbook; SET application_name = 'test'").await.unwrap();
        client
    }
}

async fn connected(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // In a thread with a runtime of its own: that of the test may be at its end.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { connected(&server).await.batch_execute(&sql).await })
        });
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("the test's database stays behind: {error}");
        }
    }
}

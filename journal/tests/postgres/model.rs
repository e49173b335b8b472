//! The journal in memory is the model; and two replicas that append in any order keep the chain.

use proptest::prelude::*;
use runbook_core::event::verify;
use runbook_journal::{Claim, Journal, JournalError, Postgres, laws::Story};

use super::{
    asked::{asked, compare},
    clear,
    database::Database,
};

fn config() -> ProptestConfig {
    ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() }
}

fn blocking<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn postgres_answers_as_memory_does() {
    let Some(database) = blocking(Database::new()) else { return };
    proptest!(config(), |(all in prop::collection::vec(asked(), 1..40))| {
        blocking(async {
            clear(&database).await;
            let journal = database.open().await;
            compare(&journal, &all).await
        })?;
    });
}

/// What a replica does next with the one run.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// Reads it, so that it knows where it stands.
    Look,
    /// Appends so many entries to what it knows, under its claim if it believes that it has one.
    Append(usize),
    Claim,
    Drop,
    /// Its lease ends, without it knowing.
    Lapse,
}

fn deeds() -> impl Strategy<Value = Vec<(usize, Deed)>> {
    let deed = prop_oneof![
        3 => Just(Deed::Look),
        6 => (0..4usize).prop_map(Deed::Append),
        2 => Just(Deed::Claim),
        1 => Just(Deed::Drop),
        1 => Just(Deed::Lapse),
    ];
    prop::collection::vec((0..2usize, deed), 1..40)
}

struct Replica {
    journal: Postgres,
    story: Story,
    claim: Option<Claim>,
}

#[test]
fn any_interleaving_of_two_replicas_keeps_the_chain() {
    let Some(database) = blocking(Database::new()) else { return };
    proptest!(config(), |(deeds in deeds())| {
        blocking(async {
            clear(&database).await;
            interleave(&database, &deeds).await
        })?;
    });
}

async fn interleave(database: &Database, deeds: &[(usize, Deed)]) -> Result<(), TestCaseError> {
    let replica = || async { Replica { journal: database.open().await, story: Story::new(1), claim: None } };
    let mut replicas = [replica().await, replica().await];
    let sql = database.sql().await;
    // What must be there: the head, and which replica's claim is the newest.
    let (mut head, mut driver) = (0, None);
    for (number, deed) in deeds {
        let replica = &mut replicas[*number];
        match deed {
            Deed::Look => {
                let records = replica.journal.read(replica.story.run, 0).await.unwrap();
                prop_assert_eq!(records.len() as u64, head);
                replica.story = Story::new(1).after(&records);
            }
            Deed::Append(entries) => {
                let before = replica.story.clone();
                let batch = replica.story.tell(*entries);
                let appended = match &replica.claim {
                    Some(claim) => claim.through().unwrap().append(batch).await,
                    None => replica.journal.append(batch).await,
                };
                let allowed = replica.claim.is_none() || driver == Some(*number);
                match appended {
                    Ok(()) => {
                        prop_assert!(allowed && before.seq() == head, "{:?}", deed);
                        head = replica.story.seq();
                    }
                    Err(JournalError::Moved { .. }) => prop_assert_ne!(before.seq(), head),
                    Err(JournalError::Claimed { .. }) => prop_assert!(!allowed),
                    Err(other) => prop_assert!(false, "{:?}", other),
                }
                if replica.story.seq() != head {
                    replica.story = before;
                }
            }
            Deed::Claim => match replica.journal.claim(replica.story.run).await {
                Ok(claim) => {
                    let free = driver.is_none() || driver == Some(*number) && replica.claim.is_none();
                    prop_assert!(free, "{:?} has it", driver);
                    replica.claim = Some(claim);
                    driver = Some(*number);
                }
                Err(JournalError::Claimed { .. }) => {}
                Err(other) => prop_assert!(false, "{:?}", other),
            },
            Deed::Drop => {
                if replica.claim.take().is_some() && driver == Some(*number) {
                    driver = None;
                }
            }
            Deed::Lapse => {
                // A row of a run that nobody drives stays, and says nothing.
                let lapsed = "WITH ended AS (DELETE FROM claims RETURNING owner) UPDATE leases SET \
                    until = clock_timestamp() - interval '1 s' WHERE owner IN (SELECT owner FROM ended)";
                sql.execute(lapsed, &[]).await.unwrap();
                driver = None;
            }
        }
    }
    let run = replicas[0].story.run;
    for replica in &replicas {
        let records = replica.journal.read(run, 0).await.unwrap();
        prop_assert_eq!(verify(run, &records, head), Ok(()));
    }
    Ok(())
}

//! Archived rows leave, the chain holds across the cut, and whatever is done to it is found.

use sqlx::Connection as _;
use tagmint_core::ledger::archive::{ArchiveFacts, ArchiveRecord};

use super::*;
use crate::{ArchiveError, LedgerError};

/// The facts of an archive of the rows from the oldest to `last`, as a file of them would have.
async fn facts(store: &Store, last: i64) -> ArchiveFacts {
    let ledger = store.ledger();
    let after = ledger.archived_until().await.unwrap().unwrap_or_else(|| LedgerHead::genesis(store.stamp()));
    let query = LedgerQuery { after_seq: Some(last - 1), ..LedgerQuery::default() };
    let hash = ledger.page(&query, 1).await.unwrap()[0].hash.clone();
    ArchiveFacts { after, last: LedgerHead { seq: last, hash }, sha256: "ab".to_owned() }
}

async fn record(store: &Store, last: i64) -> ArchiveRecord {
    ArchiveRecord::new(&facts(store, last).await, FIRST_ENTRY_AT_MS + 100, store.stamp(), &master_key(1))
}

async fn archive(store: &Store, last: i64) -> u64 {
    store.ledger().record_archive(&record(store, last).await).await.unwrap();
    store.ledger().prune().await.unwrap()
}

async fn report(store: &Store) -> VerifyReport {
    store.ledger().verify(&master_key(1)).await.unwrap()
}

/// What a verification says of rows 4 to 6, after 1 to 3 were archived and `statements` run.
async fn after(database: &TestDatabase, statements: &'static str) -> (LedgerFault, u64) {
    let store = database.open().await;
    filled(&store, 6).await.close().await;
    archive(&store, 3).await;
    database.tamper(statements).await;
    fault(&store).await
}

engine_tests! {
    async fn the_rest_verifies_and_grows_across_the_cut(database: TestDatabase) {
        let store = database.open().await;
        let writer = filled(&store, 6).await;
        let third = record(&store, 3).await;
        assert_eq!(archive(&store, 3).await, 3);
        assert_eq!(append(&writer, mint(7)).await, 7, "a running writer goes on");
        let seen = report(&store).await;
        assert_eq!((seen.rows, seen.unpruned, seen.head.seq), (4, 0, 7));
        assert_eq!(seen.archived, Some(third.last.clone()));
        assert_eq!(store.ledger().archived_until().await.unwrap(), Some(third.last.clone()));
        let fifth = record(&store, 5).await;
        assert_eq!(archive(&store, 5).await, 2);
        assert_eq!(store.ledger().archives(&master_key(1)).await.unwrap(), [third, fifth]);
        assert_eq!((report(&store).await.rows, report(&store).await.archived.unwrap().seq), (2, 5));
        // A restart begins after the head, wherever the rows begin.
        writer.close().await;
        store.close().await;
        let store = database.open().await;
        assert_eq!(append(&super::writer(&store).await, mint(8)).await, 8);
        assert_eq!(store.ledger().prune().await.unwrap(), 0);
        let other_key = store.ledger().verify(&master_key(2)).await.unwrap_err();
        assert!(matches!(other_key, VerifyError::Fault { fault: LedgerFault::ArchiveRecord { seq: 3 }, .. }), "{other_key}");
    }

    async fn more_rows_than_a_batch_go_while_others_are_written(database: TestDatabase) {
        let store = database.open().await;
        let writer = writer(&store).await;
        let appended: Vec<_> = (1..=1_300)
            .map(|number| {
                let writer = writer.clone();
                tokio::spawn(async move { append(&writer, mint(number)).await })
            })
            .collect();
        for appended in appended {
            appended.await.unwrap();
        }
        store.ledger().record_archive(&record(&store, 1_201).await).await.unwrap();
        let pruning = tokio::spawn({
            let store = store.clone();
            async move { store.ledger().prune().await.unwrap() }
        });
        for number in 2_001..2_021 {
            append(&writer, mint(number)).await;
        }
        assert_eq!(pruning.await.unwrap(), 1_201);
        assert_eq!(report(&store).await.rows, 119);
    }

    async fn a_kill_between_any_two_steps_loses_nothing(database: TestDatabase) {
        let store = database.open().await;
        filled(&store, 1_100).await.close().await;
        store.ledger().record_archive(&record(&store, 900).await).await.unwrap();
        // Recorded, and nothing removed yet.
        let left = database.after_a_kill();
        let killed = left.open().await;
        let seen = report(&killed).await;
        assert_eq!((seen.rows, seen.unpruned), (1_100, 900));
        assert_eq!(append(&writer(&killed).await, mint(2_000)).await, 1_101);
        // In the midst of the removal: what is left of the archived rows still leads to the cut.
        left.tamper("DELETE FROM ledger WHERE seq <= 500").await;
        let seen = report(&killed).await;
        assert_eq!((seen.rows, seen.unpruned), (601, 400));
        assert_eq!(killed.ledger().prune().await.unwrap(), 400, "the next call goes on");
        let seen = report(&killed).await;
        assert_eq!((seen.rows, seen.unpruned, seen.head.seq), (201, 0, 1_101));
    }

    async fn an_archive_that_does_not_fit_is_not_recorded(database: TestDatabase) {
        let store = database.open().await;
        filled(&store, 6).await.close().await;
        let (second, third, fifth) = (record(&store, 2).await, record(&store, 3).await, record(&store, 5).await);
        store.ledger().record_archive(&third).await.unwrap();
        // Another process was faster.
        for late in [&second, &third, &fifth] {
            let refused = store.ledger().record_archive(late).await.unwrap_err();
            assert!(matches!(refused, ArchiveError::OutOfOrder { .. }), "{refused}");
        }
        let mut forged = facts(&store, 5).await;
        forged.last.hash = "00".to_owned();
        let forged = ArchiveRecord::new(&forged, 0, store.stamp(), &master_key(1));
        let refused = store.ledger().record_archive(&forged).await.unwrap_err().to_string();
        assert!(refused.starts_with("rows 4 to 5 are not the oldest in the database"), "{refused}");
        assert_eq!(store.ledger().prune().await.unwrap(), 3);
        assert_eq!(report(&store).await.rows, 3);
    }

    async fn accidents_are_stopped_on_both_sides_of_the_cut(database: TestDatabase) {
        let store = database.open().await;
        filled(&store, 6).await.close().await;
        archive(&store, 3).await;
        let mut raw = database.raw().await;
        for statement in [
            "DELETE FROM ledger WHERE seq = 4",
            "DELETE FROM ledger",
            "UPDATE ledger SET outcome = 'refused'",
            "DELETE FROM ledger_archives",
            "UPDATE ledger_archives SET last_hash = ''",
        ] {
            let stopped = sqlx::query(statement).execute(&mut raw).await.unwrap_err();
            assert!(stopped.to_string().contains("the ledger is append-only"), "{statement}: {stopped}");
        }
        raw.close().await.unwrap();
        assert_eq!(report(&store).await.rows, 3);
    }

    async fn a_record_that_is_gone(database: TestDatabase) {
        let found = after(&database, "DELETE FROM ledger_archives").await;
        assert_eq!(found, (LedgerFault::Dropped { expected: 1, found: 4 }, 0));
    }

    async fn a_record_that_was_altered(database: TestDatabase) {
        let moved = "UPDATE ledger_archives SET last_seq = 4, last_hash = (SELECT hash FROM ledger WHERE seq = 4); DELETE FROM ledger WHERE seq = 4";
        assert_eq!(after(&database, moved).await, (LedgerFault::ArchiveRecord { seq: 4 }, 0));
    }

    async fn a_record_that_was_inserted(database: TestDatabase) {
        let forged = "INSERT INTO ledger_archives SELECT 5, 4, hash, 0, 'ab', 'cd' FROM ledger WHERE seq = 5; DELETE FROM ledger WHERE seq <= 5";
        assert_eq!(after(&database, forged).await, (LedgerFault::ArchiveRecord { seq: 5 }, 0));
    }

    async fn a_row_that_is_dropped_right_after_the_cut(database: TestDatabase) {
        let found = after(&database, "DELETE FROM ledger WHERE seq = 4").await;
        assert_eq!(found, (LedgerFault::Dropped { expected: 4, found: 5 }, 0));
    }

    async fn a_row_that_is_put_back_before_the_cut(database: TestDatabase) {
        let found = after(
            &database,
            "INSERT INTO ledger SELECT 3, 'mnt_x', at_ms, outcome, body, prev_hash, prev_hash FROM ledger WHERE seq = 4",
        )
        .await;
        assert_eq!(found, (LedgerFault::Altered { seq: 3 }, 0));
    }

    async fn all_rows_and_the_head_gone(database: TestDatabase) {
        let store = database.open().await;
        filled(&store, 4).await.close().await;
        archive(&store, 3).await;
        database.tamper("DELETE FROM ledger; DELETE FROM ledger_head").await;
        let refused = store.ledger_writer(master_key(1)).await.unwrap_err();
        assert!(matches!(refused, LedgerError::HeadMissing { .. }), "no second ledger begins: {refused}");
    }

    async fn the_prefixes_of_archived_mints_are_still_told(database: TestDatabase) {
        let store = database.open().await;
        let writer = writer(&store).await;
        let with = |number: i64, prefix: &str, repository: Option<&str>| {
            let mut entry = mint(number);
            let mut tags = serde_json::json!({"prefix": [prefix]});
            if let Some(repository) = repository {
                tags["repository"] = serde_json::json!([repository]);
            }
            if let Outcome::Minted(minted) = &mut entry.outcome {
                minted.tags = serde_json::json!({"principal_tags": tags});
            }
            entry
        };
        let of_a_stranger = LedgerEntry { source: Some("open".to_owned()), ..with(4, "pr-9/run-9", None) };
        let entries = [
            with(1, "pr-1/run-2", Some("20")),
            with(2, "pr-1/run-2", Some("20")),
            with(3, "bearer-ci", None),
            of_a_stranger,
            with(5, "pr-1/run-2", Some("20")),
            mint(6),
        ];
        for entry in entries {
            append(&writer, entry).await;
        }
        let before = store.ledger().minted_prefixes().await.unwrap();
        assert_eq!(before.len(), 2);
        archive(&store, 2).await;
        assert_eq!(store.ledger().minted_prefixes().await.unwrap(), before);
        archive(&store, 5).await;
        assert_eq!(store.ledger().minted_prefixes().await.unwrap(), before);
    }
}

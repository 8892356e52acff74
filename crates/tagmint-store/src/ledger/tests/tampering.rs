//! Every way to change a stored ledger, and what tells.

use sqlx::Connection as _;

use super::*;
use crate::LedgerError;

/// What a verification says after five rows were written and `statements` run.
async fn after(database: &TestDatabase, statements: &'static str) -> (LedgerFault, u64) {
    let store = database.open().await;
    filled(&store, 5).await.close().await;
    database.tamper(statements).await;
    fault(&store).await
}

engine_tests! {
    async fn accidents_are_stopped(database: TestDatabase) {
        let store = database.open().await;
        filled(&store, 2).await;
        let mut raw = database.raw().await;
        for statement in ["UPDATE ledger SET outcome = 'refused'", "DELETE FROM ledger", "DELETE FROM ledger_head"] {
            let stopped = sqlx::query(statement).execute(&mut raw).await.unwrap_err();
            assert!(stopped.to_string().contains("the ledger is append-only"), "{stopped}");
        }
        raw.close().await.unwrap();
        assert_eq!(verified(&store).await, 2);
    }

    async fn an_altered_body(database: TestDatabase) {
        let found = after(&database, "UPDATE ledger SET body = replace(body, 'wallet:0xa', 'wallet:0xb') WHERE seq = 3").await;
        assert_eq!(found, (LedgerFault::Altered { seq: 3 }, 2));
    }

    async fn an_altered_hash(database: TestDatabase) {
        let found = after(&database, "UPDATE ledger SET hash = upper(hash) || '' WHERE seq = 3").await;
        assert_eq!(found, (LedgerFault::Altered { seq: 3 }, 2));
    }

    async fn an_altered_column(database: TestDatabase) {
        let found = after(&database, "UPDATE ledger SET at_ms = at_ms + 1 WHERE seq = 2").await;
        assert_eq!(found, (LedgerFault::Column { seq: 2, column: "at_ms" }, 1));
    }

    async fn a_dropped_row(database: TestDatabase) {
        let found = after(&database, "DELETE FROM ledger WHERE seq = 4").await;
        assert_eq!(found, (LedgerFault::Dropped { expected: 4, found: 5 }, 3));
    }

    async fn a_dropped_row_with_the_gap_closed(database: TestDatabase) {
        let found = after(&database, "DELETE FROM ledger WHERE seq = 4; UPDATE ledger SET seq = 4 WHERE seq = 5").await;
        assert_eq!(found, (LedgerFault::Unchained { seq: 4 }, 3));
    }

    async fn an_inserted_row(database: TestDatabase) {
        let found = after(
            &database,
            "UPDATE ledger SET seq = 6 WHERE seq = 5; \
             INSERT INTO ledger SELECT 5, 'mnt_x', at_ms, outcome, body, hash, hash FROM ledger WHERE seq = 4",
        )
        .await;
        assert_eq!(found, (LedgerFault::Altered { seq: 5 }, 4));
    }

    async fn a_row_before_the_first(database: TestDatabase) {
        let found = after(
            &database,
            "INSERT INTO ledger SELECT 0, 'mnt_x', at_ms, outcome, body, hash, hash FROM ledger WHERE seq = 1",
        )
        .await;
        assert_eq!(found, (LedgerFault::Dropped { expected: 1, found: 0 }, 0));
    }

    async fn rows_cut_off(database: TestDatabase) {
        let found = after(&database, "DELETE FROM ledger WHERE seq > 3").await;
        assert_eq!(found, (LedgerFault::Cut { expected: 5, found: 3 }, 3));
    }

    async fn all_rows_gone(database: TestDatabase) {
        let found = after(&database, "DELETE FROM ledger").await;
        assert_eq!(found, (LedgerFault::Cut { expected: 5, found: 0 }, 0));
    }

    async fn rows_cut_off_and_the_head_moved_back(database: TestDatabase) {
        let found = after(
            &database,
            "DELETE FROM ledger WHERE seq > 3; \
             UPDATE ledger_head SET seq = 3, hash = (SELECT hash FROM ledger WHERE seq = 3)",
        )
        .await;
        assert_eq!(found, (LedgerFault::Seal, 3));
    }

    async fn another_hash_in_the_head(database: TestDatabase) {
        let found = after(&database, "UPDATE ledger_head SET hash = (SELECT hash FROM ledger WHERE seq = 1)").await;
        assert_eq!(found, (LedgerFault::Unchained { seq: 5 }, 5));
    }

    async fn another_seal(database: TestDatabase) {
        let found = after(&database, "UPDATE ledger_head SET seal = 'ab'").await;
        assert_eq!(found, (LedgerFault::Seal, 5));
    }

    async fn another_key_file(database: TestDatabase) {
        let store = database.open().await;
        filled(&store, 2).await;
        let error = store.ledger().verify(&master_key(2)).await.unwrap_err();
        assert!(matches!(error, VerifyError::Fault { fault: LedgerFault::Seal, rows: 2 }), "{error}");
    }

    async fn a_head_that_is_gone_is_not_made_anew(database: TestDatabase) {
        let store = database.open().await;
        filled(&store, 2).await.close().await;
        database.tamper("DELETE FROM ledger_head").await;
        let error = store.ledger().verify(&master_key(1)).await.unwrap_err();
        assert!(matches!(error, VerifyError::HeadMissing { rows: 2, .. }), "{error}");
        let refused = store.ledger_writer(master_key(1)).await.unwrap_err();
        assert!(matches!(refused, LedgerError::HeadMissing { .. }), "{refused}");
    }

    async fn a_writer_does_not_build_on_a_forged_head(database: TestDatabase) {
        let store = database.open().await;
        let writer = filled(&store, 2).await;
        database.tamper("UPDATE ledger_head SET hash = 'forged'").await;
        for number in 3..5 {
            let refused = writer.append(mint(number), PATIENCE).await.unwrap_err();
            assert!(matches!(refused, LedgerError::Seal { .. }), "{refused}");
        }
    }

    async fn a_writer_does_not_write_over_rows_past_the_head(database: TestDatabase) {
        let store = database.open().await;
        let writer = filled(&store, 2).await;
        database.tamper("INSERT INTO ledger SELECT 3, 'mnt_x', at_ms, outcome, body, hash, hash FROM ledger WHERE seq = 2").await;
        assert!(matches!(writer.append(mint(3), PATIENCE).await, Err(LedgerError::Store(_))));
        assert_eq!(fault(&store).await, (LedgerFault::Altered { seq: 3 }, 2));
    }

    async fn a_batch_that_lies_about_its_rows_is_undone(database: TestDatabase) {
        let store = database.open().await;
        filled(&store, 2).await;
        let mut raw = database.raw().await;
        let lie = "INSERT INTO ledger_batches SELECT '[]', seq, hash, seq + 1, 'x', 'y' FROM ledger_head";
        let undone = sqlx::query(lie).execute(&mut raw).await.unwrap_err();
        assert!(undone.to_string().contains("the batch has not as many rows as the head moves"), "{undone}");
        raw.close().await.unwrap();
        assert_eq!(verified(&store).await, 2);
    }
}

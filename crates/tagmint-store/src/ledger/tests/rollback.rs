//! A database that is restored to an earlier state, or exchanged, under a running issuer.

use super::*;
use crate::LedgerError;

/// Restores the database from `backup` in place, as `.restore` of the sqlite3 shell does.
async fn restore(database: &TestDatabase, backup: &TestDatabase) {
    use sqlx::Connection as _;
    const COPY: &str = "DROP TRIGGER IF EXISTS ledger_no_update; DROP TRIGGER IF EXISTS ledger_no_delete; \
         DROP TRIGGER IF EXISTS ledger_head_no_delete; DELETE FROM ledger; DELETE FROM ledger_head; \
         INSERT INTO ledger SELECT * FROM backup.ledger; INSERT INTO ledger_head SELECT * FROM backup.ledger_head";
    let mut raw = database.raw().await;
    sqlx::query("ATTACH $1 AS backup").bind(backup.path().to_str().unwrap()).execute(&mut raw).await.unwrap();
    sqlx::raw_sql(COPY).execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
}

fn rolled_back<T: std::fmt::Debug>(answer: Result<T, LedgerError>) -> (i64, i64) {
    match answer.unwrap_err() {
        LedgerError::RolledBack { known, found, .. } => (known, found),
        other => panic!("{other}"),
    }
}

engine_tests! {
    async fn an_earlier_state_is_refused_until_the_later_one_is_back(database: TestDatabase) {
        let store = database.open().await;
        let writer = filled(&store, 3).await;
        let earlier = database.after_a_kill();
        append(&writer, mint(4)).await;
        let later = database.after_a_kill();
        writer.check().await.unwrap();
        restore(&database, &earlier).await;
        assert_eq!(rolled_back(writer.check().await), (4, 3));
        assert_eq!(rolled_back(writer.append(mint(5), PATIENCE).await), (4, 3));
        assert_eq!(rolled_back(writer.append(mint(6), PATIENCE).await), (4, 3), "again");
        assert!(writer.stats().failing);
        assert_eq!(verified(&store).await, 3, "nothing was written to it");
        restore(&database, &later).await;
        writer.check().await.unwrap();
        assert_eq!(append(&writer, mint(7)).await, 5);
    }

    async fn a_restart_accepts_the_earlier_state(database: TestDatabase) {
        let store = database.open().await;
        let writer = filled(&store, 3).await;
        let earlier = database.after_a_kill();
        append(&writer, mint(4)).await;
        restore(&database, &earlier).await;
        assert_eq!(rolled_back(writer.check().await), (4, 3));
        let restarted = self::writer(&store).await;
        restarted.check().await.unwrap();
        assert_eq!(append(&restarted, mint(5)).await, 4);
        // The one that ran before knows another row 4, whatever comes after it.
        append(&restarted, mint(6)).await;
        assert_eq!(rolled_back(writer.check().await), (4, 5));
        assert_eq!(rolled_back(writer.append(mint(7), PATIENCE).await), (4, 5));
    }

    async fn another_ledger_of_the_same_length_is_refused(database: TestDatabase) {
        let other = TestDatabase::sqlite();
        let store = other.open().await;
        let apart = writer(&store).await;
        for number in 11..=13 {
            append(&apart, mint(number)).await;
        }
        let other = other.after_a_kill();
        let store = database.open().await;
        let writer = filled(&store, 3).await;
        restore(&database, &other).await;
        assert_eq!(rolled_back(writer.check().await), (3, 3));
        assert_eq!(rolled_back(writer.append(mint(4), PATIENCE).await), (3, 3));
    }

    async fn an_empty_ledger_in_place_of_a_full_one_is_refused(database: TestDatabase) {
        let store = database.open().await;
        let writer = writer(&store).await;
        let empty = database.after_a_kill();
        writer.check().await.unwrap();
        append(&writer, mint(1)).await;
        restore(&database, &empty).await;
        assert_eq!(rolled_back(writer.check().await), (1, 0));
        assert_eq!(rolled_back(writer.append(mint(2), PATIENCE).await), (1, 0));
    }

    async fn rows_of_another_process_are_no_rollback(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        let (left, right) = (writer(&here).await, writer(&there).await);
        for number in 1..=6 {
            let writer = if number % 2 == 0 { &left } else { &right };
            append(writer, mint(number)).await;
            left.check().await.unwrap();
            right.check().await.unwrap();
        }
    }

    async fn rows_from_the_beginning_may_be_in_an_archive(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        let (left, right) = (writer(&here).await, writer(&there).await);
        append(&left, mint(1)).await;
        append(&right, mint(2)).await;
        append(&right, mint(3)).await;
        database.tamper("DELETE FROM ledger WHERE seq <= 2").await;
        left.check().await.unwrap();
        database.tamper("DELETE FROM ledger").await;
        right.check().await.unwrap();
    }
}

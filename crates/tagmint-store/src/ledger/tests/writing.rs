//! Many writers, failing disks, and ends of all kinds.

use sqlx::Connection as _;

use super::*;
use crate::{Fault, LedgerError};

async fn fault(writer: &LedgerWriter, entry: LedgerEntry) -> Fault {
    match writer.append(entry, PATIENCE).await.unwrap_err() {
        LedgerError::Store(error) => error.fault().unwrap(),
        other => panic!("{other}"),
    }
}

engine_tests! {
    async fn a_thousand_at_once_share_commits(database: TestDatabase) {
        let store = database.open().await;
        let writer = writer(&store).await;
        let appended: Vec<_> = (1..=1000)
            .map(|number| {
                let writer = writer.clone();
                tokio::spawn(async move { append(&writer, mint(number)).await })
            })
            .collect();
        let mut seqs = Vec::new();
        for appended in appended {
            seqs.push(appended.await.unwrap());
        }
        seqs.sort_unstable();
        assert!(seqs.into_iter().eq(1..=1000), "each has a row of its own");
        let stats = writer.stats();
        assert_eq!((stats.rows, stats.queued, stats.failing), (1000, 0, false));
        assert!((4..=200).contains(&stats.commits), "{stats:?}");
        assert_eq!(verified(&store).await, 1000);
    }

    async fn two_processes_write_one_chain(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        let (left, right) = (writer(&here).await, writer(&there).await);
        let fill = |writer: LedgerWriter, first: i64| async move {
            for number in first..first + 100 {
                append(&writer, mint(number)).await;
            }
        };
        let filling = [(&left, 1), (&right, 1001), (&left, 2001), (&right, 3001)]
            .map(|(writer, first)| tokio::spawn(fill(writer.clone(), first)));
        for filled in filling {
            filled.await.unwrap();
        }
        assert_eq!(verified(&there).await, 400);
        assert_eq!((left.stats().rows, right.stats().rows), (200, 200));
    }

    async fn a_full_disk_refuses_and_recovers(database: TestDatabase) {
        let store = database.open().await;
        let writer = filled(&store, 2).await;
        let head = store.ledger().head().await.unwrap();
        writer.execute("PRAGMA max_page_count = 1").await;
        // Rows that do not fit into the pages that are there already.
        let long = |number| LedgerEntry { identity: Some("x".repeat(20_000)), ..mint(number) };
        let (first, second) = tokio::join!(fault(&writer, long(3)), fault(&writer, long(4)));
        assert_eq!((first, second), (Fault::DiskFull, Fault::DiskFull));
        assert!(writer.stats().failing);
        assert_eq!(store.ledger().head().await.unwrap(), head);
        writer.execute("PRAGMA max_page_count = 100000").await;
        assert_eq!(append(&writer, long(5)).await, 3);
        assert!(!writer.stats().failing);
        assert_eq!(verified(&store).await, 3);
    }

    async fn a_read_only_file_refuses_and_recovers(database: TestDatabase) {
        let store = database.open().await;
        let writer = filled(&store, 1).await;
        writer.execute("PRAGMA query_only = ON").await;
        assert_eq!(fault(&writer, mint(2)).await, Fault::ReadOnly);
        writer.execute("PRAGMA query_only = OFF").await;
        assert_eq!(append(&writer, mint(3)).await, 2);
        assert_eq!(verified(&store).await, 2);
    }

    async fn a_lock_that_stays_refuses_and_recovers(database: TestDatabase) {
        let store = database.open_impatient().await;
        let writer = filled(&store, 1).await;
        let mut raw = database.raw().await;
        let holder = raw.begin_with("BEGIN IMMEDIATE").await.unwrap();
        assert_eq!(fault(&writer, mint(2)).await, Fault::Locked);
        let late = writer.append(mint(3), Duration::from_millis(1)).await.unwrap_err();
        assert!(matches!(late, LedgerError::Timeout(_)), "{late}");
        holder.rollback().await.unwrap();
        append(&writer, mint(4)).await;
        let rows = verified(&store).await;
        assert!((2..=3).contains(&rows), "a row that was not waited for may be written: {rows}");
    }

    async fn rows_of_a_replaced_file_are_not_acknowledged(database: TestDatabase) {
        let (aside, restored) = (TestDatabase::sqlite(), TestDatabase::sqlite());
        let store = database.open().await;
        let writer = filled(&store, 2).await;
        let backup = database.after_a_kill();
        append(&writer, mint(3)).await;
        let replaced = async |number| {
            let error = writer.append(mint(number), PATIENCE).await.unwrap_err();
            assert!(matches!(&error, LedgerError::Store(StoreError::Replaced { .. })), "{error}");
            assert!(error.to_string().contains("replaced or removed under the running issuer; restart it"), "{error}");
            assert!(writer.stats().failing);
        };
        database.move_to(&aside, &["", "-wal", "-shm"]);
        replaced(4).await;
        backup.move_to(&database, &["", "-wal"]);
        replaced(5).await;
        // Another process goes on with the file that is there.
        let other = database.open().await;
        assert_eq!(append(&super::writer(&other).await, mint(6)).await, 3);
        replaced(7).await;
        assert_eq!(verified(&other).await, 3);

        database.move_to(&restored, &["", "-wal", "-shm"]);
        aside.move_to(&database, &["", "-wal", "-shm"]);
        assert_eq!(append(&writer, mint(8)).await, 4);
        assert!(!writer.stats().failing);
        assert_eq!(verified(&store).await, 4);
        let ids: Vec<_> = store.ledger().page(&LedgerQuery::default(), 9).await.unwrap().into_iter().map(|row| row.entry_id).collect();
        assert_eq!(ids, [1, 2, 3, 8].map(|number| mint(number).id()), "nothing was written to either file meanwhile");
    }

    async fn a_file_that_is_replaced_during_a_write_is_noticed(database: TestDatabase) {
        let aside = TestDatabase::sqlite();
        let store = database.open().await;
        let writer = filled(&store, 1).await;
        let mut raw = database.raw().await;
        let holder = raw.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let waiting = tokio::spawn({
            let writer = writer.clone();
            async move { writer.append(mint(2), PATIENCE).await }
        });
        // Time to get as far as the lock.
        tokio::time::sleep(Duration::from_millis(100)).await;
        database.move_to(&aside, &["", "-wal", "-shm"]);
        holder.rollback().await.unwrap();
        let error = waiting.await.unwrap().unwrap_err();
        assert!(matches!(&error, LedgerError::Store(StoreError::Replaced { .. })), "{error}");
        aside.move_to(&database, &["", "-wal", "-shm"]);
        assert_eq!(append(&writer, mint(3)).await, 3, "the row is there, although nobody was told so");
        assert_eq!(verified(&store).await, 3);
    }

    async fn a_damaged_connection_is_replaced(database: TestDatabase) {
        let store = database.open().await;
        let writer = filled(&store, 1).await;
        // The statement fails for an unknown reason until the writer connects anew.
        writer.execute("CREATE TEMP TRIGGER broken BEFORE INSERT ON main.ledger BEGIN SELECT RAISE(ABORT, 'broken'); END").await;
        assert_eq!(fault(&writer, mint(2)).await, Fault::Other);
        assert_eq!(append(&writer, mint(3)).await, 2);
        assert_eq!(verified(&store).await, 2);
    }

    async fn an_id_that_stands_twice_refuses_its_own_entry_alone(database: TestDatabase) {
        let store = database.open_impatient().await;
        let writer = filled(&store, 1).await;
        let results: Vec<_> = [mint(1), mint(2), refusal(1), mint(1)]
            .map(|entry| {
                let writer = writer.clone();
                tokio::spawn(async move { writer.append(entry, PATIENCE).await })
            })
            .into();
        let mut written = Vec::new();
        for result in results {
            match result.await.unwrap() {
                Ok(seq) => written.push(seq),
                Err(error) => assert!(matches!(&error, LedgerError::Duplicate(id) if *id == mint(1).id()), "{error}"),
            }
        }
        written.sort_unstable();
        assert_eq!(written, [2, 3]);
        assert!(matches!(writer.append(mint(1), PATIENCE).await, Err(LedgerError::Duplicate(_))));
        assert!(!writer.stats().failing, "the ledger works");
        assert_eq!(verified(&store).await, 3);
    }

    async fn an_acknowledged_row_survives_a_kill(database: TestDatabase) {
        let store = database.open().await;
        let writer = filled(&store, 5).await;
        // A caller that is gone before the answer comes.
        let gone = tokio::spawn({
            let writer = writer.clone();
            async move { append(&writer, mint(6)).await }
        });
        while writer.stats().queued == 0 && writer.stats().rows == 5 {
            tokio::task::yield_now().await;
        }
        gone.abort();
        append(&writer, mint(7)).await;
        let left = database.after_a_kill();
        let store = left.open().await;
        let rows = verified(&store).await;
        assert!((6..=7).contains(&rows), "{rows}");
        let last = LedgerQuery { order: LedgerOrder::NewestFirst, ..LedgerQuery::default() };
        assert_eq!(store.ledger().page(&last, 1).await.unwrap()[0].entry_id, mint(7).id());
        append(&super::writer(&store).await, mint(8)).await;
        assert_eq!(verified(&store).await, rows + 1);
    }

    async fn closing_writes_what_waits_and_refuses_the_rest(database: TestDatabase) {
        let store = database.open().await;
        let writer = writer(&store).await;
        let waiting: Vec<_> = (1..=300)
            .map(|number| {
                let writer = writer.clone();
                tokio::spawn(async move { writer.append(mint(number), PATIENCE).await })
            })
            .collect();
        while writer.stats().rows == 0 {
            tokio::task::yield_now().await;
        }
        writer.close().await;
        let mut written = 0;
        for waiting in waiting {
            match waiting.await.unwrap() {
                Ok(_) => written += 1,
                Err(error) => assert!(matches!(error, LedgerError::Closed), "{error}"),
            }
        }
        assert_eq!(verified(&store).await, written);
        assert!(matches!(writer.append(mint(301), PATIENCE).await, Err(LedgerError::Closed)));
        writer.close().await;
    }
}

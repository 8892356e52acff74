//! The ledger's promises: an answer means a durable row, one unbroken chain whoever writes, and no change goes unnoticed.

mod archiving;
mod rollback;
mod tampering;
mod writing;

use std::time::Duration;

use tagmint_core::ledger::{LedgerEntry, Outcome};
use tagmint_testkit::{
    keys::master_key,
    ledger::{FIRST_ENTRY_AT_MS, mint, refusal},
};

use super::*;
use crate::test_support::{TestDatabase, engine_tests};

/// Longer than any test waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// The fault that a verification finds, and the rows before it.
async fn fault(store: &Store) -> (LedgerFault, u64) {
    match store.ledger().verify(&master_key(1)).await.unwrap_err() {
        VerifyError::Fault { fault, rows } => (fault, rows),
        other => panic!("{other}"),
    }
}

async fn writer(store: &Store) -> LedgerWriter {
    store.ledger_writer(master_key(1)).await.unwrap()
}

async fn append(writer: &LedgerWriter, entry: LedgerEntry) -> i64 {
    writer.append(entry, PATIENCE).await.unwrap()
}

/// Appends mints 1 to `count`.
async fn filled(store: &Store, count: i64) -> LedgerWriter {
    let writer = writer(store).await;
    for number in 1..=count {
        assert_eq!(append(&writer, mint(number)).await, number);
    }
    writer
}

async fn verified(store: &Store) -> u64 {
    store.ledger().verify(&master_key(1)).await.unwrap().rows
}

engine_tests! {
    async fn what_is_appended_is_what_is_read(database: TestDatabase) {
        let store = database.open().await;
        assert_eq!(store.ledger().head().await.unwrap(), None);
        let writer = writer(&store).await;
        let genesis = store.ledger().head().await.unwrap().unwrap();
        assert_eq!(genesis.head, LedgerHead::genesis(store.stamp()));
        assert_eq!((append(&writer, mint(1)).await, append(&writer, refusal(2)).await), (1, 2));
        let rows = store.ledger().page(&LedgerQuery::default(), 10).await.unwrap();
        let bodies: Vec<_> = rows.iter().map(|row| row.body.clone()).collect();
        assert_eq!(bodies, [mint(1).to_body(), refusal(2).to_body()]);
        let report = store.ledger().verify(&master_key(1)).await.unwrap();
        let head = store.ledger().head().await.unwrap().unwrap().head;
        assert_eq!(report, VerifyReport { rows: 2, archived: None, unpruned: 0, head: head.clone() });
        assert_eq!((head.seq, &head.hash), (2, &rows[1].hash));
    }

    async fn prefixes_are_told_with_their_last_mint(database: TestDatabase) {
        let store = database.open().await;
        let writer = writer(&store).await;
        let with = |number: i64, tags: &str| {
            let mut entry = mint(number);
            if let Outcome::Minted(minted) = &mut entry.outcome {
                minted.tags = tagmint_core::json::parse(tags.as_bytes()).unwrap();
            }
            entry
        };
        let run = |number, repository: &str| {
            let tags = format!(r#"{{"prefix":["pr-1/run-2"],"repository":["{repository}"]}}"#);
            with(number, &format!(r#"{{"principal_tags":{tags}}}"#))
        };
        let odd = with(5, r#"{"principal_tags":{"prefix":["a'b\"; --"]}}"#);
        let number = with(6, r#"{"principal_tags":{"prefix":[7]}}"#);
        // Whoever proves nothing does not speak for what is written there.
        let of_a_stranger = |number| LedgerEntry { source: Some("open".to_owned()), ..run(number, "20") };
        for entry in [run(1, "20"), mint(2), run(3, "20"), run(4, "21"), odd, number, refusal(7), of_a_stranger(8)] {
            append(&writer, entry).await;
        }
        let found = store.ledger().minted_prefixes().await.unwrap();
        let told: Vec<_> = found.iter().map(|one| (one.value.as_str(), one.repository.as_deref(), one.last_at_ms)).collect();
        let at = |number| FIRST_ENTRY_AT_MS + number;
        let expected = [
            ("7", None, at(6)),
            ("a'b\"; --", None, at(5)),
            ("pr-1/run-2", Some("20"), at(3)),
            ("pr-1/run-2", Some("21"), at(4)),
        ];
        assert_eq!(told, expected);
    }

    async fn odd_text_keeps_its_bytes(database: TestDatabase) {
        let store = database.open().await;
        let writer = writer(&store).await;
        let odd = "\u{0}\u{1f}\"\\'; DROP TABLE ledger; -- \u{fffd}\u{10ffff}ü\u{202e}$1 ?1";
        let entry = LedgerEntry { identity: Some(odd.to_owned()), ..mint(1) };
        append(&writer, entry.clone()).await;
        let rows = store.ledger().page(&LedgerQuery::default(), 10).await.unwrap();
        assert_eq!(rows[0].body, entry.to_body());
        assert_eq!(verified(&store).await, 1);
    }

    async fn pages_are_filtered(database: TestDatabase) {
        let store = database.open().await;
        let writer = writer(&store).await;
        for number in 1..=6 {
            append(&writer, if number % 3 == 0 { refusal(number) } else { mint(number) }).await;
        }
        let seqs = async |query: LedgerQuery, limit| {
            let rows = store.ledger().page(&query, limit).await.unwrap();
            rows.into_iter().map(|row| row.seq).collect::<Vec<_>>()
        };
        let all = LedgerQuery::default();
        assert_eq!(seqs(LedgerQuery { after_seq: Some(2), ..all.clone() }, 3).await, [3, 4, 5]);
        assert_eq!(seqs(LedgerQuery { order: LedgerOrder::NewestFirst, ..all.clone() }, 2).await, [6, 5]);
        let older = LedgerQuery { order: LedgerOrder::NewestFirst, before_seq: Some(5), ..all.clone() };
        assert_eq!(seqs(older, 2).await, [4, 3]);
        assert_eq!(seqs(LedgerQuery { outcome: Some("refused".into()), ..all.clone() }, 10).await, [3, 6]);
        let (since_ms, until_ms) = (Some(FIRST_ENTRY_AT_MS + 2), Some(FIRST_ENTRY_AT_MS + 4));
        assert_eq!(seqs(LedgerQuery { since_ms, until_ms, ..all.clone() }, 10).await, [2, 3]);
        assert_eq!(seqs(LedgerQuery { entry_id: Some(refusal(3).id()), ..all.clone() }, 10).await, [3]);
        assert_eq!(seqs(LedgerQuery { entry_id: Some("mnt_".into()), ..all }, 10).await, Vec::<i64>::new());
    }

    async fn the_chain_goes_on_after_a_restart(database: TestDatabase) {
        let store = database.open().await;
        let first = filled(&store, 3).await;
        first.close().await;
        store.close().await;
        drop(store);
        let store = database.open().await;
        assert_eq!(append(&writer(&store).await, mint(4)).await, 4);
        assert_eq!(verified(&store).await, 4);
    }

    async fn another_key_file_is_refused_at_the_start(database: TestDatabase) {
        let store = database.open().await;
        filled(&store, 1).await.close().await;
        let refused = store.ledger_writer(master_key(2)).await.unwrap_err();
        assert!(matches!(refused, crate::LedgerError::Seal { .. }), "{refused}");
        assert!(refused.to_string().contains("tagmint.db"), "{refused}");
    }

    async fn verification_reads_more_than_one_page_while_others_append(database: TestDatabase) {
        let store = database.open().await;
        let writer = writer(&store).await;
        let appended: Vec<_> = (1..=2500)
            .map(|number| {
                let writer = writer.clone();
                tokio::spawn(async move { append(&writer, mint(number)).await })
            })
            .collect();
        let mut last = 0;
        for appended in appended {
            appended.await.unwrap();
            if last < 3 {
                let rows = verified(&store).await;
                assert!(rows >= last);
                last += 1;
            }
        }
        assert_eq!(verified(&store).await, 2500);
    }
}

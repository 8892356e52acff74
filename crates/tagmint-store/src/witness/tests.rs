//! Sums that several nodes add to, and that are forgotten in time.

use super::*;
use crate::test_support::{TestDatabase, at, engine_tests};

fn kid(number: u32) -> KeyId {
    format!("{number:0>43}").parse().unwrap()
}

fn sum(hour: i64, class: FetchClass, agent: &str) -> FetchSum {
    FetchSum {
        hour: at(hour * 3600),
        class,
        network: "203.0.113.0/24".to_owned(),
        agent: agent.to_owned(),
        document: Document::Jwks,
        status: 200,
        fetches: 2,
        last_at: at(hour * 3600 + 10),
        slowest_us: 50,
        total_us: 70,
    }
}

fn key(number: u32, class: FetchClass, first: i64, last: i64, network: &str) -> KeyFetches {
    KeyFetches {
        kid: kid(number),
        class,
        first_at: at(first),
        last_at: at(last),
        network: network.to_owned(),
        agent: "agent".to_owned(),
        fetches: 3,
    }
}

const ALL: FetchQuery = FetchQuery { class: None, limit: 100 };

engine_tests! {
    async fn sums_add_up_over_nodes(database: TestDatabase) {
        let (one, two) = (database.open().await, database.open().await);
        one.witness().add(&[sum(0, FetchClass::Sts, "a"), sum(0, FetchClass::Other, "a")], &[]).await.unwrap();
        let more = FetchSum { fetches: 1, last_at: at(5), slowest_us: 60, total_us: 60, ..sum(0, FetchClass::Sts, "a") };
        two.witness().add(&[more], &[]).await.unwrap();
        let listed = one.witness().list(FetchQuery { class: Some(FetchClass::Sts), ..ALL }).await.unwrap();
        let both = FetchSum { fetches: 3, last_at: at(10), slowest_us: 60, total_us: 130, ..sum(0, FetchClass::Sts, "a") };
        assert_eq!(listed, [both]);
        assert_eq!(one.witness().list(ALL).await.unwrap().len(), 2);
    }

    async fn of_a_key_the_first_and_the_last_fetch_are_known(database: TestDatabase) {
        let store = database.open().await;
        let sts = FetchClass::Sts;
        store.witness().add(&[], &[key(1, sts, 100, 200, "late"), key(1, FetchClass::Other, 1, 900, "else")]).await.unwrap();
        store.witness().add(&[], &[key(1, sts, 50, 150, "early"), key(2, sts, 7, 7, "x")]).await.unwrap();
        let expected = KeyFetches { fetches: 6, ..key(1, sts, 50, 200, "late") };
        let found = store.witness().keys().await.unwrap();
        assert_eq!(found, [key(1, FetchClass::Other, 1, 900, "else"), expected, key(2, sts, 7, 7, "x")]);
        let witnesses = store.witness().by_sts().await.unwrap();
        assert_eq!(witnesses, [(kid(1), at(200)), (kid(2), at(7))].into_iter().collect());
        assert_eq!(witnesses.latest(), Some(at(200)));
    }

    async fn a_batch_is_written_whole_or_not_at_all(database: TestDatabase) {
        let store = database.open().await;
        let bad = KeyFetches { fetches: 0, ..key(1, FetchClass::Sts, 1, 1, "x") };
        assert!(store.witness().add(&[sum(0, FetchClass::Sts, "a")], &[bad]).await.is_err());
        assert_eq!(store.witness().list(ALL).await.unwrap(), []);
    }

    async fn old_sums_are_deleted_and_the_latest_come_first(database: TestDatabase) {
        let store = database.open().await;
        let sums: Vec<_> = (0..1200).map(|number| sum(0, FetchClass::Other, &format!("agent {number}"))).collect();
        store.witness().add(&sums, &[key(1, FetchClass::Sts, 1, 1, "x")]).await.unwrap();
        store.witness().add(&[sum(1, FetchClass::Other, "a"), sum(2, FetchClass::Other, "a")], &[]).await.unwrap();
        assert_eq!(store.witness().delete_before(at(3600)).await.unwrap(), 1200);
        let left = store.witness().list(ALL).await.unwrap();
        assert_eq!(left, [sum(2, FetchClass::Other, "a"), sum(1, FetchClass::Other, "a")]);
        assert_eq!(store.witness().list(FetchQuery { limit: 1, ..ALL }).await.unwrap().len(), 1);
        assert_eq!(store.witness().keys().await.unwrap().len(), 1);
    }

    async fn a_row_that_cannot_be_is_named(database: TestDatabase) {
        let store = database.open().await;
        database.tamper("INSERT INTO key_fetches VALUES ('short', 'sts', 1, 1, 'n', 'a', 1)").await;
        let text = store.witness().keys().await.unwrap_err().to_string();
        assert!(text.contains("key_fetches") && text.contains("short") && text.contains("kid"), "{text}");
    }
}

//! What must outlive a kill, and what nodes agree on.

use jiff::SignedDuration;
use tagmint_core::renewal::RenewalWindow;
use tagmint_testkit::{keys::master_key, random::CountingRandom};

use super::*;
use crate::test_support::{TestDatabase, at, engine_tests};

const DIRECTORY: &str = "https://acme.example/directory";

fn id(number: u64) -> CertificateId {
    CertificateId::generate(at(0), &CountingRandom::starting_at(number << 32)).unwrap()
}

async fn order(store: &Store, number: u64, key: &[u8]) -> CertificateId {
    let names = ["a.example".to_owned(), "b.example".to_owned()];
    let url = format!("https://acme.example/order/{number}");
    let order =
        NewOrder { id: id(number), directory: DIRECTORY, names: &names, url: &url, private_key: key, now: at(1) };
    store.acme().put_order(&order, &master_key(1), &CountingRandom::default()).await.unwrap();
    id(number)
}

fn failure(consecutive: u32) -> AcmeFailure {
    AcmeFailure { at: at(5), kind: "validation".to_owned(), problem: "port 80 is shut".to_owned(), consecutive }
}

engine_tests! {
    async fn an_account_is_kept_before_its_url_is_known(database: TestDatabase) {
        let store = database.open().await;
        let acme = store.acme();
        let random = CountingRandom::default();
        assert!(acme.account(DIRECTORY, &master_key(1)).await.unwrap().is_none());
        acme.add_account(DIRECTORY, b"account key in clear", at(0), &master_key(1), &random).await.unwrap();
        acme.add_account(DIRECTORY, b"another node's key", at(1), &master_key(1), &random).await.unwrap();
        let copy = database.after_a_kill();
        let killed = copy.open().await;
        let account = killed.acme().account(DIRECTORY, &master_key(1)).await.unwrap().unwrap();
        assert_eq!(account.private_key.as_slice(), b"account key in clear", "the first key stays");
        assert_eq!((account.url, account.pending_key.is_none()), (None, true));
        assert!(acme.account_urls().await.unwrap().is_empty());
        let contact = ["mailto:a@b.example".to_owned()];
        acme.account_registered(DIRECTORY, Some("https://acme.example/1"), &contact).await.unwrap();
        let account = acme.account(DIRECTORY, &master_key(1)).await.unwrap().unwrap();
        assert_eq!(account.url.as_deref(), Some("https://acme.example/1"));
        assert_eq!(account.contact, contact);
        assert_eq!(acme.account_urls().await.unwrap(), [(DIRECTORY.to_owned(), "https://acme.example/1".to_owned())]);
        assert!(acme.account("https://other.example/", &master_key(1)).await.unwrap().is_none());
        let unknown = acme.account_registered("https://other.example/", None, &[]).await.unwrap_err();
        assert!(matches!(unknown, StoreError::RowsTouched { touched: 0, .. }), "{unknown}");
        let bytes = database.bytes();
        assert!(!bytes.windows(20).any(|window| window == b"account key in clear"), "sealed on disk");
    }

    async fn keys_open_under_their_own_key_file_and_row_alone(database: TestDatabase) {
        let store = database.open().await;
        let acme = store.acme();
        acme.add_account(DIRECTORY, b"key", at(0), &master_key(1), &CountingRandom::default()).await.unwrap();
        let error = acme.account(DIRECTORY, &master_key(2)).await.unwrap_err();
        assert!(error.to_string().contains("account https://acme.example/directory"), "{error}");
        database.tamper("UPDATE acme_accounts SET directory = 'https://evil.example/'").await;
        let moved = acme.account("https://evil.example/", &master_key(1)).await.unwrap_err();
        assert!(matches!(moved, StoreError::TlsKey { .. }), "{moved}");
    }

    async fn a_rollover_keeps_both_keys_until_the_server_has_told(database: TestDatabase) {
        let store = database.open().await;
        let acme = store.acme();
        let random = CountingRandom::default();
        acme.add_account(DIRECTORY, b"old", at(0), &master_key(1), &random).await.unwrap();
        assert!(acme.finish_rollover(DIRECTORY).await.is_err(), "there is none");
        acme.begin_rollover(DIRECTORY, b"new", &master_key(1), &random).await.unwrap();
        assert!(acme.begin_rollover(DIRECTORY, b"newer", &master_key(1), &random).await.is_err(), "one at a time");
        let copy = database.after_a_kill();
        let killed = copy.open().await;
        let account = killed.acme().account(DIRECTORY, &master_key(1)).await.unwrap().unwrap();
        assert_eq!(account.private_key.as_slice(), b"old");
        assert_eq!(account.pending_key.unwrap().as_slice(), b"new");
        acme.finish_rollover(DIRECTORY).await.unwrap();
        let account = acme.account(DIRECTORY, &master_key(1)).await.unwrap().unwrap();
        assert_eq!((account.private_key.as_slice(), account.pending_key.is_none()), (b"new".as_slice(), true));
        acme.begin_rollover(DIRECTORY, b"third", &master_key(1), &random).await.unwrap();
        acme.abandon_rollover(DIRECTORY).await.unwrap();
        let account = acme.account(DIRECTORY, &master_key(1)).await.unwrap().unwrap();
        assert_eq!((account.private_key.as_slice(), account.pending_key.is_none()), (b"new".as_slice(), true));
    }

    async fn one_order_is_under_way_and_its_challenges_go_with_it(database: TestDatabase) {
        let store = database.open().await;
        let acme = store.acme();
        assert!(acme.order(&master_key(1)).await.unwrap().is_none());
        order(&store, 1, b"first").await;
        acme.put_challenge("token", "token.thumbprint").await.unwrap();
        acme.put_challenge("token", "token.other").await.unwrap();
        assert_eq!(acme.challenge("token").await.unwrap().as_deref(), Some("token.other"));
        assert_eq!(acme.challenge("' OR 1=1 --").await.unwrap(), None);
        order(&store, 2, b"second").await;
        assert_eq!(acme.challenge("token").await.unwrap(), None);
        let copy = database.after_a_kill();
        let killed = copy.open().await;
        let found = killed.acme().order(&master_key(1)).await.unwrap().unwrap();
        assert_eq!((found.id, found.url.as_str()), (id(2), "https://acme.example/order/2"));
        assert_eq!(found.private_key.as_slice(), b"second");
        assert_eq!((found.names.len(), found.created_at), (2, at(1)));
        acme.drop_order().await.unwrap();
        assert!(acme.order(&master_key(1)).await.unwrap().is_none());
    }

    async fn a_certificate_ends_its_order_and_what_failed_before(database: TestDatabase) {
        let store = database.open().await;
        let acme = store.acme();
        let first = order(&store, 1, b"first key").await;
        acme.request_renewal(at(2)).await.unwrap();
        acme.failed(&failure(3), at(60), &[at(5)]).await.unwrap();
        let other = acme.store_certificate(id(9), "PEM", at(900), at(10)).await.unwrap_err();
        assert!(matches!(other, StoreError::RowsTouched { .. }), "an order that is not under way: {other}");
        acme.store_certificate(first, "PEM", at(900), at(10)).await.unwrap();
        let copy = database.after_a_kill();
        let killed = copy.open().await;
        let stored = killed.acme().certificates().await.unwrap();
        assert_eq!(stored.len(), 1);
        assert_eq!((stored[0].id, stored[0].chain.as_str(), stored[0].not_after), (first, "PEM", at(900)));
        assert_eq!((stored[0].has_private, stored[0].stored_at, stored[0].lookup_at), (true, at(10), None));
        let key = killed.acme().certificate_key(first, &master_key(1)).await.unwrap().unwrap();
        assert_eq!(key.as_slice(), b"first key");
        assert!(acme.order(&master_key(1)).await.unwrap().is_none());
        let state = acme.state().await.unwrap();
        assert_eq!((state.failure, state.retry_at, state.renew_requested_at), (None, None, None));
        assert_eq!(state.failed_validations, [at(5)], "the server counts them still");
    }

    async fn keys_of_superseded_certificates_are_wiped(database: TestDatabase) {
        let store = database.open().await;
        let acme = store.acme();
        for number in 1..=4 {
            let id = order(&store, number, format!("key {number}").as_bytes()).await;
            let now = at(i64::try_from(number).unwrap() * 10);
            acme.store_certificate(id, "PEM", now + SignedDuration::from_hours(1), now).await.unwrap();
        }
        let kept: Vec<bool> = acme.certificates().await.unwrap().iter().map(|record| record.has_private).collect();
        assert_eq!(kept, [true, true, false, false], "the newest first");
        assert!(acme.certificate_key(id(1), &master_key(1)).await.unwrap().is_none());
        assert!(acme.certificate_key(id(4), &master_key(1)).await.unwrap().is_some());
    }

    async fn renewal_information_is_kept_beside_its_certificate(database: TestDatabase) {
        let store = database.open().await;
        let acme = store.acme();
        let id = order(&store, 1, b"key").await;
        acme.store_certificate(id, "PEM", at(900), at(10)).await.unwrap();
        let window = RenewalWindow::new(at(100), at(200));
        acme.put_renewal_info(id, window, Some("https://ca.example/why"), at(50)).await.unwrap();
        let record = acme.certificates().await.unwrap().remove(0);
        assert_eq!((record.window, record.lookup_at), (window, Some(at(50))));
        assert_eq!(record.explanation_url.as_deref(), Some("https://ca.example/why"));
        acme.put_renewal_info(id, None, None, at(60)).await.unwrap();
        let record = acme.certificates().await.unwrap().remove(0);
        assert_eq!((record.window, record.explanation_url, record.lookup_at), (None, None, Some(at(60))));
    }

    async fn one_node_at_a_time_orders(database: TestDatabase) {
        let store = database.open().await;
        let acme = store.acme();
        assert!(acme.take_lease("one", at(0), at(100)).await.unwrap());
        assert!(!acme.take_lease("two", at(10), at(110)).await.unwrap());
        assert!(acme.take_lease("one", at(50), at(150)).await.unwrap(), "extended");
        assert!(!acme.take_lease("two", at(149), at(249)).await.unwrap());
        assert!(acme.take_lease("two", at(150), at(250)).await.unwrap(), "the first one is gone");
        acme.release_lease("one").await.unwrap();
        assert_eq!(acme.state().await.unwrap().lease, Some(("two".to_owned(), at(250))), "not its own any more");
        acme.release_lease("two").await.unwrap();
        assert_eq!(acme.state().await.unwrap().lease, None);
        assert!(acme.take_lease("ahead", at(10_000), at(10_100)).await.unwrap());
        assert!(acme.take_lease("one", at(0), at(100)).await.unwrap(), "a clock that was ahead locks nobody out");
    }

    async fn a_failure_is_noted_and_an_operator_ends_the_pause(database: TestDatabase) {
        let store = database.open().await;
        let acme = store.acme();
        acme.failed(&failure(2), at(600), &[at(1), at(5)]).await.unwrap();
        let state = acme.state().await.unwrap();
        assert_eq!((state.failure, state.retry_at), (Some(failure(2)), Some(at(600))));
        assert_eq!(state.failed_validations, [at(1), at(5)]);
        acme.request_renewal(at(7)).await.unwrap();
        acme.request_rollover(at(8)).await.unwrap();
        let state = acme.state().await.unwrap();
        assert_eq!((state.renew_requested_at, state.rollover_requested_at), (Some(at(7)), Some(at(8))));
        assert_eq!((state.retry_at, state.failure), (None, Some(failure(2))), "it is told still");
        acme.end_rollover_request().await.unwrap();
        assert_eq!(acme.state().await.unwrap().rollover_requested_at, None);
    }

    async fn a_damaged_row_is_named(database: TestDatabase) {
        let store = database.open().await;
        let acme = store.acme();
        let id = order(&store, 1, b"key").await;
        acme.store_certificate(id, "PEM", at(900), at(10)).await.unwrap();
        database.tamper("UPDATE acme_certificates SET not_after_ms = 9223372036854775807").await;
        let error = acme.certificates().await.unwrap_err().to_string();
        assert!(error.contains("not_after_ms") && error.contains("crt_"), "{error}");
        database.tamper("UPDATE acme_state SET failed_validations = 'none'").await;
        let error = acme.state().await.unwrap_err().to_string();
        assert!(error.contains("failed_validations"), "{error}");
    }
}

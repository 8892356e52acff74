//! Each token works once, whoever asks, however often, wherever.

use super::*;
use crate::test_support::{TestDatabase, at, engine_tests};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A use of the token with this number, at this second, good from 0 to 100.
fn token(number: u32, second: i64) -> TokenUse {
    TokenUse {
        provider: "github".to_owned(),
        token_hash: format!("{number:064x}"),
        keep_until: at(100),
        now: at(second),
        request_hash: "sts".to_owned(),
        allowance: Allowance::ONCE,
    }
}

/// The same, for a provider whose clients retry.
fn retried(uses: u32, second: i64) -> TokenUse {
    TokenUse { allowance: Allowance { uses, within_seconds: 5 }, ..token(1, second) }
}

fn spent(second: i64) -> Claim {
    Claim::Spent { first_used_at: at(second) }
}

async fn rows(database: &TestDatabase) -> i64 {
    let mut raw = database.raw().await;
    sqlx::query_scalar("SELECT count(*) FROM used_tokens").fetch_one(&mut raw).await.unwrap()
}

/// Claims all at once, half of them on either store.
async fn claim_all(stores: [&Store; 2], tokens: Vec<TokenUse>) -> Vec<Claim> {
    let claims: Vec<_> = tokens
        .into_iter()
        .enumerate()
        .map(|(index, token)| {
            let store = stores[index % 2].clone();
            tokio::spawn(async move { store.used_tokens().claim(&token).await.unwrap() })
        })
        .collect();
    let mut claimed = Vec::with_capacity(claims.len());
    for claim in claims {
        claimed.push(claim.await.unwrap());
    }
    claimed
}

engine_tests! {
    async fn two_hundred_at_once_in_two_processes_and_one_is_first(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        for round in 0..5 {
            let claimed = claim_all([&here, &there], vec![token(round, i64::from(round)); 200]).await;
            assert_eq!(claimed.iter().filter(|claim| **claim == Claim::First).count(), 1);
            assert_eq!(claimed.iter().filter(|claim| **claim == spent(i64::from(round))).count(), 199);
        }
        assert_eq!(rows(&database).await, 5);
    }

    async fn two_hundred_tokens_at_once_are_all_first(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        let claimed = claim_all([&here, &there], (0..200).map(|number| token(number, 1)).collect()).await;
        assert!(claimed.iter().all(|claim| *claim == Claim::First));
        assert_eq!(rows(&database).await, 200);
    }

    async fn other_providers_and_other_tokens_are_others(database: TestDatabase) {
        let store = database.open().await;
        let tokens = store.used_tokens();
        assert_eq!(tokens.claim(&token(1, 1)).await.unwrap(), Claim::First);
        let elsewhere = TokenUse { provider: "gitlab".to_owned(), ..token(1, 1) };
        assert_eq!(tokens.claim(&elsewhere).await.unwrap(), Claim::First);
        assert_eq!(tokens.claim(&token(2, 1)).await.unwrap(), Claim::First);
        // Neither the case nor the border between name and hash is lost.
        let louder = TokenUse { provider: "GITHUB".to_owned(), ..token(1, 1) };
        assert_eq!(tokens.claim(&louder).await.unwrap(), Claim::First);
        let shifted = TokenUse { provider: "github0".to_owned(), token_hash: token(1, 1).token_hash[1..].to_owned(), ..token(1, 1) };
        assert_eq!(tokens.claim(&shifted).await.unwrap(), Claim::First);
        for again in [token(1, 2), elsewhere, token(2, 2), louder, shifted] {
            assert_eq!(tokens.claim(&again).await.unwrap(), spent(1), "{again:?}");
        }
    }

    async fn retries_are_allowed_within_their_bounds(database: TestDatabase) {
        let store = database.open().await;
        let tokens = store.used_tokens();
        assert_eq!(tokens.claim(&retried(3, 10)).await.unwrap(), Claim::First);
        let other_request = TokenUse { request_hash: "other".to_owned(), ..retried(3, 11) };
        assert_eq!(tokens.claim(&other_request).await.unwrap(), spent(10), "another audience or role");
        assert_eq!(tokens.claim(&retried(3, 16)).await.unwrap(), spent(10), "too late");
        assert_eq!(tokens.claim(&retried(3, 4)).await.unwrap(), spent(10), "by a clock too far behind");
        assert_eq!(tokens.claim(&token(1, 11)).await.unwrap(), spent(10), "no retries are allowed any more");
        assert_eq!(tokens.claim(&retried(0, 11)).await.unwrap(), spent(10));
        assert_eq!(tokens.claim(&retried(3, 15)).await.unwrap(), Claim::Again(2));
        assert_eq!(tokens.claim(&retried(3, 9)).await.unwrap(), Claim::Again(3), "by a clock a little behind");
        assert_eq!(tokens.claim(&retried(3, 12)).await.unwrap(), spent(10), "too often");
    }

    async fn retries_at_once_are_counted(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        let mut claimed = claim_all([&here, &there], vec![retried(4, 1); 100]).await;
        claimed.retain(|claim| *claim != spent(1));
        claimed.sort_by_key(|claim| match claim {
            Claim::Again(nth) => *nth,
            _ => 1,
        });
        assert_eq!(claimed, [Claim::First, Claim::Again(2), Claim::Again(3), Claim::Again(4)]);
    }

    async fn a_claim_survives_a_kill_and_a_restart(database: TestDatabase) {
        let store = database.open().await;
        assert_eq!(store.used_tokens().claim(&token(1, 1)).await.unwrap(), Claim::First);
        let killed = database.after_a_kill();
        assert_eq!(killed.open().await.used_tokens().claim(&token(1, 2)).await.unwrap(), spent(1));
        store.close().await;
        assert!(matches!(store.used_tokens().claim(&token(2, 2)).await, Err(StoreError::Closed)));
        drop(store);
        assert_eq!(database.open().await.used_tokens().claim(&token(1, 2)).await.unwrap(), spent(1));
    }

    async fn the_last_use_alone_is_taken_back(database: TestDatabase) {
        let store = database.open().await;
        let tokens = store.used_tokens();
        assert_eq!(tokens.claim(&token(1, 1)).await.unwrap(), Claim::First);
        assert!(!tokens.release(&token(1, 1), spent(1)).await.unwrap(), "who got nothing gives nothing back");
        assert!(!tokens.release(&token(1, 2), Claim::First).await.unwrap(), "somebody else's claim");
        assert!(!tokens.release(&token(2, 1), Claim::First).await.unwrap());
        assert!(tokens.release(&token(1, 1), Claim::First).await.unwrap());
        assert!(!tokens.release(&token(1, 1), Claim::First).await.unwrap());
        assert_eq!(tokens.claim(&retried(3, 3)).await.unwrap(), Claim::First, "free again");
        assert_eq!(tokens.claim(&retried(3, 4)).await.unwrap(), Claim::Again(2));
        assert!(!tokens.release(&retried(3, 3), Claim::First).await.unwrap(), "another use came after it");
        assert!(!tokens.release(&retried(3, 4), Claim::Again(3)).await.unwrap());
        assert!(tokens.release(&retried(3, 4), Claim::Again(2)).await.unwrap());
        assert_eq!(tokens.claim(&retried(3, 5)).await.unwrap(), Claim::Again(2));
    }

    async fn what_expired_is_forgotten_and_nothing_else(database: TestDatabase) {
        let store = database.open().await;
        let tokens = store.used_tokens();
        let keep_until = |number| at(if number < 2_050 { 100 } else { 101 });
        let all = (0..2_100).map(|number| TokenUse { keep_until: keep_until(number), ..token(number, 1) }).collect();
        assert!(claim_all([&store, &store], all).await.iter().all(|claim| *claim == Claim::First));
        assert_eq!(tokens.delete_expired(at(99), HOUR).await.unwrap(), 0);
        // Rows go in several statements.
        assert_eq!(tokens.delete_expired(at(100), HOUR).await.unwrap(), 2_050);
        assert_eq!(tokens.claim(&token(2_060, 2)).await.unwrap(), spent(1));
        assert_eq!(tokens.claim(&token(1, 2)).await.unwrap(), Claim::First);
    }

    async fn a_clock_that_was_ahead_forgets_nothing_that_is_good(database: TestDatabase) {
        let store = database.open().await;
        let tokens = store.used_tokens();
        assert_eq!(tokens.claim(&token(1, 1)).await.unwrap(), Claim::First);
        // Two hours ahead the token, which is good from 1 to 100, seems to have expired. The clock has not run for as long.
        for seconds in [-1, 0, 98] {
            assert_eq!(tokens.delete_expired(at(7_200), SignedDuration::from_secs(seconds)).await.unwrap(), 0, "{seconds}");
        }
        assert_eq!(tokens.claim(&token(1, 2)).await.unwrap(), spent(1));
        assert_eq!(tokens.delete_expired(at(7_200), SignedDuration::from_secs(99)).await.unwrap(), 1);
    }

    async fn a_longer_leeway_keeps_a_row_for_longer(database: TestDatabase) {
        let store = database.open().await;
        let tokens = store.used_tokens();
        tokens.claim(&retried(3, 1)).await.unwrap();
        let later = TokenUse { keep_until: at(200), ..retried(3, 2) };
        assert_eq!(tokens.claim(&later).await.unwrap(), Claim::Again(2));
        assert_eq!(tokens.claim(&retried(3, 3)).await.unwrap(), Claim::Again(3));
        assert_eq!(tokens.delete_expired(at(199), HOUR).await.unwrap(), 0);
        assert_eq!(tokens.delete_expired(at(200), HOUR).await.unwrap(), 1);
    }

    async fn a_failed_write_claims_nothing(database: TestDatabase) {
        use sqlx::Connection as _;
        let store = database.open_impatient().await;
        let mut raw = database.raw().await;
        let holder = raw.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let error = store.used_tokens().claim(&token(1, 1)).await.unwrap_err();
        assert_eq!(error.fault(), Some(crate::Fault::Locked), "{error}");
        holder.rollback().await.unwrap();
        assert_eq!(store.used_tokens().claim(&token(1, 2)).await.unwrap(), Claim::First);
        drop(raw);
        database.tamper("CREATE TRIGGER full BEFORE INSERT ON used_tokens BEGIN SELECT RAISE(ABORT, 'no'); END").await;
        assert!(store.used_tokens().claim(&token(2, 2)).await.is_err());
        database.tamper("DROP TRIGGER full").await;
        assert_eq!(store.used_tokens().claim(&token(2, 3)).await.unwrap(), Claim::First, "the connection works again");
    }
}

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
        network: "192.0.2.0/24".to_owned(),
        allowance: Allowance::ONCE,
    }
}

/// The same, for a provider whose clients retry.
fn retried(uses: u32, second: i64) -> TokenUse {
    TokenUse { allowance: Allowance::Times { uses, within_seconds: 5 }, ..token(1, second) }
}

fn spent(second: i64) -> Claim {
    not_again(second, Exhausted::UsedUp)
}

fn not_again(second: i64, why: Exhausted) -> Claim {
    Claim::Spent { first_used_at: at(second), why }
}

/// A use of a token that is good until it expires, from this network.
fn reused(second: i64, network: &str, per_minute: u32, one_network: bool) -> TokenUse {
    let allowance = Allowance::UntilExpiry { per_minute, one_network };
    TokenUse { network: network.to_owned(), allowance, ..token(1, second) }
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
        assert_eq!(tokens.claim(&other_request).await.unwrap(), not_again(10, Exhausted::OtherRequest));
        assert_eq!(tokens.claim(&retried(3, 16)).await.unwrap(), not_again(10, Exhausted::TooLate));
        assert_eq!(tokens.claim(&retried(3, 4)).await.unwrap(), not_again(10, Exhausted::TooLate), "by a clock too far behind");
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

    async fn a_token_that_may_be_reused_is_good_until_it_expires(database: TestDatabase) {
        const HOME: &str = "192.0.2.0/24";
        const AWAY: &str = "2001:db8::/64";
        let (here, there) = (database.open().await, database.open().await);
        let tokens = here.used_tokens();
        assert_eq!(tokens.claim(&reused(40, HOME, 3, true)).await.unwrap(), Claim::First);
        assert_eq!(there.used_tokens().claim(&reused(41, HOME, 3, true)).await.unwrap(), Claim::Again(2));
        assert_eq!(tokens.claim(&reused(79, HOME, 3, true)).await.unwrap(), Claim::Again(3));
        let too_often = not_again(40, Exhausted::TooOften { next_in_seconds: 20 });
        assert_eq!(tokens.claim(&reused(80, HOME, 3, true)).await.unwrap(), too_often);
        assert_eq!(tokens.claim(&reused(80, HOME, 4, true)).await.unwrap(), Claim::Again(4), "by another rate");
        assert_eq!(tokens.claim(&reused(100, HOME, 3, true)).await.unwrap(), Claim::Again(5), "the next minute");
        let other_request = TokenUse { request_hash: "other".to_owned(), ..reused(101, HOME, 3, true) };
        assert_eq!(tokens.claim(&other_request).await.unwrap(), not_again(40, Exhausted::OtherRequest));

        // From elsewhere it is refused, each time, and told once.
        for new in [true, false, false] {
            let elsewhere = not_again(40, Exhausted::OtherNetwork { new });
            assert_eq!(there.used_tokens().claim(&reused(102, AWAY, 3, true)).await.unwrap(), elsewhere);
        }
        assert_eq!(tokens.claim(&reused(180, AWAY, 9, false)).await.unwrap(), Claim::Again(6), "it is known from there");
        assert_eq!(tokens.claim(&reused(181, "10.0.0.0/24", 9, false)).await.unwrap(), Claim::AgainElsewhere(7));
        assert_eq!(tokens.claim(&reused(182, "10.0.0.0/24", 9, false)).await.unwrap(), Claim::Again(8));
        assert!(tokens.release(&reused(182, "10.0.0.0/24", 9, false), Claim::Again(8)).await.unwrap());
        assert_eq!(tokens.claim(&reused(183, HOME, 9, true)).await.unwrap(), Claim::Again(8), "the first network counts");
        assert_eq!(tokens.claim(&token(1, 184)).await.unwrap(), spent(40), "reuse was switched off");
    }

    async fn the_networks_of_a_token_are_bounded(database: TestDatabase) {
        let store = database.open().await;
        let tokens = store.used_tokens();
        let network = |number: usize| format!("10.0.{number}.0/24");
        for number in 0..40 {
            let claim = tokens.claim(&reused(1, &network(number), 1_000, false)).await.unwrap();
            let nth = u32::try_from(number).unwrap() + 1;
            let expected = match number {
                0 => Claim::First,
                1..MOST_NETWORKS => Claim::AgainElsewhere(nth),
                _ => Claim::Again(nth),
            };
            assert_eq!(claim, expected, "{number}");
        }
        let stored: String = {
            let mut raw = database.raw().await;
            sqlx::query_scalar("SELECT networks FROM used_tokens").fetch_one(&mut raw).await.unwrap()
        };
        assert_eq!(serde_json::from_str::<Vec<String>>(&stored).unwrap().len(), MOST_NETWORKS);
    }

    // A token that was used before reuse was allowed, or before networks were kept.
    async fn a_row_without_networks_takes_the_first_that_comes(database: TestDatabase) {
        let store = database.open().await;
        let tokens = store.used_tokens();
        tokens.claim(&token(1, 1)).await.unwrap();
        database.tamper("UPDATE used_tokens SET networks = '[]'").await;
        assert_eq!(tokens.claim(&reused(2, "10.0.0.0/24", 3, true)).await.unwrap(), Claim::Again(2));
        let elsewhere = not_again(1, Exhausted::OtherNetwork { new: true });
        assert_eq!(tokens.claim(&reused(3, "10.0.1.0/24", 3, true)).await.unwrap(), elsewhere);
        database.tamper("UPDATE used_tokens SET networks = 'x'").await;
        assert!(matches!(tokens.claim(&token(1, 4)).await, Err(StoreError::Row { column: "networks", .. })));
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

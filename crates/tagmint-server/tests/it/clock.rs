//! A clock that was ahead, is behind, or is set again and again, under a running issuer and across starts.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;
use tagmint_core::{
    alarm::{AlarmKind, book::NoticePolicy},
    clock::Clock,
};
use tagmint_server::alarms::{AlarmParts, Alarms};
use tagmint_store::{Allowance, Claim, CredentialFilter, Exhausted, TokenUse};
use tagmint_testkit::clock::MockClock;

use crate::issuer::{Setup, TestIssuer};

const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn folder() -> Arc<tempfile::TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

/// The issuer on the same database, started at this moment.
async fn restarted(issuer: &TestIssuer, clock: MockClock) -> TestIssuer {
    TestIssuer::start_in(Setup::default(), Arc::clone(&issuer.dir), clock).await.unwrap()
}

/// Lets time pass as it does under a running issuer.
async fn run(issuer: &TestIssuer, span: SignedDuration) {
    let end = issuer.clock.now() + span;
    while issuer.clock.now() < end {
        issuer.clock.advance(HOUR.min(end.duration_since(issuer.clock.now())));
        issuer.app.tend_keys().await.unwrap();
    }
}

async fn mints(issuer: &TestIssuer) -> String {
    let session = issuer.open_session().await;
    issuer.signing_kid(&session).await
}

#[tokio::test]
async fn a_first_start_with_a_clock_ahead_does_no_harm() {
    for ahead in [MINUTE * 3, DAY * 2, DAY * 400] {
        let start = MockClock::default().now();
        let first = TestIssuer::start_in(Setup::default(), folder(), MockClock::new(start + ahead)).await.unwrap();
        let kid = mints(&first).await;
        run(&first, MINUTE * 2).await;
        let second = restarted(&first, MockClock::new(start + MINUTE * 2)).await;
        assert_eq!(mints(&second).await, kid, "{ahead}");
        assert_eq!(second.get("/readyz").await.status, 200, "{ahead}");
        // The next rotation comes when this key has signed for its time.
        run(&second, DAY * 28).await;
        assert_eq!(second.published().await.len(), 1, "{ahead}");
        run(&second, DAY * 2).await;
        assert_ne!(mints(&second).await, kid, "{ahead}");
    }
}

#[tokio::test]
async fn an_established_issuer_survives_three_starts_with_a_clock_weeks_ahead() {
    let right = TestIssuer::start().await;
    let kid = mints(&right).await;
    run(&right, DAY * 3).await;
    let known: Vec<String> = right.published().await;
    for ahead in [DAY * 21, DAY * 50, DAY * 90] {
        let ahead = restarted(&right, MockClock::new(right.clock.now() + ahead)).await;
        // What signs is in every set that was fetched before: no start has seen the next key for long enough.
        assert_eq!(mints(&ahead).await, kid);
        ahead.clock.advance(MINUTE);
        ahead.app.tend_keys().await.unwrap();
    }
    let right = restarted(&right, MockClock::new(right.clock.now() + MINUTE * 5)).await;
    assert_eq!(mints(&right).await, kid);
    assert!(known.contains(&kid));
    let list = right.keys().list().await.unwrap();
    assert!(list.iter().all(|key| key.state.schedule.published_at <= right.clock.now()), "{list:#?}");
    run(&right, HOUR * 2).await;
    mints(&right).await;
}

#[tokio::test]
async fn an_issuer_that_ran_for_days_with_a_clock_ahead_goes_on_when_it_is_right() {
    let start = MockClock::default().now();
    let before = TestIssuer::start().await;
    let first = mints(&before).await;
    let ahead = restarted(&before, MockClock::new(start + DAY * 40)).await;
    run(&ahead, DAY * 2).await;
    let second = mints(&ahead).await;
    assert_ne!(second, first, "by its clock the first key's turn was over");
    assert_eq!(ahead.published().await, std::slice::from_ref(&second), "and its private half is gone");
    // The clock is set right under the running issuer, without anybody's help.
    ahead.clock.step(DAY * -40);
    for _ in 0..3 {
        assert_eq!(mints(&ahead).await, second);
        ahead.app.tend_keys().await.unwrap();
    }
    assert_eq!(ahead.published().await, std::slice::from_ref(&second));
    let later = restarted(&ahead, MockClock::new(ahead.clock.now() + MINUTE)).await;
    assert_eq!(mints(&later).await, second);
}

#[tokio::test]
async fn a_clock_that_is_set_again_and_again_stops_nothing() {
    let issuer = TestIssuer::start().await;
    issuer.keys().rotate(Some(HOUR * 2)).await.unwrap();
    issuer.app.tend_keys().await.unwrap();
    let [old, next] = issuer.published().await.try_into().unwrap();
    for by in [3, -3, 100, -40, -70, 1, 20, -11] {
        issuer.clock.step(HOUR * by);
        // Before the issuer has looked, and after.
        assert_eq!(mints(&issuer).await, old, "{by}");
        assert_eq!(issuer.published().await, [old.clone(), next.clone()], "{by}");
        issuer.app.tend_keys().await.unwrap();
        assert_eq!(mints(&issuer).await, old, "{by}");
        issuer.clock.advance(MINUTE * 10);
        issuer.app.tend_keys().await.unwrap();
    }
    run(&issuer, HOUR).await;
    assert_eq!(mints(&issuer).await, next, "two hours after its publication, all in all");
}

#[tokio::test]
async fn the_next_key_does_not_sign_sooner_because_the_clock_was_behind() {
    let start = MockClock::default().now();
    let behind = TestIssuer::start_in(Setup::default(), folder(), MockClock::new(start - DAY * 7)).await.unwrap();
    behind.keys().rotate(None).await.unwrap();
    behind.app.tend_keys().await.unwrap();
    let [old, next] = behind.published().await.try_into().unwrap();
    run(&behind, MINUTE * 30).await;
    // Set right under the running issuer, or before a start.
    let right = restarted(&behind, MockClock::new(start + MINUTE * 30)).await;
    for issuer in [&right, &behind] {
        issuer.clock.set(behind.clock.now().max(start + MINUTE * 30));
        issuer.app.tend_keys().await.unwrap();
        assert_eq!(mints(issuer).await, old);
        assert_eq!(issuer.published().await, [old.clone(), next.clone()]);
    }
    run(&right, HOUR).await;
    assert_eq!(mints(&right).await, next);
}

#[tokio::test]
async fn a_withdrawn_key_does_not_come_back_with_an_earlier_clock() {
    let issuer = TestIssuer::start().await;
    let kid = mints(&issuer).await;
    run(&issuer, DAY).await;
    issuer.keys().withdraw(&kid.parse().unwrap(), true).await.unwrap();
    issuer.app.tend_keys().await.unwrap();
    let successor = issuer.published().await;
    assert!(!successor.contains(&kid));
    let session = issuer.open_session().await;
    let refused = async |issuer: &TestIssuer, when: &str| {
        assert_eq!(issuer.published().await, successor, "{when}");
        let problem = issuer.mint(&session, json!({})).await.problem(503, "no-signing-key");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("No key may sign before 20") && !detail.contains("compromised"), "{detail}");
        let ready = issuer.get("/readyz").await;
        assert!(ready.json().to_string().contains("no key may sign before 20"), "{}", ready.json());
    };
    issuer.clock.step(HOUR * -12);
    refused(&issuer, "before the issuer has looked").await;
    issuer.app.tend_keys().await.unwrap();
    refused(&issuer, "after it").await;
    let again = restarted(&issuer, MockClock::new(issuer.clock.now() - HOUR)).await;
    refused(&again, "after a start").await;
    assert!(again.keys().withdraw(&kid.parse().unwrap(), true).await.is_err(), "it is withdrawn already");
    // The wait of the successor is no longer than it was.
    again.clock.advance(MINUTE * 61);
    again.app.tend_keys().await.unwrap();
    assert_eq!(mints(&again).await, successor[0]);
}

#[tokio::test]
async fn commands_beside_a_stopped_issuer_go_by_the_clock_that_is_right() {
    let start = MockClock::default().now();
    let ahead = TestIssuer::start_in(Setup::default(), folder(), MockClock::new(start + DAY * 40)).await.unwrap();
    let kid = mints(&ahead).await;
    ahead.clock.step(DAY * -40);
    let keys = ahead.keys();
    let (states, behind) = keys.list_by_clock().await.unwrap();
    assert_eq!(behind, Some(DAY * 40));
    assert_eq!(states[0].schedule.phase(start).to_string(), "active");
    let changed = keys.rotate(Some(MINUTE * 61)).await.unwrap();
    assert!(changed.iter().all(|key| key.schedule.active_at <= start + MINUTE * 61), "{changed:#?}");
    assert_eq!(keys.list_by_clock().await.unwrap().1, None);
    // The running issuer takes it up.
    ahead.app.tend_keys().await.unwrap();
    assert_eq!((mints(&ahead).await, ahead.published().await.len()), (kid, 2));
    let refused = keys.rotate(None).await.unwrap_err().to_string();
    assert!(refused.contains("may not begin sooner") || refused.contains("keys rotate --after"), "{refused}");
}

#[tokio::test]
async fn a_session_of_a_clock_ahead_lives_no_longer_than_it_was_made_for() {
    let start = MockClock::default().now();
    let issuer = TestIssuer::start_in(Setup::default(), folder(), MockClock::new(start + DAY * 40)).await.unwrap();
    let session = issuer.open_session().await;
    issuer.clock.step(DAY * -40);
    issuer.app.tend_keys().await.unwrap();
    issuer.signing_kid(&session).await;
    issuer.clock.advance(MINUTE * 59);
    issuer.signing_kid(&session).await;
    issuer.clock.advance(MINUTE * 2);
    assert_eq!(issuer.mint(&session, json!({})).await.status, 401);
}

/// A CI token that is good for ten minutes.
fn ci_token(clock: &MockClock) -> TokenUse {
    TokenUse {
        provider: "github".to_owned(),
        token_hash: "7".repeat(64),
        keep_until: clock.now() + MINUTE * 11,
        now: clock.now(),
        request_hash: "sts".to_owned(),
        network: "192.0.2.0/24".to_owned(),
        allowance: Allowance::ONCE,
    }
}

#[tokio::test]
async fn a_start_with_a_clock_ahead_forgets_no_used_token_and_no_session() {
    let issuer = TestIssuer::start().await;
    let session = issuer.open_session().await;
    let token = ci_token(&issuer.clock);
    assert_eq!(issuer.store.used_tokens().claim(&token).await.unwrap(), Claim::First);
    let spent = Claim::Spent { first_used_at: token.now, why: Exhausted::UsedUp };
    for ahead in [HOUR * 2, DAY * 40] {
        let ahead = restarted(&issuer, MockClock::new(issuer.clock.now() + ahead)).await;
        for _ in 0..4 {
            ahead.app.forget_expired().await;
            ahead.clock.advance(MINUTE);
        }
        // Set again while it runs: it has to run anew.
        ahead.clock.advance(HOUR * 5);
        ahead.clock.step(HOUR * 100);
        ahead.app.forget_expired().await;
        ahead.app.tend_keys().await.unwrap();
        ahead.app.forget_expired().await;
        assert_eq!(ahead.store.used_tokens().claim(&token).await.unwrap(), spent);
        assert_eq!(ahead.store.sessions().list(CredentialFilter::All, 9).await.unwrap().len(), 1);
    }
    let again = restarted(&issuer, issuer.clock.clone()).await;
    again.signing_kid(&session).await;
    // After six hours and its ten minutes nothing is left of it that could be good.
    run(&again, HOUR * 7).await;
    again.app.forget_expired().await;
    assert_eq!(again.store.used_tokens().claim(&token).await.unwrap(), Claim::First);
    run(&again, DAY * 8).await;
    again.app.forget_expired().await;
    assert_eq!(again.store.sessions().list(CredentialFilter::All, 9).await.unwrap().len(), 0);
}

async fn look(issuer: &TestIssuer) -> Vec<(AlarmKind, String)> {
    let folder = issuer.dir.path().to_owned();
    let parts = AlarmParts { policy: NoticePolicy::default(), sinks: vec![], certificate: None, folder };
    let seen = Alarms::new(Arc::clone(&issuer.app), parts).look().await;
    seen.into_iter().map(|alarm| (alarm.kind, alarm.text)).collect()
}

#[tokio::test]
async fn the_date_of_an_answer_is_what_the_clock_shows() {
    let issuer = TestIssuer::start().await;
    for (by, date) in [
        (0, "Mon, 21 Sep 2026 14:13:20 GMT"),
        (40, "Sat, 31 Oct 2026 14:13:20 GMT"),
        (-40, "Mon, 21 Sep 2026 14:13:20 GMT"),
    ] {
        issuer.clock.step(DAY * by);
        for path in ["/.well-known/jwks.json", "/nowhere"] {
            assert_eq!(issuer.get(path).await.header("date"), date, "{path}");
        }
    }
}

#[tokio::test]
async fn a_clock_that_was_set_before_a_start_is_told() {
    let start = MockClock::default().now();
    let ahead = TestIssuer::start_in(Setup::default(), folder(), MockClock::new(start + DAY * 2)).await.unwrap();
    assert_eq!(look(&ahead).await, []);
    let right = restarted(&ahead, MockClock::new(start)).await;
    let told = look(&right).await;
    let [(AlarmKind::ClockStepped, text)] = &told[..] else { panic!("{told:?}") };
    assert!(text.starts_with("the clock was set back by 2 days"), "{text}");
    let down = restarted(&right, MockClock::new(start + DAY * 3)).await;
    assert_eq!(look(&down).await, [], "an issuer that was down");
}

#[tokio::test]
async fn a_clock_that_is_set_raises_no_alarm_about_keys() {
    let issuer = TestIssuer::start().await;
    let folder = issuer.dir.path().to_owned();
    let parts = AlarmParts { policy: NoticePolicy::default(), sinks: vec![], certificate: None, folder };
    let mut alarms = Alarms::new(Arc::clone(&issuer.app), parts);
    for by in [DAY * 40, DAY * -40, MINUTE * -3, DAY * -2] {
        alarms.look().await;
        issuer.clock.step(by);
        let kinds: Vec<AlarmKind> = alarms.look().await.into_iter().map(|alarm| alarm.kind).collect();
        assert_eq!(kinds, [AlarmKind::ClockStepped], "{by}");
    }
}

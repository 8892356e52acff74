use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use serde_json::json;
use tagmint_core::{jwk::Jwk, random::SystemRandom, signing_key::Signer};
use tagmint_testkit::{clock::MockClock, keys::fresh_signing_key};

use super::*;

const INTERVAL: Duration = Duration::from_secs(30);
const REFRESH: Duration = Duration::from_mins(10);
const STALE: Duration = Duration::from_hours(24);

/// What an upstream does when it is asked.
#[derive(Debug, Clone)]
enum Answer {
    Keys(KeySet),
    Fails,
    Panics,
    Hangs,
}

#[derive(Debug)]
struct Script {
    answer: Mutex<Answer>,
    asked: AtomicUsize,
}

impl KeyFetcher for Script {
    fn fetch<'a>(&'a self, _: &'a TrustedIssuerUrl) -> BoxFuture<'a, Result<KeySet, FetchError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async move {
            time::sleep(Duration::from_millis(50)).await;
            match answer {
                Answer::Keys(keys) => Ok(keys),
                Answer::Fails => Err(FetchError::Broken("was scripted to fail")),
                Answer::Panics => panic!("scripted"),
                Answer::Hangs => std::future::pending().await,
            }
        })
    }
}

struct Stage {
    script: Arc<Script>,
    clock: MockClock,
    keys: Arc<UpstreamKeys>,
}

impl Stage {
    fn new(answer: Answer) -> Self {
        let settings = UpstreamSettings {
            refresh: REFRESH,
            stale_after: STALE,
            unknown_key_interval: INTERVAL,
            ..UpstreamSettings::default()
        };
        Self::with(answer, settings)
    }

    fn with(answer: Answer, settings: UpstreamSettings) -> Self {
        let script = Arc::new(Script { answer: Mutex::new(answer), asked: AtomicUsize::new(0) });
        let clock = MockClock::default();
        let issuer = TrustedIssuerUrl::parse("https://ci.example").unwrap();
        let fetcher: Arc<dyn KeyFetcher> = Arc::clone(&script) as _;
        let keys = UpstreamKeys::new(issuer, settings, fetcher, Arc::new(clock.clone()));
        Self { script, clock, keys }
    }

    fn say(&self, answer: Answer) {
        *self.script.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.script.asked.load(Ordering::Relaxed)
    }

    /// Lets time pass for the clock and for those who sleep.
    async fn pass(&self, span: Duration) {
        self.clock.advance(span.try_into().unwrap());
        time::sleep(span).await;
    }
}

/// A key set with one key, and the key's id.
fn key_set() -> (KeySet, String) {
    let key = fresh_signing_key();
    let document = json!({"keys": [Jwk::new(key.public(), None)]}).to_string();
    (KeySet::parse(document.as_bytes()).unwrap(), key.kid().to_string())
}

#[tokio::test(start_paused = true)]
async fn a_hundred_first_uses_are_one_fetch() {
    let (keys, kid) = key_set();
    let stage = Stage::new(Answer::Keys(keys));
    let uses = (0..100).map(|_| stage.keys.usable());
    for found in futures::future::join_all(uses).await {
        assert!(found.unwrap().contains(&kid));
    }
    assert_eq!(stage.asked(), 1);
    stage.keys.usable().await.unwrap();
    assert_eq!(stage.asked(), 1, "what is in memory is not fetched");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_keys_is_one_fetch_per_interval() {
    let (keys, _) = key_set();
    let stage = Stage::new(Answer::Keys(keys));
    let seen = stage.keys.usable().await.unwrap();
    stage.pass(INTERVAL).await;
    let flood = (0..1000).map(|_| stage.keys.newer_than(&seen));
    assert!(futures::future::join_all(flood).await.iter().all(Result::is_ok));
    assert_eq!(stage.asked(), 2);
    let seen = stage.keys.usable().await.unwrap();
    for _ in 0..1000 {
        stage.keys.newer_than(&seen).await.unwrap();
    }
    assert_eq!(stage.asked(), 2, "until the interval is over");

    let (newer, kid) = key_set();
    stage.say(Answer::Keys(newer));
    stage.pass(INTERVAL).await;
    assert!(stage.keys.newer_than(&seen).await.unwrap().contains(&kid));
    assert!(
        stage.keys.newer_than(&seen).await.unwrap().contains(&kid),
        "who looked before the fetch takes what it brought"
    );
    assert_eq!(stage.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn callers_who_hang_up_cause_no_further_fetch() {
    let (keys, _) = key_set();
    let stage = Stage::new(Answer::Keys(keys));
    for _ in 0..50 {
        assert!(time::timeout(Duration::from_millis(1), stage.keys.usable()).await.is_err());
    }
    assert!(stage.keys.usable().await.is_ok(), "the fetch went on without them");
    assert_eq!(stage.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn good_keys_outlive_a_failing_upstream_until_they_are_too_old() {
    let (keys, _) = key_set();
    let stage = Stage::new(Answer::Keys(keys.clone()));
    let fetched_at = stage.clock.now();
    let seen = stage.keys.usable().await.unwrap();
    stage.say(Answer::Fails);
    stage.pass(INTERVAL).await;
    let error = stage.keys.newer_than(&seen).await.unwrap_err();
    assert!(matches!(error, NoKeys::NotRenewed { .. }), "an outage, and not the token's fault: {error}");
    stage.pass(STALE.saturating_sub(INTERVAL)).await;
    assert!(stage.keys.usable().await.is_ok(), "to the last second");
    assert_eq!(stage.asked(), 2);
    stage.pass(Duration::from_secs(1)).await;
    let error = stage.keys.usable().await.unwrap_err();
    assert_eq!(error, NoKeys::TooOld { fetched_at, last_error: "the fetch was scripted to fail".to_owned() });
    assert_eq!(
        error.to_string(),
        format!("are too old: last fetched {fetched_at}, last error: the fetch was scripted to fail")
    );
    assert_eq!(stage.keys.health().keys, 0);
    assert_eq!(stage.asked(), 3, "being too old is worth an attempt");
    stage.say(Answer::Keys(keys));
    assert!(stage.keys.usable().await.is_err(), "one attempt per interval");
    stage.pass(INTERVAL).await;
    assert!(stage.keys.usable().await.is_ok());
    assert_eq!(stage.keys.health().last_error, None);
}

#[tokio::test(start_paused = true)]
async fn a_dead_upstream_is_asked_once_per_interval_and_answered_for_at_once() {
    let stage = Stage::new(Answer::Fails);
    for _ in 0..100 {
        let error = stage.keys.usable().await.unwrap_err();
        assert_eq!(error, NoKeys::Never { last_error: "the fetch was scripted to fail".to_owned() });
    }
    assert_eq!(stage.asked(), 1);
    let health = stage.keys.health();
    assert_eq!((health.keys, health.fetched_at, health.fetched, health.failed), (0, None, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_key_is_gone_after_the_next_refresh() {
    let (old, old_kid) = key_set();
    let stage = Stage::new(Answer::Keys(old));
    let keeper = tokio::spawn(Arc::clone(&stage.keys).keep_fresh(Arc::new(SystemRandom)));
    stage.pass(Duration::from_secs(1)).await;
    assert!(stage.keys.current().unwrap().contains(&old_kid), "fetched without anybody asking");
    let (new, new_kid) = key_set();
    stage.say(Answer::Keys(new));
    stage.pass(REFRESH).await;
    let current = stage.keys.current().unwrap();
    assert!(current.contains(&new_kid) && !current.contains(&old_kid));
    assert_eq!(stage.asked(), 2);
    stage.say(Answer::Keys(KeySet::parse(b"{\"keys\":[]}").unwrap()));
    stage.pass(REFRESH).await;
    assert!(stage.keys.current().unwrap().is_empty(), "to withdraw the last key is to withdraw it");
    keeper.abort();
}

#[tokio::test(start_paused = true)]
async fn refreshes_come_up_to_a_tenth_early_and_failures_are_retried_soon() {
    let (keys, _) = key_set();
    let stage = Stage::new(Answer::Keys(keys.clone()));
    let keeper = tokio::spawn(Arc::clone(&stage.keys).keep_fresh(Arc::new(SystemRandom)));
    stage.pass(REFRESH * 90).await;
    assert!((90..=101).contains(&stage.asked()), "{}", stage.asked());
    stage.say(Answer::Fails);
    stage.pass(REFRESH).await;
    let before = stage.asked();
    stage.pass(INTERVAL * 10).await;
    assert!((9..=10).contains(&(stage.asked() - before)), "{}", stage.asked() - before);
    stage.say(Answer::Keys(keys));
    stage.pass(INTERVAL * 2).await;
    assert_eq!(stage.keys.health().last_error, None);
    keeper.abort();
    for span in [Duration::ZERO, Duration::from_mins(10), Duration::MAX] {
        let jittered = earlier(span, &SystemRandom);
        assert!(jittered <= span && jittered >= span / 10 * 9, "{span:?} -> {jittered:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn spans_of_zero_do_not_become_a_flood_of_our_own() {
    let zero = Duration::ZERO;
    let settings = UpstreamSettings { refresh: zero, unknown_key_interval: zero, ..UpstreamSettings::default() };
    for answer in [Answer::Fails, Answer::Keys(key_set().0)] {
        let stage = Stage::with(answer, settings.clone());
        let keeper = tokio::spawn(Arc::clone(&stage.keys).keep_fresh(Arc::new(SystemRandom)));
        stage.pass(Duration::from_secs(10)).await;
        assert!((9..=11).contains(&stage.asked()), "{}", stage.asked());
        keeper.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn however_a_fetch_ends_those_who_wait_go_on() {
    for (answer, says) in [(Answer::Panics, "was given up"), (Answer::Hangs, "took too long")] {
        let stage = Stage::new(answer);
        let error = stage.keys.usable().await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        stage.say(Answer::Keys(key_set().0));
        stage.pass(INTERVAL).await;
        assert!(stage.keys.usable().await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_steps_back_neither_ends_good_keys_nor_makes_them_eternal() {
    let (keys, _) = key_set();
    let stage = Stage::new(Answer::Keys(keys));
    stage.keys.usable().await.unwrap();
    stage.clock.advance(SignedDuration::from_mins(-10));
    assert!(stage.keys.usable().await.is_ok());
    stage.say(Answer::Fails);
    stage.clock.advance(SignedDuration::from_hours(-48));
    assert!(matches!(stage.keys.usable().await, Err(NoKeys::TooOld { .. })));
    assert_eq!(stage.asked(), 2, "and the interval does not hold the attempt up until the clock is back");
}

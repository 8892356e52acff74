//! An STS in the tests' hands.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::BoxFuture;
use jiff::SignedDuration;
use secrecy::SecretString;
use tagmint_core::clock::Clock;
use tagmint_server::sts::{AssumeRole, SessionCredentials, StsError, WebIdentitySts};
use tagmint_testkit::clock::MockClock;
use tokio::sync::Semaphore;

/// Gives credentials for an hour, or what the test told it to; counts the calls.
#[derive(Debug, Clone)]
pub struct ScriptedSts(Arc<Script>);

#[derive(Debug)]
struct Script {
    clock: MockClock,
    refusal: Mutex<Option<StsError>>,
    seen: Mutex<Vec<AssumeRole>>,
    answered: AtomicUsize,
    /// A call is answered when it gets a permit.
    gate: Semaphore,
}

/// More permits than any test has calls.
const OPEN: usize = 100_000;

impl ScriptedSts {
    pub fn new(clock: MockClock) -> Self {
        let (refusal, seen, answered) = (Mutex::default(), Mutex::default(), AtomicUsize::new(0));
        Self(Arc::new(Script { clock, refusal, seen, answered, gate: Semaphore::new(OPEN) }))
    }

    /// Refuses from now on, or no longer.
    pub fn refuse(&self, error: Option<StsError>) {
        *self.0.refusal.lock().unwrap() = error;
    }

    /// Keeps calls waiting from now on.
    pub fn hold(&self) {
        self.0.gate.forget_permits(OPEN);
    }

    /// Answers those who wait, and all that come.
    pub fn go_on(&self) {
        self.0.gate.add_permits(OPEN);
    }

    /// What it was asked for.
    pub fn seen(&self) -> Vec<AssumeRole> {
        self.0.seen.lock().unwrap().clone()
    }

    /// How many calls have come.
    pub fn calls(&self) -> usize {
        self.0.seen.lock().unwrap().len()
    }

    /// Waits for this many calls.
    pub async fn has_calls(&self, count: usize) {
        until(|| self.calls() >= count).await;
    }

    /// Waits until this many calls have been answered.
    pub async fn has_answered(&self, count: usize) {
        until(|| self.0.answered.load(Ordering::SeqCst) >= count).await;
    }
}

/// Lets other tasks run until it is so.
async fn until(mut so: impl FnMut() -> bool) {
    let patience = std::time::Duration::from_secs(20);
    let wait = async {
        while !so() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(patience, wait).await.expect("it comes");
}

impl WebIdentitySts for ScriptedSts {
    fn assume_role<'a>(&'a self, request: &'a AssumeRole) -> BoxFuture<'a, Result<SessionCredentials, StsError>> {
        let number = {
            let mut seen = self.0.seen.lock().unwrap();
            seen.push(request.clone());
            seen.len()
        };
        Box::pin(async move {
            self.0.gate.acquire().await.expect("the gate stays").forget();
            let refusal = self.0.refusal.lock().unwrap().clone();
            let life = i64::from(request.duration_seconds.unwrap_or(3_600));
            let credentials = SessionCredentials {
                access_key_id: format!("ASIAEXAMPLE{number}"),
                secret_access_key: SecretString::from(format!("planted-secret-{number}")),
                session_token: SecretString::from(format!("planted-session-token-{number}")),
                expires_at: self.0.clock.now() + SignedDuration::from_secs(life),
                sts_request_id: Some(format!("sts-request-{number}")),
            };
            self.0.answered.fetch_add(1, Ordering::SeqCst);
            refusal.map_or(Ok(credentials), Err)
        })
    }
}

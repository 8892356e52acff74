//! Certificates by ACME against a server that fails as it is told. Time is moved; what a killed process leaves is taken up by another one.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use tagmint_core::{
    clock::Clock,
    environment::{Environment, Stamp},
    issuer::IssuerUrl,
    outbound::Outbound,
    random::SystemRandom,
};
use tagmint_server::{
    acme::{AcmeSettings, CertificateManager, FailureKind, Overview, Pace, http01},
    tls::{ServedCertificate, install_provider},
};
use tagmint_store::{DatabaseUrl, Store, StoreOptions};
use tagmint_testkit::{clock::MockClock, keys::master_key};
use tower::ServiceExt;

use crate::{
    acme_server::{AcmeServer, Fault},
    issuer::TestIssuer,
};

const HOST: &str = "broker.example";
const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

struct World {
    folder: tempfile::TempDir,
    clock: MockClock,
    store: Store,
    server: AcmeServer,
}

impl World {
    async fn new() -> Self {
        install_provider();
        let (folder, clock) = (tempfile::tempdir().unwrap(), MockClock::default());
        let store = open(folder.path()).await;
        let server = AcmeServer::start(store.clone(), clock.clone()).await;
        Self { folder, clock, store, server }
    }

    fn settings(&self) -> AcmeSettings {
        AcmeSettings {
            outbound: Outbound::direct(),
            directory: self.server.directory(),
            contact: vec!["mailto:ops@example.org".to_owned()],
            names: vec![HOST.to_owned()],
            profile: None,
            ca_pem: None,
            external_account: None,
            refresh: Duration::from_secs(10),
            patience: Duration::from_secs(20),
            pace: Pace { repeat: [Duration::from_millis(100); 2], poll: Duration::from_millis(10) },
        }
    }

    /// A process of its own on the same database.
    async fn node(&self) -> Arc<CertificateManager> {
        self.node_with(self.settings()).await
    }

    async fn node_with(&self, settings: AcmeSettings) -> Arc<CertificateManager> {
        let (clock, random) = (Arc::new(self.clock.clone()), Arc::new(SystemRandom));
        let store = open(self.folder.path()).await;
        CertificateManager::new(settings, store, master_key(1), ServedCertificate::none(), clock, random).unwrap()
    }

    async fn overview(&self) -> Overview {
        Overview::read(&self.store, &self.server.directory(), &[HOST.to_owned()], self.clock.now()).await.unwrap()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

async fn open(folder: &std::path::Path) -> Store {
    let stamp = Stamp { issuer: IssuerUrl::parse(&format!("https://{HOST}")).unwrap(), environment: Environment::Test };
    let file = folder.join("tagmint.db");
    Store::open(&StoreOptions::new(DatabaseUrl::from(file.as_path()), stamp)).await.unwrap()
}

fn serial(node: &CertificateManager) -> Option<String> {
    node.health().served.map(|facts| facts.serial)
}

#[tokio::test]
async fn a_first_certificate_is_ordered_served_and_renewed_with_another_key() {
    let world = World::new().await;
    let node = world.node().await;
    let next = node.step().await;
    let health = node.health();
    let served = health.served.unwrap();
    assert_eq!((served.names.as_slice(), health.attempts, health.failures), ([HOST.to_owned()].as_slice(), 1, 0));
    assert_eq!(health.stored.as_ref(), Some(&served));
    assert_eq!(health.next_renewal_at, Some(served.not_after - DAY * 30));
    assert_eq!(next, world.now() + SignedDuration::from_secs(10), "the store is looked at before that");
    assert_eq!(world.server.accounts(), 1);

    world.clock.set(served.not_after - DAY * 30 - HOUR);
    node.step().await;
    assert_eq!(serial(&node), Some(served.serial.clone()), "not yet");
    world.clock.advance(HOUR);
    node.step().await;
    let renewed = node.health().served.unwrap();
    assert_ne!(renewed.serial, served.serial);
    assert_eq!((world.server.accounts(), world.server.orders().len()), (1, 2));
    let records = world.store.acme().certificates().await.unwrap();
    let keys = [&records[0], &records[1]].map(|record| record.id);
    let first = world.store.acme().certificate_key(keys[0], &master_key(1)).await.unwrap();
    let second = world.store.acme().certificate_key(keys[1], &master_key(1)).await.unwrap();
    assert_ne!(first.unwrap().as_slice(), second.unwrap().as_slice());
}

#[tokio::test]
async fn short_lives_are_renewed_at_their_half() {
    let world = World::new().await;
    world.server.issue_for(DAY * 6);
    let node = world.node().await;
    node.step().await;
    let health = node.health();
    assert_eq!(health.next_renewal_at.unwrap(), health.served.unwrap().not_after - DAY * 3);
}

#[tokio::test]
async fn renewal_information_decides_and_its_absence_of_retry_after_is_no_failure() {
    let world = World::new().await;
    let window = (world.now() + DAY * 50, world.now() + DAY * 52);
    world.server.suggest(window, None);
    let node = world.node().await;
    node.step().await;
    let at = node.health().next_renewal_at.unwrap();
    assert!((window.0..window.1).contains(&at), "{at}");
    assert_eq!(world.server.orders()[0].get("replaces"), None);
    let asked = world.server.asked("GET /renewal-info");

    world.clock.advance(HOUR * 5);
    node.step().await;
    assert_eq!(world.server.asked("GET /renewal-info"), asked, "six hours are not over");
    // "Renew now": the window lies in the past.
    world.server.suggest((world.now() - DAY, world.now() - HOUR), Some("600"));
    let before = serial(&node);
    world.clock.advance(HOUR + SignedDuration::from_secs(1));
    node.step().await;
    assert_ne!(serial(&node), before);
    let orders = world.server.orders();
    assert!(orders[1]["replaces"].as_str().unwrap().contains('.'), "{orders:?}");
    // The window is past for the new one too: a CA that keeps saying so gets an order an hour, not one a second.
    for _ in 0..20 {
        world.clock.advance(SignedDuration::from_mins(2));
        node.step().await;
    }
    assert_eq!(world.server.orders().len(), 2);
    world.clock.advance(SignedDuration::from_mins(30));
    node.step().await;
    assert_eq!(world.server.orders().len(), 3);
}

#[tokio::test]
async fn a_server_that_does_not_like_the_predecessor_gets_an_order_without() {
    let world = World::new().await;
    world.server.suggest((world.now() + DAY * 50, world.now() + DAY * 51), None);
    let node = world.node().await;
    node.step().await;
    world.clock.advance(DAY * 51);
    world.server.fail(Fault::problem("POST /order", 409, "alreadyReplaced"));
    let before = serial(&node);
    node.step().await;
    assert_ne!(serial(&node), before);
    assert_eq!(world.server.orders()[1].get("replaces"), None);
}

#[tokio::test]
async fn a_failed_validation_is_told_and_the_old_certificate_stays() {
    let world = World::new().await;
    let node = world.node().await;
    node.step().await;
    let served = serial(&node);
    world.server.refuse_validation(true);
    world.clock.advance(DAY * 60);
    for consecutive in 1..=5_u32 {
        node.step().await;
        let failure = node.health().last_failure.unwrap();
        assert_eq!((failure.kind, failure.consecutive), (FailureKind::Validation, consecutive));
        assert!(failure.problem.contains(HOST) && failure.problem.contains("port 80"), "{}", failure.problem);
        assert_eq!(serial(&node), served);
        let next = node.health().next_renewal_at.unwrap();
        assert!(next > world.now(), "a pause");
        world.clock.set(next);
    }
    // Five in an hour are the most, whatever an operator asks for.
    world.store.acme().request_renewal(world.now()).await.unwrap();
    let state = world.store.acme().state().await.unwrap();
    let first_of_five = state.failed_validations[state.failed_validations.len() - 5];
    assert!(node.health().next_renewal_at.unwrap() >= first_of_five + HOUR);
    world.server.refuse_validation(false);
    world.clock.set(first_of_five + HOUR);
    node.step().await;
    assert_eq!(node.health().last_failure, None);
    assert_ne!(serial(&node), served);
}

#[tokio::test]
async fn an_operator_ends_the_pause() {
    let world = World::new().await;
    let node = world.node().await;
    world.server.fail(Fault::problem("POST /order", 403, "caa"));
    node.step().await;
    assert_eq!(serial(&node), None);
    let failure = node.health().last_failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.problem.contains("CAA record"), "{}", failure.problem);
    node.step().await;
    assert_eq!(serial(&node), None, "the pause holds");
    world.store.acme().request_renewal(world.now()).await.unwrap();
    node.step().await;
    assert!(serial(&node).is_some());
    let overview = world.overview().await;
    assert!(overview.certificates[0].to_serve && overview.renew_requested_at.is_none());
    assert_eq!(Some(overview.next_renewal_at), node.health().next_renewal_at);
}

#[tokio::test]
async fn retry_after_and_rate_limits_hold() {
    let world = World::new().await;
    let node = world.node().await;
    let busy = Fault { retry_after: Some("7200"), ..Fault::problem("GET /dir", 503, "serverInternal") };
    world.server.fail(busy);
    node.step().await;
    let failure = node.health().last_failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert_eq!(node.health().next_renewal_at, Some(world.now() + HOUR * 2));
    world.clock.advance(HOUR * 2);
    world.server.fail(Fault::problem("POST /order", 429, "rateLimited"));
    node.step().await;
    assert_eq!(node.health().last_failure.unwrap().kind, FailureKind::RateLimited);
    assert_eq!(node.health().next_renewal_at, Some(world.now() + HOUR), "an hour, where the server names no time");
    world.clock.advance(HOUR);
    node.step().await;
    assert!(serial(&node).is_some());
}

#[tokio::test]
async fn answers_that_are_no_json_and_server_errors_that_pass_are_outlived() {
    let world = World::new().await;
    let node = world.node().await;
    let page = Fault { path: "POST /order", times: 1, status: 400, retry_after: None, body: "<html>no".to_owned() };
    world.server.fail(page);
    node.step().await;
    let failure = node.health().last_failure.unwrap();
    assert!(failure.problem.contains("<html>no"), "{}", failure.problem);
    // One 500 is repeated at once.
    world.server.fail(Fault::problem("POST /finalize", 500, "serverInternal"));
    world.clock.set(node.health().next_renewal_at.unwrap());
    node.step().await;
    assert!(serial(&node).is_some());
}

#[tokio::test]
async fn rejected_nonces_are_outlived() {
    let world = World::new().await;
    for path in [
        "POST /account",
        "POST /order",
        "POST /authorization",
        "POST /challenge",
        "POST /finalize",
        "POST /certificate",
    ] {
        world.server.fail(Fault::problem(path, 400, "badNonce").times(12));
    }
    let node = world.node().await;
    node.step().await;
    assert_eq!(node.health().last_failure, None);
    assert!(serial(&node).is_some());
    assert_eq!(world.server.accounts(), 1);
}

/// Each request once fails as a process would that was killed after it: whatever the server did stands, the process knows nothing of it.
#[tokio::test]
async fn whoever_comes_after_a_kill_goes_on() {
    let steps = [
        "POST /account",
        "POST /order",
        "POST /order/",
        "POST /authorization",
        "POST /challenge",
        "POST /finalize",
        "POST /certificate",
    ];
    for path in steps {
        let world = World::new().await;
        let killed = world.node().await;
        world.server.fail(Fault::problem(path, 503, "serverInternal").times(3));
        let step = killed.step();
        // Dropped in the middle: the first of its repetitions has begun.
        let _ = tokio::time::timeout(Duration::from_millis(150), step).await;
        drop(killed);
        world.clock.advance(SignedDuration::from_mins(10));
        let other = world.node().await;
        for _ in 0..3 {
            other.step().await;
            world.clock.advance(SignedDuration::from_mins(10));
        }
        assert!(serial(&other).is_some(), "{path}: {:?}", other.health().last_failure);
        assert_eq!(world.server.accounts(), 1, "{path}");
    }
}

#[tokio::test]
async fn two_nodes_order_once_and_serve_the_same() {
    let world = World::new().await;
    let (one, two) = (world.node().await, world.node().await);
    tokio::join!(one.step(), two.step());
    one.step().await;
    two.step().await;
    assert_eq!(world.server.orders().len(), 1);
    assert!(serial(&one).is_some());
    assert_eq!(serial(&one), serial(&two));
}

#[tokio::test]
async fn an_account_key_is_changed_and_a_broken_off_change_settled() {
    let world = World::new().await;
    let node = world.node().await;
    node.step().await;
    let directory = world.server.directory();
    let account = || async { world.store.acme().account(&directory, &master_key(1)).await.unwrap().unwrap() };
    let first = account().await.private_key;
    world.store.acme().request_rollover(world.now()).await.unwrap();
    node.step().await;
    let second = account().await;
    assert_ne!(second.private_key.as_slice(), first.as_slice());
    assert!(second.pending_key.is_none());

    // The server has not changed it: the old one stays.
    world.server.fail(Fault::problem("POST /key-change", 400, "malformed"));
    world.store.acme().request_rollover(world.now()).await.unwrap();
    node.step().await;
    assert!(account().await.pending_key.is_some(), "not known yet");
    world.clock.advance(DAY * 60);
    node.step().await;
    let settled = account().await;
    assert_eq!(settled.private_key.as_slice(), second.private_key.as_slice());
    assert!(settled.pending_key.is_none());
    assert_eq!((world.server.accounts(), node.health().last_failure), (1, None));

    // The server has changed it, and the answer was lost.
    let lost = world.node().await;
    world.store.acme().request_rollover(world.now()).await.unwrap();
    world.server.lose_the_answer_to("POST /key-change");
    lost.step().await;
    assert!(account().await.pending_key.is_some());
    world.clock.advance(DAY * 60);
    world.node().await.step().await;
    let settled = account().await;
    assert_ne!(settled.private_key.as_slice(), second.private_key.as_slice());
    assert_eq!((world.server.accounts(), world.server.orders().len()), (1, 3));
}

#[tokio::test]
async fn a_forgotten_account_is_registered_anew_with_its_key() {
    let world = World::new().await;
    let node = world.node().await;
    node.step().await;
    let before = serial(&node);
    world.server.forget_accounts();
    world.clock.advance(DAY * 61);
    node.step().await;
    assert!(node.health().last_failure.unwrap().problem.contains("registered anew"));
    world.clock.set(node.health().next_renewal_at.unwrap());
    node.step().await;
    assert_ne!(serial(&node), before);
    assert_eq!(world.server.accounts(), 2);
}

#[tokio::test]
async fn a_profile_is_asked_for_where_it_is_offered_alone() {
    let world = World::new().await;
    world.server.offer_profiles(&["classic", "shortlived"]);
    let wrong = world.node_with(AcmeSettings { profile: Some("tlsserver".to_owned()), ..world.settings() }).await;
    wrong.step().await;
    let failure = wrong.health().last_failure.unwrap();
    assert!(failure.problem.contains("classic, shortlived"), "{}", failure.problem);
    world.store.acme().request_renewal(world.now()).await.unwrap();
    let right = world.node_with(AcmeSettings { profile: Some("shortlived".to_owned()), ..world.settings() }).await;
    right.step().await;
    assert_eq!(world.server.orders()[0]["profile"], "shortlived");
}

#[tokio::test]
async fn other_names_and_another_server_are_ordered_for_at_once() {
    let world = World::new().await;
    world.node().await.step().await;
    let names = vec![HOST.to_owned(), "second.example".to_owned()];
    let more = world.node_with(AcmeSettings { names: names.clone(), ..world.settings() }).await;
    more.step().await;
    assert_eq!(more.health().served.unwrap().names, names);
    let elsewhere = AcmeServer::start(world.store.clone(), world.clock.clone()).await;
    elsewhere.refuse_validation(true);
    let moved = world.node_with(AcmeSettings { directory: elsewhere.directory(), ..world.settings() }).await;
    moved.step().await;
    assert_eq!(moved.health().served.unwrap().names, names, "the other server's stays until there is one");
    assert_eq!((elsewhere.accounts(), moved.health().stored), (1, None));
}

#[tokio::test]
async fn port_80_answers_challenges_of_every_node_and_redirects_the_rest() {
    let world = World::new().await;
    let issuer = TestIssuer::start().await;
    let router = http01::router(&issuer.app, &world.node().await);
    world.store.acme().put_challenge("known-token_1", "known-token_1.thumbprint").await.unwrap();
    let ask = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "evil.example");
        router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    let found = ask("GET", "/.well-known/acme-challenge/known-token_1").await.unwrap();
    assert_eq!(found.status(), StatusCode::OK);
    assert_eq!(found.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(found.into_body().collect().await.unwrap().to_bytes(), "known-token_1.thumbprint");
    for unknown in ["unknown", "", "a/b", "%2e%2e", "known-token_1%00", &"a".repeat(129)] {
        let answer = ask("GET", &format!("/.well-known/acme-challenge/{unknown}")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{unknown}");
    }
    let posted = ask("POST", "/.well-known/acme-challenge/known-token_1").await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    for path in ["/", "/v1/tokens?x=1", "/.well-known/openid-configuration", "/.well-known/acme-challengex/a"] {
        let answer = ask("GET", path).await.unwrap();
        assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
        let location = answer.headers()[header::LOCATION].to_str().unwrap();
        assert!(
            location.starts_with("https://") && location.ends_with(path) && !location.contains("evil"),
            "{location}"
        );
    }
}

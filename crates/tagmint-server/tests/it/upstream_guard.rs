//! Upstreams that misbehave, and names that lead where no upstream is: bounded in time and memory, and good keys stay in use.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use jiff::SignedDuration;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tagmint_core::{
    clock::Clock,
    random::SystemRandom,
    trusted_issuer::{TrustedIssuer, TrustedIssuerUrl, discovery::InvalidDiscovery},
};
use tagmint_server::{
    settings::UpstreamSettings,
    upstream::{
        NoKeys, UpstreamError, Upstreams,
        address::ForbiddenAddress,
        client::{DocumentError, DocumentProblem, FetchLimits, GuardedClient},
        fetch::{FetchError, HttpKeyFetcher, KeyFetcher},
    },
};
use tagmint_testkit::{
    ci_platform::{CiPlatform, Counts, Document, Misbehaviour},
    clock::MockClock,
};
use tokio::time::Instant;

use crate::upstream::{claims, settings, trusted_issuer, unknown_kid};

const LIMITS: FetchLimits =
    FetchLimits { connect: Duration::from_millis(500), request: Duration::from_millis(500), body: 512 * 1024 };
/// More than any exchange within the limits takes on a busy machine.
const BOUND: Duration = Duration::from_secs(30);

/// Says the same of every name, and counts nothing: what it says is what a hostile DNS says.
#[derive(Debug, Clone)]
struct Says(Vec<IpAddr>);

impl Resolve for Says {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Vec<SocketAddr> = self.0.iter().map(|address| SocketAddr::new(*address, 0)).collect();
        Box::pin(async move { Ok(Box::new(addresses.into_iter()) as Addrs) })
    }
}

fn says(addresses: &[&str]) -> Arc<Says> {
    Arc::new(Says(addresses.iter().map(|address| address.parse().unwrap()).collect()))
}

fn client(settings: &UpstreamSettings, resolver: Arc<dyn Resolve>) -> GuardedClient {
    tagmint_server::tls::install_provider();
    GuardedClient::with(settings, LIMITS, resolver).unwrap()
}

fn fetcher(settings: &UpstreamSettings) -> Arc<HttpKeyFetcher> {
    Arc::new(HttpKeyFetcher::new(client(settings, says(&["127.0.0.1"]))))
}

fn issuer(text: &str) -> TrustedIssuerUrl {
    TrustedIssuerUrl::parse(text).unwrap()
}

async fn platform() -> CiPlatform {
    CiPlatform::start(Arc::new(MockClock::default())).await
}

fn problem(error: FetchError) -> DocumentProblem {
    match error {
        FetchError::Document(DocumentError { problem, .. }) => problem,
        other => panic!("not a problem with a document: {other}"),
    }
}

type IsCalled = fn(&DocumentProblem) -> bool;

/// The misbehaviours of either document, and how each must be called.
fn misbehaviours() -> Vec<(Misbehaviour, IsCalled)> {
    use DocumentProblem::{Encoded, Status, Timeout, TooLarge};
    vec![
        (Misbehaviour::Redirect, |problem| matches!(problem, Status(status) if status.is_redirection())),
        (Misbehaviour::Drip, |problem| *problem == Timeout(LIMITS.request)),
        (Misbehaviour::Hang, |problem| *problem == Timeout(LIMITS.request)),
        (Misbehaviour::Huge, |problem| *problem == TooLarge(LIMITS.body)),
        (Misbehaviour::HugeAnnounced, |problem| *problem == TooLarge(LIMITS.body)),
        (Misbehaviour::GzipBomb, |problem| *problem == Encoded),
        (Misbehaviour::Status(500), |problem| matches!(problem, Status(status) if status.as_u16() == 500)),
        (Misbehaviour::Status(203), |problem| matches!(problem, Status(status) if status.as_u16() == 203)),
        (Misbehaviour::Status(404), |problem| matches!(problem, Status(status) if status.as_u16() == 404)),
    ]
}

#[tokio::test]
async fn every_misbehaviour_is_bounded_and_named() {
    let platform = platform().await;
    let fetcher = fetcher(&settings(&platform));
    let issuer = issuer(platform.issuer());
    for document in [Document::Discovery, Document::Keys] {
        for (how, expected) in misbehaviours() {
            let (streamed, began) = (platform.streamed(), Instant::now());
            platform.misbehave(document, how.clone());
            let found = problem(fetcher.fetch(&issuer).await.unwrap_err());
            assert!(expected(&found), "{document:?} {how:?}: {found}");
            assert!(began.elapsed() < BOUND, "{document:?} {how:?}: {:?}", began.elapsed());
            let taken = platform.streamed() - streamed;
            assert!(taken < 16 << 20, "{document:?} {how:?}: {taken} bytes left the upstream");
            platform.behave();
        }
    }
    assert_eq!(platform.counts().other, 0, "no redirect was followed");
    assert_eq!(fetcher.fetch(&issuer).await.unwrap().len(), 1);
}

#[tokio::test]
async fn documents_that_are_not_what_they_should_be_are_refused() {
    let platform = platform().await;
    let fetcher = fetcher(&settings(&platform));
    let issuer = issuer(platform.issuer());
    let own = platform.issuer();
    let bodies = [
        String::new(),
        "<html>".to_owned(),
        "[]".to_owned(),
        "{".repeat(10_000),
        format!(r#"{{"issuer":"{own}"}}"#),
        format!(r#"{{"issuer":"{own}","issuer":"{own}","jwks_uri":"{own}/x"}}"#),
        r#"{"keys":{}}"#.to_owned(),
        r#"{"keys":[],"keys":[]}"#.to_owned(),
    ];
    for document in [Document::Discovery, Document::Keys] {
        for body in &bodies {
            platform.misbehave(document, Misbehaviour::Body(body.clone().into_bytes()));
            let refused = fetcher.fetch(&issuer).await.unwrap_err();
            let right = match document {
                Document::Discovery => matches!(refused, FetchError::Discovery(_)),
                Document::Keys => matches!(refused, FetchError::Keys { .. }),
            };
            assert!(right, "{document:?} {body:.40}: {refused}");
        }
        platform.behave();
    }
    platform.misbehave(Document::Discovery, Misbehaviour::OtherIssuer);
    let refused = fetcher.fetch(&issuer).await.unwrap_err();
    assert!(matches!(refused, FetchError::Discovery(InvalidDiscovery::Issuer(_))), "{refused}");
}

#[tokio::test]
async fn a_discovery_document_leads_nowhere_else() {
    let platform = platform().await;
    let other = self::platform().await;
    let fetcher = fetcher(&settings(&platform));
    let port = other.address().port();
    for (uri, right) in [
        ("https://169.254.169.254/latest/meta-data/".to_owned(), true),
        ("https://0.0.0.0/".to_owned(), true),
        ("https://2852039166/".to_owned(), true),
        (format!("http://localhost:{port}/"), false),
        ("file:///etc/passwd".to_owned(), false),
        ("gopher://localhost/".to_owned(), false),
    ] {
        platform.misbehave(Document::Discovery, Misbehaviour::KeysAt(uri.clone()));
        let began = Instant::now();
        let refused = fetcher.fetch(&issuer(platform.issuer())).await.unwrap_err();
        let by_address = matches!(
            &refused,
            FetchError::Document(DocumentError {
                problem: DocumentProblem::Address(ForbiddenAddress::Never { .. }),
                ..
            })
        );
        assert_eq!(by_address, right, "{uri}: {refused}");
        assert!(by_address || matches!(refused, FetchError::Discovery(_)), "{uri}: {refused}");
        assert!(began.elapsed() < BOUND, "{uri}: refused before a connection was tried");
    }
    assert_eq!(other.counts(), Counts::default());
}

#[tokio::test]
async fn a_name_that_stands_for_ones_own_network_is_not_connected_to() {
    let platform = platform().await;
    let port = platform.address().port();
    let strict = UpstreamSettings { allow_private_addresses: false, ..settings(&platform) };
    let url = format!("https://ci.example:{port}/.well-known/jwks");
    for answer in [
        &["127.0.0.1"][..],
        &["::1"],
        &["10.0.0.1"],
        &["192.168.1.1"],
        &["172.16.0.1"],
        &["100.64.0.1"],
        &["fd00::1"],
        &["169.254.169.254"],
        &["fe80::1"],
        &["0.0.0.0"],
        &["::"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["2002:7f00:1::"],
        &["224.0.0.1"],
        &["192.0.2.1"],
        &["8.8.8.8", "127.0.0.1"],
        &["127.0.0.1", "8.8.8.8"],
    ] {
        let refused = client(&strict, says(answer)).get(&url).await.unwrap_err();
        assert!(matches!(refused.problem, DocumentProblem::Address(_)), "{answer:?}: {refused}");
        assert!(refused.to_string().starts_with(&url), "{refused}");
    }
    // In the URL itself, where nothing is resolved.
    for url in
        [format!("https://127.0.0.1:{port}/"), format!("https://[::1]:{port}/"), format!("https://2130706433:{port}/")]
    {
        let refused = client(&strict, says(&["8.8.8.8"])).get(&url).await.unwrap_err();
        assert!(matches!(refused.problem, DocumentProblem::Address(ForbiddenAddress::Private { .. })), "{refused}");
    }
    let refused = HttpKeyFetcher::new(GuardedClient::new(&strict).unwrap()).fetch(&issuer(platform.issuer())).await;
    let refused = problem(refused.unwrap_err());
    assert!(refused.to_string().contains("allow_private_addresses"), "by the system's own resolver: {refused}");
    assert_eq!(platform.counts(), Counts::default());

    // The same name and answer, allowed: the connection is made, and ends at the certificate, which is not for this name.
    let refused = client(&settings(&platform), says(&["127.0.0.1"])).get(&url).await.unwrap_err();
    assert!(matches!(refused.problem, DocumentProblem::Connect(_)), "{refused}");
    assert_eq!(platform.counts(), Counts { connections: 1, ..Counts::default() });
    for never in ["169.254.169.254", "0.0.0.0", "fe80::1", "224.0.0.1"] {
        let refused = client(&settings(&platform), says(&[never])).get(&url).await.unwrap_err();
        assert!(matches!(refused.problem, DocumentProblem::Address(ForbiddenAddress::Never { .. })), "{refused}");
    }
}

#[tokio::test]
async fn a_name_without_an_answer_or_with_one_that_never_comes_is_bounded() {
    #[derive(Debug)]
    struct Silent;
    impl Resolve for Silent {
        fn resolve(&self, _: Name) -> Resolving {
            Box::pin(std::future::pending())
        }
    }
    let settings = UpstreamSettings::default();
    let refused = client(&settings, says(&[])).get("https://ci.example/").await.unwrap_err();
    assert!(matches!(refused.problem, DocumentProblem::Connect(_)), "{refused}");
    let began = Instant::now();
    let refused = client(&settings, Arc::new(Silent)).get("https://ci.example/").await.unwrap_err();
    let bounded = matches!(refused.problem, DocumentProblem::Timeout(_) | DocumentProblem::Connect(_));
    assert!(bounded && began.elapsed() < BOUND, "{refused}");
}

#[tokio::test]
async fn good_keys_stay_in_use_whatever_the_upstream_does_until_they_are_too_old() {
    let clock = MockClock::default();
    let platform = CiPlatform::start(Arc::new(clock.clone())).await;
    let settings = settings(&platform);
    let interval = SignedDuration::try_from(settings.unknown_key_interval).unwrap();
    let of =
        |trusted_issuer: TrustedIssuer| (trusted_issuer, settings.clone(), fetcher(&settings) as Arc<dyn KeyFetcher>);
    let upstreams = Upstreams::with_fetchers(
        vec![of(trusted_issuer("ci", &platform))],
        Arc::new(clock.clone()),
        Arc::new(SystemRandom),
    );
    let fetched_at = clock.now();
    upstreams.authenticate(&platform.token(&claims())).await.unwrap();
    for document in [Document::Discovery, Document::Keys] {
        for (how, _) in misbehaviours() {
            platform.misbehave(document, how.clone());
            clock.advance(interval);
            let verdict = upstreams.authenticate(&unknown_kid(&platform, "new")).await;
            assert!(
                matches!(&verdict, Err(UpstreamError::Keys { reason: NoKeys::NotRenewed { .. }, .. })),
                "{document:?} {how:?}: {verdict:?}"
            );
            upstreams.authenticate(&platform.token(&claims())).await.unwrap();
            platform.behave();
        }
    }
    platform.misbehave(Document::Keys, Misbehaviour::Status(500));
    let stale_after = SignedDuration::try_from(settings.stale_after).unwrap();
    clock.set(fetched_at + stale_after);
    upstreams.authenticate(&platform.token(&claims())).await.unwrap();
    clock.advance(SignedDuration::from_secs(1));
    let refused = upstreams.authenticate(&platform.token(&claims())).await.unwrap_err();
    assert!(refused.is_outage());
    let says = refused.to_string();
    let expected = format!("the keys of provider `ci` are too old: last fetched {fetched_at}, last error: https://");
    assert!(says.starts_with(&expected), "{says}");
    platform.behave();
    clock.advance(interval);
    upstreams.authenticate(&platform.token(&claims())).await.unwrap();
}

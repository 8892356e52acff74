//! Keys by other means than discovery: a file, an address of their own, a token that the issuer wants to see, an IPv6 address.

use std::{path::Path, sync::Arc, time::Duration};

use jiff::SignedDuration;
use serde_json::{Value, json};
use tagmint_core::{
    jwk::Jwk,
    random::SystemRandom,
    trusted_issuer::{KeySet, TokenError, TrustedIssuer, TrustedIssuerUrl, discovery::JwksUri},
};
use tagmint_server::{
    settings::{KeySource, UpstreamSettings},
    upstream::{
        UpstreamError, Upstreams,
        client::{DocumentProblem, GuardedClient, Shown},
        fetch::{FetchError, FileKeyFetcher, HttpKeyFetcher, KeyFetcher},
    },
};
use tagmint_testkit::{
    ci_platform::{CiPlatform, Document, Misbehaviour},
    clock::MockClock,
};

use crate::upstream::{claims, settings, trusted_issuer};

async fn platform() -> CiPlatform {
    CiPlatform::start(Arc::new(MockClock::default())).await
}

fn fetcher(settings: &UpstreamSettings) -> HttpKeyFetcher {
    tagmint_server::tls::install_provider();
    HttpKeyFetcher::by(GuardedClient::new(settings).unwrap(), settings)
}

fn issuer(platform: &CiPlatform) -> TrustedIssuerUrl {
    TrustedIssuerUrl::parse(platform.issuer()).unwrap()
}

fn key_set(platform: &CiPlatform) -> Value {
    json!({"keys": [Jwk::new(platform.signing_key().public(), None)]})
}

fn write(file: &Path, text: impl AsRef<[u8]>) {
    std::fs::write(file, text).unwrap();
}

/// The issuer is a name that nobody can ask: nothing of it is fetched.
#[tokio::test]
async fn keys_of_a_file_verify_tokens_and_follow_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let clock = MockClock::default();
    let platform = CiPlatform::start(Arc::new(clock.clone())).await;
    write(&file, key_set(&platform).to_string());
    let settings = UpstreamSettings { source: KeySource::File(file.clone()), ..UpstreamSettings::default() };
    let upstreams = Upstreams::new(
        vec![(trusted_issuer("cluster", &platform), settings)],
        Arc::new(clock.clone()),
        Arc::new(SystemRandom),
    )
    .unwrap();
    upstreams.authenticate(&platform.token(&claims())).await.unwrap();
    assert_eq!(platform.counts().connections, 0, "nothing is fetched");

    platform.rotate(tagmint_core::signing_key::Algorithm::Rs256);
    let token = platform.token(&claims());
    let refused = upstreams.authenticate(&token).await.unwrap_err();
    assert!(matches!(refused, UpstreamError::Token(TokenError::UnknownKey(_))), "{refused}");
    write(&file, key_set(&platform).to_string());
    clock.advance(SignedDuration::from_secs(1));
    upstreams.authenticate(&token).await.unwrap();

    // A file that is being written, or gone: what was good stays good.
    for text in ["", "{\"keys\":", "{\"keys\":{}}"] {
        write(&file, text);
        clock.advance(SignedDuration::from_secs(1));
        upstreams.authenticate(&token).await.unwrap();
    }
    std::fs::remove_file(&file).unwrap();
    clock.advance(SignedDuration::from_hours(25));
    let outage = upstreams.authenticate(&token).await.unwrap_err();
    assert!(outage.is_outage() && outage.to_string().contains("`jwks_file`"), "{outage}");
    assert!(outage.to_string().contains(&file.display().to_string()), "{outage}");
}

#[tokio::test]
async fn a_file_is_bounded_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let issuer = TrustedIssuerUrl::parse("https://kubernetes.default.svc").unwrap();
    let fetch = || async { FileKeyFetcher::new(file.clone()).fetch(&issuer).await };
    assert!(matches!(fetch().await, Err(FetchError::File { key: "jwks_file", .. })), "it is not there");
    write(&file, "\u{feff}{\"keys\":[]}");
    assert_eq!(fetch().await.map(|keys: KeySet| keys.len()), Ok(0), "a byte order mark");
    write(&file, vec![b' '; 512 * 1024 + 1]);
    let error = fetch().await.unwrap_err().to_string();
    assert!(error.ends_with("it is larger than 524288 bytes"), "{error}");
}

/// The issuer `https://kubernetes.default.svc` publishes its keys under another name.
#[tokio::test]
async fn keys_at_an_address_of_their_own_need_no_discovery() {
    let platform = platform().await;
    platform.misbehave(Document::Discovery, Misbehaviour::Status(404));
    let uri = JwksUri::parse(&format!("{}/.well-known/jwks", platform.issuer())).unwrap();
    let settings = UpstreamSettings { source: KeySource::Uri(uri), ..settings(&platform) };
    let name = TrustedIssuerUrl::parse("https://kubernetes.default.svc").unwrap();
    let trusted_issuer = TrustedIssuer { issuer: name.clone(), ..trusted_issuer("cluster", &platform) };
    tagmint_server::tls::install_provider();
    let clock = Arc::new(MockClock::default());
    let upstreams = Upstreams::new(vec![(trusted_issuer, settings)], clock, Arc::new(SystemRandom)).unwrap();
    let mut claims = claims();
    for (claim, value) in [("iss", json!(name.as_str())), ("jti", json!("1"))] {
        claims.insert(claim.to_owned(), value);
    }
    let now = tagmint_core::clock::Clock::now(&MockClock::default()).as_second();
    claims.extend([("iat".to_owned(), json!(now)), ("exp".to_owned(), json!(now + 60))]);
    upstreams.authenticate(&platform.sign(&serde_json::Map::new(), &claims)).await.unwrap();
    let counts = platform.counts();
    assert_eq!((counts.discovery, counts.keys), (0, 1));
}

/// What an API server answers `system:anonymous`, and what a client with a token gets.
#[tokio::test]
async fn an_issuer_that_wants_a_token_is_shown_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let platform = platform().await;
    for document in [Document::Discovery, Document::Keys] {
        platform.misbehave(document, Misbehaviour::WantsToken("header.payload.signature".to_owned()));
    }
    let issuer = issuer(&platform);
    let none = fetcher(&settings(&platform)).fetch(&issuer).await.unwrap_err();
    assert_eq!(problem(&none), &DocumentProblem::Unauthorized(http::StatusCode::FORBIDDEN, Shown::Nothing));
    assert!(none.to_string().contains("`bearer_token_file`") && none.to_string().contains("`jwks_file`"), "{none}");

    let with_token = UpstreamSettings { bearer_token_file: Some(file.clone()), ..settings(&platform) };
    let by_discovery = fetcher(&with_token);
    let missing = by_discovery.fetch(&issuer).await.unwrap_err();
    assert!(matches!(&missing, FetchError::File { key: "bearer_token_file", .. }), "{missing}");
    for bad in ["", "\n", "two tokens", "a\nb", "token\u{e9}", "Bearer header.payload.signature"] {
        write(&file, bad);
        let refused = by_discovery.fetch(&issuer).await.unwrap_err().to_string();
        assert!(refused.contains("does not hold a bearer token") && !refused.contains("header."), "{bad:?}: {refused}");
    }
    write(&file, "of.another.time\n");
    let stale = by_discovery.fetch(&issuer).await.unwrap_err();
    assert_eq!(problem(&stale), &DocumentProblem::Unauthorized(http::StatusCode::FORBIDDEN, Shown::Token));
    assert!(!stale.to_string().contains("of.another.time"), "{stale}");
    write(&file, "header.payload.signature\n");
    assert_eq!(by_discovery.fetch(&issuer).await.unwrap().len(), 1, "the file is read at each fetch");
    let uri = JwksUri::parse(&format!("{}/.well-known/jwks", platform.issuer())).unwrap();
    let by_uri = fetcher(&UpstreamSettings { source: KeySource::Uri(uri), ..with_token.clone() });
    assert_eq!(by_uri.fetch(&issuer).await.unwrap().len(), 1);

    // A discovery document may name any host. The token stays where it belongs.
    let elsewhere = CiPlatform::start(Arc::new(MockClock::default())).await;
    elsewhere.misbehave(Document::Keys, Misbehaviour::WantsToken("header.payload.signature".to_owned()));
    let there = format!("{}/.well-known/jwks", elsewhere.issuer());
    platform.behave();
    platform.misbehave(Document::Discovery, Misbehaviour::KeysAt(there));
    let both = [platform.ca_pem(), elsewhere.ca_pem()].concat().into_bytes();
    let withheld = fetcher(&UpstreamSettings { ca_pem: Some(both), ..with_token }).fetch(&issuer).await.unwrap_err();
    assert_eq!(problem(&withheld), &DocumentProblem::Unauthorized(http::StatusCode::FORBIDDEN, Shown::Withheld));
    assert!(withheld.to_string().contains("set `jwks_uri` to this address"), "{withheld}");
}

fn problem(error: &FetchError) -> &DocumentProblem {
    match error {
        FetchError::Document(document) => &document.problem,
        other => panic!("not a problem with a document: {other}"),
    }
}

#[tokio::test]
async fn an_issuer_at_an_ipv6_address() {
    let platform =
        CiPlatform::start_at(([0, 0, 0, 0, 0, 0, 0, 1], 0).into(), "/x", Arc::new(MockClock::default())).await;
    assert!(platform.issuer().starts_with("https://[::1]:"), "{}", platform.issuer());
    let clock = Arc::new(MockClock::default());
    tagmint_server::tls::install_provider();
    let allowed = vec![(trusted_issuer("ci", &platform), settings(&platform))];
    let upstreams = Upstreams::new(allowed, Arc::clone(&clock) as _, Arc::new(SystemRandom)).unwrap();
    upstreams.authenticate(&platform.token(&claims())).await.unwrap();
    let strict = UpstreamSettings { allow_private_addresses: false, ..settings(&platform) };
    let upstreams =
        Upstreams::new(vec![(trusted_issuer("ci", &platform), strict)], clock as _, Arc::new(SystemRandom)).unwrap();
    let refused = upstreams.authenticate(&platform.token(&claims())).await.unwrap_err().to_string();
    assert!(refused.contains("::1 is loopback") && refused.contains("allow_private_addresses"), "{refused}");
}

/// Files are read at a pace of their own, whatever `refresh` says.
#[tokio::test(start_paused = true)]
async fn a_file_that_changes_is_known_within_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let clock = MockClock::default();
    write(&file, "{\"keys\":[]}");
    let settings = UpstreamSettings { source: KeySource::File(file.clone()), ..UpstreamSettings::default() };
    let issuer = TrustedIssuerUrl::parse("https://cluster.example").unwrap();
    let name = tagmint_core::trusted_issuer::TrustedIssuerName::parse("cluster").unwrap();
    let trusted_issuer =
        TrustedIssuer::new(name, tagmint_core::trusted_issuer::IssuerKind::OIDC, issuer, vec!["a".to_owned()]);
    let upstreams = Upstreams::new(vec![(trusted_issuer, settings)], Arc::new(clock), Arc::new(SystemRandom)).unwrap();
    let keeper = tokio::spawn(Arc::clone(&upstreams).keep_fresh());
    let keys = || upstreams.health()[0].keys.keys;
    let fetched = || upstreams.health()[0].keys.fetched;
    while fetched() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(keys(), 0);
    let key = tagmint_testkit::keys::fresh_signing_key();
    write(&file, json!({"keys": [Jwk::new(key.public(), None)]}).to_string());
    let began = tokio::time::Instant::now();
    while keys() == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() <= Duration::from_secs(11), "{:?}", began.elapsed());
    keeper.abort();
}

//! CI tokens verified with keys that a platform on loopback publishes.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use tagmint_core::{
    jwk::Jwk,
    random::SystemRandom,
    signing_key::{Algorithm, Signer},
    trusted_issuer::{IssuerKind, TokenAlgorithm, TokenError, TrustedIssuer, TrustedIssuerName, TrustedIssuerUrl},
};
use tagmint_server::{
    metrics::{Figures, Metrics},
    settings::UpstreamSettings,
    upstream::{NoKeys, UpstreamError, Upstreams},
};
use tagmint_testkit::{
    ci_platform::{CiPlatform, Counts, Document, Misbehaviour},
    clock::MockClock,
};

pub const AUDIENCE: &str = "https://broker.example";
const INTERVAL: Duration = Duration::from_secs(30);

pub fn trusted_issuer(name: &str, platform: &CiPlatform) -> TrustedIssuer {
    let issuer = TrustedIssuerUrl::parse(platform.issuer()).unwrap();
    let name = TrustedIssuerName::parse(name).unwrap();
    TrustedIssuer::new(name, IssuerKind::OIDC, issuer, vec![AUDIENCE.to_owned()])
}

pub fn settings(platform: &CiPlatform) -> UpstreamSettings {
    UpstreamSettings {
        ca_pem: Some(platform.ca_pem().as_bytes().to_vec()),
        allow_private_addresses: true,
        unknown_key_interval: INTERVAL,
        ..UpstreamSettings::default()
    }
}

pub fn claims() -> Map<String, Value> {
    Map::from_iter([("sub".to_owned(), json!("job:1")), ("aud".to_owned(), json!(AUDIENCE))])
}

/// A token that names a key which nobody has.
pub fn unknown_kid(platform: &CiPlatform, kid: &str) -> String {
    platform.sign(&Map::from_iter([("kid".to_owned(), json!(kid))]), &with_issuer(platform))
}

fn with_issuer(platform: &CiPlatform) -> Map<String, Value> {
    let mut claims = claims();
    claims.insert("iss".to_owned(), json!(platform.issuer()));
    claims
}

struct Stage {
    platform: CiPlatform,
    clock: MockClock,
    upstreams: Arc<Upstreams>,
}

impl Stage {
    async fn new() -> Self {
        let clock = MockClock::default();
        let platform = CiPlatform::start(Arc::new(clock.clone())).await;
        let upstreams = start(&clock, vec![(trusted_issuer("ci", &platform), settings(&platform))]);
        Self { platform, clock, upstreams }
    }

    fn pass(&self, span: Duration) {
        self.clock.advance(SignedDuration::try_from(span).unwrap());
    }
}

fn start(clock: &MockClock, trusted_issuers: Vec<(TrustedIssuer, UpstreamSettings)>) -> Arc<Upstreams> {
    tagmint_server::tls::install_provider();
    Upstreams::new(trusted_issuers, Arc::new(clock.clone()), Arc::new(SystemRandom)).unwrap()
}

/// Fetches so far; connections are left out, as a client may keep one.
fn fetches(platform: &CiPlatform) -> (usize, usize) {
    let Counts { discovery, keys, .. } = platform.counts();
    (discovery, keys)
}

#[tokio::test]
async fn a_platforms_token_proves_a_job() {
    let stage = Stage::new().await;
    let token = stage.upstreams.authenticate(&stage.platform.token(&claims())).await.unwrap();
    assert_eq!((token.provider().as_str(), token.subject(), token.audience()), ("ci", "job:1", AUDIENCE));
    stage.platform.rotate(Algorithm::Es256);
    stage.pass(INTERVAL);
    stage.upstreams.authenticate(&stage.platform.token(&claims())).await.unwrap();
    assert_eq!(fetches(&stage.platform), (2, 2));
}

#[tokio::test]
async fn a_github_jobs_token_says_which_job_it_is() {
    let clock = MockClock::default();
    let path = "/_services/token";
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let platform = CiPlatform::start_at(listen, path, Arc::new(clock.clone())).await;
    assert!(platform.issuer().ends_with(path));
    let github = TrustedIssuer { kind: IssuerKind::GITHUB, ..trusted_issuer("ghes", &platform) };
    let upstreams = start(&clock, vec![(github, settings(&platform))]);
    let (first, second) = (platform.job_token(AUDIENCE), platform.job_token(AUDIENCE));
    let first = upstreams.authenticate(&first).await.unwrap();
    assert_ne!(first.use_id(), upstreams.authenticate(&second).await.unwrap().use_id());
    let identity = first.into_identity();
    assert_eq!(identity.subject, "repo:octo-org/octo-repo:ref:refs/heads/main");
    assert_eq!((&identity.attributes["branch"], &identity.attributes["ref_protected"]), (&json!("main"), &json!(true)));
}

#[tokio::test]
async fn a_hundred_first_tokens_cost_one_discovery_and_one_key_set() {
    let stage = Stage::new().await;
    let token = stage.platform.token(&claims());
    let results = futures::future::join_all((0..100).map(|_| stage.upstreams.authenticate(&token))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(fetches(&stage.platform), (1, 1));
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_one_fetch() {
    let stage = Stage::new().await;
    stage.upstreams.authenticate(&stage.platform.token(&claims())).await.unwrap();
    stage.pass(INTERVAL);
    let odd = ["' OR 1=1 --", "../../etc/passwd", "https://evil.example/jwks", "%00", "ключ"];
    let tokens: Vec<String> = (0..1000)
        .map(|number| unknown_kid(&stage.platform, odd.get(number).map_or(&format!("kid-{number}"), |odd| *odd)))
        .collect();
    for verdict in futures::future::join_all(tokens.iter().map(|token| stage.upstreams.authenticate(token))).await {
        assert!(matches!(verdict, Err(UpstreamError::Token(TokenError::UnknownKey(_)))), "{verdict:?}");
    }
    assert_eq!(fetches(&stage.platform), (2, 2));
    for token in &tokens {
        assert!(stage.upstreams.authenticate(token).await.is_err());
    }
    assert_eq!(fetches(&stage.platform), (2, 2), "until the interval is over");
}

#[tokio::test]
async fn what_can_be_refused_without_a_key_is_refused_without_a_connection() {
    let stage = Stage::new().await;
    let claims = with_issuer(&stage.platform);
    let header = |member: &str, value: Value| Map::from_iter([(member.to_owned(), value)]);
    let jwks = format!("{}/.well-known/jwks", stage.platform.issuer());
    let mut tokens: Vec<String> = [
        header("alg", json!("none")),
        header("alg", json!("HS256")),
        header("alg", json!("rs256")),
        header("alg", json!("RS512")),
        header("alg", json!(null)),
        header("jku", json!(jwks)),
        header("x5u", json!(jwks)),
        header("jwk", json!({"kty": "oct", "k": "AAAA"})),
        header("x5c", json!(["AAAA"])),
        header("crit", json!(["exp"])),
        header("b64", json!(false)),
        header("kid", json!("a\u{0}b")),
        header("kid", json!("k".repeat(1 << 20))),
        header("kid", json!(["a"])),
    ]
    .iter()
    .map(|header| stage.platform.sign(header, &claims))
    .collect();
    let good = stage.platform.sign(&Map::new(), &claims);
    let unsigned = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let payload = good.split('.').nth(1).unwrap();
    tokens.extend([format!("{unsigned}.{payload}."), String::new(), "a.b.c".to_owned(), format!("{good}.")]);
    for issuer in ["https://token.actions.githubusercontent.com", "https://localhost:1", "", "HTTPS://LOCALHOST"] {
        let mut claims = claims.clone();
        claims.insert("iss".to_owned(), json!(issuer));
        tokens.push(stage.platform.sign(&Map::new(), &claims));
    }
    for token in &tokens {
        let verdict = stage.upstreams.authenticate(token).await;
        let refused = verdict.as_ref().is_err_and(|error| !error.is_outage());
        assert!(refused, "{}: {verdict:?}", token.chars().take(100).collect::<String>());
    }
    assert_eq!(stage.platform.counts(), Counts::default());
}

#[tokio::test]
async fn a_withdrawn_keys_tokens_are_refused_after_a_refresh() {
    let clock = MockClock::default();
    let platform = CiPlatform::start(Arc::new(clock.clone())).await;
    let settings = UpstreamSettings { refresh: Duration::from_secs(1), ..settings(&platform) };
    let upstreams = start(&clock, vec![(trusted_issuer("ci", &platform), settings)]);
    let keeper = tokio::spawn(Arc::clone(&upstreams).keep_fresh());
    let stolen = platform.token(&claims());
    upstreams.authenticate(&stolen).await.unwrap();
    platform.rotate(Algorithm::Es256);
    platform.withdraw_others();
    let refused = async {
        while upstreams.authenticate(&stolen).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), refused).await.expect("refused within the stated time");
    let verdict = upstreams.authenticate(&stolen).await;
    assert!(matches!(verdict, Err(UpstreamError::Token(TokenError::UnknownKey(_)))), "{verdict:?}");
    upstreams.authenticate(&platform.token(&claims())).await.unwrap();
    keeper.abort();
}

#[tokio::test]
async fn a_key_that_was_never_published_is_worth_nothing() {
    let stage = Stage::new().await;
    let good = stage.platform.token(&claims());
    let kid = stage.platform.signing_key();
    stage.platform.sign_with_unpublished_key();
    let verdict = stage.upstreams.authenticate(&stage.platform.token(&claims())).await;
    assert!(matches!(verdict, Err(UpstreamError::Token(TokenError::UnknownKey(_)))), "{verdict:?}");
    // Under the name of the published key: of another algorithm, then of the same one.
    let named = |alg: &str| {
        let kid = kid.kid().to_string();
        let header = Map::from_iter([("kid".to_owned(), json!(kid)), ("alg".to_owned(), json!(alg))]);
        stage.platform.sign(&header, &with_issuer(&stage.platform))
    };
    for alg in ["ES256", "RS256"] {
        assert!(stage.upstreams.authenticate(&named(alg)).await.is_err_and(|error| !error.is_outage()), "{alg}");
    }
    stage.upstreams.authenticate(&good).await.unwrap();
}

#[tokio::test]
async fn trusted_issuers_of_one_url_share_its_keys_and_are_told_apart_by_audience() {
    let clock = MockClock::default();
    let platform = CiPlatform::start(Arc::new(clock.clone())).await;
    let named = |name: &str, audience: &str, settings: UpstreamSettings| {
        let audiences = vec![audience.to_owned()];
        (TrustedIssuer { audiences, ..trusted_issuer(name, &platform) }, settings)
    };
    let mut only_es = named("second", "https://two.example", settings(&platform));
    only_es.0.algorithms = vec![TokenAlgorithm::Es256];
    let apart = UpstreamSettings { refresh: Duration::from_hours(1), ..settings(&platform) };
    let upstreams = start(
        &clock,
        vec![
            named("first", "https://one.example", settings(&platform)),
            only_es,
            named("third", "https://three.example", apart),
        ],
    );
    platform.rotate(Algorithm::Es256);
    for (audience, trusted_issuer) in
        [("https://one.example", "first"), ("https://two.example", "second"), ("https://three.example", "third")]
    {
        let mut claims = claims();
        claims.insert("aud".to_owned(), json!(audience));
        let token = upstreams.authenticate(&platform.token(&claims)).await.unwrap();
        assert_eq!(token.provider().as_str(), trusted_issuer);
        assert!(upstreams.provider(token.provider()).is_some());
    }
    assert_eq!(fetches(&platform), (2, 2), "the third has settings of its own, and thus keys of its own");
    for audience in ["https://four.example", "https://one.example/", "HTTPS://ONE.EXAMPLE"] {
        let mut claims = claims();
        claims.insert("aud".to_owned(), json!(audience));
        let verdict = upstreams.authenticate(&platform.token(&claims)).await;
        assert!(matches!(verdict, Err(UpstreamError::Token(TokenError::Audience(_)))), "{verdict:?}");
    }
}

#[tokio::test]
async fn a_restart_while_the_platform_is_down_starts_and_works_when_it_is_back() {
    let stage = Stage::new().await;
    let token = stage.platform.token(&claims());
    stage.upstreams.authenticate(&token).await.unwrap();
    stage.platform.misbehave(Document::Discovery, Misbehaviour::Status(500));
    let restarted = start(&stage.clock, vec![(trusted_issuer("ci", &stage.platform), settings(&stage.platform))]);
    let verdict = restarted.authenticate(&token).await.unwrap_err();
    assert!(matches!(&verdict, UpstreamError::Keys { reason: NoKeys::Never { .. }, .. }), "{verdict}");
    let says = verdict.to_string();
    assert!(says.starts_with("the keys of provider `ci` could not be fetched yet: https://localhost:"), "{says}");
    assert!(says.contains("it answered 500"), "{says}");
    stage.upstreams.authenticate(&token).await.unwrap();
    stage.platform.behave();
    stage.pass(INTERVAL);
    restarted.authenticate(&token).await.unwrap();
}

#[tokio::test]
async fn health_and_figures_say_how_the_platforms_do() {
    let stage = Stage::new().await;
    let before = &stage.upstreams.health()[0];
    assert!(!before.works());
    assert_eq!(before.to_string(), "ci: no keys were fetched yet");
    stage.upstreams.authenticate(&stage.platform.token(&claims())).await.unwrap();
    stage.platform.misbehave(Document::Keys, Misbehaviour::Status(503));
    stage.pass(INTERVAL);
    let failed = stage.upstreams.authenticate(&unknown_kid(&stage.platform, "new")).await.unwrap_err();
    assert!(failed.is_outage(), "the key may be good; the platform could not be asked: {failed}");
    let health = &stage.upstreams.health()[0];
    assert!(health.works());
    assert_eq!(
        health.to_string(),
        "ci: usable keys: 1, fetched 2026-09-21T14:13:20Z; the last attempt failed, the log says why"
    );
    let figures = Figures::new(Metrics::new().unwrap(), "test");
    figures.upstream(health);
    let text = figures.metrics.render();
    for line in [
        r#"tagmint_upstream_key_fetches_total{provider="ci",result="good"} 1"#,
        r#"tagmint_upstream_key_fetches_total{provider="ci",result="failed"} 1"#,
        r#"tagmint_upstream_keys{provider="ci"} 1"#,
        r#"tagmint_upstream_key_age_seconds{provider="ci"} 30"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

/// A key that is not used is named with its reason wherever somebody looks for it: to the caller and on the health page.
#[tokio::test]
async fn a_key_that_is_passed_over_is_reported_with_its_reason() {
    let stage = Stage::new().await;
    let key = stage.platform.signing_key();
    let mut entry = serde_json::to_value(Jwk::new(key.public(), None)).unwrap();
    entry["use"] = json!("enc");
    stage.platform.misbehave(Document::Keys, Misbehaviour::Body(json!({"keys": [entry]}).to_string().into_bytes()));
    let refused = stage.upstreams.authenticate(&stage.platform.token(&claims())).await.unwrap_err();
    let kid = key.kid();
    let says =
        format!("the provider's key `{kid}` is not used: its `use` is `enc`; keys for signatures have `sig` or none");
    assert_eq!(refused.to_string(), says);
    let health = &stage.upstreams.health()[0];
    assert_eq!((health.works(), health.keys.passed_over.len()), (false, 1));
    assert_eq!(
        health.to_string(),
        format!(
            "ci: usable keys: 0, fetched 2026-09-21T14:13:20Z; skipped `{kid}`: its `use` is `enc`; keys for signatures have `sig` or none"
        )
    );
    stage.platform.behave();
    stage.pass(INTERVAL);
    stage.upstreams.authenticate(&stage.platform.token(&claims())).await.unwrap();
    assert_eq!(stage.upstreams.health()[0].keys.passed_over, []);
}

#[tokio::test]
async fn without_a_usable_ca_there_is_no_client_and_the_trusted_issuer_is_named() {
    let clock = MockClock::default();
    let platform = CiPlatform::start(Arc::new(clock.clone())).await;
    tagmint_server::tls::install_provider();
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = UpstreamSettings { ca_pem: Some(pem.into()), ..settings(&platform) };
    let trusted_issuers = vec![(trusted_issuer("inner", &platform), broken)];
    let error = Upstreams::new(trusted_issuers, Arc::new(clock.clone()), Arc::new(SystemRandom)).unwrap_err();
    assert!(error.to_string().contains("`inner`"), "{error}");

    let elsewhere = UpstreamSettings { ca_pem: None, ..settings(&platform) };
    let upstreams = start(&clock, vec![(trusted_issuer("ci", &platform), elsewhere)]);
    let error = upstreams.authenticate(&platform.token(&claims())).await.unwrap_err();
    assert!(error.is_outage() && error.to_string().contains("no connection"), "an unknown CA: {error}");
    assert_eq!(fetches(&platform), (0, 0));
}

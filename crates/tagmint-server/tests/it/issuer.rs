//! An issuer under test.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode},
};
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use tagmint_core::{
    clock::Clock,
    environment::{Environment, Stamp},
    id::BearerId,
    issued_secret::{IssuedSecret, SecretKind},
    issuer::IssuerUrl,
    jwk::VerificationKeys,
    jws::{Expected, VerifiedToken, VerifyError, verify},
    key_schedule::RotationPolicy,
    random::{Random, SystemRandom},
    rules::{RuleConfig, RuleName, RuleSet, TagScope, TrustedIssuers},
    signing_key::Algorithm,
    trusted_issuer::TrustedIssuer,
    witness::Networks,
};
use tagmint_server::{
    app::{App, Parts, StartError},
    backend::{BackendError, BackendSession, SessionBackend},
    flows::keys::KeyContext,
    router,
    settings::{AnonymousMinting, Limits, Rate, Settings, StsLimits, UpstreamSettings, WitnessSettings},
    sts::WebIdentitySts,
    upstream::Upstreams,
};
use tagmint_store::{DatabaseUrl, NewBearer, Store, StoreOptions};
use tagmint_testkit::{clock::MockClock, keys::master_key};
use tower::ServiceExt;

use crate::sts::ScriptedSts;

pub const AUTH_TOKEN: &str = "federation-proof";
pub const WALLET: &str = "0x00000000000000000000000000000000000000a1";
pub const AUDIENCE: &str = "sts.amazonaws.com";
pub const ROLE: &str = "arn:aws:iam::123456789012:role/agentkeys-data-role-test";

const RULES: &str = r#"
[[rule]]
name = "wallet"
from = "session"
subject = "wallet:${sub}"
audiences = ["sts.amazonaws.com", "second.example"]
role = "arn:aws:iam::123456789012:role/agentkeys-data-role-test"
max_lifetime = "10m"
transitive = ["agentkeys_user_wallet"]
[rule.tags]
agentkeys_user_wallet = "${sub}"
project = { open = true }

[[rule]]
name = "ci"
from = "bearer"
subject = "ci:${sub}"
[rule.tags]
run = { matches = 'value.matches("^run-[0-9]+$")', required = true }

[[rule]]
name = "broken"
from = "session"
when = 'missing == 1'
subject = "never:${sub}"
"#;

/// Answers what the test told it to.
#[derive(Debug, Clone)]
pub struct ScriptedBackend(pub Arc<Mutex<Result<BackendSession, BackendError>>>);

impl ScriptedBackend {
    pub fn say(&self, answer: Result<BackendSession, BackendError>) {
        *self.0.lock().unwrap() = answer;
    }
}

impl Default for ScriptedBackend {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Ok(BackendSession {
            subject: WALLET.to_owned(),
            expires_in: 3600,
            attributes: Map::new(),
        }))))
    }
}

impl SessionBackend for ScriptedBackend {
    fn create<'a>(&'a self, auth_token: &'a SecretString) -> BoxFuture<'a, Result<BackendSession, BackendError>> {
        let known = auth_token.expose_secret() == AUTH_TOKEN;
        let answer = if known { self.0.lock().unwrap().clone() } else { Err(BackendError::Refused) };
        Box::pin(async { answer })
    }

    fn is_mock(&self) -> BoxFuture<'_, Result<bool, BackendError>> {
        let outage = match &*self.0.lock().unwrap() {
            Err(outage @ BackendError::Outage(_)) => Err(outage.clone()),
            _ => Ok(true),
        };
        Box::pin(async { outage })
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts status and problem code, and returns the problem.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!(self.status.as_u16(), status, "{problem}");
        assert_eq!(problem["type"], format!("urn:tagmint:problem:{code}"), "{problem}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        problem
    }
}

/// What a test may set up differently.
#[allow(clippy::struct_excessive_bools)] // independent of each other
pub struct Setup {
    pub environment: Environment,
    pub algorithm: Algorithm,
    pub issuer: &'static str,
    pub limits: Limits,
    /// Whether callers without proof get tokens.
    pub anonymous_minting: Option<AnonymousMinting>,
    pub explain_refusals: bool,
    pub x5c: bool,
    pub backend: bool,
    /// Whether roles are assumed for callers.
    pub aws: bool,
    pub sts_limits: StsLimits,
    /// The number of the key file that opens the signing keys. The ledger is always under the first.
    pub key_file: u32,
    /// The rules, in TOML.
    pub rules: &'static str,
    pub trusted_issuers: Vec<(TrustedIssuer, UpstreamSettings)>,
    pub trusted_proxies: Networks,
    pub witness: WitnessSettings,
    /// How long a new key waits for STS to fetch it.
    pub witness_deadline: Option<SignedDuration>,
}

impl Default for Setup {
    fn default() -> Self {
        let free = Rate { per_second: 0, burst: 0 };
        Self {
            environment: Environment::Test,
            algorithm: Algorithm::Es256,
            issuer: "https://broker.example",
            limits: Limits { per_credential: free, per_address: free, failed_per_address: free, ..Limits::default() },
            anonymous_minting: None,
            explain_refusals: false,
            x5c: false,
            backend: true,
            aws: true,
            sts_limits: StsLimits::default(),
            key_file: 1,
            rules: RULES,
            trusted_issuers: Vec::new(),
            trusted_proxies: Networks::default(),
            witness: WitnessSettings::default(),
            witness_deadline: None,
        }
    }
}

/// A running issuer without sockets.
pub struct TestIssuer {
    pub app: Arc<App>,
    pub clock: MockClock,
    pub store: Store,
    pub backend: ScriptedBackend,
    pub sts: ScriptedSts,
    pub dir: Arc<tempfile::TempDir>,
    pub settings: Settings,
    router: Router,
    admin: Router,
}

impl TestIssuer {
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub async fn start_with(setup: Setup) -> Self {
        Self::start_in(setup, Arc::new(tempfile::tempdir().unwrap()), MockClock::default()).await.unwrap()
    }

    /// An issuer on the database of an earlier one, or a second node beside it.
    pub async fn start_in(setup: Setup, dir: Arc<tempfile::TempDir>, clock: MockClock) -> Result<Self, StartError> {
        let settings = settings(&setup);
        let database = DatabaseUrl::Sqlite(dir.path().join("tagmint.db"));
        let options = StoreOptions {
            busy_timeout: std::time::Duration::from_millis(500),
            ..StoreOptions::new(database, settings.stamp.clone())
        };
        let store = Store::open(&options).await.unwrap();
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let ledger = store.ledger_writer(master_key(1)).await.unwrap();
        let backend = ScriptedBackend::default();
        let sts = ScriptedSts::new(clock.clone());
        tagmint_server::tls::install_provider();
        let upstreams =
            Upstreams::new(setup.trusted_issuers.clone(), Arc::new(clock.clone()), Arc::new(SystemRandom)).unwrap();
        let parts = Parts {
            settings: settings.clone(),
            store: store.clone(),
            ledger,
            master_key: master_key(setup.key_file),
            rules: compiled(setup.rules, &setup.trusted_issuers),
            backend: setup.backend.then(|| Arc::new(backend.clone()) as Arc<dyn SessionBackend>),
            upstreams,
            sts: setup.aws.then(|| Arc::new(sts.clone()) as Arc<dyn WebIdentitySts>),
            clock: Arc::new(clock.clone()),
            random,
        };
        let app = App::start(parts).await?;
        let (router, admin) = (router::public(&app), router::admin(&app));
        Ok(Self { app, clock, store, backend, sts, dir, settings, router, admin })
    }

    /// The keys, as an admin command in another process sees them.
    pub fn keys(&self) -> KeyContext {
        KeyContext {
            store: self.store.clone(),
            master_key: master_key(1),
            settings: self.settings.clone(),
            clock: Arc::new(self.clock.clone()),
            random: Arc::new(SystemRandom),
        }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        read(self.router.clone().oneshot(request).await.unwrap()).await
    }

    pub async fn send_admin(&self, path: &str) -> Answer {
        read(self.admin.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn call(&self, method: Method, path: &str, credential: &str, body: impl Into<Body>) -> Answer {
        let request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {credential}"));
        self.send(request.body(body.into()).unwrap()).await
    }

    pub async fn mint(&self, credential: &str, request: Value) -> Answer {
        self.call(Method::POST, "/v1/tokens", credential, request.to_string()).await
    }

    pub async fn open_session(&self) -> String {
        let body = json!({"auth_token": AUTH_TOKEN}).to_string();
        let answer = self.send(Request::post("/v1/sessions").body(body.into()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
        answer.json()["session"].as_str().unwrap().to_owned()
    }

    pub async fn make_bearer(&self, rule: Option<&str>) -> (BearerId, String) {
        let rule = rule.map(|rule| RuleName::parse(rule).unwrap());
        self.make_bearer_with(|bearer| bearer.rule = rule).await
    }

    /// Makes a bearer with something set differently.
    pub async fn make_bearer_with(&self, differ: impl FnOnce(&mut NewBearer)) -> (BearerId, String) {
        let secret =
            IssuedSecret::generate(SecretKind::Bearer, self.settings.stamp.environment, &SystemRandom).unwrap();
        let now = self.clock.now();
        let id = BearerId::generate(now, &SystemRandom).unwrap();
        let mut bearer = NewBearer {
            id,
            name: format!("nightly-{id}"),
            secret_hash: secret.hash(),
            rule: None,
            scope: TagScope::default(),
            attributes: Map::new(),
            created_at: now,
            expires_at: Some(now + SignedDuration::from_hours(24 * 90)),
        };
        differ(&mut bearer);
        self.store.bearers().create(&bearer).await.unwrap();
        (id, secret.expose().to_owned())
    }

    /// Checks a token as a relying party that has just fetched the key set.
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken, VerifyError> {
        let jwks = self.get("/.well-known/jwks.json").await;
        let keys = VerificationKeys::parse(&jwks.body).unwrap();
        let issuer = self.settings.stamp.issuer.as_str();
        let expected = Expected { issuer, audience: AUDIENCE, now: self.clock.now(), leeway_seconds: 0 };
        verify(token, &keys, &expected)
    }

    /// The `kid` that signs now.
    pub async fn signing_kid(&self, session: &str) -> String {
        let answer = self.mint(session, json!({})).await;
        let token = answer.json()["token"].as_str().unwrap_or_else(|| panic!("{}", answer.json())).to_owned();
        self.verify(&token).await.unwrap().kid
    }

    /// The published `kid`s, in their order.
    pub async fn published(&self) -> Vec<String> {
        let jwks = self.get("/.well-known/jwks.json").await.json();
        jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }
}

/// Compiled rules.
pub fn compiled(text: &str, trusted_issuers: &[(TrustedIssuer, UpstreamSettings)]) -> RuleSet {
    #[derive(serde::Deserialize)]
    struct File {
        rule: Vec<RuleConfig>,
    }
    let known: TrustedIssuers = trusted_issuers.iter().map(|(trusted_issuer, _)| trusted_issuer).collect();
    let configs = toml::from_str::<File>(text).unwrap().rule;
    RuleSet::compile(&configs, &known).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn settings(setup: &Setup) -> Settings {
    Settings {
        stamp: Stamp { issuer: IssuerUrl::parse(setup.issuer).unwrap(), environment: setup.environment },
        hosts: vec![IssuerUrl::parse(setup.issuer).unwrap().host().to_owned(), "origin.example".to_owned()],
        optional_claims: tagmint_core::claims::OptionalClaims::default(),
        rotation: RotationPolicy {
            algorithm: setup.algorithm,
            jwks_max_age: SignedDuration::from_hours(1),
            propagation: SignedDuration::from_secs(30),
            rotate_every: SignedDuration::from_hours(24 * 30),
            publish_ahead: SignedDuration::from_hours(24),
            witness_deadline: setup.witness_deadline,
        },
        key_refresh: std::time::Duration::from_secs(10),
        x5c: setup.x5c,
        session_lifetime: SignedDuration::from_hours(1),
        limits: setup.limits,
        anonymous_minting: setup.anonymous_minting,
        explain_refusals: setup.explain_refusals,
        trusted_proxies: setup.trusted_proxies.clone(),
        sts: setup.sts_limits,
        witness: setup.witness.clone(),
    }
}

async fn read(response: axum::response::Response) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

//! A CI platform: an OIDC issuer on loopback whose jobs get ID tokens, as GitHub's and GitLab's do.
//!
//! It serves discovery and a key set over TLS under a CA of its own, signs whatever claims a test wants, answers the GitHub runner's
//! `ACTIONS_ID_TOKEN_REQUEST_URL`, and misbehaves on demand. It ends when it is dropped.

mod keys;
mod misbehaviour;
mod server;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use tagmint_core::{
    clock::Clock,
    jwk::JwkSet,
    random::{Random, SystemRandom},
    signing_key::{Algorithm, Signer, SigningKey},
};
use tokio::task::JoinSet;

pub use self::misbehaviour::{Document, HUGE, Misbehaviour};
use self::{keys::Keys, misbehaviour::Misbehaviours};
use crate::{certificates::under_an_authority, ci_claims};

/// How long a platform's tokens live, in seconds. GitHub's: 5 minutes; GitLab's: as long as the job may run.
const LIFETIME: i64 = 300;

/// What a platform has been asked since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// TCP connections taken.
    pub connections: usize,
    /// Requests for the discovery document.
    pub discovery: usize,
    /// Requests for the key set.
    pub keys: usize,
    /// Requests for anything else.
    pub other: usize,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicUsize,
    discovery: AtomicUsize,
    keys: AtomicUsize,
    other: AtomicUsize,
    streamed: AtomicUsize,
}

/// What the server's requests and the test's hands share.
#[derive(Debug)]
struct Shared {
    issuer: String,
    request_token: String,
    clock: Arc<dyn Clock>,
    counters: Counters,
    keys: Mutex<Keys>,
    job: Mutex<Map<String, Value>>,
    misbehaviours: Mutex<Misbehaviours>,
}

/// A running platform.
#[derive(Debug)]
pub struct CiPlatform {
    shared: Arc<Shared>,
    ca_pem: String,
    address: SocketAddr,
    /// Accepts connections; dropping it ends them.
    _server: JoinSet<()>,
}

impl CiPlatform {
    /// A platform with one RS256 key at a free port. Its tokens' times come from `clock`.
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), "", clock).await
    }

    /// A platform at `listen`, with a path in its issuer's URL (`/_services/token` on GitHub Enterprise Server), empty for none.
    pub async fn start_at(listen: SocketAddr, path: &str, clock: Arc<dyn Clock>) -> Self {
        let listener = tokio::net::TcpListener::bind(listen).await.expect("the address is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let certificates = under_an_authority(&["localhost", "127.0.0.1", "::1"]);
        let host = if address.is_ipv6() { "[::1]" } else { "localhost" };
        let shared = Arc::new(Shared {
            issuer: format!("https://{host}:{}{path}", address.port()),
            request_token: random_hex(),
            clock,
            counters: Counters::default(),
            keys: Mutex::new(Keys::new()),
            job: Mutex::new(ci_claims::github_push()),
            misbehaviours: Mutex::default(),
        });
        let server = server::run(listener, certificates.config, path, Arc::clone(&shared));
        Self { shared, ca_pem: certificates.ca_pem, address, _server: server }
    }

    /// Its issuer: `https://localhost:PORT[/PATH]`, and `https://[::1]:PORT[/PATH]` where it listens at an IPv6 address.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The certificate of the CA that its own is under, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The address at which it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a job finds in `ACTIONS_ID_TOKEN_REQUEST_URL`.
    pub fn request_url(&self) -> String {
        format!("{}/runtime/idtoken?api-version=2.0", self.issuer())
    }

    /// What a job finds in `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
    pub fn request_token(&self) -> &str {
        &self.shared.request_token
    }

    /// Sets the claims that tokens of the runtime have (at first those of [`ci_claims::github_push`]); `iss`, `aud`, the times and `jti`
    /// are filled in.
    pub fn set_job(&self, claims: Map<String, Value>) {
        *lock(&self.shared.job) = claims;
    }

    /// A token as the job gets it from the runtime, for this audience: of now, with a `jti` of its own.
    pub fn job_token(&self, audience: &str) -> String {
        self.shared.job_token(Some(audience.to_owned()))
    }

    /// A token with these claims. `iss` is this platform whatever they say; times and `jti` are filled in where they are absent.
    pub fn token(&self, claims: &Map<String, Value>) -> String {
        self.shared.token(claims)
    }

    /// A token with exactly these claims, and these members in its header beside or instead of `alg`, `typ` and `kid`. Signed by the current
    /// key whatever the header says.
    pub fn sign(&self, header: &Map<String, Value>, claims: &Map<String, Value>) -> String {
        self.shared.sign(header, claims)
    }

    /// A new key of this algorithm, published beside the others, signs from now on. Returns its `kid`.
    pub fn rotate(&self, algorithm: Algorithm) -> String {
        lock(&self.shared.keys).rotate(algorithm)
    }

    /// A new key signs from now on and is not published. Returns its `kid`.
    pub fn sign_with_unpublished_key(&self) -> String {
        lock(&self.shared.keys).rotate_unpublished()
    }

    /// Publishes the key that signs alone: all others are withdrawn.
    pub fn withdraw_others(&self) {
        lock(&self.shared.keys).withdraw_others();
    }

    /// The key that signs.
    pub fn signing_key(&self) -> Arc<SigningKey> {
        lock(&self.shared.keys).signing()
    }

    /// Answers requests for a document badly, until [`behave`](Self::behave).
    pub fn misbehave(&self, document: Document, how: Misbehaviour) {
        lock(&self.shared.misbehaviours).set(document, how);
    }

    /// Answers well again.
    pub fn behave(&self) {
        *lock(&self.shared.misbehaviours) = Misbehaviours::default();
    }

    /// What it has been asked so far.
    pub fn counts(&self) -> Counts {
        let Counters { connections, discovery, keys, other, streamed: _ } = &self.shared.counters;
        let [connections, discovery, keys, other] =
            [connections, discovery, keys, other].map(|counter| counter.load(Ordering::Relaxed));
        Counts { connections, discovery, keys, other }
    }

    /// How many bytes of endless bodies were taken from it.
    pub fn streamed(&self) -> usize {
        self.shared.counters.streamed.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn token(&self, claims: &Map<String, Value>) -> String {
        let now = self.clock.now().as_second();
        let mut full = Map::from_iter([
            ("jti".to_owned(), json!(random_hex())),
            ("iat".to_owned(), json!(now)),
            ("nbf".to_owned(), json!(now - LIFETIME)),
            ("exp".to_owned(), json!(now + LIFETIME)),
        ]);
        full.extend(claims.clone());
        full.insert("iss".to_owned(), json!(self.issuer));
        self.sign(&Map::new(), &full)
    }

    fn sign(&self, header: &Map<String, Value>, claims: &Map<String, Value>) -> String {
        let key = lock(&self.keys).signing();
        let mut full = Map::from_iter([
            ("typ".to_owned(), json!("JWT")),
            ("alg".to_owned(), json!(key.algorithm().as_str())),
            ("kid".to_owned(), json!(key.kid().as_str())),
        ]);
        full.extend(header.clone());
        let encode = |part: &Map<String, Value>| {
            BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("a map of JSON values is JSON"))
        };
        let message = format!("{}.{}", encode(&full), encode(claims));
        let signature = key.sign(message.as_bytes()).expect("a key in memory signs");
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// The token that the runtime gives a job for `audience`; GitHub's own default is the owner's URL.
    fn job_token(&self, audience: Option<String>) -> String {
        let mut claims = lock(&self.job).clone();
        let owner = claims.get("repository_owner").and_then(Value::as_str).unwrap_or_default();
        let audience = audience.unwrap_or_else(|| format!("https://github.com/{owner}"));
        claims.insert("aud".to_owned(), json!(audience));
        self.token(&of_now(claims))
    }

    fn discovery(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/.well-known/jwks", self.issuer),
            "subject_types_supported": ["public", "pairwise"],
            "response_types_supported": ["id_token"],
            "claims_supported": ["sub", "aud", "exp", "iat", "iss", "jti", "nbf"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "scopes_supported": ["openid"]
        })
    }

    fn jwks(&self) -> JwkSet {
        lock(&self.keys).published()
    }
}

/// Without the time and the id that a claim set for tests names: the token is of now.
fn of_now(mut claims: Map<String, Value>) -> Map<String, Value> {
    for claim in ["jti", "iat", "nbf", "exp"] {
        claims.remove(claim);
    }
    claims
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn random_hex() -> String {
    use std::fmt::Write;
    let mut bytes = [0; 16];
    SystemRandom.fill(&mut bytes).expect("the system has randomness");
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;

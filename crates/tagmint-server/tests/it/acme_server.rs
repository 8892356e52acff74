//! An ACME server in the test's hands: it issues for everything whose challenge it finds, and fails as it is told.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SignatureAlgorithm,
};
use serde_json::{Value, json};
use tagmint_core::clock::Clock;
use tagmint_store::Store;
use tagmint_testkit::clock::MockClock;
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509CertificationRequest};

/// What the server does instead of answering.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The method and the beginning of the path that it is for.
    pub path: &'static str,
    /// How often; a request that is repeated counts anew.
    pub times: usize,
    pub status: u16,
    pub retry_after: Option<&'static str>,
    pub body: String,
}

impl Fault {
    /// A problem of ACME.
    pub fn problem(path: &'static str, status: u16, kind: &str) -> Self {
        let body = json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": "as told", "status": status});
        Self { path, times: 1, status, retry_after: None, body: body.to_string() }
    }

    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }
}

#[derive(Debug, Default)]
struct Order {
    names: Vec<String>,
    status: &'static str,
    chain: Option<String>,
    request: Value,
}

#[derive(Debug, Default)]
struct Inner {
    /// The keys of accounts, and their number.
    accounts: HashMap<String, usize>,
    registered: usize,
    orders: Vec<Order>,
    faults: Vec<Fault>,
    requests: Vec<String>,
    /// The renewal information: start and end, and `Retry-After`.
    window: Option<(Timestamp, Timestamp, Option<&'static str>)>,
    offers_ari: bool,
    profiles: Vec<&'static str>,
    refuse_validation: bool,
    lifetime: Option<SignedDuration>,
    /// The method and path whose next answer is lost: the server does what it was asked for, and says 504.
    lost: Option<&'static str>,
}

/// The server; it ends with the test's runtime.
#[derive(Clone)]
pub struct AcmeServer {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
    nonces: Arc<AtomicU64>,
    /// Where the challenges of the issuer under test are found.
    store: Store,
    clock: MockClock,
}

impl AcmeServer {
    pub async fn start(store: Store, clock: MockClock) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, inner: Arc::default(), nonces: Arc::default(), store, clock };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub fn directory(&self) -> String {
        format!("{}/dir", self.url)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().unwrap())
    }

    pub fn fail(&self, fault: Fault) {
        self.with(|inner| inner.faults.push(fault));
    }

    pub fn suggest(&self, window: (Timestamp, Timestamp), retry_after: Option<&'static str>) {
        self.with(|inner| {
            inner.offers_ari = true;
            inner.window = Some((window.0, window.1, retry_after));
        });
    }

    pub fn refuse_validation(&self, refuse: bool) {
        self.with(|inner| inner.refuse_validation = refuse);
    }

    pub fn offer_profiles(&self, profiles: &[&'static str]) {
        self.with(|inner| inner.profiles = profiles.to_vec());
    }

    pub fn issue_for(&self, lifetime: SignedDuration) {
        self.with(|inner| inner.lifetime = Some(lifetime));
    }

    pub fn forget_accounts(&self) {
        self.with(|inner| inner.accounts.clear());
    }

    pub fn lose_the_answer_to(&self, path: &'static str) {
        self.with(|inner| inner.lost = Some(path));
    }

    /// How many accounts were made.
    pub fn accounts(&self) -> usize {
        self.with(|inner| inner.registered)
    }

    /// What the orders asked for.
    pub fn orders(&self) -> Vec<Value> {
        self.with(|inner| inner.orders.iter().map(|order| order.request.clone()).collect())
    }

    /// How often was asked for paths that begin so.
    pub fn asked(&self, start: &str) -> usize {
        self.with(|inner| inner.requests.iter().filter(|request| request.starts_with(start)).count())
    }
}

fn decoded(jws: &Value, member: &str) -> Value {
    let text = BASE64_URL_SAFE_NO_PAD.decode(jws[member].as_str().unwrap_or_default()).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

async fn answer(
    State(server): State<AcmeServer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert!(headers.contains_key(header::USER_AGENT));
    let request = format!("{method} {}", uri.path());
    let fault = server.with(|inner| {
        inner.requests.push(request.clone());
        let found = inner.faults.iter_mut().find(|fault| fault.times > 0 && request.starts_with(fault.path))?;
        found.times -= 1;
        Some(found.clone())
    });
    let mut response = if let Some(fault) = fault {
        let mut response = (StatusCode::from_u16(fault.status).unwrap(), fault.body).into_response();
        if let Some(value) = fault.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(value));
        }
        response
    } else {
        let jws: Value = serde_json::from_slice(&body).unwrap_or_default();
        let answer = server.handle(&request, &decoded(&jws, "protected"), &decoded(&jws, "payload")).await;
        let lost = server.with(|inner| inner.lost.take_if(|path| request.starts_with(*path)));
        // With a time to come back, so that it is not repeated at once.
        let late = || (StatusCode::GATEWAY_TIMEOUT, [(header::RETRY_AFTER, "60")]).into_response();
        if lost.is_some() { late() } else { answer }
    };
    let nonce = server.nonces.fetch_add(1, Ordering::Relaxed).to_string();
    response.headers_mut().insert(HeaderName::from_static("replay-nonce"), nonce.parse().unwrap());
    response
}

fn problem(status: u16, kind: &str) -> Response {
    let body = json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": kind, "status": status});
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

impl AcmeServer {
    async fn handle(&self, request: &str, protected: &Value, payload: &Value) -> Response {
        let (method_and_kind, number) = request.rsplit_once('/').unwrap_or((request, ""));
        let number: usize = number.parse().unwrap_or_default();
        match (request, method_and_kind) {
            ("GET /dir", _) => self.directory_document(),
            ("HEAD /nonce", _) => StatusCode::OK.into_response(),
            ("POST /account", _) => self.account(&protected["jwk"], payload),
            ("POST /key-change", _) => self.change_key(payload),
            ("POST /order", _) => self.new_order(protected, payload),
            (_, "POST /order") => self.order(number),
            (_, "POST /authorization") => self.authorization(number),
            (_, "POST /challenge") => self.validate(number).await,
            (_, "POST /finalize") => self.finalize(number, payload),
            (_, "POST /certificate") => {
                self.with(|inner| inner.orders[number].chain.clone().unwrap_or_default()).into_response()
            }
            (_, "GET /renewal-info") => self.renewal_info(),
            // The account itself: its contacts.
            (_, "POST /account") => axum::Json(json!({"status": "valid"})).into_response(),
            _ => problem(404, "malformed"),
        }
    }

    fn directory_document(&self) -> Response {
        let url = |path: &str| format!("{}/{path}", self.url);
        let profiles: serde_json::Map<String, Value> =
            self.with(|inner| inner.profiles.iter().map(|name| ((*name).to_owned(), json!("a profile"))).collect());
        let mut directory = json!({
            "newNonce": url("nonce"), "newAccount": url("account"), "newOrder": url("order"),
            "keyChange": url("key-change"), "revokeCert": url("revoke"), "meta": {"profiles": profiles},
        });
        if self.with(|inner| inner.offers_ari) {
            directory["renewalInfo"] = json!(url("renewal-info"));
        }
        axum::Json(directory).into_response()
    }

    fn account(&self, key: &Value, payload: &Value) -> Response {
        let key = key["x"].as_str().unwrap_or_default().to_owned();
        let only_existing = payload["onlyReturnExisting"] == true;
        let found = self.with(|inner| match inner.accounts.get(&key) {
            Some(number) => Some(*number),
            None if only_existing => None,
            None => {
                assert_eq!(payload["termsOfServiceAgreed"], true);
                inner.registered += 1;
                let number = inner.registered;
                inner.accounts.insert(key, number);
                Some(number)
            }
        });
        match found {
            Some(number) => {
                let location = format!("{}/account/{number}", self.url);
                (StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(json!({"status": "valid"})))
                    .into_response()
            }
            None => problem(400, "accountDoesNotExist"),
        }
    }

    fn change_key(&self, inner_jws: &Value) -> Response {
        let new = decoded(inner_jws, "protected")["jwk"]["x"].as_str().unwrap_or_default().to_owned();
        let old = decoded(inner_jws, "payload")["oldKey"]["x"].as_str().unwrap_or_default().to_owned();
        let changed = self.with(|inner| {
            let number = inner.accounts.remove(&old)?;
            inner.accounts.insert(new, number).map_or(Some(()), |_| None)
        });
        if changed.is_some() { StatusCode::OK.into_response() } else { problem(400, "malformed") }
    }

    fn new_order(&self, protected: &Value, payload: &Value) -> Response {
        let known = self.with(|inner| {
            let account =
                protected["kid"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
            inner.accounts.values().any(|number| number.to_string() == account)
        });
        if !known {
            return problem(400, "accountDoesNotExist");
        }
        let names = payload["identifiers"].as_array().unwrap().iter();
        let names = names.map(|name| name["value"].as_str().unwrap().to_owned()).collect();
        let number = self.with(|inner| {
            inner.orders.push(Order { names, status: "pending", chain: None, request: payload.clone() });
            inner.orders.len() - 1
        });
        let mut response = self.order(number);
        *response.status_mut() = StatusCode::CREATED;
        let location = format!("{}/order/{number}", self.url);
        response.headers_mut().insert(header::LOCATION, location.parse().unwrap());
        response
    }

    fn order(&self, number: usize) -> Response {
        let url = |kind: &str| format!("{}/{kind}/{number}", self.url);
        self.with(|inner| {
            let Some(order) = inner.orders.get(number) else { return problem(404, "malformed") };
            let mut document = json!({
                "status": order.status, "finalize": url("finalize"), "authorizations": [url("authorization")],
                "identifiers": [],
            });
            if let Some(replaces) = order.request.get("replaces") {
                document["replaces"] = replaces.clone();
            }
            if order.chain.is_some() {
                document["certificate"] = json!(url("certificate"));
            }
            axum::Json(document).into_response()
        })
    }

    fn authorization(&self, number: usize) -> Response {
        self.with(|inner| {
            let order = &inner.orders[number];
            let status = match order.status {
                "pending" => "pending",
                "invalid" => "invalid",
                _ => "valid",
            };
            let mut challenge = json!({
                "type": "http-01", "url": format!("{}/challenge/{number}", self.url),
                "token": format!("token-{number}"), "status": status,
            });
            if status == "invalid" {
                challenge["error"] = json!({"type": "urn:ietf:params:acme:error:connection", "detail": "port 80 is shut", "status": 400});
            }
            axum::Json(json!({
                "status": status, "identifier": {"type": "dns", "value": order.names[0]}, "challenges": [challenge],
            }))
            .into_response()
        })
    }

    async fn validate(&self, number: usize) -> Response {
        let found = self.store.acme().challenge(&format!("token-{number}")).await.unwrap();
        let good = found.is_some_and(|answer| answer.starts_with(&format!("token-{number}.")));
        self.with(|inner| {
            let refused = inner.refuse_validation || !good;
            inner.orders[number].status = if refused { "invalid" } else { "ready" };
        });
        let token = format!("token-{number}");
        axum::Json(json!({"type": "http-01", "url": "x", "token": token, "status": "processing"})).into_response()
    }

    fn finalize(&self, number: usize, payload: &Value) -> Response {
        let csr = BASE64_URL_SAFE_NO_PAD.decode(payload["csr"].as_str().unwrap()).unwrap();
        let now = self.clock.now();
        self.with(|inner| {
            let lifetime = inner.lifetime.unwrap_or(SignedDuration::from_hours(90 * 24));
            let order = &mut inner.orders[number];
            order.chain = Some(issue(&csr, &order.names, now, lifetime));
            order.status = "valid";
        });
        self.order(number)
    }

    fn renewal_info(&self) -> Response {
        match self.with(|inner| inner.window) {
            Some((start, end, retry_after)) => {
                let body = json!({"suggestedWindow": {"start": start.to_string(), "end": end.to_string()}});
                let mut response = axum::Json(body).into_response();
                if let Some(value) = retry_after {
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(value));
                }
                response
            }
            None => problem(404, "malformed"),
        }
    }
}

struct RequestedKey(Vec<u8>);

impl PublicKeyData for RequestedKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A certificate over the key of a request, under a CA that is made for it.
fn issue(csr: &[u8], names: &[String], now: Timestamp, lifetime: SignedDuration) -> String {
    let (_, request) = X509CertificationRequest::from_der(csr).unwrap();
    let asked: Vec<String> = request
        .requested_extensions()
        .unwrap()
        .filter_map(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(names) => Some(names.general_names.iter()),
            _ => None,
        })
        .flatten()
        .map(|name| match name {
            x509_parser::prelude::GeneralName::DNSName(name) => (*name).to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked, names, "the request is for the order's names");
    let key = request.certification_request_info.subject_pki.subject_public_key.data.to_vec();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let mut leaf = CertificateParams::new(names.to_vec()).unwrap();
    leaf.use_authority_key_identifier_extension = true;
    let time = |at: Timestamp| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at.as_second().unsigned_abs());
    (leaf.not_before, leaf.not_after) = (time(now), time(now + lifetime));
    let leaf = leaf.signed_by(&RequestedKey(key), &Issuer::new(ca, ca_key)).unwrap();
    format!("{}{}", leaf.pem(), ca_certificate.pem())
}

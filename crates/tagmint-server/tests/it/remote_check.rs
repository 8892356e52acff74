//! An issuer looked at from outside: one that is well, and every way in which one is not.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::SupportedProtocolVersion;
use serde_json::{Value, json};
use tagmint_core::{
    alarm::conditions::RenewalView,
    clock::{Clock, SystemClock},
    issuer::IssuerUrl,
    key_schedule::{KeySchedule, KeyState, RotationPolicy},
    signing_key::Algorithm,
};
use tagmint_server::{
    remote_check::{Inside, Level, RemoteCheck, Report, StoredLeaf},
    tls::{Certificate, ServedCertificate},
};

const NEW: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
const OLD: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
const KID: &str = "Ghe-kXpVYyYHFBmXGN-WhmJ6nTqhm9MDjTFu_PB3OqI";

/// How an issuer answers.
#[derive(Clone)]
struct Play {
    /// For which name its certificate is.
    name: &'static str,
    /// How many days ago its certificate began, and in how many it ends.
    days: (i64, i64),
    versions: &'static [&'static SupportedProtocolVersion],
    /// What is put behind the issuer's own URL in the document.
    issuer_ends_with: &'static str,
    redirects: bool,
    delay: Duration,
    /// By how many seconds its clock is ahead.
    ahead: i64,
    jwks: Value,
    cache_control: &'static str,
}

fn key() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": "x", "y": "y", "kid": KID, "use": "sig", "alg": "ES256"})
}

impl Default for Play {
    fn default() -> Self {
        Self {
            name: "localhost",
            days: (1, 89),
            versions: BOTH,
            issuer_ends_with: "",
            redirects: false,
            delay: Duration::ZERO,
            ahead: 0,
            jwks: json!({"keys": [key()]}),
            cache_control: "public, max-age=3600",
        }
    }
}

struct Stage {
    check: RemoteCheck,
    leaf: Vec<u8>,
}

#[derive(Clone)]
struct Answers {
    play: Arc<Play>,
    url: Arc<str>,
}

async fn answer(State(Answers { play, url }): State<Answers>, uri: Uri) -> Response {
    tokio::time::sleep(play.delay).await;
    if play.redirects && !uri.path().starts_with("/elsewhere") {
        return Redirect::temporary(&format!("{url}/elsewhere{}", uri.path())).into_response();
    }
    let body = if uri.path().ends_with("jwks.json") {
        play.jwks.clone()
    } else {
        json!({
            "issuer": format!("{url}{}", play.issuer_ends_with), "jwks_uri": format!("{url}/.well-known/jwks.json"),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    };
    let now = SystemClock.now() + SignedDuration::from_secs(play.ahead);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
    let headers = [
        (header::DATE, HeaderValue::from_str(&date).unwrap()),
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static(play.cache_control)),
        (header::ETAG, HeaderValue::from_static("\"tag\"")),
    ];
    (headers, body.to_string()).into_response()
}

struct TlsListener {
    tcp: tokio::net::TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            // Who only tries whether somebody listens shakes no hands.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// An issuer that plays so, and the check of it.
fn stage(play: Play) -> Stage {
    tagmint_server::tls::install_provider();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, "test CA");
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let server_key = KeyPair::generate().unwrap();
    let mut server = CertificateParams::new(vec![play.name.to_owned()]).unwrap();
    let date = |days: i64| {
        let at = (SystemClock.now() + SignedDuration::from_hours(24 * days)).to_zoned(jiff::tz::TimeZone::UTC);
        rcgen::date_time_ymd(i32::from(at.year()), at.month().unsigned_abs(), at.day().unsigned_abs())
    };
    (server.not_before, server.not_after) = (date(-play.days.0), date(play.days.1));
    let server = server.signed_by(&server_key, &Issuer::new(ca, ca_key)).unwrap();
    let certificate = Certificate::from_pem(server.pem().as_bytes(), server_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(play.versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(ServedCertificate::new(certificate));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let answers = Answers { play: Arc::new(play), url: url.as_str().into() };
    let routes = Router::new().fallback(get(answer)).with_state(answers);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TlsListener { tcp: tokio::net::TcpListener::from_std(listener).unwrap(), acceptor };
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let check = RemoteCheck {
        url: IssuerUrl::parse(&url).unwrap(),
        ca_pem: Some(ca_pem.into_bytes()),
        timeout: Duration::from_secs(3),
        http_port: None,
        needs_http: false,
        inside: None,
    };
    Stage { check, leaf: server.der().to_vec() }
}

async fn look(check: &RemoteCheck) -> Report {
    check.run(&SystemClock).await.unwrap()
}

async fn played(play: Play) -> Report {
    look(&stage(play).check).await
}

/// What is not good, but for what every loopback issuer has: a private address, and perhaps no IPv6.
fn wrong(report: &Report) -> Vec<(&'static str, Level)> {
    let rows = report.rows.iter().filter(|row| !matches!(row.check, "dns" | "connect") && row.level != Level::Ok);
    rows.map(|row| (row.check, row.level)).collect()
}

fn seen<'a>(report: &'a Report, check: &str) -> &'a str {
    &report.rows.iter().find(|row| row.check == check).unwrap_or_else(|| panic!("no {check}: {report:#?}")).seen
}

#[tokio::test]
async fn an_issuer_that_is_well_passes() {
    let report = played(Play::default()).await;
    assert_eq!(wrong(&report), [], "{report:#?}");
    assert!(report.ok && report.reached);
    let checks: Vec<&str> = report.rows.iter().map(|row| row.check).collect();
    assert_eq!(
        checks,
        [
            "dns",
            "connect",
            "certificate_chain",
            "certificate_name",
            "certificate_days",
            "tls_1_2",
            "tls_1_3",
            "discovery",
            "discovery_issuer",
            "discovery_members",
            "discovery_jwks_uri",
            "jwks",
            "jwks_keys",
            "jwks_private",
            "jwks_kids",
            "jwks_caching",
            "latency",
            "clock",
            "http_1_1"
        ]
    );
    let dns = &report.rows[0];
    assert_eq!((dns.level, dns.ok), (Level::Warning, true), "a loopback address");
}

#[tokio::test]
async fn bad_certificates_are_told_and_the_documents_are_looked_at_all_the_same() {
    let expired = played(Play { days: (90, -1), ..Play::default() }).await;
    assert_eq!(wrong(&expired), [("certificate_chain", Level::Failure), ("certificate_days", Level::Failure)]);
    assert!(!expired.ok && seen(&expired, "certificate_days").starts_with("expired"), "{expired:#?}");
    let other = played(Play { name: "other.example", ..Play::default() }).await;
    assert_eq!(wrong(&other), [("certificate_name", Level::Failure)]);
    let late = played(Play { days: (75, 15), ..Play::default() }).await;
    assert_eq!(wrong(&late), [("certificate_days", Level::Warning)]);
    assert!(late.ok);
    let urgent = played(Play { days: (85, 5), ..Play::default() }).await;
    assert_eq!(wrong(&urgent), [("certificate_days", Level::Failure)]);
    let mut untrusted = stage(Play::default()).check;
    untrusted.ca_pem = stage(Play::default()).check.ca_pem;
    let untrusted = look(&untrusted).await;
    assert_eq!(wrong(&untrusted), [("certificate_chain", Level::Failure)]);
}

#[tokio::test]
async fn tls_1_3_alone_fails_and_1_2_alone_is_a_warning() {
    let new = played(Play { versions: NEW, ..Play::default() }).await;
    assert_eq!(wrong(&new), [("tls_1_2", Level::Failure)]);
    let old = played(Play { versions: OLD, ..Play::default() }).await;
    assert_eq!(wrong(&old), [("tls_1_3", Level::Warning)]);
}

/// As of an issuer that has no certificate yet: it is not told to switch a version on.
#[tokio::test]
async fn without_tls_the_missing_certificate_is_spoken_of() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut check = stage(Play::default()).check;
    check.url = IssuerUrl::parse(&format!("https://localhost:{}", silent.local_addr().unwrap().port())).unwrap();
    tokio::spawn(async move { while silent.accept().await.is_ok() {} });
    let report = look(&check).await;
    let fixes =
        report.rows.iter().filter(|row| row.fix.as_deref().is_some_and(|fix| fix.contains("the first takes a moment")));
    assert_eq!(fixes.count(), 2, "{report:#?}");
}

#[tokio::test]
async fn the_discovery_document_is_there_directly_and_byte_for_byte() {
    let slash = played(Play { issuer_ends_with: "/", ..Play::default() }).await;
    assert_eq!(wrong(&slash), [("discovery_issuer", Level::Failure)]);
    let redirects = played(Play { redirects: true, ..Play::default() }).await;
    let failed: Vec<_> = redirects.rows.iter().filter(|row| row.level == Level::Failure).map(|row| row.check).collect();
    assert_eq!(failed, ["discovery", "jwks", "jwks_keys"]);
    assert!(seen(&redirects, "discovery").starts_with("307"), "{redirects:#?}");
}

#[tokio::test]
async fn key_sets_that_sts_would_not_take() {
    let with = |change: fn(&mut Value)| {
        let mut changed = key();
        change(&mut changed);
        played(Play { jwks: json!({"keys": [changed]}), ..Play::default() })
    };
    let private = with(|key| key["d"] = "private".into()).await;
    assert_eq!(wrong(&private), [("jwks_private", Level::Failure)]);
    assert!(!format!("{private:?}").contains("\"private\""), "the key itself is not repeated");
    let encryption = with(|key| key["use"] = "enc".into()).await;
    assert_eq!(wrong(&encryption), [("jwks_keys", Level::Failure)]);
    let okp = with(|key| (key["kty"], key["alg"]) = ("OKP".into(), "EdDSA".into())).await;
    assert_eq!(wrong(&okp), [("jwks_keys", Level::Failure)]);
    let nameless = with(|key| key["kid"] = Value::Null).await;
    assert_eq!(wrong(&nameless), [("jwks_kids", Level::Failure)]);
    let twice = played(Play { jwks: json!({"keys": [key(), key()]}), ..Play::default() }).await;
    assert_eq!(wrong(&twice), [("jwks_kids", Level::Failure)]);
    let empty = played(Play { jwks: json!({"keys": []}), ..Play::default() }).await;
    assert_eq!(wrong(&empty), [("jwks_keys", Level::Failure)]);
    let none = played(Play { jwks: json!([1]), ..Play::default() }).await;
    assert_eq!(wrong(&none), [("jwks", Level::Failure), ("jwks_keys", Level::Failure)]);
    let uncached = played(Play { cache_control: "no-store", ..Play::default() }).await;
    assert_eq!(wrong(&uncached), [("jwks_caching", Level::Warning)]);
}

#[tokio::test]
async fn slow_documents_and_clocks_that_are_off() {
    let slow = played(Play { delay: Duration::from_millis(1_050), ..Play::default() }).await;
    assert_eq!(wrong(&slow), [("latency", Level::Failure)]);
    let never = played(Play { delay: Duration::from_secs(20), ..Play::default() }).await;
    assert!(!never.ok && seen(&never, "discovery").starts_with("no answer within"), "{never:#?}");
    for (ahead, level) in [(-30, Level::Warning), (30, Level::Warning), (90, Level::Failure), (-90, Level::Failure)] {
        assert_eq!(wrong(&played(Play { ahead, ..Play::default() }).await), [("clock", level)], "{ahead}");
    }
}

/// A server on plain HTTP.
async fn http(routes: Router) -> u16 {
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    port
}

#[tokio::test]
async fn port_80_answers_challenges_and_redirects_the_rest() {
    let mut check = stage(Play::default()).check;
    let home = check.url.to_string();
    let to_https = {
        let home = home.clone();
        move || async move { Redirect::permanent(&home) }
    };
    let good = Router::new()
        .route("/.well-known/acme-challenge/{token}", get(|| async { StatusCode::NOT_FOUND }))
        .fallback(to_https.clone());
    check.http_port = Some(http(good).await);
    let report = look(&check).await;
    assert_eq!(wrong(&report), [], "{report:#?}");
    assert!(seen(&report, "port_80_redirect").contains(&home));
    check.http_port = Some(http(Router::new().fallback(to_https)).await);
    assert_eq!(wrong(&look(&check).await), [("port_80_acme", Level::Warning)]);
    check.needs_http = true;
    assert_eq!(wrong(&look(&check).await), [("port_80_acme", Level::Failure)]);
    check.http_port = Some(http(Router::new().fallback(get(|| async { "hello" }))).await);
    let plain = look(&check).await;
    assert_eq!(wrong(&plain), [("port_80_acme", Level::Warning), ("port_80_redirect", Level::Warning)]);
    check.http_port = Some(1);
    assert_eq!(wrong(&look(&check).await), [("port_80", Level::Failure)]);
    check.needs_http = false;
    assert_eq!(wrong(&look(&check).await), [("port_80", Level::Note)]);
}

fn state(kid: &str, active_at: Timestamp) -> KeyState {
    let hour = SignedDuration::from_hours(1);
    KeyState {
        kid: kid.parse().unwrap(),
        algorithm: Algorithm::Es256,
        schedule: KeySchedule {
            published_at: active_at - hour,
            active_at,
            due_at: None,
            withdrawn: false,
            retiring_at: None,
            withdrawn_at: None,
        },
    }
}

fn policy() -> RotationPolicy {
    let hour = SignedDuration::from_hours(1);
    RotationPolicy {
        algorithm: Algorithm::Es256,
        jwks_max_age: hour,
        propagation: SignedDuration::from_secs(30),
        rotate_every: hour * 720,
        publish_ahead: hour * 24,
        witness_deadline: None,
    }
}

#[tokio::test]
async fn what_is_served_is_compared_with_what_is_stored() {
    let Stage { mut check, leaf } = stage(Play::default());
    let hour = SignedDuration::from_hours(1);
    let inside = |stored: StoredLeaf, keys: Result<Vec<KeyState>, String>| {
        Some(Inside { certificate: Some(stored), renewal: None, keys, policy: policy() })
    };
    let now = SystemClock.now();
    check.inside = inside(StoredLeaf::Leaf(leaf.clone()), Ok(vec![state(KID, now - hour)]));
    let report = look(&check).await;
    assert_eq!(wrong(&report), [], "{report:#?}");
    assert_eq!(
        (seen(&report, "stored_certificate"), seen(&report, "served_keys")),
        ("the same", "the same (1 in all)")
    );
    let other = "b".repeat(43);
    check.inside = inside(StoredLeaf::Leaf(vec![1]), Ok(vec![state(KID, now - hour), state(&other, now + hour)]));
    let warned = look(&check).await;
    assert_eq!(wrong(&warned), [("stored_certificate", Level::Warning), ("served_keys", Level::Warning)]);
    check.inside = inside(StoredLeaf::Unusable("gone".to_owned()), Ok(vec![state(&other, now - hour * 800)]));
    let failed = look(&check).await;
    let expected =
        [("stored_certificate", Level::Failure), ("served_keys", Level::Failure), ("key_ages", Level::Warning)];
    assert_eq!(wrong(&failed), expected);
    check.inside = inside(StoredLeaf::Leaf(leaf), Err("no database".to_owned()));
    assert_eq!(wrong(&look(&check).await), [("served_keys", Level::Failure)]);
}

#[tokio::test]
async fn renewals_of_an_issuer_that_orders_its_certificates_are_told() {
    let Stage { mut check, leaf } = stage(Play::default());
    let (now, hour) = (SystemClock.now(), SignedDuration::from_hours(1));
    let view = |failures: u32, next_at: Timestamp| RenewalView {
        failures,
        last_error: (failures > 0).then(|| "port 80 is shut".to_owned()),
        next_at: Some(next_at),
    };
    let inside = |certificate: StoredLeaf, renewal: RenewalView| {
        Some(Inside {
            certificate: Some(certificate),
            renewal: Some(renewal),
            keys: Ok(vec![state(KID, now - hour)]),
            policy: RotationPolicy {
                algorithm: Algorithm::Es256,
                jwks_max_age: hour,
                propagation: SignedDuration::from_secs(30),
                rotate_every: hour * 720,
                publish_ahead: hour * 24,
                witness_deadline: None,
            },
        })
    };
    check.inside = inside(StoredLeaf::Leaf(leaf.clone()), view(0, now + hour * 240));
    let well = look(&check).await;
    assert_eq!(wrong(&well), [], "{well:#?}");
    assert!(seen(&well, "renewal").ends_with("in 9 days"), "{well:#?}");
    check.inside = inside(StoredLeaf::Leaf(leaf.clone()), view(3, now + hour));
    let failing = look(&check).await;
    assert_eq!(wrong(&failing), [("renewal", Level::Warning)]);
    assert!(seen(&failing, "renewal").starts_with("3 attempts failed: port 80 is shut; "), "{failing:#?}");
    check.inside = inside(StoredLeaf::Leaf(leaf), view(0, now - hour * 2));
    assert_eq!(wrong(&look(&check).await), [("renewal", Level::Warning)], "nobody tries");
    check.inside = inside(StoredLeaf::NotYet, view(1, now + hour));
    let first = look(&check).await;
    assert_eq!(wrong(&first), [("stored_certificate", Level::Failure), ("renewal", Level::Warning)]);
}

#[tokio::test]
async fn nobody_there() {
    tagmint_server::tls::install_provider();
    let check = |url: &str| RemoteCheck {
        url: IssuerUrl::parse(url).unwrap(),
        ca_pem: None,
        timeout: Duration::from_secs(2),
        http_port: None,
        needs_http: false,
        inside: None,
    };
    let silent = look(&check("https://localhost:1")).await;
    assert!(!silent.ok && !silent.reached, "{silent:#?}");
    let nameless = look(&check("https://no-such-host.invalid")).await;
    assert!(!nameless.ok && !nameless.reached, "{nameless:#?}");
    assert_eq!(nameless.rows.len(), 1);
    let inside = Inside {
        certificate: Some(StoredLeaf::NotYet),
        renewal: None,
        keys: Err("no such file".to_owned()),
        policy: policy(),
    };
    let known = look(&RemoteCheck { inside: Some(inside), ..check("https://localhost:1") }).await;
    assert!(!known.reached, "{known:#?}");
    let failed = ["stored_certificate", "served_keys"].map(|name| (name, Level::Failure));
    assert_eq!(wrong(&known).as_slice(), failed, "what is known from inside is told all the same");
}

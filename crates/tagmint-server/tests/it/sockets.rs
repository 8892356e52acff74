//! The listeners: TLS 1.2 and 1.3, time limits, certificates taken up while running, an orderly end.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::json;
use tagmint_server::{
    router,
    serve::{Listeners, Running, serve},
    settings::Limits,
    tls::{self, Certificate, ServedCertificate},
    x509::{LocalCertificates, local_certificates},
};
use tagmint_store::LedgerQuery;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::issuer::{Setup, TestIssuer};

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

pub(crate) struct Served {
    pub(crate) issuer: TestIssuer,
    pub(crate) running: Running,
    pub(crate) certificates: LocalCertificates,
}

fn config(dir: &std::path::Path, certificates: &LocalCertificates) -> Certificate {
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&certificate, &certificates.certificate_pem).unwrap();
    std::fs::write(&key, certificates.key_pem.as_bytes()).unwrap();
    Certificate::from_files(&certificate, &key).unwrap()
}

/// Certificates are checked against the system's clock, so they are made for it.
fn certificates() -> LocalCertificates {
    use tagmint_core::clock::{Clock, SystemClock};
    local_certificates(SystemClock.now(), 1).unwrap()
}

pub(crate) async fn start(limits: Limits) -> Served {
    tls::install_provider();
    let issuer = TestIssuer::start_with(Setup { limits, ..Setup::default() }).await;
    let certificates = certificates();
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    let tls = Some(ServedCertificate::new(config(issuer.dir.path(), &certificates)));
    let plain = Some((listener().into(), router::public(&issuer.app)));
    let listeners = Listeners { public: listener().into(), tls, admin: listener().into(), plain };
    let running = serve(Arc::clone(&issuer.app), listeners).unwrap();
    Served { issuer, running, certificates }
}

/// What ends a wait that has no end. No machine takes so long by accident.
const AMPLE: Duration = Duration::from_mins(1);

pub(crate) fn limits() -> Limits {
    let free = tagmint_server::settings::Rate { per_second: 0, burst: 0 };
    Limits {
        per_credential: free,
        per_address: free,
        // Time enough for a peer that means well, on a busy machine too.
        handshake_timeout: Duration::from_secs(2),
        header_timeout: Duration::from_secs(2),
        idle_timeout: Duration::from_secs(2),
        ..Limits::default()
    }
}

pub(crate) fn client(ca: &str) -> reqwest::Client {
    reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes()).unwrap()])
        .timeout(AMPLE)
        .build()
        .unwrap()
}

fn address(served: &Served) -> SocketAddr {
    served.running.public_address().tcp().unwrap()
}

pub(crate) fn url(served: &Served, path: &str) -> String {
    format!("https://localhost:{}{path}", address(served).port())
}

fn trusting(ca: &str, versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots).with_no_client_auth()
}

pub(crate) async fn connect(
    served: &Served,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let config = trusting(&served.certificates.ca_pem, versions);
    let stream = TcpStream::connect(address(served)).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

#[tokio::test]
async fn both_tls_versions_are_served() {
    let served = start(limits()).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = connect(&served, &[version]).await;
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        stream
            .write_all(b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    let http2 = client(&served.certificates.ca_pem).get(url(&served, "/livez")).send().await.unwrap();
    assert_eq!(http2.version(), reqwest::Version::HTTP_2);
    served.running.shutdown().await;
}

async fn is_closed(mut stream: impl AsyncReadExt + Unpin) {
    let mut rest = Vec::new();
    let _ = timeout(AMPLE, stream.read_to_end(&mut rest)).await.expect("the connection is closed");
}

#[tokio::test]
async fn silent_and_slow_peers_are_cut_off_and_others_are_served() {
    let served = start(limits()).await;
    let address = address(&served);
    let silent: Vec<TcpStream> = futures::future::join_all((0..200).map(|_| TcpStream::connect(address)))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let answer = client(&served.certificates.ca_pem).get(url(&served, "/.well-known/jwks.json")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "handshakes that hang block nobody");
    for stream in silent {
        is_closed(stream).await;
    }
    // After the handshake: nothing at all, half a request line, and headers that drip.
    let idle = connect(&served, &[&rustls::version::TLS13]).await;
    let mut half = connect(&served, &[&rustls::version::TLS13]).await;
    half.write_all(b"GET /livez HTT").await.unwrap();
    is_closed(idle).await;
    is_closed(half).await;
    let mut drip = connect(&served, &[&rustls::version::TLS13]).await;
    let dripped = async {
        drip.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n").await?;
        loop {
            drip.write_all(b"x: y\r\n").await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let result: Result<std::io::Result<()>, _> = timeout(AMPLE, dripped).await;
    assert!(matches!(result, Ok(Err(_))), "headers that never end are cut off");
    served.running.shutdown().await;
}

#[tokio::test]
async fn oversized_headers_and_garbage_are_refused() {
    let served = start(limits()).await;
    let exchange = async |request: Vec<u8>| {
        let mut stream = connect(&served, &[&rustls::version::TLS13]).await;
        let _ = stream.write_all(&request).await;
        let mut answer = Vec::new();
        let _ = timeout(AMPLE, stream.read_to_end(&mut answer)).await.expect("the connection is closed");
        String::from_utf8_lossy(&answer).into_owned()
    };
    let huge = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let answer = exchange(huge.into_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 400"), "{answer}");
    let answer = exchange(b"\x00\xff garbage\r\n\r\n".to_vec()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    served.running.shutdown().await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_the_callers_fault_and_a_huge_one_is_refused_at_once() {
    let served = start(Limits { idle_timeout: Duration::from_secs(30), ..limits() }).await;
    for (headers, status) in [("content-length: 100", "408"), ("content-length: 99999999", "413")] {
        let mut stream = connect(&served, &[&rustls::version::TLS13]).await;
        let request = format!("POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n\r\n{{");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        timeout(AMPLE, stream.read_exact(&mut answer)).await.expect("it answers in time").unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {status}"));
    }
    served.running.shutdown().await;
}

#[tokio::test]
async fn when_all_places_are_taken_by_connections_that_wait_the_oldest_makes_room() {
    let patient = Limits { idle_timeout: Duration::from_secs(30), header_timeout: Duration::from_secs(30), ..limits() };
    let served = start(Limits { connections: 3, ..patient }).await;
    let mut held = Vec::new();
    for begun in ["", "GET /livez HTT", "POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{"] {
        let mut stream = connect(&served, &[&rustls::version::TLS13]).await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        held.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut callers = Vec::new();
    for stream in held {
        let client = client(&served.certificates.ca_pem);
        assert_eq!(client.get(url(&served, "/livez")).send().await.unwrap().status(), 200);
        is_closed(stream).await;
        callers.push(client);
    }
    let metrics = format!("http://{}/metrics", served.running.admin_address());
    let metrics = reqwest::get(metrics).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("tagmint_connections_evicted_total 3"), "{metrics}");
    served.running.shutdown().await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_without_dropping_a_connection() {
    let served =
        start(Limits { idle_timeout: Duration::from_secs(30), header_timeout: Duration::from_secs(30), ..limits() })
            .await;
    let old = client(&served.certificates.ca_pem);
    assert_eq!(old.get(url(&served, "/livez")).send().await.unwrap().status(), 200);
    let renewed = certificates();
    served.running.certificate().unwrap().put(config(served.issuer.dir.path(), &renewed));
    assert_eq!(old.get(url(&served, "/livez")).send().await.unwrap().status(), 200, "the open connection goes on");
    assert_eq!(client(&renewed.ca_pem).get(url(&served, "/livez")).send().await.unwrap().status(), 200);
    let fresh_with_old_ca = client(&served.certificates.ca_pem).get(url(&served, "/livez")).send().await;
    assert!(fresh_with_old_ca.is_err());
    served.running.shutdown().await;
}

#[tokio::test]
async fn what_has_begun_is_finished_at_shutdown() {
    let served = start(limits()).await;
    let session = served.issuer.open_session().await;
    let client = client(&served.certificates.ca_pem);
    let mints: Vec<_> = (0..100)
        .map(|_| {
            let request = client.post(url(&served, "/v1/tokens")).bearer_auth(&session).json(&json!({}));
            tokio::spawn(async move { request.send().await.and_then(reqwest::Response::error_for_status) })
        })
        .collect();
    let store = served.issuer.store.clone();
    while store.ledger().page(&LedgerQuery::default(), 1).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    served.running.shutdown().await;
    let mut minted = 0_u64;
    for mint in mints {
        minted += u64::from(mint.await.unwrap().is_ok());
    }
    assert!(minted > 0, "some had begun");
    let report = store.ledger().verify(&tagmint_testkit::keys::master_key(1)).await.unwrap();
    assert!(report.rows >= minted, "{} rows for {minted} tokens", report.rows);
}

#[tokio::test]
async fn a_peer_that_does_not_read_does_not_hold_up_the_end() {
    let idle_timeout = Duration::from_mins(5);
    let served = start(Limits { idle_timeout, ..limits() }).await;
    let _silent = connect(&served, &[&rustls::version::TLS13]).await;
    let client = client(&served.certificates.ca_pem);
    assert_eq!(client.get(url(&served, "/livez")).send().await.unwrap().version(), reqwest::Version::HTTP_2);
    let began = Instant::now();
    served.running.shutdown().await;
    assert!(began.elapsed() < idle_timeout, "{:?}", began.elapsed());
}

const REQUEST: &[u8] = b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Reads to the end, which is there only if the server closes.
async fn rest(mut stream: impl AsyncReadExt + Unpin) -> String {
    let mut answer = String::new();
    timeout(AMPLE, stream.read_to_string(&mut answer)).await.expect("it is closed").unwrap();
    answer
}

#[tokio::test]
async fn what_was_accepted_before_the_end_is_answered_whether_it_was_read_or_not() {
    let patient = Duration::from_secs(5);
    let served = start(Limits { handshake_timeout: patient, header_timeout: patient, ..limits() }).await;
    let address = address(&served);
    let plain = served.running.plain_address().unwrap().tcp().unwrap();
    let ca = served.certificates.ca_pem.clone();
    let unread = connect(&served, &[&rustls::version::TLS13]).await;
    let unread_and_plain = TcpStream::connect(plain).await.unwrap();
    let mut half = TcpStream::connect(plain).await.unwrap();
    half.write_all(&REQUEST[..20]).await.unwrap();
    let mut kept = TcpStream::connect(plain).await.unwrap();
    kept.write_all(REQUEST).await.unwrap();
    let mut head = [0; 12];
    kept.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    let not_begun = TcpStream::connect(address).await.unwrap();
    let http2 = client(&ca);
    let jwks = format!("https://localhost:{}/.well-known/jwks.json", address.port());
    assert_eq!(http2.get(&jwks).send().await.unwrap().version(), reqwest::Version::HTTP_2);
    let latest = TcpStream::connect(plain).await.unwrap();

    let end = tokio::spawn(served.running.shutdown());
    while TcpStream::connect(plain).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let shaking = async {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(trusting(&ca, &[&rustls::version::TLS13])));
        connector.connect(ServerName::try_from("localhost").unwrap(), not_begun).await.unwrap()
    };
    let mut streams: Vec<Box<dyn Stream>> = vec![Box::new(shaking.await), Box::new(unread)];
    for stream in [unread_and_plain, kept, latest] {
        streams.push(Box::new(stream));
    }
    for stream in &mut streams {
        stream.write_all(REQUEST).await.unwrap();
    }
    half.write_all(&REQUEST[20..]).await.unwrap();
    streams.push(Box::new(half));
    for (index, stream) in streams.into_iter().enumerate() {
        let answer = rest(stream).await;
        assert!(answer.contains("HTTP/1.1 200 OK") && answer.contains("connection: close"), "{index}: {answer}");
    }
    timeout(AMPLE, end).await.expect("nothing holds up the end").unwrap();
}

#[tokio::test]
async fn who_talks_without_end_is_cut_when_the_time_is_over() {
    let limits =
        Limits { handshake_timeout: Duration::from_secs(2), header_timeout: Duration::from_mins(1), ..limits() };
    let served = start(limits).await;
    let mut drip = TcpStream::connect(served.running.plain_address().unwrap().tcp().unwrap()).await.unwrap();
    drip.write_all(&REQUEST[..20]).await.unwrap();
    let dripping = tokio::spawn(async move {
        while drip.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let began = Instant::now();
    served.running.shutdown().await;
    assert!((2..60).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    timeout(AMPLE, dripping).await.expect("it was cut").unwrap();
}

#[tokio::test]
async fn a_request_has_the_grace_and_no_more() {
    let grace = Duration::from_millis(500);
    let long = Duration::from_mins(1);
    // Whether the head was read before the end or not: on a busy machine either may be.
    let limits = Limits { shutdown_grace: grace, handshake_timeout: long, header_timeout: long, ..limits() };
    let served = start(limits).await;
    let mut slow = connect(&served, &[&rustls::version::TLS13]).await;
    slow.write_all(b"POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    served.running.shutdown().await;
    assert!(began.elapsed() >= grace && began.elapsed() < long, "{:?}", began.elapsed());
}

#[tokio::test]
async fn unusable_certificate_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let says = |expected: &str| {
        let message = Certificate::from_files(&certificate, &key).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    says("cert.pem");
    std::fs::write(&certificate, "no pem").unwrap();
    says("holds no certificate");
    let one = certificates();
    std::fs::write(&certificate, &one.certificate_pem).unwrap();
    says("the key file");
    std::fs::write(&key, certificates().key_pem.as_bytes()).unwrap();
    says("cannot be used together");
}

//! The shipped nginx sites with the real nginx, in front of `tagmint serve` and of a stand-in whose answers the tests choose.

#[path = "nginx/cache.rs"]
mod cache;
#[path = "nginx/guard.rs"]
mod guard;
#[path = "nginx/issuer.rs"]
mod issuer;
#[path = "nginx/misdirected.rs"]
mod misdirected;
#[path = "support/scan.rs"]
mod scan;

use std::{net::Ipv4Addr, time::Duration};

use guard::{Nginx, Site, shipped};
use issuer::{AUTH_TOKEN, Issuer, StandIn};
use reqwest::{Response, StatusCode, Version, header::HeaderMap};
use serde_json::{Value, json};
use tagmint_e2e::wait_until;

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

const DISCOVERY: &str = "/.well-known/openid-configuration";
const JWKS: &str = "/.well-known/jwks.json";
/// An address of this machine that no trusted proxy has.
const SOMEBODY: [u8; 4] = [127, 0, 0, 9];
/// Time for a line of the log, which is written after its answer.
const LOGGED: Duration = Duration::from_secs(5);

/// A header's text; empty where there is none.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn cache_status(response: &Response) -> &str {
    header(response.headers(), "x-cache-status")
}

async fn open_session(client: &reqwest::Client, site: &Site) -> TestResult<String> {
    let request = client.post(site.url("/v1/sessions")).json(&json!({"auth_token": AUTH_TOKEN}));
    let answer: Value = request.send().await?.json().await?;
    Ok(answer["session"].as_str().ok_or_else(|| format!("no session in {answer}"))?.to_owned())
}

#[test]
fn nginx_takes_the_sites_as_they_are_shipped() -> TestResult {
    let nginx = Nginx::new()?;
    let output = nginx.look()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // nginx 1.25 wants `http2 on`, which Debian 12's does not know.
    let warnings: Vec<&str> =
        said.lines().filter(|line| line.contains("[warn]") && !line.contains("\"listen ... http2\"")).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
    Ok(())
}

#[test]
fn the_worlds_differ_in_names_ports_and_rates_alone() -> TestResult {
    let read = |world: &str| std::fs::read_to_string(shipped().join(format!("{world}.conf")));
    let (prod, test) = (read("prod")?, read("test")?);
    assert!(!prod.contains("test"), "nothing of test in prod");
    let as_test = prod
        .replace("broker.litentry.org", "test-broker.litentry.org")
        .replace("prod", "test")
        .replace("127.0.0.1:8080", "127.0.0.1:8081")
        .replace("127.0.0.1:8090", "127.0.0.1:8091")
        .replace("rate=50r/s", "rate=200r/s")
        .replace("burst=500 ", "burst=4000 ");
    assert_eq!(as_test, test);
    Ok(())
}

#[tokio::test]
async fn documents_sessions_and_tokens_go_through_it() -> TestResult {
    let nginx = Nginx::start()?;
    let issuer = Issuer::start(&nginx)?;
    let client = nginx.client(SOMEBODY)?;
    let site = &nginx.test;
    for path in [DISCOVERY, JWKS] {
        let own = reqwest::get(format!("http://127.0.0.1:{}{path}", site.issuer)).await?;
        let own_cache_control = header(own.headers(), "cache-control").to_owned();
        assert_eq!(own_cache_control, "public, max-age=3600");
        let own = own.bytes().await?;
        for expected in ["MISS", "HIT"] {
            let response = client.get(site.url(path)).header("accept-encoding", "gzip").send().await?;
            assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2), "{path}");
            assert_eq!(cache_status(&response), expected, "{path}");
            let headers = response.headers().clone();
            assert_eq!(header(&headers, "cache-control"), own_cache_control, "{path}");
            assert!(header(&headers, "strict-transport-security").starts_with("max-age="), "{path}");
            assert_eq!(header(&headers, "server"), "nginx", "without a version");
            assert_eq!(headers.get_all("date").iter().count(), 1, "{path}");
            assert_eq!(response.bytes().await?, own, "{path}, byte for byte");
        }
    }
    let etag = header(client.get(site.url(JWKS)).send().await?.headers(), "etag").to_owned();
    let known = client.get(site.url(JWKS)).header("if-none-match", &etag).send().await?;
    assert_eq!((known.status(), etag.is_empty()), (StatusCode::NOT_MODIFIED, false));

    let session = open_session(&client, site).await?;
    let mut ids = vec![];
    for _ in 0..2 {
        let request = client.post(site.url("/v1/tokens")).bearer_auth(&session).json(&json!({}));
        let request = request.header("x-forwarded-for", "198.51.100.7").header("forwarded", "for=198.51.100.7");
        let response = request.send().await?;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(response.headers(), "cache-control"), "no-store");
        assert_eq!(cache_status(&response), "", "no cache had a part in it");
        assert!(header(response.headers(), "strict-transport-security").starts_with("max-age="));
        let answer: Value = response.json().await?;
        ids.push(answer["mint_id"].as_str().ok_or("no mint id")?.to_owned());
    }
    assert_ne!(ids[0], ids[1], "each request made a token of its own");
    let ledger = issuer.ledger()?;
    let rows = ledger.as_array().ok_or("no list")?;
    assert_eq!(rows.len(), 2, "{ledger}");
    for row in rows {
        assert_eq!(row["entry"]["remote"], "127.0.0.9", "what the client said of itself does not count: {row}");
    }

    let logged = || nginx.written().is_ok_and(|written| written.contains(r#""path":"/v1/tokens""#));
    assert!(wait_until(LOGGED, logged), "the requests are logged");
    let written = nginx.written()?;
    for secret in [session.as_str(), AUTH_TOKEN] {
        assert!(!written.contains(secret), "a secret is in nginx's files");
    }
    Ok(())
}

#[tokio::test]
async fn over_a_unix_socket_it_is_the_same() -> TestResult {
    let dir = tempfile::tempdir()?;
    let socket = format!("{}/test.sock", dir.path().display());
    let nginx = Nginx::start_over(&socket)?;
    let issuer = Issuer::start_at(&nginx, &format!("unix:{socket}"), "")?;
    let client = nginx.client(SOMEBODY)?;
    let site = &nginx.test;
    for path in [DISCOVERY, JWKS] {
        for expected in ["MISS", "HIT"] {
            let response = client.get(site.url(path)).send().await?;
            assert_eq!((response.status(), cache_status(&response)), (StatusCode::OK, expected), "{path}");
        }
    }
    let session = open_session(&client, site).await?;
    let request = client.post(site.url("/v1/tokens")).bearer_auth(&session).json(&json!({}));
    let response = request.header("x-forwarded-for", "198.51.100.7").send().await?;
    assert_eq!(response.status(), StatusCode::OK);
    let ledger = issuer.ledger()?;
    assert_eq!(ledger[0]["entry"]["remote"], "127.0.0.9", "nginx says who it is: {ledger}");
    Ok(())
}

#[tokio::test]
async fn an_address_has_so_many_requests_under_way_and_no_more() -> TestResult {
    let nginx = Nginx::start()?;
    let stand_in = StandIn::start(&nginx).await?;
    stand_in.takes(Duration::from_secs(5));
    // 64 on one connection at most.
    let clients: Vec<_> = (0..5).map(|_| nginx.client(SOMEBODY)).collect::<TestResult<_>>()?;
    let requests = clients.iter().flat_map(|client| (0..50).map(|_| client.get(nginx.prod.url("/livez")).send()));
    let under_way: Vec<_> = requests.map(tokio::spawn).collect();
    let mut counts = [0, 0];
    for answer in under_way {
        match answer.await??.status() {
            StatusCode::OK => counts[0] += 1,
            StatusCode::TOO_MANY_REQUESTS => counts[1] += 1,
            other => return Err(format!("answered with {other}").into()),
        }
    }
    assert_eq!(counts, [200, 50]);
    Ok(())
}

#[test]
fn http_2_and_both_versions_of_tls_are_spoken_and_no_older_one() -> TestResult {
    let nginx = Nginx::start()?;
    for (options, expected) in [
        (["--http2", "--tlsv1.2", "--tls-max", "1.2"], ["TLSv1.2", "HTTP/2 502"]),
        (["--http2", "--tlsv1.3", "--tls-max", "1.3"], ["TLSv1.3", "HTTP/2 502"]),
        (["--http1.1", "--tlsv1.2", "--tls-max", "1.3"], ["TLSv1.3", "HTTP/1.1 502"]),
    ] {
        let output = nginx.curl(&options, "/livez")?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options:?}: {said}");
        assert!(said.contains(&format!("SSL connection using {} ", expected[0])), "{options:?}: {said}");
        assert!(said.contains(&format!("< {}", expected[1])), "{options:?}: {said}");
    }
    // The client is made to offer it, and the server refuses.
    let old = nginx.curl(&["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT:@SECLEVEL=0"], "/livez")?;
    let said = String::from_utf8_lossy(&old.stderr);
    assert!(!old.status.success() && said.contains("alert protocol version"), "{said}");
    Ok(())
}

#[test]
fn a_scanner_finds_nothing_in_the_sites_tls() -> TestResult {
    let nginx = Nginx::start()?;
    for site in [&nginx.prod, &nginx.test] {
        let scan = scan::scan((Ipv4Addr::LOCALHOST, site.https).into(), site.host)?;
        scan::is_hardened(&scan)?;
    }
    Ok(())
}

#[tokio::test]
async fn the_issuer_is_told_the_truth_and_the_log_no_query() -> TestResult {
    let nginx = Nginx::start()?;
    let client = nginx.client(SOMEBODY)?;
    let stand_in = StandIn::start(&nginx).await?;
    let untrue = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-real-ip", "forwarded"];
    for path in ["/v1/id-token?audience=in-the-query", JWKS] {
        let mut request = client.get(nginx.prod.url(path)).bearer_auth("in-the-header");
        for name in untrue {
            request = request.header(name, "198.51.100.7");
        }
        request.header("x-forwarded-proto", "http").send().await?;
        let asked = stand_in.asked().pop().ok_or("the stand-in was not asked")?;
        assert_eq!(asked.path, path);
        assert_eq!(header(&asked.headers, "x-forwarded-for"), "127.0.0.9", "{path}");
        assert_eq!(header(&asked.headers, "x-forwarded-proto"), "https", "{path}");
        assert_eq!(header(&asked.headers, "host"), nginx.prod.host, "{path}");
        assert_eq!(header(&asked.headers, "authorization"), "Bearer in-the-header", "{path}");
        let lied = asked.headers.values().any(|value| value.as_bytes().windows(12).any(|part| part == b"198.51.100.7"));
        assert!(!lied, "{path}: {:?}", asked.headers);
    }
    let read = || std::fs::read_to_string(nginx.path("tagmint-prod.log")).unwrap_or_default();
    assert!(wait_until(LOGGED, || read().lines().count() >= 2), "a line is written after its answer");
    let log = read();
    let lines: Vec<Value> = log.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(lines.len(), 2, "{log}");
    assert_eq!((&lines[0]["path"], &lines[0]["status"]), (&json!("/v1/id-token"), &json!(200)));
    assert!(!log.contains("in-the-"), "{log}");
    Ok(())
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_nothing_is_written_to_files() -> TestResult {
    let nginx = Nginx::start()?;
    let client = nginx.client(SOMEBODY)?;
    let stand_in = StandIn::start(&nginx).await?;
    let post = async |size: usize| -> TestResult<Response> {
        Ok(client.post(nginx.prod.url("/v1/tokens")).body("s".repeat(size)).send().await?)
    };
    let largest = post(64 << 10).await?;
    assert_eq!(largest.status(), StatusCode::OK);
    assert_eq!(stand_in.asked().pop().ok_or("not asked")?.body.len(), 64 << 10);
    let refused = post((64 << 10) + 1).await?;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(refused.json::<Value>().await?["code"], "body-too-large");
    // Over HTTP/2 nginx may also end the connection without an answer.
    if let Ok(refused) = client.get(nginx.prod.url("/livez")).header("x-long", "h".repeat(40 << 10)).send().await {
        assert!(refused.status().is_client_error(), "{}", refused.status());
    }
    assert_eq!(stand_in.asked().len(), 1, "nothing of it reached the issuer");
    let errors = std::fs::read_to_string(nginx.path("error.log"))?;
    assert!(!errors.contains("is buffered to a temporary file"), "{errors}");
    Ok(())
}

#[tokio::test]
async fn too_many_requests_of_an_address_are_refused_and_keys_are_not() -> TestResult {
    let nginx = Nginx::start()?;
    let stand_in = StandIn::start(&nginx).await?;
    stand_in.answers(200, Some("public, max-age=60"))?;
    let client = nginx.client(SOMEBODY)?;
    let mut refused = None;
    // 500 at once and 50 a second.
    for round in 0..5_000_u32 {
        // Another pretended address each time.
        let request = client.get(nginx.prod.url("/livez"));
        let response = request.header("x-forwarded-for", format!("198.51.100.{}", round % 250)).send().await?;
        if response.status() != StatusCode::OK {
            refused = Some((round, response));
            break;
        }
    }
    let (round, response) = refused.ok_or("5,000 requests were all answered")?;
    assert!(round >= 500, "{round}");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header(response.headers(), "retry-after"), "1");
    assert_eq!(response.json::<Value>().await?["type"], "urn:tagmint:problem:too-many-requests");
    for path in [DISCOVERY, JWKS] {
        for _ in 0..100 {
            assert_eq!(client.get(nginx.prod.url(path)).send().await?.status(), StatusCode::OK, "{path}");
        }
    }
    let other = nginx.client([127, 0, 0, 10])?;
    assert_eq!(other.get(nginx.prod.url("/livez")).send().await?.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn plain_http_is_sent_to_https_but_for_the_acme_path() -> TestResult {
    let nginx = Nginx::start()?;
    let client = nginx.client(SOMEBODY)?;
    std::fs::write(nginx.path("acme/.well-known/acme-challenge/abc"), "abc.thumbprint")?;
    for site in [&nginx.prod, &nginx.test] {
        for path in [JWKS, "/v1/id-token?audience=x", "/.well-known/acme-challenge"] {
            let response = client.get(site.plain_url(path)).header("host", "elsewhere.example").send().await?;
            assert_eq!(response.status(), StatusCode::MOVED_PERMANENTLY, "{path}");
            let target = format!("https://{}{path}", site.host);
            assert_eq!(header(response.headers(), "location"), target, "never to a name that the client says");
        }
        let challenge = client.get(site.plain_url("/.well-known/acme-challenge/abc")).send().await?;
        assert_eq!((challenge.status(), header(challenge.headers(), "content-type")), (StatusCode::OK, "text/plain"));
        assert_eq!(challenge.text().await?, "abc.thumbprint");
        let missing = client.get(site.plain_url("/.well-known/acme-challenge/def")).send().await?;
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
        // Over TLS an issuer never redirects.
        let response = client.get(site.url(JWKS)).send().await?;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "nobody is behind it, and it says so");
    }
    Ok(())
}

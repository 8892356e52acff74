//! Documents, each over a new connection, as STS fetches them.

use std::time::Duration;

use http::{HeaderMap, StatusCode, Version, header};
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::redirect::Policy;
use tokio::time::Instant;

use super::tls::Client;

/// The largest answer that is read, in bytes.
const MOST: usize = 1024 * 1024;

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Fetched {
    pub status: StatusCode,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// From the start of the connection to the last byte.
    pub took: Duration,
    /// When its headers came: its `Date` is of then.
    pub came: Instant,
}

impl Fetched {
    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The `Date` header (RFC 9110 §5.6.7).
    pub(super) fn date(&self) -> Option<Timestamp> {
        let text = self.header(header::DATE)?;
        rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
    }
}

/// A document that was fetched several times.
pub(super) struct Several {
    /// The last answer; why there was none, where one try failed.
    pub answer: Result<Fetched, String>,
    took: Vec<Duration>,
}

impl Several {
    /// The median of the times; none where there was no answer at all.
    pub(super) fn median(&self) -> Option<Duration> {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get(took.len() / 2).copied()
    }
}

/// Fetches a document several times.
pub(super) async fn several(client: &Client, url: &str, patience: Duration, tries: usize) -> Several {
    let mut several = Several { answer: Err("it was not asked for".to_owned()), took: Vec::new() };
    for _ in 0..tries {
        several.answer = once(client, url, patience).await;
        match &several.answer {
            Ok(answer) => several.took.push(answer.took),
            Err(_) => return several,
        }
    }
    several
}

async fn once(client: &Client, url: &str, patience: Duration) -> Result<Fetched, String> {
    let config = client.config(rustls::DEFAULT_VERSIONS).map_err(|error| error.to_string())?;
    let http = reqwest::Client::builder()
        .user_agent(concat!("tagmint-check/", env!("CARGO_PKG_VERSION")))
        .https_only(true)
        .redirect(Policy::none())
        .no_proxy()
        .http1_only()
        .timeout(patience)
        .tls_backend_preconfigured(config)
        .build()
        .map_err(|error| deepest(&error))?;
    read(http.get(url), patience).await
}

/// Sends a request and reads the answer.
pub(super) async fn read(request: reqwest::RequestBuilder, patience: Duration) -> Result<Fetched, String> {
    let start = Instant::now();
    let failed = |error: reqwest::Error| {
        if error.is_timeout() { format!("no answer within {} ms", patience.as_millis()) } else { deepest(&error) }
    };
    let request = request.header(header::ACCEPT, "application/json, */*").header(header::ACCEPT_ENCODING, "identity");
    let mut answer = request.send().await.map_err(failed)?;
    let came = Instant::now();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            return Err(format!("its answer is larger than {MOST} bytes"));
        }
    }
    let (status, version) = (answer.status(), answer.version());
    let headers = answer.headers().clone();
    Ok(Fetched { status, version, headers, body, took: start.elapsed(), came })
}

fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

//! The session backend: what the issuer asks before it opens a session.

use std::{fmt, time::Duration};

use futures::future::BoxFuture;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tagmint_core::{json, outbound::Outbound};

use crate::outbound;

/// Stands in every answer of `tagmint mock-backend`, so that a prod issuer knows it from a real one.
pub const MOCK_HEADER: &str = "tagmint-mock-backend";

/// The largest answer that is read from a backend, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// What the backend vouches for.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendSession {
    /// The session's subject (`wallet`).
    pub subject: String,
    /// How long the backend's session lives, in seconds.
    pub expires_in: u64,
    /// What else it vouches for; rules see it by its members' names.
    pub attributes: Map<String, Value>,
}

/// Why the backend opened no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// It refused the auth token (401).
    #[error("the session backend refused the auth token")]
    Refused,
    /// It could not be reached, or answered with anything but 200 and 401, or with something else than the agreed JSON.
    #[error("the session backend is out of order: {0}")]
    Outage(String),
}

/// Opens sessions on somebody's word. A seam: the backend is another program.
pub trait SessionBackend: Send + Sync + fmt::Debug {
    /// Asks whether the auth token is good, and for whom.
    fn create<'a>(&'a self, auth_token: &'a SecretString) -> BoxFuture<'a, Result<BackendSession, BackendError>>;

    /// Whether the backend says of itself that it is the mock.
    fn is_mock(&self) -> BoxFuture<'_, Result<bool, BackendError>>;
}

/// A backend that speaks HTTP: `POST {url}/session/create`.
#[derive(Debug, Clone)]
pub struct HttpSessionBackend {
    url: String,
    client: reqwest::Client,
    refuse_mock: bool,
}

#[derive(Serialize)]
struct Question<'a> {
    auth_token: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    wallet: String,
    expires_in: u64,
    #[serde(default)]
    attributes: Map<String, Value>,
}

impl HttpSessionBackend {
    /// A backend below `url` (without a trailing slash). `refuse_mock`: an answer from the mock counts as an outage, as prod wants.
    ///
    /// `extra_root` is a PEM certificate to trust beside the system's.
    ///
    /// # Errors
    ///
    /// When no TLS client can be made: no root certificates on this machine, or `extra_root` is no certificate.
    pub fn new(
        url: &str,
        timeout: Duration,
        extra_root: Option<&[u8]>,
        refuse_mock: bool,
        outbound: &Outbound,
    ) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            .redirect(reqwest::redirect::Policy::none());
        builder = outbound::apply(builder, outbound);
        if let Some(pem) = extra_root {
            builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem)?);
        } else if url.starts_with("http://") {
            // No TLS, no roots: a machine without a bundle of root certificates can still ask a loopback backend.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self { url: url.trim_end_matches('/').to_owned(), client: builder.build()?, refuse_mock })
    }

    async fn ask(&self, auth_token: &SecretString) -> Result<BackendSession, BackendError> {
        let question = Question { auth_token: auth_token.expose_secret() };
        let request = self.client.post(format!("{}/session/create", self.url)).json(&question);
        let answer = request.send().await.map_err(|error| outage(&error))?;
        if self.refuse_mock && answer.headers().contains_key(MOCK_HEADER) {
            return Err(BackendError::Outage(
                "it is `tagmint mock-backend`, which a prod issuer does not accept".to_owned(),
            ));
        }
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(BackendError::Refused),
            other => return Err(BackendError::Outage(format!("it answered {other}"))),
        }
        let body = read_bounded(answer).await?;
        let answer: Answer = json::parse_as(&body)
            .map_err(|error| BackendError::Outage(format!("its answer is not the agreed JSON: {error}")))?;
        if answer.wallet.is_empty() || answer.expires_in == 0 {
            return Err(BackendError::Outage("its answer has an empty wallet or no time to live".to_owned()));
        }
        Ok(BackendSession { subject: answer.wallet, expires_in: answer.expires_in, attributes: answer.attributes })
    }
}

/// The error without the URL's query and without the body: neither belongs in a log.
fn outage(error: &reqwest::Error) -> BackendError {
    let kind = if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the exchange failed"
    };
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    BackendError::Outage(format!("{kind} ({cause})"))
}

async fn read_bounded(mut answer: reqwest::Response) -> Result<Vec<u8>, BackendError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| outage(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err(BackendError::Outage(format!("its answer is larger than {MAX_ANSWER} bytes")));
        }
    }
    Ok(body)
}

impl SessionBackend for HttpSessionBackend {
    fn create<'a>(&'a self, auth_token: &'a SecretString) -> BoxFuture<'a, Result<BackendSession, BackendError>> {
        Box::pin(self.ask(auth_token))
    }

    fn is_mock(&self) -> BoxFuture<'_, Result<bool, BackendError>> {
        Box::pin(async {
            let answer =
                self.client.get(format!("{}/healthz", self.url)).send().await.map_err(|error| outage(&error))?;
            Ok(answer.headers().contains_key(MOCK_HEADER))
        })
    }
}

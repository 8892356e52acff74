//! HTTP beneath ACME: bounded in time and size, without redirects, with `Retry-After` kept and every refusal understood.
//!
//! instant-acme speaks through this client. What it would lose (the header of a refusal, an error that is no JSON) is made an error
//! here already.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::BodyExt as _;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use reqwest::{Certificate, Client, redirect};
use tagmint_core::{clock::Clock, outbound::Outbound};

use super::error::{AcmeError, ServerProblem, bounded};
use crate::outbound;

/// How long a connection may take, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a request may take in all. Let's Encrypt asks clients to wait half a minute.
const REQUEST: Duration = Duration::from_secs(40);
/// The largest body, in bytes. A chain has some 10 KiB.
const LARGEST: usize = 512 * 1024;
/// The client. Clones share its connections.
#[derive(Clone)]
pub(super) struct AcmeHttp {
    client: Client,
    clock: Arc<dyn Clock>,
    /// Before a request is repeated that could not be sent or was answered with 5xx. Whatever else is for the schedule.
    pauses: [Duration; 2],
    /// The `Retry-After` of the last answer that was no error.
    retry_after: Arc<Mutex<Option<SignedDuration>>>,
}

/// An answer that is no error.
pub(super) struct Answer {
    pub(super) status: http::StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) retry_after: Option<SignedDuration>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }
}

impl AcmeHttp {
    /// A client that trusts the system's roots, and the certificates in `ca_pem`.
    pub(super) fn new(
        ca_pem: Option<&[u8]>,
        https_only: bool,
        outbound: &Outbound,
        pauses: [Duration; 2],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let mut builder = Client::builder()
            .user_agent(concat!("tagmint/", env!("CARGO_PKG_VERSION"), " instant-acme"))
            .https_only(https_only)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .pool_idle_timeout(Duration::from_secs(20));
        builder = outbound::apply(builder, outbound);
        if let Some(pem) = ca_pem {
            builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem)?);
        }
        Ok(Self { client: builder.build()?, clock, pauses, retry_after: Arc::default() })
    }

    /// Takes the `Retry-After` of the last answer that was no error.
    pub(super) fn take_retry_after(&self) -> Option<SignedDuration> {
        self.retry_after.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A document without authentication.
    pub(super) async fn get(&self, url: &str) -> Result<Answer, AcmeError> {
        self.send(Method::GET, url, &HeaderMap::new(), Bytes::new()).await
    }

    /// Sends, and repeats what may pass by itself soon.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer, AcmeError> {
        let mut pauses = self.pauses.iter();
        loop {
            let error = match self.send_once(method.clone(), url, headers, body.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // Who names a time is asked again then, by the schedule.
            let passing = match &error {
                AcmeError::Transport { .. } => true,
                AcmeError::Problem { problem, .. } => problem.status >= 500 && problem.retry_after.is_none(),
                _ => false,
            };
            match pauses.next().filter(|_| passing) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(error),
            }
        }
    }

    async fn send_once(
        &self,
        method: Method,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer, AcmeError> {
        let transport = |error: reqwest::Error| AcmeError::Transport { url: bounded(url), cause: deepest(&error) };
        let request = self.client.request(method, url).headers(headers.clone()).body(body);
        let mut response = request.send().await.map_err(transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let retry_after = retry_after(&headers, self.clock.now());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if chunk.len() > LARGEST - body.len() {
                return Err(AcmeError::Answer {
                    url: bounded(url),
                    cause: format!("it is larger than {LARGEST} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_redirection() {
            return Err(AcmeError::Answer {
                url: bounded(url),
                cause: format!("{status}; redirects are not followed"),
            });
        }
        if !status.is_success() {
            let problem = ServerProblem::read(status.as_u16(), &body, retry_after);
            // The library asks again with another nonce.
            if !problem.is_bad_nonce() {
                return Err(AcmeError::Problem { url: bounded(url), problem });
            }
        }
        Ok(Answer { status, headers, body: body.into(), retry_after })
    }
}

impl HttpClient for AcmeHttp {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let http = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let mut headers = parts.headers;
            headers.remove(header::USER_AGENT);
            let Ok(body) = body.collect().await;
            let body = body.to_bytes();
            let url = parts.uri.to_string();
            let answer = http.send(parts.method, &url, &headers, body).await;
            let answer = answer.map_err(|error| instant_acme::Error::Other(Box::new(error)))?;
            *http.retry_after.lock().unwrap_or_else(PoisonError::into_inner) = answer.retry_after;
            let mut response = http::Response::new(());
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            let (parts, ()) = response.into_parts();
            Ok(BytesResponse { parts, body: Box::new(answer.body) })
        })
    }
}

/// What an error of the library means.
pub(super) fn understood(error: instant_acme::Error, url: &str) -> AcmeError {
    match error {
        instant_acme::Error::Other(cause) => match cause.downcast::<AcmeError>() {
            Ok(error) => *error,
            Err(cause) => AcmeError::Answer { url: bounded(url), cause: cause.to_string() },
        },
        instant_acme::Error::Api(problem) => {
            AcmeError::Problem { url: bounded(url), problem: ServerProblem::from(&problem) }
        }
        instant_acme::Error::Crypto | instant_acme::Error::KeyRejected => AcmeError::Key(error.to_string()),
        other => AcmeError::Answer { url: bounded(url), cause: other.to_string() },
    }
}

/// Whether another nonce is all that is missing.
pub(super) fn is_bad_nonce(error: &instant_acme::Error) -> bool {
    matches!(error, instant_acme::Error::Api(problem) if ServerProblem::from(problem).is_bad_nonce())
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u32>() {
        Ok(seconds) => Some(SignedDuration::from_secs(i64::from(seconds))),
        Err(_) => Some(rfc2822::parse(text).ok()?.timestamp().duration_since(now).max(SignedDuration::ZERO)),
    }
}

fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match (error.is_timeout(), error.is_connect()) {
        (true, _) => format!("no answer within {} s", REQUEST.as_secs()),
        (_, true) => format!("no connection ({cause})"),
        _ => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_second(946_684_790).unwrap();
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("Fri, 31 Dec 1999 23:59:59 GMT"), Some(9));
        assert_eq!(read("Thu, 31 Dec 1998 23:59:59 GMT"), Some(0), "in the past");
        for bad in ["", "soon", "-5", "1.5", "99999999999999999999"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_refusal_is_read_whatever_its_body_is() {
        let acme = br#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many","status":429}"#;
        let problem = ServerProblem::read(429, acme, None);
        assert!(problem.is("rateLimited") && problem.is_rate_limit());
        assert_eq!(problem.to_string(), "429 rateLimited: too many");
        let page = ServerProblem::read(400, b"<html>\n<b>Bad gateway of somebody", None);
        assert_eq!(page.to_string(), r#"400 no problem document but "<html>\n<b>Bad gateway of somebody""#);
        let long = ServerProblem::read(500, "x".repeat(100_000).as_bytes(), None);
        assert!(long.detail.len() < 1_000);
    }
}

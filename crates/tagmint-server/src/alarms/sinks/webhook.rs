//! A webhook: the notice as the body of a POST.

use std::{fmt, time::Duration};

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tagmint_core::outbound::Outbound;

use super::{AlarmSink, SinkError};
use crate::outbound;

/// How much of an answer is shown.
const SHOWN: usize = 200;

/// A webhook. Slack, Mattermost and their like take what it sends.
pub struct WebhookSink {
    name: String,
    /// It may hold a secret, as Slack's do.
    url: SecretString,
    timeout: Duration,
    client: reqwest::Client,
}

impl fmt::Debug for WebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSink").field("name", &self.name).finish_non_exhaustive()
    }
}

impl WebhookSink {
    /// A webhook at `url`. It follows no redirect. `ca_pem` is trusted in addition to the system's certificates.
    ///
    /// # Errors
    ///
    /// When no TLS client can be made: no root certificates on this machine, or `ca_pem` is no certificate.
    pub fn new(
        name: String,
        url: SecretString,
        timeout: Duration,
        ca_pem: Option<&[u8]>,
        outbound: &Outbound,
    ) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tagmint/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none());
        builder = outbound::apply(builder, outbound);
        if let Some(pem) = ca_pem {
            builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem)?);
        } else if url.expose_secret().starts_with("http://") {
            builder = builder.tls_certs_only([]);
        }
        Ok(Self { name, url, timeout, client: builder.build()? })
    }

    async fn post(&self, body: &Value) -> Result<(), SinkError> {
        let request = self.client.post(self.url.expose_secret()).json(body);
        let mut answer = request.send().await.map_err(|error| self.failed(error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let hint = if status.is_redirection() { "; redirects are not followed" } else { "" };
        let said = answer.chunk().await.ok().flatten().unwrap_or_default();
        let said = String::from_utf8_lossy(&said[..said.len().min(SHOWN)]).replace(['\r', '\n'], " ");
        Err(SinkError::Refused(format!("it answered {status}{hint} {said}").trim_end().to_owned()))
    }

    fn failed(&self, error: reqwest::Error) -> SinkError {
        if error.is_timeout() {
            return SinkError::Late(self.timeout);
        }
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        SinkError::Unreachable(cause.to_string())
    }
}

impl AlarmSink for WebhookSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, body: &'a Value) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.post(body))
    }
}

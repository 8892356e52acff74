//! Publishing to a topic of Amazon SNS: one signed call, which needs no SDK of its own.
//!
//! API reference of SNS, `Publish`: form parameters `TopicArn`, `Subject` (at most 100 ASCII characters), `Message` (at most 256 KiB),
//! signed with Signature Version 4.

use std::{fmt, time::Duration};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tagmint_core::outbound::Outbound;
use tagmint_iam::partition;
use tokio::sync::OnceCell;

use crate::{
    connection::http_client,
    failure::{Failure, causes},
    outbound,
};

/// The version of SNS's API.
const VERSION: &str = "2010-03-31";
/// The longest subject, in characters.
const SUBJECT: usize = 100;
/// What needs no encoding in a form (RFC 3986 §2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A topic.
pub struct Topic {
    arn: String,
    region: String,
    endpoint: String,
    timeout: Duration,
    client: reqwest::Client,
    /// The route of requests for credentials.
    outbound: Outbound,
    /// Found when the first notice goes out: finding them may take seconds where there are none.
    credentials: OnceCell<Option<SharedCredentialsProvider>>,
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic").field("arn", &self.arn).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What is published.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// The subject, for mails; characters that SNS does not take are replaced.
    pub subject: &'a str,
    /// The message.
    pub message: &'a str,
}

impl Topic {
    /// A topic in a region, whose SNS is asked at `endpoint`, by default the region's own. `ca_pem` is trusted beside the system's
    /// certificates. Credentials are those that the SDKs find: variables, profile, the machine's role.
    ///
    /// # Errors
    ///
    /// When no TLS client can be made: no root certificates on this machine, or `ca_pem` is no certificate.
    pub fn new(
        arn: String,
        region: String,
        endpoint: Option<String>,
        timeout: Duration,
        ca_pem: Option<&[u8]>,
        outbound: &Outbound,
    ) -> Result<Self, reqwest::Error> {
        let suffix = partition::dns_suffix(partition::of_arn(&arn).unwrap_or(partition::DEFAULT));
        let endpoint = endpoint.unwrap_or_else(|| format!("https://sns.{region}.{suffix}"));
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tagmint/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none());
        builder = outbound::apply(builder, outbound);
        if let Some(pem) = ca_pem {
            builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem)?);
        } else if endpoint.starts_with("http://") {
            builder = builder.tls_certs_only([]);
        }
        let outbound = outbound.clone();
        Ok(Self { arn, region, endpoint, timeout, client: builder.build()?, outbound, credentials: OnceCell::new() })
    }

    /// Publishes at `now`; returns the message's id.
    ///
    /// # Errors
    ///
    /// When there are no credentials, SNS refuses, or it cannot be reached.
    pub async fn publish(&self, publication: Publication<'_>, now: Timestamp) -> Result<String, Failure> {
        let keys = tokio::time::timeout(self.timeout, self.keys()).await;
        let keys = keys.map_err(|_| Failure::NoCredentials { cause: "finding them took too long".to_owned() })??;
        self.publish_as(&keys, publication, now).await
    }

    async fn keys(&self) -> Result<Credentials, Failure> {
        let load = || async {
            let region = Region::new(self.region.clone());
            let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(region);
            if let Ok(client) = http_client(None, &outbound::for_credentials(&self.outbound)) {
                loader = loader.http_client(client);
            }
            loader.load().await.credentials_provider()
        };
        let provider = self.credentials.get_or_init(load).await.as_ref();
        let missing = |cause: String| Failure::NoCredentials { cause };
        let provider = provider.ok_or_else(|| missing("no source of credentials".to_owned()))?;
        provider.provide_credentials().await.map_err(|error| missing(causes(&error)))
    }

    async fn publish_as(
        &self,
        keys: &Credentials,
        publication: Publication<'_>,
        now: Timestamp,
    ) -> Result<String, Failure> {
        let body = form(&self.arn, publication);
        let unsent = |cause: String| Failure::Unsent { service: self.named(), cause };
        let request = self.signed(keys, &body, now).map_err(unsent)?;
        let unreachable = |error: reqwest::Error| Failure::Unreachable {
            service: self.named(),
            cause: if error.is_timeout() {
                format!("no answer within {} s", self.timeout.as_secs_f32())
            } else {
                causes(&error)
            },
        };
        let answer = self.client.execute(request).await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            let id = crate::failure::element(&body, "MessageId");
            return id.ok_or_else(|| Failure::incomplete("MessageId"));
        }
        Err(Failure::answered(status.as_u16(), &body))
    }

    fn signed(&self, keys: &Credentials, body: &str, now: Timestamp) -> Result<reqwest::Request, String> {
        let url = format!("{}/", self.endpoint);
        let content_type = "application/x-www-form-urlencoded; charset=utf-8";
        let identity = keys.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("sns")
            .time(now.into())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?;
        let headers = std::iter::once(("content-type", content_type));
        let signable = SignableRequest::new("POST", &url, headers, SignableBody::Bytes(body.as_bytes()));
        let signable = signable.map_err(|error| causes(&error))?;
        let (instructions, _) = sign(signable, &params.into()).map_err(|error| causes(&error))?.into_parts();
        let mut request = self.client.post(&url).header("content-type", content_type).body(body.to_owned());
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        request.build().map_err(|error| causes(&error))
    }

    /// SNS with its endpoint, for messages.
    fn named(&self) -> String {
        format!("SNS at {}", self.endpoint)
    }
}

fn form(arn: &str, publication: Publication<'_>) -> String {
    // SNS takes printable ASCII that begins with a letter, a digit or a punctuation mark.
    let subject: String = publication.subject.chars().filter(|c| matches!(c, ' '..='~')).take(SUBJECT).collect();
    let parameters = [
        ("Action", "Publish"),
        ("Version", VERSION),
        ("TopicArn", arn),
        ("Subject", subject.trim()),
        ("Message", publication.message),
    ];
    let encoded = parameters.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ENCODED)));
    encoded.join("&")
}

#[cfg(test)]
mod tests;

//! A small signed client for the few operations of S3 and IAM that Tagmint calls.
//!
//! The SDK's crates for both services generate hundreds of operations and take longer to compile than the rest of the program. Credentials,
//! region, endpoints, proxies and TLS still come from the SDK ([`crate::connection`]).
//!
//! - [`s3`] calls the REST-XML protocol of Amazon S3
//! - [`iam`] calls the Query protocol of IAM
//! - [`xml`] reads their answers

pub(crate) mod iam;
pub(crate) mod s3;
pub(crate) mod xml;

use std::{sync::Arc, time::Duration};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::{
    client::{http::HttpConnector as _, orchestrator::HttpRequest, result::ConnectorError},
    http::Headers,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tagmint_core::clock::{Clock as _, SystemClock};
use tokio::time::Instant;

use crate::failure::{Failure, causes};

/// How often one call is sent at most, as the SDK's standard retry mode does.
const ATTEMPTS: u32 = 3;
/// The wait before the second attempt; it doubles.
const BACKOFF: Duration = Duration::from_millis(200);
/// Codes that ask to try again, whatever the status (SDK reference, "Retry behavior").
const THROTTLED: [&str; 8] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestLimitExceeded",
    "RequestTimeout",
    "SlowDown",
    "PriorRequestNotComplete",
];
/// RFC 3986 §2.3: what is not encoded in a path segment or a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Sends signed requests to one service.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    connector: Arc<Connector>,
    target: Target,
    keys: Credentials,
    /// How long one call may take with its repetitions.
    limit: Duration,
}

/// A service at an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The service's name in a signature, as `s3`.
    pub(crate) signing_name: &'static str,
    /// The region in a signature.
    pub(crate) region: String,
    /// The URL without a slash at its end.
    pub(crate) endpoint: String,
    /// The service with its endpoint, for messages.
    pub(crate) named: String,
}

/// One request. The path and query are encoded already.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: &'a [u8],
}

/// An answer that is no error, with its content still to be read.
#[derive(Debug)]
pub(crate) struct Answer {
    headers: Headers,
    body: ByteStream,
    named: String,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// Reads the content.
    pub(crate) async fn bytes(self) -> Result<Vec<u8>, Failure> {
        let content = self.body.collect().await;
        content
            .map(aws_smithy_types::byte_stream::AggregatedBytes::to_vec)
            .map_err(|error| unreachable(&self.named, &error))
    }

    /// Reads the content as XML.
    pub(crate) async fn xml(self) -> Result<xml::Element, Failure> {
        let content = self.bytes().await?;
        xml::Element::parse(&content).ok_or_else(|| Failure::incomplete("XML document"))
    }
}

impl Client {
    pub(crate) fn new(connector: Arc<Connector>, target: Target, keys: Credentials, limit: Duration) -> Self {
        Self { connector, target, keys, limit }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a request, again where the service asks for it or did not answer.
    ///
    /// # Errors
    ///
    /// When the service refuses, cannot be reached, or the request cannot be signed.
    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.limit;
        let late = |_| Failure::Unreachable {
            service: self.target.named.clone(),
            cause: format!("no answer within {} s", self.limit.as_secs()),
        };
        let mut attempt = 1;
        loop {
            let sent = tokio::time::timeout_at(deadline, self.send_once(request)).await.map_err(late)?;
            let failure = match sent {
                Ok(answer) => return Ok(answer),
                Err(failure) if attempt < ATTEMPTS && is_transient(&failure) => failure,
                Err(failure) => return Err(failure),
            };
            let wait = BACKOFF * 2_u32.pow(attempt - 1);
            if Instant::now() + wait >= deadline {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn send_once(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let named = &self.target.named;
        let signed = self.signed(request).map_err(|cause| Failure::Unsent { service: named.clone(), cause })?;
        let answer = self.connector.call(signed).await.map_err(|error| not_sent(named, &error))?;
        let status = answer.status();
        let (headers, body) = (answer.headers().clone(), ByteStream::new(answer.into_body()));
        let answer = Answer { headers, body, named: named.clone() };
        if status.is_success() {
            return Ok(answer);
        }
        Err(Failure::answered(status.as_u16(), &answer.bytes().await?))
    }

    fn signed(&self, request: &Request<'_>) -> Result<HttpRequest, String> {
        let identity = self.keys.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.target.region)
            .name(self.target.signing_name)
            .time(SystemClock.now().into())
            .settings(settings(self.target.signing_name))
            .build()
            .map_err(|error| error.to_string())?;
        let headers = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new(request.method, &request.url, headers, SignableBody::Bytes(request.body));
        let signable = signable.map_err(|error| causes(&error))?;
        let (instructions, _) = sign(signable, &params.into()).map_err(|error| causes(&error))?.into_parts();
        let mut http = HttpRequest::new(SdkBody::from(request.body.to_vec()));
        http.set_method(request.method).map_err(|error| causes(&error))?;
        http.set_uri(request.url.as_str()).map_err(|error| causes(&error))?;
        for (name, value) in &request.headers {
            http.headers_mut().try_insert(*name, value.clone()).map_err(|error| causes(&error))?;
        }
        http.headers_mut().insert("content-length", request.body.len().to_string());
        for (name, value) in instructions.headers() {
            http.headers_mut().try_insert(name.to_owned(), value.to_owned()).map_err(|error| causes(&error))?;
        }
        Ok(http)
    }
}

/// S3 signs the path as it is sent and the hash of the body; other services sign the path encoded twice.
fn settings(signing_name: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if signing_name == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    settings
}

/// Encodes a path segment, a name or a value of a query.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// `name=value` pairs, encoded and joined. A pair with an empty value is a name only: S3 selects operations by such names.
pub(crate) fn encode_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let one = |(name, value): (&str, &str)| {
        if value.is_empty() { encode(name) } else { format!("{}={}", encode(name), encode(value)) }
    };
    pairs.into_iter().map(one).collect::<Vec<_>>().join("&")
}

fn is_transient(failure: &Failure) -> bool {
    match failure {
        Failure::Refused { status, code, .. } => {
            matches!(status, 500 | 502 | 503 | 504) || THROTTLED.contains(&code.as_str())
        }
        Failure::Unreachable { .. } => true,
        Failure::NoCredentials { .. } | Failure::Unsent { .. } => false,
    }
}

fn not_sent(named: &str, error: &ConnectorError) -> Failure {
    if error.is_user() {
        return Failure::Unsent { service: named.to_owned(), cause: causes(error) };
    }
    unreachable(named, error)
}

fn unreachable(named: &str, error: &dyn std::error::Error) -> Failure {
    Failure::Unreachable { service: named.to_owned(), cause: causes(error) }
}

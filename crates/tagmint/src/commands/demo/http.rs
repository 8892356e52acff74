//! The demo's HTTP client: trusts the issuer's own CA and nothing else, as a relying party would that was told of it.

use std::{net::SocketAddr, time::Duration};

use reqwest::{Certificate, Client, Method, StatusCode, redirect::Policy};
use serde_json::Value;

use super::relying_party::Keys;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of one issuer.
#[derive(Debug, Clone)]
pub(super) struct IssuerClient {
    client: Client,
    url: String,
}

/// An answer: its status and its JSON.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl IssuerClient {
    /// A client that trusts the CA in `ca_pem` alone, and finds the issuer's `localhost` at `address`.
    pub(super) fn new(url: &str, address: SocketAddr, ca_pem: &[u8]) -> Result<Self, String> {
        let roots = Certificate::from_pem_bundle(ca_pem).map_err(|error| error.to_string())?;
        let client = Client::builder()
            .tls_certs_only(roots)
            .https_only(true)
            .redirect(Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .resolve("localhost", address)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, url: url.to_owned() })
    }

    /// Asks for a path below the issuer.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        credential: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(credential) = credential {
            request = request.bearer_auth(credential);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| format!("{path}: {error}"))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| format!("{path}: {error}"))?;
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }

    /// The issuer's URL.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Posts JSON.
    pub(super) async fn post(&self, path: &str, credential: Option<&str>, body: &Value) -> Result<Answer, String> {
        self.ask(Method::POST, path, credential, Some(body)).await
    }

    /// Finds the key set by the discovery document, as STS does, and reads it.
    pub(super) async fn discover(&self) -> Result<(Value, Keys), String> {
        let discovery =
            self.ask(Method::GET, "/.well-known/openid-configuration", None, None).await?.expect(StatusCode::OK)?;
        if discovery["issuer"] != self.url.as_str() {
            return Err(format!("the document names {} as its issuer", discovery["issuer"]));
        }
        let jwks_uri = discovery["jwks_uri"].as_str().unwrap_or_default();
        let path = jwks_uri.strip_prefix(&self.url).ok_or_else(|| format!("the key set is elsewhere: {jwks_uri}"))?;
        let keys = self.ask(Method::GET, path, None, None).await?.expect(StatusCode::OK)?;
        let read = Keys::parse(&keys)?;
        Ok((keys, read))
    }
}

impl Answer {
    /// The JSON, where the status is the expected one.
    pub(super) fn expect(self, status: StatusCode) -> Result<Value, String> {
        if self.status == status {
            return Ok(self.body);
        }
        let detail = self.body["detail"].as_str().unwrap_or_default();
        Err(format!("{} instead of {}: {detail}", self.status.as_u16(), status.as_u16()))
    }

    /// The problem's detail, where the status is that of the expected refusal.
    pub(super) fn refused(self, status: StatusCode) -> Result<String, String> {
        let body = self.expect(status)?;
        let detail = body["detail"].as_str().or(body["title"].as_str()).unwrap_or("no reason was given");
        Ok(format!("{}: {detail}", status.as_u16()))
    }
}

//! The way to AWS, or to what speaks its protocol: endpoints, region, roots, credentials.

mod endpoints;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnectorSettings, SharedHttpClient},
    runtime_components::RuntimeComponents,
};
use aws_types::service_config::ServiceConfigKey;
use tagmint_core::outbound::Outbound;
use tokio::sync::OnceCell;

use crate::{
    client::{Client, Target, iam::Iam, s3::S3},
    failure::{Failure, causes},
    outbound,
};

/// The region where none is named and the endpoint is not AWS's.
const REGION_OF_STAND_INS: &str = "us-east-1";
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one call may take with its repetitions.
const CALL: Duration = Duration::from_secs(30);
/// How long finding the operator's credentials may take: the chain ends at metadata services that may not be there.
const CREDENTIALS: Duration = Duration::from_secs(15);

/// What stands before AWS's environment variables and profile.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// One endpoint for STS, S3 (path style) and IAM, instead of those of the environment.
    pub endpoint_url: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The region where none is named, for services that are the same in all.
    pub fallback_region: Option<String>,
    /// A PEM bundle of certificate authorities that stands for the system's (`AWS_CA_BUNDLE`).
    pub ca_bundle: Option<PathBuf>,
}

/// Why there is no way to AWS.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// No region.
    #[error("no region is known: set AWS_REGION, or give --region")]
    NoRegion,
    /// An endpoint that is no URL.
    #[error(
        "the endpoint `{url}` of {service} is no URL of a server: it begins with http:// or https:// and a host (--endpoint-url, AWS_ENDPOINT_URL)"
    )]
    Endpoint {
        /// The service.
        service: &'static str,
        /// What is there.
        url: String,
    },
    /// The bundle of certificate authorities.
    #[error("the CA bundle {path} (AWS_CA_BUNDLE): {problem}")]
    CaBundle {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No TLS client could be made.
    #[error("the TLS client for AWS cannot be made: {0}")]
    Tls(String),
}

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The Security Token Service.
    Sts,
    /// The object store.
    S3,
    /// Identity and Access Management.
    Iam,
}

impl Service {
    const fn id(self) -> &'static str {
        match self {
            Self::Sts => "STS",
            Self::S3 => "S3",
            Self::Iam => "IAM",
        }
    }
}

/// Credentials of a session.
#[derive(Clone)]
pub struct SessionKeys(Credentials);

impl SessionKeys {
    /// The keys that STS gave.
    pub(crate) fn new(keys: &aws_sdk_sts::types::Credentials) -> Self {
        let token = Some(keys.session_token().to_owned());
        Self(Credentials::new(keys.access_key_id(), keys.secret_access_key(), token, None, "tagmint-session"))
    }

    /// The keys, to sign a call with.
    pub(crate) fn into_credentials(self) -> Credentials {
        self.0
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionKeys(…)")
    }
}

/// The way to AWS.
#[derive(Debug)]
pub struct Connection {
    sdk: SdkConfig,
    /// Sends what [`crate::client`] signs.
    connector: Arc<Connector>,
    /// The operator's credentials, or why there are none. Looked for when they are needed first.
    operator: OnceCell<Result<Credentials, String>>,
}

impl Connection {
    /// By AWS's environment variables and profile files, which the SDK reads.
    pub async fn from_environment(options: &Options) -> Result<Self, ConnectionError> {
        let Http { client: http, connector } = http(options.ca_bundle.as_ref(), &ProxyConfig::from_env())?;
        // Not from the metadata service of EC2: where there is none, asking takes seconds.
        let region = RegionProviderChain::first_try(options.region.clone().map(Region::new))
            .or_else(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::builder().build())
            .or_else(options.fallback_region.clone().map(Region::new));
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .region(region)
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts());
        if let Some(url) = &options.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let mut connection = Self { sdk: loader.load().await, connector, operator: OnceCell::new() };
        for service in [Service::Sts, Service::S3, Service::Iam] {
            if let Some(url) = connection.endpoint(service).filter(|url| !is_endpoint(url)) {
                return Err(ConnectionError::Endpoint { service: service.id(), url });
            }
        }
        if connection.sdk.region().is_none() {
            if connection.is_aws() {
                return Err(ConnectionError::NoRegion);
            }
            connection.sdk = connection.sdk.into_builder().region(Region::new(REGION_OF_STAND_INS)).build();
        }
        Ok(connection)
    }

    /// To one endpoint for STS, S3 (path style) and IAM, with the operator's keys: nothing of the environment is read.
    pub fn to_endpoint(
        endpoint_url: &str,
        region: &str,
        access_key_id: &str,
        secret_access_key: &str,
    ) -> Result<Self, ConnectionError> {
        let keys = Credentials::new(access_key_id, secret_access_key, None, None, "tagmint-operator");
        let Http { client: http, connector } = http(None, &ProxyConfig::disabled())?;
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(region.to_owned()))
            .endpoint_url(endpoint_url)
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts())
            .build();
        Ok(Self { sdk, connector, operator: OnceCell::new() })
    }

    /// To STS by settings alone: nothing of the environment is read, and there are no operator's credentials. Without an endpoint it is that
    /// of the region; `ca_bundle` stands for the system's certificate authorities, and `outbound` says which proxy is used.
    pub fn to_sts(
        region: &str,
        endpoint_url: Option<&str>,
        ca_bundle: Option<&PathBuf>,
        outbound: &Outbound,
    ) -> Result<Self, ConnectionError> {
        let (own, _) = endpoints::of_aws(Service::Sts, region, false, false);
        let proxies = match outbound::proxy_for(outbound, endpoint_url.unwrap_or(&own)) {
            Some(proxy) => ProxyConfig::all(proxy.expose()).map_err(|error| ConnectionError::Tls(causes(&error)))?,
            None => ProxyConfig::disabled(),
        };
        let Http { client: http, connector } = http(ca_bundle, &proxies)?;
        let mut sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts());
        sdk.set_endpoint_url(endpoint_url.map(str::to_owned));
        Ok(Self { sdk: sdk.build(), connector, operator: OnceCell::new() })
    }

    /// Whether all services are AWS's own, and not something else that speaks their protocol.
    pub fn is_aws(&self) -> bool {
        [Service::Sts, Service::S3, Service::Iam].into_iter().all(|service| self.endpoint(service).is_none())
    }

    /// Whether requests to S3 go over TLS.
    pub fn s3_over_tls(&self) -> bool {
        self.endpoint(Service::S3).is_none_or(|url| url.starts_with("https:"))
    }

    /// The service with its endpoint, for messages.
    pub fn named(&self, service: Service) -> String {
        let region = self.sdk.region().map_or("", AsRef::as_ref);
        match self.endpoint(service) {
            Some(url) => format!("{} at {url}", service.id()),
            None => format!("{} of AWS in {region}", service.id()),
        }
    }

    /// Calls STS. `AssumeRoleWithWebIdentity` is unsigned.
    pub fn sts(&self) -> aws_sdk_sts::Client {
        aws_sdk_sts::Client::new(&self.sdk)
    }

    /// Calls S3 with a session's credentials.
    pub(crate) fn session_s3(&self, keys: &SessionKeys) -> S3 {
        self.s3(keys.0.clone())
    }

    /// Calls S3 with the operator's credentials.
    pub(crate) async fn operator_s3(&self) -> Result<S3, Failure> {
        Ok(self.s3(self.operator().await?))
    }

    /// Calls IAM with the operator's credentials.
    pub(crate) async fn iam(&self) -> Result<Iam, Failure> {
        Ok(Iam::new(self.client(Service::Iam, self.operator().await?)))
    }

    fn s3(&self, keys: Credentials) -> S3 {
        // Stores that are not AWS have no host names for buckets.
        S3::new(self.client(Service::S3, keys), self.endpoint(Service::S3).is_some())
    }

    fn client(&self, service: Service, keys: Credentials) -> Client {
        let region = self.sdk.region().map_or(REGION_OF_STAND_INS, AsRef::as_ref);
        let fips = self.sdk.use_fips().unwrap_or(false);
        let dual_stack = self.sdk.use_dual_stack().unwrap_or(false);
        let (own, signing_region) = endpoints::of_aws(service, region, fips, dual_stack);
        let endpoint = self.endpoint(service).map(|url| url.trim_end_matches('/').to_owned());
        let target = Target {
            signing_name: match service {
                Service::Sts => "sts",
                Service::S3 => "s3",
                Service::Iam => "iam",
            },
            region: if endpoint.is_some() { region.to_owned() } else { signing_region },
            endpoint: endpoint.unwrap_or(own),
            named: self.named(service),
        };
        Client::new(Arc::clone(&self.connector), target, keys, CALL)
    }

    async fn operator(&self) -> Result<Credentials, Failure> {
        let find = || async {
            let provider = self.sdk.credentials_provider().ok_or_else(|| "no source of credentials".to_owned())?;
            let found = tokio::time::timeout(CREDENTIALS, provider.provide_credentials()).await;
            found.map_err(|_| "finding them took too long".to_owned())?.map_err(|error| first_line(&causes(&error)))
        };
        let found = self.operator.get_or_init(find).await.clone();
        found.map_err(|cause| Failure::NoCredentials { cause: cause.trim_end_matches('.').to_owned() })
    }

    /// The endpoint that is not AWS's own, as the clients find it: from the options, the service's variable or profile entry, or the general
    /// ones.
    fn endpoint(&self, service: Service) -> Option<String> {
        let general = || self.sdk.endpoint_url().map(str::to_owned);
        if self.sdk.get_origin("endpoint_url").is_client_config() {
            return general();
        }
        let key = ServiceConfigKey::builder()
            .service_id(service.id())
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        self.sdk.service_config().and_then(|config| config.load_config(key)).or_else(general)
    }
}

/// The chain of credential providers tells a page of what it tried.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}

/// Whether the SDK can send requests there.
fn is_endpoint(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '['))
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(CALL).build()
}

/// A client for the SDK with these roots and proxies.
pub(crate) fn http_client(
    ca_bundle: Option<&PathBuf>,
    proxies: &ProxyConfig,
) -> Result<SharedHttpClient, ConnectionError> {
    http(ca_bundle, proxies).map(|http| http.client)
}

/// The same TLS, roots and proxies for the SDK's clients and for ours.
#[derive(Debug)]
struct Http {
    client: SharedHttpClient,
    connector: Arc<Connector>,
}

fn http(ca_bundle: Option<&PathBuf>, proxies: &ProxyConfig) -> Result<Http, ConnectionError> {
    let mut roots = TrustStore::default();
    if let Some(path) = ca_bundle {
        let wrong = |problem: String| ConnectionError::CaBundle { path: path.clone(), problem };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(causes(&error)))?;
        if certificates.is_empty() {
            return Err(wrong("no certificate in it".to_owned()));
        }
        roots = TrustStore::empty().with_pem_certificate(pem);
    }
    let tls = TlsContext::builder().with_trust_store(roots).build();
    let tls = tls.map_err(|error| ConnectionError::Tls(causes(&error)))?;
    let proxies = proxies.clone();
    let builder = move || {
        Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls.clone())
            .proxy_config(proxies.clone())
    };
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).build();
    let connector = builder().connector_settings(settings).sleep_impl(TokioSleep::new()).build();
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = builder();
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    });
    Ok(Http { client, connector: Arc::new(connector) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_without_certificates_is_refused() {
        let missing = PathBuf::from("/no/such/bundle.pem");
        let error = http(Some(&missing), &ProxyConfig::disabled()).unwrap_err().to_string();
        assert!(error.starts_with("the CA bundle /no/such/bundle.pem (AWS_CA_BUNDLE): "), "{error}");
        let no_pem = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let error = http(Some(&no_pem), &ProxyConfig::disabled()).unwrap_err().to_string();
        assert!(error.ends_with("no certificate in it"), "{error}");
    }

    #[test]
    fn one_endpoint_stands_for_all_services() {
        let connection = Connection::to_endpoint("http://127.0.0.1:1", "eu-west-1", "id", "very-secret").unwrap();
        assert!(!connection.is_aws() && !connection.s3_over_tls());
        for (service, named) in [(Service::Sts, "STS"), (Service::S3, "S3"), (Service::Iam, "IAM")] {
            assert_eq!(connection.named(service), format!("{named} at http://127.0.0.1:1"));
        }
        assert!(!format!("{connection:?}").contains("very-secret"));
    }
}

//! An issuer over TLS, the stand-in, and a client.

use std::{
    net::TcpListener,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_lc_rs::{
    encoding::{AsBigEndian, EcPublicKeyUncompressedBin},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_core::{
    clock::{Clock, SystemClock},
    random::SystemRandom,
};
use tagmint_localaws::{
    aws::{Aws, Settings},
    front,
    scope::ScopeChoice,
    seed::Seed,
};
use tagmint_testkit::clock::MockClock;
use tokio::task::JoinHandle;

/// The bucket of the seed.
pub const BUCKET: &str = "data-bucket";
/// The role of the seed.
pub const ROLE_ARN: &str = "arn:aws:iam::000000000000:role/data";
/// Stands in the seed for the issuer's host and port.
pub const HOST: &str = "ISSUER";

/// How the stand-in is started.
pub struct Options {
    pub data: Option<PathBuf>,
    pub seed: Option<Value>,
    /// Whether it trusts the issuer's CA.
    pub trusted: bool,
    pub secure_transport: bool,
    pub scope: ScopeChoice,
}

impl Default for Options {
    fn default() -> Self {
        Self { data: None, seed: None, trusted: true, secure_transport: false, scope: ScopeChoice::default() }
    }
}

/// An access key.
#[derive(Clone)]
pub struct Keys {
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn told(self) -> (u16, String) {
        (self.status, self.body)
    }

    /// Status and error code.
    pub fn code(&self) -> (u16, &str) {
        (self.status, self.element("Code"))
    }

    /// The credentials of an answer of STS.
    pub fn keys(&self) -> Keys {
        assert_eq!(self.status, 200, "{}", self.body);
        let text = |name: &str| self.element(name).to_owned();
        Keys { id: text("AccessKeyId"), secret: text("SecretAccessKey"), token: Some(text("SessionToken")) }
    }

    /// The text of the first element of this name.
    pub fn element(&self, name: &str) -> &str {
        let found = self.body.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once('<'));
        found.map_or("", |(text, _)| text)
    }
}

struct Issuer {
    host: String,
    key: EcdsaKeyPair,
    ca_pem: String,
}

pub struct Stage {
    pub clock: MockClock,
    issuer: Issuer,
    data: Option<PathBuf>,
    aws: Arc<Aws>,
    endpoint: String,
    serving: JoinHandle<()>,
    client: reqwest::Client,
}

/// A provider, a role that wants a tag, a bucket whose policy lets the tag's owner read.
pub fn seed() -> Value {
    json!({
        "providers": [{"url": format!("https://{HOST}"), "client_ids": ["sts.amazonaws.com"]}],
        "roles": [{
            "name": "data",
            "trust_policy": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow",
                "Principal": {"Federated": format!("arn:aws:iam::000000000000:oidc-provider/{HOST}")},
                "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
                "Condition": {"Null": {"aws:RequestTag/owner": "false"}},
            }]},
        }],
        "buckets": [{
            "name": BUCKET,
            "policy": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": "s3:GetObject",
                "Resource": format!("arn:aws:s3:::{BUCKET}/${{aws:PrincipalTag/owner}}/*"),
            }]},
        }],
    })
}

impl Stage {
    /// Starts everything, and puts a mail for `own` and `foreign`.
    pub async fn new(options: Options) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let issuer = Issuer::start().await;
        let seed = options.seed.clone().unwrap_or_else(seed).to_string().replace(HOST, &issuer.host);
        let options = Options { seed: Some(serde_json::from_str(&seed).unwrap()), ..options };
        // Of the system's time, by which s3s checks signatures.
        let clock = MockClock::new(SystemClock.now());
        let ca_pem = options.trusted.then(|| issuer.ca_pem.clone().into_bytes());
        let aws = Arc::new(Aws::open(settings(&options, ca_pem, clock.clone())).unwrap());
        let (endpoint, serving) = serve(&aws);
        let stage = Self { clock, issuer, data: options.data, aws, endpoint, serving, client: reqwest::Client::new() };
        for owner in ["own", "foreign"].into_iter().filter(|_| seed.contains(BUCKET)) {
            let path = format!("/{BUCKET}/{owner}/mail.txt");
            let put = stage.s3("PUT", &path, Some(&stage.admin()), &format!("{owner} mail")).await;
            assert_eq!(put.status, 200, "{}", put.body);
        }
        stage
    }

    /// Opens the stand-in alone; the error's words where that fails.
    pub fn open(options: &Options) -> Result<Aws, String> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let seed = serde_json::to_vec(options.seed.as_ref().unwrap()).unwrap();
        Seed::parse(&seed).map_err(|error| error.to_string())?;
        Self::open_with(options, None)
    }

    /// Opens the stand-in alone, with these roots.
    pub fn open_with(options: &Options, ca_pem: Option<&str>) -> Result<Aws, String> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let ca_pem = ca_pem.map(|pem| pem.as_bytes().to_vec());
        Aws::open(settings(options, ca_pem, MockClock::default())).map_err(|error| error.to_string())
    }

    /// The same on the same folder, without a seed.
    pub async fn restart(mut self) -> Self {
        self.serving.abort();
        let (aws, _) = (Arc::downgrade(&self.aws), std::mem::replace(&mut self.client, reqwest::Client::new()));
        let options = Options { data: self.data.clone(), ..Options::default() };
        let ca_pem = Some(self.issuer.ca_pem.clone().into_bytes());
        drop(self.aws);
        // The connections of the old one end soon after it.
        while aws.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let aws = Arc::new(Aws::open(settings(&options, ca_pem, self.clock.clone())).unwrap());
        let (endpoint, serving) = serve(&aws);
        Self { aws, endpoint, serving, ..self }
    }

    /// The issuer's host and port.
    pub fn host(&self) -> &str {
        &self.issuer.host
    }

    pub fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    pub fn admin(&self) -> Keys {
        let key = self.aws.account().administrator.clone();
        Keys { id: key.id, secret: key.secret, token: None }
    }

    /// A token with the tag `owner`, and these claims instead of others.
    pub fn token(&self, claims: Value) -> String {
        let mut all = json!({
            "iss": format!("https://{}", self.issuer.host),
            "sub": "somebody",
            "aud": "sts.amazonaws.com",
            "iat": self.now(),
            "exp": self.now() + 300,
            "https://aws.amazon.com/tags": {"principal_tags": {"owner": ["own"]}, "transitive_tag_keys": ["owner"]},
        });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        self.issuer.sign(&all)
    }

    pub async fn assume(&self, token: &str) -> Answer {
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={ROLE_ARN}&RoleSessionName=test&WebIdentityToken={token}"
        );
        self.post(&form, None, "sts").await
    }

    pub async fn sts(&self, form: &str, keys: &Keys) -> Answer {
        self.post(form, Some(keys), "sts").await
    }

    pub async fn iam(&self, form: &str, keys: &Keys) -> Answer {
        self.post(form, Some(keys), "iam").await
    }

    pub async fn post(&self, form: &str, keys: Option<&Keys>, service: &str) -> Answer {
        let request = http::Request::post(format!("{}/", self.endpoint))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned())
            .unwrap();
        self.send(request, keys, service, self.clock.now()).await
    }

    pub async fn s3(&self, method: &str, path: &str, keys: Option<&Keys>, body: &str) -> Answer {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .body(body.to_owned())
            .unwrap();
        self.send(request, keys, "s3", SystemClock.now()).await
    }

    /// A request to S3 with these headers, all of them signed.
    pub async fn s3_with(&self, method: &str, path: &str, keys: &Keys, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.endpoint));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.to_owned()).unwrap(), Some(keys), "s3", SystemClock.now()).await
    }

    /// An action of IAM by the administrator.
    pub async fn iam_call(&self, action: &str, params: &[(&str, &str)]) -> Answer {
        let fixed = [("Action", action), ("Version", "2010-05-08")];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fixed.iter().chain(params)).finish();
        self.iam(&form, &self.admin()).await
    }

    /// Credentials of a session of a role with the administrator's word.
    pub async fn session_of(&self, role_arn: &str) -> Keys {
        let form = format!("Action=AssumeRole&Version=2011-06-15&RoleArn={role_arn}&RoleSessionName=test");
        self.sts(&form, &self.admin()).await.keys()
    }

    async fn send(
        &self,
        mut request: http::Request<String>,
        keys: Option<&Keys>,
        service: &str,
        time: Timestamp,
    ) -> Answer {
        if let Some(keys) = keys {
            signed(&mut request, keys, service, time, None);
        }
        self.as_it_is(request).await
    }

    /// A request to S3 that the administrator signed; in its URL where that has a life.
    pub fn signed_s3(&self, method: &str, path: &str, body: &str, life: Option<Duration>) -> http::Request<String> {
        let uri = format!("{}{path}", self.endpoint);
        let mut request = http::Request::builder().method(method).uri(uri).body(body.to_owned()).unwrap();
        signed(&mut request, &self.admin(), "s3", SystemClock.now(), life);
        request
    }

    /// Sends a request without signing it.
    pub async fn as_it_is(&self, request: http::Request<String>) -> Answer {
        let answer = self.client.execute(request.map(reqwest::Body::from).try_into().unwrap()).await.unwrap();
        Answer { status: answer.status().as_u16(), body: answer.text().await.unwrap() }
    }
}

fn settings(options: &Options, ca_pem: Option<Vec<u8>>, clock: MockClock) -> Settings {
    let seed = options.seed.as_ref().map(|seed| Seed::parse(&serde_json::to_vec(seed).unwrap()).unwrap());
    Settings {
        data: options.data.clone(),
        ca_pem,
        seed,
        explain: true,
        secure_transport: options.secure_transport,
        scope: options.scope.clone(),
        clock: Arc::new(clock),
        random: Arc::new(SystemRandom),
    }
}

fn serve(aws: &Arc<Aws>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serving = front::serve(listener, Arc::clone(aws)).unwrap();
    (endpoint, tokio::spawn(async move { serving.await.unwrap() }))
}

/// Signs with the SDK's own signer.
fn signed(request: &mut http::Request<String>, keys: &Keys, service: &str, time: Timestamp, life: Option<Duration>) {
    let identity = Credentials::new(&keys.id, &keys.secret, keys.token.clone(), None, "test").into();
    let mut settings = SigningSettings::default();
    if life.is_some() {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = life;
    } else if service == "s3" {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name(service)
        .time(SystemTime::from(time))
        .settings(settings)
        .build()
        .unwrap();
    let uri = request.uri().to_string();
    let body = request.body().clone();
    let body = if life.is_some() { SignableBody::UnsignedPayload } else { SignableBody::Bytes(body.as_bytes()) };
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-amz-"))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let signable = SignableRequest::new(request.method().as_str(), &uri, headers, body).unwrap();
    let (instructions, _) = sign(signable, &params.into()).unwrap().into_parts();
    instructions.apply_to_request_http1x(request);
}

impl Issuer {
    /// Serves discovery and key set on a free port of `localhost`.
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let host = format!("localhost:{}", listener.local_addr().unwrap().port());
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point: EcPublicKeyUncompressedBin<'_> = key.public_key().as_be_bytes().unwrap();
        let half = |range: std::ops::Range<usize>| BASE64_URL_SAFE_NO_PAD.encode(&point.as_ref()[range]);
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "alg": "ES256", "x": half(1..33), "y": half(33..65)});
        let discovery =
            json!({"issuer": format!("https://{host}"), "jwks_uri": format!("https://{host}/jwks")}).to_string();
        let jwks = json!({"keys": [jwk]}).to_string();
        let app = axum::Router::new()
            .route("/.well-known/openid-configuration", axum::routing::get(async move || discovery))
            .route("/jwks", axum::routing::get(async move || jwks));
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let server_key = rcgen::KeyPair::generate().unwrap();
        let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = server.signed_by(&server_key, &rcgen::Issuer::new(ca, ca_key)).unwrap();
        let tls = axum_server::tls_rustls::RustlsConfig::from_pem(
            certificate.pem().into_bytes(),
            server_key.serialize_pem().into_bytes(),
        );
        let server = axum_server::from_tcp_rustls(listener, tls.await.unwrap()).unwrap();
        tokio::spawn(server.serve(app.into_make_service()));
        Self { host, key, ca_pem }
    }

    fn sign(&self, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "ES256", "typ": "JWT", "kid": "1"})), part(claims));
        let signature = self.key.sign(&aws_lc_rs::rand::SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

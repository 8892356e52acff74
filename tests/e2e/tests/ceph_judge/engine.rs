//! Our side: the same rows through `tagmint-iam`.

use jiff::Timestamp;
use serde_json::Value;
use tagmint_iam::{
    context::Context,
    evaluate::{self, Policies, Request},
    policy::{Kind, Policy},
    provider::{OidcProvider, Registration},
    trust_policy,
    web_identity::{Fetched, Report, Role, Session, WebIdentityRequest, World, verdict},
};

use super::{
    ACCOUNT, AUDIENCE, SESSION, TestResult,
    issuer::Issuer,
    rows::{Ask, Setup, document},
};

/// The account with its provider.
pub struct Engine {
    provider: OidcProvider,
    jwks: String,
}

impl Engine {
    pub fn new(issuer: &Issuer) -> TestResult<Self> {
        let registration = Registration {
            url: format!("https://{}", issuer.host()),
            client_ids: vec![AUDIENCE.to_owned()],
            ..Registration::default()
        };
        let provider = OidcProvider::register_local(ACCOUNT, registration)?;
        Ok(Self { provider, jwks: issuer.jwks().to_owned() })
    }

    /// The provider's ARN.
    pub fn provider(&self) -> &str {
        self.provider.arn()
    }

    /// `accepted`, `malformed` or the code of the refusal.
    pub fn assume(&self, role: &str, trust: &Value, token: &str, now: i64) -> TestResult<String> {
        let Ok(trust_policy) = trust_policy::check(&trust.to_string()) else { return Ok("malformed".to_owned()) };
        let report = self.report(role, trust_policy, token, None, now)?;
        Ok(report.refusal().map_or_else(|| "accepted".to_owned(), |error| error.code.as_str().to_owned()))
    }

    /// A session by this trust policy.
    pub fn session(
        &self,
        role: &str,
        trust: &Value,
        token: &str,
        policy: Option<&str>,
        now: i64,
    ) -> TestResult<Session> {
        let trust_policy = trust_policy::check(&trust.to_string())?;
        let report = self.report(role, trust_policy, token, policy, now)?;
        let session = report.session().cloned();
        Ok(session.ok_or_else(|| format!("no session: {:?}", report.refusal()))?)
    }

    fn report(
        &self,
        role: &str,
        trust_policy: Policy,
        token: &str,
        policy: Option<&str>,
        now: i64,
    ) -> TestResult<Report> {
        let role = Role { arn: role.to_owned(), trust_policy, max_session_seconds: 3600 };
        let request = WebIdentityRequest {
            token,
            role_arn: &role.arn,
            role_session_name: SESSION,
            duration_seconds: None,
            policy,
            provider_id: None,
        };
        let world = World {
            provider: Some(&self.provider),
            discovery: None,
            jwks: Fetched::Document(self.jwks.as_bytes()),
            role: Some(&role),
            base: &Context::new(),
            now: Timestamp::from_second(now)?,
        };
        Ok(verdict(&request, &world))
    }
}

/// The policies of a set-up, read as AWS reads them when they are stored.
pub struct Stored {
    identity: Vec<Policy>,
    session: Option<Vec<Policy>>,
    bucket: Option<Policy>,
}

impl Stored {
    /// None where one is malformed.
    pub fn read(setup: &Setup) -> Option<Self> {
        let read = |kind, statements: &Option<Value>| {
            let document = statements.as_ref().map(|statements| document(&setup.version, statements).to_string());
            document.map(|text| Policy::parse_as(kind, &text)).transpose().ok()
        };
        Some(Self {
            identity: read(Kind::Identity, &setup.role)?.into_iter().collect(),
            session: read(Kind::Session, &setup.session)?.map(|policy| vec![policy]),
            bucket: read(Kind::Resource, &setup.bucket)?,
        })
    }

    /// `allowed` or `denied`.
    pub fn decide(&self, session: &Session, bucket: &str, ask: &Ask, now: i64) -> TestResult<String> {
        let (action, resource, context) = request(session, bucket, ask, Timestamp::from_second(now)?);
        let policies = Policies {
            identity: &self.identity,
            session: self.session.as_deref(),
            resource: self.bucket.as_ref(),
            same_account: true,
        };
        let caller = session.caller();
        let request = Request { caller: &caller, action, resource: &resource, context: &context };
        let allowed = evaluate::access(policies, request).is_allowed();
        Ok(if allowed { "allowed" } else { "denied" }.to_owned())
    }
}

/// Action, resource and keys of a request (service authorization reference, "Amazon S3"; global keys: IAM user guide).
fn request(session: &Session, bucket: &str, ask: &Ask, now: Timestamp) -> (&'static str, String, Context) {
    let mut context = session
        .context("AROAJUDGE")
        .with("aws:CurrentTime", now.to_string())
        .with("aws:EpochTime", now.as_second().to_string())
        .with("aws:SecureTransport", "false")
        .with("aws:SourceIp", "127.0.0.1")
        .with("aws:UserAgent", "aws-sdk-rust/1");
    let object = |key: &str| format!("arn:aws:s3:::{bucket}/{key}");
    let (action, resource) = match ask {
        Ask::Get(key) => ("s3:GetObject", object(key)),
        Ask::Put(key) => ("s3:PutObject", object(key)),
        Ask::Delete(key) => ("s3:DeleteObject", object(key)),
        Ask::List(prefix) => {
            context = context.with("s3:prefix", prefix);
            ("s3:ListBucket", format!("arn:aws:s3:::{bucket}"))
        }
        Ask::ListWith { prefix, delimiter, max_keys } => {
            let keys = [
                ("s3:prefix", prefix.clone()),
                ("s3:delimiter", delimiter.clone()),
                ("s3:max-keys", max_keys.map(|number| number.to_string())),
            ];
            for (key, value) in keys {
                if let Some(value) = value {
                    context = context.with(key, value);
                }
            }
            ("s3:ListBucket", format!("arn:aws:s3:::{bucket}"))
        }
    };
    (action, resource, context)
}

//! A set-up as JSON: what is there from the start.
//!
//! ```text
//! {
//!   "providers": [{"url": "https://id.example.com", "client_ids": ["sts.amazonaws.com"], "thumbprints": []}],
//!   "policies": [{"name": "read-own", "document": {"Version": "2012-10-17", "Statement": […]}}],
//!   "roles": [{
//!     "name": "deploy", "max_session_seconds": 3600,
//!     "trust_policy": {"Version": "2012-10-17", "Statement": […]},
//!     "policies": {"own-prefix": {"Version": "2012-10-17", "Statement": […]}},
//!     "attached": ["arn:aws:iam::000000000000:policy/read-own"]
//!   }],
//!   "buckets": [{"name": "data", "versioning": true, "policy": {"Version": "2012-10-17", "Statement": […]}}]
//! }
//! ```
//!
//! What is there already, from an earlier run on the same folder, is set to what the file says; what the file doesn't name stays.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    aws::Aws,
    iam,
    query::{Params, QueryError},
    s3::{S3Failure, Versioning},
};

/// A set-up.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seed {
    /// OIDC providers.
    pub providers: Vec<SeedProvider>,
    /// Managed policies.
    pub policies: Vec<SeedPolicy>,
    /// Roles.
    pub roles: Vec<SeedRole>,
    /// Buckets.
    pub buckets: Vec<SeedBucket>,
}

/// An OIDC provider.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedProvider {
    /// The issuer's URL.
    pub url: String,
    /// The audiences.
    #[serde(default)]
    pub client_ids: Vec<String>,
    /// Thumbprints, which nothing looks at here: TLS is verified.
    #[serde(default)]
    pub thumbprints: Vec<String>,
}

/// A managed policy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedPolicy {
    /// Its name.
    pub name: String,
    /// Its path.
    #[serde(default = "root")]
    pub path: String,
    /// The document, as an object or as its text.
    pub document: Value,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedRole {
    /// Its name.
    pub name: String,
    /// Its path.
    #[serde(default = "root")]
    pub path: String,
    /// The longest session, in seconds.
    #[serde(default = "an_hour")]
    pub max_session_seconds: i64,
    /// The trust policy, as an object or as its text.
    pub trust_policy: Value,
    /// Its own policies by name.
    #[serde(default)]
    pub policies: BTreeMap<String, Value>,
    /// ARNs of managed policies to attach.
    #[serde(default)]
    pub attached: Vec<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedBucket {
    /// Its name.
    pub name: String,
    /// Whether it keeps versions.
    #[serde(default)]
    pub versioning: bool,
    /// The bucket policy, as an object or as its text.
    #[serde(default)]
    pub policy: Option<Value>,
}

/// Why a seed cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// It isn't what the format wants.
    #[error("the seed is not as documented: {0}")]
    Json(#[from] serde_json::Error),
    /// IAM refuses a part.
    #[error("the seed's {what}: {problem}")]
    Iam {
        /// Which part.
        what: String,
        /// The refusal.
        problem: QueryError,
    },
    /// S3 refuses a part.
    #[error("the seed's bucket {bucket}: {problem}")]
    S3 {
        /// Which bucket.
        bucket: String,
        /// The refusal.
        problem: S3Failure,
    },
}

fn root() -> String {
    "/".to_owned()
}

const fn an_hour() -> i64 {
    3600
}

impl Seed {
    /// Reads a seed.
    pub fn parse(text: &[u8]) -> Result<Self, SeedError> {
        Ok(serde_json::from_slice(text)?)
    }

    /// Sets everything up by the very actions that a client calls.
    pub(crate) fn apply(&self, aws: &Aws) -> Result<(), SeedError> {
        for provider in &self.providers {
            self::provider(aws, provider).map_err(in_iam(format!("provider {}", provider.url)))?;
        }
        for policy in &self.policies {
            self::policy(aws, policy).map_err(in_iam(format!("policy {}", policy.name)))?;
        }
        self.roles(aws)?;
        for bucket in &self.buckets {
            let name = &bucket.name;
            self::bucket(aws, bucket).map_err(|problem| SeedError::S3 { bucket: name.clone(), problem })?;
        }
        Ok(())
    }
}

impl Seed {
    /// Sets the roles up. A role that trusts one further down waits for it.
    fn roles(&self, aws: &Aws) -> Result<(), SeedError> {
        let mut waiting: Vec<&SeedRole> = self.roles.iter().collect();
        loop {
            let before = waiting.len();
            let mut refused = None;
            waiting.retain(|role| match self::role(aws, role) {
                Ok(()) => false,
                Err(problem) => {
                    refused.get_or_insert((role.name.clone(), problem));
                    true
                }
            });
            match refused {
                None => return Ok(()),
                Some((name, problem)) if waiting.len() == before => {
                    return Err(in_iam(format!("role {name}"))(problem));
                }
                Some(_) => {}
            }
        }
    }
}

fn in_iam(what: String) -> impl FnOnce(QueryError) -> SeedError {
    move |problem| SeedError::Iam { what, problem }
}

/// Calls an action of IAM.
fn call(aws: &Aws, action: &str, params: &[(&str, &str)]) -> Result<(), QueryError> {
    let form: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    let params = Params::parse(form.as_bytes());
    let found = iam::action(action).ok_or_else(|| QueryError::not_implemented(action))?;
    let (now, ids) = (aws.clock.now(), &aws.ids);
    aws.change(|account| (found.handler)(&mut iam::Call { account, params: &params, now, ids }))?;
    Ok(())
}

/// Whether it worked or was there before.
fn created(result: Result<(), QueryError>) -> Result<bool, QueryError> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.code == "EntityAlreadyExists" => Ok(false),
        Err(error) => Err(error),
    }
}

fn text(document: &Value) -> String {
    document.as_str().map_or_else(|| document.to_string(), str::to_owned)
}

fn provider(aws: &Aws, provider: &SeedProvider) -> Result<(), QueryError> {
    let names = |name: &str, count: usize| (1..=count).map(|n| format!("{name}.member.{n}")).collect::<Vec<_>>();
    let (clients, thumbprints) =
        (names("ClientIDList", provider.client_ids.len()), names("ThumbprintList", provider.thumbprints.len()));
    let mut params = vec![("Url", provider.url.as_str())];
    params.extend(clients.iter().map(String::as_str).zip(provider.client_ids.iter().map(String::as_str)));
    params.extend(thumbprints.iter().map(String::as_str).zip(provider.thumbprints.iter().map(String::as_str)));
    if created(call(aws, "CreateOpenIDConnectProvider", &params))? {
        return Ok(());
    }
    let present = aws.account().providers.registry.by_issuer(&provider.url).map(|present| present.arn().to_owned());
    for client in &provider.client_ids {
        let arn = present.as_deref().unwrap_or_default();
        call(aws, "AddClientIDToOpenIDConnectProvider", &[("OpenIDConnectProviderArn", arn), ("ClientID", client)])?;
    }
    Ok(())
}

fn policy(aws: &Aws, policy: &SeedPolicy) -> Result<(), QueryError> {
    let document = text(&policy.document);
    let params = [("PolicyName", policy.name.as_str()), ("Path", &policy.path), ("PolicyDocument", &document)];
    if created(call(aws, "CreatePolicy", &params))? {
        return Ok(());
    }
    let arn = aws.scope.iam(&format!("policy{}{}", policy.path, policy.name));
    if aws.account().managed_document(&arn) == Some(document.as_str()) {
        return Ok(());
    }
    call(aws, "CreatePolicyVersion", &[("PolicyArn", &arn), ("PolicyDocument", &document), ("SetAsDefault", "true")])
}

fn role(aws: &Aws, role: &SeedRole) -> Result<(), QueryError> {
    let (trust, seconds) = (text(&role.trust_policy), role.max_session_seconds.to_string());
    let name = ("RoleName", role.name.as_str());
    let new = call(
        aws,
        "CreateRole",
        &[name, ("Path", &role.path), ("AssumeRolePolicyDocument", &trust), ("MaxSessionDuration", &seconds)],
    );
    if !created(new)? {
        call(aws, "UpdateAssumeRolePolicy", &[name, ("PolicyDocument", &trust)])?;
        call(aws, "UpdateRole", &[name, ("MaxSessionDuration", &seconds)])?;
    }
    for (policy, document) in &role.policies {
        call(aws, "PutRolePolicy", &[name, ("PolicyName", policy), ("PolicyDocument", &text(document))])?;
    }
    for arn in &role.attached {
        call(aws, "AttachRolePolicy", &[name, ("PolicyArn", arn)])?;
    }
    for (key, value) in &role.tags {
        call(aws, "TagRole", &[name, ("Tags.member.1.Key", key), ("Tags.member.1.Value", value)])?;
    }
    Ok(())
}

fn bucket(aws: &Aws, bucket: &SeedBucket) -> Result<(), S3Failure> {
    let now = aws.clock.now();
    if !aws.storage.has_bucket(&bucket.name) {
        aws.storage.create_bucket(&bucket.name, now)?;
    }
    if bucket.versioning {
        aws.storage.change_bucket(&bucket.name, |config| config.versioning = Some(Versioning::Enabled))?;
    }
    if let Some(policy) = &bucket.policy {
        crate::s3::put_policy(aws, &bucket.name, &text(policy))?;
    }
    Ok(())
}

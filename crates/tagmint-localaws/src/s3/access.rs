//! The hook that s3s asks before each operation; it asks the engine.

use std::{net::SocketAddr, sync::Arc};

use http::HeaderMap;
use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    dto::CopySource,
    path::S3Path,
};
use tagmint_iam::{
    context::Context,
    policy::{Kind, Policy},
};

use super::{
    Peer,
    actions::{Asked, Need, needs},
    context::RequestKeys,
    decide::Decided,
    failure::S3Failure,
    policy,
    signing::BodyMismatch,
};
use crate::{authorize::Question, aws::Aws, front, sessions::Principal};

const SECURITY_TOKEN: &str = "x-amz-security-token";
/// The owner that the client expects of the bucket: another account's is refused (user guide of S3, "Verifying bucket ownership").
const EXPECTED_OWNER: &str = "x-amz-expected-bucket-owner";
const EXPECTED_SOURCE_OWNER: &str = "x-amz-source-expected-bucket-owner";

/// Decides over S3's operations.
pub struct Access(pub Arc<Aws>);

/// Who asks and with which keys, for what is asked only once the operation runs.
#[derive(Debug, Clone)]
pub struct Caller {
    principal: Principal,
    base: Context,
    keys: RequestKeys,
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = request.s3_op().name().to_owned();
        let decided = request.extensions_mut().get::<Decided>().map(|decided| decided.0.name);
        if decided != Some(operation.as_str()) {
            // s3s would do something else than what the request was decided to be.
            return Err(S3Failure::not_implemented(&format!("s3:{operation} by this request")).into());
        }
        let keys = RequestKeys::of(&operation, request.uri(), request.headers());
        let access_key = request.credentials().map(|credentials| credentials.access_key.clone());
        let principal = principal(&self.0, access_key.as_deref(), request.headers(), &keys)?;
        let peer = request.extensions_mut().get::<Peer>().map(|peer| SocketAddr::new(peer.0, 0));
        // The front always tells the peer; an address that no policy names stands in for a missing one.
        let peer = peer.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        let base = front::request_context(&self.0, &principal, request.headers(), peer);
        let wanted = needs(&operation, &asked(request, &keys))?;
        let caller = Caller { principal, base, keys };
        if operation != "CreateBucket" {
            for bucket in request
                .s3_path()
                .get_bucket_name()
                .into_iter()
                .chain(wanted.iter().filter_map(|need| need.bucket.as_deref()))
            {
                if !self.0.storage.has_bucket(bucket) {
                    return Err(S3Failure::no_such_bucket().into());
                }
            }
        }
        for name in [EXPECTED_OWNER, EXPECTED_SOURCE_OWNER] {
            if request.headers().get(name).is_some_and(|owner| owner.as_bytes() != self.0.scope.account.as_bytes()) {
                return Err(S3Failure::denied("Access Denied").into());
            }
        }
        for need in &wanted {
            caller.allow(&self.0, need)?;
        }
        if request.headers().keys().any(|name| name.as_str().starts_with("x-amz-grant-")) {
            return Err(S3Failure::new(400, "AccessControlListNotSupported", "The bucket does not allow ACLs").into());
        }
        if request.extensions_mut().get::<BodyMismatch>().is_some() {
            return Err(BodyMismatch::refusal().into());
        }
        request.extensions_mut().insert(caller);
        Ok(())
    }
}

impl Caller {
    /// Asks the engine for one permission.
    pub fn allow(&self, aws: &Aws, need: &Need) -> Result<(), S3Failure> {
        let config = need.bucket.as_deref().and_then(|bucket| aws.storage.config(bucket).ok());
        let text = config.as_ref().and_then(|config| policy::shown(aws, config));
        let resource_policy = text.and_then(|text| Policy::parse_as(Kind::Resource, &text).ok());
        if matches!(self.principal, Principal::Anonymous) {
            let restricted =
                config.is_some_and(|config| config.public_access.unwrap_or_default().restrict_public_buckets);
            if restricted && resource_policy.as_ref().is_some_and(policy::is_public) {
                return Err(S3Failure::denied("Access Denied"));
            }
        }
        let tags = match (&need.bucket, &need.key) {
            (Some(bucket), Some(key)) => aws.storage.tags(bucket, key, need.version.as_deref()),
            _ => Vec::new(),
        };
        let context = self.keys.context(&aws.scope, &self.base, need, &tags);
        let resource = need.resource(&aws.scope);
        let question = Question {
            principal: &self.principal,
            action: need.action,
            resource: &resource,
            context: &context,
            resource_policy: resource_policy.as_ref(),
        };
        aws.allow(question).map_err(|denied| {
            if matches!(self.principal, Principal::Anonymous) {
                return S3Failure::denied("Access Denied");
            }
            S3Failure::denied(format!(
                "User: {} is not authorized to perform: {} on resource: \"{resource}\" {}",
                self.principal.arn(),
                need.action,
                denied.because()
            ))
        })
    }

    /// Whether the caller may know that an object isn't there: only who may list the bucket (API reference of S3, `GetObject`). Listing is
    /// asked for without a prefix.
    pub fn may_miss(&self, aws: &Aws, bucket: &str) -> Result<(), S3Failure> {
        self.allow(aws, &Need { action: "s3:ListBucket", bucket: Some(bucket.to_owned()), key: None, version: None })
    }
}

fn principal(
    aws: &Aws,
    access_key: Option<&str>,
    headers: &HeaderMap,
    keys: &RequestKeys,
) -> Result<Principal, S3Failure> {
    let Some(access_key) = access_key else { return Ok(Principal::Anonymous) };
    let in_header = headers.get(SECURITY_TOKEN).and_then(|value| value.to_str().ok());
    let token = in_header.or_else(|| keys.query("X-Amz-Security-Token"));
    let invalid = || S3Failure::new(400, "InvalidToken", "The provided token is malformed or otherwise invalid.");
    let is_administrator = access_key == aws.account().administrator.id;
    match (is_administrator, aws.sessions.get(access_key), token) {
        (true, _, None) => Ok(Principal::Administrator(Arc::clone(&aws.scope))),
        (false, Some(session), Some(token)) if session.token == token => Ok(Principal::Session(Box::new(session))),
        (false, Some(_), None) => {
            let message = "The AWS Access Key Id you provided does not exist in our records.";
            Err(S3Failure::new(403, "InvalidAccessKeyId", message))
        }
        _ => Err(invalid()),
    }
}

fn asked<'a>(request: &'a S3AccessContext<'_>, keys: &'a RequestKeys) -> Asked<'a> {
    let (bucket, key) = match request.s3_path() {
        S3Path::Root => (None, None),
        S3Path::Bucket { bucket } => (Some(&**bucket), None),
        S3Path::Object { bucket, key } => (Some(&**bucket), Some(&**key)),
    };
    let headers = request.headers();
    let source = headers.get("x-amz-copy-source").and_then(|value| value.to_str().ok());
    let source = source.and_then(|source| match CopySource::parse(source).ok()? {
        CopySource::Bucket { bucket, key, version_id } => {
            Some((bucket.into_string(), key.into_string(), version_id.map(str::into_string)))
        }
        _ => None,
    });
    let acl = headers.keys().any(|name| name == "x-amz-acl" || name.as_str().starts_with("x-amz-grant-"));
    Asked { bucket, key, version: keys.query("versionId"), source, tags: headers.contains_key("x-amz-tagging"), acl }
}

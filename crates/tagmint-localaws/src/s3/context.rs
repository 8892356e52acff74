//! What of a request goes into the evaluation context (service authorization reference of S3, "Condition keys for Amazon S3").

use http::{HeaderMap, Uri};
use tagmint_iam::{context::Context, service};

use super::actions::Need;
use crate::{query::Params, scope::Scope};

/// Headers that are condition keys of their own name, for requests that write.
const HEADER_KEYS: [&str; 17] = [
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    "x-amz-object-ownership",
    "if-match",
    "if-none-match",
];

/// A request's query and headers.
#[derive(Debug, Clone)]
pub struct RequestKeys {
    query: Params,
    headers: Vec<(&'static str, String)>,
    presigned: bool,
    signed: bool,
    tags: Vec<(String, String)>,
    creates: Option<bool>,
}

/// Whether an operation that needs `s3:PutObject` makes an object, or is a step on the way to one (user guide of S3, "Enforce conditional writes
/// on Amazon S3 buckets"). The steps take no conditions.
fn creates(operation: &str) -> Option<bool> {
    match operation {
        "PutObject" | "CopyObject" | "CompleteMultipartUpload" => Some(true),
        "CreateMultipartUpload" | "UploadPart" | "UploadPartCopy" => Some(false),
        _ => None,
    }
}

impl RequestKeys {
    /// Reads a request.
    pub fn of(operation: &str, uri: &Uri, headers: &HeaderMap) -> Self {
        let query = Params::parse(uri.query().unwrap_or_default().as_bytes());
        let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let tags = value("x-amz-tagging").unwrap_or_default();
        Self {
            presigned: query.get("X-Amz-Signature").is_some(),
            signed: headers.contains_key(http::header::AUTHORIZATION),
            headers: HEADER_KEYS.into_iter().filter_map(|name| Some((name, value(name)?))).collect(),
            tags: form_urlencoded::parse(tags.as_bytes()).into_owned().collect(),
            creates: creates(operation),
            query,
        }
    }

    /// A parameter of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name)
    }

    /// The keys for one permission: those that requests of its action can have (service authorization reference).
    pub fn context(&self, scope: &Scope, base: &Context, need: &Need, existing_tags: &[(String, String)]) -> Context {
        let action = service::action(need.action);
        let mut context = base.clone().with("aws:ResourceAccount", &scope.account);
        let mut set = |key: &str, value: &str| {
            if action.is_none_or(|action| action.has_key(key)) {
                context.set(key, vec![value.to_owned()]);
            }
        };
        set("s3:ResourceAccount", &scope.account);
        if self.presigned || self.signed {
            set("s3:authType", if self.presigned { "REST-QUERY-STRING" } else { "REST-HEADER" });
            set("s3:signatureversion", "AWS4-HMAC-SHA256");
        }
        for (key, name) in [("s3:prefix", "prefix"), ("s3:delimiter", "delimiter"), ("s3:max-keys", "max-keys")] {
            if let Some(value) = self.query.get(name) {
                set(key, value);
            }
        }
        if let Some(version) = &need.version {
            set("s3:VersionId", version);
        }
        for (name, value) in &self.headers {
            if self.creates != Some(false) || !matches!(*name, "if-match" | "if-none-match") {
                set(&format!("s3:{name}"), value);
            }
        }
        if let Some(creates) = self.creates {
            set("s3:ObjectCreationOperation", if creates { "true" } else { "false" });
        }
        for (key, value) in existing_tags {
            set(&format!("s3:ExistingObjectTag/{key}"), value);
        }
        for (key, value) in &self.tags {
            set(&format!("s3:RequestObjectTag/{key}"), value);
        }
        let keys = "s3:RequestObjectTagKeys";
        if !self.tags.is_empty() && action.is_none_or(|action| action.has_key(keys)) {
            context = context.with_many(keys, self.tags.iter().map(|(key, _)| key));
        }
        context
    }
}

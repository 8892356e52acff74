//! What of a request goes into the evaluation context (service authorization reference of S3, "Condition keys for Amazon S3").

use http::{HeaderMap, Uri};
use tagmint_iam::context::Context;

use super::actions::Need;
use crate::query::Params;

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
}

impl RequestKeys {
    /// Reads a request.
    pub fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let query = Params::parse(uri.query().unwrap_or_default().as_bytes());
        let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let tags = value("x-amz-tagging").unwrap_or_default();
        Self {
            presigned: query.get("X-Amz-Signature").is_some(),
            signed: headers.contains_key(http::header::AUTHORIZATION),
            headers: HEADER_KEYS.into_iter().filter_map(|name| Some((name, value(name)?))).collect(),
            tags: form_urlencoded::parse(tags.as_bytes()).into_owned().collect(),
            query,
        }
    }

    /// A parameter of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name)
    }

    /// The keys for one permission: what belongs to listing is there for listing alone, and the tags of an object for that object.
    pub fn context(&self, base: &Context, need: &Need, existing_tags: &[(String, String)]) -> Context {
        let mut context = base.clone().with("s3:ResourceAccount", crate::account::ACCOUNT);
        context.set("aws:ResourceAccount", vec![crate::account::ACCOUNT.to_owned()]);
        if self.presigned || self.signed {
            let kind = if self.presigned { "REST-QUERY-STRING" } else { "REST-HEADER" };
            context = context.with("s3:authType", kind).with("s3:signatureversion", "AWS4-HMAC-SHA256");
        }
        if matches!(need.action, "s3:ListBucket" | "s3:ListBucketVersions") {
            for (key, name) in [("s3:prefix", "prefix"), ("s3:delimiter", "delimiter"), ("s3:max-keys", "max-keys")] {
                if let Some(value) = self.query.get(name) {
                    context = context.with(key, value);
                }
            }
        }
        if let Some(version) = &need.version {
            context = context.with("s3:VersionId", version);
        }
        for (name, value) in &self.headers {
            context = context.with(&format!("s3:{name}"), value);
        }
        for (key, value) in existing_tags {
            context.set(&format!("s3:ExistingObjectTag/{key}"), vec![value.clone()]);
        }
        if !self.tags.is_empty() {
            for (key, value) in &self.tags {
                context.set(&format!("s3:RequestObjectTag/{key}"), vec![value.clone()]);
            }
            context = context.with_many("s3:RequestObjectTagKeys", self.tags.iter().map(|(key, _)| key));
        }
        context
    }
}

//! Which permissions an operation needs (API reference of S3; service authorization reference of S3).

use super::failure::S3Failure;
use crate::scope::Scope;

/// A permission that an operation needs: the action, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// As `s3:GetObject`.
    pub action: &'static str,
    /// The bucket; none for the list of all buckets.
    pub bucket: Option<String>,
    /// The object; none for the bucket itself.
    pub key: Option<String>,
    /// The object's version, where one is named.
    pub version: Option<String>,
}

impl Need {
    /// The resource's ARN.
    pub fn resource(&self, scope: &Scope) -> String {
        match (&self.bucket, &self.key) {
            (None, _) => scope.s3("*"),
            (Some(bucket), None) => scope.s3(bucket),
            (Some(bucket), Some(key)) => scope.s3(&format!("{bucket}/{key}")),
        }
    }
}

/// What of a request decides over the permissions.
#[derive(Debug, Clone, Default)]
pub struct Asked<'a> {
    /// The bucket in the path.
    pub bucket: Option<&'a str>,
    /// The key in the path.
    pub key: Option<&'a str>,
    /// `versionId`.
    pub version: Option<&'a str>,
    /// `x-amz-copy-source`: bucket, key, version.
    pub source: Option<(String, String, Option<String>)>,
    /// Whether `x-amz-tagging` is there.
    pub tags: bool,
    /// Whether an `x-amz-acl` or `x-amz-grant-…` is there.
    pub acl: bool,
}

/// Whether this stand-in does an operation.
pub fn is_implemented(operation: &str) -> bool {
    !matches!(needs(operation, &Asked::default()), Err(failure) if failure.code() == "NotImplemented")
}

/// The permissions for an operation as S3 names it. One that this stand-in doesn't do is refused here, before anything happens.
pub fn needs(operation: &str, asked: &Asked<'_>) -> Result<Vec<Need>, S3Failure> {
    if let Some(action) = on_bucket(operation) {
        return Ok(vec![need(action, asked.bucket, None, None)]);
    }
    let versioned = |plain, versioned| if asked.version.is_some() { versioned } else { plain };
    let object = |action| need(action, asked.bucket, asked.key, asked.version);
    let get = versioned("s3:GetObject", "s3:GetObjectVersion");
    let mut needs = match operation {
        "ListBuckets" => vec![need("s3:ListAllMyBuckets", None, None, None)],
        "GetObject" | "HeadObject" => vec![object(get)],
        "GetObjectAttributes" => {
            vec![object(get), object(versioned("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"))]
        }
        "GetObjectAcl" => vec![object(versioned("s3:GetObjectAcl", "s3:GetObjectVersionAcl"))],
        "GetObjectTagging" => vec![object(versioned("s3:GetObjectTagging", "s3:GetObjectVersionTagging"))],
        "PutObjectTagging" => vec![object(versioned("s3:PutObjectTagging", "s3:PutObjectVersionTagging"))],
        "DeleteObjectTagging" => vec![object(versioned("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"))],
        "DeleteObject" => vec![object(versioned("s3:DeleteObject", "s3:DeleteObjectVersion"))],
        // Asked key by key, once the body is read.
        "DeleteObjects" => Vec::new(),
        "PutObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "CompleteMultipartUpload"
        | "CopyObject"
        | "UploadPartCopy" => {
            vec![object("s3:PutObject")]
        }
        "AbortMultipartUpload" => vec![object("s3:AbortMultipartUpload")],
        "ListParts" => vec![object("s3:ListMultipartUploadParts")],
        other => return Err(S3Failure::not_implemented(&format!("s3:{other}"))),
    };
    if matches!(operation, "PutObject" | "CreateMultipartUpload" | "CopyObject") {
        if asked.tags {
            needs.push(object("s3:PutObjectTagging"));
        }
        if asked.acl {
            needs.push(object("s3:PutObjectAcl"));
        }
    }
    if matches!(operation, "CopyObject" | "UploadPartCopy") {
        let (bucket, key, version) = asked
            .source
            .as_ref()
            .ok_or_else(|| S3Failure::argument("the header x-amz-copy-source is not BUCKET/KEY"))?;
        let action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        needs.insert(0, need(action, Some(bucket), Some(key), version.as_deref()));
    }
    Ok(needs)
}

fn need(action: &'static str, bucket: Option<&str>, key: Option<&str>, version: Option<&str>) -> Need {
    Need { action, bucket: bucket.map(str::to_owned), key: key.map(str::to_owned), version: version.map(str::to_owned) }
}

fn on_bucket(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "CreateBucket" => "s3:CreateBucket",
        "DeleteBucket" => "s3:DeleteBucket",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "s3:ListBucket",
        "ListObjectVersions" => "s3:ListBucketVersions",
        "ListMultipartUploads" => "s3:ListBucketMultipartUploads",
        "GetBucketLocation" => "s3:GetBucketLocation",
        "GetBucketPolicy" => "s3:GetBucketPolicy",
        "PutBucketPolicy" => "s3:PutBucketPolicy",
        "DeleteBucketPolicy" => "s3:DeleteBucketPolicy",
        "GetBucketPolicyStatus" => "s3:GetBucketPolicyStatus",
        "GetBucketVersioning" => "s3:GetBucketVersioning",
        "PutBucketVersioning" => "s3:PutBucketVersioning",
        "GetBucketAcl" => "s3:GetBucketAcl",
        "GetBucketCors" => "s3:GetBucketCORS",
        "GetBucketWebsite" => "s3:GetBucketWebsite",
        "GetBucketAccelerateConfiguration" => "s3:GetAccelerateConfiguration",
        "GetBucketRequestPayment" => "s3:GetBucketRequestPayment",
        "GetBucketLogging" => "s3:GetBucketLogging",
        "GetBucketLifecycleConfiguration" => "s3:GetLifecycleConfiguration",
        "PutBucketLifecycleConfiguration" | "DeleteBucketLifecycle" => "s3:PutLifecycleConfiguration",
        "GetBucketReplication" => "s3:GetReplicationConfiguration",
        "GetBucketNotificationConfiguration" => "s3:GetBucketNotification",
        "GetObjectLockConfiguration" => "s3:GetBucketObjectLockConfiguration",
        "GetBucketEncryption" => "s3:GetEncryptionConfiguration",
        "PutBucketEncryption" | "DeleteBucketEncryption" => "s3:PutEncryptionConfiguration",
        "GetBucketTagging" => "s3:GetBucketTagging",
        "PutBucketTagging" | "DeleteBucketTagging" => "s3:PutBucketTagging",
        "GetPublicAccessBlock" => "s3:GetBucketPublicAccessBlock",
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => "s3:PutBucketPublicAccessBlock",
        "GetBucketOwnershipControls" => "s3:GetBucketOwnershipControls",
        "PutBucketOwnershipControls" | "DeleteBucketOwnershipControls" => "s3:PutBucketOwnershipControls",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(operation: &str, asked: &Asked<'_>) -> Vec<(&'static str, String)> {
        needs(operation, asked).unwrap().iter().map(|need| (need.action, need.resource(&Scope::default()))).collect()
    }

    #[test]
    fn a_copy_reads_and_writes() {
        let source = Some(("from".to_owned(), "a/b".to_owned(), None));
        let asked = Asked { bucket: Some("to"), key: Some("c"), source, tags: true, ..Asked::default() };
        assert_eq!(
            actions("CopyObject", &asked),
            [
                ("s3:GetObject", "arn:aws:s3:::from/a/b".to_owned()),
                ("s3:PutObject", "arn:aws:s3:::to/c".to_owned()),
                ("s3:PutObjectTagging", "arn:aws:s3:::to/c".to_owned())
            ]
        );
    }

    #[test]
    fn versions_have_actions_of_their_own() {
        let mut asked = Asked { bucket: Some("b"), key: Some("k"), ..Asked::default() };
        assert_eq!(actions("HeadObject", &asked)[0].0, "s3:GetObject");
        asked.version = Some("1");
        assert_eq!(actions("HeadObject", &asked)[0].0, "s3:GetObjectVersion");
        assert_eq!(actions("DeleteObject", &asked)[0].0, "s3:DeleteObjectVersion");
    }

    #[test]
    fn what_is_not_done_is_named() {
        let refused = needs("PostObject", &Asked::default()).unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            ("NotImplemented", "tagmint localaws does not implement s3:PostObject")
        );
    }
}

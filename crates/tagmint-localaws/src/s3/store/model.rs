//! What is kept of buckets and objects.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::principals::Bound;

/// What is set up for a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketConfig {
    /// When the bucket was made.
    pub created: Timestamp,
    /// Whether versions are kept; none where that was never asked for.
    pub versioning: Option<Versioning>,
    /// The bucket policy's text, as it was given.
    pub policy: Option<String>,
    /// The roles that the policy names.
    #[serde(default)]
    pub policy_roles: Bound,
    /// The bucket's tags; none where it has no tag set.
    pub tags: Option<Vec<(String, String)>>,
    /// The public access block; none where it was taken away.
    pub public_access: Option<PublicAccess>,
    /// `BucketOwnerEnforced`…; none where it was taken away.
    pub ownership: Option<String>,
    /// The encryption that was asked for. Data lies on the disk as it came.
    pub encryption: Encryption,
    /// What is to be removed by its age. Nothing is.
    #[serde(default)]
    pub lifecycle: Vec<LifecycleRule>,
}

/// A rule of a bucket's lifecycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleRule {
    /// Its id.
    pub id: String,
    /// What the keys begin with.
    pub prefix: String,
    /// Whether it is on.
    pub enabled: bool,
    /// The age of objects, in days.
    pub days: Option<i32>,
    /// Whether marks of deletions go behind which nothing is left.
    pub markers: bool,
    /// The age of old versions, in days.
    pub noncurrent_days: Option<i32>,
    /// The age of unfinished uploads, in days.
    pub abort_days: Option<i32>,
}

impl BucketConfig {
    /// What S3 sets up for a new bucket since April 2023 (user guide of S3, "Default settings for new S3 buckets").
    pub fn new(created: Timestamp) -> Self {
        Self {
            created,
            versioning: None,
            policy: None,
            policy_roles: Bound::new(),
            tags: None,
            public_access: Some(PublicAccess::ALL),
            ownership: Some("BucketOwnerEnforced".to_owned()),
            encryption: Encryption::default(),
            lifecycle: Vec::new(),
        }
    }
}

/// Whether versions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Versioning {
    /// Every write makes a version.
    Enabled,
    /// Writes replace the version `null`; others stay.
    Suspended,
}

/// A public access block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the four switches that S3 has")]
pub struct PublicAccess {
    /// New public ACLs are refused.
    pub block_public_acls: bool,
    /// ACLs don't count.
    pub ignore_public_acls: bool,
    /// New public policies are refused.
    pub block_public_policy: bool,
    /// A public policy lets nobody in from outside.
    pub restrict_public_buckets: bool,
}

impl PublicAccess {
    /// Everything blocked.
    pub const ALL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };
}

/// A bucket's encryption with S3's own keys (`AES256`), the only one without a key service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// `BucketKeyEnabled`.
    pub bucket_key: bool,
}

/// One version of an object, or the mark that it was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The object's key.
    pub key: String,
    /// The version's id.
    pub id: String,
    /// Grows with every write.
    pub sequence: u64,
    /// Whether it marks the deletion.
    pub marker: bool,
    /// The name of the data's file; none for a mark.
    pub data: Option<String>,
    /// In bytes.
    pub size: u64,
    /// The entity tag without quotes.
    pub etag: String,
    /// When it was written.
    pub modified: Timestamp,
    /// Headers that are given back.
    pub headers: Headers,
    /// `x-amz-meta-…`
    pub metadata: BTreeMap<String, String>,
    /// The object's tags.
    pub tags: Vec<(String, String)>,
    /// Checksums that came with the data and were right.
    pub checksums: Checksums,
}

/// Headers of an object that are given back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headers {
    /// `Cache-Control`
    pub cache_control: Option<String>,
    /// `Content-Disposition`
    pub content_disposition: Option<String>,
    /// `Content-Encoding`
    pub content_encoding: Option<String>,
    /// `Content-Language`
    pub content_language: Option<String>,
    /// `Content-Type`
    pub content_type: Option<String>,
}

/// Checksums of an object in base64, as `x-amz-checksum-…` has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksums {
    /// CRC-32.
    pub crc32: Option<String>,
    /// CRC-32C.
    pub crc32c: Option<String>,
    /// CRC-64/NVME.
    pub crc64nvme: Option<String>,
    /// SHA-1.
    pub sha1: Option<String>,
    /// SHA-256.
    pub sha256: Option<String>,
}

//! AWS, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DurationText, PathText};

/// AWS: the STS where the issuer assumes roles on its callers' behalf, and what `tagmint aws render` sets up.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAws {
    /// The region whose STS is asked: the one nearest to the issuer. Sessions are good in all regions. The bucket is made there.
    #[schemars(example = "eu-central-1")]
    pub region: String,
    /// The URL of an STS other than the region's own: of a VPC endpoint, of Ceph, of `tagmint localaws`. `http://` is allowed for a
    /// loopback host, and not in prod.
    #[schemars(example = "https://sts.vpce.example.org")]
    pub sts_endpoint: Option<String>,
    /// A PEM file with the certificates to trust at STS, instead of the system's.
    #[schemars(example = "/etc/tagmint/sts-ca.pem")]
    pub ca_file: Option<PathText>,
    /// The account of the roles and the bucket: twelve digits. `${aws.account}` stands for it in the `roles` of rules and in
    /// `aws.bucket.name`. Needed for `tagmint aws`.
    #[schemars(example = "111122223333")]
    pub account: Option<String>,
    /// The partition. Default: the one that the region belongs to. One of `aws`, `aws-cn` (China), `aws-us-gov` (GovCloud), `aws-eusc` (European
    /// Sovereign Cloud), `aws-iso`, `aws-iso-b`, `aws-iso-e` or `aws-iso-f`.
    pub partition: Option<String>,
    /// The bucket in which each session has its own prefix, for `tagmint aws`.
    pub bucket: Option<RawBucket>,
    /// The roles to set up, for `tagmint aws`: which rules they are for say the rules' `roles`.
    #[serde(default)]
    pub role: Vec<RawRole>,
}

/// The bucket in which each session has its own prefix.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBucket {
    /// Its name. Buckets' names are unique in the world: `${aws.account}` in it makes it so.
    #[schemars(example = "agentkeys-mail-${aws.account}")]
    pub name: String,
    /// Whether old versions are kept, so that what was overwritten or deleted can be brought back.
    #[serde(default)]
    pub versioning: bool,
    /// How long old versions are kept, in whole days (`"90d"`).
    #[serde(default = "default_keep_old_versions")]
    pub keep_old_versions: DurationText,
    /// When an upload in parts that was not finished is removed, in whole days.
    #[serde(default = "default_abort_uploads")]
    pub abort_uploads: DurationText,
    /// What S3 removes by itself when it is old enough.
    #[serde(default)]
    pub expire: Vec<RawExpiry>,
}

fn default_keep_old_versions() -> DurationText {
    "90d".into()
}

fn default_abort_uploads() -> DurationText {
    "7d".into()
}

/// Objects that S3 removes by itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawExpiry {
    /// What their keys begin with.
    #[schemars(example = "pr-")]
    pub prefix: String,
    /// Their age, in whole days.
    #[schemars(example = "14d")]
    pub after: DurationText,
}

/// A role to set up.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRole {
    /// Its name. The rules whose `roles` have its ARN are the ones whose tokens it takes.
    #[schemars(example = "agentkeys-data-role")]
    pub name: String,
    /// The longest session. 1 to 12 hours.
    #[serde(default = "default_max_session")]
    pub max_session: DurationText,
    /// What its sessions reach of the bucket: everything below the value of their tag. Every rule of the role fixes one of these tags.
    #[serde(default)]
    pub access: Vec<RawAccess>,
}

fn default_max_session() -> DurationText {
    "1h".into()
}

/// What a session with a tag reaches.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAccess {
    /// The tag's key. Its value is the prefix.
    #[schemars(example = &"prefix")]
    pub tag: String,
    /// What the session may do there.
    pub mode: RawMode,
}

/// What a session may do below its prefix.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum RawMode {
    /// List and read.
    Read,
    /// List, read, write and delete.
    ReadWrite,
}

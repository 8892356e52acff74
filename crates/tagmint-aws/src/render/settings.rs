//! What the configuration says of the AWS side.

use tagmint_core::environment::Environment;

/// The text that stands for the account in the bucket's name and in rules' roles.
pub const ACCOUNT_VARIABLE: &str = "${aws.account}";

/// All that a set-up is made of, beside the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The issuer's URL, as `https://broker.example.org`.
    pub issuer: String,
    /// Which world it belongs to.
    pub environment: Environment,
    /// The partition's name in ARNs: `aws`.
    pub partition: String,
    /// The account, twelve digits.
    pub account: String,
    /// The region, where the bucket is.
    pub region: String,
    /// Whether tokens have a source identity.
    pub source_identity: bool,
    /// Whether tokens name their roles.
    pub roles_claim: bool,
    /// The roles.
    pub roles: Vec<RoleSettings>,
    /// The bucket; none where the roles are for something else.
    pub bucket: Option<BucketSettings>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSettings {
    /// Its name.
    pub name: String,
    /// The longest session, in seconds: 3600 to 43,200.
    pub max_session_seconds: u32,
    /// What its sessions reach of the bucket, by their tags.
    pub access: Vec<Access>,
}

/// What a session with a tag reaches: everything below the tag's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The tag's key.
    pub tag: String,
    /// What it may do there.
    pub mode: Mode,
}

/// What a session may do below its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// List and read.
    Read,
    /// List, read, write and delete.
    ReadWrite,
}

/// The bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSettings {
    /// Its name, in which `${aws.account}` stands for the account.
    pub name: String,
    /// Whether old versions are kept.
    pub versioning: bool,
    /// After how many days old versions are removed.
    pub keep_old_versions_days: u32,
    /// After how many days an upload in parts that was not finished is removed.
    pub abort_uploads_days: u32,
    /// What is removed by its age.
    pub expire: Vec<Expiry>,
}

/// Objects that are removed by their age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// What their keys begin with.
    pub prefix: String,
    /// After how many days.
    pub days: u32,
}

impl Settings {
    /// The ARN of a role of this name, in this account.
    pub fn role_arn(&self, name: &str, account: &str) -> String {
        format!("arn:{}:iam::{account}:role/{name}", self.partition)
    }
}

impl BucketSettings {
    /// The name in an account.
    pub fn name_in(&self, account: &str) -> String {
        self.name.replace(ACCOUNT_VARIABLE, account)
    }
}

//! Which account the stand-in plays, and where.

use serde::{Deserialize, Serialize};
use tagmint_iam::partition;

/// Account, region and partition, in which everything is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The account's number, twelve digits.
    pub account: String,
    /// The region.
    pub region: String,
}

/// The account's number unless another one is asked for; the one that `tagmint dev` pins its tokens to.
pub const ACCOUNT: &str = "000000000000";
/// The region unless another one is asked for.
pub const REGION: &str = "us-east-1";

impl Default for Scope {
    fn default() -> Self {
        Self { partition: "aws".to_owned(), account: ACCOUNT.to_owned(), region: REGION.to_owned() }
    }
}

impl Scope {
    /// The ARN of something in the account's IAM, as `role/NAME`.
    pub fn iam(&self, resource: &str) -> String {
        format!("arn:{}:iam::{}:{resource}", self.partition, self.account)
    }

    /// The ARN of a session: `assumed-role/ROLE/SESSION`.
    pub fn sts(&self, resource: &str) -> String {
        format!("arn:{}:sts::{}:{resource}", self.partition, self.account)
    }

    /// The ARN of a bucket or an object: `BUCKET/KEY`.
    pub fn s3(&self, resource: &str) -> String {
        format!("arn:{}:s3:::{resource}", self.partition)
    }
}

/// The scope that the stand-in is to play. An open member is the one that its folder was made for, or the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeChoice {
    /// The partition; left open, the region's.
    pub partition: Option<String>,
    /// The account's number.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
}

/// A folder of another account, region or partition.
#[derive(Debug, PartialEq, Eq)]
pub struct OtherScope {
    /// The option's name: `account`.
    pub what: &'static str,
    /// The value that the folder was made for.
    pub kept: String,
    /// The value that is asked for.
    pub asked: String,
}

impl ScopeChoice {
    /// The scope of a new folder.
    pub fn fresh(&self) -> Scope {
        let default = Scope::default();
        let region = self.region.clone().unwrap_or(default.region);
        Scope {
            partition: self.partition.clone().unwrap_or_else(|| partition::of_region(&region).name.to_owned()),
            account: self.account.clone().unwrap_or(default.account),
            region,
        }
    }

    /// Compares with what a folder was made for.
    pub fn fits(&self, kept: &Scope) -> Result<(), OtherScope> {
        for (what, asked, kept) in [
            ("account", &self.account, &kept.account),
            ("region", &self.region, &kept.region),
            ("partition", &self.partition, &kept.partition),
        ] {
            if let Some(asked) = asked.as_ref().filter(|asked| *asked != kept) {
                return Err(OtherScope { what, kept: kept.clone(), asked: asked.clone() });
            }
        }
        Ok(())
    }
}

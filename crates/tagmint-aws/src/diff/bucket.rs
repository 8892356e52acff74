//! The bucket and what is set up for it.

use tagmint_iam::policy::{Kind, Policy};

use super::{DiffError, PolicyKind, Report, is_missing, policy};
use crate::{
    client::{
        s3::{Call, S3},
        xml::Element,
    },
    connection::Connection,
    policies::{self, Problem, Unread},
    render::BucketPlan,
};

/// What reads a bucket's settings.
struct Reader<'a> {
    s3: S3,
    bucket: &'a str,
    at: String,
}

/// Compares; gives the policy that the bucket has.
pub(super) async fn compare(
    connection: &Connection,
    plan: &BucketPlan,
    report: &mut Report,
) -> Result<Option<Policy>, DiffError> {
    let at = format!("bucket {}", plan.name);
    let found = match policies::bucket_policy(connection, &plan.name).await {
        Ok(found) => found,
        Err(unread) if is_missing(&unread, "NoSuchBucket") => {
            report.drift("bucket-missing", &at, "there is no such bucket");
            return Ok(None);
        }
        Err(unread) => {
            report.unseen(unread)?;
            None
        }
    };
    let unread = report.unread.iter().any(|unseen| unseen.permission == "s3:GetBucketPolicy");
    match (&found, Policy::parse_as(Kind::Resource, &plan.policy.to_string())) {
        (Some(found), Ok(wanted)) => {
            for (id, text) in policy::compare(PolicyKind::Bucket, &wanted, found) {
                report.drift(id, &at, text);
            }
        }
        (None, _) if !unread => {
            let text = "it has no policy: no session reaches anything, and requests in clear are not refused";
            report.drift("bucket-policy-missing", &at, text);
        }
        _ => {}
    }
    let s3 = connection.operator_s3().await?;
    let reader = Reader { s3, bucket: &plan.name, at };
    reader.public_access(report).await?;
    reader.ownership(report).await?;
    reader.encryption(report).await?;
    reader.versioning(plan, report).await?;
    reader.lifecycle(plan, report).await?;
    Ok(found)
}

impl Reader<'_> {
    /// The configuration that a subresource of the bucket holds. Where it could not be read, that is noted.
    async fn read(&self, wanted: &Wanted, report: &mut Report) -> Result<Read, DiffError> {
        let failure = match self.s3.read(Call::bucket("GET", self.bucket).subresource(wanted.subresource)).await {
            Ok(answer) => return Ok(Read::Answer(answer)),
            Err(failure) => failure,
        };
        if wanted.missing.is_some() && failure.code() == wanted.missing {
            return Ok(Read::Nothing);
        }
        let what = format!("{} of the bucket {}", wanted.what, self.bucket);
        report.unseen(Unread { what, permission: wanted.permission, problem: Problem::Failure(failure) })?;
        Ok(Read::Unread)
    }

    async fn public_access(&self, report: &mut Report) -> Result<(), DiffError> {
        let wanted = Wanted {
            subresource: "publicAccessBlock",
            what: "the public access block",
            permission: "s3:GetBucketPublicAccessBlock",
            missing: Some("NoSuchPublicAccessBlockConfiguration"),
        };
        let block = match self.read(&wanted, report).await? {
            Read::Unread => return Ok(()),
            Read::Nothing => None,
            Read::Answer(answer) => Some(answer),
        };
        for (name, meaning) in [
            ("BlockPublicAcls", "ACLs that let the public in can be set"),
            ("IgnorePublicAcls", "ACLs that let the public in count"),
            ("BlockPublicPolicy", "a policy that lets the public in can be set"),
            ("RestrictPublicBuckets", "a policy that lets the public in works"),
        ] {
            let on = block.as_ref().and_then(|block| block.value_of(name)).unwrap_or(false);
            if !on {
                report.drift(
                    "bucket-public-access",
                    &self.at,
                    format!("{name} of the public access block is off: {meaning}"),
                );
            }
        }
        Ok(())
    }

    async fn ownership(&self, report: &mut Report) -> Result<(), DiffError> {
        let wanted = Wanted {
            subresource: "ownershipControls",
            what: "the ownership controls",
            permission: "s3:GetBucketOwnershipControls",
            missing: Some("OwnershipControlsNotFoundError"),
        };
        let found = match self.read(&wanted, report).await? {
            Read::Unread => return Ok(()),
            Read::Nothing => None,
            Read::Answer(answer) => answer.find("ObjectOwnership").map(|found| found.text().to_owned()),
        };
        if found.as_deref() != Some("BucketOwnerEnforced") {
            let found = found.unwrap_or_else(|| "nothing".to_owned());
            let text = format!(
                "object ownership is {found} instead of BucketOwnerEnforced: ACLs count, beside the bucket policy"
            );
            report.drift("bucket-ownership", &self.at, text);
        }
        Ok(())
    }

    async fn encryption(&self, report: &mut Report) -> Result<(), DiffError> {
        let wanted = Wanted {
            subresource: "encryption",
            what: "the encryption",
            permission: "s3:GetEncryptionConfiguration",
            missing: Some("ServerSideEncryptionConfigurationNotFoundError"),
        };
        let found = match self.read(&wanted, report).await? {
            Read::Unread => return Ok(()),
            Read::Nothing => None,
            Read::Answer(answer) => answer.find("SSEAlgorithm").map(|found| found.text().to_owned()),
        };
        match found.as_deref() {
            Some("AES256") => {}
            Some(other) => {
                let text = format!(
                    "the default encryption is {other} instead of AES256: the role has no right to a key of KMS, so sessions read and write nothing new"
                );
                report.drift("bucket-encryption", &self.at, text);
            }
            None => report.drift("bucket-encryption", &self.at, "there is no default encryption"),
        }
        Ok(())
    }

    async fn versioning(&self, plan: &BucketPlan, report: &mut Report) -> Result<(), DiffError> {
        let wanted = Wanted {
            subresource: "versioning",
            what: "the versioning",
            permission: "s3:GetBucketVersioning",
            missing: None,
        };
        let Read::Answer(answer) = self.read(&wanted, report).await? else {
            return Ok(());
        };
        match (plan.versioning, answer.text_of("Status") == Some("Enabled")) {
            (true, false) => {
                let text = "old versions are not kept: what is overwritten or deleted is lost";
                report.drift("bucket-versioning", &self.at, text);
            }
            (false, true) => {
                let text = "old versions are kept: what is deleted stays, and costs";
                report.drift("bucket-versioning", &self.at, text);
            }
            _ => {}
        }
        Ok(())
    }

    async fn lifecycle(&self, plan: &BucketPlan, report: &mut Report) -> Result<(), DiffError> {
        let wanted = Wanted {
            subresource: "lifecycle",
            what: "the lifecycle",
            permission: "s3:GetLifecycleConfiguration",
            missing: Some("NoSuchLifecycleConfiguration"),
        };
        let rules = match self.read(&wanted, report).await? {
            Read::Unread => return Ok(()),
            Read::Nothing => Vec::new(),
            Read::Answer(answer) => answer.all("Rule").cloned().collect(),
        };
        let mut found: Vec<Removal> = rules.iter().flat_map(removals).collect();
        for removal in planned(plan) {
            match found.iter().position(|other| *other == removal) {
                Some(index) => {
                    found.remove(index);
                }
                None => report.drift("bucket-lifecycle", &self.at, format!("nothing removes {}", removal.told())),
            }
        }
        for removal in found {
            let text = format!("the lifecycle also removes {}, which the configuration does not say", removal.told());
            report.drift("bucket-lifecycle", &self.at, text);
        }
        Ok(())
    }
}

/// One configuration of a bucket.
struct Wanted {
    /// The name in the query that selects it.
    subresource: &'static str,
    /// Its name in messages.
    what: &'static str,
    /// The permission to read it.
    permission: &'static str,
    /// S3's code where nothing is set up, if there is such a code.
    missing: Option<&'static str>,
}

/// What came of reading a setting.
enum Read {
    Answer(Element),
    Nothing,
    Unread,
}

/// What a lifecycle removes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Removal {
    Objects {
        prefix: String,
        days: i64,
    },
    OldVersions {
        prefix: String,
        days: i64,
    },
    Uploads {
        prefix: String,
        days: i64,
    },
    /// By a date, a number of versions, a tag or a size.
    Otherwise {
        id: String,
    },
}

impl Removal {
    fn told(&self) -> String {
        let below = |prefix: &str| if prefix.is_empty() { String::new() } else { format!(" below {prefix}") };
        match self {
            Self::Objects { prefix, days } => format!("objects{} after {days} days", below(prefix)),
            Self::OldVersions { prefix, days } => format!("old versions{} after {days} days", below(prefix)),
            Self::Uploads { prefix, days } => format!("unfinished uploads{} after {days} days", below(prefix)),
            Self::Otherwise { id } => format!("what its rule `{id}` says"),
        }
    }
}

fn planned(plan: &BucketPlan) -> Vec<Removal> {
    let mut all = vec![Removal::Uploads { prefix: String::new(), days: i64::from(plan.abort_uploads_days) }];
    if plan.versioning {
        all.push(Removal::OldVersions { prefix: String::new(), days: i64::from(plan.keep_old_versions_days) });
    }
    all.extend(
        plan.expire
            .iter()
            .map(|expiry| Removal::Objects { prefix: expiry.prefix.clone(), days: i64::from(expiry.days) }),
    );
    all
}

fn removals(rule: &Element) -> Vec<Removal> {
    if rule.text_of("Status") != Some("Enabled") {
        return Vec::new();
    }
    let id = rule.text_of("ID").unwrap_or_default().to_owned();
    let filter = rule.child("Filter");
    let narrower = filter.is_some_and(|filter| {
        ["And", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan"].iter().any(|name| filter.child(name).is_some())
    });
    let by_date = rule.child("Expiration").is_some_and(|expiration| expiration.child("Date").is_some());
    if narrower || by_date {
        return vec![Removal::Otherwise { id }];
    }
    // S3 still hands the form without a filter out where it was set so, as CloudFormation does.
    let prefix = filter.and_then(|filter| filter.text_of("Prefix")).or_else(|| rule.text_of("Prefix"));
    let prefix = prefix.unwrap_or_default().to_owned();
    let days = |element: &str, days: &str| rule.child(element).and_then(|element| element.value_of::<i64>(days));
    let mut all = Vec::new();
    if let Some(days) = days("Expiration", "Days") {
        all.push(Removal::Objects { prefix: prefix.clone(), days });
    }
    if let Some(days) = days("NoncurrentVersionExpiration", "NoncurrentDays") {
        all.push(Removal::OldVersions { prefix: prefix.clone(), days });
    }
    if let Some(days) = days("AbortIncompleteMultipartUpload", "DaysAfterInitiation") {
        all.push(Removal::Uploads { prefix, days });
    }
    all
}

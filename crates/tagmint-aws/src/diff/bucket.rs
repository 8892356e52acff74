//! The bucket and what is set up for it.

use std::error::Error;

use aws_sdk_s3::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::{
        AbortIncompleteMultipartUpload, BucketVersioningStatus, ExpirationStatus, LifecycleExpiration, LifecycleRule,
        NoncurrentVersionExpiration,
    },
};
use tagmint_iam::policy::{Kind, Policy};

use super::{DiffError, PolicyKind, Report, is_missing, policy};
use crate::{
    connection::{Connection, Service},
    failure::Failure,
    policies::{self, Problem, Unread},
    render::BucketPlan,
};

/// What reads a bucket's settings.
struct Reader<'a> {
    s3: Client,
    service: String,
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
    let reader = Reader { s3, service: connection.named(Service::S3), bucket: &plan.name, at };
    reader.public_access(report).await?;
    reader.ownership(report).await?;
    reader.encryption(report).await?;
    reader.versioning(plan, report).await?;
    reader.lifecycle(plan, report).await?;
    Ok(found)
}

impl Reader<'_> {
    /// The answer; none where nothing is set up (`missing`), or where it was not to be read, which is noted.
    fn read<T, E>(
        &self,
        what: &str,
        permission: &'static str,
        missing: Option<&str>,
        answer: Result<T, SdkError<E, HttpResponse>>,
        report: &mut Report,
    ) -> Result<Read<T>, DiffError>
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let error = match answer {
            Ok(answer) => return Ok(Read::Answer(answer)),
            Err(error) => error,
        };
        let failure = Failure::of(&self.service, &error);
        if missing.is_some() && failure.code() == missing {
            return Ok(Read::Nothing);
        }
        let what = format!("{what} of the bucket {}", self.bucket);
        report.unseen(Unread { what, permission, problem: Problem::Failure(failure) })?;
        Ok(Read::Unread)
    }

    async fn public_access(&self, report: &mut Report) -> Result<(), DiffError> {
        let answer = self.s3.get_public_access_block().bucket(self.bucket).send().await;
        let code = Some("NoSuchPublicAccessBlockConfiguration");
        let read = self.read("the public access block", "s3:GetBucketPublicAccessBlock", code, answer, report)?;
        let block = match read {
            Read::Unread => return Ok(()),
            Read::Nothing => None,
            Read::Answer(answer) => answer.public_access_block_configuration().cloned(),
        };
        let is_on = |switch: Option<bool>| switch == Some(true);
        for (name, on, meaning) in [
            (
                "BlockPublicAcls",
                block.as_ref().is_some_and(|block| is_on(block.block_public_acls())),
                "ACLs that let the public in can be set",
            ),
            (
                "IgnorePublicAcls",
                block.as_ref().is_some_and(|block| is_on(block.ignore_public_acls())),
                "ACLs that let the public in count",
            ),
            (
                "BlockPublicPolicy",
                block.as_ref().is_some_and(|block| is_on(block.block_public_policy())),
                "a policy that lets the public in can be set",
            ),
            (
                "RestrictPublicBuckets",
                block.as_ref().is_some_and(|block| is_on(block.restrict_public_buckets())),
                "a policy that lets the public in works",
            ),
        ] {
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
        let answer = self.s3.get_bucket_ownership_controls().bucket(self.bucket).send().await;
        let code = Some("OwnershipControlsNotFoundError");
        let read = self.read("the ownership controls", "s3:GetBucketOwnershipControls", code, answer, report)?;
        let found = match read {
            Read::Unread => return Ok(()),
            Read::Nothing => None,
            Read::Answer(answer) => answer
                .ownership_controls()
                .and_then(|controls| controls.rules().first())
                .map(|rule| rule.object_ownership().as_str().to_owned()),
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
        let answer = self.s3.get_bucket_encryption().bucket(self.bucket).send().await;
        let code = Some("ServerSideEncryptionConfigurationNotFoundError");
        let read = self.read("the encryption", "s3:GetEncryptionConfiguration", code, answer, report)?;
        let found = match read {
            Read::Unread => return Ok(()),
            Read::Nothing => None,
            Read::Answer(answer) => answer
                .server_side_encryption_configuration()
                .and_then(|configuration| configuration.rules().first())
                .and_then(|rule| rule.apply_server_side_encryption_by_default())
                .map(|default| default.sse_algorithm().as_str().to_owned()),
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
        let answer = self.s3.get_bucket_versioning().bucket(self.bucket).send().await;
        let Read::Answer(answer) = self.read("the versioning", "s3:GetBucketVersioning", None, answer, report)? else {
            return Ok(());
        };
        match (plan.versioning, answer.status() == Some(&BucketVersioningStatus::Enabled)) {
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
        let answer = self.s3.get_bucket_lifecycle_configuration().bucket(self.bucket).send().await;
        let code = Some("NoSuchLifecycleConfiguration");
        let read = self.read("the lifecycle", "s3:GetLifecycleConfiguration", code, answer, report)?;
        let rules = match read {
            Read::Unread => return Ok(()),
            Read::Nothing => Vec::new(),
            Read::Answer(answer) => answer.rules().to_vec(),
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

/// What came of reading a setting.
enum Read<T> {
    Answer(T),
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

fn removals(rule: &LifecycleRule) -> Vec<Removal> {
    if *rule.status() != ExpirationStatus::Enabled {
        return Vec::new();
    }
    let id = rule.id().unwrap_or_default().to_owned();
    let filter = rule.filter();
    let narrower = filter.is_some_and(|filter| {
        filter.and().is_some()
            || filter.tag().is_some()
            || filter.object_size_greater_than().is_some()
            || filter.object_size_less_than().is_some()
    });
    let by_date = rule.expiration().is_some_and(|expiration| expiration.date().is_some());
    if narrower || by_date {
        return vec![Removal::Otherwise { id }];
    }
    #[expect(deprecated, reason = "S3 still hands the old form out where it was set so, as CloudFormation does")]
    let old = rule.prefix();
    let prefix = filter.and_then(|filter| filter.prefix()).or(old).unwrap_or_default().to_owned();
    let mut all = Vec::new();
    if let Some(days) = rule.expiration().and_then(LifecycleExpiration::days) {
        all.push(Removal::Objects { prefix: prefix.clone(), days: i64::from(days) });
    }
    if let Some(days) = rule.noncurrent_version_expiration().and_then(NoncurrentVersionExpiration::noncurrent_days) {
        all.push(Removal::OldVersions { prefix: prefix.clone(), days: i64::from(days) });
    }
    if let Some(days) =
        rule.abort_incomplete_multipart_upload().and_then(AbortIncompleteMultipartUpload::days_after_initiation)
    {
        all.push(Removal::Uploads { prefix, days: i64::from(days) });
    }
    all
}

//! What the renderings have in common.

use serde_json::{Value, json};

use super::plan::{BucketPlan, SetUp};

/// The head of a rendered file, one line each.
pub(super) fn head(set_up: &SetUp, what: &str) -> Vec<String> {
    vec![
        format!("AWS's side of the {} issuer {}: {what}.", set_up.environment, set_up.provider.url),
        "Written by `tagmint aws render` from the issuer's configuration; don't edit.".to_owned(),
        "What each part is for: docs/aws-setup.md. `tagmint aws diff` compares an account with the configuration."
            .to_owned(),
    ]
}

/// Lines as comments.
pub(super) fn comments(lines: &[String]) -> String {
    lines.iter().flat_map(|line| ["# ", line.as_str(), "\n"]).collect()
}

/// What a role is for, in IAM's description.
pub(super) fn description(rules: &[String]) -> String {
    let noun = if rules.len() == 1 { "rule" } else { "rules" };
    format!("Sessions by tokens of Tagmint, {noun} {}", rules.join(", "))
}

/// A rule of a bucket's lifecycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LifecycleRule {
    pub(super) id: String,
    pub(super) why: &'static str,
    pub(super) prefix: String,
    pub(super) kind: LifecycleKind,
}

/// What a rule of a bucket's lifecycle removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LifecycleKind {
    /// Objects of this age.
    Expire(u32),
    /// Old versions of this age, and the marks of deletions behind which nothing is left.
    OldVersions(u32),
    /// Uploads in parts that began so many days ago.
    AbortUploads(u32),
}

/// The rules of a bucket's lifecycle.
pub(super) fn lifecycle(bucket: &BucketPlan) -> Vec<LifecycleRule> {
    let mut rules = vec![LifecycleRule {
        id: "abort-uploads".to_owned(),
        why: "Uploads in parts that nobody finishes cost, and no list shows them.",
        prefix: String::new(),
        kind: LifecycleKind::AbortUploads(bucket.abort_uploads_days),
    }];
    if bucket.versioning {
        rules.push(LifecycleRule {
            id: "old-versions".to_owned(),
            why: "What was overwritten or deleted can be brought back for so long.",
            prefix: String::new(),
            kind: LifecycleKind::OldVersions(bucket.keep_old_versions_days),
        });
    }
    rules.extend(bucket.expire.iter().enumerate().map(|(index, expiry)| LifecycleRule {
        id: format!("expire-{}", index + 1),
        why: "What is below this prefix is not kept.",
        prefix: expiry.prefix.clone(),
        kind: LifecycleKind::Expire(expiry.days),
    }));
    rules
}

/// The lifecycle as S3's API has it.
pub(super) fn lifecycle_document(bucket: &BucketPlan) -> Value {
    let rules: Vec<Value> = lifecycle(bucket)
        .into_iter()
        .map(|rule| {
            let mut document = json!({"ID": rule.id, "Status": "Enabled", "Filter": {"Prefix": rule.prefix}});
            match rule.kind {
                LifecycleKind::Expire(days) => document["Expiration"] = json!({"Days": days}),
                LifecycleKind::OldVersions(days) => {
                    document["Expiration"] = json!({"ExpiredObjectDeleteMarker": true});
                    document["NoncurrentVersionExpiration"] = json!({"NoncurrentDays": days});
                }
                LifecycleKind::AbortUploads(days) => {
                    document["AbortIncompleteMultipartUpload"] = json!({"DaysAfterInitiation": days});
                }
            }
            document
        })
        .collect();
    json!({"Rules": rules})
}

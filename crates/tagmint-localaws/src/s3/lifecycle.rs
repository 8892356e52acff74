//! A bucket's lifecycle: kept and given back. Nothing is removed by its age here.

use s3s::dto::*;

use super::{failure::S3Failure, store};
use crate::aws::Aws;

type Outcome<T> = Result<T, S3Failure>;

/// What S3 answers where nothing else was asked for (API reference, `TransitionDefaultMinimumObjectSize`).
const SMALLEST: &str = "all_storage_classes_128K";

/// `GetBucketLifecycleConfiguration`.
pub fn get(aws: &Aws, bucket: &str) -> Outcome<GetBucketLifecycleConfigurationOutput> {
    let rules = aws.storage.config(bucket)?.lifecycle;
    if rules.is_empty() {
        let message = "The lifecycle configuration does not exist";
        return Err(S3Failure::new(404, "NoSuchLifecycleConfiguration", message));
    }
    Ok(GetBucketLifecycleConfigurationOutput {
        rules: Some(rules.into_iter().map(to_dto).collect()),
        transition_default_minimum_object_size: Some(SMALLEST.to_owned().into()),
    })
}

/// `PutBucketLifecycleConfiguration`.
pub fn put(aws: &Aws, input: PutBucketLifecycleConfigurationInput) -> Outcome<PutBucketLifecycleConfigurationOutput> {
    let rules = input.lifecycle_configuration.map(|configuration| configuration.rules).unwrap_or_default();
    if rules.is_empty() {
        return Err(malformed());
    }
    let rules = rules.into_iter().map(from_dto).collect::<Outcome<Vec<_>>>()?;
    aws.storage.change_bucket(&input.bucket, |config| config.lifecycle = rules)?;
    Ok(PutBucketLifecycleConfigurationOutput {
        transition_default_minimum_object_size: Some(SMALLEST.to_owned().into()),
    })
}

/// `DeleteBucketLifecycle`.
pub fn delete(aws: &Aws, bucket: &str) -> Outcome<DeleteBucketLifecycleOutput> {
    aws.storage.change_bucket(bucket, |config| config.lifecycle.clear())?;
    Ok(DeleteBucketLifecycleOutput::default())
}

fn malformed() -> S3Failure {
    S3Failure::new(
        400,
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

fn from_dto(rule: LifecycleRule) -> Outcome<store::LifecycleRule> {
    if rule.transitions.is_some() || rule.noncurrent_version_transitions.is_some() {
        return Err(S3Failure::not_implemented("transitions of a lifecycle to other storage classes"));
    }
    let filter = rule.filter.unwrap_or_default();
    let narrower = filter.and.is_some()
        || filter.tag.is_some()
        || filter.object_size_greater_than.is_some()
        || filter.object_size_less_than.is_some();
    if narrower {
        return Err(S3Failure::not_implemented("filters of a lifecycle by anything but a prefix"));
    }
    let expiration = rule.expiration.unwrap_or_default();
    let noncurrent = rule.noncurrent_version_expiration.unwrap_or_default();
    if expiration.date.is_some() || noncurrent.newer_noncurrent_versions.is_some() {
        return Err(S3Failure::not_implemented("expiry of a lifecycle by a date or a number of versions"));
    }
    let kept = store::LifecycleRule {
        id: rule.id.unwrap_or_default(),
        prefix: filter.prefix.or(rule.prefix).unwrap_or_default(),
        enabled: rule.status.as_str() == ExpirationStatus::ENABLED,
        days: expiration.days,
        markers: expiration.expired_object_delete_marker.unwrap_or(false),
        noncurrent_days: noncurrent.noncurrent_days,
        abort_days: rule.abort_incomplete_multipart_upload.and_then(|abort| abort.days_after_initiation),
    };
    let does = kept.days.is_some() || kept.markers || kept.noncurrent_days.is_some() || kept.abort_days.is_some();
    if does { Ok(kept) } else { Err(malformed()) }
}

fn to_dto(rule: store::LifecycleRule) -> LifecycleRule {
    let expires = rule.days.is_some() || rule.markers;
    LifecycleRule {
        abort_incomplete_multipart_upload: rule
            .abort_days
            .map(|days| AbortIncompleteMultipartUpload { days_after_initiation: Some(days) }),
        expiration: expires.then_some(LifecycleExpiration {
            date: None,
            days: rule.days,
            expired_object_delete_marker: rule.markers.then_some(true),
        }),
        filter: Some(LifecycleRuleFilter { prefix: Some(rule.prefix), ..LifecycleRuleFilter::default() }),
        id: Some(rule.id),
        noncurrent_version_expiration: rule
            .noncurrent_days
            .map(|days| NoncurrentVersionExpiration { newer_noncurrent_versions: None, noncurrent_days: Some(days) }),
        noncurrent_version_transitions: None,
        prefix: None,
        status: ExpirationStatus::from_static(if rule.enabled {
            ExpirationStatus::ENABLED
        } else {
            ExpirationStatus::DISABLED
        }),
        transitions: None,
    }
}

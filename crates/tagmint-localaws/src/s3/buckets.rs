//! Buckets and what is set up for them.

use s3s::dto::*;

use super::{
    backend::{owner, timestamp},
    failure::S3Failure,
    policy,
    store::{Encryption, PublicAccess, Versioning},
};
use crate::{
    aws::Aws,
    scope::{REGION, Scope},
};

type Outcome<T> = Result<T, S3Failure>;

/// `CreateBucket`, in the one region that there is.
pub fn create(aws: &Aws, input: CreateBucketInput) -> Outcome<CreateBucketOutput> {
    let constraint = input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint);
    located(&aws.scope, constraint.as_ref().map(BucketLocationConstraint::as_str))?;
    if input.object_lock_enabled_for_bucket == Some(true) {
        return Err(S3Failure::not_implemented("object lock"));
    }
    private_acl(input.acl.as_ref().map(BucketCannedACL::as_str))?;
    aws.storage.create_bucket(&input.bucket, aws.clock.now())?;
    if let Some(ownership) = input.object_ownership {
        aws.storage.change_bucket(&input.bucket, |config| config.ownership = Some(ownership.as_str().to_owned()))?;
    }
    Ok(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) })
}

/// A bucket is made in the region of the endpoint, which has to be named anywhere but in us-east-1 (API reference of S3, `CreateBucket`).
fn located(scope: &Scope, constraint: Option<&str>) -> Outcome<()> {
    let region = scope.region.as_str();
    let told = match constraint {
        Some(constraint) if constraint == region => return Ok(()),
        None | Some("") if region == REGION => return Ok(()),
        None | Some("") => "unspecified",
        Some(constraint) => constraint,
    };
    let message = format!(
        "The {told} location constraint is incompatible for the region specific endpoint this request was sent to. (tagmint localaws is in \
         {region}; --region starts it in another one)"
    );
    Err(S3Failure::new(400, "IllegalLocationConstraintException", message))
}

/// `GetBucketLocation`, which tells us-east-1 as no constraint (API reference).
pub fn location(scope: &Scope) -> GetBucketLocationOutput {
    let region = Some(&scope.region).filter(|region| *region != REGION);
    GetBucketLocationOutput { location_constraint: region.map(|region| region.clone().into()) }
}

/// ACLs that grant nothing to others. Since April 2023 buckets take no others unless they are told to; here nothing would enforce them.
pub fn private_acl(acl: Option<&str>) -> Outcome<()> {
    match acl {
        None | Some("private" | "bucket-owner-full-control") => Ok(()),
        Some(_) => Err(S3Failure::new(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")),
    }
}

/// `ListBuckets`.
pub fn list(aws: &Aws, input: ListBucketsInput) -> ListBucketsOutput {
    let prefix = input.prefix.clone().unwrap_or_default();
    let buckets = aws.storage.list_buckets().into_iter().filter(|(name, _)| name.starts_with(&prefix));
    let buckets = buckets.map(|(name, config)| Bucket {
        bucket_region: Some(aws.scope.region.clone()),
        creation_date: Some(timestamp(config.created)),
        name: Some(name),
    });
    ListBucketsOutput {
        buckets: Some(buckets.collect()),
        owner: Some(owner(&aws.scope)),
        prefix: input.prefix,
        ..ListBucketsOutput::default()
    }
}

/// `HeadBucket`.
pub fn head(scope: &Scope) -> HeadBucketOutput {
    HeadBucketOutput { bucket_region: Some(scope.region.clone()), ..HeadBucketOutput::default() }
}

/// `GetBucketPolicy`.
pub fn get_policy(aws: &Aws, bucket: &str) -> Outcome<GetBucketPolicyOutput> {
    let policy = policy::shown(aws, &aws.storage.config(bucket)?);
    let missing = || S3Failure::new(404, "NoSuchBucketPolicy", "The bucket policy does not exist");
    Ok(GetBucketPolicyOutput { policy: Some(policy.ok_or_else(missing)?) })
}

/// `GetBucketPolicyStatus`.
pub fn policy_status(aws: &Aws, bucket: &str) -> Outcome<GetBucketPolicyStatusOutput> {
    let text = get_policy(aws, bucket)?.policy.unwrap_or_default();
    let parsed = tagmint_iam::policy::Policy::parse(&text);
    let is_public = parsed.is_ok_and(|parsed| policy::is_public(&parsed));
    Ok(GetBucketPolicyStatusOutput { policy_status: Some(PolicyStatus { is_public: Some(is_public) }) })
}

/// `GetBucketVersioning`.
pub fn get_versioning(aws: &Aws, bucket: &str) -> Outcome<GetBucketVersioningOutput> {
    let status = aws.storage.config(bucket)?.versioning.map(|versioning| match versioning {
        Versioning::Enabled => BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => BucketVersioningStatus::from_static(BucketVersioningStatus::SUSPENDED),
    });
    Ok(GetBucketVersioningOutput { mfa_delete: None, status })
}

/// `PutBucketVersioning`.
pub fn put_versioning(aws: &Aws, input: PutBucketVersioningInput) -> Outcome<PutBucketVersioningOutput> {
    let configuration = input.versioning_configuration;
    if configuration.mfa_delete.is_some_and(|mfa| mfa.as_str() == MFADelete::ENABLED) {
        return Err(S3Failure::not_implemented("MFA delete"));
    }
    let versioning = match configuration.status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        _ => {
            let message = "The Versioning element must be specified";
            return Err(S3Failure::new(400, "IllegalVersioningConfigurationException", message));
        }
    };
    aws.storage.change_bucket(&input.bucket, |config| config.versioning = Some(versioning))?;
    Ok(PutBucketVersioningOutput::default())
}

/// `GetBucketAcl`: the owner's full control.
pub fn acl(scope: &Scope) -> GetBucketAclOutput {
    GetBucketAclOutput { grants: Some(vec![full_control(scope)]), owner: Some(owner(scope)) }
}

/// The only grant that there is.
pub fn full_control(scope: &Scope) -> Grant {
    let Owner { display_name, id } = owner(scope);
    let grantee =
        Grantee { display_name, id, type_: Type::from_static(Type::CANONICAL_USER), email_address: None, uri: None };
    Grant { grantee: Some(grantee), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) }
}

/// `GetBucketTagging`.
pub fn get_tagging(aws: &Aws, bucket: &str) -> Outcome<GetBucketTaggingOutput> {
    let tags = aws.storage.config(bucket)?.tags.filter(|tags| !tags.is_empty());
    let tags = tags.ok_or_else(|| S3Failure::new(404, "NoSuchTagSet", "The TagSet does not exist"))?;
    Ok(GetBucketTaggingOutput { tag_set: to_dto(tags) })
}

/// `PutBucketTagging`.
pub fn put_tagging(aws: &Aws, input: PutBucketTaggingInput) -> Outcome<PutBucketTaggingOutput> {
    let tags = from_dto(input.tagging.tag_set, 50)?;
    aws.storage.change_bucket(&input.bucket, |config| config.tags = Some(tags))?;
    Ok(PutBucketTaggingOutput::default())
}

/// Tags as the protocol has them.
pub fn to_dto(tags: Vec<(String, String)>) -> TagSet {
    tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect()
}

/// Tags from the protocol, at most `max` (user guide of S3, "Object tags").
pub fn from_dto(tags: TagSet, max: usize) -> Outcome<Vec<(String, String)>> {
    let tags: Vec<(String, String)> =
        tags.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default())).collect();
    check_tags(&tags, max)?;
    Ok(tags)
}

/// Limits of S3's tags.
pub fn check_tags(tags: &[(String, String)], max: usize) -> Outcome<()> {
    if tags.len() > max {
        return Err(S3Failure::new(400, "BadRequest", format!("Object tags cannot be greater than {max}")));
    }
    for (index, (key, value)) in tags.iter().enumerate() {
        if !(1..=128).contains(&key.chars().count()) {
            return Err(S3Failure::new(400, "InvalidTag", "The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 {
            return Err(S3Failure::new(400, "InvalidTag", "The TagValue you have provided is invalid"));
        }
        if tags[..index].iter().any(|(other, _)| other == key) {
            return Err(S3Failure::new(400, "InvalidTag", "Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(())
}

/// `GetBucketEncryption`: S3's own keys, which every bucket has.
pub fn get_encryption(aws: &Aws, bucket: &str) -> Outcome<GetBucketEncryptionOutput> {
    let Encryption { bucket_key } = aws.storage.config(bucket)?.encryption;
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
            kms_master_key_id: None,
            sse_algorithm: ServerSideEncryption::from_static(ServerSideEncryption::AES256),
        }),
        bucket_key_enabled: Some(bucket_key),
    };
    let configuration = ServerSideEncryptionConfiguration { rules: vec![rule] };
    Ok(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(configuration) })
}

/// `PutBucketEncryption`: with S3's own keys, which changes nothing about how data lies on the disk.
pub fn put_encryption(aws: &Aws, input: PutBucketEncryptionInput) -> Outcome<PutBucketEncryptionOutput> {
    let mut bucket_key = false;
    for rule in input.server_side_encryption_configuration.rules {
        bucket_key |= rule.bucket_key_enabled.unwrap_or(false);
        let default = rule.apply_server_side_encryption_by_default;
        own_keys(default.as_ref().map(|default| default.sse_algorithm.as_str()))?;
    }
    aws.storage.change_bucket(&input.bucket, |config| config.encryption = Encryption { bucket_key })?;
    Ok(PutBucketEncryptionOutput::default())
}

/// There is no key service here.
pub fn own_keys(algorithm: Option<&str>) -> Outcome<()> {
    match algorithm {
        None | Some(ServerSideEncryption::AES256) => Ok(()),
        Some(other) => Err(S3Failure::not_implemented(&format!("server-side encryption with {other}"))),
    }
}

/// `GetPublicAccessBlock`.
pub fn get_public_access(aws: &Aws, bucket: &str) -> Outcome<GetPublicAccessBlockOutput> {
    let missing = || {
        let message = "The public access block configuration was not found";
        S3Failure::new(404, "NoSuchPublicAccessBlockConfiguration", message)
    };
    let block = aws.storage.config(bucket)?.public_access.ok_or_else(missing)?;
    let configuration = PublicAccessBlockConfiguration {
        block_public_acls: Some(block.block_public_acls),
        block_public_policy: Some(block.block_public_policy),
        ignore_public_acls: Some(block.ignore_public_acls),
        restrict_public_buckets: Some(block.restrict_public_buckets),
    };
    Ok(GetPublicAccessBlockOutput { public_access_block_configuration: Some(configuration) })
}

/// `PutPublicAccessBlock`.
pub fn put_public_access(aws: &Aws, input: PutPublicAccessBlockInput) -> Outcome<PutPublicAccessBlockOutput> {
    let wanted = input.public_access_block_configuration;
    let block = PublicAccess {
        block_public_acls: wanted.block_public_acls.unwrap_or(false),
        ignore_public_acls: wanted.ignore_public_acls.unwrap_or(false),
        block_public_policy: wanted.block_public_policy.unwrap_or(false),
        restrict_public_buckets: wanted.restrict_public_buckets.unwrap_or(false),
    };
    aws.storage.change_bucket(&input.bucket, |config| config.public_access = Some(block))?;
    Ok(PutPublicAccessBlockOutput::default())
}

/// `GetBucketOwnershipControls`.
pub fn get_ownership(aws: &Aws, bucket: &str) -> Outcome<GetBucketOwnershipControlsOutput> {
    let missing =
        || S3Failure::new(404, "OwnershipControlsNotFoundError", "The bucket ownership controls were not found");
    let ownership = aws.storage.config(bucket)?.ownership.ok_or_else(missing)?;
    let rule = OwnershipControlsRule { object_ownership: ownership.into() };
    let controls = OwnershipControls { rules: vec![rule] };
    Ok(GetBucketOwnershipControlsOutput { ownership_controls: Some(controls) })
}

/// `PutBucketOwnershipControls`. ACLs stay without effect, whichever it is.
pub fn put_ownership(aws: &Aws, input: PutBucketOwnershipControlsInput) -> Outcome<PutBucketOwnershipControlsOutput> {
    let rule = input.ownership_controls.rules.into_iter().next();
    let rule = rule.ok_or_else(|| S3Failure::new(400, "MalformedXML", "The XML you provided was not well-formed"))?;
    let ownership = rule.object_ownership.as_str().to_owned();
    aws.storage.change_bucket(&input.bucket, |config| config.ownership = Some(ownership))?;
    Ok(PutBucketOwnershipControlsOutput::default())
}

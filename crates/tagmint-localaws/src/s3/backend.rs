//! The operations that s3s dispatches to. Each has been allowed by the access hook before.

use std::sync::Arc;

use jiff::Timestamp as Instant;
use s3s::{S3, S3Request, S3Response, S3Result, dto::*};

use super::{
    access::Caller, buckets, copying, failure::S3Failure, lifecycle, listing, multipart::Uploads, objects, policy,
    store::Encryption,
};
use crate::{aws::Aws, scope::Scope};

/// S3 on the store.
#[derive(Debug)]
pub struct Backend {
    aws: Arc<Aws>,
    uploads: Uploads,
}

impl Backend {
    /// S3 without uploads in progress.
    pub fn new(aws: Arc<Aws>) -> Self {
        Self { aws, uploads: Uploads::default() }
    }
}

/// The owner of everything: the account, in the form of a canonical user id.
pub fn owner(scope: &Scope) -> Owner {
    Owner { display_name: None, id: Some(format!("{:0<64}", scope.account)) }
}

/// A time as s3s has it.
pub fn timestamp(time: Instant) -> Timestamp {
    Timestamp::from(std::time::SystemTime::from(time))
}

/// A time of s3s in whole seconds, as HTTP has it.
pub fn to_jiff(time: &Timestamp) -> Option<Instant> {
    let mut text = Vec::new();
    time.format(TimestampFormat::EpochSeconds, &mut text).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (seconds, _) = text.split_once('.').unwrap_or((&text, ""));
    Instant::from_second(seconds.parse().ok()?).ok()
}

/// What the access hook left behind. Without it nothing was allowed.
fn caller<T>(request: &S3Request<T>) -> Result<Caller, S3Failure> {
    request.extensions.get::<Caller>().cloned().ok_or_else(|| S3Failure::denied("Access Denied"))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that all operations answer in")]
fn ok<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

/// Settings that no bucket here has, as S3 says so.
fn not_configured<T>(code: &'static str, message: &'static str) -> S3Result<S3Response<T>> {
    Err(S3Failure::new(404, code, message).into())
}

type Answer<T> = S3Result<S3Response<T>>;

#[async_trait::async_trait]
impl S3 for Backend {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        ok(buckets::create(&self.aws, req.input)?)
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        self.aws.storage.delete_bucket(&req.input.bucket)?;
        ok(DeleteBucketOutput::default())
    }

    async fn head_bucket(&self, _: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        ok(buckets::head(&self.aws.scope))
    }

    async fn list_buckets(&self, req: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        ok(buckets::list(&self.aws, req.input))
    }

    async fn get_bucket_location(&self, _: S3Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
        ok(buckets::location(&self.aws.scope))
    }

    async fn get_bucket_policy(&self, req: S3Request<GetBucketPolicyInput>) -> Answer<GetBucketPolicyOutput> {
        ok(buckets::get_policy(&self.aws, &req.input.bucket)?)
    }

    async fn put_bucket_policy(&self, req: S3Request<PutBucketPolicyInput>) -> Answer<PutBucketPolicyOutput> {
        policy::put_policy(&self.aws, &req.input.bucket, &req.input.policy)?;
        Ok(S3Response::with_status(PutBucketPolicyOutput::default(), http::StatusCode::NO_CONTENT))
    }

    async fn delete_bucket_policy(&self, req: S3Request<DeleteBucketPolicyInput>) -> Answer<DeleteBucketPolicyOutput> {
        self.aws.storage.change_bucket(&req.input.bucket, |config| config.policy = None)?;
        ok(DeleteBucketPolicyOutput::default())
    }

    async fn get_bucket_policy_status(
        &self,
        req: S3Request<GetBucketPolicyStatusInput>,
    ) -> Answer<GetBucketPolicyStatusOutput> {
        ok(buckets::policy_status(&self.aws, &req.input.bucket)?)
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        ok(buckets::get_versioning(&self.aws, &req.input.bucket)?)
    }

    async fn put_bucket_versioning(
        &self,
        req: S3Request<PutBucketVersioningInput>,
    ) -> Answer<PutBucketVersioningOutput> {
        ok(buckets::put_versioning(&self.aws, req.input)?)
    }

    async fn get_bucket_acl(&self, _: S3Request<GetBucketAclInput>) -> Answer<GetBucketAclOutput> {
        ok(buckets::acl(&self.aws.scope))
    }

    async fn get_bucket_tagging(&self, req: S3Request<GetBucketTaggingInput>) -> Answer<GetBucketTaggingOutput> {
        ok(buckets::get_tagging(&self.aws, &req.input.bucket)?)
    }

    async fn put_bucket_tagging(&self, req: S3Request<PutBucketTaggingInput>) -> Answer<PutBucketTaggingOutput> {
        ok(buckets::put_tagging(&self.aws, req.input)?)
    }

    async fn delete_bucket_tagging(
        &self,
        req: S3Request<DeleteBucketTaggingInput>,
    ) -> Answer<DeleteBucketTaggingOutput> {
        self.aws.storage.change_bucket(&req.input.bucket, |config| config.tags = None)?;
        ok(DeleteBucketTaggingOutput::default())
    }

    async fn get_bucket_encryption(
        &self,
        req: S3Request<GetBucketEncryptionInput>,
    ) -> Answer<GetBucketEncryptionOutput> {
        ok(buckets::get_encryption(&self.aws, &req.input.bucket)?)
    }

    async fn put_bucket_encryption(
        &self,
        req: S3Request<PutBucketEncryptionInput>,
    ) -> Answer<PutBucketEncryptionOutput> {
        ok(buckets::put_encryption(&self.aws, req.input)?)
    }

    async fn delete_bucket_encryption(
        &self,
        req: S3Request<DeleteBucketEncryptionInput>,
    ) -> Answer<DeleteBucketEncryptionOutput> {
        self.aws.storage.change_bucket(&req.input.bucket, |config| config.encryption = Encryption::default())?;
        ok(DeleteBucketEncryptionOutput::default())
    }

    async fn get_public_access_block(
        &self,
        req: S3Request<GetPublicAccessBlockInput>,
    ) -> Answer<GetPublicAccessBlockOutput> {
        ok(buckets::get_public_access(&self.aws, &req.input.bucket)?)
    }

    async fn put_public_access_block(
        &self,
        req: S3Request<PutPublicAccessBlockInput>,
    ) -> Answer<PutPublicAccessBlockOutput> {
        ok(buckets::put_public_access(&self.aws, req.input)?)
    }

    async fn delete_public_access_block(
        &self,
        req: S3Request<DeletePublicAccessBlockInput>,
    ) -> Answer<DeletePublicAccessBlockOutput> {
        self.aws.storage.change_bucket(&req.input.bucket, |config| config.public_access = None)?;
        ok(DeletePublicAccessBlockOutput::default())
    }

    async fn get_bucket_ownership_controls(
        &self,
        req: S3Request<GetBucketOwnershipControlsInput>,
    ) -> Answer<GetBucketOwnershipControlsOutput> {
        ok(buckets::get_ownership(&self.aws, &req.input.bucket)?)
    }

    async fn put_bucket_ownership_controls(
        &self,
        req: S3Request<PutBucketOwnershipControlsInput>,
    ) -> Answer<PutBucketOwnershipControlsOutput> {
        ok(buckets::put_ownership(&self.aws, req.input)?)
    }

    async fn delete_bucket_ownership_controls(
        &self,
        req: S3Request<DeleteBucketOwnershipControlsInput>,
    ) -> Answer<DeleteBucketOwnershipControlsOutput> {
        self.aws.storage.change_bucket(&req.input.bucket, |config| config.ownership = None)?;
        ok(DeleteBucketOwnershipControlsOutput::default())
    }

    async fn get_bucket_cors(&self, _: S3Request<GetBucketCorsInput>) -> Answer<GetBucketCorsOutput> {
        not_configured("NoSuchCORSConfiguration", "The CORS configuration does not exist")
    }

    async fn get_bucket_website(&self, _: S3Request<GetBucketWebsiteInput>) -> Answer<GetBucketWebsiteOutput> {
        not_configured("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration")
    }

    async fn get_bucket_lifecycle_configuration(
        &self,
        req: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> Answer<GetBucketLifecycleConfigurationOutput> {
        ok(lifecycle::get(&self.aws, &req.input.bucket)?)
    }

    async fn put_bucket_lifecycle_configuration(
        &self,
        req: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> Answer<PutBucketLifecycleConfigurationOutput> {
        ok(lifecycle::put(&self.aws, req.input)?)
    }

    async fn delete_bucket_lifecycle(
        &self,
        req: S3Request<DeleteBucketLifecycleInput>,
    ) -> Answer<DeleteBucketLifecycleOutput> {
        ok(lifecycle::delete(&self.aws, &req.input.bucket)?)
    }

    async fn get_bucket_replication(
        &self,
        _: S3Request<GetBucketReplicationInput>,
    ) -> Answer<GetBucketReplicationOutput> {
        not_configured("ReplicationConfigurationNotFoundError", "The replication configuration was not found")
    }

    async fn get_object_lock_configuration(
        &self,
        _: S3Request<GetObjectLockConfigurationInput>,
    ) -> Answer<GetObjectLockConfigurationOutput> {
        not_configured(
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
        )
    }

    async fn get_bucket_logging(&self, _: S3Request<GetBucketLoggingInput>) -> Answer<GetBucketLoggingOutput> {
        ok(GetBucketLoggingOutput::default())
    }

    async fn get_bucket_accelerate_configuration(
        &self,
        _: S3Request<GetBucketAccelerateConfigurationInput>,
    ) -> Answer<GetBucketAccelerateConfigurationOutput> {
        ok(GetBucketAccelerateConfigurationOutput::default())
    }

    async fn get_bucket_request_payment(
        &self,
        _: S3Request<GetBucketRequestPaymentInput>,
    ) -> Answer<GetBucketRequestPaymentOutput> {
        ok(GetBucketRequestPaymentOutput { payer: Some(Payer::from_static(Payer::BUCKET_OWNER)) })
    }

    async fn get_bucket_notification_configuration(
        &self,
        _: S3Request<GetBucketNotificationConfigurationInput>,
    ) -> Answer<GetBucketNotificationConfigurationOutput> {
        ok(GetBucketNotificationConfigurationOutput::default())
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        ok(listing::list_objects(&self.aws, req.input)?)
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        ok(listing::list_objects_v2(&self.aws, req.input)?)
    }

    async fn list_object_versions(&self, req: S3Request<ListObjectVersionsInput>) -> Answer<ListObjectVersionsOutput> {
        ok(listing::list_versions(&self.aws, req.input)?)
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        ok(objects::put(&self.aws, req).await?)
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let caller = caller(&req)?;
        let partial = req.input.range.is_some();
        let output = objects::get(&self.aws, &caller, req.input).await?;
        if partial {
            return Ok(S3Response::with_status(output, http::StatusCode::PARTIAL_CONTENT));
        }
        ok(output)
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let caller = caller(&req)?;
        ok(objects::head(&self.aws, &caller, req.input)?)
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        ok(objects::delete(&self.aws, req.input)?)
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        let caller = caller(&req)?;
        ok(objects::delete_many(&self.aws, &caller, req.input)?)
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let caller = caller(&req)?;
        ok(copying::copy(&self.aws, &caller, &req.headers, req.input).await?)
    }

    async fn get_object_attributes(
        &self,
        req: S3Request<GetObjectAttributesInput>,
    ) -> Answer<GetObjectAttributesOutput> {
        let caller = caller(&req)?;
        ok(objects::attributes(&self.aws, &caller, req.input)?)
    }

    async fn get_object_acl(&self, req: S3Request<GetObjectAclInput>) -> Answer<GetObjectAclOutput> {
        let caller = caller(&req)?;
        objects::find(&self.aws, &caller, &req.input.bucket, &req.input.key, req.input.version_id.as_deref())?;
        let grants = Some(vec![buckets::full_control(&self.aws.scope)]);
        ok(GetObjectAclOutput { grants, owner: Some(owner(&self.aws.scope)), request_charged: None })
    }

    async fn get_object_tagging(&self, req: S3Request<GetObjectTaggingInput>) -> Answer<GetObjectTaggingOutput> {
        let (caller, input) = (caller(&req)?, req.input);
        let version = objects::find(&self.aws, &caller, &input.bucket, &input.key, input.version_id.as_deref())?;
        let version_id = objects::shown_version(&self.aws, &input.bucket, &version);
        ok(GetObjectTaggingOutput { tag_set: buckets::to_dto(version.tags), version_id })
    }

    async fn put_object_tagging(&self, req: S3Request<PutObjectTaggingInput>) -> Answer<PutObjectTaggingOutput> {
        let (caller, input) = (caller(&req)?, req.input);
        let version = objects::find(&self.aws, &caller, &input.bucket, &input.key, input.version_id.as_deref())?;
        let tags = buckets::from_dto(input.tagging.tag_set, objects::MAX_TAGS)?;
        self.aws.storage.set_tags(&input.bucket, &input.key, Some(&version.id), tags)?;
        ok(PutObjectTaggingOutput { version_id: objects::shown_version(&self.aws, &input.bucket, &version) })
    }

    async fn delete_object_tagging(
        &self,
        req: S3Request<DeleteObjectTaggingInput>,
    ) -> Answer<DeleteObjectTaggingOutput> {
        let (caller, input) = (caller(&req)?, req.input);
        let version = objects::find(&self.aws, &caller, &input.bucket, &input.key, input.version_id.as_deref())?;
        self.aws.storage.set_tags(&input.bucket, &input.key, Some(&version.id), Vec::new())?;
        ok(DeleteObjectTaggingOutput { version_id: objects::shown_version(&self.aws, &input.bucket, &version) })
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        ok(self.uploads.create(&self.aws, req.input)?)
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        ok(self.uploads.part(&self.aws, req).await?)
    }

    async fn upload_part_copy(&self, req: S3Request<UploadPartCopyInput>) -> Answer<UploadPartCopyOutput> {
        let caller = caller(&req)?;
        ok(self.uploads.part_copy(&self.aws, &caller, req.input).await?)
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        ok(self.uploads.complete(&self.aws, req.input).await?)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        ok(self.uploads.abort(&req.input)?)
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        ok(self.uploads.parts(&self.aws.scope, req.input)?)
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        ok(self.uploads.list(&self.aws.scope, req.input)?)
    }
}

//! Copies of objects.

use http::{HeaderMap, HeaderName, header};
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, ETagCondition, GetObjectInput,
    MetadataDirective, ObjectCannedACL, ServerSideEncryption, TaggingDirective,
};

use super::{
    access::Caller,
    actions::Need,
    backend::timestamp,
    buckets::{own_keys, private_acl},
    failure::S3Failure,
    objects::{current, find, header_tags, readable, shown_version, sorted, writable},
    store::{Headers, NewObject, Version},
};
use crate::aws::Aws;

type Outcome<T> = Result<T, S3Failure>;

/// The version that a copy takes its data from.
pub fn source(aws: &Aws, caller: &Caller, source: &CopySource) -> Outcome<Version> {
    let CopySource::Bucket { bucket, key, version_id } = source else {
        return Err(S3Failure::not_implemented("copying from access points"));
    };
    find(aws, caller, bucket, key, version_id.as_deref())
}

/// A condition on the object that is written, which s3s does not read for copies. S3 takes an entity tag without its quotes, too.
fn condition(headers: &HeaderMap, name: HeaderName) -> Outcome<Option<ETagCondition>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let quoted = || ETagCondition::parse_http_header(format!("\"{text}\"").as_bytes());
    let parsed = ETagCondition::parse_http_header(text.as_bytes()).or_else(|_| quoted());
    parsed.map(Some).map_err(|_| S3Failure::argument(format!("`{text}` is not an entity tag")))
}

/// `CopyObject`.
pub async fn copy(
    aws: &Aws,
    caller: &Caller,
    headers: &HeaderMap,
    input: CopyObjectInput,
) -> Outcome<CopyObjectOutput> {
    let (if_match, if_none_match) = (condition(headers, header::IF_MATCH)?, condition(headers, header::IF_NONE_MATCH)?);
    let check = |current: Option<&Version>| writable(current, if_match.as_ref(), if_none_match.as_ref());
    private_acl(input.acl.as_ref().map(ObjectCannedACL::as_str))?;
    own_keys(input.server_side_encryption.as_ref().map(ServerSideEncryption::as_str))?;
    own_keys(input.sse_customer_algorithm.as_deref().map(|_| "customer keys"))?;
    let from = source(aws, caller, &input.copy_source)?;
    let conditions = GetObjectInput {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
        ..GetObjectInput::default()
    };
    readable(&from, &conditions).map_err(|_| S3Failure::precondition())?;
    let replace =
        input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    let replace_tags =
        input.tagging_directive.as_ref().is_some_and(|directive| directive.as_str() == TaggingDirective::REPLACE);
    let onto_itself = matches!(&input.copy_source, CopySource::Bucket { bucket, key, version_id: None } if **bucket == *input.bucket && **key == *input.key);
    if onto_itself && !replace {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
                       metadata, storage class, website redirect location or encryption attributes.";
        return Err(S3Failure::new(400, "InvalidRequest", message));
    }
    if !replace_tags && !from.tags.is_empty() {
        let need = |action, bucket: &str, key: &str| Need {
            action,
            bucket: Some(bucket.to_owned()),
            key: Some(key.to_owned()),
            version: None,
        };
        if let CopySource::Bucket { bucket, key, .. } = &input.copy_source {
            caller.allow(aws, &need("s3:GetObjectTagging", bucket, key))?;
        }
        caller.allow(aws, &need("s3:PutObjectTagging", &input.bucket, &input.key))?;
    }
    let tags = if replace_tags { header_tags(input.tagging.as_deref())? } else { from.tags };
    // Refused before the data is copied, so that nothing is left over.
    check(current(aws, &input.bucket, &input.key).as_ref())?;
    let data = aws.ids.opaque()?;
    tokio::fs::copy(aws.storage.data_file(from.data.as_deref().unwrap_or_default()), aws.storage.data_file(&data))
        .await?;
    let headers = Headers {
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        content_type: input.content_type,
    };
    let object = NewObject {
        data,
        size: from.size,
        etag: from.etag.clone(),
        headers: if replace { headers } else { from.headers },
        metadata: if replace { sorted(input.metadata) } else { from.metadata },
        tags,
        checksums: from.checksums,
    };
    let version = aws.storage.put(&input.bucket, &input.key, object, aws.clock.now(), &aws.ids, check)?;
    let CopySource::Bucket { bucket, .. } = &input.copy_source else {
        return Err(S3Failure::not_implemented("copying from access points"));
    };
    let versioned = aws.storage.config(bucket)?.versioning.is_some();
    Ok(CopyObjectOutput {
        copy_object_result: Some(CopyObjectResult {
            e_tag: Some(ETag::Strong(version.etag.clone())),
            last_modified: Some(timestamp(version.modified)),
            ..CopyObjectResult::default()
        }),
        copy_source_version_id: versioned.then_some(from.id),
        server_side_encryption: Some(ServerSideEncryption::from_static(ServerSideEncryption::AES256)),
        version_id: shown_version(aws, &input.bucket, &version),
        ..CopyObjectOutput::default()
    })
}

//! Objects: written, read, deleted.

use std::{collections::BTreeMap, io::SeekFrom};

use bytes::Bytes;
use futures::stream;
use s3s::{S3Request, dto::*};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};

use super::{
    access::Caller,
    actions::Need,
    backend::{timestamp, to_jiff},
    buckets::{check_tags, own_keys, private_acl},
    failure::S3Failure,
    receive::{Declared, receive},
    store::{Checksums, Headers, NewObject, Version},
};
use crate::aws::Aws;

type Outcome<T> = Result<T, S3Failure>;

/// Most tags of an object (user guide of S3, "Object tags").
pub const MAX_TAGS: usize = 10;
const CHUNK: usize = 64 * 1024;

/// An object's tags as `x-amz-tagging` has them.
pub fn header_tags(header: Option<&str>) -> Outcome<Vec<(String, String)>> {
    let tags: Vec<(String, String)> =
        form_urlencoded::parse(header.unwrap_or_default().as_bytes()).into_owned().collect();
    check_tags(&tags, MAX_TAGS)?;
    Ok(tags)
}

/// Metadata in a fixed order.
pub fn sorted(metadata: Option<Metadata>) -> BTreeMap<String, String> {
    metadata.unwrap_or_default().into_iter().collect()
}

/// `If-Match` and `If-None-Match` of writes, against what is there now.
pub fn writable(
    current: Option<&Version>,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> Outcome<()> {
    let fits = |condition: &ETagCondition| {
        let named = condition.as_etag();
        current.is_some_and(|current| named.is_none_or(|etag| etag.value() == current.etag))
    };
    if if_match.is_some() && current.is_none() {
        return Err(S3Failure::no_such_key());
    }
    if if_match.is_some_and(|condition| !fits(condition)) || if_none_match.is_some_and(fits) {
        return Err(S3Failure::precondition());
    }
    Ok(())
}

/// The version of an object that is there now.
pub fn current(aws: &Aws, bucket: &str, key: &str) -> Option<Version> {
    aws.storage.version(bucket, key, None).ok().filter(|version| !version.marker)
}

/// `PutObject`.
pub async fn put(aws: &Aws, request: S3Request<PutObjectInput>) -> Outcome<PutObjectOutput> {
    let S3Request { input, headers, trailing_headers, .. } = request;
    private_acl(input.acl.as_ref().map(ObjectCannedACL::as_str))?;
    own_keys(input.server_side_encryption.as_ref().map(ServerSideEncryption::as_str))?;
    own_keys(input.sse_customer_algorithm.as_deref().map(|_| "customer keys"))?;
    if input.write_offset_bytes.is_some() {
        return Err(S3Failure::not_implemented("appending to objects"));
    }
    let tags = header_tags(input.tagging.as_deref())?;
    let declared = Declared { headers: Some(&headers), trailers: trailing_headers };
    let received = receive(&aws.storage, &aws.ids, input.body, declared).await?;
    let object = NewObject {
        size: received.size,
        etag: received.etag(),
        headers: Headers {
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: without_aws_chunked(input.content_encoding),
            content_language: input.content_language,
            content_type: input.content_type,
        },
        metadata: sorted(input.metadata),
        tags,
        checksums: received.checksums.clone(),
        data: String::new(),
    };
    let (if_match, if_none_match) = (input.if_match, input.if_none_match);
    // Refused before the data becomes part of the object, so that it goes away.
    let check = |current: Option<&Version>| writable(current, if_match.as_ref(), if_none_match.as_ref());
    check(current(aws, &input.bucket, &input.key).as_ref())?;
    let object = NewObject { data: received.keep(), ..object };
    let version = aws.storage.put(&input.bucket, &input.key, object, aws.clock.now(), &aws.ids, check)?;
    let Checksums { crc32, crc32c, crc64nvme, sha1, sha256 } = version.checksums.clone();
    Ok(PutObjectOutput {
        checksum_crc32: crc32,
        checksum_crc32c: crc32c,
        checksum_crc64nvme: crc64nvme,
        checksum_sha1: sha1,
        checksum_sha256: sha256,
        e_tag: Some(ETag::Strong(version.etag.clone())),
        server_side_encryption: Some(ServerSideEncryption::from_static(ServerSideEncryption::AES256)),
        version_id: shown_version(aws, &input.bucket, &version),
        ..PutObjectOutput::default()
    })
}

/// `aws-chunked` is the transfer's encoding, not the object's.
pub fn without_aws_chunked(encoding: Option<String>) -> Option<String> {
    let kept: Vec<&str> = encoding
        .as_deref()?
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty() && *part != "aws-chunked")
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// Version ids are told where the bucket has or had versions.
pub fn shown_version(aws: &Aws, bucket: &str, version: &Version) -> Option<String> {
    let versioned = aws.storage.config(bucket).is_ok_and(|config| config.versioning.is_some());
    versioned.then(|| version.id.clone())
}

/// The version to read. That there is none is told only to who may list the bucket.
pub fn find(aws: &Aws, caller: &Caller, bucket: &str, key: &str, id: Option<&str>) -> Outcome<Version> {
    let found = match aws.storage.version(bucket, key, id) {
        Ok(version) if !version.marker => return Ok(version),
        Ok(_) if id.is_some() => {
            return Err(S3Failure::new(
                405,
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.",
            ));
        }
        Ok(_) => S3Failure::no_such_key(),
        Err(failure) => failure,
    };
    caller.may_miss(aws, bucket)?;
    Err(found)
}

/// Conditions of reads (RFC 9110 §13.2.2).
pub fn readable(version: &Version, input: &GetObjectInput) -> Outcome<()> {
    let not_modified = || S3Failure::new(304, "NotModified", "Not Modified");
    let fits = |condition: &ETagCondition| condition.as_etag().is_none_or(|etag| etag.value() == version.etag);
    let since = |time: &Timestamp| to_jiff(time).is_some_and(|time| version.modified.as_second() > time.as_second());
    if let Some(condition) = &input.if_match {
        if !fits(condition) {
            return Err(S3Failure::precondition());
        }
    } else if input.if_unmodified_since.as_ref().is_some_and(since) {
        return Err(S3Failure::precondition());
    }
    if let Some(condition) = &input.if_none_match {
        if fits(condition) {
            return Err(not_modified());
        }
    } else if input.if_modified_since.as_ref().is_some_and(|time| !since(time)) {
        return Err(not_modified());
    }
    Ok(())
}

/// `GetObject`.
pub async fn get(aws: &Aws, caller: &Caller, input: GetObjectInput) -> Outcome<GetObjectOutput> {
    if input.part_number.is_some() {
        return Err(S3Failure::not_implemented("reading single parts (partNumber)"));
    }
    let version = find(aws, caller, &input.bucket, &input.key, input.version_id.as_deref())?;
    readable(&version, &input)?;
    let range = match input.range {
        None => 0..version.size,
        Some(range) => range
            .check(version.size)
            .map_err(|_| S3Failure::new(416, "InvalidRange", "The requested range is not satisfiable"))?,
    };
    let mut file = File::open(aws.storage.data_file(version.data.as_deref().unwrap_or_default())).await?;
    file.seek(SeekFrom::Start(range.start)).await?;
    let length = range.end - range.start;
    let body = stream::try_unfold(file.take(length), |mut file| async move {
        let mut chunk = vec![0; CHUNK];
        let read = file.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), file)))
    });
    let partial = input.range.is_some();
    let whole = input.checksum_mode.is_some() && !partial;
    let Checksums { crc32, crc32c, crc64nvme, sha1, sha256 } =
        if whole { version.checksums.clone() } else { Checksums::default() };
    let headers = version.headers.clone();
    Ok(GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(StreamingBlob::wrap(body)),
        cache_control: input.response_cache_control.or(headers.cache_control),
        checksum_crc32: crc32,
        checksum_crc32c: crc32c,
        checksum_crc64nvme: crc64nvme,
        checksum_sha1: sha1,
        checksum_sha256: sha256,
        content_disposition: input.response_content_disposition.or(headers.content_disposition),
        content_encoding: input.response_content_encoding.or(headers.content_encoding),
        content_language: input.response_content_language.or(headers.content_language),
        content_length: i64::try_from(length).ok(),
        content_range: partial
            .then(|| format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), version.size)),
        content_type: input.response_content_type.or(headers.content_type).or_else(|| Some(default_type())),
        e_tag: Some(ETag::Strong(version.etag.clone())),
        last_modified: Some(timestamp(version.modified)),
        metadata: Some(version.metadata.clone().into_iter().collect()),
        server_side_encryption: Some(ServerSideEncryption::from_static(ServerSideEncryption::AES256)),
        tag_count: i32::try_from(version.tags.len()).ok().filter(|count| *count > 0),
        version_id: shown_version(aws, &input.bucket, &version),
        ..GetObjectOutput::default()
    })
}

fn default_type() -> String {
    "binary/octet-stream".to_owned()
}

/// `HeadObject`.
pub fn head(aws: &Aws, caller: &Caller, input: HeadObjectInput) -> Outcome<HeadObjectOutput> {
    if input.part_number.is_some() {
        return Err(S3Failure::not_implemented("reading single parts (partNumber)"));
    }
    let version = find(aws, caller, &input.bucket, &input.key, input.version_id.as_deref())?;
    let conditions = GetObjectInput {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
        ..GetObjectInput::default()
    };
    readable(&version, &conditions)?;
    let Checksums { crc32, crc32c, crc64nvme, sha1, sha256 } =
        if input.checksum_mode.is_some() { version.checksums.clone() } else { Checksums::default() };
    let version_id = shown_version(aws, &input.bucket, &version);
    Ok(HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: version.headers.cache_control,
        checksum_crc32: crc32,
        checksum_crc32c: crc32c,
        checksum_crc64nvme: crc64nvme,
        checksum_sha1: sha1,
        checksum_sha256: sha256,
        content_disposition: version.headers.content_disposition,
        content_encoding: version.headers.content_encoding,
        content_language: version.headers.content_language,
        content_length: i64::try_from(version.size).ok(),
        content_type: version.headers.content_type.or_else(|| Some(default_type())),
        e_tag: Some(ETag::Strong(version.etag)),
        last_modified: Some(timestamp(version.modified)),
        metadata: Some(version.metadata.into_iter().collect()),
        server_side_encryption: Some(ServerSideEncryption::from_static(ServerSideEncryption::AES256)),
        version_id,
        ..HeadObjectOutput::default()
    })
}

/// `DeleteObject`.
pub fn delete(aws: &Aws, input: DeleteObjectInput) -> Outcome<DeleteObjectOutput> {
    if let Some(condition) = &input.if_match {
        writable(current(aws, &input.bucket, &input.key).as_ref(), Some(condition), None)?;
    }
    let deleted =
        aws.storage.delete(&input.bucket, &input.key, input.version_id.as_deref(), aws.clock.now(), &aws.ids)?;
    Ok(DeleteObjectOutput {
        delete_marker: deleted.marker.then_some(true),
        version_id: deleted.version,
        ..DeleteObjectOutput::default()
    })
}

/// `DeleteObjects`: each key is a question of its own.
pub fn delete_many(aws: &Aws, caller: &Caller, input: DeleteObjectsInput) -> Outcome<DeleteObjectsOutput> {
    const MOST: usize = 1000;
    if input.delete.objects.len() > MOST || input.delete.objects.is_empty() {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(S3Failure::new(400, "MalformedXML", message));
    }
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in input.delete.objects {
        let ObjectIdentifier { key, version_id, e_tag, last_modified_time, size } = object;
        let unchanged = || match e_tag {
            // Directory buckets compare them (API reference of S3, `ObjectIdentifier`).
            _ if last_modified_time.is_some() || size.is_some() => {
                Err(S3Failure::not_implemented("LastModifiedTime and Size of DeleteObjects"))
            }
            Some(e_tag) => {
                writable(current(aws, &input.bucket, &key).as_ref(), Some(&ETagCondition::ETag(e_tag)), None)
            }
            None => Ok(()),
        };
        let action = if version_id.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
        let need =
            Need { action, bucket: Some(input.bucket.clone()), key: Some(key.clone()), version: version_id.clone() };
        let done = caller
            .allow(aws, &need)
            .and_then(|()| unchanged())
            .and_then(|()| aws.storage.delete(&input.bucket, &key, version_id.as_deref(), aws.clock.now(), &aws.ids));
        match done {
            Ok(done) => deleted.push(DeletedObject {
                delete_marker: done.marker.then_some(true),
                delete_marker_version_id: done.version.filter(|_| done.marker),
                key: Some(key),
                version_id,
            }),
            Err(failure) => errors.push(Error {
                code: Some(failure.code().to_owned()),
                key: Some(key),
                message: Some(failure.message().to_owned()),
                version_id,
            }),
        }
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    Ok(DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    })
}

/// The attributes that `x-amz-object-attributes` names: one header with commas, several headers, or both.
fn asked_attributes(headers: &[ObjectAttributes]) -> Outcome<Vec<&str>> {
    const ALL: [&str; 5] = [
        ObjectAttributes::CHECKSUM,
        ObjectAttributes::ETAG,
        ObjectAttributes::OBJECT_PARTS,
        ObjectAttributes::OBJECT_SIZE,
        ObjectAttributes::STORAGE_CLASS,
    ];
    let asked: Vec<&str> = headers.iter().flat_map(|header| header.as_str().split(',')).map(str::trim).collect();
    if asked.iter().all(|name| ALL.contains(name)) {
        return Ok(asked);
    }
    Err(S3Failure::argument("Invalid attribute name specified."))
}

/// The number of parts of an object that was uploaded in parts: its entity tag ends with it.
fn parts_of(version: &Version) -> Option<GetObjectAttributesParts> {
    let (_, count) = version.etag.rsplit_once('-')?;
    Some(GetObjectAttributesParts { total_parts_count: count.parse().ok(), ..GetObjectAttributesParts::default() })
}

/// `GetObjectAttributes`.
pub fn attributes(aws: &Aws, caller: &Caller, input: GetObjectAttributesInput) -> Outcome<GetObjectAttributesOutput> {
    let asked = asked_attributes(&input.object_attributes)?;
    let wanted = |name: &str| asked.contains(&name);
    let version = find(aws, caller, &input.bucket, &input.key, input.version_id.as_deref())?;
    let Checksums { crc32, crc32c, crc64nvme, sha1, sha256 } = version.checksums.clone();
    let checksum = Checksum {
        checksum_crc32: crc32,
        checksum_crc32c: crc32c,
        checksum_crc64nvme: crc64nvme,
        checksum_sha1: sha1,
        checksum_sha256: sha256,
        ..Checksum::default()
    };
    Ok(GetObjectAttributesOutput {
        checksum: (wanted(ObjectAttributes::CHECKSUM) && version.checksums != Checksums::default()).then_some(checksum),
        e_tag: wanted(ObjectAttributes::ETAG).then(|| ETag::Strong(version.etag.clone())),
        last_modified: Some(timestamp(version.modified)),
        object_parts: parts_of(&version).filter(|_| wanted(ObjectAttributes::OBJECT_PARTS)),
        object_size: i64::try_from(version.size).ok().filter(|_| wanted(ObjectAttributes::OBJECT_SIZE)),
        storage_class: wanted(ObjectAttributes::STORAGE_CLASS)
            .then(|| StorageClass::from_static(StorageClass::STANDARD)),
        version_id: shown_version(aws, &input.bucket, &version),
        ..GetObjectAttributesOutput::default()
    })
}

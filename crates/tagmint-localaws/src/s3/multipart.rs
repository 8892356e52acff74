//! Uploads in parts. Those in progress are in memory alone.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use s3s::{
    S3Request,
    crypto::{Checksum as _, Md5},
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
        CompleteMultipartUploadOutput, CopyPartResult, CopySource, CreateMultipartUploadInput,
        CreateMultipartUploadOutput, ETag, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput,
        ListPartsOutput, MultipartUpload, ObjectCannedACL, Part, ServerSideEncryption, StorageClass, StreamingBlob,
        UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
    },
};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

use super::{
    access::Caller,
    backend::{owner, timestamp},
    buckets::{own_keys, private_acl},
    copying::source,
    failure::S3Failure,
    listing::{Encoding, Entry, max_items, page, prefixes, split},
    objects::{current, header_tags, shown_version, sorted, without_aws_chunked, writable},
    receive::{Declared, Received, hex, receive},
    store::{Checksums, Headers, NewObject, Version},
};
use crate::{aws::Aws, scope::Scope};

type Outcome<T> = Result<T, S3Failure>;

/// Smallest part but the last, in bytes (user guide of S3, "Multipart upload limits").
const MIN_PART: u64 = 5 * 1024 * 1024;
const MAX_PART_NUMBER: i32 = 10_000;

/// Uploads in progress.
#[derive(Debug, Default)]
pub struct Uploads(Mutex<HashMap<String, Upload>>);

#[derive(Debug)]
struct Upload {
    bucket: String,
    key: String,
    initiated: Timestamp,
    headers: Headers,
    metadata: BTreeMap<String, String>,
    tags: Vec<(String, String)>,
    parts: BTreeMap<i32, StoredPart>,
}

#[derive(Debug)]
struct StoredPart {
    received: Received,
    modified: Timestamp,
}

impl Uploads {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, bucket: &str, key: &str, id: &str, then: impl FnOnce(&mut Upload) -> T) -> Outcome<T> {
        let mut uploads = self.lock();
        let upload = uploads.get_mut(id).filter(|upload| upload.bucket == bucket && upload.key == key);
        upload.map(then).ok_or_else(S3Failure::no_such_upload)
    }

    fn add(&self, bucket: &str, key: &str, id: &str, number: i32, part: StoredPart) -> Outcome<()> {
        self.with(bucket, key, id, |upload| upload.parts.insert(number, part)).map(drop)
    }

    /// `CreateMultipartUpload`.
    pub fn create(&self, aws: &Aws, input: CreateMultipartUploadInput) -> Outcome<CreateMultipartUploadOutput> {
        private_acl(input.acl.as_ref().map(ObjectCannedACL::as_str))?;
        own_keys(input.server_side_encryption.as_ref().map(ServerSideEncryption::as_str))?;
        own_keys(input.sse_customer_algorithm.as_deref().map(|_| "customer keys"))?;
        let upload = Upload {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            initiated: aws.clock.now(),
            headers: Headers {
                cache_control: input.cache_control,
                content_disposition: input.content_disposition,
                content_encoding: without_aws_chunked(input.content_encoding),
                content_language: input.content_language,
                content_type: input.content_type,
            },
            metadata: sorted(input.metadata),
            tags: header_tags(input.tagging.as_deref())?,
            parts: BTreeMap::new(),
        };
        // Lists are by id where they are by time.
        let id = format!("{:012X}{}", upload.initiated.as_millisecond(), aws.ids.opaque()?);
        self.lock().insert(id.clone(), upload);
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            key: Some(input.key),
            server_side_encryption: Some(ServerSideEncryption::from_static(ServerSideEncryption::AES256)),
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        })
    }

    /// `UploadPart`.
    pub async fn part(&self, aws: &Aws, request: S3Request<UploadPartInput>) -> Outcome<UploadPartOutput> {
        let S3Request { input, headers, trailing_headers, .. } = request;
        check_number(input.part_number)?;
        self.with(&input.bucket, &input.key, &input.upload_id, |_| ())?;
        let declared = Declared { headers: Some(&headers), trailers: trailing_headers };
        let received = receive(&aws.storage, &aws.ids, input.body, declared).await?;
        let Checksums { crc32, crc32c, crc64nvme, sha1, sha256 } = received.checksums.clone();
        let e_tag = Some(ETag::Strong(received.etag()));
        let part = StoredPart { received, modified: aws.clock.now() };
        self.add(&input.bucket, &input.key, &input.upload_id, input.part_number, part)?;
        Ok(UploadPartOutput {
            checksum_crc32: crc32,
            checksum_crc32c: crc32c,
            checksum_crc64nvme: crc64nvme,
            checksum_sha1: sha1,
            checksum_sha256: sha256,
            e_tag,
            server_side_encryption: Some(ServerSideEncryption::from_static(ServerSideEncryption::AES256)),
            ..UploadPartOutput::default()
        })
    }

    /// `UploadPartCopy`.
    pub async fn part_copy(
        &self,
        aws: &Aws,
        caller: &Caller,
        input: UploadPartCopyInput,
    ) -> Outcome<UploadPartCopyOutput> {
        let conditional = input.copy_source_if_match.is_some()
            || input.copy_source_if_none_match.is_some()
            || input.copy_source_if_modified_since.is_some()
            || input.copy_source_if_unmodified_since.is_some();
        if conditional {
            return Err(S3Failure::not_implemented("conditions of UploadPartCopy"));
        }
        check_number(input.part_number)?;
        self.with(&input.bucket, &input.key, &input.upload_id, |_| ())?;
        let from = source(aws, caller, &input.copy_source)?;
        let (start, length) = copy_range(input.copy_source_range.as_deref(), from.size)?;
        let mut file = File::open(aws.storage.data_file(from.data.as_deref().unwrap_or_default())).await?;
        file.seek(std::io::SeekFrom::Start(start)).await?;
        let body = futures::stream::try_unfold(file.take(length), |mut file| async move {
            let mut chunk = vec![0; 64 * 1024];
            let read = file.read(&mut chunk).await?;
            chunk.truncate(read);
            Ok::<_, std::io::Error>((read > 0).then(|| (bytes::Bytes::from(chunk), file)))
        });
        let received = receive(&aws.storage, &aws.ids, Some(StreamingBlob::wrap(body)), Declared::default()).await?;
        let (etag, modified) = (received.etag(), aws.clock.now());
        self.add(&input.bucket, &input.key, &input.upload_id, input.part_number, StoredPart { received, modified })?;
        let versioned = match &input.copy_source {
            CopySource::Bucket { bucket, .. } => shown_version(aws, bucket, &from),
            _ => None,
        };
        Ok(UploadPartCopyOutput {
            copy_part_result: Some(CopyPartResult {
                e_tag: Some(ETag::Strong(etag)),
                last_modified: Some(timestamp(modified)),
                ..CopyPartResult::default()
            }),
            copy_source_version_id: versioned,
            ..UploadPartCopyOutput::default()
        })
    }

    /// `CompleteMultipartUpload`.
    pub async fn complete(
        &self,
        aws: &Aws,
        input: CompleteMultipartUploadInput,
    ) -> Outcome<CompleteMultipartUploadOutput> {
        let wanted = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let wanted: Vec<(i32, String)> = wanted
            .into_iter()
            .map(|part| (part.part_number.unwrap_or_default(), part.e_tag.map(ETag::into_value).unwrap_or_default()))
            .collect();
        if wanted.is_empty() {
            return Err(S3Failure::new(400, "MalformedXML", "The XML you provided was not well-formed"));
        }
        self.with(&input.bucket, &input.key, &input.upload_id, |upload| check_parts(upload, &wanted))??;
        let (if_match, if_none_match) = (input.if_match, input.if_none_match);
        let check = |current: Option<&Version>| writable(current, if_match.as_ref(), if_none_match.as_ref());
        // A refused completion leaves the upload as it is.
        check(current(aws, &input.bucket, &input.key).as_ref())?;
        // Nobody else completes it while the parts are put together.
        let Some(upload) = self.lock().remove(&input.upload_id) else { return Err(S3Failure::no_such_upload()) };
        let joined = join(aws, &upload, &wanted).await?;
        let (size, etag) = (joined.size, joined.etag.clone());
        let object = NewObject {
            data: joined.received.keep(),
            size,
            etag: etag.clone(),
            headers: upload.headers.clone(),
            metadata: upload.metadata.clone(),
            tags: upload.tags.clone(),
            checksums: Checksums::default(),
        };
        let version = aws.storage.put(&input.bucket, &input.key, object, aws.clock.now(), &aws.ids, check)?;
        Ok(CompleteMultipartUploadOutput {
            e_tag: Some(ETag::Strong(etag)),
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            server_side_encryption: Some(ServerSideEncryption::from_static(ServerSideEncryption::AES256)),
            version_id: shown_version(aws, &input.bucket, &version),
            bucket: Some(input.bucket),
            key: Some(input.key),
            ..CompleteMultipartUploadOutput::default()
        })
    }

    /// `AbortMultipartUpload`.
    pub fn abort(&self, input: &AbortMultipartUploadInput) -> Outcome<AbortMultipartUploadOutput> {
        self.with(&input.bucket, &input.key, &input.upload_id, |_| ())?;
        self.lock().remove(&input.upload_id);
        Ok(AbortMultipartUploadOutput::default())
    }

    /// `ListParts`.
    pub fn parts(&self, scope: &Scope, input: ListPartsInput) -> Outcome<ListPartsOutput> {
        let max = input.max_parts.unwrap_or(1000).clamp(0, 1000);
        let after = input.part_number_marker.unwrap_or(0);
        let size = usize::try_from(max).unwrap_or_default();
        let mut parts: Vec<Part> = self.with(&input.bucket, &input.key, &input.upload_id, |upload| {
            let parts = upload.parts.range(after.saturating_add(1)..).take(size + 1);
            parts.map(|(number, part)| listed(*number, part)).collect()
        })?;
        let truncated = parts.len() > size;
        parts.truncate(size);
        Ok(ListPartsOutput {
            bucket: Some(input.bucket),
            is_truncated: Some(truncated),
            key: Some(input.key),
            max_parts: Some(max),
            next_part_number_marker: parts.last().and_then(|part| part.part_number).filter(|_| truncated),
            owner: Some(owner(scope)),
            part_number_marker: Some(after),
            parts: (!parts.is_empty()).then_some(parts),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            upload_id: Some(input.upload_id),
            ..ListPartsOutput::default()
        })
    }

    /// `ListMultipartUploads`: by key, and those of a key by the time at which they began, with which their ids begin.
    pub fn list(&self, scope: &Scope, input: ListMultipartUploadsInput) -> Outcome<ListMultipartUploadsOutput> {
        let encoding = Encoding::of(input.encoding_type.clone())?;
        let (shown, max) =
            max_items(input.max_uploads, "Argument maxUploads must be an integer between 0 and 2147483647")?;
        let prefix = input.prefix.unwrap_or_default();
        let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
        let key_marker = input.key_marker.filter(|marker| !marker.is_empty());
        // Without a key it is ignored (API reference).
        let id_marker = input.upload_id_marker.filter(|id| key_marker.is_some() && !id.is_empty());
        let is_after = |key: &str, id: &str| {
            let Some(marker) = key_marker.as_deref() else { return true };
            if key == marker {
                return id_marker.as_deref().is_some_and(|after| id > after);
            }
            let grouped = delimiter.is_some_and(|delimiter| marker.ends_with(delimiter) && key.starts_with(marker));
            key > marker && !grouped
        };
        let uploads = self.lock();
        let mut found: Vec<(String, (&String, &Upload))> = uploads
            .iter()
            .filter(|(id, upload)| {
                upload.bucket == input.bucket && upload.key.starts_with(&prefix) && is_after(&upload.key, id)
            })
            .map(|(id, upload)| (upload.key.clone(), (id, upload)))
            .collect();
        found.sort_by(|(key, (id, _)), (other_key, (other_id, _))| (key, id).cmp(&(other_key, other_id)));
        let page = page(found, &prefix, delimiter, None, max);
        let next_id = match page.entries.last() {
            Some(Entry::Item((id, _))) if page.next.is_some() => Some((*id).clone()),
            _ => None,
        };
        let (items, groups) = split(page.entries);
        let listed = items.into_iter().map(|(id, upload)| MultipartUpload {
            initiated: Some(timestamp(upload.initiated)),
            key: Some(encoding.text(upload.key.clone())),
            owner: Some(owner(scope)),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            upload_id: Some(id.clone()),
            ..MultipartUpload::default()
        });
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            common_prefixes: prefixes(groups, &encoding),
            delimiter: input.delimiter.map(|delimiter| encoding.text(delimiter)),
            encoding_type: input.encoding_type,
            is_truncated: Some(page.next.is_some()),
            key_marker: Some(encoding.text(key_marker.unwrap_or_default())),
            max_uploads: Some(shown),
            next_key_marker: page.next.map(|next| encoding.text(next)),
            next_upload_id_marker: next_id,
            prefix: Some(encoding.text(prefix)),
            upload_id_marker: Some(id_marker.unwrap_or_default()),
            uploads: Some(listed.collect()),
            ..ListMultipartUploadsOutput::default()
        })
    }
}

fn listed(number: i32, part: &StoredPart) -> Part {
    Part {
        e_tag: Some(ETag::Strong(part.received.etag())),
        last_modified: Some(timestamp(part.modified)),
        part_number: Some(number),
        size: i64::try_from(part.received.size).ok(),
        ..Part::default()
    }
}

fn check_number(number: i32) -> Outcome<()> {
    if (1..=MAX_PART_NUMBER).contains(&number) {
        return Ok(());
    }
    Err(S3Failure::argument("Part number must be an integer between 1 and 10000, inclusive"))
}

fn check_parts(upload: &Upload, wanted: &[(i32, String)]) -> Outcome<()> {
    if !wanted.is_sorted_by(|(a, _), (b, _)| a < b) {
        let message =
            "The list of parts was not in ascending order. The parts list must be specified in order by part number.";
        return Err(S3Failure::new(400, "InvalidPartOrder", message));
    }
    for (index, (number, etag)) in wanted.iter().enumerate() {
        let part = upload.parts.get(number).filter(|part| part.received.etag() == *etag);
        let Some(part) = part else {
            let message = "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified \
                           entity tag may not match the part's entity tag.";
            return Err(S3Failure::new(400, "InvalidPart", message));
        };
        if part.received.size < MIN_PART && index + 1 < wanted.len() {
            let message = "Your proposed upload is smaller than the minimum allowed size";
            return Err(S3Failure::new(400, "EntityTooSmall", message));
        }
    }
    Ok(())
}

struct Joined {
    received: Received,
    size: u64,
    etag: String,
}

/// The parts one after the other. The entity tag is the digest of the parts' digests, with their number (user guide of S3).
async fn join(aws: &Aws, upload: &Upload, wanted: &[(i32, String)]) -> Outcome<Joined> {
    let received = receive(&aws.storage, &aws.ids, None, Declared::default()).await?;
    let path = received.path().ok_or_else(S3Failure::no_such_upload)?.to_owned();
    let mut file = File::create(path).await?;
    let (mut digest, mut size) = (Md5::new(), 0);
    for (number, _) in wanted {
        let Some(part) = upload.parts.get(number) else { return Err(S3Failure::no_such_upload()) };
        let path = part.received.path().ok_or_else(S3Failure::no_such_upload)?;
        size += tokio::io::copy(&mut File::open(path).await?, &mut file).await?;
        digest.update(&part.received.md5);
    }
    file.flush().await?;
    Ok(Joined { received, size, etag: format!("{}-{}", hex(&digest.finalize()), wanted.len()) })
}

/// `bytes=FIRST-LAST`: where to begin, and how much to take.
fn copy_range(range: Option<&str>, size: u64) -> Outcome<(u64, u64)> {
    let Some(range) = range else { return Ok((0, size)) };
    let bounds = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let bounds = bounds.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    match bounds {
        Some((first, last)) if first <= last && last < size => Ok((first, last - first + 1)),
        _ => Err(S3Failure::argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last, within the source object",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_copies() {
        assert_eq!(copy_range(None, 7), Ok((0, 7)));
        assert_eq!(copy_range(Some("bytes=2-6"), 7), Ok((2, 5)));
        for bad in ["bytes=2-7", "bytes=3-2", "2-3", "bytes=-3", "bytes=1-"] {
            assert_eq!(copy_range(Some(bad), 7).unwrap_err().code(), "InvalidArgument", "{bad}");
        }
    }
}

//! Writing, reading and deleting versions of objects.

use std::{collections::BTreeMap, fs, io};

use jiff::Timestamp;

use super::{Bucket, Checksums, Headers, NULL_VERSION, S3Failure, Storage, Version, Versioning, write};
use crate::ids::Ids;

/// What an object is written with.
#[derive(Debug, Clone)]
pub struct NewObject {
    /// The name of the data's file.
    pub data: String,
    /// In bytes.
    pub size: u64,
    /// The entity tag without quotes.
    pub etag: String,
    /// Headers that are given back.
    pub headers: Headers,
    /// `x-amz-meta-…`
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: Vec<(String, String)>,
    /// Checksums.
    pub checksums: Checksums,
}

/// What came of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// Whether a mark was made, or a mark was removed.
    pub marker: bool,
    /// The version that was made or removed, where the bucket has versions.
    pub version: Option<String>,
}

impl Storage {
    /// Writes an object. `unless` sees the version that is current, and can refuse.
    pub fn put(
        &self,
        bucket_name: &str,
        key: &str,
        object: NewObject,
        now: Timestamp,
        ids: &Ids,
        unless: impl FnOnce(Option<&Version>) -> Result<(), S3Failure>,
    ) -> Result<Version, S3Failure> {
        let mut buckets = self.lock();
        let bucket = buckets.get_mut(bucket_name).ok_or_else(S3Failure::no_such_bucket)?;
        unless(bucket.current(key))?;
        let NewObject { data, size, etag, headers, metadata, tags, checksums } = object;
        let version = Version {
            key: key.to_owned(),
            id: bucket.new_version_id(ids)?,
            sequence: self.next_sequence(),
            marker: false,
            data: Some(data),
            size,
            etag,
            modified: now,
            headers,
            metadata,
            tags,
            checksums,
        };
        self.add(bucket_name, bucket, version.clone())?;
        Ok(version)
    }

    /// The version that a request means: the current one, or the named one.
    pub fn version(&self, bucket: &str, key: &str, id: Option<&str>) -> Result<Version, S3Failure> {
        let buckets = self.lock();
        let bucket = buckets.get(bucket).ok_or_else(S3Failure::no_such_bucket)?;
        let versions = bucket.objects.get(key);
        match id {
            None => versions.and_then(|versions| versions.last()).cloned().ok_or_else(S3Failure::no_such_key),
            Some(id) => versions
                .and_then(|versions| versions.iter().find(|version| version.id == id))
                .cloned()
                .ok_or_else(S3Failure::no_such_version),
        }
    }

    /// An object's tags; none where there is no such object.
    pub fn tags(&self, bucket: &str, key: &str, id: Option<&str>) -> Vec<(String, String)> {
        self.version(bucket, key, id).map(|version| version.tags).unwrap_or_default()
    }

    /// Replaces a version's tags.
    pub fn set_tags(
        &self,
        bucket_name: &str,
        key: &str,
        id: Option<&str>,
        tags: Vec<(String, String)>,
    ) -> Result<(), S3Failure> {
        let found = self.version(bucket_name, key, id)?;
        let mut buckets = self.lock();
        let versions = buckets.get_mut(bucket_name).and_then(|bucket| bucket.objects.get_mut(key));
        let version =
            versions.and_then(|versions| versions.iter_mut().find(|version| version.sequence == found.sequence));
        let version = version.ok_or_else(S3Failure::no_such_key)?;
        let changed = Version { tags, ..version.clone() };
        write(&self.version_file(bucket_name, &changed), &changed)?;
        *version = changed;
        Ok(())
    }

    /// Deletes an object, or one version for good.
    pub fn delete(
        &self,
        bucket_name: &str,
        key: &str,
        id: Option<&str>,
        now: Timestamp,
        ids: &Ids,
    ) -> Result<Deleted, S3Failure> {
        let mut buckets = self.lock();
        let bucket = buckets.get_mut(bucket_name).ok_or_else(S3Failure::no_such_bucket)?;
        if let Some(id) = id {
            let removed = self.remove(bucket_name, bucket, key, id)?;
            return Ok(Deleted { marker: removed.is_some_and(|version| version.marker), version: Some(id.to_owned()) });
        }
        if bucket.config.versioning.is_none() {
            self.remove(bucket_name, bucket, key, NULL_VERSION)?;
            return Ok(Deleted { marker: false, version: None });
        }
        let mark = Version {
            key: key.to_owned(),
            id: bucket.new_version_id(ids)?,
            sequence: self.next_sequence(),
            marker: true,
            data: None,
            size: 0,
            etag: String::new(),
            modified: now,
            headers: Headers::default(),
            metadata: BTreeMap::new(),
            tags: Vec::new(),
            checksums: Checksums::default(),
        };
        let version = Some(mark.id.clone());
        self.add(bucket_name, bucket, mark)?;
        Ok(Deleted { marker: true, version })
    }

    /// Every version of a bucket: by key, the newest first, with whether it is the current one.
    pub fn versions(&self, bucket: &str, prefix: &str) -> Result<Vec<(Version, bool)>, S3Failure> {
        let buckets = self.lock();
        let bucket = buckets.get(bucket).ok_or_else(S3Failure::no_such_bucket)?;
        let objects = bucket.objects.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(objects
            .flat_map(|(_, versions)| {
                versions.iter().rev().enumerate().map(|(age, version)| (version.clone(), age == 0))
            })
            .collect())
    }

    fn add(&self, bucket_name: &str, bucket: &mut Bucket, version: Version) -> Result<(), S3Failure> {
        write(&self.version_file(bucket_name, &version), &version)?;
        if version.id == NULL_VERSION {
            // The new one is on disk already; a crash in between leaves two, of which the later counts.
            self.remove(bucket_name, bucket, &version.key, NULL_VERSION)?;
        }
        bucket.objects.entry(version.key.clone()).or_default().push(version);
        Ok(())
    }

    fn remove(
        &self,
        bucket_name: &str,
        bucket: &mut Bucket,
        key: &str,
        id: &str,
    ) -> Result<Option<Version>, S3Failure> {
        let Some(versions) = bucket.objects.get_mut(key) else { return Ok(None) };
        let Some(at) = versions.iter().position(|version| version.id == id) else { return Ok(None) };
        ignore_missing(fs::remove_file(self.version_file(bucket_name, &versions[at])))?;
        let removed = versions.remove(at);
        if versions.is_empty() {
            bucket.objects.remove(key);
        }
        if let Some(data) = &removed.data {
            // Readers that have the file open go on reading it.
            ignore_missing(fs::remove_file(self.data_file(data)))?;
        }
        Ok(Some(removed))
    }
}

impl Bucket {
    /// The version that a read without an id sees; none where it is marked as deleted.
    fn current(&self, key: &str) -> Option<&Version> {
        self.objects.get(key)?.last().filter(|version| !version.marker)
    }

    fn new_version_id(&self, ids: &Ids) -> Result<String, S3Failure> {
        match self.config.versioning {
            Some(Versioning::Enabled) => Ok(ids.opaque()?),
            Some(Versioning::Suspended) | None => Ok(NULL_VERSION.to_owned()),
        }
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

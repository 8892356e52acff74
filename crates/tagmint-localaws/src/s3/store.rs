//! Buckets and objects on disk.
//!
//! An object's data is a file of a random name and never changes; what is known of a version is a JSON file of its bucket's folder. Keys
//! are never part of a path.

mod model;
mod objects;

use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;

pub use self::{
    model::{BucketConfig, Checksums, Encryption, Headers, LifecycleRule, PublicAccess, Version, Versioning},
    objects::NewObject,
};
use super::failure::S3Failure;

/// The id of a version that was written without versioning.
pub const NULL_VERSION: &str = "null";

/// All buckets with their objects.
#[derive(Debug)]
pub struct Storage {
    root: PathBuf,
    buckets: Mutex<BTreeMap<String, Bucket>>,
    sequence: AtomicU64,
}

#[derive(Debug)]
struct Bucket {
    config: BucketConfig,
    /// The versions of each key, the oldest first. Never empty.
    objects: BTreeMap<String, Vec<Version>>,
}

impl Storage {
    /// Opens a folder, and reads what is in it.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root.join("data"))?;
        fs::create_dir_all(root.join("buckets"))?;
        let mut buckets = BTreeMap::new();
        let mut last = 0;
        for entry in fs::read_dir(root.join("buckets"))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Some(config) = read(&entry.path().join("bucket.json"))? else { continue };
            let mut objects: BTreeMap<String, Vec<Version>> = BTreeMap::new();
            for file in fs::read_dir(entry.path().join("versions"))? {
                let Some(version) = read::<Version>(&file?.path())? else { continue };
                last = last.max(version.sequence);
                objects.entry(version.key.clone()).or_default().push(version);
            }
            for versions in objects.values_mut() {
                versions.sort_by_key(|version| version.sequence);
            }
            buckets.insert(name, Bucket { config, objects });
        }
        remove_leftovers(&root.join("data"), &buckets)?;
        Ok(Self { root: root.to_owned(), buckets: Mutex::new(buckets), sequence: AtomicU64::new(last + 1) })
    }

    /// The file for data of this random name.
    pub fn data_file(&self, name: &str) -> PathBuf {
        self.root.join("data").join(name)
    }

    /// Whether there is such a bucket.
    pub fn has_bucket(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    /// All buckets with the time they were made.
    pub fn list_buckets(&self) -> Vec<(String, BucketConfig)> {
        self.lock().iter().map(|(name, bucket)| (name.clone(), bucket.config.clone())).collect()
    }

    /// Makes a bucket, whose name was checked.
    pub fn create_bucket(&self, name: &str, now: Timestamp) -> Result<(), S3Failure> {
        if !s3s::path::check_bucket_name(name) {
            return Err(S3Failure::new(400, "InvalidBucketName", "The specified bucket is not valid."));
        }
        let mut buckets = self.lock();
        if buckets.contains_key(name) {
            let message = "Your previous request to create the named bucket succeeded and you already own it.";
            return Err(S3Failure::new(409, "BucketAlreadyOwnedByYou", message));
        }
        let config = BucketConfig::new(now);
        fs::create_dir_all(self.bucket_dir(name).join("versions"))?;
        self.save_config(name, &config)?;
        buckets.insert(name.to_owned(), Bucket { config, objects: BTreeMap::new() });
        Ok(())
    }

    /// Removes a bucket without objects and versions.
    pub fn delete_bucket(&self, name: &str) -> Result<(), S3Failure> {
        let mut buckets = self.lock();
        let bucket = buckets.get(name).ok_or_else(S3Failure::no_such_bucket)?;
        if !bucket.objects.is_empty() {
            let versioned = bucket.config.versioning.is_some();
            let message = if versioned {
                "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
            } else {
                "The bucket you tried to delete is not empty"
            };
            return Err(S3Failure::new(409, "BucketNotEmpty", message));
        }
        fs::remove_dir_all(self.bucket_dir(name))?;
        buckets.remove(name);
        Ok(())
    }

    /// What is set up for a bucket.
    pub fn config(&self, name: &str) -> Result<BucketConfig, S3Failure> {
        self.lock().get(name).map(|bucket| bucket.config.clone()).ok_or_else(S3Failure::no_such_bucket)
    }

    /// Changes what is set up for a bucket.
    pub fn change_bucket(&self, name: &str, change: impl FnOnce(&mut BucketConfig)) -> Result<(), S3Failure> {
        let mut buckets = self.lock();
        let bucket = buckets.get_mut(name).ok_or_else(S3Failure::no_such_bucket)?;
        let mut config = bucket.config.clone();
        change(&mut config);
        self.save_config(name, &config)?;
        bucket.config = config;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    fn bucket_dir(&self, name: &str) -> PathBuf {
        self.root.join("buckets").join(name)
    }

    fn version_file(&self, bucket: &str, version: &Version) -> PathBuf {
        self.bucket_dir(bucket).join("versions").join(format!("{}.json", version.sequence))
    }

    fn save_config(&self, name: &str, config: &BucketConfig) -> io::Result<()> {
        write(&self.bucket_dir(name).join("bucket.json"), config)
    }
}

/// Removes data of uploads that were never completed: they don't outlive the process.
fn remove_leftovers(data: &Path, buckets: &BTreeMap<String, Bucket>) -> io::Result<()> {
    let versions = buckets.values().flat_map(|bucket| bucket.objects.values().flatten());
    let used: HashSet<&str> = versions.filter_map(|version| version.data.as_deref()).collect();
    for file in fs::read_dir(data)? {
        let file = file?;
        if file.file_name().to_str().is_none_or(|name| !used.contains(name)) {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

/// Reads a file; none where it is a leftover of an interrupted write.
fn read<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    if path.extension().is_none_or(|extension| extension != "json") {
        return Ok(None);
    }
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, value: &impl serde::Serialize) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec(value)?)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fs, sync::Arc};

use super::{objects::Deleted, *};
use crate::ids::Ids;

const BUCKET: &str = "bucket";

struct Stage {
    dir: tempfile::TempDir,
    storage: Storage,
    ids: Ids,
}

impl Stage {
    fn new(versioning: Option<Versioning>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path()).unwrap();
        storage.create_bucket(BUCKET, now()).unwrap();
        storage.change_bucket(BUCKET, |config| config.versioning = versioning).unwrap();
        Self { dir, storage, ids: Ids::new(Arc::new(tagmint_core::random::SystemRandom)) }
    }

    fn put(&self, key: &str, text: &str) -> Version {
        let data = self.ids.opaque().unwrap();
        fs::write(self.storage.data_file(&data), text).unwrap();
        let object = NewObject {
            data,
            size: text.len() as u64,
            etag: text.to_owned(),
            headers: Headers::default(),
            metadata: BTreeMap::new(),
            tags: Vec::new(),
            checksums: Checksums::default(),
        };
        self.storage.put(BUCKET, key, object, now(), &self.ids, |_| Ok(())).unwrap()
    }

    fn delete(&self, key: &str, id: Option<&str>) -> Deleted {
        self.storage.delete(BUCKET, key, id, now(), &self.ids).unwrap()
    }

    /// The text of the current version.
    fn text(&self, key: &str) -> Option<String> {
        let version = self.storage.version(BUCKET, key, None).ok()?;
        fs::read_to_string(self.storage.data_file(version.data.as_deref()?)).ok()
    }

    fn files(&self) -> usize {
        fs::read_dir(self.dir.path().join("data")).unwrap().count()
    }
}

fn now() -> Timestamp {
    Timestamp::constant(1_790_000_000, 0)
}

#[test]
fn without_versions_a_write_replaces_and_a_deletion_removes() {
    let stage = Stage::new(None);
    stage.put("k", "one");
    stage.put("k", "two");
    assert_eq!((stage.text("k").as_deref(), stage.files()), (Some("two"), 1));
    assert_eq!(stage.delete("k", None), Deleted { marker: false, version: None });
    assert_eq!((stage.text("k"), stage.files()), (None, 0));
    assert_eq!(stage.delete("k", None), Deleted { marker: false, version: None }, "a missing key is no error");
    stage.storage.delete_bucket(BUCKET).unwrap();
}

#[test]
fn versions_stay_until_they_are_named() {
    let stage = Stage::new(Some(Versioning::Enabled));
    let first = stage.put("k", "one");
    stage.put("k", "two");
    let mark = stage.delete("k", None).version.unwrap();
    assert_eq!(stage.text("k"), None);
    assert!(stage.storage.version(BUCKET, "k", None).unwrap().marker);
    assert_eq!(stage.storage.version(BUCKET, "k", Some(&first.id)).unwrap().etag, "one");
    assert_eq!(stage.storage.delete_bucket(BUCKET).unwrap_err().code(), "BucketNotEmpty");
    assert_eq!(stage.delete("k", Some(&mark)), Deleted { marker: true, version: Some(mark.clone()) });
    assert_eq!(stage.text("k").as_deref(), Some("two"), "without its mark the object is back");
    let latest: Vec<bool> = stage.storage.versions(BUCKET, "").unwrap().iter().map(|(_, latest)| *latest).collect();
    assert_eq!(latest, [true, false]);
}

#[test]
fn suspended_versions_replace_null_alone() {
    let stage = Stage::new(Some(Versioning::Enabled));
    stage.put("k", "kept");
    stage.storage.change_bucket(BUCKET, |config| config.versioning = Some(Versioning::Suspended)).unwrap();
    stage.put("k", "one");
    stage.put("k", "two");
    let ids: Vec<String> =
        stage.storage.versions(BUCKET, "").unwrap().into_iter().map(|(version, _)| version.etag).collect();
    assert_eq!(ids, ["two", "kept"]);
}

#[test]
fn everything_is_there_after_a_restart() {
    let stage = Stage::new(Some(Versioning::Enabled));
    // Keys that would be paths elsewhere.
    for key in ["a", "a/b", "../x", "/", "own/../other/y"] {
        stage.put(key, key);
    }
    stage.put("a", "newer");
    stage.storage.set_tags(BUCKET, "a", None, vec![("k".to_owned(), "v".to_owned())]).unwrap();
    let before = stage.storage.versions(BUCKET, "").unwrap();
    let again = Storage::open(stage.dir.path()).unwrap();
    assert_eq!(again.versions(BUCKET, "").unwrap(), before);
    assert_eq!(again.config(BUCKET).unwrap(), stage.storage.config(BUCKET).unwrap());
    assert_eq!(again.version(BUCKET, "a", None).unwrap().etag, "newer");
    assert_eq!(again.tags(BUCKET, "a", None).len(), 1);
}

#[test]
fn names_are_checked() {
    let stage = Stage::new(None);
    for name in ["..", "a/b", "A-bucket", ".hidden", "x"] {
        assert_eq!(stage.storage.create_bucket(name, now()).unwrap_err().code(), "InvalidBucketName", "{name}");
    }
    assert_eq!(stage.storage.create_bucket(BUCKET, now()).unwrap_err().code(), "BucketAlreadyOwnedByYou");
}

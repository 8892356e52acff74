//! The few operations of S3 that the proof needs, for whoever's credentials.

use crate::{
    client::{
        Answer,
        s3::{Call, S3},
    },
    failure::Failure,
};

/// How many keys a list names at most: enough to see whether there are any.
const MOST_KEYS: &str = "100";

/// A bucket, and the credentials that it is asked with.
#[derive(Debug)]
pub(super) struct Store {
    s3: S3,
    bucket: String,
}

impl Store {
    /// The bucket as the client's credentials see it.
    pub(super) fn new(s3: S3, bucket: &str) -> Self {
        Self { s3, bucket: bucket.to_owned() }
    }

    /// The first keys below a prefix; without one, of the whole bucket.
    pub(super) async fn list(&self, prefix: Option<&str>) -> Result<Vec<String>, Failure> {
        let call = Call::bucket("GET", &self.bucket).query("list-type", Some("2")).query("max-keys", Some(MOST_KEYS));
        let answer = self.s3.read(call.query("prefix", prefix)).await?;
        let keys = answer.all("Contents").filter_map(|object| object.text_of("Key"));
        Ok(keys.map(str::to_owned).collect())
    }

    /// Asks for an object and leaves its content alone, which may be large.
    pub(super) async fn open(&self, key: &str) -> Result<Answer, Failure> {
        self.s3.send(Call::object("GET", &self.bucket, key)).await
    }

    /// Reads an object whole.
    pub(super) async fn read(&self, key: &str) -> Result<Vec<u8>, Failure> {
        self.open(key).await?.bytes().await
    }

    /// Writes an object. Returns its version, where the bucket keeps versions.
    pub(super) async fn put(&self, key: &str, body: &str) -> Result<Option<String>, Failure> {
        let answer = self.s3.send(Call::object("PUT", &self.bucket, key).body(body.as_bytes())).await?;
        Ok(answer.header(VERSION).map(str::to_owned))
    }

    /// Deletes an object, or one version of it. Returns the version of the delete marker that stands for it then, where there is one.
    pub(super) async fn delete(&self, key: &str, version: Option<&str>) -> Result<Option<String>, Failure> {
        let call = Call::object("DELETE", &self.bucket, key).query("versionId", version);
        let answer = self.s3.send(call).await?;
        Ok(answer.header(VERSION).filter(|_| version.is_none()).map(str::to_owned))
    }
}

/// The version that an answer is about.
const VERSION: &str = "x-amz-version-id";

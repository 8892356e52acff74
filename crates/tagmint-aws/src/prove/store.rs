//! The few operations of S3 that the proof needs, for whoever's credentials.

use aws_sdk_s3::{Client, primitives::ByteStream};

use crate::failure::Failure;

/// The most keys that are listed.
const MOST_KEYS: i32 = 100;

/// A bucket as somebody sees it.
#[derive(Debug)]
pub(super) struct Store {
    client: Client,
    bucket: String,
    service: String,
}

impl Store {
    /// The bucket as the client's credentials see it. `service` names S3 and its endpoint.
    pub(super) fn new(client: Client, bucket: &str, service: String) -> Self {
        Self { client, bucket: bucket.to_owned(), service }
    }

    /// The first keys below a prefix; without one, of the whole bucket.
    pub(super) async fn list(&self, prefix: Option<&str>) -> Result<Vec<String>, Failure> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).max_keys(MOST_KEYS);
        let answer = request.set_prefix(prefix.map(str::to_owned)).send().await;
        let answer = answer.map_err(|error| Failure::of(&self.service, &error))?;
        Ok(answer.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect())
    }

    /// Asks for an object and leaves its content alone, which may be large.
    pub(super) async fn open(&self, key: &str) -> Result<ByteStream, Failure> {
        let answer = self.client.get_object().bucket(&self.bucket).key(key).send().await;
        Ok(answer.map_err(|error| Failure::of(&self.service, &error))?.body)
    }

    /// Reads an object whole.
    pub(super) async fn read(&self, key: &str) -> Result<Vec<u8>, Failure> {
        let body = self.open(key).await?.collect().await;
        let broken = |error: &dyn std::error::Error| Failure::Unreachable {
            service: self.service.clone(),
            cause: crate::failure::causes(error),
        };
        Ok(body.map_err(|error| broken(&error))?.to_vec())
    }

    /// Writes an object. Returns its version, where the bucket keeps versions.
    pub(super) async fn put(&self, key: &str, body: &str) -> Result<Option<String>, Failure> {
        let body = ByteStream::from(body.as_bytes().to_vec());
        let answer = self.client.put_object().bucket(&self.bucket).key(key).body(body).send().await;
        Ok(answer.map_err(|error| Failure::of(&self.service, &error))?.version_id().map(str::to_owned))
    }

    /// Deletes an object, or one version of it. Returns the version of the delete marker that stands for it then, where there is one.
    pub(super) async fn delete(&self, key: &str, version: Option<&str>) -> Result<Option<String>, Failure> {
        let request = self.client.delete_object().bucket(&self.bucket).key(key);
        let answer = request.set_version_id(version.map(str::to_owned)).send().await;
        let answer = answer.map_err(|error| Failure::of(&self.service, &error))?;
        Ok(answer.version_id().filter(|_| version.is_none()).map(str::to_owned))
    }
}
